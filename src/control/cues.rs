//! A list of cues: presets with their times, which plays by itself; and the hours of a day in which it is seen.
//!
//! ```toml
//! version = 1
//! name = "Evening"
//! loop = true                 # begins again after the last cue; length = "6:00" says after how long
//!
//! [[cue]]
//! name = "Doors"
//! preset = "ink"
//! at = "0:00"                 # from the start of the list: seconds, "1:30" or "1:02:03"
//!
//! [[cue]]
//! preset = "coral"
//! after = 45                  # since the cue before
//! secs = 8                    # how long it takes to arrive; the preset's own time if left out
//! transition = "ripple"       # the preset's own if left out
//! set = { "/effect/bloom/amount" = 0.8 }
//!
//! [[cue]]
//! preset = "surf"
//! beats = 32                  # since the cue before
//!
//! [[cue]]                     # without a time: waits for /cue/go
//! preset = "deep"
//!
//! [schedule]                  # by the clock on the wall; only while playing, not in films
//! zone = "Europe/Berlin"      # the machine's own if left out
//! fade = 10                   # how long light and dark take, in seconds
//!
//! [[schedule.open]]           # dark outside of these hours
//! days = "tue-sun"            # every day if left out
//! from = "10:00"
//! to = "18:00"
//!
//! [[schedule.dim]]
//! from = "16:30"
//! to = "18:00"
//! level = 0.6
//! ```

use std::path::Path;

use super::{
    Presets, Table, Value, nearest,
    page::{Page, PageError, text_of},
};

mod list;
mod player;
mod read;
mod schedule;

pub use list::{Cue, When};
pub use player::{Asked, Player};
pub use schedule::Schedule;

/// The newest version of the format that this program reads.
const VERSION: i64 = 1;

/// A list of cues as its file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct CueList {
    /// Where it was read from, for messages.
    pub file: String,
    pub name: String,
    pub cues: Vec<Cue>,
    pub looped: bool,
    /// After how long it begins again, where cues are counted from its start.
    pub length_secs: Option<f64>,
    pub schedule: Option<Schedule>,
}

impl CueList {
    /// Reads the text of a list. `file` is its name, for messages.
    pub fn parse(text: &str, file: &str) -> Result<Self, PageError> {
        read::Reader(Page::new(text, file)).list()
    }

    pub fn load(path: &Path) -> Result<Self, PageError> {
        Self::parse(&text_of(path)?, &path.display().to_string())
    }

    /// Compares it with the presets and parameters that there are. Returns a warning for each value that will be clamped.
    pub fn check(&self, table: &Table, presets: &Presets) -> Result<Vec<String>, PageError> {
        let mut warnings: Vec<String> = self.schedule.iter().filter_map(|schedule| schedule.note.clone()).collect();
        for cue in &self.cues {
            let at = |line: usize, why: String| PageError::Line { file: self.file.clone(), line, why };
            if let Some(wanted) = cue.preset.as_deref().filter(|wanted| presets.find(wanted).is_none()) {
                let hint = presets.nearest(wanted).map_or_else(String::new, |name| format!("; did you mean {name}?"));
                return Err(at(cue.line, format!("there is no preset “{wanted}”{hint}")));
            }
            if let Some(name) = &cue.transition {
                table
                    .check("/stage/transition", &Value::text(name))
                    .map_err(|error| at(cue.line, error.to_string()))?;
            }
            for (path, value, line) in &cue.set {
                let at = |why: String| at(*line, why);
                let param = table.handle(path).map_err(|error| at(error.to_string()))?.param();
                let own = path.starts_with("/cue/") || path.starts_with("/undo") || path.starts_with("/redo");
                if own || param.read_only {
                    return Err(at(format!("{path} cannot be set by a cue; take it out")));
                }
                let clamped = table.check(path, value).map_err(|error| at(error.to_string()))?;
                warnings.extend(clamped.map(|clamped| at(clamped.to_string()).to_string()));
            }
        }
        Ok(warnings)
    }

    /// The place, counted from 0, of a cue that is asked for by number (from 1) or name.
    pub fn find(&self, wanted: &str) -> Option<usize> {
        match wanted.trim().parse::<usize>() {
            Ok(number) => number.checked_sub(1).filter(|place| *place < self.cues.len()),
            Err(_) => self.cues.iter().position(|cue| cue.name.to_lowercase() == wanted.trim().to_lowercase()),
        }
    }

    pub fn nearest(&self, wanted: &str) -> Option<&str> {
        nearest(wanted, self.cues.iter().map(|cue| cue.name.as_str()))
    }

    /// "3 Coral"; empty for no cue.
    pub fn label(&self, place: Option<usize>) -> String {
        let cue = place.and_then(|place| Some((place + 1, &self.cues.get(place)?.name)));
        cue.map_or_else(String::new, |(number, name)| format!("{number} {name}"))
    }
}

#[cfg(test)]
mod tests;
