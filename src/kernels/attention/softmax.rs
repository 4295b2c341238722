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
        let scores = self.scores.as_mut_ptr();
        let weights = self.weights.as_mut().map_or(std::ptr::null_mut(), |w| w.as_mut_ptr());
        let (largest, sums) = self.state.split_at_mut(LANES);
        let (mut highest, mut shrink, mut added) = ([0.0_f32; LANES], [1.0_f32; LANES], [0.0_f32; LANES]);
        // SAFETY: there are `blocks` blocks of `queries` queries, at most sixteen; a state is sixteen floats.
        unsafe {
            for query in 0..self.queries {
                let scores = scores.add(query * LANES);
                let mut most = [l.load(scores); 2];
                for b in 1..self.blocks {
                    most[b % 2] = l.max(most[b % 2], l.load(scores.add(b * block)));
                }
                highest[query] = l.largest(l.max(most[0], most[1]));
            }
            if !self.begins {
                let before = l.load(largest.as_ptr());
                let now = l.max(before, l.load(highest.as_ptr()));
                l.store(highest.as_mut_ptr(), now);
                l.store(shrink.as_mut_ptr(), exp2(l, l.fma(now, l.splat(-1.0), before)));
            }
            for query in 0..self.queries {
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
            largest.copy_from_slice(&highest);
            if self.begins {
                sums.copy_from_slice(&added);
                return;
            }
            let sum = l.fma(l.load(sums.as_ptr()), l.load(shrink.as_ptr()), l.load(added.as_ptr()));
            l.store(sums.as_mut_ptr(), sum);
            for (query, shrink) in shrink[..self.queries].iter().enumerate().filter(|(_, s)| **s != 1.0) {
                let shrink = l.splat(*shrink);
                for sums in self.sums.chunks_exact_mut(block) {
                    let at = sums[query * LANES..].as_mut_ptr();
                    l.store(at, l.mul(l.load(at), shrink));
                }
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
    pub element: Element,
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
                    l.put(self.element, self.to, at, y);
                }
            }
        }
    }
}
