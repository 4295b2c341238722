//! Convolutions and linear layers on [`Grid`]s, with packed weights and everything that follows fused into the tile.

use super::{
    Pool,
    grid::{Floats, Grid, LANES},
    instructions::{Instructions, on},
    lanes::Lanes,
    tile::{Finish as TileFinish, Gather, Segment, To, cut},
    winograd::Winograd,
};

pub use super::tile::Activation;

/// A tap of a filter, in pixels from the output's place in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tap {
    pub dy: isize,
    pub dx: isize,
}

/// What a layer reads and how it goes over the map.
#[derive(Debug, Clone)]
pub struct ConvShape {
    /// Channels used of each block of the input, at most 16 each.
    pub inputs: Vec<usize>,
    pub taps: Vec<Tap>,
    /// Input pixels from an output to the next, down and right.
    pub stride: (usize, usize),
    /// Lanes of the input grid: 16 or 4.
    pub lanes: usize,
    /// Output lanes; a multiple of 16 is best, others are filled up with zeros.
    pub outputs: usize,
    /// The results are the red, green and blue of 4 x 4 pixels, for [`Target::Bytes`].
    pub paints: bool,
}

impl ConvShape {
    /// A 3x3 convolution with a border of zeros.
    pub fn conv3x3(inputs: usize, outputs: usize) -> Self {
        let taps = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| Tap { dy, dx })).collect();
        Self { taps, ..Self::linear(inputs, outputs) }
    }
    /// A matrix product at each pixel.
    pub fn linear(inputs: usize, outputs: usize) -> Self {
        let inputs = (0..inputs).step_by(LANES).map(|first| LANES.min(inputs - first)).collect();
        Self { inputs, taps: vec![Tap { dy: 0, dx: 0 }], stride: (1, 1), lanes: LANES, outputs, paints: false }
    }
    /// Each output from 2x2 pixels of its own: pixel-unshuffle and a matrix product.
    pub fn down2(inputs: usize, outputs: usize) -> Self {
        let taps = (0..2).flat_map(|dy| (0..2).map(move |dx| Tap { dy, dx })).collect();
        Self { taps, stride: (2, 2), ..Self::linear(inputs, outputs) }
    }
}

/// Packed blocks that are computed together.
struct Group {
    first: usize,
    blocks: usize,
    weights: usize,
}

/// A layer: its packed weights `[group][input block][tap][channel][block of the group][16]`.
pub struct Conv {
    shape: ConvShape,
    instructions: Instructions,
    groups: Vec<Group>,
    weights: Floats,
    step: usize,
}

/// A factor and a term for each output lane: bias, modulation, scale of the result.
#[derive(Clone)]
pub struct Affine {
    pub(super) mul: Floats,
    pub(super) add: Floats,
}

impl Affine {
    pub fn new(mul: &[f32], add: &[f32]) -> Self {
        Self { mul: Floats::from_slice(mul), add: Floats::from_slice(add) }
    }
    pub fn bias(bias: &[f32]) -> Self {
        Self::new(&vec![1.0; bias.len()], bias)
    }
    /// Replaces all factors and terms; as many as there were.
    pub fn set(&mut self, values: impl Iterator<Item = (f32, f32)>) {
        for ((mul, add), value) in self.mul.iter_mut().zip(self.add.iter_mut()).zip(values) {
            (*mul, *add) = value;
        }
    }
}

/// `out = after(before(sum * mul + add) + (accumulate ? out : 0))`
#[derive(Clone, Copy)]
pub struct Finish<'a> {
    pub affine: &'a Affine,
    pub before: Activation,
    pub accumulate: bool,
    pub after: Activation,
}

impl<'a> Finish<'a> {
    pub fn plain(affine: &'a Affine) -> Self {
        Self { affine, before: Activation::None, accumulate: false, after: Activation::None }
    }
    pub fn before(self, before: Activation) -> Self {
        Self { before, ..self }
    }
    pub fn accumulate(self) -> Self {
        Self { accumulate: true, ..self }
    }
    pub fn after(self, after: Activation) -> Self {
        Self { after, ..self }
    }
}

/// Where the results go.
pub enum Target<'a> {
    /// Output pixel for output pixel, 16 lanes each.
    Grid(&'a mut Grid),
    /// The lanes are four quarters, one for each of 2 x 2 pixels, rows first: a matrix product and pixel-shuffle.
    Shuffled2(&'a mut Grid),
    /// RGBA, four rows and columns a pixel; the layer must have `paints`.
    Bytes(&'a mut [u8]),
}

impl Conv {
    /// Packs `weight(output lane, tap, input channel)`; input channels count on over the blocks' used channels.
    pub fn new(instructions: Instructions, shape: ConvShape, weight: impl Fn(usize, usize, usize) -> f32) -> Self {
        let step = shape.stride.1 * shape.lanes;
        let blocks = shape.outputs.div_ceil(LANES);
        let size = if shape.paints { 3 } else { instructions.group(blocks, step) };
        let channels: usize = shape.inputs.iter().sum();
        let mut weights = Floats::zeros(blocks * LANES * shape.taps.len() * channels);
        let mut groups = Vec::new();
        let mut at = 0;
        for first in (0..blocks).step_by(size) {
            let group = Group { first, blocks: size.min(blocks - first), weights: at };
            let mut channel_0 = 0;
            for &len in &shape.inputs {
                for tap in 0..shape.taps.len() {
                    for channel in channel_0..channel_0 + len {
                        for lane in first * LANES..(first + group.blocks) * LANES {
                            if lane < shape.outputs {
                                weights[at] = weight(lane, tap, channel);
                            }
                            at += 1;
                        }
                    }
                }
                channel_0 += len;
            }
            groups.push(group);
        }
        Self { shape, instructions, groups, weights, step }
    }

    /// Computes the layer for the whole map, on all threads of the pool.
    ///
    /// # Panics
    /// If the grids do not fit the layer: a mistake of the program, not of its input.
    pub fn run(&self, pool: &Pool, input: &Grid, finish: Finish, target: Target) {
        let plan = self.plan(input, finish, target);
        let widest = |blocks| self.instructions.widest(blocks, self.step);
        // Pieces of at least two rows, at most eight a thread.
        let rows = (plan.height * self.groups.len()).div_ceil(8 * pool.threads()).max(2);
        let chunks = plan.height.div_ceil(rows);
        pool.run(chunks * self.groups.len(), &|piece, _| {
            let group = &self.groups[piece / chunks];
            let first = piece % chunks * rows;
            for y in first..(first + rows).min(plan.height) {
                for (x, pixels) in cut(plan.width, widest(group.blocks)) {
                    // SAFETY: `plan` has compared the grids with the layer, and (x, y) is inside them. Two pieces never
                    // share an output: they differ in rows or in blocks.
                    unsafe { on!(self.instructions, l => self.tile(l, &plan, group, y, x, pixels)) };
                }
            }
        });
    }

    fn plan<'a>(&'a self, input: &'a Grid, finish: Finish<'a>, target: Target<'a>) -> Plan<'a> {
        let shape = &self.shape;
        let (height, width) = (input.height / shape.stride.0, input.width / shape.stride.1);
        assert_eq!(input.lanes, shape.lanes, "lanes of the input");
        assert!(input.blocks >= shape.inputs.len(), "blocks of the input");
        let border = input.border as isize;
        for t in &shape.taps {
            let inside = |d: isize, n: usize, stride: usize, size: usize| {
                d >= -border && ((n - 1) * stride) as isize + d < size as isize + border
            };
            let fits =
                inside(t.dy, height, shape.stride.0, input.height) && inside(t.dx, width, shape.stride.1, input.width);
            assert!(height == 0 || width == 0 || fits, "{t:?} leaves the border");
        }
        let blocks = shape.outputs.div_ceil(LANES);
        assert!(finish.affine.mul.len() >= blocks * LANES && finish.affine.add.len() >= blocks * LANES, "affine");
        let segments = shape.inputs.iter().enumerate().flat_map(|(block, &len)| {
            shape.taps.iter().map(move |t| Segment {
                offset: (block * input.plane()) as isize + t.dy * input.row() as isize + t.dx * input.lanes as isize,
                len,
            })
        });
        let segments = segments.collect();
        Plan { height, width, input, segments, finish, out: Out::new(target, blocks, height, width, shape.paints) }
    }

    /// # Safety
    /// `plan` is of this layer and the tile lies inside its map.
    #[inline(always)]
    unsafe fn tile<L: Lanes>(&self, l: L, plan: &Plan, group: &Group, y: usize, x: usize, pixels: usize) {
        let (stride_y, stride_x) = self.shape.stride;
        let from = plan.input.index(0, y * stride_y, x * stride_x);
        let lane = group.first * LANES;
        let finish = &plan.finish;
        let to = match plan.out {
            Out::Blocks { out, origin, row, step, ref blocks } => {
                let mut offsets = [0; 3];
                offsets[..group.blocks].copy_from_slice(&blocks[group.first..group.first + group.blocks]);
                To::Blocks {
                    out: out.wrapping_add(origin + y * row + x * step),
                    blocks: offsets,
                    step,
                    before: finish.before,
                    accumulate: finish.accumulate,
                    after: finish.after,
                }
            }
            Out::Bytes { at, row_bytes } => To::Bytes { at: at.wrapping_add(4 * y * row_bytes + 16 * x), row_bytes },
        };
        let gather = Gather {
            x: plan.input.floats()[from..].as_ptr(),
            segments: &plan.segments,
            weights: self.weights[group.weights..].as_ptr(),
            next_channel: LANES * group.blocks,
            next_block: LANES,
        };
        let finish =
            TileFinish { mul: finish.affine.mul[lane..].as_ptr(), add: finish.affine.add[lane..].as_ptr(), to };
        // SAFETY: the caller's promise.
        unsafe { l.tile(group.blocks, pixels, self.step, &gather, &finish) };
    }
}

/// A 3x3 convolution by whichever way is faster for its channels.
pub enum Conv3 {
    Direct(Conv),
    Winograd(Winograd),
}

/// Numbers in a transformed filter up to which Winograd's way was measured to be the faster one, with 2 MB of
/// second-level cache a core: 128 to 128 channels and below.
const WINOGRAD_UP_TO: usize = 36 * 128 * 128;

impl Conv3 {
    /// Packs `weight(output, tap, input)`; `paints` as in [`ConvShape`].
    pub fn new(
        set: Instructions,
        inputs: usize,
        outputs: usize,
        paints: bool,
        weight: impl Fn(usize, usize, usize) -> f32,
    ) -> Self {
        let blocks = inputs.is_multiple_of(LANES) && outputs.is_multiple_of(LANES) && outputs >= 2 * LANES;
        if blocks && 36 * inputs * outputs <= WINOGRAD_UP_TO {
            Self::Winograd(Winograd::new(set, inputs, outputs, paints, weight))
        } else {
            Self::Direct(Conv::new(set, ConvShape { paints, ..ConvShape::conv3x3(inputs, outputs) }, weight))
        }
    }
    pub fn run(&self, pool: &Pool, input: &Grid, finish: Finish, target: Target) {
        match self {
            Self::Direct(conv) => conv.run(pool, input, finish, target),
            Self::Winograd(conv) => conv.run(pool, input, finish, target),
        }
    }
}

/// A layer on maps of one size.
struct Plan<'a> {
    height: usize,
    width: usize,
    input: &'a Grid,
    segments: Vec<Segment>,
    finish: Finish<'a>,
    out: Out,
}

pub(super) enum Out {
    Blocks { out: *mut f32, origin: usize, row: usize, step: usize, blocks: Vec<usize> },
    Bytes { at: *mut u8, row_bytes: usize },
}

// SAFETY: the pieces of a layer write to places that no other piece touches; `Plan` borrows the target for its life.
unsafe impl Sync for Out {}

impl Out {
    /// Checks that the target has room for `blocks` blocks at `height` x `width` places.
    pub(super) fn new(target: Target, blocks: usize, height: usize, width: usize, paints: bool) -> Self {
        match target {
            Target::Grid(grid) => {
                assert!(grid.height == height && grid.width * grid.lanes == width * LANES, "size of the target");
                assert!(grid.blocks >= blocks, "blocks of the target");
                let blocks = (0..blocks).map(|b| b * grid.plane()).collect();
                let (origin, row) = (grid.origin(), grid.row());
                Self::Blocks { out: grid.floats_mut().as_mut_ptr(), origin, row, step: LANES, blocks }
            }
            Target::Shuffled2(grid) => {
                assert!(grid.height == 2 * height && grid.width == 2 * width, "size of the target");
                assert!(grid.lanes == LANES && blocks == 4 * grid.blocks, "blocks of the target");
                let (row, plane) = (grid.row(), grid.plane());
                let offset = |b: usize| {
                    let quarter = b / grid.blocks;
                    b % grid.blocks * plane + quarter / 2 * row + quarter % 2 * LANES
                };
                let blocks = (0..blocks).map(offset).collect();
                let origin = grid.origin();
                Self::Blocks { out: grid.floats_mut().as_mut_ptr(), origin, row: 2 * row, step: 2 * LANES, blocks }
            }
            Target::Bytes(bytes) => {
                assert!(paints && blocks == 3, "a layer that paints");
                assert_eq!(bytes.len(), 4 * 16 * height * width, "size of the picture");
                Self::Bytes { at: bytes.as_mut_ptr(), row_bytes: 16 * width }
            }
        }
    }
}
