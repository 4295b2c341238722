//! The file of what was learned, `osc.toml` in the user's folder:
//!
//! ```toml
//! version = 1
//!
//! [[bind]]
//! address = "/1/fader3"
//! argument = 1            # counted from 1; left out for messages without
//! parameter = "/dream/vivid"
//! from = 0                # the sender's value for the lower end of the parameter's range, and for the upper;
//! to = 1                  # the other way round inverts
//! ```

use std::{
    fmt::Write as _,
    fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use super::{Binding, MOST_BINDINGS};
use crate::control::{nearest, shown};

const VERSION: i64 = 1;
const KEYS: [&str; 5] = ["address", "argument", "parameter", "from", "to"];

/// Why the file is not read or written.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {why}")]
pub struct FileError {
    file: String,
    why: String,
}

/// Reads the file; without one there are no bindings.
pub fn load(file: &Path) -> Result<Vec<Binding>, FileError> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fault(file, format!("cannot be read ({error})"))),
    };
    parse(&text).map_err(|why| fault(file, why))
}

/// A file that cannot be read is kept under another name, so that learning does not write over what a person wrote.
pub fn set_aside(file: &Path) -> Option<String> {
    let aside = file.with_extension("toml-refused");
    let moved = fs::rename(file, &aside).is_ok();
    moved.then(|| format!("it was kept as {}, and learning starts anew", aside.display()))
}

/// Writes the file whole or not at all.
pub fn save(file: &Path, bindings: &[Binding]) -> Result<(), FileError> {
    let unfinished: PathBuf = file.with_extension("toml-unfinished");
    let folder = file.parent().map_or(Ok(()), fs::create_dir_all);
    let written = folder.and_then(|()| fs::File::create(&unfinished)).and_then(|mut out| {
        out.write_all(to_toml(bindings).as_bytes())?;
        out.sync_all()
    });
    written.and_then(|()| fs::rename(&unfinished, file)).map_err(|error| {
        // The error is about the file; a leftover beside it is harmless.
        let _ = fs::remove_file(&unfinished);
        fault(file, format!("cannot be written ({error}); what was learned lasts until the end of the program"))
    })
}

fn fault(file: &Path, why: String) -> FileError {
    FileError { file: file.display().to_string(), why }
}

fn to_toml(bindings: &[Binding]) -> String {
    let mut out = format!("version = {VERSION}\n");
    for Binding { address, argument, path, from, to, .. } in bindings {
        let quoted = |text: &str| Value::String(text.into()).to_string();
        let _ = writeln!(out, "\n[[bind]]\naddress = {}", quoted(address));
        if let Some(at) = argument {
            let _ = writeln!(out, "argument = {}", at + 1);
        }
        let _ = writeln!(out, "parameter = {}\nfrom = {}\nto = {}", quoted(path), shown(*from), shown(*to));
    }
    out
}

fn parse(text: &str) -> Result<Vec<Binding>, String> {
    let document: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        format!("line {line}: {}", error.message())
    })?;
    match document.get("version").and_then(Value::as_integer) {
        Some(VERSION) => {}
        Some(newer) if newer > VERSION => return Err(format!("is of version {newer}: get a newer wavedream")),
        _ => return Err(format!("is no list of learned addresses: its first line is not `version = {VERSION}`")),
    }
    known(document.keys(), &["version", "bind"])?;
    let entries = match document.get("bind") {
        None => return Ok(Vec::new()),
        Some(bind) => bind.as_array().ok_or("bind takes entries: write [[bind]] above each")?,
    };
    if entries.len() > MOST_BINDINGS {
        return Err(format!("has {} entries; {MOST_BINDINGS} at most are used", entries.len()));
    }
    let entry = |(at, entry)| binding(entry).map_err(|why| format!("entry {}: {why}", at + 1));
    entries.iter().enumerate().map(entry).collect()
}

fn binding(entry: &Value) -> Result<Binding, String> {
    let table = entry.as_table().ok_or("write [[bind]] above it")?;
    known(table.keys(), &KEYS)?;
    let address_at = |key: &str| {
        let text = table.get(key).and_then(Value::as_str).filter(|text| text.starts_with('/'));
        text.ok_or_else(|| format!("{key} takes a path in quotes, such as \"/1/fader3\""))
    };
    let number_at = |key: &str, usual: f64| match table.get(key) {
        None => Ok(usual),
        Some(Value::Integer(number)) => Ok(*number as f64),
        Some(Value::Float(number)) if number.is_finite() => Ok(*number),
        Some(_) => Err(format!("{key} takes a number")),
    };
    let argument = match table.get("argument") {
        None => None,
        Some(Value::Integer(at)) if (1..=64).contains(at) => usize::try_from(at - 1).ok(),
        Some(_) => return Err("argument takes a whole number from 1 to 64".into()),
    };
    let (from, to) = (number_at("from", 0.0)?, number_at("to", 1.0)?);
    if from == to {
        return Err("from and to are the same: there is no way between them".into());
    }
    Ok(Binding::read(address_at("address")?, argument, address_at("parameter")?, from, to))
}

fn known<'a>(mut keys: impl Iterator<Item = &'a String>, known: &[&str]) -> Result<(), String> {
    let Some(unknown) = keys.find(|key| !known.contains(&key.as_str())) else { return Ok(()) };
    let hint = nearest(unknown, known.iter().copied())
        .map_or_else(|| format!("known are {}", known.join(", ")), |name| format!("did you mean {name}?"));
    Err(format!("there is no key “{unknown}”; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let bindings = vec![
            Binding::read("/1/fader3", Some(0), "/dream/vivid", 0.0, 1.0),
            Binding::read("/muse/acc \"x\"", Some(2), "/dream/bright", 1682.5, -3.25),
            Binding::read("/bang", None, "/preset/next", 0.0, 1.0),
        ];
        assert_eq!(parse(&to_toml(&bindings)).unwrap(), bindings);
        assert_eq!(parse("version = 1").unwrap(), []);
    }

    #[test]
    fn a_fault_is_one_sentence_that_says_where() {
        let entry = |line: &str| format!("version = 1\n[[bind]]\naddress = \"/a\"\nparameter = \"/b\"\n{line}\n");
        for (text, said) in [
            (String::new(), "first line"),
            ("version = 2".into(), "newer"),
            ("version = 1\nbind = 3".into(), "[[bind]]"),
            ("version = 1\nbing = []".into(), "did you mean bind"),
            ("version = 1\n[[bind]]\naddress = \"/a".into(), "line 3"),
            ("version = 1\n[[bind]]\naddress = \"/a\"".into(), "entry 1: parameter takes"),
            (entry("adress = 1"), "did you mean address"),
            (entry("argument = 0"), "from 1"),
            (entry("from = \"low\""), "from takes a number"),
            (entry("from = nan"), "from takes a number"),
            (entry("from = 1"), "no way between"),
        ] {
            let why = parse(&text).unwrap_err();
            assert!(why.contains(said) && !why.contains('\n'), "{text}: {why}");
        }
    }

    #[test]
    fn a_file_with_a_fault_is_kept_under_another_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("osc.toml");
        fs::write(&file, "version = nothing").unwrap();
        assert!(load(&file).is_err());
        assert!(set_aside(&file).unwrap().contains("osc.toml-refused"));
        assert_eq!(fs::read_to_string(folder.path().join("osc.toml-refused")).unwrap(), "version = nothing");
        assert_eq!(load(&file).unwrap(), []);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let in_the_way = folder.path().join("file");
        fs::write(&in_the_way, "").unwrap();
        assert!(save(&in_the_way.join("osc.toml"), &[]).unwrap_err().to_string().contains("cannot be written"));
    }
}
