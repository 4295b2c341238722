//! Layer norm over the channels of each pixel.

use super::{
    Instructions, Pool,
    grid::{Floats, Grid, LANES},
    lanes::{Lanes, Task},
    pool::Scattered,
};

/// `(x - mean) / sqrt(variance + 1e-5) * weight + bias` over the channels of a pixel (PyTorch's `LayerNorm`).
pub struct LayerNorm {
    instructions: Instructions,
    channels: usize,
    weight: Floats,
    bias: Floats,
}

const EPSILON: f32 = 1e-5;

impl LayerNorm {
    /// `weight` and `bias`: a value a channel; their number must be a multiple of 16.
    pub fn new(instructions: Instructions, weight: &[f32], bias: &[f32]) -> Self {
        let channels = weight.len();
        assert!(channels.is_multiple_of(LANES) && bias.len() == channels, "channels of a layer norm");
        Self { instructions, channels, weight: Floats::from_slice(weight), bias: Floats::from_slice(bias) }
    }

    pub fn run(&self, pool: &Pool, input: &Grid, output: &mut Grid) {
        let blocks = self.channels / LANES;
        assert!(input.lanes == LANES && output.lanes == LANES, "lanes");
        assert!(input.blocks >= blocks && output.blocks >= blocks, "blocks");
        assert!((input.height, input.width) == (output.height, output.width), "size");
        let (out_plane, out_row, out_origin) = (output.plane(), output.row(), output.origin());
        let out = Scattered(output.floats_mut().as_mut_ptr());
        pool.run(input.height, &|y, _| {
            let row = Row {
                norm: self,
                from: input.floats()[input.index(0, y, 0)..].as_ptr(),
                from_plane: input.plane(),
                to: out.at(out_origin + y * out_row),
                to_plane: out_plane,
                width: input.width,
            };
            self.instructions.enter(row);
        });
    }
}

struct Row<'a> {
    norm: &'a LayerNorm,
    from: *const f32,
    from_plane: usize,
    to: *mut f32,
    to_plane: usize,
    width: usize,
}

impl Task for Row<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let blocks = self.norm.channels / LANES;
        let count = self.norm.channels as f32;
        for x in 0..self.width {
            // SAFETY: `LayerNorm::run` has compared the grids with the layer; x is inside the row.
            unsafe {
                let mut sum = l.splat(0.0);
                for b in 0..blocks {
                    sum = l.add(sum, l.load(self.from.add(b * self.from_plane + x * LANES)));
                }
                let minus_mean = l.splat(-l.sum(sum) / count);
                let mut squares = l.splat(0.0);
                for b in 0..blocks {
                    let centred = l.add(l.load(self.from.add(b * self.from_plane + x * LANES)), minus_mean);
                    squares = l.fma(centred, centred, squares);
                }
                let scale = l.splat(1.0 / (l.sum(squares) / count + EPSILON).sqrt());
                for b in 0..blocks {
                    let centred = l.add(l.load(self.from.add(b * self.from_plane + x * LANES)), minus_mean);
                    let weight = l.load(self.norm.weight[b * LANES..].as_ptr());
                    let bias = l.load(self.norm.bias[b * LANES..].as_ptr());
                    let y = l.fma(l.mul(centred, scale), weight, bias);
                    l.store(self.to.add(b * self.to_plane + x * LANES), y);
                }
            }
        }
    }
}
