//! AVX2 with FMA: two registers a block.

use std::arch::x86_64::*;

use crate::kernels::{
    grid::Element,
    lanes::{Lanes, Task, no_float16},
    tile::{Finish, Gather, tiles},
};

/// Exists only on a CPU with AVX2 and FMA.
#[derive(Debug, Clone, Copy)]
pub struct Avx2(());

impl Avx2 {
    pub(in crate::kernels) fn new() -> Option<Self> {
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
    #[inline(always)]
    unsafe fn store_bfloat16(self, at: *mut u16, v: Pair) {
        for half in 0..2 {
            // SAFETY: the caller promises sixteen halves; `self` proves the instructions.
            unsafe {
                let bits = _mm256_castps_si256(v[half]);
                let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
                let rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
                let high = _mm256_srli_epi32::<16>(rounded);
                let packed = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi32(high, high));
                _mm_storeu_si128(at.add(8 * half).cast(), _mm256_castsi256_si128(packed));
            }
        }
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
    fn low_half(self, a: Pair) -> Pair {
        // SAFETY: `self` proves the instructions.
        a.map(|a| unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_castps_si256(a))) })
    }
    #[inline(always)]
    fn high_half(self, a: Pair) -> Pair {
        // SAFETY: `self` proves the instructions.
        unsafe {
            let mask = _mm256_castsi256_ps(_mm256_set1_epi32(0xffff_0000_u32 as i32));
            [_mm256_and_ps(a[0], mask), _mm256_and_ps(a[1], mask)]
        }
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
    fn sqrt(self, a: Pair) -> Pair {
        // SAFETY: as above.
        unsafe { [_mm256_sqrt_ps(a[0]), _mm256_sqrt_ps(a[1])] }
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
