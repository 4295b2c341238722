//! Winograd's transforms of tiles: inputs to frequencies, and frequencies of the sums to outputs.

use super::Call;
use crate::kernels::{
    Element,
    conv::Out,
    floats::LANES,
    lanes::{Lanes, Task},
};

/// Tiles of `OUT` outputs a side, of `IN` inputs a side.
pub(super) struct Cut<const OUT: usize, const IN: usize>;

/// The transforms along a side.
pub(super) trait Transform<const OUT: usize, const IN: usize> {
    /// Filter to frequencies.
    const FILTER: [[f64; 3]; IN];
    /// Inputs to frequencies.
    fn forward<L: Lanes>(l: L, d: [L::V; IN]) -> [L::V; IN];
    /// Frequencies to outputs.
    fn backward<L: Lanes>(l: L, m: [L::V; IN]) -> [L::V; OUT];
}

/// A polynomial of the filter at a point, divided by the point's distances from the others.
const fn at(point: f64, others: f64) -> [f64; 3] {
    [1.0 / others, point / others, point * point / others]
}

/// The polynomials are taken at 0, +-P, +-Q and infinity. With 5/8 and 3/2 the rounding of frequencies grows to half of
/// what it does with the usual 1 and 2 (measured over a grid of pairs), and all factors are exact.
const P: f32 = 0.625;
const Q: f32 = 1.5;

impl Transform<4, 6> for Cut<4, 6> {
    const FILTER: [[f64; 3]; 6] = {
        let (p, q) = (P as f64, Q as f64);
        let (pp, qq) = (p * p, q * q);
        let (of_p, of_q) = (2.0 * pp * (pp - qq), 2.0 * qq * (qq - pp));
        [at(0.0, pp * qq), at(p, of_p), at(-p, of_p), at(q, of_q), at(-q, of_q), [0.0, 0.0, 1.0]]
    };

    #[inline(always)]
    fn forward<L: Lanes>(l: L, d: [L::V; 6]) -> [L::V; 6] {
        let (pp, qq) = (P * P, Q * Q);
        let (minus_pp, minus_qq, sum) = (l.splat(-pp), l.splat(-qq), l.splat(-pp - qq));
        let product = l.splat(pp * qq);
        // Even and odd powers, of which the points of either sign are sum and difference.
        let (even_p, odd_p) = (l.fma(d[2], minus_qq, d[4]), l.fma(d[1], minus_qq, d[3]));
        let (even_q, odd_q) = (l.fma(d[2], minus_pp, d[4]), l.fma(d[1], minus_pp, d[3]));
        [
            l.fma(d[0], product, l.fma(d[2], sum, d[4])),
            l.fma(odd_p, l.splat(P), even_p),
            l.fma(odd_p, l.splat(-P), even_p),
            l.fma(odd_q, l.splat(Q), even_q),
            l.fma(odd_q, l.splat(-Q), even_q),
            l.fma(d[1], product, l.fma(d[3], sum, d[5])),
        ]
    }

    #[inline(always)]
    fn backward<L: Lanes>(l: L, m: [L::V; 6]) -> [L::V; 4] {
        let minus_one = l.splat(-1.0);
        let (even_p, odd_p) = (l.add(m[1], m[2]), l.fma(m[2], minus_one, m[1]));
        let (even_q, odd_q) = (l.add(m[3], m[4]), l.fma(m[4], minus_one, m[3]));
        [
            l.add(m[0], l.add(even_p, even_q)),
            l.fma(odd_q, l.splat(Q), l.mul(odd_p, l.splat(P))),
            l.fma(even_q, l.splat(Q * Q), l.mul(even_p, l.splat(P * P))),
            l.fma(odd_q, l.splat(Q * Q * Q), l.fma(odd_p, l.splat(P * P * P), m[5])),
        ]
    }
}

/// At 0, 1, -1 and infinity.
impl Transform<2, 4> for Cut<2, 4> {
    const FILTER: [[f64; 3]; 4] = [at(0.0, -1.0), at(1.0, 2.0), at(-1.0, 2.0), [0.0, 0.0, 1.0]];

    #[inline(always)]
    fn forward<L: Lanes>(l: L, d: [L::V; 4]) -> [L::V; 4] {
        let minus_one = l.splat(-1.0);
        [l.fma(d[0], minus_one, d[2]), l.add(d[2], d[1]), l.fma(d[1], minus_one, d[2]), l.fma(d[1], minus_one, d[3])]
    }

    #[inline(always)]
    fn backward<L: Lanes>(l: L, m: [L::V; 4]) -> [L::V; 2] {
        let odd = l.fma(m[2], l.splat(-1.0), m[1]);
        [l.add(m[0], l.add(m[1], m[2])), l.add(odd, m[3])]
    }
}

/// The filters of some outputs to frequencies, in float64: a packed group of blocks.
pub(super) struct Filter<'a, F, const OUT: usize, const IN: usize> {
    pub weight: &'a F,
    pub first: usize,
    pub lanes: usize,
    pub inputs: usize,
    pub element: Element,
    /// `[frequency][input channel][lane]`, of float16 `[frequency][channel pair][lane][2]`
    pub out: &'a mut [f32],
}

impl<F: Fn(usize, usize, usize) -> f32, const OUT: usize, const IN: usize> Task for Filter<'_, F, OUT, IN>
where
    Cut<OUT, IN>: Transform<OUT, IN>,
{
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let size = self.inputs / LANES * self.element.words() * self.lanes;
        let by = <Cut<OUT, IN> as Transform<OUT, IN>>::FILTER;
        for c in 0..self.inputs {
            for block in (0..self.lanes).step_by(LANES) {
                let mut g = [[0.0_f64; LANES]; 9];
                for lane in 0..LANES {
                    for t in 0..9 {
                        g[t][lane] = f64::from((self.weight)(self.first + block + lane, t, c));
                    }
                }
                let mut half = [[[0.0_f64; LANES]; 3]; IN];
                for u in 0..IN {
                    for x in 0..3 {
                        for lane in 0..LANES {
                            half[u][x][lane] =
                                by[u][0] * g[x][lane] + by[u][1] * g[3 + x][lane] + by[u][2] * g[6 + x][lane];
                        }
                    }
                }
                for f in 0..IN * IN {
                    let (h, v) = (&half[f / IN], by[f % IN]);
                    let sum = |lane: usize| (h[0][lane] * v[0] + h[1][lane] * v[1] + h[2][lane] * v[2]) as f32;
                    if self.element == Element::Float32 {
                        let out = &mut self.out[f * size + c * self.lanes + block..][..LANES];
                        for lane in 0..LANES {
                            out[lane] = sum(lane);
                        }
                        continue;
                    }
                    let out = &mut self.out[f * size + c / 2 * self.lanes + block..][..LANES];
                    for (lane, pair) in out.iter_mut().enumerate() {
                        let half = u32::from(self.element.half_of(sum(lane)));
                        *pair = f32::from_bits(pair.to_bits() | half << (16 * (c % 2)));
                    }
                }
            }
        }
    }
}

#[repr(align(64))]
struct Square<const R: usize, const C: usize>([[[f32; LANES]; C]; R]);

/// Inputs of some tiles to frequencies: rows, then columns.
pub(super) struct Forward<'a, const OUT: usize, const IN: usize> {
    pub call: &'a Call<'a, OUT, IN>,
    pub tiles: std::ops::Range<usize>,
    /// The first tile's first block at the first frequency; room for [`Call::size`] tiles of each block.
    pub to: *mut f32,
    /// Floats from a frequency to the next.
    pub stride: usize,
}

impl<const OUT: usize, const IN: usize> Task for Forward<'_, OUT, IN>
where
    Cut<OUT, IN>: Transform<OUT, IN>,
{
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let (input, element) = (self.call.input, self.call.layer.element);
        debug_assert!(self.tiles.len() <= self.call.size && self.stride * IN > 0);
        let mut patch = Square::<IN, IN>([[[0.0; LANES]; IN]; IN]);
        let mut half = Square::<IN, IN>([[[0.0; LANES]; IN]; IN]);
        // Tile after tile of a block, so that each frequency is written in order.
        for block in 0..self.call.layer.inputs {
            for (i, tile) in self.tiles.clone().enumerate() {
                let (y, x) = (tile / self.call.columns * OUT, tile % self.call.columns * OUT);
                let whole = self.call.times == 1 && y + OUT <= input.height && x + OUT <= input.width;
                let to = self.to.wrapping_add((block * self.call.size + i) * element.words());
                let numbers = input.words().as_ptr();
                let (from, corner, row, of) = if whole {
                    // The pixel above and to the left of the tile.
                    let corner = block * input.plane() + y * input.row() + x * LANES;
                    (numbers, corner, input.row(), input.element)
                } else {
                    for i in 0..IN {
                        for j in 0..IN {
                            // Counted from the border above and to the left, of what is convolved and of the input.
                            let inside = y + i <= self.call.height + 1 && x + j <= self.call.width + 1;
                            let place = |n: usize| if self.call.times == 1 { n } else { n.div_ceil(2) };
                            let at = block * input.plane() + place(y + i) * input.row() + place(x + j) * LANES;
                            patch.0[i][j] = [0.0; LANES];
                            if inside {
                                // SAFETY: a pixel of the input or of its border.
                                unsafe { l.store(patch.0[i][j].as_mut_ptr(), l.get(input.element, numbers, at)) };
                            }
                        }
                    }
                    (patch.0[0][0].as_ptr(), 0, IN * LANES, Element::Float32)
                };
                // SAFETY: `IN` rows of as many pixels lie at `from` (a whole tile with its border of one, or the patch), and
                // `to` has a place for this block and tile at each frequency.
                unsafe {
                    for i in 0..IN {
                        let d = forward::<L, OUT, IN>(l, of, from, corner + i * row, LANES);
                        for j in 0..IN {
                            l.store(half.0[i][j].as_mut_ptr(), d[j]);
                        }
                    }
                    for j in 0..IN {
                        let d = forward::<L, OUT, IN>(l, Element::Float32, half.0[0][j].as_ptr(), 0, IN * LANES);
                        for i in 0..IN {
                            l.put(element, to.add((i * IN + j) * self.stride), 0, d[i]);
                        }
                    }
                }
            }
        }
    }
}

/// Inputs of an element, from number `at` on and `step` numbers apart, to frequencies.
///
/// # Safety
/// All of them must be readable.
#[inline(always)]
unsafe fn forward<L: Lanes, const OUT: usize, const IN: usize>(
    l: L,
    element: Element,
    from: *const f32,
    at: usize,
    step: usize,
) -> [L::V; IN]
where
    Cut<OUT, IN>: Transform<OUT, IN>,
{
    let mut d = [l.splat(0.0); IN];
    for i in 0..IN {
        // SAFETY: the caller's promise.
        d[i] = unsafe { l.get(element, from, at + i * step) };
    }
    <Cut<OUT, IN> as Transform<OUT, IN>>::forward(l, d)
}

/// Frequencies, `step` floats apart, to outputs.
///
/// # Safety
/// All of them must be readable.
#[inline(always)]
unsafe fn backward<L: Lanes, const OUT: usize, const IN: usize>(
    l: L,
    element: Element,
    at: *const f32,
    step: usize,
) -> [L::V; OUT]
where
    Cut<OUT, IN>: Transform<OUT, IN>,
{
    let mut m = [l.splat(0.0); IN];
    for i in 0..IN {
        // SAFETY: the caller's promise.
        m[i] = unsafe { l.get(element, at.add(i * step), 0) };
    }
    <Cut<OUT, IN> as Transform<OUT, IN>>::backward(l, m)
}

/// Frequencies of the sums to outputs, and what follows the convolution.
pub(super) struct Backward<'a, const OUT: usize, const IN: usize> {
    pub call: &'a Call<'a, OUT, IN>,
    pub tiles: std::ops::Range<usize>,
    /// As [`Forward::to`].
    pub from: *const f32,
    pub stride: usize,
}

impl<const OUT: usize, const IN: usize> Task for Backward<'_, OUT, IN>
where
    Cut<OUT, IN>: Transform<OUT, IN>,
{
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let (call, finish, element) = (self.call, self.call.finish, self.call.layer.element);
        let mut half = Square::<OUT, IN>([[[0.0; LANES]; IN]; OUT]);
        let mut sums = [
            Square::<OUT, OUT>([[[0.0; LANES]; OUT]; OUT]),
            Square([[[0.0; LANES]; OUT]; OUT]),
            Square([[[0.0; LANES]; OUT]; OUT]),
        ];
        let together = if call.layer.paints { 3 } else { 1 };
        for first in (0..call.layer.outputs).step_by(together) {
            for (n, tile) in self.tiles.clone().enumerate() {
                let (y, x) = (tile / call.columns * OUT, tile % call.columns * OUT);
                let (rows, columns) = (OUT.min(call.height - y), OUT.min(call.width - x));
                for (k, sums) in sums[..together].iter_mut().enumerate() {
                    let from = self.from.wrapping_add(((first + k) * call.size + n) * element.words());
                    let (mul, add) = finish.affine.at((first + k) * LANES);
                    // SAFETY: all frequencies of this block and tile lie at `from`; sixteen factors and terms a block.
                    unsafe {
                        let (mul, add) = (l.load(mul.as_ptr()), l.load(add.as_ptr()));
                        for j in 0..IN {
                            let m = backward::<L, OUT, IN>(l, element, from.add(j * self.stride), IN * self.stride);
                            for i in 0..OUT {
                                l.store(half.0[i][j].as_mut_ptr(), m[i]);
                            }
                        }
                        for i in 0..OUT {
                            let m = backward::<L, OUT, IN>(l, Element::Float32, half.0[i][0].as_ptr(), LANES);
                            for j in 0..OUT {
                                l.store(sums.0[i][j].as_mut_ptr(), l.fma(m[j], mul, add));
                            }
                        }
                    }
                }
                for i in 0..rows {
                    for j in 0..columns {
                        // SAFETY: pixel (y + i, x + j) is inside the target, as `Out::new` has checked, and in this
                        // tile alone.
                        unsafe {
                            match call.out {
                                Out::Blocks {
                                    out,
                                    plus: (plus, plus_element),
                                    origin,
                                    row,
                                    step,
                                    ref blocks,
                                    element,
                                } => {
                                    for k in 0..together {
                                        let at = origin + (y + i) * row + (x + j) * step + blocks[first + k];
                                        let mut v = finish.before.of(l, l.load(sums[k].0[i][j].as_ptr()));
                                        if !plus.is_null() {
                                            v = l.add(v, l.get(plus_element, plus, at));
                                        }
                                        l.put(element, out, at, finish.after.of(l, v));
                                    }
                                }
                                // Refused by `run`.
                                Out::Gated { .. } => {}
                                Out::Bytes { at, row_bytes } => {
                                    let (black, white) = (l.splat(0.0), l.splat(255.0));
                                    let mut rgb = [black; 3];
                                    for k in 0..3 {
                                        rgb[k] = l.min(l.max(l.load(sums[k].0[i][j].as_ptr()), black), white);
                                    }
                                    l.paint(at.add(4 * (y + i) * row_bytes + 16 * (x + j)), row_bytes, rgb);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
