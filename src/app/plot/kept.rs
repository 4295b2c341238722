//! A source whose samples of the figure's stretch are kept as they pass, in its own units and at its own rate.

use std::sync::{Arc, Mutex, PoisonError};

use crate::signal::{Description, Flow, Read, Source, SourceError};

/// Samples kept at most, of all channels: half a gigabyte.
pub const MOST_SAMPLES: usize = 1 << 27;

/// The samples, one list a channel that is shown.
pub type Samples = Arc<Mutex<Vec<Vec<f32>>>>;

/// Passes everything on.
pub struct Kept {
    source: Box<dyn Source>,
    /// Channels that are shown.
    shown: Vec<usize>,
    /// Frames that are kept.
    range: std::ops::Range<u64>,
    at: u64,
    samples: Samples,
}

impl Kept {
    pub fn new(source: Box<dyn Source>, shown: Vec<usize>, range: std::ops::Range<u64>) -> (Self, Samples) {
        let samples = Samples::new(Mutex::new(vec![Vec::new(); shown.len()]));
        (Self { source, shown, range, at: 0, samples: Arc::clone(&samples) }, samples)
    }
}

/// The lists, taken out.
pub fn taken(samples: &Samples) -> Vec<Vec<f32>> {
    std::mem::take(&mut samples.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Source for Kept {
    fn description(&self) -> &Description {
        self.source.description()
    }

    fn read(&mut self, frames: usize, out: &mut Vec<f64>) -> Result<Read, SourceError> {
        let before = out.len();
        let read = self.source.read(frames, out)?;
        let width = self.source.description().channels.len().max(1);
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        for frame in out[before..].chunks_exact(width) {
            if self.range.contains(&self.at) {
                for (list, channel) in samples.iter_mut().zip(&self.shown) {
                    list.push(frame[*channel] as f32);
                }
            }
            self.at += 1;
        }
        Ok(read)
    }

    fn set(&mut self, knob: &str, value: &str) -> bool {
        self.source.set(knob, value)
    }

    fn state(&self) -> Option<&str> {
        self.source.state()
    }

    fn flow(&self) -> Option<&Flow> {
        self.source.flow()
    }

    fn message(&mut self) -> Option<String> {
        self.source.message()
    }
}
