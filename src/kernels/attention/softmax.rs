//! What happens between attention's two products, and after them.

use crate::kernels::{
    Element,
    floats::LANES,
    lanes::{Lanes, Task, exp2, exp2_for_halves},
};

/// Turns the scores (logarithms to base 2) of a tile against a chunk of keys into weights, and scales down what was summed
/// before.
pub(super) struct Softmax<'a> {
    /// `[key block][query][16 keys]`
    pub scores: &'a mut [f32],
    /// The same as halves; none: the weights take the place of the scores.
    pub weights: Option<&'a mut [f32]>,
    pub element: Element,
    pub blocks: usize,
    pub so_far: SoFar<'a>,
}

/// What is known of a tile of queries after some chunks of keys.
pub(super) struct SoFar<'a> {
    pub queries: usize,
    /// Whether that is nothing yet.
    pub begins: bool,
    /// Of values, `[channel block][query][16]`
    pub sums: &'a mut [f32],
    /// Of each query the largest score, then of each the sum of its weights.
    pub state: &'a mut [f32],
}

impl SoFar<'_> {
    /// Raises the largest scores to those of a chunk; returns what sums are to be multiplied by then.
    #[inline(always)]
    pub fn raise<L: Lanes>(&mut self, l: L, highest: &mut [f32; LANES]) -> [f32; LANES] {
        let mut shrink = [1.0; LANES];
        let largest = &mut self.state[..LANES];
        if !self.begins {
            // SAFETY: sixteen floats each.
            unsafe {
                let before = l.load(largest.as_ptr());
                let now = l.max(before, l.load(highest.as_ptr()));
                l.store(highest.as_mut_ptr(), now);
                l.store(shrink.as_mut_ptr(), exp2(l, l.fma(now, l.splat(-1.0), before)));
            }
        }
        largest.copy_from_slice(highest);
        shrink
    }

    /// Scales down the sums, and adds a chunk's sums of weights.
    #[inline(always)]
    pub fn add<L: Lanes>(self, l: L, shrink: &[f32; LANES], added: &[f32; LANES]) {
        let weights = &mut self.state[LANES..];
        if self.begins {
            weights.copy_from_slice(added);
            return;
        }
        // SAFETY: sixteen floats each, and sums of whole blocks.
        unsafe {
            let sum = l.fma(l.load(weights.as_ptr()), l.load(shrink.as_ptr()), l.load(added.as_ptr()));
            l.store(weights.as_mut_ptr(), sum);
            for (query, shrink) in shrink[..self.queries].iter().enumerate().filter(|(_, s)| **s != 1.0) {
                let shrink = l.splat(*shrink);
                for sums in self.sums.chunks_exact_mut(self.queries * LANES) {
                    let at = sums[query * LANES..].as_mut_ptr();
                    l.store(at, l.mul(l.load(at), shrink));
                }
            }
        }
    }
}

impl Task for Softmax<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, l: L) {
        let queries = self.so_far.queries;
        let block = queries * LANES;
        let scores = self.scores.as_mut_ptr();
        let weights = self.weights.as_mut().map_or(std::ptr::null_mut(), |w| w.as_mut_ptr());
        let (mut highest, mut added) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        // SAFETY: there are `blocks` blocks of `queries` queries, at most sixteen.
        unsafe {
            for query in 0..queries {
                let scores = scores.add(query * LANES);
                let mut most = [l.load(scores); 2];
                for b in 1..self.blocks {
                    most[b % 2] = l.max(most[b % 2], l.load(scores.add(b * block)));
                }
                highest[query] = l.largest(l.max(most[0], most[1]));
            }
            let shrink = self.so_far.raise(l, &mut highest);
            for query in 0..queries {
                let scores = scores.add(query * LANES);
                let minus_highest = l.splat(-highest[query]);
                let mut sum = [l.splat(0.0); 2];
                for b in 0..self.blocks {
                    let score = l.add(l.load(scores.add(b * block)), minus_highest);
                    let weight = if weights.is_null() { exp2(l, score) } else { exp2_for_halves(l, score) };
                    sum[b % 2] = l.add(sum[b % 2], weight);
                    if weights.is_null() {
                        l.store(scores.add(b * block), weight);
                    } else {
                        l.put(self.element, weights, b * block + query * LANES, weight);
                    }
                }
                added[query] = l.sum(l.add(sum[0], sum[1]));
            }
            self.so_far.add(l, &shrink, &added);
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
    pub element: Element,
}

impl Task for Divide<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        for query in 0..self.queries {
            // No weights at all are those of scores that were no numbers.
            let share = l.splat(1.0 / self.state[LANES + query].max(f32::MIN_POSITIVE));
            for block in 0..self.blocks {
                let from = &self.sums[(block * self.queries + query) * LANES..];
                let at = self.at + block * self.plane + query * LANES;
                // SAFETY: `attend` has compared the output with heads and queries; nobody else writes to these.
                unsafe {
                    let y = l.mul(l.load(from.as_ptr()), share);
                    l.put(self.element, self.to, at, y);
                }
            }
        }
    }
}
