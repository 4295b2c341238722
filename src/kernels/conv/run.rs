//! A layer on a map: pieces for the threads, strips that fit the caches, and tiles.
//!
//! A strip of the map is gone over once for each group of outputs, so that both the strip's input and the group's
//! weights come from the second-level cache. Weights of very deep layers do not fit there: their depth is cut, and the
//! sums of a strip wait in memory of the thread.

use std::cell::RefCell;

use super::{Conv, Finish, Grid, Group, LANES, Out, Pool, Target};
use crate::kernels::{
    floats::Floats,
    instructions::on,
    lanes::Lanes,
    tile::{Ahead, Finish as TileFinish, Gather, Segment, To, cut},
};

/// Bytes of a strip's input, of 2 MB of second-level cache.
const STRIP_BYTES: usize = 512 << 10;
/// The same of layers with many more weights than input: a second strip would fetch them from memory once more.
const LARGE_STRIP_BYTES: usize = 1400 << 10;
/// Input channels times taps that are summed up at a time: 256 kB of weights for two blocks of outputs.
const DEPTH: usize = 2048;
/// Pixels of a strip, so that weights are used some times when they have come from afar.
const FEWEST: usize = 56;
/// Pieces for each thread, so that none waits long for the last.
const PIECES: usize = 8;

thread_local! {
    /// Sums of the strip that this thread is at.
    static SUMS: RefCell<Floats> = RefCell::default();
}

/// A layer on maps of one size.
struct Plan<'a> {
    height: usize,
    width: usize,
    input: &'a Grid,
    segments: Vec<Segment>,
    /// Parts of the depth: segments, and floats of weights a lane before them.
    parts: Vec<(std::ops::Range<usize>, usize)>,
    finish: Finish<'a>,
    out: Out,
}

/// Rows, and pixels of each.
#[derive(Clone)]
struct Strip {
    rows: std::ops::Range<usize>,
    first: usize,
    width: usize,
}

/// Pixels of a row.
struct Place {
    y: usize,
    x: usize,
    pixels: usize,
    /// Which tile of a strip they are, of how many.
    nth: (usize, usize),
}

impl Conv {
    /// Computes the layer for the whole map, on all threads of the pool.
    ///
    /// # Panics
    /// If the grids do not fit the layer: a mistake of the program, not of its input.
    pub fn run(&self, pool: &Pool, input: &Grid, finish: Finish, target: Target) {
        let plan = self.plan(input, finish, target);
        if plan.height * plan.width == 0 {
            return;
        }
        let strips = self.strips(&plan, pool.threads());
        let groups = self.groups.len();
        let shares = (PIECES * pool.threads()).div_ceil(strips.len()).min(groups);
        pool.run(strips.len() * shares, &|piece, _| {
            let (strip, share) = (&strips[piece / shares], piece % shares);
            let groups = &self.groups[share * groups / shares..(share + 1) * groups / shares];
            SUMS.with_borrow_mut(|sums| {
                for group in groups {
                    // SAFETY: `plan` has compared the grids with the layer, and the strip is inside them. Two pieces
                    // never share an output: they differ in strip or in blocks.
                    unsafe { on!(self.instructions, l => self.strip(l, &plan, group, strip, sums)) };
                }
            });
        });
    }

    fn plan<'a>(&'a self, input: &'a Grid, finish: Finish<'a>, target: Target<'a>) -> Plan<'a> {
        let shape = &self.shape;
        let (height, width) = (input.height / shape.stride.0, input.width / shape.stride.1);
        assert!(input.lanes == shape.lanes && input.element == shape.element, "lanes of the input");
        assert!(input.blocks >= shape.inputs.len(), "blocks of the input");
        let border = input.border as isize;
        for t in &shape.taps {
            let inside = |d: isize, n: usize, stride: usize, size: usize| {
                d >= -border && ((n - 1) * stride) as isize + d < size as isize + border
            };
            let fits = || {
                inside(t.dy, height, shape.stride.0, input.height) && inside(t.dx, width, shape.stride.1, input.width)
            };
            assert!(height == 0 || width == 0 || fits(), "{t:?} leaves the border");
        }
        let blocks = shape.outputs.div_ceil(LANES);
        finish.affine.covers(blocks * LANES);
        // Of halves two numbers are a float's width.
        let pair = if shape.element.is_half() { 2 } else { 1 };
        let segments = shape.inputs.iter().enumerate().flat_map(|(block, &len)| {
            shape.taps.iter().map(move |t| Segment {
                offset: ((block * input.plane()) as isize + t.dy * input.row() as isize + t.dx * input.lanes as isize)
                    / pair,
                len: len.div_ceil(pair as usize),
            })
        });
        let segments: Vec<Segment> = segments.collect();
        let out = Out::new(target, finish.plus, blocks, height, width, shape.makes);
        Plan { height, width, input, parts: parts(&segments), segments, finish, out }
    }

    fn strips(&self, plan: &Plan, threads: usize) -> Vec<Strip> {
        let (height, width) = (plan.height, plan.width);
        let step = self.shape.stride.0 * self.shape.stride.1;
        let depth: usize = plan.segments.iter().map(|s| s.len).sum::<usize>() / self.shape.taps.len().max(1);
        let depth = (depth / plan.parts.len()).max(1);
        let wanted = (PIECES * threads).div_ceil(self.groups.len()).max(1);
        let even = (height * width).div_ceil(wanted);
        let heavy = self.weights.len() > 4 * depth * step * height * width;
        let bytes = if heavy { LARGE_STRIP_BYTES } else { STRIP_BYTES };
        let pixels = even.min(bytes / (4 * step * depth)).max(FEWEST);
        if height == 1 {
            // Whole tiles, the same number of them in each strip.
            let widest = self.instructions.widest(self.groups[0].blocks, self.step);
            let strips = width.div_ceil(pixels);
            let pixels = width.div_ceil(strips).next_multiple_of(widest);
            let firsts = (0..width).step_by(pixels);
            return firsts.map(|first| Strip { rows: 0..1, first, width: pixels.min(width - first) }).collect();
        }
        let strips = height.div_ceil((pixels / width).max(1));
        let row = |i: usize| i * height / strips;
        (0..strips).map(|i| Strip { rows: row(i)..row(i + 1), first: 0, width }).collect()
    }

    /// # Safety
    /// `plan` is of this layer and the strip lies inside its map.
    #[inline(always)]
    unsafe fn strip<L: Lanes>(&self, l: L, plan: &Plan, group: &Group, strip: &Strip, sums: &mut Floats) {
        let widest = L::widest(group.blocks, self.step);
        let tile_sums = group.blocks * widest * LANES;
        let tiles = strip.width.div_ceil(widest);
        if plan.parts.len() > 1 && sums.len() < strip.rows.len() * tiles * tile_sums {
            *sums = Floats::zeros(strip.rows.len() * tiles * tile_sums);
        }
        for part in 0..plan.parts.len() {
            let mut waiting = sums.as_mut_ptr();
            let mut nth = (0, strip.rows.len() * tiles);
            for y in strip.rows.clone() {
                for (x, pixels) in cut(strip.width, widest) {
                    let place = Place { y, x: strip.first + x, pixels, nth };
                    nth.0 += 1;
                    // SAFETY: the caller's promise; there is room for the sums of each tile.
                    unsafe { self.tile(l, plan, group, part, place, waiting) };
                    waiting = waiting.wrapping_add(tile_sums);
                }
            }
        }
    }

    /// # Safety
    /// `plan` is of this layer, the tile lies inside its map, and `waiting` has room for its sums if there are several
    /// parts.
    #[inline(always)]
    unsafe fn tile<L: Lanes>(
        &self,
        l: L,
        plan: &Plan,
        group: &Group,
        part: usize,
        Place { y, x, pixels, nth }: Place,
        waiting: *mut f32,
    ) {
        let (stride_y, stride_x) = self.shape.stride;
        let element = self.shape.element;
        let from = plan.input.index(0, y * stride_y, x * stride_x) / if element.is_half() { 2 } else { 1 };
        let lane = group.first * LANES;
        let (segments, before) = &plan.parts[part];
        let finish = &plan.finish;
        let to = if part + 1 < plan.parts.len() { To::Sums { at: waiting } } else { plan.to(group, y, x) };
        let segments = &plan.segments[segments.clone()];
        let weights = &self.weights[group.weights + before * LANES * group.blocks..];
        let len = LANES * group.blocks * segments.iter().map(|s| s.len).sum::<usize>();
        let gather = Gather {
            x: plan.input.words()[from..].as_ptr(),
            segments,
            weights: weights.as_ptr(),
            next_channel: LANES * group.blocks,
            next_block: LANES,
            start: if part == 0 { std::ptr::null() } else { waiting },
            // The next part's lie behind this one's, and the next group's behind the last part's.
            ahead: Ahead::share(self.weights.len(), (weights[len..].as_ptr(), len), segments.len(), nth),
        };
        let finish =
            TileFinish { mul: finish.affine.mul[lane..].as_ptr(), add: finish.affine.add[lane..].as_ptr(), to };
        // SAFETY: the caller's promise.
        unsafe { l.tile(element, group.blocks, pixels, self.step, &gather, &finish) };
    }
}

impl Plan<'_> {
    #[inline(always)]
    fn to(&self, group: &Group, y: usize, x: usize) -> To {
        match self.out {
            Out::Blocks { out, plus, origin, row, step, ref blocks, element } => {
                let mut offsets = [0; 3];
                let here = origin + y * row + x * step;
                let blocks = &blocks[group.first..group.first + group.blocks];
                offsets.iter_mut().zip(blocks).for_each(|(o, b)| *o = here + b);
                let (before, after) = (self.finish.before, self.finish.after);
                To::Blocks { out, blocks: offsets, step, before, plus: plus.0, plus_element: plus.1, after, element }
            }
            Out::Gated { out, origin, row, plane, element } => {
                let at = origin + group.first / 2 * plane + y * row + x * LANES;
                To::Gated { out: out.wrapping_add(at / LANES * element.words()), step: LANES, element }
            }
            Out::Bytes { at, row_bytes } => To::Bytes { at: at.wrapping_add(4 * y * row_bytes + 16 * x), row_bytes },
        }
    }
}

/// Cuts the depth into parts of nearly the same length.
fn parts(segments: &[Segment]) -> Vec<(std::ops::Range<usize>, usize)> {
    let depth: usize = segments.iter().map(|s| s.len).sum();
    let count = depth.div_ceil(DEPTH).max(1);
    let (mut parts, mut first, mut before, mut sum) = (Vec::new(), 0, 0, 0);
    for (i, segment) in segments.iter().enumerate() {
        sum += segment.len;
        if sum >= (parts.len() + 1) * depth / count || i + 1 == segments.len() {
            parts.push((first..i + 1, before));
            (first, before) = (i + 1, sum);
        }
    }
    parts
}
