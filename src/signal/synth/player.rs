//! A generator of frames as an endless source.

use crate::signal::url::Address;
use crate::signal::{Channel, Description, Happening, Read, Source, SourceError};

/// Makes one frame after the other.
pub trait Generator: Send {
    fn next(&mut self, frame: &mut [f64]);
    fn set(&mut self, _knob: &str, _value: &str) -> bool {
        false
    }
    fn state(&self) -> Option<&str> {
        None
    }
    fn happened(&mut self) -> Option<Happening> {
        None
    }
}

/// Plays a generator.
pub struct Player<G> {
    generator: G,
    description: Description,
    scale: f64,
}

impl<G: Generator> Player<G> {
    /// `channels` are (name, unit).
    pub fn new(
        generator: G,
        address: &Address,
        rate_hz: f64,
        channels: impl Iterator<Item = (String, &'static str)>,
    ) -> Result<Self, SourceError> {
        let channels = channels.map(|(name, unit)| Channel { name, unit: unit.to_owned(), rate_hz }).collect();
        let description = Description { name: address.text.clone(), channels, rate_hz, ..Description::default() };
        Ok(Self { generator, description, scale: address.scale()? })
    }
}

impl<G: Generator> Source for Player<G> {
    fn description(&self) -> &Description {
        &self.description
    }

    fn read(&mut self, frames: usize, out: &mut Vec<f64>) -> Result<Read, SourceError> {
        let width = self.description.channels.len();
        let start = out.len();
        out.resize(start + frames * width, 0.0);
        for frame in out[start..].chunks_exact_mut(width) {
            self.generator.next(frame);
            if self.scale != 1.0 {
                frame.iter_mut().for_each(|x| *x *= self.scale);
            }
        }
        Ok(Read::Frames(frames))
    }

    fn set(&mut self, knob: &str, value: &str) -> bool {
        self.generator.set(knob, value)
    }

    fn state(&self) -> Option<&str> {
        self.generator.state()
    }

    fn happened(&mut self) -> Option<Happening> {
        self.generator.happened()
    }
}
