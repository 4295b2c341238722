//! A stage without a window on whatever there is: a graphics device, or else the CPU alone.

use super::{FrameClock, Headless, Look, ShaderLibrary, SignalTrace, StageError, cpu, headless::IN_FLIGHT};
use crate::diffusion::Picture;

/// Makes frames for `render`. Runs on the thread of whoever renders.
#[expect(clippy::large_enum_variant, reason = "there is one of them")]
pub enum Offscreen {
    Gpu(Headless),
    Cpu { painter: cpu::Painter, ready: Vec<Vec<u8>> },
}

impl Offscreen {
    /// The best stage to be had, and a sentence if it is less than was asked for.
    pub fn open(size: (u32, u32), library: ShaderLibrary) -> Result<(Self, Option<String>), StageError> {
        match Headless::new(size, library) {
            Ok(headless) => Ok((Self::Gpu(headless), None)),
            Err(error @ StageError::Size { .. }) => Err(error),
            Err(error) => Ok((Self::cpu(size), Some(format!("{error}; the film is made without effects")))),
        }
    }

    pub fn cpu(size: (u32, u32)) -> Self {
        Self::Cpu { painter: cpu::Painter::new(size), ready: Vec::new() }
    }

    pub fn show(&mut self, picture: &Picture) {
        match self {
            Self::Gpu(headless) => headless.compositor().show(picture),
            Self::Cpu { painter, .. } => painter.show(picture),
        }
    }

    pub fn begin_transition(&mut self, name: &str, secs: f32) {
        match self {
            Self::Gpu(headless) => headless.compositor().begin_transition(name, secs),
            Self::Cpu { painter, .. } => painter.begin_transition(secs),
        }
    }

    /// Frames that may be submitted before one must be fetched.
    pub fn in_flight(&self) -> usize {
        IN_FLIGHT
    }

    /// Sends a frame on its way; see [`Headless::submit`].
    pub fn submit(&mut self, clock: &FrameClock, look: &Look, signal: &SignalTrace) -> Result<(), StageError> {
        match self {
            Self::Gpu(headless) => headless.submit(clock, look, signal),
            Self::Cpu { painter, ready } => {
                let mut rgba = Vec::new();
                painter.frame(clock, look, &mut rgba);
                ready.push(rgba);
                Ok(())
            }
        }
    }

    /// The oldest frame on its way; false if there is none.
    pub fn fetch(&mut self, rgba: &mut Vec<u8>) -> Result<bool, StageError> {
        match self {
            Self::Gpu(headless) => headless.fetch(rgba),
            Self::Cpu { ready, .. } => {
                if ready.is_empty() {
                    return Ok(false);
                }
                *rgba = ready.remove(0);
                Ok(true)
            }
        }
    }

    /// What is wrong just now, a sentence each.
    pub fn messages(&mut self) -> Vec<String> {
        match self {
            Self::Gpu(headless) => headless.compositor().messages().map(str::to_owned).collect(),
            Self::Cpu { .. } => Vec::new(),
        }
    }
}
