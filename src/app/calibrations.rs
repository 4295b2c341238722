//! What was learned of each source, from evening to evening: `states.toml` in the user's folder.
//!
//! ```toml
//! version = 1
//!
//! [source."lsl://obci_eeg1"]
//! learned_secs = 5400.0
//! kind = "human"
//! [source."lsl://obci_eeg1".usual]
//! theta = [-1.2, -0.8, 0.1, 0.7, 1.3]     # quantiles 0.1, 0.25, 0.5, 0.75, 0.9 of a ratio, in nepers
//! ```
//!
//! `play` starts with it and writes it when a source is left; `render` only reads it, and only when told.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{control::Folders, state::Calibration};

const VERSION: u32 = 1;
const FILE: &str = "states.toml";
/// Sources that are remembered; the one that was learned from least goes.
#[cfg(any(feature = "window", test))]
const MOST: usize = 64;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default)]
    source: BTreeMap<String, Calibration>,
}

/// Where it is kept; None where there is no folder of the user's.
pub fn file() -> Option<PathBuf> {
    Some(Folders::standard(None).save?.with_file_name(FILE))
}

/// What was learned of a source; None for one that is new.
///
/// # Errors
/// A sentence, if the file is there and cannot be used: the source then starts fresh.
pub fn read(file: &Path, source: &str) -> Result<Option<Calibration>, String> {
    Ok(all(file)?.source.remove(source).filter(Calibration::is_sound))
}

/// Keeps what was learned of a source beside the others; the file is written whole or not at all.
///
/// # Errors
/// A sentence, if it cannot be written, or is one that must not be written over.
#[cfg(any(feature = "window", test))]
pub fn write(file: &Path, source: &str, learned: Calibration) -> Result<(), String> {
    let mut known = all(file)?;
    known.version = VERSION;
    known.source.insert(source.to_owned(), learned);
    while known.source.len() > MOST {
        let least = known.source.iter().filter(|(name, _)| *name != source);
        let least = least.min_by(|a, b| a.1.learned_secs.total_cmp(&b.1.learned_secs)).map(|(name, _)| name.clone());
        known.source.remove(&least.unwrap_or_default());
    }
    let failed = |why: String| {
        format!("{} cannot be written ({why}); what was learned of {source} lasts until the end", file.display())
    };
    let text = toml::to_string(&known).map_err(|error| failed(error.to_string()))?;
    let unfinished = file.with_extension("toml-unfinished");
    let folder = file.parent().unwrap_or(Path::new("."));
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&unfinished, text));
    written.and_then(|()| fs::rename(&unfinished, file)).map_err(|error| failed(error.to_string()))
}

fn all(file: &Path) -> Result<File, String> {
    let name = file.display();
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(File::default()),
        Err(error) => return Err(format!("{name} cannot be read ({error}); signals are learned anew")),
    };
    match toml::from_str::<File>(&text) {
        Ok(known) if known.version == VERSION => Ok(known),
        Ok(known) => Err(format!(
            "{name} is of version {}, and this wavedream reads {VERSION}; signals are learned anew",
            known.version
        )),
        Err(error) => {
            let why = error.message().replace('\n', " ");
            Err(format!("{name} is not understood ({why}); mend or delete it, signals are learned anew meanwhile"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(secs: f64) -> Calibration {
        let usual = [("theta".to_owned(), [-1.0, -0.5, 0.25, 1.0, 2.0])].into();
        Calibration { learned_secs: secs, kind: "rodent".into(), usual }
    }

    #[test]
    fn each_source_finds_its_own_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wavedream/states.toml");
        assert_eq!(read(&file, "synth://rat"), Ok(None));
        write(&file, "synth://rat", learned(100.0)).unwrap();
        write(&file, "a \"b\".npy?rate=1000", learned(200.0)).unwrap();
        assert_eq!(read(&file, "synth://rat"), Ok(Some(learned(100.0))));
        assert_eq!(read(&file, "a \"b\".npy?rate=1000"), Ok(Some(learned(200.0))));
        assert_eq!(read(&file, "synth://wind"), Ok(None));
        (0..80).for_each(|n| write(&file, &format!("s{n}"), learned(300.0 + f64::from(n))).unwrap());
        assert_eq!(all(&file).unwrap().source.len(), MOST);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_told_and_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("states.toml");
        for text in ["version = 2", "version = 1\nsorce = 3", "no toml", "version = 1\n[source.a]\nkind = 3"] {
            fs::write(&file, text).unwrap();
            let why = read(&file, "a").unwrap_err();
            assert!(why.contains("states.toml") && why.contains("learned anew") && !why.contains('\n'), "{why}");
            assert!(write(&file, "a", learned(1.0)).is_err());
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_calibration_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("states.toml");
        let mut wrong = learned(1.0);
        wrong.usual.insert("slow".into(), [3.0, 1.0, 2.0, 0.0, 1.0]);
        write(&file, "a", wrong).unwrap();
        assert_eq!(read(&file, "a"), Ok(None));
    }
}
