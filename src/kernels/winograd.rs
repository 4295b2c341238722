//! 3x3 convolutions by Winograd's F(4x4, 3x3): a quarter of the multiplications (Lavin and Gray, arXiv:1509.09308).
//!
//! Tiles of 4x4 outputs are cut from 6x6 inputs, transformed to 36 frequencies, multiplied by the transformed filter (a
//! matrix product for each frequency, on the tile of the direct convolutions) and transformed back. While the transformed
//! filter (36 numbers instead of nine) stays in the second-level cache, that is done some thirty tiles at a time, so that
//! all of it stays there. A larger filter is read once a map: all tiles are transformed, then each frequency multiplied,
//! then all transformed back. It costs a digit of precision: about 1e-6 of the result; in float16 about 6e-3,
//! most of it by the sums.
//!
//! Where maps are small and filters large, the way of the filter from memory is what takes the time. There tiles are of
//! 2x2 outputs, F(2x2, 3x3): 16 numbers instead of nine, for four ninths of the multiplications.

mod transforms;

use std::cell::RefCell;

use rayon::prelude::*;
use transforms::{Backward, Cut, Filter, Forward, Transform};

use super::{
    Element, Finish, Instructions, Pool, Target,
    conv::{Affine, Makes, Out},
    floats::{Floats, LANES},
    grid::Grid,
    instructions::on,
    lanes::Lanes,
    pool::Scattered,
    tile::{Ahead, Finish as TileFinish, Gather, Segment, To, cut},
};

/// Outputs a side of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tiles {
    /// For small maps and large filters.
    Two,
    Four,
}

impl Tiles {
    /// Of a filter.
    fn frequencies(self) -> usize {
        match self {
            Self::Two => 4 * 4,
            Self::Four => 6 * 6,
        }
    }
}

/// Tiles at a time: three rounds of the widest micro-kernel.
const AT_ONCE: usize = 42;
/// Numbers in a transformed filter up to which it stays in 2 MB of second-level cache beside the tiles.
const CACHED: usize = 36 * 160 * 160;
/// Floats between frequencies beside their values, so that the 36 streams do not fall on the same lines of the cache.
const SKEW: usize = 5 * LANES;

thread_local! {
    /// Frequencies of the inputs and of the outputs of the tiles that this thread is at.
    static SCRATCH: RefCell<Floats> = RefCell::default();
}

/// A 3x3 convolution with stride 1 whose channels are multiples of 16.
pub struct Winograd {
    instructions: Instructions,
    tiles: Tiles,
    /// Blocks of input and output, and of outputs that are multiplied together.
    inputs: usize,
    outputs: usize,
    group: usize,
    paints: bool,
    /// Of the frequencies: float32 or float16.
    element: Element,
    /// `[group][frequency][input channel][block of the group][16]`, or of float16 `[…][channel pair][…][16][2]`
    weights: Floats,
}

impl Winograd {
    /// Transforms and packs `weight(output, tap, input)`, taps row by row; `paints`: it makes [`Makes::Paint`]. Frequencies
    /// of inputs and filter are kept as `element`.
    pub fn new(
        instructions: Instructions,
        tiles: Tiles,
        element: Element,
        [inputs, outputs]: [usize; 2],
        paints: bool,
        weight: impl Fn(usize, usize, usize) -> f32 + Sync,
    ) -> Self {
        assert!(inputs.is_multiple_of(LANES) && outputs.is_multiple_of(LANES), "channels in blocks of 16");
        assert!(
            element != Element::Bfloat16 && instructions.has(element),
            "numbers with digits enough for the transforms"
        );
        let group = instructions.group(outputs / LANES, element.words());
        let words = inputs / LANES * element.words();
        let frequencies = tiles.frequencies();
        let mut weights = Floats::zeros(frequencies * words * outputs);
        let pack = |(i, out): (usize, &mut [f32])| {
            let (weight, first) = (&weight, i * group * LANES);
            let lanes = (group * LANES).min(outputs - first);
            match tiles {
                Tiles::Two => instructions.enter(Filter::<_, 2, 4> { weight, first, lanes, inputs, element, out }),
                Tiles::Four => instructions.enter(Filter::<_, 4, 6> { weight, first, lanes, inputs, element, out }),
            }
        };
        weights.par_chunks_mut((frequencies * words * group * LANES).max(1)).enumerate().for_each(pack);
        Self { instructions, tiles, inputs: inputs / LANES, outputs: outputs / LANES, group, paints, element, weights }
    }

    /// Of its packed weights.
    pub fn bytes(&self) -> usize {
        size_of::<f32>() * self.weights.len()
    }

    /// What it reads best: half the way through memory.
    pub fn element(&self) -> Element {
        self.element
    }

    /// As [`super::Conv3::element_of`].
    pub fn element_of(&self, map: &Grid) -> Element {
        if map.is_half() { self.element } else { Element::Float32 }
    }

    /// As [`super::Conv::run`].
    pub fn run(&self, pool: &Pool, input: &Grid, finish: Finish, target: Target) {
        self.run_on(pool, input, 1, finish, target);
    }

    /// The same of the input up-sampled to twice its size, each pixel to 2 x 2; that map never exists.
    pub fn run_doubled(&self, pool: &Pool, input: &Grid, finish: Finish, target: Target) {
        self.run_on(pool, input, 2, finish, target);
    }

    fn run_on(&self, pool: &Pool, input: &Grid, times: usize, finish: Finish, target: Target) {
        match self.tiles {
            Tiles::Two => self.run_cut::<2, 4>(pool, input, times, finish, target),
            Tiles::Four => self.run_cut::<4, 6>(pool, input, times, finish, target),
        }
    }

    fn run_cut<const OUT: usize, const IN: usize>(
        &self,
        pool: &Pool,
        input: &Grid,
        times: usize,
        finish: Finish,
        target: Target,
    ) where
        Cut<OUT, IN>: Transform<OUT, IN>,
    {
        assert!(input.lanes == LANES && input.border == 1 && input.blocks >= self.inputs, "input of a convolution");
        assert!(self.element_of(input) == input.element, "numbers of the input");
        assert!(matches!(target, Target::Grid(_) | Target::Bytes(_)), "no shuffle after a 3x3 convolution");
        finish.affine.covers(self.outputs * LANES);
        let (height, width) = (times * input.height, times * input.width);
        let (rows, columns) = (height.div_ceil(OUT), width.div_ceil(OUT));
        let makes = if self.paints { Makes::Paint } else { Makes::Channels };
        let out = Out::new(target, finish.plus, self.outputs, height, width, makes);
        let tiles = rows * columns;
        let call = |size| Call::<OUT, IN> { layer: self, input, times, height, width, finish, out, columns, size };
        if self.weights.len() > CACHED {
            return call(tiles).whole(pool);
        }
        let pieces = tiles.div_ceil(AT_ONCE).next_multiple_of(pool.threads()).min(tiles);
        let size = tiles.div_ceil(pieces.max(1));
        let call = call(size);
        pool.run(tiles.div_ceil(size.max(1)), &|piece, _| {
            let first = piece * size;
            SCRATCH.with_borrow_mut(|scratch| call.piece(scratch, first, size.min(tiles - first)));
        });
    }
}

/// A layer on maps of one size.
struct Call<'a, const OUT: usize, const IN: usize> {
    layer: &'a Winograd,
    input: &'a Grid,
    /// Pixels each way that a pixel of the input becomes; then the size of what is convolved.
    times: usize,
    height: usize,
    width: usize,
    finish: Finish<'a>,
    out: Out,
    columns: usize,
    /// Most tiles of a piece.
    size: usize,
}

impl<const OUT: usize, const IN: usize> Call<'_, OUT, IN>
where
    Cut<OUT, IN>: Transform<OUT, IN>,
{
    const FREQUENCIES: usize = IN * IN;

    /// Floats from a frequency to the next, on the way there and back.
    fn strides(&self) -> (usize, usize) {
        let words = self.layer.element.words();
        (self.layer.inputs * self.size * words + SKEW, self.layer.outputs * self.size * words + SKEW)
    }

    /// Some tiles, from input to output, in memory of the thread.
    fn piece(&self, scratch: &mut Floats, first: usize, tiles: usize) {
        let layer = self.layer;
        let (there, back) = self.strides();
        if scratch.len() < Self::FREQUENCIES * (there + back) {
            *scratch = Floats::zeros(Self::FREQUENCIES * (there + back));
        }
        let (inputs, sums) = scratch.split_at_mut(Self::FREQUENCIES * there);
        let (inputs, sums) = (inputs.as_mut_ptr(), sums.as_mut_ptr());
        layer.instructions.enter(Forward { call: self, tiles: first..first + tiles, to: inputs, stride: there });
        for frequency in 0..Self::FREQUENCIES {
            // SAFETY: there is room for `tiles` tiles of every block at every frequency.
            unsafe { self.multiply(frequency, 0..layer.outputs, tiles, inputs, sums) };
        }
        layer.instructions.enter(Backward { call: self, tiles: first..first + tiles, from: sums, stride: back });
    }

    /// All tiles, one transform after the other, in memory of the pool.
    fn whole(&self, pool: &Pool) {
        let layer = self.layer;
        let ((there, back), tiles) = (self.strides(), self.size);
        let mut scratch = pool.scratch(Self::FREQUENCIES * (there + back));
        let (inputs, sums) = scratch.split_at_mut(Self::FREQUENCIES * there);
        let (inputs, sums) = (Scattered(inputs.as_mut_ptr()), Scattered(sums.as_mut_ptr()));
        let pieces = (tiles.div_ceil(8)).min(8 * pool.threads());
        let part = |piece: usize| piece * tiles / pieces..(piece + 1) * tiles / pieces;
        pool.run(pieces, &|piece, _| {
            let (tiles, to) = (part(piece), inputs.at(part(piece).start * layer.element.words()));
            layer.instructions.enter(Forward { call: self, tiles, to, stride: there });
        });
        let halves = if layer.outputs >= 4 * layer.group { 2 } else { 1 };
        pool.run(Self::FREQUENCIES * halves, &|piece, _| {
            let (frequency, half) = (piece / halves, piece % halves);
            let groups = layer.outputs.div_ceil(layer.group);
            let start = |half: usize| (half * groups / halves * layer.group).min(layer.outputs);
            // SAFETY: there is room for all tiles of every block at every frequency; a piece has its own frequency or
            // blocks.
            unsafe { self.multiply(frequency, start(half)..start(half + 1), tiles, inputs.at(0), sums.at(0)) };
        });
        pool.run(pieces, &|piece, _| {
            let (tiles, from) = (part(piece), sums.at(part(piece).start * layer.element.words()));
            layer.instructions.enter(Backward { call: self, tiles, from, stride: back });
        });
    }

    /// The products of one frequency, for some blocks of outputs.
    ///
    /// # Safety
    /// `from` and `to` have room for [`Call::size`] tiles of all blocks at all frequencies, [`Call::strides`] apart.
    unsafe fn multiply(
        &self,
        frequency: usize,
        outputs: std::ops::Range<usize>,
        tiles: usize,
        from: *const f32,
        to: *mut f32,
    ) {
        // SAFETY: the caller's promise.
        unsafe { on!(self.layer.instructions, l => self.multiply_on(l, frequency, outputs, tiles, from, to)) };
    }

    /// # Safety
    /// As [`Self::multiply`].
    #[inline(always)]
    unsafe fn multiply_on<L: Lanes>(
        &self,
        l: L,
        frequency: usize,
        outputs: std::ops::Range<usize>,
        tiles: usize,
        from: *const f32,
        to: *mut f32,
    ) {
        let layer = self.layer;
        let (there, back) = self.strides();
        let (block, words) = (self.size * LANES, layer.element.words());
        let segment = |b: usize| Segment { offset: (b * self.size * words) as isize, len: words };
        let segments: Vec<_> = (0..layer.inputs).map(segment).collect();
        let (ones, zeros) = ([1.0_f32; 3 * LANES], [0.0_f32; 3 * LANES]);
        // Floats of a block of outputs at one frequency.
        let filter = layer.inputs * words * LANES;
        for group in outputs.step_by(layer.group) {
            let blocks = layer.group.min(layer.outputs - group);
            let weights = &layer.weights[filter * (Self::FREQUENCIES * group + frequency * blocks)..];
            // The next group's at this frequency; the last group may be smaller.
            let blocks_next = blocks.min(layer.outputs - group - blocks);
            let to_next = Self::FREQUENCIES * blocks + frequency * blocks_next - frequency * blocks;
            let next = (weights.as_ptr().wrapping_add(filter * to_next), filter * blocks_next);
            let widest = L::widest(blocks, words);
            let rounds = tiles.div_ceil(widest);
            for (round, (x, pixels)) in cut(tiles, widest).enumerate() {
                let gather = Gather {
                    x: from.wrapping_add(frequency * there + x * words),
                    segments: &segments,
                    weights: weights.as_ptr(),
                    next_channel: LANES * blocks,
                    next_block: LANES,
                    start: std::ptr::null(),
                    ahead: Ahead::share(layer.weights.len(), next, segments.len(), (round, rounds)),
                };
                let out = to.wrapping_add(frequency * back + (group * self.size + x) * words);
                let to = To::plain(out, [0, block, 2 * block], LANES, layer.element);
                let finish = TileFinish { mul: ones.as_ptr(), add: zeros.as_ptr(), to };
                // SAFETY: the caller's promise; the weights are packed for each group and frequency.
                unsafe { l.tile(layer.element, blocks, pixels, words, &gather, &finish) };
            }
        }
    }
}

impl Affine {
    pub(super) fn covers(&self, lanes: usize) {
        assert!(self.mul.len() >= lanes && self.add.len() >= lanes, "affine");
    }
    fn at(&self, lane: usize) -> (&[f32], &[f32]) {
        (&self.mul[lane..lane + LANES], &self.add[lane..lane + LANES])
    }
}
