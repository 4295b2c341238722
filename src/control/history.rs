//! What was changed, to take it back: undo and redo of settings and recalls.
//!
//! Looks at the table once a tick and compares where each changed parameter is heading with where it was heading
//! before; so it does not matter who set it, and a glide counts once. A movement (a knob that turns, a word that is
//! typed) is one step however long it takes, also while another hand moves something else. What belongs to the moment
//! (blackout, brightness) is not taken back: undo must not light a stage that somebody made dark.

use std::collections::{HashMap, VecDeque};

use super::{Origin, Param, Recall, Table, Value};

/// Steps that can be taken back.
const MOST_STEPS: usize = 200;
/// Rest after which a movement of the same parameter is another step.
const REST_SECS: f64 = 1.0;
/// How long what is taken back takes to come: at once, but without a jump.
const NUDGE_SECS: f64 = 0.3;

pub fn params() -> Vec<Param> {
    vec![
        Param::trigger("/undo").about("Takes back the last change or recall, whoever made it."),
        Param::trigger("/redo").about("Does again what was taken back."),
        Param::text("/undo/next", "").read_only().about("What undo would take back."),
        Param::text("/redo/next", "").read_only().about("What redo would do again."),
    ]
}

/// One thing that was done.
#[derive(Debug, Clone, PartialEq)]
struct Step {
    moves: Vec<Move>,
    origin: Origin,
    last_secs: f64,
    recall: Option<Recalled>,
    /// Whole: what comes after is another step, however soon.
    sealed: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Move {
    path: String,
    before: Value,
    after: Value,
}

/// Ids of the presets that played before and after a recall.
#[derive(Debug, Clone, PartialEq)]
struct Recalled {
    before: Option<String>,
    after: Option<String>,
}

/// What a step back or forth means for the preset that plays: None leaves it, else its id.
pub type Playing = Option<Option<String>>;

/// The steps that were made. Belongs to the desk.
#[derive(Debug, Default)]
pub struct History {
    begun: bool,
    seen: u64,
    /// Where each parameter that ever moved is heading.
    known: HashMap<String, Value>,
    done: VecDeque<Step>,
    undone: Vec<Step>,
    recalled: Option<Recalled>,
    crossed: Option<Recalled>,
    /// Counts changes of what is next to be taken back or done again.
    changes: u64,
}

impl History {
    /// A recall has been made; the changes that the next [`Self::note`] finds are its doing.
    pub(super) fn recalled(&mut self, before: Option<String>, after: Option<String>) {
        let before = self.recalled.take().map_or(before, |earlier| earlier.before);
        self.recalled = Some(Recalled { before, after });
    }

    /// A morph has gone over to another preset; that belongs to its movement.
    pub(super) fn crossed(&mut self, before: Option<String>, after: Option<String>) {
        self.crossed = Some(Recalled { before, after });
    }

    /// Looks at what has been set since the last time. What was set before the first is how the show begins.
    pub(super) fn note(&mut self, table: &Table, now_secs: f64) {
        let changed = table.changes_since(&mut self.seen);
        let mut moves: Vec<(Origin, Move)> = Vec::new();
        for handle in changed {
            let param = handle.param();
            let after = table.target(&handle);
            let before = self.known.insert(param.path.clone(), after.clone()).unwrap_or_else(|| param.default.clone());
            let own = matches!(handle.origin(), Origin::Program | Origin::Undo | Origin::Start);
            if self.begun && !own && param.recall != Recall::Never && before != after {
                moves.push((handle.origin(), Move { path: param.path.clone(), before, after }));
            }
        }
        let recall = self.recalled.take().filter(|_| self.begun);
        self.begun = true;
        if let Some(recall) = recall {
            // The cue that recalls may set more.
            let of_recall = |origin| matches!(origin, Origin::Preset | Origin::Cue);
            let (its, others) = moves.into_iter().partition(|(origin, _)| of_recall(*origin));
            moves = others;
            let its: Vec<(Origin, Move)> = its;
            let moves = its.into_iter().map(|(_, one)| one).collect();
            self.push(Step { moves, origin: Origin::Preset, last_secs: now_secs, recall: Some(recall), sealed: true });
        }
        moves.retain(|(origin, one)| !self.continues(*origin, one, now_secs));
        while let Some((origin, _)) = moves.first() {
            let origin = *origin;
            let (its, others) = moves.into_iter().partition(|(other, _)| *other == origin);
            moves = others;
            let its: Vec<(Origin, Move)> = its;
            let its = its.into_iter().map(|(_, one)| one);
            match self.done.back_mut() {
                // More of a morph: some parameters begin to move later than others.
                Some(step) if origin == Origin::Preset && step.goes_on(origin, now_secs) => {
                    step.moves.extend(its);
                    self.changes += 1;
                }
                _ => {
                    let moves = its.collect();
                    self.push(Step { moves, origin, last_secs: now_secs, recall: None, sealed: false });
                }
            }
        }
        let crossed = self.crossed.take();
        if let (Some(crossed), Some(step)) = (crossed, self.done.back_mut().filter(|step| !step.sealed)) {
            let before = step.recall.take().map_or(crossed.before, |earlier| earlier.before);
            step.recall = Some(Recalled { before, after: crossed.after });
            self.changes += 1;
        }
    }

    /// True if this is more of a movement that is a step already.
    fn continues(&mut self, origin: Origin, more: &Move, now_secs: f64) -> bool {
        for step in self.done.iter_mut().rev().take_while(|step| now_secs - step.last_secs <= REST_SECS) {
            let Some(known) = step.moves.iter_mut().find(|known| known.path == more.path) else { continue };
            if step.origin != origin || step.sealed {
                return false;
            }
            known.after = more.after.clone();
            step.last_secs = now_secs;
            self.changes += u64::from(!self.undone.is_empty());
            self.undone.clear();
            return true;
        }
        false
    }

    fn push(&mut self, step: Step) {
        self.changes += 1;
        self.undone.clear();
        self.done.push_back(step);
        if self.done.len() > MOST_STEPS {
            self.done.pop_front();
        }
    }

    /// Takes the last step back. Says which preset plays now, if the step was a recall; None if there is no step.
    pub(super) fn undo(&mut self, table: &Table) -> Option<Playing> {
        let step = self.done.pop_back()?;
        for Move { path, before, .. } in &step.moves {
            set(table, path, before);
        }
        let playing = step.recall.as_ref().map(|recall| recall.before.clone());
        self.undone.push(step);
        self.changes += 1;
        Some(playing)
    }

    /// Does again what was taken back last.
    pub(super) fn redo(&mut self, table: &Table) -> Option<Playing> {
        let step = self.undone.pop()?;
        for Move { path, after, .. } in &step.moves {
            set(table, path, after);
        }
        let playing = step.recall.as_ref().map(|recall| recall.after.clone());
        self.done.push_back(step);
        self.changes += 1;
        Some(playing)
    }

    /// Moves when [`Self::next_undo`] or [`Self::next_redo`] may be another.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// What undo would take back; empty if there is nothing.
    pub fn next_undo(&self) -> String {
        self.done.back().map_or_else(String::new, Step::name)
    }

    /// What redo would do again; empty if there is nothing.
    pub fn next_redo(&self) -> String {
        self.undone.last().map_or_else(String::new, Step::name)
    }
}

impl Step {
    fn goes_on(&self, origin: Origin, now_secs: f64) -> bool {
        self.origin == origin && !self.sealed && now_secs - self.last_secs <= REST_SECS
    }

    fn name(&self) -> String {
        match (&self.recall, &self.moves[..]) {
            (Some(Recalled { after: Some(id), .. }), _) => format!("preset {id}"),
            (_, [one]) => one.path.clone(),
            (_, moves) => format!("{} parameters", moves.len()),
        }
    }
}

/// A parameter can have vanished with its shader.
fn set(table: &Table, path: &str, value: &Value) {
    if let Err(error) = table.set_smooth(path, value.clone(), NUDGE_SECS, Origin::Undo) {
        tracing::debug!("{error}");
    }
}

#[cfg(test)]
mod tests;
