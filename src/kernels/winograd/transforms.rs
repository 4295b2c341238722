//! Winograd's transforms of tiles: inputs to frequencies, and frequencies of the sums to outputs.

use super::{Call, FREQUENCIES, IN, OUT};
use crate::kernels::{
    conv::Out,
    floats::LANES,
    lanes::{Lanes, Task},
};

/// Filter to frequencies, with the points 0, 1, -1, 2, -2 and infinity.
const G: [[f64; 3]; IN] = [
    [0.25, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];

/// The filters of some outputs to frequencies, in float64: a packed group of blocks.
pub(super) struct Filter<'a, F> {
    pub weight: &'a F,
    pub first: usize,
    pub lanes: usize,
    pub inputs: usize,
    /// `[frequency][input channel][lane]`
    pub out: &'a mut [f32],
}

impl<F: Fn(usize, usize, usize) -> f32> Task for Filter<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let size = self.inputs * self.lanes;
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
                                G[u][0] * g[x][lane] + G[u][1] * g[3 + x][lane] + G[u][2] * g[6 + x][lane];
                        }
                    }
                }
                for f in 0..FREQUENCIES {
                    let (h, v) = (&half[f / IN], G[f % IN]);
                    let out = &mut self.out[f * size + c * self.lanes + block..][..LANES];
                    for lane in 0..LANES {
                        out[lane] = (h[0][lane] * v[0] + h[1][lane] * v[1] + h[2][lane] * v[2]) as f32;
                    }
                }
            }
        }
    }
}

#[repr(align(64))]
struct Square<const R: usize>([[[f32; LANES]; IN]; R]);

/// Inputs of some tiles to frequencies: rows, then columns.
pub(super) struct Forward<'a> {
    pub call: &'a Call<'a>,
    pub tiles: std::ops::Range<usize>,
    /// The first tile's first block at the first frequency; room for [`Call::size`] tiles of each block.
    pub to: *mut f32,
    /// Floats from a frequency to the next.
    pub stride: usize,
}

impl Task for Forward<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let input = self.call.input;
        debug_assert!(self.tiles.len() <= self.call.size && self.stride * FREQUENCIES > 0);
        let mut patch = Square::<IN>([[[0.0; LANES]; IN]; IN]);
        let mut half = Square::<IN>([[[0.0; LANES]; IN]; IN]);
        // Tile after tile of a block, so that each frequency is written in order.
        for block in 0..self.call.layer.inputs {
            for (i, tile) in self.tiles.clone().enumerate() {
                let (y, x) = (tile / self.call.columns * OUT, tile % self.call.columns * OUT);
                let whole = self.call.times == 1 && y + OUT <= input.height && x + OUT <= input.width;
                let to = self.to.wrapping_add((block * self.call.size + i) * LANES);
                let (from, row) = if whole {
                    // The pixel above and to the left of the tile.
                    let corner = block * input.plane() + y * input.row() + x * LANES;
                    (input.floats()[corner..].as_ptr(), input.row())
                } else {
                    for i in 0..IN {
                        for j in 0..IN {
                            // Counted from the border above and to the left, of what is convolved and of the input.
                            let inside = y + i <= self.call.height + 1 && x + j <= self.call.width + 1;
                            let place = |n: usize| if self.call.times == 1 { n } else { n.div_ceil(2) };
                            let at = block * input.plane() + place(y + i) * input.row() + place(x + j) * LANES;
                            patch.0[i][j] = [0.0; LANES];
                            if inside {
                                patch.0[i][j].copy_from_slice(&input.floats()[at..at + LANES]);
                            }
                        }
                    }
                    (patch.0[0][0].as_ptr(), IN * LANES)
                };
                // SAFETY: six rows of six pixels lie at `from` (a whole tile with its border of one, or the patch), and
                // `to` has a place for this block and tile at each of 36 frequencies.
                unsafe {
                    for i in 0..IN {
                        let line = from.add(i * row);
                        let d = forward(l, line, LANES);
                        for j in 0..IN {
                            l.store(half.0[i][j].as_mut_ptr(), d[j]);
                        }
                    }
                    for j in 0..IN {
                        let d = forward(l, half.0[0][j].as_ptr(), IN * LANES);
                        for i in 0..IN {
                            l.store(to.add((i * IN + j) * self.stride), d[i]);
                        }
                    }
                }
            }
        }
    }
}

/// Six inputs, `step` floats apart, to six frequencies.
///
/// # Safety
/// All six must be readable.
#[inline(always)]
unsafe fn forward<L: Lanes>(l: L, at: *const f32, step: usize) -> [L::V; IN] {
    let mut d = [l.splat(0.0); IN];
    for i in 0..IN {
        // SAFETY: the caller's promise.
        d[i] = unsafe { l.load(at.add(i * step)) };
    }
    let (four, minus_four, minus_five) = (l.splat(4.0), l.splat(-4.0), l.splat(-5.0));
    let (minus_one, two, minus_two) = (l.splat(-1.0), l.splat(2.0), l.splat(-2.0));
    let a = l.fma(d[2], minus_four, d[4]);
    let b = l.fma(d[1], minus_four, d[3]);
    let c = l.fma(d[2], minus_one, d[4]);
    let e = l.fma(d[1], minus_one, d[3]);
    [
        l.fma(d[0], four, l.fma(d[2], minus_five, d[4])),
        l.add(a, b),
        l.fma(b, minus_one, a),
        l.fma(e, two, c),
        l.fma(e, minus_two, c),
        l.fma(d[1], four, l.fma(d[3], minus_five, d[5])),
    ]
}

/// Six frequencies, `step` floats apart, to four outputs.
///
/// # Safety
/// All six must be readable.
#[inline(always)]
unsafe fn backward<L: Lanes>(l: L, at: *const f32, step: usize) -> [L::V; OUT] {
    let mut m = [l.splat(0.0); IN];
    for i in 0..IN {
        // SAFETY: the caller's promise.
        m[i] = unsafe { l.load(at.add(i * step)) };
    }
    let minus_one = l.splat(-1.0);
    let (s, d) = (l.add(m[1], m[2]), l.fma(m[2], minus_one, m[1]));
    let (p, q) = (l.add(m[3], m[4]), l.fma(m[4], minus_one, m[3]));
    [
        l.add(m[0], l.add(s, p)),
        l.fma(q, l.splat(2.0), d),
        l.fma(p, l.splat(4.0), s),
        l.add(m[5], l.fma(q, l.splat(8.0), d)),
    ]
}

/// Frequencies of the sums to outputs, and what follows the convolution.
pub(super) struct Backward<'a> {
    pub call: &'a Call<'a>,
    pub tiles: std::ops::Range<usize>,
    /// As [`Forward::to`].
    pub from: *const f32,
    pub stride: usize,
}

impl Task for Backward<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let (call, finish) = (self.call, self.call.finish);
        let mut half = Square::<OUT>([[[0.0; LANES]; IN]; OUT]);
        let mut sums = [
            Square::<OUT>([[[0.0; LANES]; IN]; OUT]),
            Square([[[0.0; LANES]; IN]; OUT]),
            Square([[[0.0; LANES]; IN]; OUT]),
        ];
        let together = if call.layer.paints { 3 } else { 1 };
        for first in (0..call.layer.outputs).step_by(together) {
            for (n, tile) in self.tiles.clone().enumerate() {
                let (y, x) = (tile / call.columns * OUT, tile % call.columns * OUT);
                let (rows, columns) = (OUT.min(call.height - y), OUT.min(call.width - x));
                for (k, sums) in sums[..together].iter_mut().enumerate() {
                    let from = self.from.wrapping_add(((first + k) * call.size + n) * LANES);
                    let (mul, add) = finish.affine.at((first + k) * LANES);
                    // SAFETY: 36 frequencies of this block and tile lie at `from`; sixteen factors and terms a block.
                    unsafe {
                        let (mul, add) = (l.load(mul.as_ptr()), l.load(add.as_ptr()));
                        for j in 0..IN {
                            let m = backward(l, from.add(j * self.stride), IN * self.stride);
                            for i in 0..OUT {
                                l.store(half.0[i][j].as_mut_ptr(), m[i]);
                            }
                        }
                        for i in 0..OUT {
                            let m = backward(l, half.0[i][0].as_ptr(), LANES);
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
                                Out::Blocks { out, plus, origin, row, step, ref blocks, halves } => {
                                    for k in 0..together {
                                        let at = origin + (y + i) * row + (x + j) * step + blocks[first + k];
                                        let mut v = finish.before.of(l, l.load(sums[k].0[i][j].as_ptr()));
                                        if !plus.is_null() {
                                            v = l.add(v, l.load(plus.add(at)));
                                        }
                                        let v = finish.after.of(l, v);
                                        if halves {
                                            l.store_halves(out.cast::<u16>().add(at), v);
                                        } else {
                                            l.store(out.add(at), v);
                                        }
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
