//! The hub's cache on this disk: `models--ORG--NAME/{blobs/HASH, snapshots/COMMIT/PATH, refs/REVISION}`.
//!
//! A snapshot's files are links to the blobs, so that revisions share what is the same.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Name, listing::Remote};

/// A model that is in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached {
    /// `ORG/NAME`
    pub repo: String,
    pub snapshot: PathBuf,
}

/// The folder of a revision that was fetched, by branch, tag or commit (or its beginning).
pub fn snapshot(cache: &Path, name: &Name) -> Option<PathBuf> {
    let folder = cache.join(name.folder());
    let commit = std::fs::read_to_string(folder.join("refs").join(&name.revision)).ok();
    let commit = commit.map_or_else(|| name.revision.clone(), |c| c.trim().to_owned());
    // A ref is a file that anybody may have written: it names a folder here and nothing else.
    let plain = |c: &str| !c.is_empty() && c.bytes().all(|b| b.is_ascii_alphanumeric());
    let exact = Some(folder.join("snapshots").join(&commit)).filter(|f| plain(&commit) && f.is_dir());
    exact.or_else(|| {
        let entries = std::fs::read_dir(folder.join("snapshots")).ok()?;
        let mut folders: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).filter(|p| p.is_dir()).collect();
        folders.sort();
        let begins = |p: &&PathBuf| {
            name.revision.len() >= 7 && p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&name.revision))
        };
        // Some programs keep no refs: then the only snapshot is the one.
        match &folders[..] {
            [only] if name.revision == "main" => Some(only.clone()),
            many => many.iter().find(begins).cloned(),
        }
    })
}

/// All models in the cache, by name.
pub fn cached(cache: &Path) -> Vec<Cached> {
    let entries = std::fs::read_dir(cache).into_iter().flatten();
    let mut all: Vec<Cached> = entries
        .filter_map(|entry| {
            let folder = entry.ok()?.file_name().into_string().ok()?;
            let repo = folder.strip_prefix("models--")?.replace("--", "/");
            let name = Name::parse(&repo)?;
            Some(Cached { snapshot: snapshot(cache, &name)?, repo })
        })
        .collect();
    all.sort_by(|a, b| a.repo.cmp(&b.repo));
    all
}

/// `ORG/NAME` of a path within the cache's layout.
pub fn repo_of(path: &Path) -> Option<String> {
    let mut above = path.ancestors().skip(1);
    let (snapshots, repo) = (above.next()?, above.next()?);
    let repo = repo.file_name()?.to_str()?.strip_prefix("models--")?;
    snapshots.ends_with("snapshots").then(|| repo.replace("--", "/"))
}

/// Links a snapshot's files to their blobs and notes where the revision is at.
pub fn link(folder: &Path, name: &Name, commit: &str, files: &[Remote]) -> io::Result<PathBuf> {
    let snapshot = folder.join("snapshots").join(commit);
    for remote in files {
        let file = snapshot.join(&remote.path);
        std::fs::create_dir_all(file.parent().unwrap_or(&snapshot))?;
        if !file.exists() {
            // Something that leads nowhere may be in the way.
            drop(std::fs::remove_file(&file));
            let up = "../".repeat(2 + remote.path.matches('/').count());
            symlink(&format!("{up}blobs/{}", remote.hash.hex()), &file, &folder.join("blobs").join(remote.hash.hex()))?;
        }
    }
    let reference = folder.join("refs").join(&name.revision);
    if name.revision != commit {
        std::fs::create_dir_all(reference.parent().unwrap_or(folder))?;
        std::fs::write(reference, commit)?;
    }
    Ok(snapshot)
}

#[cfg(unix)]
fn symlink(target: &str, link: &Path, _: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

/// Links need rights that Windows does not give to everybody: a second name of the same file does as well.
#[cfg(not(unix))]
fn symlink(_: &str, link: &Path, blob: &Path) -> io::Result<()> {
    std::fs::hard_link(blob, link).or_else(|_| std::fs::copy(blob, link).map(drop))
}
