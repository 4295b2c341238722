//! A preset: a look with a name, as a TOML file that a person can write.
//!
//! ```toml
//! version = 1
//! name = "Ink"
//! about = "Ink that drifts in water."
//! source = "synth://rat"      # what to listen to when the program starts with this preset; may be left out
//! keep = ["/signal"]          # what this preset leaves as it is; may be left out
//!
//! [set]
//! "/dream/genre/ink" = 1
//! "/stage/transition" = "dissolve"
//! ```
//!
//! The paths are those of the table, spelt as everywhere else. What belongs to the look and is not named goes back to
//! its default.

use std::{fmt::Write as _, fs, io::Write as _, path::Path};

use super::{
    Handle, Origin, Recall, SetError, Table, Value,
    page::{Page, PageError},
    table::is_under,
};

mod read;

/// The newest version of the format that this program reads.
const VERSION: i64 = 1;
/// How long a preset takes to arrive; it moves first, so that it holds for its own arrival.
const ARRIVAL: &str = "/stage/transition_secs";
/// What the model decides on the range of: a preset that brings its model is not measured by the one before.
const MODEL: &str = "/dream/model";
const STEPS: &str = "/dream/steps";

/// A preset as its file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Preset {
    /// The file's name without its ending, `01-ink`: its place in the order, and how it is overridden.
    pub id: String,
    /// Where it was read from, for messages.
    pub file: String,
    pub name: String,
    pub about: String,
    pub source: Option<String>,
    pub keep: Vec<String>,
    settings: Vec<Setting>,
}

#[derive(Debug, Clone, PartialEq)]
struct Setting {
    path: String,
    value: Value,
    line: usize,
}

impl Preset {
    /// Reads the text of a preset. `file` is its name, for the id and for messages.
    pub fn parse(text: &str, file: &str) -> Result<Self, PageError> {
        read::Reader(Page::new(text, file)).preset()
    }

    /// What the table now plays, as a preset: everything that is part of presets and not at its default.
    pub fn from_table(table: &Table, id: &str, name: &str, about: &str) -> Self {
        let settings = table
            .all()
            .iter()
            .filter_map(|handle| {
                let param = handle.param();
                let value = table.target(handle);
                (param.recall != Recall::Never && value != param.default).then(|| Setting {
                    path: param.path.clone(),
                    value,
                    line: 0,
                })
            })
            .collect();
        Self {
            id: id.into(),
            file: format!("{id}.toml"),
            name: name.into(),
            about: about.into(),
            source: None,
            keep: Vec::new(),
            settings,
        }
    }

    /// The value that this preset gives a parameter, if it names it.
    pub fn value(&self, path: &str) -> Option<&Value> {
        self.settings.iter().find(|setting| setting.path == path).map(|setting| &setting.value)
    }

    /// The model that it brings.
    pub fn model(&self) -> Option<&str> {
        match self.value(MODEL) {
            Some(Value::Text(name)) => Some(name),
            _ => None,
        }
    }

    /// The steps that it gives the model that it brings.
    pub fn steps_of_its_model(&self) -> Option<&Value> {
        self.value(MODEL).and(self.value(STEPS))
    }

    /// Compares it with the parameters that there are. Returns a warning for each value that will be clamped.
    pub fn check(&self, table: &Table) -> Result<Vec<String>, PageError> {
        let mut warnings = Vec::new();
        for Setting { path, value, line } in &self.settings {
            let at = |why: String| PageError::Line { file: self.file.clone(), line: *line, why };
            let handle = table.handle(path).map_err(|error| at(unknown_or(error)))?;
            if handle.param().recall == Recall::Never {
                return Err(at(format!("{path} is not part of presets; take the line out")));
            }
            let clamped = table.check(path, value).map_err(|error| at(error.to_string()))?;
            let clamped = clamped.filter(|_| path != STEPS || self.value(MODEL).is_none());
            warnings.extend(clamped.map(|clamped| at(clamped.to_string()).to_string()));
        }
        Ok(warnings)
    }

    /// Brings this preset on: numbers glide for `secs` (or for the time that it gives itself), all else switches.
    pub fn apply(&self, table: &Table, secs: Option<f64>) {
        self.apply_but(table, secs, &[]);
    }

    /// As [`Self::apply`], and leaves what lies under the paths `left_out` as it is.
    pub fn apply_but(&self, table: &Table, secs: Option<f64>, left_out: &[String]) {
        let mut moves = self.moves(table, left_out);
        if let Some(at) = moves.iter().position(|(path, _)| path == ARRIVAL) {
            let (path, value) = moves.swap_remove(at);
            self.set(table, &path, value, 0.0);
        }
        let own_secs = || table.handle(ARRIVAL).map_or(0.0, |handle| handle.number());
        let secs = secs.unwrap_or_else(own_secs);
        for (path, value) in moves {
            self.set(table, &path, value, secs);
        }
    }

    /// What a recall does: paths and the values that they get.
    pub fn moves(&self, table: &Table, left_out: &[String]) -> Vec<(String, Value)> {
        let stays = |path: &str| self.keep.iter().chain(left_out).any(|kept| is_under(path, kept));
        let handles = table.all();
        let params = handles.iter().map(Handle::param).filter(|param| !stays(&param.path));
        params
            .filter_map(|param| {
                let value = match (param.recall, self.value(&param.path)) {
                    (Recall::Look, None) => param.default.clone(),
                    (Recall::Look | Recall::Setup, Some(value)) => value.clone(),
                    (Recall::Setup, None) | (Recall::Never, _) => return None,
                };
                Some((param.path.clone(), value))
            })
            .collect()
    }

    /// What the table now plays, saved in the place of this preset: name, remark, source and what it keeps stay.
    pub fn saved_over(&self, table: &Table) -> Self {
        let mut fresh = Self::from_table(table, &self.id, &self.name, &self.about);
        fresh.settings.retain(|setting| !self.keep.iter().any(|kept| is_under(&setting.path, kept)));
        Self { file: self.file.clone(), source: self.source.clone(), keep: self.keep.clone(), ..fresh }
    }

    /// A parameter can vanish after [`Preset::check`], with its shader: the rest of the look still comes.
    fn set(&self, table: &Table, path: &str, value: Value, secs: f64) {
        if let Err(error) = table.set_smooth(path, value, secs, Origin::Preset) {
            tracing::warn!("{}: {error}", self.file);
        }
    }

    /// The file's text.
    pub fn to_toml(&self) -> String {
        let mut out = format!("version = {VERSION}\nname = {}\nabout = {}\n", quoted(&self.name), quoted(&self.about));
        if let Some(source) = &self.source {
            let _ = writeln!(out, "source = {}", quoted(source));
        }
        if !self.keep.is_empty() {
            let kept: Vec<_> = self.keep.iter().map(|path| quoted(path)).collect();
            let _ = writeln!(out, "keep = [{}]", kept.join(", "));
        }
        out.push_str("\n[set]\n");
        for Setting { path, value, .. } in &self.settings {
            let _ = writeln!(out, "{} = {}", quoted(path), toml_of(value));
        }
        out
    }

    /// Writes the file whole or not at all: a full disk or a pulled plug leaves the old one.
    pub fn save(&self, path: &Path) -> Result<(), PageError> {
        let failed = |error: std::io::Error| PageError::File {
            file: path.display().to_string(),
            why: format!("cannot be written ({error})"),
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        // Not .toml, so that a folder that is watched does not take it for a preset.
        let unfinished = path.with_extension("toml-unfinished");
        let written = fs::File::create(&unfinished).and_then(|mut file| {
            file.write_all(self.to_toml().as_bytes())?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&unfinished, path)).map_err(|error| {
            // The error is about the preset; a leftover beside it is harmless.
            let _ = fs::remove_file(&unfinished);
            failed(error)
        })
    }
}

fn unknown_or(error: SetError) -> String {
    match error {
        SetError::Unknown { path, nearest: None } if !path.starts_with('/') => {
            format!("there is no parameter “{path}”: write paths as \"/dream/vivid\"")
        }
        error => error.to_string(),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}

fn toml_of(value: &Value) -> String {
    match value {
        Value::Float(number) => super::shown(*number),
        Value::Int(number) => number.to_string(),
        Value::Bool(on) => on.to_string(),
        Value::Text(text) => quoted(text),
        Value::Pulse => "true".into(),
    }
}

#[cfg(test)]
mod tests;
