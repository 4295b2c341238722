//! What an instruction set must offer: sixteen float32 lanes, in as many registers as it takes.
//!
//! A value of a type that implements [`Lanes`] exists only if the CPU has the instructions (its `new` is the check), so
//! the arithmetic is safe to call; only reading and writing memory is not. The kernels are written once, generically, as
//! a [`Task`] whose `run` is always inlined into [`Lanes::enter`], the function that is compiled with the instructions.

use super::{
    grid::Element,
    tile::{Finish, Gather},
};
use crate::half::f32_from_f16;

/// Code that wants to be compiled for an instruction set. `run` must be `#[inline(always)]`.
pub(super) trait Task {
    type Out;
    fn run<L: Lanes>(self, lanes: L) -> Self::Out;
}

/// Sixteen float32 lanes on one instruction set.
pub(super) trait Lanes: Copy + Send + Sync {
    type V: Copy;

    /// Runs a task with the instructions switched on.
    fn enter<T: Task>(self, task: T) -> T::Out;

    /// Blocks of output that a tile takes, if `blocks` are to be computed from pixels `step` floats apart.
    fn group(blocks: usize, step: usize) -> usize;
    /// The most pixels a tile of `group` blocks takes; [`Lanes::tile`] knows every smaller number.
    fn widest(group: usize, step: usize) -> usize;
    /// Computes one tile of `group` blocks and `pixels` pixels, of numbers of an element. Of halves everything counts
    /// pairs of numbers as one, and `step` is 8 or 16; float16 only where it is multiplied.
    ///
    /// # Safety
    /// Every address that `gather` and `finish` describe for this many blocks and pixels must be valid.
    unsafe fn tile(self, element: Element, group: usize, pixels: usize, step: usize, gather: &Gather, finish: &Finish);

    /// # Safety
    /// Sixteen floats must be readable at `at`.
    unsafe fn load(self, at: *const f32) -> Self::V;
    /// Four floats, four times over.
    ///
    /// # Safety
    /// Four floats must be readable at `at`.
    unsafe fn repeat(self, at: *const f32) -> Self::V;
    /// # Safety
    /// Sixteen floats must be writable at `at`.
    unsafe fn store(self, at: *mut f32, v: Self::V);
    fn splat(self, x: f32) -> Self::V;
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// a * b + c
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The bfloat16 in the low 16 bits of each lane.
    fn low_half(self, a: Self::V) -> Self::V;
    /// The bfloat16 in the high 16 bits of each lane.
    fn high_half(self, a: Self::V) -> Self::V;
    /// c plus the two products of the bfloat16 pairs in each lane.
    #[inline(always)]
    fn dot_bfloat16(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        let c = self.fma(self.low_half(a), self.low_half(b), c);
        self.fma(self.high_half(a), self.high_half(b), c)
    }
    /// In each half of a lane, c plus the product, of float16.
    ///
    /// # Panics
    /// On an instruction set that has no float16.
    fn fma_float16(self, _a: Self::V, _b: Self::V, _c: Self::V) -> Self::V {
        no_float16()
    }
    /// In each lane the sum of its two float16, within their range.
    ///
    /// # Panics
    /// As [`Lanes::fma_float16`].
    fn sum_of_float16(self, _pair: Self::V) -> Self::V {
        no_float16()
    }
    /// In each lane the sum of the two float16 of `a` in its low half and that of `b` in its high half.
    ///
    /// # Panics
    /// As [`Lanes::fma_float16`], and where tiles of float16 have one block.
    fn pair_of_sums(self, _a: Self::V, _b: Self::V) -> Self::V {
        no_float16()
    }
    /// The same float16 in all halves.
    #[inline(always)]
    fn splat_float16(self, x: f32) -> Self::V {
        self.splat(f32::from_bits(u32::from(Element::Float16.half_of(x)) * 0x1_0001))
    }
    /// In each half a + b, of float16.
    ///
    /// # Panics
    /// As [`Lanes::fma_float16`].
    fn add_float16(self, _a: Self::V, _b: Self::V) -> Self::V {
        no_float16()
    }
    /// In each half the larger float16; `b` where `a` is none.
    ///
    /// # Panics
    /// As [`Lanes::pair_of_sums`].
    fn max_float16(self, _a: Self::V, _b: Self::V) -> Self::V {
        no_float16()
    }
    /// In each half the smaller float16; `b` where `a` is none.
    ///
    /// # Panics
    /// As [`Lanes::pair_of_sums`].
    fn min_float16(self, _a: Self::V, _b: Self::V) -> Self::V {
        no_float16()
    }
    /// In each half 2 to the power of the float16, to about a unit of its last place.
    ///
    /// # Panics
    /// As [`Lanes::pair_of_sums`].
    fn exp2_float16(self, _x: Self::V) -> Self::V {
        no_float16()
    }
    /// The float16 in the low halves of the lanes, and those in the high halves.
    ///
    /// # Panics
    /// As [`Lanes::pair_of_sums`].
    fn widened(self, _pairs: Self::V) -> [Self::V; 2] {
        no_float16()
    }
    /// Whether it has what a softmax of float16 takes.
    const SOFTMAX_OF_FLOAT16: bool = false;
    /// Rounds to bfloat16, to even between two.
    ///
    /// # Safety
    /// Sixteen halves must be writable at `at`.
    unsafe fn store_bfloat16(self, at: *mut u16, v: Self::V);
    /// Rounds to float16, to even between two; what is too large becomes the largest.
    ///
    /// # Safety
    /// Sixteen halves must be writable at `at`.
    #[inline(always)]
    unsafe fn store_float16(self, at: *mut u16, v: Self::V) {
        let mut all = [0.0; 16];
        // SAFETY: sixteen floats are there, and the caller promises the halves.
        unsafe {
            self.store(all.as_mut_ptr(), v);
            at.cast::<[u16; 16]>().write_unaligned(all.map(|v| Element::Float16.half_of(v)));
        }
    }
    /// # Safety
    /// Sixteen halves must be readable at `at`.
    #[inline(always)]
    unsafe fn load_float16(self, at: *const u16) -> Self::V {
        // SAFETY: the caller's promise, and sixteen floats are there.
        unsafe {
            let all = at.cast::<[u16; 16]>().read_unaligned().map(f32_from_f16);
            self.load(all.as_ptr())
        }
    }
    /// Reads sixteen numbers of an element, `at` numbers from `from` on.
    ///
    /// # Safety
    /// They must be readable there.
    #[inline(always)]
    unsafe fn get(self, element: Element, from: *const f32, at: usize) -> Self::V {
        // SAFETY: the caller's promise, and sixteen floats are there.
        unsafe {
            match element {
                Element::Float32 => self.load(from.add(at)),
                Element::Float16 => self.load_float16(from.cast::<u16>().add(at)),
                Element::Bfloat16 => {
                    let halves = from.cast::<u16>().add(at).cast::<[u16; 16]>().read_unaligned();
                    self.load(halves.map(|half| f32::from_bits(u32::from(half) << 16)).as_ptr())
                }
            }
        }
    }
    /// Writes sixteen numbers of an element, `at` numbers from `out` on.
    ///
    /// # Safety
    /// They must be writable there.
    #[inline(always)]
    unsafe fn put(self, element: Element, out: *mut f32, at: usize, v: Self::V) {
        // SAFETY: the caller's promise.
        unsafe {
            match element {
                Element::Float32 => self.store(out.add(at), v),
                Element::Bfloat16 => self.store_bfloat16(out.cast::<u16>().add(at), v),
                Element::Float16 => self.store_float16(out.cast::<u16>().add(at), v),
            }
        }
    }
    /// Asks for the line of `at`, which may be anywhere.
    fn prefetch(self, at: *const f32);
    /// The same for later: into the second-level cache.
    fn prefetch_later(self, at: *const f32);
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// 1 / a, to about float32 precision.
    fn recip(self, a: Self::V) -> Self::V;
    fn sqrt(self, a: Self::V) -> Self::V;
    /// To the nearest integer.
    fn round(self, a: Self::V) -> Self::V;
    /// 2^n for whole n in -126..=127.
    fn pow2(self, n: Self::V) -> Self::V;
    /// a * 2^n for whole n in -126..=127.
    fn times_pow2(self, a: Self::V, n: Self::V) -> Self::V {
        self.mul(a, self.pow2(n))
    }
    fn sum(self, a: Self::V) -> f32;
    fn largest(self, a: Self::V) -> f32;
    /// Writes 4 x 4 pixels of RGBA: lane `4 row + column`, values 0..=255 already clamped, rounded here.
    ///
    /// # Safety
    /// Four rows of 16 bytes, `row_bytes` apart, must be writable at `at`.
    unsafe fn paint(self, at: *mut u8, row_bytes: usize, rgb: [Self::V; 3]);
}

/// e^x. Cody-Waite reduction and the polynomial of Cephes `expf`; relative error below 2e-7 for x in -87..=88.
#[inline(always)]
pub(super) fn exp<L: Lanes>(l: L, x: L::V) -> L::V {
    let x = l.max(l.min(x, l.splat(88.0)), l.splat(-87.0));
    let n = l.round(l.mul(x, l.splat(std::f32::consts::LOG2_E)));
    let r = l.fma(n, l.splat(-0.693_359_4), x);
    let r = l.fma(n, l.splat(2.121_944_4e-4), r);
    let mut p = l.splat(1.987_569_1e-4);
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = l.fma(p, r, l.splat(c));
    }
    let p = l.fma(p, l.mul(r, r), l.add(r, l.splat(1.0)));
    l.times_pow2(p, n)
}

/// 2^x of x up to 0, no smaller than 2^-126. Polynomial of Cephes `exp2f`; relative error below 2e-7.
#[inline(always)]
pub(super) fn exp2<L: Lanes>(l: L, x: L::V) -> L::V {
    polynomial_2(
        l,
        x,
        [1.535_336_2e-4, 1.339_887_4e-3, 9.618_437e-3, 5.550_332_5e-2, 2.402_264_8e-1, 6.931_472e-1, 1.0],
    )
}

/// The same with a relative error of 8e-5: less than a third of the rounding to float16.
#[inline(always)]
pub(super) fn exp2_for_halves<L: Lanes>(l: L, x: L::V) -> L::V {
    polynomial_2(l, x, [5.516_98e-2, 2.426_067_8e-1, 6.932_609e-1, 9.999_284e-1])
}

/// 2^n times a polynomial of the fraction of x that is left of the nearest n.
#[inline(always)]
fn polynomial_2<L: Lanes, const N: usize>(l: L, x: L::V, polynomial: [f32; N]) -> L::V {
    let x = l.max(x, l.splat(-126.0));
    let n = l.round(x);
    let f = l.fma(n, l.splat(-1.0), x);
    let mut p = l.splat(polynomial[0]);
    for c in &polynomial[1..] {
        p = l.fma(p, f, l.splat(*c));
    }
    l.times_pow2(p, n)
}

/// x / (1 + e^-x)
#[inline(always)]
pub(super) fn silu<L: Lanes>(l: L, x: L::V) -> L::V {
    let e = exp(l, l.mul(x, l.splat(-1.0)));
    l.mul(x, l.recip(l.add(e, l.splat(1.0))))
}

/// Layers ask [`super::Instructions::has`] when they are made.
#[cold]
pub(super) fn no_float16() -> ! {
    unreachable!("float16 on a processor that does not multiply it")
}

/// The largest float16.
pub(super) const LARGEST: f32 = 65_504.0;

/// The nearest bfloat16, the even one of two.
#[inline(always)]
pub(super) fn bfloat16_of(x: f32) -> u16 {
    let bits = x.to_bits();
    (bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

/// x times the share of a normal distribution below x (GELU), with the error function as a quotient of polynomials (the
/// float32 one of Eigen), exact to a few units in the last place.
#[inline(always)]
pub(super) fn gelu<L: Lanes>(l: L, x: L::V) -> L::V {
    let z = l.mul(x, l.splat(std::f32::consts::FRAC_1_SQRT_2));
    let z = l.max(l.min(z, l.splat(4.0)), l.splat(-4.0));
    let s = l.mul(z, z);
    let mut p = l.splat(-2.726_142_3e-10);
    for c in [2.770_681_4e-8, -2.101_024e-6, -5.692_506_6e-5, -7.349_906_4e-4, -2.954_6e-3, -1.609_603_3e-2] {
        p = l.fma(p, s, l.splat(c));
    }
    let mut q = l.splat(-1.456_607_2e-5);
    for c in [-2.133_740_6e-4, -1.682_827e-3, -7.373_329_3e-3, -1.426_474e-2] {
        q = l.fma(q, s, l.splat(c));
    }
    let erf = l.mul(l.mul(z, p), l.recip(q));
    let half = l.mul(x, l.splat(0.5));
    l.fma(half, erf, half)
}
