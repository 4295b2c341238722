//! What moves by itself: the beat, the LFOs and the envelope followers.
//!
//! Lives on the main thread. [`Motion::tick`] is called once a frame with the time that has passed, real on stage and
//! virtual in a film, and looks at no clock itself: a film is the same each time. LFOs and followers move what is played
//! and not what was set (the table's modulation offset): the base value stays, and so do presets, lights and faders.

mod beat;
mod envelope;
mod lfo;
mod params;
mod reader;
mod tap;
mod target;

pub use beat::Beat;
pub use params::{params, sources};
pub use reader::BeatReader;

use std::sync::Arc;

use envelope::Envelope;
use lfo::Lfo;
use params::BeatDials;
use target::Targets;

use super::{SetError, Table, midi::Clock};

/// How many LFOs and how many envelope followers there are.
pub const LFOS: usize = 4;
pub const ENVELOPES: usize = 4;

/// See the module.
pub struct Motion {
    table: Table,
    now_secs: f64,
    beat: Beat,
    dials: BeatDials,
    lfos: Vec<Lfo>,
    envelopes: Vec<Envelope>,
    targets: Targets,
    reader: BeatReader,
}

impl Motion {
    /// The table must hold [`params`] and [`sources`].
    pub fn new(table: &Table) -> Result<Self, SetError> {
        let dials = BeatDials::new(table)?;
        Ok(Self {
            beat: Beat::new(dials.bpm()),
            lfos: (1..=LFOS).map(|number| Lfo::new(table, number)).collect::<Result<_, _>>()?,
            envelopes: (1..=ENVELOPES).map(|number| Envelope::new(table, number)).collect::<Result<_, _>>()?,
            targets: Targets::default(),
            reader: BeatReader::default(),
            table: table.clone(),
            now_secs: 0.0,
            dials,
        })
    }

    /// Something else moves a parameter too, by an offset on its normal scale, in the next tick only.
    pub fn aim(&mut self, path: &Arc<str>, offset: f64) {
        self.targets.add(path, offset);
    }

    /// Moves on by `dt_secs`. `features` are what the signal says of itself, by name, 0..1. Returns what people should
    /// be told, a sentence each.
    pub fn tick(&mut self, dt_secs: f64, features: &[(&str, f32)]) -> Vec<String> {
        let dt_secs = if dt_secs.is_finite() { dt_secs.max(0.0) } else { 0.0 };
        self.now_secs += dt_secs;
        self.dials.follow(&self.table, &mut self.beat, self.now_secs);
        self.beat.advance_to(self.now_secs);
        self.dials.show(&self.table, &self.beat, self.now_secs);
        self.reader.publish(&self.beat);
        for lfo in &mut self.lfos {
            let value = lfo.tick(dt_secs, self.beat.position());
            self.targets.add(&lfo.target(), value);
        }
        for envelope in &mut self.envelopes {
            let value = envelope.tick(dt_secs, features);
            self.targets.add(&envelope.target(), value);
        }
        self.targets.apply(&self.table)
    }

    /// A message of a MIDI clock, at its time on the clock of [`Motion::now_secs`].
    pub fn clock(&mut self, clock: Clock, at_secs: f64) {
        if self.dials.follows_clock() {
            self.beat.clock(clock, at_secs);
        }
    }

    /// The time that has passed in ticks.
    pub fn now_secs(&self) -> f64 {
        self.now_secs
    }

    /// Every parameter that is modulated, with what modulates it.
    pub fn movers(&self) -> impl Iterator<Item = (String, String)> {
        let lfos = self.lfos.iter().enumerate().map(|(at, lfo)| (lfo.target(), format!("LFO {}", at + 1)));
        let followers = self.envelopes.iter().enumerate();
        let followers = followers.map(|(at, follower)| (follower.target(), format!("follower {}", at + 1)));
        lfos.chain(followers).filter(|(path, _)| !path.is_empty()).map(|(path, name)| (path.to_string(), name))
    }

    /// The beat: read its [`Beat::position`].
    pub fn beat(&self) -> &Beat {
        &self.beat
    }

    /// The beat for other threads.
    pub fn reader(&self) -> BeatReader {
        self.reader.clone()
    }
}

#[cfg(test)]
mod tests;
