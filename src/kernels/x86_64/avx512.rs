//! AVX-512: one register a block. With AVX512-BF16 also products of bfloat16 pairs, two multiplications a lane; with
//! AVX512-FP16 the same of float16, in half the time of float32.

use std::arch::x86_64::*;

use crate::kernels::{
    grid::Element,
    lanes::{LARGEST, Lanes, Task, no_float16},
    tile::{Finish, Gather, tiles},
};

/// Exists only on a CPU with AVX-512F.
#[derive(Debug, Clone, Copy)]
pub struct Avx512(());

/// Exists only on a CPU with BF16 besides.
#[derive(Debug, Clone, Copy)]
pub struct Avx512Bf16(Avx512);

/// Exists only on a CPU with BW, DQ and FP16 besides.
#[derive(Debug, Clone, Copy)]
pub struct Avx512Fp16(Avx512Bf16);

impl Avx512 {
    pub(in crate::kernels) fn new() -> Option<Self> {
        is_x86_feature_detected!("avx512f").then_some(Self(()))
    }
}

impl Avx512Bf16 {
    pub(in crate::kernels) fn new() -> Option<Self> {
        Avx512::new().filter(|_| is_x86_feature_detected!("avx512bf16")).map(Self)
    }
}

impl Avx512Fp16 {
    pub(in crate::kernels) fn new() -> Option<Self> {
        let more = is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512dq");
        Avx512Bf16::new().filter(|_| more && is_x86_feature_detected!("avx512fp16")).map(Self)
    }
}

/// To bfloat16, to the nearest and to even between two, in the low half of each lane.
#[inline(always)]
unsafe fn narrow(v: __m512) -> __m256i {
    // SAFETY: the caller has AVX-512F.
    unsafe {
        let bits = _mm512_castps_si512(v);
        let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
        let rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
        _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(rounded))
    }
}

#[inline(always)]
unsafe fn narrow_bf16(v: __m512) -> __m256i {
    // SAFETY: the caller has AVX512-BF16; both types are 256 bits.
    unsafe { std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(v)) }
}

macro_rules! avx512 {
    ($name:ident, $features:literal, $narrow:path, { $($own:item)* }) => {
        impl Lanes for $name {
            type V = __m512;

            fn enter<T: Task>(self, task: T) -> T::Out {
                #[target_feature(enable = $features)]
                #[inline(never)]
                fn inside<T: Task>(l: $name, task: T) -> T::Out {
                    task.run(l)
                }
                // SAFETY: `self` exists, so the CPU has the features.
                unsafe { inside(self, task) }
            }
            // 32 registers: 14 pixels x 2 blocks and 9 x 3 leave room for the weights and one input. Two blocks are the least
            // loads a product over the cache's bandwidth: a tile of p pixels reads 128 / p bytes of weights a cycle.
            fn group(blocks: usize, step: usize) -> usize {
                match (step, blocks) {
                    (64, _) => 1,
                    (16 | 32, b) if b % 3 == 0 => 3,
                    (_, 1) => 1,
                    _ => 2,
                }
            }
            fn widest(group: usize, step: usize) -> usize {
                match (group, step) {
                    (3, 8 | 16) => 9,
                    (_, 8 | 16) => 14,
                    _ => 8,
                }
            }
            $($own)*
            #[inline(always)]
            unsafe fn store_bfloat16(self, at: *mut u16, v: __m512) {
                // SAFETY: the caller promises sixteen halves; `self` proves the instructions.
                unsafe { _mm256_storeu_si256(at.cast(), $narrow(v)) }
            }
            #[inline(always)]
            fn prefetch(self, at: *const f32) {
                // SAFETY: a prefetch touches nothing, wherever it points.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
            }
            #[inline(always)]
            fn prefetch_later(self, at: *const f32) {
                // SAFETY: as above.
                unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
            }
            #[inline(always)]
            unsafe fn load(self, at: *const f32) -> __m512 {
                // SAFETY: the caller's promise; `self` proves the instructions.
                unsafe { _mm512_loadu_ps(at) }
            }
            #[inline(always)]
            unsafe fn repeat(self, at: *const f32) -> __m512 {
                // SAFETY: the caller's promise; `self` proves the instructions.
                unsafe { _mm512_broadcast_f32x4(_mm_loadu_ps(at)) }
            }
            #[inline(always)]
            unsafe fn store(self, at: *mut f32, v: __m512) {
                // SAFETY: the caller's promise; `self` proves the instructions.
                unsafe { _mm512_storeu_ps(at, v) }
            }
            #[inline(always)]
            fn splat(self, x: f32) -> __m512 {
                // SAFETY: `self` proves the instructions, here and in the rest of this block.
                unsafe { _mm512_set1_ps(x) }
            }
            #[inline(always)]
            fn add(self, a: __m512, b: __m512) -> __m512 {
                // SAFETY: as above.
                unsafe { _mm512_add_ps(a, b) }
            }
            #[inline(always)]
            fn mul(self, a: __m512, b: __m512) -> __m512 {
                // SAFETY: as above.
                unsafe { _mm512_mul_ps(a, b) }
            }
            #[inline(always)]
            fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
                // SAFETY: as above.
                unsafe { _mm512_fmadd_ps(a, b, c) }
            }
            #[inline(always)]
            fn max(self, a: __m512, b: __m512) -> __m512 {
                // SAFETY: as above.
                unsafe { _mm512_max_ps(a, b) }
            }
            #[inline(always)]
            fn min(self, a: __m512, b: __m512) -> __m512 {
                // SAFETY: as above.
                unsafe { _mm512_min_ps(a, b) }
            }
            // 14 bits and one step of Newton, a fifth of the time of a division.
            #[inline(always)]
            fn recip(self, a: __m512) -> __m512 {
                // SAFETY: as above.
                unsafe {
                    let r = _mm512_rcp14_ps(a);
                    _mm512_mul_ps(r, _mm512_fnmadd_ps(a, r, _mm512_set1_ps(2.0)))
                }
            }
            #[inline(always)]
            fn low_half(self, a: __m512) -> __m512 {
                // SAFETY: as above.
                unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_castps_si512(a))) }
            }
            #[inline(always)]
            fn high_half(self, a: __m512) -> __m512 {
                // SAFETY: as above.
                unsafe {
                    let mask = _mm512_set1_epi32(0xffff_0000_u32 as i32);
                    _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(a), mask))
                }
            }
            #[inline(always)]
            fn sqrt(self, a: __m512) -> __m512 {
                // SAFETY: as above.
                unsafe { _mm512_sqrt_ps(a) }
            }
            #[inline(always)]
            fn round(self, a: __m512) -> __m512 {
                // SAFETY: as above.
                unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
            }
            #[inline(always)]
            fn pow2(self, n: __m512) -> __m512 {
                // SAFETY: as above.
                unsafe {
                    let n = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
                    _mm512_castsi512_ps(_mm512_slli_epi32::<23>(n))
                }
            }
            #[inline(always)]
            fn times_pow2(self, a: __m512, n: __m512) -> __m512 {
                // SAFETY: as above.
                unsafe { _mm512_scalef_ps(a, n) }
            }
            #[inline(always)]
            fn sum(self, a: __m512) -> f32 {
                // SAFETY: as above.
                unsafe { _mm512_reduce_add_ps(a) }
            }
            #[inline(always)]
            fn largest(self, a: __m512) -> f32 {
                // SAFETY: as above.
                unsafe { _mm512_reduce_max_ps(a) }
            }
            #[inline(always)]
            unsafe fn paint(self, at: *mut u8, row_bytes: usize, rgb: [__m512; 3]) {
                // SAFETY: the caller promises four rows of 16 bytes; `self` proves the instructions.
                unsafe {
                    let [r, g, b] = [_mm512_cvtps_epi32(rgb[0]), _mm512_cvtps_epi32(rgb[1]), _mm512_cvtps_epi32(rgb[2])];
                    let rg = _mm512_or_si512(r, _mm512_slli_epi32::<8>(g));
                    let ba = _mm512_or_si512(_mm512_slli_epi32::<16>(b), _mm512_set1_epi32(0xff00_0000_u32 as i32));
                    let px = _mm512_or_si512(rg, ba);
                    _mm_storeu_si128(at.cast(), _mm512_castsi512_si128(px));
                    _mm_storeu_si128(at.add(row_bytes).cast(), _mm512_extracti32x4_epi32::<1>(px));
                    _mm_storeu_si128(at.add(2 * row_bytes).cast(), _mm512_extracti32x4_epi32::<2>(px));
                    _mm_storeu_si128(at.add(3 * row_bytes).cast(), _mm512_extracti32x4_epi32::<3>(px));
                }
            }
        }
    };
}

/// Of two numbers the one of smaller size, with the sign of the first; of a number and none, the number.
const SMALLER_SIZE: i32 = 0b0010;

macro_rules! tiles_of_halves {
    ($l:expr, $product:ident, $shape:expr, $gather:expr, $finish:expr) => {
        tiles!($l, $product, $shape, $gather, $finish;
            1, 8: 1 2 3 4 5 6 7 8 9 10 11 12 13 14;
            2, 8: 1 2 3 4 5 6 7 8 9 10 11 12 13 14;
            1, 16: 1 2 3 4 5 6 7 8 9 10 11 12 13 14;
            2, 16: 1 2 3 4 5 6 7 8 9 10 11 12 13 14;)
    };
}

avx512!(Avx512, "avx512f", narrow, {
    unsafe fn tile(self, element: Element, group: usize, pixels: usize, step: usize, gather: &Gather, finish: &Finish) {
        let shape = (group, pixels, step);
        match element {
            Element::Float32 => tiles!(self, OfFloat32, shape, gather, finish;
                1, 16: 1 2 3 4 5 6 7 8 9 10 11 12 13 14;
                2, 16: 1 2 3 4 5 6 7 8 9 10 11 12 13 14;
                3, 16: 1 2 3 4 5 6 7 8 9;
                1, 32: 1 2 3 4 5 6 7 8;
                2, 32: 1 2 3 4 5 6 7 8;
                3, 32: 1 2 3 4 5 6 7 8;
                1, 64: 1 2 3 4 5 6 7 8;
                1, 4: 1 2 3 4 5 6 7 8;
                2, 4: 1 2 3 4 5 6 7 8;),
            Element::Bfloat16 => tiles_of_halves!(self, OfBfloat16, shape, gather, finish),
            Element::Float16 => no_float16(),
        }
    }
});
avx512!(Avx512Bf16, "avx512f,avx512bf16", narrow_bf16, {
    unsafe fn tile(self, element: Element, group: usize, pixels: usize, step: usize, gather: &Gather, finish: &Finish) {
        match element {
            Element::Bfloat16 => tiles_of_halves!(self, OfBfloat16, (group, pixels, step), gather, finish),
            // SAFETY: the caller's promise.
            _ => unsafe { self.0.tile(element, group, pixels, step, gather, finish) },
        }
    }
    #[inline(always)]
    fn dot_bfloat16(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: `self` proves the instructions; the types are all 512 bits.
        unsafe {
            let (a, b) = (std::mem::transmute::<__m512, __m512bh>(a), std::mem::transmute::<__m512, __m512bh>(b));
            _mm512_dpbf16_ps(c, a, b)
        }
    }
});
avx512!(Avx512Fp16, "avx512f,avx512bw,avx512dq,avx512bf16,avx512fp16", narrow_bf16, {
    unsafe fn tile(self, element: Element, group: usize, pixels: usize, step: usize, gather: &Gather, finish: &Finish) {
        match element {
            Element::Float16 => tiles_of_halves!(self, OfFloat16, (group, pixels, step), gather, finish),
            // SAFETY: the caller's promise.
            _ => unsafe { self.0.tile(element, group, pixels, step, gather, finish) },
        }
    }
    #[inline(always)]
    fn fma_float16(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: `self` proves the instructions.
        unsafe {
            let [a, b, c] = [a, b, c].map(|v| _mm512_castps_ph(v));
            _mm512_castph_ps(_mm512_fmadd_ph(a, b, c))
        }
    }
    #[inline(always)]
    unsafe fn store_float16(self, at: *mut u16, v: __m512) {
        // SAFETY: the caller promises sixteen halves; `self` proves the instructions.
        unsafe {
            let v = _mm512_range_ps::<SMALLER_SIZE>(v, _mm512_set1_ps(LARGEST));
            _mm256_storeu_si256(at.cast(), _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(v));
        }
    }
    #[inline(always)]
    unsafe fn load_float16(self, at: *const u16) -> __m512 {
        // SAFETY: the caller promises sixteen halves; `self` proves the instructions.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(at.cast())) }
    }
    const SOFTMAX_OF_FLOAT16: bool = true;
    #[inline(always)]
    fn pair_of_sums(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves the instructions.
        unsafe {
            let (a, b) = (_mm512_castps_si512(a), _mm512_castps_si512(b));
            let high = _mm512_set1_epi32(0xffff_0000_u32 as i32);
            let firsts = _mm512_or_si512(_mm512_andnot_si512(high, a), _mm512_slli_epi32::<16>(b));
            let seconds = _mm512_or_si512(_mm512_srli_epi32::<16>(a), _mm512_and_si512(high, b));
            _mm512_castph_ps(_mm512_add_ph(_mm512_castsi512_ph(firsts), _mm512_castsi512_ph(seconds)))
        }
    }
    #[inline(always)]
    fn add_float16(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves the instructions.
        unsafe { _mm512_castph_ps(_mm512_add_ph(_mm512_castps_ph(a), _mm512_castps_ph(b))) }
    }
    #[inline(always)]
    fn max_float16(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves the instructions.
        unsafe { _mm512_castph_ps(_mm512_max_ph(_mm512_castps_ph(a), _mm512_castps_ph(b))) }
    }
    #[inline(always)]
    fn min_float16(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves the instructions.
        unsafe { _mm512_castph_ps(_mm512_min_ph(_mm512_castps_ph(a), _mm512_castps_ph(b))) }
    }
    #[inline(always)]
    fn exp2_float16(self, x: __m512) -> __m512 {
        let (three, two) = (self.splat_float16(5.516_98e-2), self.splat_float16(2.426_067_8e-1));
        let (one, zero) = (self.splat_float16(6.932_609e-1), self.splat_float16(1.0));
        // SAFETY: `self` proves the instructions.
        unsafe {
            let (three, two) = (_mm512_castps_ph(three), _mm512_castps_ph(two));
            let (one, zero) = (_mm512_castps_ph(one), _mm512_castps_ph(zero));
            let x = _mm512_castps_ph(x);
            let n = _mm512_roundscale_ph::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x);
            let f = _mm512_sub_ph(x, n);
            let p = _mm512_fmadd_ph(_mm512_fmadd_ph(_mm512_fmadd_ph(three, f, two), f, one), f, zero);
            _mm512_castph_ps(_mm512_scalef_ph(p, n))
        }
    }
    #[inline(always)]
    fn widened(self, pairs: __m512) -> [__m512; 2] {
        // SAFETY: `self` proves the instructions.
        unsafe {
            let low = _mm512_castps_si512(pairs);
            let high = _mm512_srli_epi32::<16>(low);
            [_mm512_cvtph_ps(_mm512_cvtepi32_epi16(low)), _mm512_cvtph_ps(_mm512_cvtepi32_epi16(high))]
        }
    }
    #[inline(always)]
    fn sum_of_float16(self, pair: __m512) -> __m512 {
        // SAFETY: `self` proves the instructions.
        unsafe {
            let high = _mm512_castsi512_ph(_mm512_srli_epi32::<16>(_mm512_castps_si512(pair)));
            let both = _mm512_castph_si512(_mm512_add_ph(_mm512_castps_ph(pair), high));
            let sums = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(both));
            _mm512_range_ps::<SMALLER_SIZE>(sums, _mm512_set1_ps(LARGEST))
        }
    }
});
