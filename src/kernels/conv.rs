//! Convolutions and linear layers on [`Grid`]s, with packed weights and everything that follows fused into the tile.

mod out;
mod run;

use rayon::prelude::*;

use super::{
    Element, Pool,
    floats::{Floats, LANES},
    grid::{Form, Grid},
    instructions::Instructions,
    tokens::Parts,
    winograd::{Tiles, Winograd},
};

pub use super::tile::Activation;
pub(super) use out::Out;

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
    pub makes: Makes,
    /// Of the input and of the packed weights.
    pub element: Element,
}

/// What a layer's results are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Makes {
    #[default]
    Channels,
    /// The red, green and blue of 4 x 4 pixels, for [`Target::Bytes`].
    Paint,
    /// Half as many channels: the first half of the outputs times the GELU of the second, for [`Target::Gated`].
    Gate,
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
        Self {
            inputs,
            taps: vec![Tap { dy: 0, dx: 0 }],
            stride: (1, 1),
            lanes: LANES,
            outputs,
            makes: Makes::Channels,
            element: Element::Float32,
        }
    }
    /// The same layer of an input that is made of several maps, block after block.
    pub fn of_parts(self, parts: &Parts) -> Self {
        let inputs = parts.each().iter().flat_map(|p| (0..*p).step_by(LANES).map(move |first| LANES.min(p - first)));
        Self { inputs: inputs.collect(), ..self }
    }
    /// The same layer on an input of another element.
    pub fn of(self, element: Element) -> Self {
        Self { element, ..self }
    }
    pub fn makes(self, makes: Makes) -> Self {
        Self { makes, ..self }
    }
    /// A 3x3 convolution that halves the map. `before`: zeros above and left of it, else only below and right.
    pub fn halving3x3(inputs: usize, outputs: usize, before: bool) -> Self {
        let first = if before { -1 } else { 0 };
        let taps = (first..first + 3).flat_map(|dy| (first..first + 3).map(move |dx| Tap { dy, dx })).collect();
        Self { taps, stride: (2, 2), ..Self::linear(inputs, outputs) }
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

/// A layer: its packed weights `[group][input block][tap][channel][block of the group][16]`, of halves pairs of channels
/// with the pair last.
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

/// `out = after(before(sum * mul + add) + plus)`
#[derive(Clone, Copy)]
pub struct Finish<'a> {
    pub affine: &'a Affine,
    pub before: Activation,
    pub plus: Plus<'a>,
    pub after: Activation,
}

/// What is added to a layer's results.
#[derive(Clone, Copy)]
pub enum Plus<'a> {
    Nothing,
    /// What the target held.
    Itself,
    /// A map like the target.
    Grid(&'a Grid),
}

impl<'a> Finish<'a> {
    pub fn plain(affine: &'a Affine) -> Self {
        Self { affine, before: Activation::None, plus: Plus::Nothing, after: Activation::None }
    }
    pub fn before(self, before: Activation) -> Self {
        Self { before, ..self }
    }
    pub fn accumulate(self) -> Self {
        Self { plus: Plus::Itself, ..self }
    }
    pub fn plus(self, grid: &'a Grid) -> Self {
        Self { plus: Plus::Grid(grid), ..self }
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
    /// One of 2 x 2 pixels, counted rows first.
    Quarter(&'a mut Grid, usize),
    /// Value times gate; the layer must make [`Makes::Gate`].
    Gated(&'a mut Grid),
    /// RGBA, four rows and columns a pixel; the layer must make [`Makes::Paint`].
    Bytes(&'a mut [u8]),
}

/// Numbers of weights from which on packing is worth several threads.
const MANY: usize = 1 << 16;

impl Conv {
    /// Packs `weight(output lane, tap, input channel)`; input channels count on over the blocks' used channels.
    pub fn new(
        instructions: Instructions,
        shape: ConvShape,
        weight: impl Fn(usize, usize, usize) -> f32 + Sync,
    ) -> Self {
        let half = shape.element.is_half();
        assert!(
            shape.element != Element::Float16 || instructions.has(Element::Float16),
            "numbers of these instructions"
        );
        let step = shape.stride.1 * if half { shape.lanes / 2 } else { shape.lanes };
        let blocks = shape.outputs.div_ceil(LANES);
        let size = match shape.makes {
            Makes::Paint => 3,
            Makes::Gate => 2,
            // Halves of neighbouring pixels lie as close as two strides of floats do elsewhere.
            Makes::Channels => instructions.group(blocks, if half { LANES / 2 } else { step }),
        };
        assert!(shape.makes != Makes::Gate || shape.outputs.is_multiple_of(2 * LANES), "channels of a gate");
        let words: usize = shape.inputs.iter().map(|len| if half { len.div_ceil(2) } else { *len }).sum();
        let depth = words * shape.taps.len();
        let mut weights = Floats::zeros(blocks * LANES * depth);
        let group = |first: usize| Group { first, blocks: size.min(blocks - first), weights: first * LANES * depth };
        let groups: Vec<Group> = (0..blocks).step_by(size).map(group).collect();
        let pack = |(group, out): (&Group, &mut [f32])| shape.pack(group, &weight, out);
        let places = groups.iter().zip(weights.chunks_mut((size * LANES * depth).max(1)));
        if blocks * LANES * depth < MANY {
            places.for_each(pack);
        } else {
            places.collect::<Vec<_>>().into_par_iter().for_each(pack);
        }
        Self { shape, instructions, groups, weights, step }
    }

    pub fn element(&self) -> Element {
        self.shape.element
    }

    /// Of its packed weights.
    pub fn bytes(&self) -> usize {
        size_of::<f32>() * self.weights.len()
    }

    pub fn outputs(&self) -> usize {
        self.shape.outputs
    }
}

impl ConvShape {
    /// Whether [`Winograd`] can compute it.
    pub fn fits_winograd(&self) -> bool {
        let whole = self.inputs.iter().all(|i| *i == LANES) && self.outputs.is_multiple_of(LANES);
        whole && self.outputs >= 2 * LANES && self.element != Element::Bfloat16
    }

    fn pack(&self, group: &Group, weight: impl Fn(usize, usize, usize) -> f32, out: &mut [f32]) {
        let lanes = group.blocks * LANES;
        let (mut at, mut channel_0) = (0, 0);
        for &len in &self.inputs {
            for tap in 0..self.taps.len() {
                // Along the channels first: so the numbers lie in a checkpoint.
                for lane in 0..lanes {
                    let Some(output) = self.output(group.first * LANES + lane) else { continue };
                    if self.element == Element::Float32 {
                        for channel in 0..len {
                            out[at + channel * lanes + lane] = weight(output, tap, channel_0 + channel);
                        }
                        continue;
                    }
                    for pair in 0..len.div_ceil(2) {
                        let half = |channel: usize| {
                            if channel >= len {
                                return 0;
                            }
                            self.element.half_of(weight(output, tap, channel_0 + channel))
                        };
                        let bits = u32::from(half(2 * pair)) | u32::from(half(2 * pair + 1)) << 16;
                        out[at + pair * lanes + lane] = f32::from_bits(bits);
                    }
                }
                at += lanes * if self.element == Element::Float32 { len } else { len.div_ceil(2) };
            }
            channel_0 += len;
        }
    }

    /// The output that a lane computes, if it is one.
    fn output(&self, lane: usize) -> Option<usize> {
        if self.makes == Makes::Gate {
            // A block of values, and the block of their gates.
            let (block, half) = (lane / LANES / 2, lane / LANES % 2);
            return Some(half * self.outputs / 2 + block * LANES + lane % LANES);
        }
        (lane < self.outputs).then_some(lane)
    }
}

impl Affine {
    /// Factors and terms of a layer that makes [`Makes::Gate`], in the order of its lanes.
    pub fn gate(bias: &[f32]) -> Self {
        let shape = ConvShape::linear(LANES, bias.len()).makes(Makes::Gate);
        let bias: Vec<f32> = (0..bias.len()).filter_map(|lane| shape.output(lane)).map(|o| bias[o]).collect();
        Self::bias(&bias)
    }
    /// How many lanes there are, rounded up to whole blocks.
    pub fn lanes(&self) -> usize {
        self.add.len()
    }
    /// The terms, to be changed in place.
    pub fn terms_mut(&mut self) -> &mut [f32] {
        &mut self.add
    }
}

/// A 3x3 convolution by whichever way is faster for its channels.
pub enum Conv3 {
    Direct(Conv),
    Winograd(Winograd),
}

/// Floats in a filter of one tap up to which Winograd's way was measured to be the faster one on maps of 16 x 16 pixels,
/// with 2 MB of second-level cache a core: 192 to 192 channels and below.
const WINOGRAD_UP_TO: usize = 192 * 192;

impl Conv3 {
    /// Packs `weight(output, tap, input)`; `paints`: it makes [`Makes::Paint`]. It reads float32; `element` is what Winograd's
    /// way multiplies.
    pub fn new(
        set: Instructions,
        element: Element,
        [inputs, outputs]: [usize; 2],
        paints: bool,
        weight: impl Fn(usize, usize, usize) -> f32 + Sync,
    ) -> Self {
        let makes = if paints { Makes::Paint } else { Makes::Channels };
        let shape = ConvShape::conv3x3(inputs, outputs).makes(makes);
        let winograd = inputs * outputs / LANES * element.words() <= WINOGRAD_UP_TO && shape.fits_winograd();
        let shape = if winograd { shape.of(element) } else { shape };
        Self::of(set, shape, winograd.then_some(Tiles::Four), weight)
    }
    /// Of a 3x3 shape with stride 1, by Winograd's way if that is wanted, the channels are whole blocks, and numbers have
    /// more digits than bfloat16. It was measured to be faster than the direct way for any number of channels: in tiles of
    /// four outputs on maps of 32 x 32 pixels and more, where four times the weights are worth their way from memory, and
    /// in tiles of two on smaller ones.
    pub fn of(
        set: Instructions,
        shape: ConvShape,
        winograd: Option<Tiles>,
        weight: impl Fn(usize, usize, usize) -> f32 + Sync,
    ) -> Self {
        let Some(tiles) = winograd.filter(|_| shape.fits_winograd()) else {
            return Self::Direct(Conv::new(set, shape, weight));
        };
        let paints = shape.makes == Makes::Paint;
        let sides = [shape.inputs.len() * LANES, shape.outputs];
        Self::Winograd(Winograd::new(set, tiles, shape.element, sides, paints, weight))
    }
    pub fn run(&self, pool: &Pool, input: &Grid, finish: Finish, target: Target) {
        match self {
            Self::Direct(conv) => conv.run(pool, input, finish, target),
            Self::Winograd(conv) => conv.run(pool, input, finish, target),
        }
    }
    /// What it reads best. Winograd's way reads float32 too.
    pub fn element(&self) -> Element {
        match self {
            Self::Direct(conv) => conv.element(),
            Self::Winograd(conv) => conv.element(),
        }
    }
    /// What a map must be for it.
    pub fn element_of(&self, map: &Grid) -> Element {
        match self {
            Self::Winograd(conv) => conv.element_of(map),
            Self::Direct(conv) => conv.element(),
        }
    }
    /// Of its packed weights.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Direct(conv) => conv.bytes(),
            Self::Winograd(conv) => conv.bytes(),
        }
    }
}
