//! AVX-512 (one register a block) and AVX2 with FMA (two registers a block).

use std::arch::x86_64::*;

use super::{
    lanes::{Lanes, Task},
    tile::{Finish, Gather, tiles},
};

/// Exists only on a CPU with AVX-512F.
#[derive(Debug, Clone, Copy)]
pub struct Avx512(());

impl Avx512 {
    pub(super) fn new() -> Option<Self> {
        is_x86_feature_detected!("avx512f").then_some(Self(()))
    }
}

impl Lanes for Avx512 {
    type V = __m512;

    fn enter<T: Task>(self, task: T) -> T::Out {
        #[target_feature(enable = "avx512f")]
        #[inline(never)]
        fn inside<T: Task>(l: Avx512, task: T) -> T::Out {
            task.run(l)
        }
        // SAFETY: `self` exists, so the CPU has AVX-512F.
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
            (3, 16) => 9,
            (_, 16) => 14,
            _ => 8,
        }
    }
    unsafe fn tile(self, group: usize, pixels: usize, step: usize, gather: &Gather, finish: &Finish) {
        tiles!(self, (group, pixels, step), gather, finish;
            1, 16: 1 2 3 4 5 6 7 8 9 10 11 12 13 14;
            2, 16: 1 2 3 4 5 6 7 8 9 10 11 12 13 14;
            3, 16: 1 2 3 4 5 6 7 8 9;
            1, 32: 1 2 3 4 5 6 7 8;
            2, 32: 1 2 3 4 5 6 7 8;
            3, 32: 1 2 3 4 5 6 7 8;
            1, 64: 1 2 3 4 5 6 7 8;
            1, 4: 1 2 3 4 5 6 7 8;
            2, 4: 1 2 3 4 5 6 7 8;)
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

/// Exists only on a CPU with AVX2 and FMA.
#[derive(Debug, Clone, Copy)]
pub struct Avx2(());

impl Avx2 {
    pub(super) fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

/// A block: the low and the high eight lanes.
type Pair = [__m256; 2];

impl Lanes for Avx2 {
    type V = Pair;

    fn enter<T: Task>(self, task: T) -> T::Out {
        #[target_feature(enable = "avx2,fma")]
        #[inline(never)]
        fn inside<T: Task>(l: Avx2, task: T) -> T::Out {
            task.run(l)
        }
        // SAFETY: `self` exists, so the CPU has AVX2 and FMA.
        unsafe { inside(self, task) }
    }
    // 16 registers: 6 pixels x 2 registers leave two for the weights and one for the input.
    fn group(_blocks: usize, _step: usize) -> usize {
        1
    }
    fn widest(group: usize, _step: usize) -> usize {
        if group == 1 { 6 } else { 2 }
    }
    unsafe fn tile(self, group: usize, pixels: usize, step: usize, gather: &Gather, finish: &Finish) {
        tiles!(self, (group, pixels, step), gather, finish;
            1, 16: 1 2 3 4 5 6; 1, 32: 1 2 3 4 5 6; 1, 64: 1 2 3 4 5 6; 1, 4: 1 2 3 4 5 6; 3, 16: 1 2;)
    }
    #[inline(always)]
    unsafe fn load(self, at: *const f32) -> Pair {
        // SAFETY: the caller's promise; `self` proves the instructions.
        unsafe { [_mm256_loadu_ps(at), _mm256_loadu_ps(at.add(8))] }
    }
    #[inline(always)]
    unsafe fn repeat(self, at: *const f32) -> Pair {
        // SAFETY: the caller's promise; `self` proves the instructions.
        unsafe {
            {
                let four = _mm_loadu_ps(at);
                [_mm256_set_m128(four, four); 2]
            }
        }
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut f32, v: Pair) {
        // SAFETY: the caller's promise; `self` proves the instructions.
        unsafe {
            _mm256_storeu_ps(at, v[0]);
            _mm256_storeu_ps(at.add(8), v[1]);
        }
    }
    #[inline(always)]
    fn splat(self, x: f32) -> Pair {
        // SAFETY: `self` proves the instructions, here and in the rest of this block.
        unsafe { [_mm256_set1_ps(x); 2] }
    }
    #[inline(always)]
    fn add(self, a: Pair, b: Pair) -> Pair {
        // SAFETY: as above.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn mul(self, a: Pair, b: Pair) -> Pair {
        // SAFETY: as above.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn fma(self, a: Pair, b: Pair, c: Pair) -> Pair {
        // SAFETY: as above.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }
    #[inline(always)]
    fn max(self, a: Pair, b: Pair) -> Pair {
        // SAFETY: as above.
        unsafe { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn min(self, a: Pair, b: Pair) -> Pair {
        // SAFETY: as above.
        unsafe { [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn recip(self, a: Pair) -> Pair {
        // SAFETY: as above.
        unsafe {
            let one = _mm256_set1_ps(1.0);
            [_mm256_div_ps(one, a[0]), _mm256_div_ps(one, a[1])]
        }
    }
    #[inline(always)]
    fn round(self, a: Pair) -> Pair {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        // SAFETY: as above.
        unsafe { [_mm256_round_ps::<NEAREST>(a[0]), _mm256_round_ps::<NEAREST>(a[1])] }
    }
    #[inline(always)]
    fn pow2(self, n: Pair) -> Pair {
        // SAFETY: as above.
        unsafe {
            let bias = _mm256_set1_epi32(127);
            let low = _mm256_add_epi32(_mm256_cvtps_epi32(n[0]), bias);
            let high = _mm256_add_epi32(_mm256_cvtps_epi32(n[1]), bias);
            [_mm256_castsi256_ps(_mm256_slli_epi32::<23>(low)), _mm256_castsi256_ps(_mm256_slli_epi32::<23>(high))]
        }
    }
    #[inline(always)]
    fn sum(self, a: Pair) -> f32 {
        let mut all = [0.0; 16];
        // SAFETY: sixteen floats are there.
        unsafe { self.store(all.as_mut_ptr(), a) };
        all.iter().sum()
    }
    #[inline(always)]
    fn largest(self, a: Pair) -> f32 {
        let mut all = [0.0; 16];
        // SAFETY: sixteen floats are there.
        unsafe { self.store(all.as_mut_ptr(), a) };
        all.iter().fold(f32::MIN, |m, v| m.max(*v))
    }
    #[inline(always)]
    unsafe fn paint(self, at: *mut u8, row_bytes: usize, rgb: [Pair; 3]) {
        for half in 0..2 {
            // SAFETY: the caller promises four rows of 16 bytes; each half writes two. `self` proves the instructions.
            unsafe {
                let (r, g) = (_mm256_cvtps_epi32(rgb[0][half]), _mm256_cvtps_epi32(rgb[1][half]));
                let b = _mm256_cvtps_epi32(rgb[2][half]);
                let rg = _mm256_or_si256(r, _mm256_slli_epi32::<8>(g));
                let ba = _mm256_or_si256(_mm256_slli_epi32::<16>(b), _mm256_set1_epi32(0xff00_0000_u32 as i32));
                let px = _mm256_or_si256(rg, ba);
                let at = at.add(2 * half * row_bytes);
                _mm_storeu_si128(at.cast(), _mm256_castsi256_si128(px));
                _mm_storeu_si128(at.add(row_bytes).cast(), _mm256_extracti128_si256::<1>(px));
            }
        }
    }
}
