//! A window of samples becomes a latent: the mappings.
//!
//! Runs on the signal thread. [`paper`] is the published way to the letter; [`flow`] is the calmest and the one for the
//! stage; [`gauss`], [`walk`] and [`spectral`] trade fidelity to the raw samples for what a diffusion model likes best.
//! All are deterministic: the same windows in the same order give the same bits.

pub mod bands;
pub mod flow;
pub mod gauss;
pub mod mersenne;
pub mod noise;
pub mod npy;
pub mod paper;
pub mod spectral;
pub mod standard;
pub mod walk;
pub mod whiten;

use std::{fmt, str::FromStr, sync::Arc};

use crate::{
    Stamp,
    signal::{WINDOW_CHANNELS, Window},
};

/// Each mapping's name and a sentence on it.
pub const NAMES: [(&str, &str); 5] = [
    ("paper", "the published way to the letter: z-score, one fixed permutation, reshape (Yamashiro et al. 2024)"),
    ("flow", "each sample keeps its cell until it is overwritten: the calmest motion"),
    ("gauss", "as paper, but whitened and rank-Gaussianised: what a diffusion model expects"),
    ("walk", "key noises a beat apart with slerp between them; the signal sets the speed and picks the next key"),
    ("spectral", "band powers and phases steer a few fixed directions on the sphere of noise"),
];

/// More values than any picture needs (4x1024x1024), so that a typing error does not ask for all memory.
const MOST_VALUES: usize = 1 << 22;

/// Channels, height and width of a latent: 4x64x64 for a 512x512 picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl Shape {
    pub fn len(&self) -> usize {
        self.channels * self.height * self.width
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Samples of [`WINDOW_CHANNELS`] channels that hold at least one value for each cell: 512 for 4x64x64.
    pub fn samples_to_fill(&self) -> usize {
        self.len().div_ceil(WINDOW_CHANNELS)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

/// What was written where a shape was wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a latent shape: write channels x height x width, such as 4x64x64 (at most 4194304 values)")]
pub struct ShapeError(pub String);

impl FromStr for Shape {
    type Err = ShapeError;

    fn from_str(text: &str) -> Result<Self, ShapeError> {
        let wrong = || ShapeError(text.chars().take(40).collect());
        let sizes: Vec<usize> = text
            .trim()
            .split(['x', 'X', '×'])
            .map(|size| size.trim().parse().map_err(|_| wrong()))
            .collect::<Result<_, _>>()?;
        let &[channels, height, width] = sizes.as_slice() else {
            return Err(wrong());
        };
        let values = channels.checked_mul(height).and_then(|plane| plane.checked_mul(width));
        match values {
            Some(1..=MOST_VALUES) => Ok(Shape { channels, height, width }),
            _ => Err(wrong()),
        }
    }
}

/// The noise that a picture starts from, of about unit variance. `values[(c * height + y) * width + x]`.
#[derive(Debug, Clone)]
pub struct Latent {
    pub stamp: Stamp,
    pub shape: Shape,
    pub values: Arc<[f32]>,
}

/// A way from samples to noise. Lives on the signal thread; may keep state from window to window.
pub trait Mapping: Send {
    fn name(&self) -> &'static str;
    /// Samples (of 32 channels) that a window must hold for a latent of this shape.
    fn samples(&self, shape: Shape) -> usize;
    /// Fills `out` (`shape.len()` values). Every value is finite whatever the window holds.
    fn map(&mut self, window: &Window, shape: Shape, out: &mut [f32]);
    /// Forgets everything kept from earlier windows.
    fn reset(&mut self) {}
    /// Turns a knob while running (`beat_secs`, `beat_phase`, `memory_secs`, `drive`); false if this mapping has no such
    /// knob.
    fn set(&mut self, _knob: &str, _value: f32) -> bool {
        false
    }
}

/// A name that no mapping has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no mapping `{name}`; did you mean `{nearest}`? (paper, flow, gauss, walk, spectral)")]
pub struct UnknownMapping {
    pub name: String,
    pub nearest: &'static str,
}

/// The mapping of this name.
pub fn mapping(name: &str) -> Result<Box<dyn Mapping>, UnknownMapping> {
    Ok(match name {
        "paper" => Box::new(paper::Paper::default()),
        "flow" => Box::new(flow::Flow::default()),
        "gauss" => Box::new(gauss::Gauss::default()),
        "walk" => Box::new(walk::Walk::default()),
        "spectral" => Box::new(spectral::Spectral::default()),
        _ => {
            let nearest = NAMES.iter().map(|(known, _)| *known).min_by_key(|known| strsim::levenshtein(known, name));
            return Err(UnknownMapping { name: name.chars().take(40).collect(), nearest: nearest.unwrap_or("flow") });
        }
    })
}

/// Which frames of a window are new to a mapping that keeps state.
#[derive(Debug, Clone, Copy, Default)]
struct Follow {
    /// Number, since the start of the signal, of the frame to come.
    next: Option<u64>,
}

/// What [`Follow::window`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fresh {
    /// The window goes on from the last one: its frames from this one on are new.
    From(usize),
    /// The first window, or one that does not touch the last: all of it is new.
    Restart,
}

impl Follow {
    fn window(&mut self, window: &Window) -> Fresh {
        let end = window.first_sample + frames(window).len() as u64;
        match self.next.replace(end) {
            Some(next) if next >= window.first_sample && next <= end => {
                Fresh::From((next - window.first_sample) as usize)
            }
            _ => Fresh::Restart,
        }
    }
}

/// A window's whole frames.
fn frames(window: &Window) -> &[standard::Frame] {
    window.samples.as_chunks().0
}

/// Frames `from..` of a window with their numbers since the start of the signal.
fn frames_from(window: &Window, from: usize) -> impl Iterator<Item = (u64, &standard::Frame)> {
    (window.first_sample..).zip(frames(window)).skip(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_read_as_it_is_written() {
        let shape = Shape { channels: 4, height: 36, width: 64 };
        assert_eq!(shape.to_string(), "4x36x64");
        assert_eq!("4x36x64".parse(), Ok(shape));
    }

    #[test]
    fn what_is_no_shape_is_refused_in_a_sentence() {
        for text in ["", "4x64", "4x64x64x1", "4x0x64", "4x-1x64", "big", "4x99999999999x99999999999", "4x2048x2048"] {
            let error = text.parse::<Shape>().unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("4x64x64"), "{error}");
        }
    }

    #[test]
    fn an_unknown_mapping_is_answered_with_the_nearest() {
        let error = mapping("flwo").err().unwrap();
        assert_eq!(error.nearest, "flow");
        for (name, _) in NAMES {
            assert_eq!(mapping(name).unwrap().name(), name);
        }
    }
}
