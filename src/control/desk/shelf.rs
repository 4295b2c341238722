//! Presets put on the shelf and taken from it while the show runs: save, copy, rename, delete.
//!
//! Whoever reaches the parameters can do it. Nothing is lost: what is overwritten or deleted stays beside the presets
//! under a name that is no preset's.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Desk, PageError};
use crate::control::{Handle, Origin, Param, Preset, SetError, Table, Value, nearest};

pub fn params() -> Vec<Param> {
    vec![
        Param::trigger("/preset/save").about("Saves what plays in the place of the preset that plays."),
        Param::text("/preset/save_as", "")
            .never_recalled()
            .about("Saves what plays as a new preset of this name, behind all others."),
        Param::trigger("/preset/duplicate")
            .about("Makes a copy of the preset that plays, as it was saved, and plays it."),
        Param::text("/preset/rename", "").never_recalled().about("Gives the preset that plays another name."),
        Param::trigger("/preset/delete").about("Puts the preset that plays aside; its file stays under another name."),
        Param::text("/preset/leave_out", "")
            .never_recalled()
            .about("What recalls and morphs leave as it is: paths with spaces between, such as /signal /dream/rate."),
    ]
}

/// The parameters by which presets are put away.
#[derive(Debug)]
pub struct Shelf {
    save: Pulse,
    save_as: Handle,
    save_as_seen: u64,
    duplicate: Pulse,
    rename: Handle,
    rename_seen: u64,
    delete: Pulse,
    leave_out: Handle,
    leave_out_seen: u64,
    /// As `/preset/leave_out` says.
    pub left_out: Vec<String>,
}

#[derive(Debug)]
struct Pulse(Handle, u64);

impl Pulse {
    fn fired(&mut self) -> bool {
        self.0.fired(&mut self.1)
    }
}

impl Shelf {
    pub fn new(table: &Table) -> Result<Self, SetError> {
        let handle = |name: &str| table.handle(&format!("/preset/{name}"));
        let pulse = |name: &str| Ok(Pulse(handle(name)?, 0));
        Ok(Self {
            save: pulse("save")?,
            save_as: handle("save_as")?,
            save_as_seen: 0,
            duplicate: pulse("duplicate")?,
            rename: handle("rename")?,
            rename_seen: 0,
            delete: pulse("delete")?,
            leave_out: handle("leave_out")?,
            leave_out_seen: 0,
            left_out: Vec::new(),
        })
    }

    /// The name in a text that was set since the last look.
    fn named(handle: &Handle, seen: &mut u64) -> Option<String> {
        Some(handle.text().trim().to_owned()).filter(|name| handle.moved(seen) && !name.is_empty())
    }
}

impl Desk {
    /// Does what the shelf's parameters ask for, and says what came of it.
    pub(super) fn follow_shelf(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        if self.shelf.leave_out.moved(&mut self.shelf.leave_out_seen) {
            told.extend(self.read_left_out());
        }
        let mut done = Vec::new();
        if self.shelf.save.fired() {
            done.push(self.save_over());
        }
        if let Some(name) = Shelf::named(&self.shelf.save_as, &mut self.shelf.save_as_seen) {
            self.clear("/preset/save_as");
            let id = self.id_for(&name);
            done.push(self.save(&id, &name, "").map(|path| format!("“{name}” is saved: {}", path.display())));
        }
        if self.shelf.duplicate.fired() {
            done.push(self.duplicate());
        }
        if let Some(name) = Shelf::named(&self.shelf.rename, &mut self.shelf.rename_seen) {
            self.clear("/preset/rename");
            done.push(self.rename(&name));
        }
        if self.shelf.delete.fired() {
            done.push(self.delete());
        }
        told.extend(done.into_iter().map(|done| done.unwrap_or_else(|error| error.to_string())));
        told
    }

    /// Text that asks for a deed is taken away once it is done, so that a panel shows it empty.
    fn clear(&self, path: &str) {
        self.set(path, Value::text(""), 0.0, Origin::Program);
    }

    fn read_left_out(&mut self) -> Option<String> {
        let text = self.shelf.leave_out.text();
        self.shelf.left_out = text
            .split([' ', ',', ';'])
            .filter(|path| !path.is_empty())
            .map(|path| format!("/{}", path.trim_matches('/')))
            .collect();
        self.morph.forget();
        let known: Vec<_> = self.table.all().iter().map(Handle::path).collect();
        let under = |path: &str| known.iter().any(|known| crate::control::table::is_under(known, path));
        let unknown = self.shelf.left_out.iter().find(|path| !under(path))?;
        let hint = nearest(unknown, known.iter().map(String::as_str))
            .map_or_else(String::new, |name| format!("; did you mean {name}?"));
        Some(format!("/preset/leave_out: there is no parameter under {unknown}{hint}"))
    }

    fn playing(&self, deed: &str) -> Result<&Preset, PageError> {
        self.current().ok_or_else(|| PageError::File {
            file: "/preset".into(),
            why: format!("no preset plays that could be {deed}: save one with /preset/save_as"),
        })
    }

    fn save_over(&mut self) -> Result<String, PageError> {
        let fresh = self.playing("saved")?.saved_over(&self.table);
        let path = self.put(&fresh)?;
        Ok(format!("“{}” is saved: {}", fresh.name, path.display()))
    }

    fn duplicate(&mut self) -> Result<String, PageError> {
        let original = self.playing("copied")?.clone();
        let name = (2..).map(|n| format!("{} {n}", original.name)).find(|name| self.presets.find(name).is_none());
        let name = name.unwrap_or_default();
        let mut copy = original;
        copy.id = self.id_for(&name);
        copy.name = name;
        let path = self.put(&copy)?;
        Ok(format!("“{}” is a copy: {}", copy.name, path.display()))
    }

    fn rename(&mut self, name: &str) -> Result<String, PageError> {
        let mut renamed = self.playing("renamed")?.clone();
        name.clone_into(&mut renamed.name);
        let path = self.put(&renamed)?;
        Ok(format!("“{name}” is the name of {}", path.display()))
    }

    fn delete(&mut self) -> Result<String, PageError> {
        let preset = self.playing("deleted")?;
        let file = PathBuf::from(&preset.file);
        let (id, name) = (preset.id.clone(), preset.name.clone());
        if !file.is_file() {
            let why = "is part of the program and cannot be deleted; save over it to change it".into();
            return Err(PageError::File { file: format!("“{name}”"), why });
        }
        let aside = put_aside(&file, "deleted")?;
        self.presets.forget(&id);
        let mut told = self.presets.reload(&self.table);
        let before = self.current.take();
        // A shipped preset may have been under it.
        self.current = before.filter(|id| self.presets.by_id(id).is_some());
        self.name_current();
        self.morph.forget();
        told.insert(0, format!("“{name}” is put aside: {}", aside.display()));
        Ok(told.join("; "))
    }

    /// Writes a preset into the user's folder; what was there before stays beside it. It is the one that plays then.
    pub(super) fn put(&mut self, preset: &Preset) -> Result<PathBuf, PageError> {
        let Some(folder) = self.presets.folders().save.clone() else {
            let why = "cannot be saved, for there is no home folder: start with --presets DIR".into();
            return Err(PageError::File { file: format!("{}.toml", preset.id), why });
        };
        let path = folder.join(format!("{}.toml", preset.id));
        if path.is_file() {
            put_aside(&path, "before")?;
        }
        preset.save(&path)?;
        if self.presets.also_read(&folder)
            && self.watch.is_some()
            && let Err(error) = self.watch_files()
        {
            tracing::warn!("{}: presets saved there are not read again: {error}", folder.display());
        }
        self.current = Some(self.presets.open(&self.table, &path)?);
        self.morph.forget();
        self.name_current();
        Ok(path)
    }

    /// An id for a new preset: the number after the last, and the name as a file may be called.
    fn id_for(&self, name: &str) -> String {
        let number = |id: &str| id.split('-').next().and_then(|digits| digits.parse::<u32>().ok());
        let last = self.presets.iter().filter_map(|preset| number(&preset.id)).filter(|n| *n < 100).max().unwrap_or(0);
        let plain = |c: char| if c.is_alphanumeric() { c } else { '-' };
        let word: String = name.to_lowercase().chars().map(plain).take(40).collect();
        let word: Vec<_> = word.split('-').filter(|part| !part.is_empty()).collect();
        let word = if word.is_empty() { "preset".to_owned() } else { word.join("-") };
        // Two digits: ids are in the order of letters.
        format!("{:02}-{word}", (last + 1).min(99))
    }
}

/// Renames a file so that it is no preset any more: `ink.toml-deleted`, `ink.toml-deleted-2`. One `before` is enough.
fn put_aside(file: &Path, why: &str) -> Result<PathBuf, PageError> {
    let failed = |error: std::io::Error| PageError::File {
        file: file.display().to_string(),
        why: format!("cannot be put aside ({error})"),
    };
    let named = |n: u32| match n {
        1 => file.with_extension(format!("toml-{why}")),
        n => file.with_extension(format!("toml-{why}-{n}")),
    };
    if why == "before" {
        // The one that plays stays in its place until the new one takes it.
        return fs::copy(file, named(1)).map(|_| named(1)).map_err(failed);
    }
    let free = (1..10_000).map(named).find(|path| !path.exists()).unwrap_or_else(|| named(1));
    fs::rename(file, &free).map(|()| free).map_err(failed)
}
