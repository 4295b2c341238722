//! NEON: four registers a block. With the arithmetic of half precision (Apple's M1 and everything since ARMv8.2 that is not
//! small) also products of float16, twice as many at a time.

use std::arch::aarch64::*;

use super::{
    grid::Element,
    lanes::{LARGEST, Lanes, Task, no_float16},
    tile::{Finish, Gather, tiles},
};

/// Exists only on a CPU with NEON (every 64-bit ARM that runs an operating system).
#[derive(Debug, Clone, Copy)]
pub struct Neon(());

/// Exists only on a CPU with the arithmetic of half precision besides.
#[derive(Debug, Clone, Copy)]
pub struct NeonFp16(Neon);

impl Neon {
    pub(super) fn new() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

impl NeonFp16 {
    pub(super) fn new() -> Option<Self> {
        Neon::new().filter(|_| std::arch::is_aarch64_feature_detected!("fp16")).map(Self)
    }
}

type V = [float32x4_t; 4];

#[inline(always)]
fn each(a: V, b: V, f: impl Fn(float32x4_t, float32x4_t) -> float32x4_t) -> V {
    std::array::from_fn(|i| f(a[i], b[i]))
}

macro_rules! neon {
    ($name:ident, $features:literal, { $($own:item)* }) => {
        impl Lanes for $name {
            type V = V;

            fn enter<T: Task>(self, task: T) -> T::Out {
                #[target_feature(enable = $features)]
                #[inline(never)]
                fn inside<T: Task>(l: $name, task: T) -> T::Out {
                    task.run(l)
                }
                // SAFETY: `self` exists, so the CPU has the features.
                unsafe { inside(self, task) }
            }
            // 32 registers: 6 pixels x 4 registers leave four for the weights and some for the input.
            fn group(_blocks: usize, _step: usize) -> usize {
                1
            }
            fn widest(group: usize, _step: usize) -> usize {
                if group == 1 { 6 } else { 2 }
            }
            $($own)*
            #[inline(always)]
            fn low_half(self, a: V) -> V {
                // SAFETY: `self` proves the instructions.
                a.map(|a| unsafe { vreinterpretq_f32_u32(vshlq_n_u32::<16>(vreinterpretq_u32_f32(a))) })
            }
            #[inline(always)]
            fn high_half(self, a: V) -> V {
                // SAFETY: `self` proves the instructions.
                a.map(|a| unsafe {
                    vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a), vdupq_n_u32(0xffff_0000)))
                })
            }
            #[inline(always)]
            unsafe fn store_float16(self, at: *mut u16, v: V) {
                for (i, v) in v.into_iter().enumerate() {
                    // SAFETY: the caller promises sixteen halves; `self` proves the instructions.
                    unsafe {
                        let v = vmaxq_f32(vminq_f32(v, vdupq_n_f32(LARGEST)), vdupq_n_f32(-LARGEST));
                        vst1_u16(at.add(4 * i), vreinterpret_u16_f16(vcvt_f16_f32(v)));
                    }
                }
            }
            #[inline(always)]
            unsafe fn store_bfloat16(self, at: *mut u16, v: V) {
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
            fn prefetch_later(self, _at: *const f32) {}
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
    };
}

neon!(Neon, "neon", {
    unsafe fn tile(self, element: Element, group: usize, pixels: usize, step: usize, gather: &Gather, finish: &Finish) {
        let shape = (group, pixels, step);
        match element {
            Element::Float32 => tiles!(self, OfFloat32, shape, gather, finish;
                1, 16: 1 2 3 4 5 6; 1, 32: 1 2 3 4 5 6; 1, 64: 1 2 3 4 5 6; 1, 4: 1 2 3 4 5 6; 2, 16: 1 2; 3, 16: 1 2;),
            Element::Bfloat16 => tiles!(self, OfBfloat16, shape, gather, finish;
                1, 8: 1 2 3 4 5 6; 1, 16: 1 2 3 4 5 6; 2, 8: 1 2;),
            Element::Float16 => no_float16(),
        }
    }
});
neon!(NeonFp16, "neon,fp16", {
    unsafe fn tile(self, element: Element, group: usize, pixels: usize, step: usize, gather: &Gather, finish: &Finish) {
        match element {
            Element::Float16 => tiles!(self, OfFloat16, (group, pixels, step), gather, finish;
                1, 8: 1 2 3 4 5 6; 1, 16: 1 2 3 4 5 6; 2, 8: 1 2;),
            // SAFETY: the caller's promise.
            _ => unsafe { self.0.tile(element, group, pixels, step, gather, finish) },
        }
    }
    #[inline(always)]
    fn fma_float16(self, a: V, b: V, mut c: V) -> V {
        for i in 0..4 {
            // SAFETY: `self` proves the instructions.
            c[i] = unsafe { fma_halves(a[i], b[i], c[i]) };
        }
        c
    }
    #[inline(always)]
    unsafe fn load_float16(self, at: *const u16) -> V {
        // SAFETY: the caller promises sixteen halves; `self` proves the instructions.
        std::array::from_fn(|i| unsafe { vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(at.add(4 * i)))) })
    }
    #[inline(always)]
    fn add_float16(self, a: V, mut b: V) -> V {
        for i in 0..4 {
            // SAFETY: `self` proves the instructions.
            b[i] = unsafe { add_halves(a[i], b[i]) };
        }
        b
    }
    #[inline(always)]
    fn sum_of_float16(self, mut pair: V) -> V {
        for pair in &mut pair {
            // SAFETY: `self` proves the instructions.
            *pair = unsafe { sum_of_halves(*pair) };
        }
        pair
    }
});

// Functions of their own: intrinsics of FP16 that are called where it is not switched on are never inlined.
#[target_feature(enable = "neon,fp16")]
#[inline]
fn fma_halves(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
    let (a, b, c) = (vreinterpretq_f16_f32(a), vreinterpretq_f16_f32(b), vreinterpretq_f16_f32(c));
    vreinterpretq_f32_f16(vfmaq_f16(c, a, b))
}

#[target_feature(enable = "neon,fp16")]
#[inline]
fn add_halves(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    vreinterpretq_f32_f16(vaddq_f16(vreinterpretq_f16_f32(a), vreinterpretq_f16_f32(b)))
}

#[target_feature(enable = "neon,fp16")]
#[inline]
fn sum_of_halves(pair: float32x4_t) -> float32x4_t {
    let halves = vreinterpretq_f16_f32(pair);
    let sums = vcvt_f32_f16(vget_low_f16(vpaddq_f16(halves, halves)));
    vmaxnmq_f32(vminnmq_f32(sums, vdupq_n_f32(LARGEST)), vdupq_n_f32(-LARGEST))
}
