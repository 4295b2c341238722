//! NEON: four registers a block.

use std::arch::aarch64::*;

use super::{
    lanes::{Lanes, Task, dot_by_halves},
    tile::{Finish, Gather, tiles},
};

/// Exists only on a CPU with NEON (every 64-bit ARM that runs an operating system).
#[derive(Debug, Clone, Copy)]
pub struct Neon(());

impl Neon {
    pub(super) fn new() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

type V = [float32x4_t; 4];

#[inline(always)]
fn each(a: V, b: V, f: impl Fn(float32x4_t, float32x4_t) -> float32x4_t) -> V {
    std::array::from_fn(|i| f(a[i], b[i]))
}

impl Lanes for Neon {
    type V = V;

    fn enter<T: Task>(self, task: T) -> T::Out {
        #[target_feature(enable = "neon")]
        #[inline(never)]
        fn inside<T: Task>(l: Neon, task: T) -> T::Out {
            task.run(l)
        }
        // SAFETY: `self` exists, so the CPU has NEON.
        unsafe { inside(self, task) }
    }
    // 32 registers: 6 pixels x 4 registers leave four for the weights and some for the input.
    fn group(_blocks: usize, _step: usize) -> usize {
        1
    }
    fn widest(group: usize, _step: usize) -> usize {
        if group == 1 { 6 } else { 2 }
    }
    unsafe fn tile(self, group: usize, pixels: usize, step: usize, gather: &Gather, finish: &Finish) {
        tiles!(self, false, (group, pixels, step), gather, finish;
            1, 16: 1 2 3 4 5 6; 1, 32: 1 2 3 4 5 6; 1, 64: 1 2 3 4 5 6; 1, 4: 1 2 3 4 5 6; 2, 16: 1 2; 3, 16: 1 2;)
    }
    unsafe fn tile_of_halves(self, group: usize, pixels: usize, step: usize, gather: &Gather, finish: &Finish) {
        tiles!(self, true, (group, pixels, step), gather, finish;
            1, 8: 1 2 3 4 5 6; 1, 16: 1 2 3 4 5 6; 2, 8: 1 2;)
    }
    #[inline(always)]
    fn dot(self, a: V, b: V, c: V) -> V {
        dot_by_halves(self, a, b, c)
    }
    #[inline(always)]
    unsafe fn store_halves(self, at: *mut u16, v: V) {
        for (i, v) in v.into_iter().enumerate() {
            // SAFETY: the caller promises sixteen halves; `self` proves the instructions.
            unsafe {
                let bits = vreinterpretq_u32_f32(v);
                let odd = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
                let rounded = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd);
                vst1_u16(at.add(4 * i), vshrn_n_u32::<16>(rounded));
            }
        }
    }
    // What the compilers offer is not stable yet.
    #[inline(always)]
    fn prefetch(self, _at: *const f32) {}
    #[inline(always)]
    fn low_half(self, a: V) -> V {
        // SAFETY: `self` proves the instructions.
        a.map(|a| unsafe { vreinterpretq_f32_u32(vshlq_n_u32::<16>(vreinterpretq_u32_f32(a))) })
    }
    #[inline(always)]
    fn high_half(self, a: V) -> V {
        // SAFETY: `self` proves the instructions.
        a.map(|a| unsafe { vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a), vdupq_n_u32(0xffff_0000))) })
    }
    #[inline(always)]
    unsafe fn load(self, at: *const f32) -> V {
        // SAFETY: the caller's promise; `self` proves the instructions.
        std::array::from_fn(|i| unsafe { vld1q_f32(at.add(4 * i)) })
    }
    #[inline(always)]
    unsafe fn repeat(self, at: *const f32) -> V {
        // SAFETY: the caller's promise; `self` proves the instructions.
        unsafe { [vld1q_f32(at); 4] }
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut f32, v: V) {
        for (i, v) in v.into_iter().enumerate() {
            // SAFETY: the caller's promise; `self` proves the instructions.
            unsafe { vst1q_f32(at.add(4 * i), v) }
        }
    }
    #[inline(always)]
    fn splat(self, x: f32) -> V {
        // SAFETY: `self` proves the instructions, here and in the rest of this block.
        unsafe { [vdupq_n_f32(x); 4] }
    }
    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        // SAFETY: as above.
        each(a, b, |a, b| unsafe { vaddq_f32(a, b) })
    }
    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        // SAFETY: as above.
        each(a, b, |a, b| unsafe { vmulq_f32(a, b) })
    }
    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        // SAFETY: as above.
        std::array::from_fn(|i| unsafe { vfmaq_f32(c[i], a[i], b[i]) })
    }
    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        // SAFETY: as above.
        each(a, b, |a, b| unsafe { vmaxq_f32(a, b) })
    }
    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        // SAFETY: as above.
        each(a, b, |a, b| unsafe { vminq_f32(a, b) })
    }
    #[inline(always)]
    fn recip(self, a: V) -> V {
        // SAFETY: as above.
        a.map(|a| unsafe { vdivq_f32(vdupq_n_f32(1.0), a) })
    }
    #[inline(always)]
    fn sqrt(self, a: V) -> V {
        // SAFETY: as above.
        a.map(|a| unsafe { vsqrtq_f32(a) })
    }
    #[inline(always)]
    fn round(self, a: V) -> V {
        // SAFETY: as above.
        a.map(|a| unsafe { vrndnq_f32(a) })
    }
    #[inline(always)]
    fn pow2(self, n: V) -> V {
        // SAFETY: as above.
        n.map(|n| unsafe { vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127)))) })
    }
    #[inline(always)]
    fn sum(self, a: V) -> f32 {
        // SAFETY: as above.
        unsafe { vaddvq_f32(vaddq_f32(vaddq_f32(a[0], a[1]), vaddq_f32(a[2], a[3]))) }
    }
    #[inline(always)]
    fn largest(self, a: V) -> f32 {
        // SAFETY: as above.
        unsafe { vmaxvq_f32(vmaxq_f32(vmaxq_f32(a[0], a[1]), vmaxq_f32(a[2], a[3]))) }
    }
    #[inline(always)]
    unsafe fn paint(self, at: *mut u8, row_bytes: usize, rgb: [V; 3]) {
        for row in 0..4 {
            // SAFETY: the caller promises four rows of 16 bytes; `self` proves the instructions.
            unsafe {
                let [r, g, b] = rgb.map(|c| vcvtnq_u32_f32(c[row]));
                let rg = vorrq_u32(r, vshlq_n_u32::<8>(g));
                let ba = vorrq_u32(vshlq_n_u32::<16>(b), vdupq_n_u32(0xff00_0000));
                vst1q_u32(at.add(row * row_bytes).cast(), vorrq_u32(rg, ba));
            }
        }
    }
}
