//! A source and everything that is known of its signal: its pulse, its state, the mood that steers.
//!
//! Two of them can play: the one whose signal paints is part of the line, the other only moves effects. Lives on the
//! thread that reads its source; looks at no clock.

use std::sync::Arc;

use super::spares::Spares;
use crate::{
    control::{Handle, SetError, Table},
    signal::{HOPS_PER_SEC, Intake, Progress, Settings, Source, SourceError, Window},
    state::{Burst, Calibration, Kind, Mood, PULSE_POINTS, Pulse, PulseMeter, Reading, StateMeter, StateSettings},
};

/// See the module.
pub struct Ear {
    intake: Intake,
    kind: Handle,
    cross_secs: Handle,
    pulse_meter: PulseMeter,
    pulse: Arc<Pulse>,
    pulses: Spares<Pulse>,
    state: StateMeter,
    mood: Mood,
    calibration: Option<Calibration>,
}

impl Ear {
    /// # Errors
    /// A source without channels or rate, or a table without `/state` and `/steer`.
    pub fn new(source: Box<dyn Source>, settings: Settings, table: &Table) -> Result<Self, super::line::LineError> {
        let intake = Intake::from_source(source, settings)?;
        let (kind, cross_secs) = dials(table)?;
        let state = StateMeter::new(intake.description(), state_settings(&kind));
        Ok(Self {
            intake,
            kind,
            cross_secs,
            pulse_meter: PulseMeter::default(),
            pulse: Arc::default(),
            pulses: Spares::default(),
            state,
            mood: Mood::default(),
            calibration: None,
        })
    }

    /// Starts with what was learned of this source another time.
    pub fn start_with(&mut self, calibration: Option<Calibration>) {
        if let Some(calibration) = &calibration {
            self.state.start_with(calibration);
        }
        self.calibration = calibration;
    }

    /// What has been learned of this source, once it is worth keeping.
    #[cfg(feature = "window")]
    pub fn calibration(&self) -> Option<Calibration> {
        self.state.calibration()
    }

    /// Reads the source up to a hop.
    ///
    /// # Errors
    /// Whatever the source reports.
    pub fn advance_to_hop(&mut self, hop: u64) -> Result<Progress, SourceError> {
        self.intake.advance_to(hop as f64 / HOPS_PER_SEC as f64)
    }

    /// The window of a hop, heard; None while there is none.
    pub fn window_at_hop(&mut self, hop: u64, samples: usize) -> Option<Window> {
        let window = self.intake.window_at_hop_or_mirrored(hop, samples)?;
        let mut pulse = self.pulses.take(|_| true, Arc::default);
        if let Some(own) = Arc::get_mut(&mut pulse) {
            own.clone_from(self.pulse_meter.follow(&window));
        }
        self.pulses.keep(&self.pulse);
        self.pulse = pulse;
        self.hear(&window);
        Some(window)
    }

    /// As [`Self::window_at_hop`], for an ear that does not paint; false while there is nothing.
    pub fn listen(&mut self, hop: u64) -> bool {
        self.window_at_hop(hop, PULSE_POINTS).is_some()
    }

    fn hear(&mut self, window: &Window) {
        let settings = state_settings(&self.kind);
        if self.state.fits(self.intake.description()) {
            self.state.apply(settings);
        } else {
            self.state = StateMeter::new(self.intake.description(), settings);
            if let Some(calibration) = &self.calibration {
                self.state.start_with(calibration);
            }
        }
        let secs = window.stamp.signal_secs;
        self.state.set_dead(self.intake.dead());
        let state = &mut self.state;
        self.intake.hear(|frame, at_secs| state.push(frame, at_secs));
        let reading = state.hop(secs, self.intake.tones());
        self.mood.hop(reading, self.cross_secs.f32());
    }

    /// Of the newest window.
    pub fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    /// Of the newest window.
    pub fn reading(&self) -> &Reading {
        self.state.reading()
    }

    /// What was found in the newest hop.
    pub fn bursts(&self) -> &[Burst] {
        self.state.bursts()
    }

    /// The state as it steers.
    pub fn mood(&self) -> &Mood {
        &self.mood
    }

    pub fn intake(&self) -> &Intake {
        &self.intake
    }

    pub fn intake_mut(&mut self) -> &mut Intake {
        &mut self.intake
    }

    /// What has happened to the source since the last time and a person should read.
    pub fn messages(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.intake.message()).collect()
    }
}

fn dials(table: &Table) -> Result<(Handle, Handle), SetError> {
    Ok((table.handle("/state/kind")?, table.handle("/steer/secs")?))
}

fn state_settings(kind: &Handle) -> StateSettings {
    StateSettings { kind: Kind::from_name(&kind.text()) }
}
