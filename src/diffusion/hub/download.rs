//! One file into the cache: from where the last try ended, hashed on the way, renamed when it is whole and right.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use ureq::http::{StatusCode, header};

use super::{
    Event, FetchError,
    client::{Answer, Client, TRIES, said_of_io},
    hashes::Hasher,
    listing::Remote,
};

/// Read and written at a time.
const PIECE: usize = 1 << 18;

/// The unfinished file, as huggingface_hub names it.
pub fn unfinished(blob: &Path) -> PathBuf {
    blob.with_extension("incomplete")
}

/// Brings a file to `blob`. What another run left is gone on from.
pub fn download(
    client: &Client,
    address: &str,
    remote: &Remote,
    blob: &Path,
    say: &mut dyn FnMut(Event<'_>),
) -> Result<(), FetchError> {
    let part = unfinished(blob);
    let failed = |why: std::io::Error| FetchError::Write { path: part.clone(), why };
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&part).map_err(failed)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Err(FetchError::Busy(remote.path.clone())),
        // Where locks are not known, two runs at once are found out by the hash.
        Ok(()) | Err(TryLockError::Error(_)) => {}
    }
    let (mut hasher, mut at) = begun(&mut file, remote).map_err(failed)?;
    let (mut tried, mut last) = (0, String::new());
    while at < remote.size {
        if tried == TRIES {
            return Err(FetchError::Network { endpoint: client.place.endpoint.clone(), why: last });
        }
        let asked = match client.get(address, at) {
            Answer::Good(mut response) => {
                let from = start_of(response.status(), response.headers().get(header::CONTENT_RANGE));
                if from != Some(at) {
                    // It sends the whole file again.
                    say(Event::Bytes(-(at as i64)));
                    (hasher, at) = afresh(&mut file, remote).map_err(failed)?;
                }
                if from == Some(at) || from == Some(0) {
                    let before = at;
                    let left = remote.size - at;
                    let body = response.body_mut().as_reader().take(left);
                    match copy(body, &mut file, &mut hasher, &mut at, say) {
                        Ok(()) => last = "the connection broke".to_owned(),
                        Err(Copy::Read(error)) => last = said_of_io(&error),
                        Err(Copy::Write(error)) => return Err(failed(error)),
                    }
                    // Whoever gets on is not given up.
                    tried = if at > before { 0 } else { tried };
                } else {
                    last = "it sends another part than was asked for".to_owned();
                }
                None
            }
            Answer::Status(StatusCode::RANGE_NOT_SATISFIABLE) if at > 0 => {
                say(Event::Bytes(-(at as i64)));
                (hasher, at) = afresh(&mut file, remote).map_err(failed)?;
                None
            }
            Answer::Status(status) => return Err(refused(client, status, remote)),
            Answer::Again(why, asked) => {
                last = why;
                asked
            }
        };
        if at < remote.size {
            let pause = client.pause(tried, asked);
            say(Event::Waiting { why: &last, pause });
            std::thread::sleep(pause);
            tried += 1;
        }
    }
    file.sync_all().map_err(failed)?;
    drop(file);
    let found = hasher.hex();
    if found != remote.hash.hex() {
        std::fs::remove_file(&part).map_err(failed)?;
        let short = |hex: &str| hex.chars().take(12).collect::<String>();
        let why = format!("hash {}…, not {}…", short(&found), short(remote.hash.hex()));
        return Err(FetchError::Hash { file: remote.path.clone(), why });
    }
    std::fs::rename(&part, blob).map_err(failed)
}

fn refused(client: &Client, status: StatusCode, remote: &Remote) -> FetchError {
    let endpoint = client.place.endpoint.clone();
    FetchError::Server { endpoint, status: status.as_u16(), what: remote.path.clone() }
}

/// Hashes what is there of a file.
fn begun(file: &mut File, remote: &Remote) -> std::io::Result<(Hasher, u64)> {
    let len = file.metadata()?.len();
    if len > remote.size {
        return afresh(file, remote);
    }
    let mut hasher = remote.hash.start(remote.size);
    file.seek(SeekFrom::Start(0))?;
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok((hasher, len)),
            n => hasher.update(&piece[..n]),
        }
    }
}

fn afresh(file: &mut File, remote: &Remote) -> std::io::Result<(Hasher, u64)> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    Ok((remote.hash.start(remote.size), 0))
}

/// Where the answer begins: at 0, or where its range says.
fn start_of(status: StatusCode, range: Option<&header::HeaderValue>) -> Option<u64> {
    if status != StatusCode::PARTIAL_CONTENT {
        return Some(0);
    }
    range?.to_str().ok()?.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

enum Copy {
    Read(std::io::Error),
    Write(std::io::Error),
}

/// Until the answer ends.
fn copy(
    mut from: impl Read,
    to: &mut File,
    hasher: &mut Hasher,
    at: &mut u64,
    say: &mut dyn FnMut(Event<'_>),
) -> Result<(), Copy> {
    let mut piece = vec![0; PIECE];
    loop {
        let n = match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(Copy::Read(error)),
        };
        to.write_all(&piece[..n]).map_err(Copy::Write)?;
        hasher.update(&piece[..n]);
        *at += n as u64;
        say(Event::Bytes(n as i64));
    }
}
