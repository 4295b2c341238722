//! The line from the source to the latent. `play` runs it on the signal thread by the real clock, `render` steps it.

use std::sync::Arc;

use super::{dials::SignalDials, encoder_line::EncoderLine};
use crate::{
    control::{SetError, Table},
    encoder::head::Steering,
    latent::{self, Latent, Mapping, Shape, UnknownMapping},
    signal::{self, HOPS_PER_SEC, Intake, Progress, Source, SourceError},
    state::{Pulse, PulseMeter},
};

/// Why the line does not start or goes no further.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Mapping(#[from] UnknownMapping),
    #[error(transparent)]
    Parameter(#[from] SetError),
}

/// A source, its conditioning and its mapping, as the dials say.
pub struct Line {
    intake: Intake,
    mapping: Box<dyn Mapping>,
    dials: SignalDials,
    encoder: EncoderLine,
    meter: PulseMeter,
    pulse: Pulse,
    synth_state: Arc<str>,
    /// Position of the beat, in beats.
    beat: f64,
}

impl Line {
    pub fn open(source: &str, table: &Table) -> Result<Self, LineError> {
        Self::with(signal::open(source)?, table)
    }

    /// As [`Self::open`], with a source that is open already.
    pub fn with(source: Box<dyn Source>, table: &Table) -> Result<Self, LineError> {
        let dials = SignalDials::new(table)?;
        let intake = Intake::from_source(source, dials.settings())?;
        let mapping = latent::mapping(&dials.mapping())?;
        // Nothing said: the source keeps the state that its address asks for.
        let synth_state = "auto".into();
        Ok(Self {
            intake,
            mapping,
            dials,
            encoder: EncoderLine::new(table)?,
            meter: PulseMeter::default(),
            pulse: Pulse::default(),
            synth_state,
            beat: 0.0,
        })
    }

    /// Reads the source up to this hop and makes its latent; None while there is nothing to make it of.
    pub fn latent_at_hop(&mut self, hop: u64, shape: Shape) -> Result<(Progress, Option<Latent>), LineError> {
        self.follow_dials()?;
        let progress = self.intake.advance_to(hop as f64 / HOPS_PER_SEC as f64)?;
        let samples = self.mapping.samples(shape);
        let Some(window) = self.intake.window_at_hop_or_mirrored(hop, samples) else {
            return Ok((progress, None));
        };
        self.pulse.clone_from(self.meter.follow(&window));
        self.encoder.follow(&self.intake, &window.stamp);
        let mut values = vec![0.0; shape.len()];
        self.mapping.map(&window, shape, &mut values);
        let latent = Latent { stamp: window.stamp, shape, values: values.into() };
        Ok((progress, Some(latent)))
    }

    /// Where the beat is at the next hop.
    pub fn set_beat(&mut self, position: f64) {
        self.beat = position;
    }

    fn follow_dials(&mut self) -> Result<(), LineError> {
        self.intake.apply(self.dials.settings());
        let state = self.dials.synth_state();
        if state != self.synth_state {
            self.intake.set("state", &state);
            self.synth_state = state;
        }
        let wanted = self.dials.mapping();
        if *wanted != *self.mapping.name() {
            self.mapping = latent::mapping(&wanted)?;
        }
        for (knob, value) in self.dials.mapping_knobs() {
            self.mapping.set(knob, value);
        }
        self.mapping.set("beat_phase", self.dials.beat_phase(self.beat));
        Ok(())
    }

    /// What has happened to the source since the last time and a person should read.
    pub fn messages(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.intake.message().or_else(|| self.encoder.message())).collect()
    }

    /// What the encoder asks of the picture, and how much it counts.
    pub fn steering(&self) -> Option<(&Steering, f32)> {
        self.encoder.steering()
    }

    /// From now on the encoder runs on a thread of its own.
    #[cfg(feature = "window")]
    pub fn encode_on_a_thread(&mut self) {
        self.encoder.use_threads();
    }

    /// Of the newest window.
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    pub fn intake(&self) -> &Intake {
        &self.intake
    }

    #[cfg(feature = "window")]
    pub fn mapping_name(&self) -> &'static str {
        self.mapping.name()
    }
}
