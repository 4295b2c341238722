//! The softmax of scores that are float16 from end to end: thirty-two at a time.

use super::softmax::SoFar;
use crate::{
    half::f32_from_f16,
    kernels::{
        Element,
        floats::LANES,
        lanes::{LARGEST, Lanes, Task},
    },
};

/// Below this a logarithm to base 2 is that of nothing in float16.
const NOTHING: f32 = -32.0;

/// Turns the scores of a tile against a chunk of keys into weights, in their place, and scales down what was summed
/// before. Scores that were too large for float16 weigh like the largest, and what is no number weighs nothing.
pub(super) struct ShortSoftmax<'a> {
    /// `[group of keys][query][16 pairs]`
    pub scores: &'a mut [f32],
    /// For the last group's scores, if it is not full.
    pub bounds: Option<&'a [f32]>,
    /// Makes logarithms to base 2 of scores.
    pub scale: f32,
    /// Of [`super::keys::TOGETHER`] keys.
    pub groups: usize,
    pub so_far: SoFar<'a>,
}

impl Task for ShortSoftmax<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, l: L) {
        let queries = self.so_far.queries;
        let group = queries * LANES;
        let scores = self.scores.as_mut_ptr();
        let (mut highest, mut added) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        // SAFETY: there are `groups` groups of `queries` queries, at most sixteen; bounds are sixteen floats.
        unsafe {
            if let Some(bounds) = self.bounds {
                let (bounds, last) = (l.load(bounds.as_ptr()), scores.add((self.groups - 1) * group));
                for query in 0..queries {
                    let at = last.add(query * LANES);
                    l.store(at, l.min_float16(l.load(at), bounds));
                }
            }
            for query in 0..queries {
                let scores = scores.add(query * LANES);
                let mut most = [l.splat_float16(-LARGEST); 2];
                for g in 0..self.groups {
                    most[g % 2] = l.max_float16(l.load(scores.add(g * group)), most[g % 2]);
                }
                let [low, high] = l.widened(l.max_float16(most[0], most[1]));
                // As the sum below has it.
                let most = (self.scale * l.largest(l.max(low, high))).clamp(-LARGEST, LARGEST);
                highest[query] = f32_from_f16(Element::Float16.half_of(most));
            }
            let shrink = self.so_far.raise(l, &mut highest);
            let (scale, least, none) = (l.splat_float16(self.scale), l.splat_float16(NOTHING), l.splat_float16(0.0));
            for query in 0..queries {
                let scores = scores.add(query * LANES);
                let minus_highest = l.splat_float16(-highest[query]);
                let mut sum = [none; 2];
                for g in 0..self.groups {
                    let at = scores.add(g * group);
                    let score = l.fma_float16(l.load(at), scale, minus_highest);
                    let weight = l.exp2_float16(l.min_float16(l.max_float16(score, least), none));
                    sum[g % 2] = l.add_float16(sum[g % 2], weight);
                    l.store(at, weight);
                }
                let ([a, b], [c, d]) = (l.widened(sum[0]), l.widened(sum[1]));
                added[query] = l.sum(l.add(l.add(a, b), l.add(c, d)));
            }
            self.so_far.add(l, &shrink, &added);
        }
    }
}
