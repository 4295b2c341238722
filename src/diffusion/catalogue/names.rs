//! From what people type to the model that they mean.
//!
//! In this order: `box`; a path; a name within the user's folders, whole or by its last part; a name on the hub that was
//! fetched, whole, short or by its last part. Nothing is ever fetched by the way: a show must not begin with a download.

use std::path::{Path, PathBuf};

use super::{
    LoadError,
    folders::{Own, folders, of_snapshot, within},
};
use crate::diffusion::hub::{self, KNOWN, Name, Place, cached, known};

/// What a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    /// The model in the program.
    Box,
    Path(PathBuf),
}

/// Finds a model by name or path.
pub fn meant(typed: &str) -> Result<Meant, LoadError> {
    let typed = typed.trim();
    if typed.is_empty() || typed == "box" {
        return Ok(Meant::Box);
    }
    if Path::new(typed).exists() {
        return Ok(Meant::Path(typed.into()));
    }
    if let Some(path) = own(typed).or_else(|| fetched(typed)) {
        return Ok(Meant::Path(path));
    }
    if let Some(known) = KNOWN.iter().find(|k| k.short == typed || k.repo == typed) {
        return Err(LoadError::NotFetched { name: known.repo.to_owned(), short: known.short.to_owned() });
    }
    let nearest = nearest(typed).map_or_else(String::new, |name| format!("; did you mean {name}?"));
    Err(LoadError::Unknown { name: typed.to_owned(), nearest })
}

/// In the folders of the user. The last part of a name is enough where it is one of a kind; case does not count.
fn own(typed: &str) -> Option<PathBuf> {
    let typed = typed.strip_suffix(".safetensors").unwrap_or(typed).to_lowercase();
    let all: Vec<Own> = folders().iter().flat_map(|f| within(f)).collect();
    let lower = |own: &&Own| own.name.to_lowercase();
    let last = |own: &&Own| lower(own).rsplit('/').next() == Some(&typed);
    let found = all.iter().find(|o| lower(o) == typed).or_else(|| all.iter().find(last));
    found.map(|own| own.path.clone())
}

/// In the hub's cache.
fn fetched(typed: &str) -> Option<PathBuf> {
    let cache = Place::from_environment().cache;
    let by_name = |name: &Name| {
        let snapshot = hub::snapshot(&cache, name)?;
        match &name.file {
            Some(file) => Some(snapshot.join(file)).filter(|f| f.is_file()),
            None => Some(of_snapshot(&snapshot)),
        }
    };
    if let Some(found) = Name::parse(typed).as_ref().and_then(by_name) {
        return Some(found);
    }
    let last = |repo: &str| repo.rsplit('/').next().is_some_and(|n| n.eq_ignore_ascii_case(typed));
    match &cached(&cache).into_iter().filter(|c| last(&c.repo)).collect::<Vec<_>>()[..] {
        [only] => Some(of_snapshot(&only.snapshot)),
        _ => None,
    }
}

/// The name most like what was typed, of all that could be meant.
fn nearest(typed: &str) -> Option<String> {
    let mut names: Vec<String> = vec!["box".to_owned()];
    names.extend(folders().iter().flat_map(|f| within(f)).map(|own| own.name));
    names.extend(cached(&Place::from_environment().cache).into_iter().map(|c| c.repo));
    names.extend(KNOWN.iter().flat_map(|k| [k.short.to_owned(), k.repo.to_owned()]));
    let typed = typed.to_lowercase();
    let like = |name: &String| {
        let lower = name.to_lowercase();
        let edits = strsim::damerau_levenshtein(&typed, &lower);
        (edits <= 2).then_some(1.0).or_else(|| Some(strsim::jaro_winkler(&typed, &lower)).filter(|l| *l > 0.85))
    };
    names.into_iter().filter_map(|n| Some((like(&n)?, n))).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, n)| n)
}

/// The name by which a fetched model is best called.
pub fn short_of(repo: &str) -> String {
    KNOWN.iter().find(|k| k.repo == repo).map_or_else(|| repo.to_owned(), |k| k.short.to_owned())
}

/// What its page says of the licence, for the models that this program knows.
pub fn licence_of(repo: &str) -> Option<&'static str> {
    KNOWN.iter().find(|k| k.repo == repo).or_else(|| known(repo)).map(|k| k.licence)
}
