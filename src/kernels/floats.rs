//! Memory that starts on a cache line, in huge pages where it is large.

use std::ptr::NonNull;

use bytemuck::{Pod, Zeroable};
use memmap2::MmapMut;

use super::{
    grid::Element,
    lanes::{Lanes, Task},
};

/// Channels in a block: the float32 lanes of a 512-bit register.
pub(super) const LANES: usize = 16;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([f32; LANES]);

/// Floats that start on a cache line.
///
/// Large ones ask the system for huge pages: a model's weights are gone through once a picture, and with small pages the
/// processor looks up a page for every few hundred multiplications (measured: a fifth of a large model's time).
pub struct Floats {
    start: NonNull<Line>,
    lines: usize,
    /// What `start` points into.
    _memory: Memory,
}

enum Memory {
    Heap(Vec<Line>),
    Mapped(MmapMut),
}

/// Bytes from which on huge pages are asked for.
const HUGE_FROM: usize = 4 << 20;

// SAFETY: the memory is owned, and reached through `Deref` and `DerefMut` only.
unsafe impl Send for Floats {}
// SAFETY: as above.
unsafe impl Sync for Floats {}

impl Floats {
    /// At least `len` zeros, rounded up to whole cache lines.
    pub fn zeros(len: usize) -> Self {
        let lines = len.div_ceil(LANES);
        let bytes = lines * size_of::<Line>();
        #[cfg(all(test, target_os = "linux"))]
        if let Some(guarded) = super::tests::guarded(bytes) {
            let (map, start) = guarded;
            return Self { start: start.cast(), lines, _memory: Memory::Mapped(map) };
        }
        let mut memory = match (bytes >= HUGE_FROM).then(|| MmapMut::map_anon(bytes)) {
            Some(Ok(map)) => {
                // Refused where the system has none: then the pages are small.
                #[cfg(target_os = "linux")]
                let _ = map.advise(memmap2::Advice::HugePage);
                Memory::Mapped(map)
            }
            _ => Memory::Heap(vec![Line::zeroed(); lines]),
        };
        let start = match &mut memory {
            Memory::Heap(lines) => NonNull::from(lines.as_mut_slice()).cast(),
            // A page is aligned to more than a line.
            Memory::Mapped(map) => NonNull::from(&mut map[..]).cast(),
        };
        Self { start, lines, _memory: memory }
    }
    pub fn from_slice(values: &[f32]) -> Self {
        let mut all = Self::zeros(values.len());
        all[..values.len()].copy_from_slice(values);
        all
    }
}

impl Default for Floats {
    fn default() -> Self {
        Self::zeros(0)
    }
}

impl Clone for Floats {
    fn clone(&self) -> Self {
        Self::from_slice(self)
    }
}

impl std::ops::Deref for Floats {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // SAFETY: `start` points to as many lines in `memory`, which is neither moved nor changed otherwise.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.lines * LANES) }
    }
}

impl std::ops::DerefMut for Floats {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().cast(), self.lines * LANES) }
    }
}

/// Rounds to halves of an element; both are whole blocks of 16 numbers.
pub(super) struct Narrow<'a> {
    pub from: &'a [f32],
    pub to: &'a mut [f32],
    pub element: Element,
}

impl Task for Narrow<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let (from, _) = self.from.as_chunks::<LANES>();
        for (from, to) in from.iter().zip(self.to.as_chunks_mut::<{ LANES / 2 }>().0) {
            // SAFETY: sixteen floats on one side, sixteen halves in eight floats on the other.
            unsafe { l.put(self.element, to.as_mut_ptr(), 0, l.load(from.as_ptr())) };
        }
    }
}
