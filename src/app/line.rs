//! The line from the source to the latent. `play` runs it on the signal thread by the real clock, `render` steps it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{dials::SignalDials, ear::Ear, encoder_line::EncoderLine, spares::Spares};
use crate::{
    control::{SetError, Table},
    encoder::head::Steering,
    latent::{self, Latent, Mapping, Shape, UnknownMapping},
    signal::{self, Intake, Progress, Source, SourceError},
    state::Pulse,
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
    ear: Ear,
    mapping: Box<dyn Mapping>,
    dials: SignalDials,
    encoder: EncoderLine,
    synth_state: Arc<str>,
    latents: Spares<[f32]>,
    /// Position of the beat, in beats.
    beat: f64,
    took: Took,
}

/// How long the last latent took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Took {
    /// Source, filters and the window out of them.
    pub window: Duration,
    /// From the window to the latent.
    pub mapping: Duration,
}

impl Line {
    pub fn open(source: &str, table: &Table) -> Result<Self, LineError> {
        Self::with(signal::open(source)?, table)
    }

    /// As [`Self::open`], with a source that is open already.
    pub fn with(source: Box<dyn Source>, table: &Table) -> Result<Self, LineError> {
        let dials = SignalDials::new(table)?;
        let ear = Ear::new(source, dials.settings(), table)?;
        let mapping = latent::mapping(&dials.mapping())?;
        // Nothing said: the source keeps the state that its address asks for.
        let synth_state = "auto".into();
        let encoder = EncoderLine::new(table)?;
        Ok(Self {
            ear,
            mapping,
            dials,
            encoder,
            synth_state,
            latents: Spares::default(),
            beat: 0.0,
            took: Took::default(),
        })
    }

    /// Reads the source up to this hop and makes its latent; None while there is nothing to make it of.
    pub fn latent_at_hop(&mut self, hop: u64, shape: Shape) -> Result<(Progress, Option<Latent>), LineError> {
        let begun = Instant::now();
        self.follow_dials()?;
        let progress = self.ear.advance_to_hop(hop)?;
        let samples = self.mapping.samples(shape);
        let Some(window) = self.ear.window_at_hop(hop, samples) else {
            return Ok((progress, None));
        };
        self.encoder.follow(self.ear.intake(), &window.stamp);
        let cut = Instant::now();
        let fits = |values: &[f32]| values.len() == shape.len();
        let mut values = self.latents.take(fits, || vec![0.0; shape.len()].into());
        if let Some(own) = Arc::get_mut(&mut values) {
            own.fill(0.0);
            self.mapping.map(&window, shape, own);
        }
        self.latents.keep(&values);
        self.took = Took { window: cut - begun, mapping: cut.elapsed() };
        Ok((progress, Some(Latent { stamp: window.stamp, shape, values })))
    }

    /// How long the last latent took.
    pub fn took(&self) -> Took {
        self.took
    }

    /// Where the beat is at the next hop.
    pub fn set_beat(&mut self, position: f64) {
        self.beat = position;
    }

    fn follow_dials(&mut self) -> Result<(), LineError> {
        self.ear.intake_mut().apply(self.dials.settings());
        let state = self.dials.synth_state();
        if state != self.synth_state {
            self.ear.intake_mut().set("state", &state);
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
        let mut told = self.ear.messages();
        told.extend(std::iter::from_fn(|| self.encoder.message()));
        told
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
    pub fn pulse(&self) -> &Arc<Pulse> {
        self.ear.pulse()
    }

    /// What is known of the signal.
    pub fn ear(&self) -> &Ear {
        &self.ear
    }

    pub fn ear_mut(&mut self) -> &mut Ear {
        &mut self.ear
    }

    pub fn intake(&self) -> &Intake {
        self.ear.intake()
    }

    pub fn mapping_name(&self) -> &'static str {
        self.mapping.name()
    }
}
