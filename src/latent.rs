//! A window of samples becomes a latent: the mappings.

use std::sync::Arc;

use crate::{Stamp, signal::Window};

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
}
