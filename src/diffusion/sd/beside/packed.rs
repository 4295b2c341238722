//! The two thin products of a LoRA, packed for the kernels like the layer that they lie beside.

use candle_core::Result;

use super::{
    super::layers::{Engine, Quarters, Work},
    Shape,
};
use crate::kernels::{Affine, Conv, ConvShape, Element, Finish, Grid, Makes, Parts, Target};

/// Lanes of a block.
const LANES: usize = 16;

/// How a packed layer's inputs and outputs lie.
#[derive(Debug, Clone)]
pub struct Packing {
    /// The maps that count as one input.
    pub inputs: Vec<Parts>,
    pub outputs: Parts,
    /// What the layer reads.
    pub element: Element,
    /// Its outputs are blocks of values, each with the block of its gates behind it.
    pub gates: bool,
}

pub struct Halves {
    down: Down,
    up: Conv,
    /// As many zeros as `up` has lanes.
    nothing: Affine,
    rank: usize,
    engine: Engine,
}

enum Down {
    /// A product of each input map, or a convolution of the only one.
    Each(Vec<Conv>),
    Doubled(Quarters),
}

impl Halves {
    /// `up` is (outputs, rank), `down` (rank, inputs, taps), row by row.
    pub fn new(
        shape: Shape,
        packing: &Packing,
        rank: usize,
        up: &[f32],
        down: &[f32],
        engine: &Engine,
    ) -> Result<Self> {
        let inputs: usize = packing.inputs.iter().map(Parts::channels).sum();
        let channels = packing.outputs.channels();
        let taps = if shape.is_matrix() { 1 } else { 9 };
        if up.len() != channels * rank || down.len() != rank * inputs * taps || rank == 0 {
            let (found, wide) = (down.len() / (rank * taps).max(1), up.len() / rank.max(1));
            candle_core::bail!("{found} inputs and {wide} outputs, the layer has {inputs} and {channels}");
        }
        let packed = |convolution: ConvShape, parts: &Parts, first: usize| {
            let weight = |o: usize, t: usize, c: usize| down[(o * inputs + first + c) * taps + t];
            Conv::new(engine.set, convolution.of_parts(parts).of(packing.element), weight)
        };
        let down = match shape {
            Shape::Doubling => {
                let convolution = ConvShape::conv3x3(inputs, rank).of(packing.element);
                Down::Doubled(Quarters::new(engine.set, &convolution, inputs, down))
            }
            _ => {
                let mut first = 0;
                let each = |parts: &Parts| {
                    let width = parts.channels();
                    let convolution = match shape {
                        Shape::Rows | Shape::Pointwise => ConvShape::linear(width, rank),
                        Shape::Halving => ConvShape::halving3x3(width, rank, true),
                        Shape::Conv | Shape::Doubling => ConvShape::conv3x3(width, rank),
                    };
                    let conv = packed(convolution, parts, first);
                    first += width;
                    conv
                };
                Down::Each(packing.inputs.iter().map(each).collect())
            }
        };
        let makes = if packing.gates { Makes::Gate } else { Makes::Channels };
        let lanes = packing.outputs.lanes();
        let channel_of = packing.outputs.channel_of_lanes();
        let up = Conv::new(engine.set, ConvShape::linear(rank, lanes).makes(makes), |lane, _, i| {
            channel_of[lane].map_or(0.0, |channel| up[channel * rank + i])
        });
        Ok(Self { down, up, nothing: Affine::bias(&vec![0.0; lanes]), rank, engine: engine.clone() })
    }

    pub fn add_to(&self, scale: f32, inputs: &[&Grid], out: &mut Grid) {
        let (engine, lanes) = (&self.engine, self.rank.next_multiple_of(LANES));
        let scaled = Affine::new(&vec![scale; lanes], &vec![0.0; lanes]);
        let mut thin = engine.tokens(self.rank, [out.height(), out.width()], Element::Float32);
        engine.timed(Work::Lora, || {
            match &self.down {
                Down::Doubled(quarters) => {
                    for x in inputs {
                        engine.read(x, quarters.element(), |x| {
                            quarters.run(&engine.pool, x, Finish::plain(&scaled), &mut thin);
                        });
                    }
                }
                Down::Each(each) => {
                    for (i, (conv, x)) in each.iter().zip(inputs).enumerate() {
                        let finish = Finish::plain(&scaled);
                        let finish = if i == 0 { finish } else { finish.accumulate() };
                        engine.read(x, conv.element(), |x| {
                            conv.run(&engine.pool, x, finish, Target::Grid(&mut thin));
                        });
                    }
                }
            }
            let finish = Finish::plain(&self.nothing).accumulate();
            self.up.run(&engine.pool, &thin, finish, Target::Grid(out));
        });
    }
}
