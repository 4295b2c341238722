//! Fetching a model: the listing, the choice, the room on the disk, the files, the snapshot.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    time::Duration,
};

use ureq::http::StatusCode;

use super::{
    FetchError, KNOWN, Name, Place,
    cache::{link, snapshot},
    choose::choose,
    client::Client,
    download::{download, unfinished},
    listing::{Listing, Remote},
    size_text,
};

/// What happens while a model is fetched, for whoever shows it.
#[derive(Debug)]
pub enum Event<'a> {
    /// Files and bytes in all, and bytes that are there already.
    Plan {
        files: usize,
        bytes: u64,
        there: u64,
    },
    File(&'a str),
    /// Arrived; fewer than none when a file begins again.
    Bytes(i64),
    Waiting {
        why: &'a str,
        pause: Duration,
    },
}

/// A model that is in the cache now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub name: String,
    pub snapshot: PathBuf,
    pub files: usize,
    pub bytes: u64,
    /// Of these, those that came over the network now.
    pub new_bytes: u64,
}

/// Fetches what is needed of a model. `half`: float16 weights where the model has both.
pub fn fetch(place: &Place, typed: &str, half: bool, say: &mut dyn FnMut(Event<'_>)) -> Result<Fetched, FetchError> {
    let known = || KNOWN.iter().map(|k| k.short).collect::<Vec<_>>().join(", ");
    let name = Name::parse(typed).ok_or_else(|| FetchError::Name(typed.to_owned(), known()))?;
    if place.offline {
        let there = snapshot(&place.cache, &name);
        let there = there.ok_or_else(|| FetchError::Offline { name: name.to_string(), cache: place.cache.clone() })?;
        return Ok(Fetched { name: name.to_string(), snapshot: there, files: 0, bytes: 0, new_bytes: 0 });
    }
    let client = Client::new(place);
    let listing = listing(&client, &name, say)?;
    let files = choose(&listing, name.file.as_deref(), half)
        .map_err(|what| FetchError::Choice { name: name.repo.clone(), what })?;
    let folder = place.cache.join(name.folder());
    let blobs = folder.join("blobs");
    std::fs::create_dir_all(&blobs).map_err(|why| FetchError::Write { path: blobs.clone(), why })?;
    let blob = |remote: &Remote| blobs.join(remote.hash.hex());
    let len = |path: &Path| std::fs::metadata(path).map_or(0, |m| m.len());
    let is_there = |remote: &Remote| blob(remote).is_file() && len(&blob(remote)) == remote.size;
    let have = |remote: &Remote| {
        if is_there(remote) { remote.size } else { len(&unfinished(&blob(remote))).min(remote.size) }
    };
    // Files of the same contents are one blob.
    let mut seen = HashSet::new();
    let unique: Vec<&Remote> = files.iter().filter(|f| seen.insert(f.hash.hex())).collect();
    let bytes: u64 = unique.iter().map(|f| f.size).sum();
    let there: u64 = unique.iter().map(|f| have(f)).sum();
    room(&folder, bytes - there, &name)?;
    say(Event::Plan { files: files.len(), bytes, there });
    for remote in unique.into_iter().filter(|f| !is_there(f)) {
        say(Event::File(&remote.path));
        let address = format!("{}/{}/resolve/{}/{}", place.endpoint, name.repo, listing.commit, escaped(&remote.path));
        download(&client, &address, remote, &blob(remote), say)?;
    }
    let snapshot = link(&folder, &name, &listing.commit, &files)
        .map_err(|why| FetchError::Write { path: folder.join("snapshots"), why })?;
    Ok(Fetched { name: name.to_string(), snapshot, files: files.len(), bytes, new_bytes: bytes - there })
}

fn listing(client: &Client, name: &Name, say: &mut dyn FnMut(Event<'_>)) -> Result<Listing, FetchError> {
    let endpoint = client.place.endpoint.clone();
    let revision = name.revision.replace('/', "%2F");
    let address = format!("{endpoint}/api/models/{}/revision/{revision}?blobs=true", name.repo);
    let answer = client.text(&address, &mut |why, pause| say(Event::Waiting { why, pause }))?;
    let repo = name.repo.clone();
    match answer {
        Ok(text) => Listing::parse(&text).map_err(|why| FetchError::Listing { endpoint, name: repo, why }),
        Err(StatusCode::NOT_FOUND) if name.revision != "main" => {
            Err(FetchError::NoRevision { endpoint, name: repo, revision: name.revision.clone() })
        }
        Err(StatusCode::NOT_FOUND) => Err(FetchError::NotFound { endpoint, name: repo }),
        Err(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) if client.place.token_to_send().is_none() => {
            Err(FetchError::Unauthorised { endpoint, name: repo })
        }
        Err(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(FetchError::Forbidden { endpoint, name: repo }),
        Err(status) => Err(FetchError::Server { endpoint, status: status.as_u16(), what: repo }),
    }
}

/// A path within an address.
fn escaped(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~/".contains(&b);
    path.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Refuses what does not fit on the disk, with a little to spare; where the room is not known, writing will tell.
fn room(folder: &Path, needed: u64, name: &Name) -> Result<(), FetchError> {
    const SPARE: u64 = 64 << 20;
    match free_bytes(folder) {
        Some(free) if needed > 0 && free < needed.saturating_add(SPARE) => Err(FetchError::Space {
            folder: folder.to_owned(),
            free: size_text(free),
            name: name.to_string(),
            needed: size_text(needed),
        }),
        _ => Ok(()),
    }
}

/// Asks POSIX `df -Pk`, whose second line holds the free kilobytes as its fourth word.
fn free_bytes(folder: &Path) -> Option<u64> {
    let out = std::process::Command::new("df").arg("-Pk").arg(folder).output().ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    let kilobytes: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kilobytes.saturating_mul(1024))
}
