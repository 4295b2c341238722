//! Sums along rows and columns with weights of their own for each of 16 lanes: the blurs of the latent.
//!
//! Sixteen lanes are four channels at four widths of blur. The matrix of a blur is a band, and the wider ones are cut to
//! their band's width at each place, so that a blur costs what its radius says and not the size of the map.

use super::{
    Instructions, Pool,
    floats::{Floats, LANES},
    grid::Grid,
    lanes::{Lanes, Task},
    pool::Scattered,
};

/// `out[i] = sum over j of matrix[i][j] * in[j]`, lane by lane.
pub struct Band {
    instructions: Instructions,
    /// For each output: the first input, how many, and where their weights begin.
    rows: Vec<(usize, usize, usize)>,
    weights: Floats,
}

/// Outputs that are summed at once, to hide the latency of an addition.
const AT_ONCE: usize = 8;

impl Band {
    /// `weight(output, input, lane)` of a square matrix of `n`; zeros at the ends of a row are left out.
    pub fn new(instructions: Instructions, n: usize, weight: impl Fn(usize, usize, usize) -> f32) -> Self {
        let any = |i, j| (0..LANES).any(|lane| weight(i, j, lane) != 0.0);
        let mut weights = Vec::new();
        let rows = (0..n).map(|i| {
            let first = (0..n).position(|j| any(i, j)).unwrap_or(0);
            let last = (0..n).rposition(|j| any(i, j)).unwrap_or(0);
            let at = weights.len();
            weights.extend(
                (first..=last).flat_map(|j| (0..LANES).map(move |lane| (j, lane))).map(|(j, lane)| weight(i, j, lane)),
            );
            (first, last + 1 - first, at)
        });
        let rows = rows.collect();
        Self { instructions, rows, weights: Floats::from_slice(&weights) }
    }

    /// Along each row, from a grid of four lanes (each value used in lanes c, 4 + c, 8 + c, 12 + c) to block 0 of `out`.
    pub fn along_rows_of_four(&self, pool: &Pool, input: &Grid, out: &mut Grid) {
        assert!(input.lanes == 4 && out.lanes == LANES && self.rows.len() == input.width, "grids of a band");
        assert!((input.height, input.width) == (out.height, out.width), "sizes of a band");
        let (origin, row) = (out.origin(), out.row());
        let to = Scattered(out.floats_mut().as_mut_ptr());
        pool.run(input.height.div_ceil(AT_ONCE), &|piece, _| {
            let first = piece * AT_ONCE;
            let lines = Lines {
                from: input.floats()[input.index(0, first, 0)..].as_ptr(),
                along: 4,
                across: input.row(),
                to: to.at(origin + first * row),
                to_along: LANES,
                to_across: row,
                count: AT_ONCE.min(input.height - first),
                outputs: 0..self.rows.len(),
            };
            self.instructions.enter(Sum::<true> { band: self, lines });
        });
    }

    /// Along each column of block 0, to block `block` of `out`.
    pub fn along_columns(&self, pool: &Pool, input: &Grid, out: &mut Grid, block: usize) {
        assert!(block < out.blocks(), "block of a band");
        assert!(input.lanes == LANES && out.lanes == LANES && self.rows.len() == input.height, "grids of a band");
        assert!((input.height, input.width) == (out.height, out.width), "sizes of a band");
        let (origin, row) = (out.origin() + block * out.plane(), out.row());
        let to = Scattered(out.floats_mut().as_mut_ptr());
        pool.run(input.height, &|y, _| {
            for first in (0..input.width).step_by(AT_ONCE) {
                let lines = Lines {
                    from: input.floats()[input.index(0, 0, first)..].as_ptr(),
                    along: input.row(),
                    across: LANES,
                    to: to.at(origin + first * LANES),
                    to_along: row,
                    to_across: LANES,
                    count: AT_ONCE.min(input.width - first),
                    outputs: y..y + 1,
                };
                self.instructions.enter(Sum::<false> { band: self, lines });
            }
        });
    }
}

/// Up to [`AT_ONCE`] neighbouring lines of a grid; distances in floats.
struct Lines {
    from: *const f32,
    along: usize,
    across: usize,
    to: *mut f32,
    to_along: usize,
    to_across: usize,
    count: usize,
    outputs: std::ops::Range<usize>,
}

struct Sum<'a, const FOUR: bool> {
    band: &'a Band,
    lines: Lines,
}

impl<const FOUR: bool> Task for Sum<'_, FOUR> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let Lines { from, along, across, to, to_along, to_across, count, outputs } = self.lines;
        for i in outputs {
            let (first, len, at) = self.band.rows[i];
            let weights = &self.band.weights[at..at + len * LANES];
            let from = from.wrapping_add(first * along);
            let to = to.wrapping_add(i * to_along);
            // SAFETY: `Band` has compared the grids with its matrix: inputs first..first + len and output i of `count`
            // lines are inside them, and no other piece writes to these.
            unsafe {
                if count == AT_ONCE {
                    let mut acc = [l.splat(0.0); AT_ONCE];
                    for k in 0..len {
                        let w = l.load(weights.as_ptr().add(k * LANES));
                        for p in 0..AT_ONCE {
                            let x = from.add(k * along + p * across);
                            acc[p] = l.fma(if FOUR { l.repeat(x) } else { l.load(x) }, w, acc[p]);
                        }
                    }
                    for p in 0..AT_ONCE {
                        l.store(to.add(p * to_across), acc[p]);
                    }
                } else {
                    for p in 0..count {
                        let mut acc = l.splat(0.0);
                        for k in 0..len {
                            let x = from.add(k * along + p * across);
                            let x = if FOUR { l.repeat(x) } else { l.load(x) };
                            acc = l.fma(x, l.load(weights.as_ptr().add(k * LANES)), acc);
                        }
                        l.store(to.add(p * to_across), acc);
                    }
                }
            }
        }
    }
}
