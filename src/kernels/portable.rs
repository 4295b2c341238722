//! Sixteen lanes in plain Rust, for every CPU without one of the other sets. The compiler vectorises what it can.

use super::{
    grid::Element,
    lanes::{Lanes, Task, bfloat16_of, no_float16},
    tile::{Finish, Gather, tiles},
};

#[derive(Debug, Clone, Copy)]
pub struct Portable(());

impl Portable {
    pub(super) fn new() -> Self {
        Self(())
    }
}

type V = [f32; 16];

#[inline(always)]
fn each(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    std::array::from_fn(|i| f(a[i], b[i]))
}

impl Lanes for Portable {
    type V = V;

    fn enter<T: Task>(self, task: T) -> T::Out {
        task.run(self)
    }
    fn group(_blocks: usize, _step: usize) -> usize {
        1
    }
    fn widest(group: usize, _step: usize) -> usize {
        if group == 1 { 2 } else { 1 }
    }
    unsafe fn tile(self, element: Element, group: usize, pixels: usize, step: usize, gather: &Gather, finish: &Finish) {
        let shape = (group, pixels, step);
        match element {
            Element::Float32 => tiles!(self, OfFloat32, shape, gather, finish;
                1, 16: 1 2; 1, 32: 1 2; 1, 64: 1 2; 1, 4: 1 2; 2, 16: 1; 3, 16: 1;),
            Element::Bfloat16 => tiles!(self, OfBfloat16, shape, gather, finish; 1, 8: 1 2; 1, 16: 1 2; 2, 8: 1;),
            Element::Float16 => no_float16(),
        }
    }
    #[inline(always)]
    unsafe fn store_bfloat16(self, at: *mut u16, v: V) {
        // SAFETY: the caller's promise.
        unsafe { at.cast::<[u16; 16]>().write_unaligned(v.map(bfloat16_of)) }
    }
    #[inline(always)]
    fn prefetch(self, _at: *const f32) {}
    #[inline(always)]
    fn prefetch_later(self, _at: *const f32) {}
    #[inline(always)]
    fn low_half(self, a: V) -> V {
        a.map(|a| f32::from_bits(a.to_bits() << 16))
    }
    #[inline(always)]
    fn high_half(self, a: V) -> V {
        a.map(|a| f32::from_bits(a.to_bits() & 0xffff_0000))
    }
    #[inline(always)]
    unsafe fn load(self, at: *const f32) -> V {
        // SAFETY: the caller's promise.
        unsafe { at.cast::<V>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn repeat(self, at: *const f32) -> V {
        // SAFETY: the caller's promise.
        let four = unsafe { at.cast::<[f32; 4]>().read_unaligned() };
        std::array::from_fn(|i| four[i % 4])
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut f32, v: V) {
        // SAFETY: the caller's promise.
        unsafe { at.cast::<V>().write_unaligned(v) }
    }
    #[inline(always)]
    fn splat(self, x: f32) -> V {
        [x; 16]
    }
    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        each(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        each(a, b, |a, b| a * b)
    }
    // Not `mul_add`: without the instruction that is a call into the C library.
    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        each(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        each(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn recip(self, a: V) -> V {
        a.map(|a| 1.0 / a)
    }
    #[inline(always)]
    fn sqrt(self, a: V) -> V {
        a.map(f32::sqrt)
    }
    #[inline(always)]
    fn round(self, a: V) -> V {
        // Adding and taking away 1.5 x 2^23 rounds to even without a call into the C library; good for |a| < 2^22.
        const BIG: f32 = 12_582_912.0;
        a.map(|a| (a + BIG) - BIG)
    }
    #[inline(always)]
    fn pow2(self, n: V) -> V {
        n.map(|n| f32::from_bits((((n as i32) + 127) as u32) << 23))
    }
    #[inline(always)]
    fn sum(self, a: V) -> f32 {
        a.iter().sum()
    }
    #[inline(always)]
    fn largest(self, a: V) -> f32 {
        a.iter().fold(f32::MIN, |m, v| m.max(*v))
    }
    #[inline(always)]
    unsafe fn paint(self, at: *mut u8, row_bytes: usize, rgb: [V; 3]) {
        let [r, g, b] = rgb.map(|c| self.round(c));
        for row in 0..4 {
            let pixels: [[u8; 4]; 4] = std::array::from_fn(|x| {
                let i = 4 * row + x;
                [r[i] as u8, g[i] as u8, b[i] as u8, 255]
            });
            // SAFETY: the caller promises four rows of 16 bytes.
            unsafe { at.add(row * row_bytes).cast::<[[u8; 4]; 4]>().write_unaligned(pixels) }
        }
    }
}
