//! What the window remembers from evening to evening: a small file in the user's folder, written when it changes.
//!
//! ```toml
//! version = 1
//!
//! [stage]
//! name = "HDMI-1"
//! width = 1920
//! height = 1080
//! ```

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::displays::Identity;

const VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    stage: Option<Identity>,
}

/// Where it is kept; None where there is no home folder.
pub(super) fn file() -> Option<PathBuf> {
    let config = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".config")));
    config.map(|config| config.join("wavedream/displays.toml"))
}

/// The stage's display; None if there is no file yet.
///
/// # Errors
/// A sentence, if the file is there and cannot be used: the stage then opens as if there were none.
pub(super) fn read(file: &Path) -> Result<Option<Identity>, String> {
    let name = file.display();
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{name} cannot be read ({error}); choose the display with --display")),
    };
    match toml::from_str::<File>(&text) {
        Ok(file) if file.version == VERSION => Ok(file.stage),
        Ok(file) => {
            let found = file.version;
            Err(format!("{name} is of version {found}, and this wavedream reads {VERSION}; choose with --display"))
        }
        Err(error) => {
            let why = error.message().replace('\n', " ");
            Err(format!("{name} is not understood ({why}); choose the display with --display, or delete the file"))
        }
    }
}

/// Writes it whole or not at all.
pub(super) fn write(file: &Path, stage: &Identity) -> Result<(), String> {
    let failed = |why: String| format!("{} cannot be written ({why}); the display is not remembered", file.display());
    let text = toml::to_string(&File { version: VERSION, stage: Some(stage.clone()) });
    let text = text.map_err(|error| failed(error.to_string()))?;
    let unfinished = file.with_extension("toml-unfinished");
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&unfinished, text))
        .and_then(|()| fs::rename(&unfinished, file))
        .map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn projector() -> Identity {
        Identity { name: "HDMI-1".into(), width: 1920, height: 1080 }
    }

    #[test]
    fn what_was_written_is_read_again_and_nothing_is_no_fault() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wavedream/displays.toml");
        assert_eq!(read(&file), Ok(None));
        write(&file, &projector()).unwrap();
        assert_eq!(read(&file), Ok(Some(projector())));
        let other = Identity { name: "a \"quoted\" name".into(), ..projector() };
        write(&file, &other).unwrap();
        assert_eq!(read(&file), Ok(Some(other)));
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_told_in_a_sentence_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("displays.toml");
        for text in ["version = 2", "version = 1\nstag = 3", "no toml", "version = 1\n[stage]\nname = \"a\""] {
            fs::write(&file, text).unwrap();
            let why = read(&file).unwrap_err();
            assert!(why.contains("displays.toml") && why.contains("--display") && !why.contains('\n'), "{why}");
        }
        assert!(read(folder.path()).is_err());
        assert!(write(&file.join("under/a/file.toml"), &projector()).is_err());
    }
}
