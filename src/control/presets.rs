//! The presets that there are: the shipped ones, and folders whose files add to and override them.
//!
//! Shipped presets are part of the program, so that it plays wherever it is put. A file with a fault never takes a
//! preset away: the one read before stays, and the fault is told.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{PageError, Preset, Table, nearest, page::text_of};

macro_rules! shipped {
    ($($file:literal),* $(,)?) => {
        /// File name and text of each preset in the program.
        pub const SHIPPED: &[(&str, &str)] = &[$(($file, include_str!(concat!("../../presets/", $file)))),*];
    };
}

shipped!(
    "01-ink.toml",
    "02-aurora.toml",
    "03-coral.toml",
    "04-neurons.toml",
    "05-mountains.toml",
    "06-glass.toml",
    "07-surf.toml",
    "08-flowers.toml",
    "09-mandala.toml",
    "10-strobe.toml",
    "11-paper.toml",
    "12-tunnel.toml",
    "13-poster.toml",
    "14-deep.toml",
    "15-rat-brain.toml",
    "16-dreamer.toml",
    "20-dream.toml",
);

/// Where presets are besides the program itself.
#[derive(Debug, Clone, Default)]
pub struct Folders {
    /// A later one overrides an earlier one, file by file.
    pub read: Vec<PathBuf>,
    /// Where presets are saved; made when the first is.
    pub save: Option<PathBuf>,
}

impl Folders {
    /// Reads `./presets`, the user's folder, and the chosen one, as far as they exist; saves in the last of these.
    pub fn standard(chosen: Option<&Path>) -> Self {
        let config = std::env::var_os("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::home_dir().map(|home| home.join(".config")));
        let user = config.map(|config| config.join("wavedream/presets"));
        let chosen = chosen.map(Path::to_owned);
        Self {
            save: chosen.clone().or_else(|| user.clone()),
            read: [Some("presets".into()), user, chosen].into_iter().flatten().filter(|f| f.is_dir()).collect(),
        }
    }
}

/// All presets, in the order of their ids.
#[derive(Debug)]
pub struct Presets {
    presets: BTreeMap<String, Preset>,
    folders: Folders,
}

impl Presets {
    /// Reads all presets and checks them against the table. What was wrong comes back as sentences.
    pub fn load(table: &Table, folders: Folders) -> (Self, Vec<String>) {
        let mut presets = Self { presets: BTreeMap::new(), folders };
        let problems = presets.reload(table);
        (presets, problems)
    }

    /// Reads all files again. A preset whose file now has a fault stays as it was.
    pub fn reload(&mut self, table: &Table) -> Vec<String> {
        let mut problems = Vec::new();
        let mut found = BTreeMap::new();
        for (file, text) in SHIPPED {
            keep_checked(&mut found, Preset::parse(text, file), table, &mut problems);
        }
        for file in self.folders.read.iter().flat_map(|folder| toml_files(folder)) {
            let before = self.presets.values().find(|preset| Path::new(&preset.file) == file).cloned();
            if !keep_checked(&mut found, read(&file), table, &mut problems)
                && let Some(before) = before
            {
                found.insert(before.id.clone(), before);
            }
        }
        self.presets = found;
        problems
    }

    /// Reads one more file, from anywhere, and returns its id.
    pub fn open(&mut self, table: &Table, file: &Path) -> Result<String, PageError> {
        let preset = read(file)?;
        for warning in preset.check(table)? {
            tracing::warn!("{warning}");
        }
        let id = preset.id.clone();
        self.presets.insert(id.clone(), preset);
        Ok(id)
    }

    /// A preset is gone: the next reading does not keep it.
    pub(super) fn forget(&mut self, id: &str) {
        self.presets.remove(id);
    }

    /// From now on a folder is read too; true if it was not before.
    pub(super) fn also_read(&mut self, folder: &Path) -> bool {
        let new = !self.folders.read.iter().any(|read| read == folder);
        if new {
            self.folders.read.push(folder.to_owned());
        }
        new
    }

    pub fn folders(&self) -> &Folders {
        &self.folders
    }

    pub fn iter(&self) -> impl Iterator<Item = &Preset> {
        self.presets.values()
    }

    pub fn len(&self) -> usize {
        self.presets.len()
    }

    pub fn is_empty(&self) -> bool {
        self.presets.is_empty()
    }

    pub fn by_id(&self, id: &str) -> Option<&Preset> {
        self.presets.get(id)
    }

    /// By place in the list (`3`), id (`03-coral`), the word in the id (`coral`) or name (`Coral garden`).
    pub fn find(&self, wanted: &str) -> Option<&Preset> {
        if let Ok(number) = wanted.parse::<usize>() {
            return self.iter().nth(number.checked_sub(1)?);
        }
        let wanted = wanted.to_lowercase();
        self.iter().find(|preset| names(preset).any(|name| name.to_lowercase() == wanted))
    }

    /// "Did you mean …" for a name that [`Presets::find`] does not know.
    pub fn nearest(&self, wanted: &str) -> Option<&str> {
        nearest(wanted, self.iter().flat_map(names))
    }

    /// The preset `steps` after (before) the one with this id, around the end.
    pub fn beside(&self, id: Option<&str>, steps: isize) -> Option<&Preset> {
        let count = isize::try_from(self.len()).ok().filter(|count| *count > 0)?;
        let at = match id.and_then(|id| self.presets.keys().position(|known| known == id)) {
            Some(at) => at as isize + steps,
            // Nothing plays yet: forwards starts with the first, backwards with the last.
            None => steps.min(0) + isize::from(steps > 0) * (steps - 1),
        };
        self.iter().nth(at.rem_euclid(count) as usize)
    }
}

fn names(preset: &Preset) -> impl Iterator<Item = &str> {
    let word = preset.id.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches(['-', '_', ' ']);
    [word, &preset.id, &preset.name].into_iter()
}

fn keep_checked(
    found: &mut BTreeMap<String, Preset>,
    preset: Result<Preset, PageError>,
    table: &Table,
    problems: &mut Vec<String>,
) -> bool {
    match preset.and_then(|preset| Ok((preset.check(table)?, preset))) {
        Ok((warnings, preset)) => {
            problems.extend(warnings);
            found.insert(preset.id.clone(), preset);
            true
        }
        Err(error) => {
            problems.push(error.to_string());
            false
        }
    }
}

fn read(file: &Path) -> Result<Preset, PageError> {
    Preset::parse(&text_of(file)?, &file.display().to_string())
}

/// The TOML files in a folder, by name; nothing where there is no folder any more.
pub(in crate::control) fn toml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    files
}
