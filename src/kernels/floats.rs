//! Memory that starts on a cache line, in huge pages where it is large.

use bytemuck::{Pod, Zeroable};

use super::lanes::{Lanes, Task};

/// Channels in a block: the float32 lanes of a 512-bit register.
pub(super) const LANES: usize = 16;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([f32; LANES]);

/// Floats that start on a cache line.
#[derive(Clone, Default)]
pub struct Floats(Vec<Line>);

impl Floats {
    /// At least `len` zeros, rounded up to whole cache lines.
    pub fn zeros(len: usize) -> Self {
        Self(vec![Line::zeroed(); len.div_ceil(LANES)])
    }
    pub fn from_slice(values: &[f32]) -> Self {
        let mut all = Self::zeros(values.len());
        all[..values.len()].copy_from_slice(values);
        all
    }
}

impl std::ops::Deref for Floats {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        bytemuck::cast_slice(&self.0)
    }
}

impl std::ops::DerefMut for Floats {
    fn deref_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.0)
    }
}

/// Rounds to bfloat16; both are whole blocks of 16 numbers.
pub(super) struct Narrow<'a> {
    pub from: &'a [f32],
    pub to: &'a mut [f32],
}

impl Task for Narrow<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let (from, _) = self.from.as_chunks::<LANES>();
        for (from, to) in from.iter().zip(self.to.as_chunks_mut::<{ LANES / 2 }>().0) {
            // SAFETY: sixteen floats on one side, sixteen halves in eight floats on the other.
            unsafe { l.store_halves(to.as_mut_ptr().cast(), l.load(from.as_ptr())) };
        }
    }
}
