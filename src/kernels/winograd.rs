//! 3x3 convolutions by Winograd's F(4x4, 3x3): a quarter of the multiplications (Lavin and Gray, arXiv:1509.09308).
//!
//! Tiles of 4x4 outputs are cut from 6x6 inputs, transformed to 36 frequencies, multiplied by the transformed filter (a
//! matrix product for each frequency, on the tile of the direct convolutions) and transformed back, some thirty tiles at
//! a time, so that all of it stays in the second-level cache. It pays while the transformed filter (36 numbers instead
//! of nine) stays there too, and costs a digit of precision: about 1e-6 of the result.

use std::cell::RefCell;

use super::{
    Activation, Finish, Instructions, Pool, Target,
    conv::{Affine, Out},
    grid::{Floats, Grid, LANES},
    instructions::on,
    lanes::{Lanes, Task},
    tile::{Finish as TileFinish, Gather, Segment, To, cut},
};

/// Outputs and inputs a side of a tile.
const OUT: usize = 4;
const IN: usize = 6;
const FREQUENCIES: usize = IN * IN;
/// Tiles at a time: three rounds of the widest micro-kernel.
const AT_ONCE: usize = 42;
/// Floats between frequencies beside their values, so that the 36 streams do not fall on the same lines of the cache.
const SKEW: usize = 5 * LANES;

/// Filter to frequencies, with the points 0, 1, -1, 2, -2 and infinity.
const G: [[f64; 3]; IN] = [
    [0.25, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];

thread_local! {
    /// Frequencies of the inputs and of the outputs of the tiles that this thread is at.
    static SCRATCH: RefCell<Floats> = RefCell::default();
}

/// A 3x3 convolution with stride 1 whose channels are multiples of 16.
pub struct Winograd {
    instructions: Instructions,
    /// Blocks of input and output, and of outputs that are multiplied together.
    inputs: usize,
    outputs: usize,
    group: usize,
    paints: bool,
    /// `[frequency][group][input channel][block of the group][16]`
    weights: Floats,
}

impl Winograd {
    /// Transforms and packs `weight(output, tap, input)`, taps row by row; `paints` as in [`super::ConvShape`].
    pub fn new(
        instructions: Instructions,
        inputs: usize,
        outputs: usize,
        paints: bool,
        weight: impl Fn(usize, usize, usize) -> f32,
    ) -> Self {
        assert!(inputs.is_multiple_of(LANES) && outputs.is_multiple_of(LANES), "channels in blocks of 16");
        let group = instructions.group(outputs / LANES, LANES);
        let mut weights = Floats::zeros(FREQUENCIES * inputs * outputs);
        for o in 0..outputs {
            let (first, lane) = (o / (group * LANES) * group, o % (group * LANES));
            let size = group.min(outputs / LANES - first);
            for c in 0..inputs {
                let g: [f64; 9] = std::array::from_fn(|t| f64::from(weight(o, t, c)));
                for f in 0..FREQUENCIES {
                    let (u, v) = (G[f / IN], G[f % IN]);
                    let value: f64 = (0..9).map(|t| u[t / 3] * g[t] * v[t % 3]).sum();
                    let at = f * inputs * outputs + first * LANES * inputs + c * size * LANES + lane;
                    weights[at] = value as f32;
                }
            }
        }
        Self { instructions, inputs: inputs / LANES, outputs: outputs / LANES, group, paints, weights }
    }

    /// As [`super::Conv::run`].
    pub fn run(&self, pool: &Pool, input: &Grid, finish: Finish, target: Target) {
        assert!(input.lanes == LANES && input.border == 1 && input.blocks >= self.inputs, "input of a convolution");
        assert!(!matches!(target, Target::Shuffled2(_)), "no shuffle after a 3x3 convolution");
        finish.affine.covers(self.outputs * LANES);
        let (rows, columns) = (input.height.div_ceil(OUT), input.width.div_ceil(OUT));
        let out = Out::new(target, self.outputs, input.height, input.width, self.paints);
        let tiles = rows * columns;
        let pieces = tiles.div_ceil(AT_ONCE).next_multiple_of(pool.threads()).min(tiles);
        let size = tiles.div_ceil(pieces.max(1));
        let call = Call { layer: self, input, finish, out, columns, size };
        pool.run(tiles.div_ceil(size.max(1)), &|piece, _| {
            let first = piece * size;
            SCRATCH.with_borrow_mut(|scratch| call.piece(scratch, first, size.min(tiles - first)));
        });
    }
}

/// A layer on maps of one size.
struct Call<'a> {
    layer: &'a Winograd,
    input: &'a Grid,
    finish: Finish<'a>,
    out: Out,
    columns: usize,
    /// Most tiles of a piece.
    size: usize,
}

impl Call<'_> {
    fn piece(&self, scratch: &mut Floats, first: usize, tiles: usize) {
        let layer = self.layer;
        // From a frequency to the next, on the way there and back.
        let there = layer.inputs * self.size * LANES + SKEW;
        let back = layer.outputs * self.size * LANES + SKEW;
        if scratch.len() < FREQUENCIES * (there + back) {
            *scratch = Floats::zeros(FREQUENCIES * (there + back));
        }
        let (inputs, sums) = scratch.split_at_mut(FREQUENCIES * there);
        layer.instructions.enter(Forward { call: self, first, tiles, to: inputs, stride: there });
        // SAFETY: `there` and `back` have room for `tiles` tiles of every block at every frequency, and the weights for
        // each group, as `Winograd::new` packed them.
        unsafe { on!(layer.instructions, l => self.multiply(l, tiles, (inputs, there), (&mut *sums, back))) };
        layer.instructions.enter(Backward { call: self, first, tiles, from: sums, stride: back });
    }

    /// # Safety
    /// Both slices have room for the blocks of `tiles` tiles at 36 frequencies, so many floats apart.
    #[inline(always)]
    unsafe fn multiply<L: Lanes>(&self, l: L, tiles: usize, (from, there): (&[f32], usize), to: (&mut [f32], usize)) {
        let layer = self.layer;
        let (to, back) = (to.0.as_mut_ptr(), to.1);
        let block = self.size * LANES;
        let segments: Vec<_> =
            (0..layer.inputs).map(|b| Segment { offset: (b * block) as isize, len: LANES }).collect();
        let (ones, zeros) = ([1.0_f32; 3 * LANES], [0.0_f32; 3 * LANES]);
        let filter = layer.inputs * layer.outputs * LANES * LANES;
        for f in 0..FREQUENCIES {
            for group in (0..layer.outputs).step_by(layer.group) {
                let blocks = layer.group.min(layer.outputs - group);
                for (x, pixels) in cut(tiles, L::widest(blocks, LANES)) {
                    let gather = Gather {
                        x: from[f * there + x * LANES..].as_ptr(),
                        segments: &segments,
                        weights: layer.weights[f * filter + group * LANES * LANES * layer.inputs..].as_ptr(),
                        next_channel: LANES * blocks,
                        next_block: LANES,
                    };
                    let to = To::Blocks {
                        out: to.wrapping_add(f * back + group * block + x * LANES),
                        blocks: [0, block, 2 * block],
                        step: LANES,
                        before: Activation::None,
                        accumulate: false,
                        after: Activation::None,
                    };
                    let finish = TileFinish { mul: ones.as_ptr(), add: zeros.as_ptr(), to };
                    // SAFETY: the caller's promise.
                    unsafe { l.tile(blocks, pixels, LANES, &gather, &finish) };
                }
            }
        }
    }
}

#[repr(align(64))]
struct Square<const R: usize>([[[f32; LANES]; IN]; R]);

/// Inputs of the tiles to frequencies: rows, then columns.
struct Forward<'a> {
    call: &'a Call<'a>,
    first: usize,
    tiles: usize,
    to: &'a mut [f32],
    stride: usize,
}

impl Task for Forward<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let input = self.call.input;
        let mut patch = Square::<IN>([[[0.0; LANES]; IN]; IN]);
        let mut half = Square::<IN>([[[0.0; LANES]; IN]; IN]);
        for tile in 0..self.tiles {
            let (y, x) = ((self.first + tile) / self.call.columns * OUT, (self.first + tile) % self.call.columns * OUT);
            let whole = y + OUT <= input.height && x + OUT <= input.width;
            for block in 0..self.call.layer.inputs {
                // The pixel above and to the left of the tile.
                let corner = block * input.plane() + y * input.row() + x * LANES;
                let (from, row) = if whole {
                    (input.floats()[corner..].as_ptr(), input.row())
                } else {
                    for i in 0..IN {
                        for j in 0..IN {
                            let inside = y + i <= input.height + 1 && x + j <= input.width + 1;
                            let at = corner + i * input.row() + j * LANES;
                            patch.0[i][j] = [0.0; LANES];
                            if inside {
                                patch.0[i][j].copy_from_slice(&input.floats()[at..at + LANES]);
                            }
                        }
                    }
                    (patch.0[0][0].as_ptr(), IN * LANES)
                };
                let to = self.to[(block * self.call.size + tile) * LANES..].as_mut_ptr();
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
struct Backward<'a> {
    call: &'a Call<'a>,
    first: usize,
    tiles: usize,
    from: &'a [f32],
    stride: usize,
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
        for tile in 0..self.tiles {
            let (y, x) = ((self.first + tile) / call.columns * OUT, (self.first + tile) % call.columns * OUT);
            let (rows, columns) = (OUT.min(call.input.height - y), OUT.min(call.input.width - x));
            for first in (0..call.layer.outputs).step_by(together) {
                for (k, sums) in sums[..together].iter_mut().enumerate() {
                    let from = self.from[((first + k) * call.size + tile) * LANES..].as_ptr();
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
                                Out::Blocks { out, origin, row, step, ref blocks } => {
                                    for k in 0..together {
                                        let at = out.add(origin + (y + i) * row + (x + j) * step + blocks[first + k]);
                                        let mut v = finish.before.of(l, l.load(sums[k].0[i][j].as_ptr()));
                                        if finish.accumulate {
                                            v = l.add(v, l.load(at));
                                        }
                                        l.store(at, finish.after.of(l, v));
                                    }
                                }
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

impl Affine {
    fn covers(&self, lanes: usize) {
        assert!(self.mul.len() >= lanes && self.add.len() >= lanes, "affine");
    }
    fn at(&self, lane: usize) -> (&[f32], &[f32]) {
        (&self.mul[lane..lane + LANES], &self.add[lane..lane + LANES])
    }
}
