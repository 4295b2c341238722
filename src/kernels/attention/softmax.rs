//! What happens between attention's two products, and after them.

use crate::kernels::{
    floats::LANES,
    lanes::{Lanes, Task, exp},
};

/// Turns the scores of a tile against a chunk of keys into weights, and scales down what was summed before.
pub(super) struct Softmax<'a> {
    /// `[key block][query][16 keys]`
    pub scores: &'a mut [f32],
    /// The same as bfloat16; none: the weights take the place of the scores.
    pub weights: Option<&'a mut [f32]>,
    /// `[channel block][query][16]`
    pub sums: &'a mut [f32],
    /// Of each query the largest score, then of each the sum of its weights.
    pub state: &'a mut [f32],
    pub blocks: usize,
    pub queries: usize,
    pub begins: bool,
}

impl Task for Softmax<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, l: L) {
        let block = self.queries * LANES;
        let weights = self.weights.as_mut().map_or(std::ptr::null_mut(), |w| w.as_mut_ptr().cast::<u16>());
        for query in 0..self.queries {
            let scores = self.scores[query * LANES..].as_mut_ptr();
            // SAFETY: there are `blocks` blocks of `queries` queries.
            unsafe {
                let mut largest = l.load(scores);
                for b in 1..self.blocks {
                    largest = l.max(largest, l.load(scores.add(b * block)));
                }
                let largest = l.largest(largest);
                let before = if self.begins { largest } else { self.state[query] };
                let largest = largest.max(before);
                let minus_largest = l.splat(-largest);
                let mut sum = l.splat(0.0);
                for b in 0..self.blocks {
                    let weight = exp(l, l.add(l.load(scores.add(b * block)), minus_largest));
                    sum = l.add(sum, weight);
                    if weights.is_null() {
                        l.store(scores.add(b * block), weight);
                    } else {
                        l.store_halves(weights.add(b * block + query * LANES), weight);
                    }
                }
                let mut sum = l.sum(sum);
                if !self.begins {
                    let shrink = exp(l, l.splat(before - largest));
                    sum += self.state[LANES + query] * l.sum(shrink) / LANES as f32;
                    if largest > before {
                        for sums in self.sums.chunks_exact_mut(block).map(|b| b[query * LANES..].as_mut_ptr()) {
                            l.store(sums, l.mul(l.load(sums), shrink));
                        }
                    }
                }
                self.state[query] = largest;
                self.state[LANES + query] = sum;
            }
        }
    }
}

/// Divides the sums of values by the sums of weights, and writes them out.
pub(super) struct Divide<'a> {
    pub sums: &'a [f32],
    pub state: &'a [f32],
    pub blocks: usize,
    pub queries: usize,
    pub to: *mut f32,
    /// Numbers from there to the first query's first block.
    pub at: usize,
    pub plane: usize,
    pub halves: bool,
}

impl Task for Divide<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        for query in 0..self.queries {
            let share = l.splat(1.0 / self.state[LANES + query]);
            for block in 0..self.blocks {
                let from = &self.sums[(block * self.queries + query) * LANES..];
                let at = self.at + block * self.plane + query * LANES;
                // SAFETY: `attend` has compared the output with heads and queries; nobody else writes to these.
                unsafe {
                    let y = l.mul(l.load(from.as_ptr()), share);
                    if self.halves {
                        l.store_halves(self.to.cast::<u16>().add(at), y);
                    } else {
                        l.store(self.to.add(at), y);
                    }
                }
            }
        }
    }
}
