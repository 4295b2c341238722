//! Layer norm over the channels of each pixel.

use super::{
    Element, Instructions, Pool,
    floats::{Floats, LANES},
    grid::Grid,
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
/// Pixels of a piece.
const PIECE: usize = 64;
/// Pixels at a time: their channels stay in the first-level cache while they are gone over three times.
const AT_ONCE: usize = 8;

impl LayerNorm {
    /// `weight` and `bias`: a value a channel; their number must be a multiple of 16.
    pub fn new(instructions: Instructions, weight: &[f32], bias: &[f32]) -> Self {
        let channels = weight.len();
        assert!(channels.is_multiple_of(LANES) && bias.len() == channels, "channels of a layer norm");
        Self { instructions, channels, weight: Floats::from_slice(weight), bias: Floats::from_slice(bias) }
    }

    /// To a map of the same size, of any element.
    pub fn run(&self, pool: &Pool, input: &Grid, output: &mut Grid) {
        let blocks = self.channels / LANES;
        assert!(input.lanes == LANES && output.lanes == LANES, "lanes");
        assert!(input.blocks >= blocks && output.blocks >= blocks, "blocks");
        assert!((input.height, input.width) == (output.height, output.width), "size");
        // Without borders the pixels go on from row to row.
        let (rows, columns) = if input.border + output.border == 0 {
            (1, input.height * input.width)
        } else {
            (input.height, input.width)
        };
        let (out_plane, out_row, out_origin) = (output.plane(), output.row(), output.origin());
        let element = output.element;
        let out = Scattered(output.words_mut().as_mut_ptr());
        let pieces = columns.div_ceil(PIECE);
        pool.run(rows * pieces, &|piece, _| {
            let (y, first) = (piece / pieces, piece % pieces * PIECE);
            let row = Row {
                norm: self,
                from: input.floats()[input.origin() + y * input.row() + first * LANES..].as_ptr(),
                from_plane: input.plane(),
                to: out.at(0),
                at: out_origin + y * out_row + first * LANES,
                to_plane: out_plane,
                width: PIECE.min(columns - first),
                element,
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
    /// Numbers from there to the first pixel.
    at: usize,
    to_plane: usize,
    width: usize,
    element: Element,
}

impl Task for Row<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let blocks = self.norm.channels / LANES;
        let count = self.norm.channels as f32;
        for first in (0..self.width).step_by(AT_ONCE) {
            let pixels = AT_ONCE.min(self.width - first);
            let from = |b: usize, p: usize| self.from.wrapping_add(b * self.from_plane + (first + p) * LANES);
            let (mut sums, mut squares) = ([l.splat(0.0); AT_ONCE], [l.splat(0.0); AT_ONCE]);
            // SAFETY: `LayerNorm::run` has compared the grids with the layer; the pixels are inside the row.
            unsafe {
                for b in 0..blocks {
                    for p in 0..pixels {
                        sums[p] = l.add(sums[p], l.load(from(b, p)));
                    }
                }
                for sum in &mut sums[..pixels] {
                    *sum = l.splat(-l.sum(*sum) / count);
                }
                for b in 0..blocks {
                    for p in 0..pixels {
                        let centred = l.add(l.load(from(b, p)), sums[p]);
                        squares[p] = l.fma(centred, centred, squares[p]);
                    }
                }
                for square in &mut squares[..pixels] {
                    *square = l.splat(1.0 / (l.sum(*square) / count + EPSILON).sqrt());
                }
                for b in 0..blocks {
                    let weight = l.load(self.norm.weight[b * LANES..].as_ptr());
                    let bias = l.load(self.norm.bias[b * LANES..].as_ptr());
                    for p in 0..pixels {
                        let centred = l.add(l.load(from(b, p)), sums[p]);
                        let y = l.fma(l.mul(centred, squares[p]), weight, bias);
                        let at = self.at + b * self.to_plane + (first + p) * LANES;
                        l.put(self.element, self.to, at, y);
                    }
                }
            }
        }
    }
}
