//! Where a list of cues stands, and which cue is due.
//!
//! Knows no clock: time and beats are given. A cue that comes by time counts from when it was due and not from the tick
//! that noticed, so nothing drifts; one that comes by hand counts from then, and takes the list's clock to its own time,
//! so that the cues after it keep their distances. While a list waits for a "go", its clock stands still.

use super::{CueList, When};

/// What a hand asked for since the last tick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Asked {
    Nothing,
    /// The next cue, now.
    Go,
    /// The cue before.
    Back,
    /// The cue at this place, counted from 0.
    Goto(usize),
}

/// Where the list stands.
#[derive(Debug, Clone, Default)]
pub struct Player {
    /// The cue that came last.
    now: Option<usize>,
    /// Since the start of this round.
    round_secs: f64,
    /// Since the cue that came last.
    since_secs: f64,
    since_beats: f64,
}

impl Player {
    pub fn now(&self) -> Option<usize> {
        self.now
    }

    /// The cue that comes next; None behind the last.
    pub fn next(&self, list: &CueList) -> Option<usize> {
        match self.now {
            None => (!list.cues.is_empty()).then_some(0),
            Some(now) if now + 1 < list.cues.len() => Some(now + 1),
            Some(_) => (list.looped && !list.cues.is_empty()).then_some(0),
        }
    }

    /// Seconds until the next cue comes by itself; None if it waits for a beat or a hand, or there is none.
    pub fn left_secs(&self, list: &CueList) -> Option<f64> {
        match list.cues[self.next(list)?].when {
            When::At(_) | When::After(_) => self.overdue_secs(list).map(|overdue| (-overdue).max(0.0)),
            When::Beats(_) | When::Go => None,
        }
    }

    /// The list was read again: the player stays at the cue of the same name, or at the same place.
    pub fn follow(&mut self, before: &CueList, after: &CueList) {
        let Some(now) = self.now else { return };
        let same = before.cues.get(now).and_then(|cue| after.cues.iter().position(|other| other.name == cue.name));
        self.now = same.or((!after.cues.is_empty()).then(|| now.min(after.cues.len().saturating_sub(1))));
    }

    /// Moves on and returns the places of the cues that come in this tick, in order. On hold only a hand moves it.
    pub fn tick(&mut self, list: &CueList, dt_secs: f64, dt_beats: f64, held: bool, asked: Asked) -> Vec<usize> {
        let mut came = Vec::new();
        let by_hand = match asked {
            Asked::Nothing => None,
            Asked::Go => self.next(list),
            Asked::Back => self.now.map(|now| now.saturating_sub(1)),
            Asked::Goto(place) => Some(place).filter(|place| *place < list.cues.len()),
        };
        if let Some(place) = by_hand {
            self.begin_by_hand(list, place, asked == Asked::Go);
            came.push(place);
        }
        if held {
            return came;
        }
        let waits = self.next(list).is_some_and(|next| list.cues[next].when == When::Go);
        self.since_secs += dt_secs;
        self.since_beats += dt_beats.max(0.0);
        if !waits {
            self.round_secs += dt_secs;
        }
        // At most one round a tick, whatever the times say.
        for _ in 0..list.cues.len() {
            let Some(next) = self.next(list) else { break };
            let Some(over_secs) = self.overdue_secs(list).filter(|over| *over >= -1e-9) else { break };
            let over_secs = over_secs.max(0.0);
            if next == 0 && self.now.is_some() {
                self.round_secs = match list.cues[0].when {
                    When::At(at) => at + over_secs,
                    _ => over_secs,
                };
            }
            let beats = match list.cues[next].when {
                When::Beats(beats) => self.since_beats - beats,
                _ => 0.0,
            };
            self.now = Some(next);
            self.since_secs = over_secs;
            self.since_beats = beats.max(0.0);
            came.push(next);
        }
        came
    }

    /// How long ago the next cue was due: below 0 if it still is to come; None if it does not come by itself.
    fn overdue_secs(&self, list: &CueList) -> Option<f64> {
        let next = self.next(list)?;
        let again = next == 0 && self.now.is_some();
        match (list.cues[next].when, list.length_secs) {
            // The next round begins when this one is over.
            (When::At(at), Some(length)) if again => Some(self.round_secs - length - at),
            (When::At(at), None) if again => Some(self.since_secs - at),
            (When::At(at), _) => Some(self.round_secs - at),
            (When::After(after), _) => Some(self.since_secs - after),
            // What beats leave over counts in beats.
            (When::Beats(beats), _) => Some(if self.since_beats + 1e-9 >= beats { 0.0 } else { -1.0 }),
            (When::Go, _) => None,
        }
    }

    fn begin_by_hand(&mut self, list: &CueList, place: usize, goes: bool) {
        self.round_secs = match (list.cues[place].when, goes) {
            (When::At(at), _) => at,
            _ if place == 0 => 0.0,
            (When::After(after), true) => self.round_secs + (after - self.since_secs).max(0.0),
            (_, true) => self.round_secs,
            (_, false) => planned_secs(list, place),
        };
        self.now = Some(place);
        self.since_secs = 0.0;
        self.since_beats = 0.0;
    }
}

/// When a cue would come if nobody touched the list; beats and hands take no time in it.
fn planned_secs(list: &CueList, place: usize) -> f64 {
    list.cues.iter().take(place + 1).fold(0.0, |secs, cue| match cue.when {
        When::At(at) => at,
        When::After(after) => secs + after,
        When::Beats(_) | When::Go => secs,
    })
}
