//! The desk: the table, the presets, and what moves by itself between two frames.
//!
//! Lives on the main thread. [`Desk::tick`] is called once a frame with the time that has passed, real on stage and
//! virtual in a film; it moves what glides, recalls the preset that `/preset` asks for (whoever set it), puts presets
//! away, plays cues, morphs, takes back, and reads saved files again. Beat and wall clock are given, never looked at.

use std::path::{Path, PathBuf};

use super::{Handle, History, Origin, PageError, Preset, Presets, SetError, Table, Value, morph::Morph, watch::Watch};
use cueing::{BEATS_PER_SEC, Cueing};
use shelf::Shelf;

pub(super) mod cueing;
mod morphing;
pub(super) mod shelf;

/// How long a file that was saved, or a reset, takes to show: at once, but without a jump.
const NUDGE_SECS: f64 = 0.3;

/// Table and presets as one instrument.
#[derive(Debug)]
pub struct Desk {
    table: Table,
    presets: Presets,
    watch: Option<Watch>,
    /// Id of the preset that plays.
    current: Option<String>,
    recalls: u64,
    wires: Wires,
    shelf: Shelf,
    morph: Morph,
    cueing: Cueing,
    history: History,
    history_seen: u64,
    undo: Handle,
    undo_seen: u64,
    redo: Handle,
    redo_seen: u64,
    /// Since the desk was made.
    now_secs: f64,
    /// Where the beat is; None lets it run by itself.
    beat: Option<f64>,
    beat_seen: f64,
}

/// The parameters that the desk itself listens to, and what it has seen of them.
#[derive(Debug)]
struct Wires {
    back: Handle,
    back_seen: u64,
    /// Id of the preset that played before this one.
    before: Option<String>,
    preset: Handle,
    preset_seen: u64,
    next: Handle,
    next_seen: u64,
    previous: Handle,
    previous_seen: u64,
    again: Handle,
    again_seen: u64,
    reset_effects: Handle,
    reset_effects_seen: u64,
}

/// Why a preset does not come.
#[derive(Debug, thiserror::Error)]
pub enum RecallError {
    #[error("there is no preset “{wanted}”; {}", match nearest {
        Some(name) => format!("did you mean {name}?"),
        None => format!("there are {known}"),
    })]
    Unknown { wanted: String, nearest: Option<String>, known: String },
    #[error(transparent)]
    File(#[from] PageError),
}

impl Desk {
    /// The table must hold the built-in parameters.
    pub fn new(table: Table, presets: Presets) -> Result<Self, SetError> {
        let wires = Wires {
            back: table.handle("/preset/back")?,
            back_seen: 0,
            before: None,
            preset: table.handle("/preset")?,
            preset_seen: 0,
            next: table.handle("/preset/next")?,
            next_seen: 0,
            previous: table.handle("/preset/previous")?,
            previous_seen: 0,
            again: table.handle("/preset/again")?,
            again_seen: 0,
            reset_effects: table.handle("/stage/reset_effects")?,
            reset_effects_seen: 0,
        };
        Ok(Self {
            shelf: Shelf::new(&table)?,
            morph: Morph::new(&table)?,
            cueing: Cueing::new(&table)?,
            history: History::default(),
            history_seen: 0,
            undo: table.handle("/undo")?,
            undo_seen: 0,
            redo: table.handle("/redo")?,
            redo_seen: 0,
            now_secs: 0.0,
            beat: None,
            beat_seen: 0.0,
            table,
            presets,
            watch: None,
            current: None,
            recalls: 0,
            wires,
        })
    }

    pub fn table(&self) -> &Table {
        &self.table
    }

    pub fn presets(&self) -> &Presets {
        &self.presets
    }

    /// The preset that plays.
    pub fn current(&self) -> Option<&Preset> {
        self.presets.by_id(self.current.as_deref()?)
    }

    /// Counts recalls: when it moves, the stage starts its transition.
    pub fn recalls(&self) -> u64 {
        self.recalls
    }

    /// What can be taken back and done again.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Where the beat is, in beats since some start; cues and morphs go by it. Without it there are two a second.
    pub fn set_beat(&mut self, beats: f64) {
        if self.beat.replace(beats).is_none() {
            self.beat_seen = beats;
        }
    }

    /// From now on, presets and cues that are saved while the program runs are read again.
    pub fn watch_files(&mut self) -> Result<(), notify::Error> {
        self.watch = Some(Watch::new(&self.presets.folders().read)?);
        self.watch_cues()
    }

    /// Brings a preset on, by number, name or file, over `secs` or the time that it gives itself.
    pub fn recall(&mut self, wanted: &str, secs: Option<f64>) -> Result<(), RecallError> {
        let id = match self.presets.find(wanted) {
            Some(preset) => preset.id.clone(),
            None if wanted.ends_with(".toml") => self.presets.open(&self.table, Path::new(wanted))?,
            None => return Err(self.unknown(wanted)),
        };
        self.play(id, secs);
        Ok(())
    }

    fn unknown(&self, wanted: &str) -> RecallError {
        RecallError::Unknown {
            wanted: wanted.into(),
            nearest: self.presets.nearest(wanted).map(str::to_owned),
            known: self.presets.iter().map(|preset| preset.id.as_str()).collect::<Vec<_>>().join(", "),
        }
    }

    /// The preset at a place in the list, counted from 1. False if there are not so many.
    pub fn recall_place(&mut self, place: usize) -> bool {
        let id = self.presets.iter().nth(place.saturating_sub(1)).map(|preset| preset.id.clone());
        id.inspect(|id| self.play(id.clone(), None)).is_some()
    }

    /// Moves everything by `dt_secs`. Returns what people should be told, a sentence each.
    pub fn tick(&mut self, dt_secs: f64) -> Vec<String> {
        let mut told = Vec::new();
        if self.watch.as_mut().is_some_and(Watch::settled) {
            told.extend(self.presets.reload(&self.table));
            self.morph.forget();
            if let Some(preset) = self.current() {
                preset.apply_but(&self.table, Some(NUDGE_SECS), &self.shelf.left_out);
            }
        }
        let beat = self.beat.unwrap_or(self.beat_seen + dt_secs * BEATS_PER_SEC);
        let dt_beats = beat - std::mem::replace(&mut self.beat_seen, beat);
        told.extend(self.follow_shelf());
        told.extend(self.follow_wires());
        told.extend(self.follow_cues(dt_secs, dt_beats));
        told.extend(self.follow_morph(dt_secs, dt_beats));
        self.table.tick(dt_secs);
        self.now_secs += dt_secs;
        self.follow_history();
        told
    }

    /// Saves what plays as a preset, `id` being its file's name without the ending, and says where.
    pub fn save(&mut self, id: &str, name: &str, about: &str) -> Result<PathBuf, PageError> {
        self.put(&Preset::from_table(&self.table, id, name, about))
    }

    fn follow_wires(&mut self) -> Option<String> {
        let wires = &mut self.wires;
        let steps = isize::from(wires.next.fired(&mut wires.next_seen))
            - isize::from(wires.previous.fired(&mut wires.previous_seen));
        let asked = wires.preset.moved(&mut wires.preset_seen) && wires.preset.origin() != Origin::Preset;
        let again = wires.again.fired(&mut wires.again_seen);
        let back = wires.back.fired(&mut wires.back_seen);
        let reset = wires.reset_effects.fired(&mut wires.reset_effects_seen);
        if reset {
            self.reset_effects();
        }
        if let Some(before) = self.wires.before.clone().filter(|_| back) {
            self.play(before, None);
        } else if (steps != 0 || again)
            && let Some(id) = self.presets.beside(self.current.as_deref(), steps).map(|preset| preset.id.clone())
        {
            self.play(id, None);
        } else if asked {
            let wanted = self.wires.preset.text();
            if let Err(error) = self.recall(&wanted, None) {
                self.name_current();
                return Some(error.to_string());
            }
        }
        None
    }

    fn play(&mut self, id: String, secs: Option<f64>) {
        if let Some(preset) = self.presets.by_id(&id) {
            preset.apply_but(&self.table, secs, &self.shelf.left_out);
            let before = self.current.replace(id.clone());
            if before.as_ref() != Some(&id) {
                self.wires.before.clone_from(&before);
            }
            self.history.recalled(before, Some(id));
            self.recalls += 1;
            self.name_current();
        }
    }

    fn name_current(&self) {
        let name = Value::text(self.current.as_deref().unwrap_or(""));
        self.set("/preset", name, 0.0, Origin::Preset);
    }

    fn reset_effects(&self) {
        let origin = self.wires.reset_effects.origin();
        for handle in self.table.all() {
            let param = handle.param();
            if param.path.starts_with("/effect/") {
                self.set(&param.path, param.default.clone(), NUDGE_SECS, origin);
            }
        }
    }

    /// For values that come from the table itself.
    fn set(&self, path: &str, value: Value, secs: f64, origin: Origin) {
        if let Err(error) = self.table.set_smooth(path, value, secs, origin) {
            tracing::warn!("{error}");
        }
    }
}

#[cfg(test)]
mod tests;
