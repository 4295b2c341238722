//! A running map from values to the normal distribution with the same rank.
//!
//! A histogram of what all channels held over the last seconds gives each value's rank, and the normal quantile of that
//! rank is the answer: bursts and clipped edges end as the tails of N(0, 1). Monotone and continuous; the map moves slowly.

use crate::{
    latent::noise,
    signal::{MAPPING_RATE_HZ, WINDOW_CHANNELS},
};

/// Bins over -EDGE..EDGE deviations, a 40th wide in the middle and half wide at the ends (spaced in asinh); values beyond
/// share the outermost ones.
const BINS: usize = 96;
const EDGE: f64 = 8.0;
const BEND: f64 = 4.0;
const MEMORY_SECS: f64 = 8.0;
/// Values that a normal distribution is believed for before anything is seen: an eighth of a second of them.
const BELIEF: f64 = 64.0 * WINDOW_CHANNELS as f64;

pub struct Ranks {
    counts: [f64; BINS],
    /// Normal quantile at each edge of the bins.
    edges: [f64; BINS + 1],
    fresh: u64,
    /// asinh at the outermost edge.
    ends: f64,
}

impl Default for Ranks {
    fn default() -> Self {
        let edge = |i: usize| ((2.0 * i as f64 / BINS as f64 - 1.0) * (BEND * EDGE).asinh()).sinh() / BEND;
        let counts =
            std::array::from_fn(|i| BELIEF * (noise::normal_below(edge(i + 1)) - noise::normal_below(edge(i))));
        let mut ranks = Self { counts, edges: std::array::from_fn(edge), fresh: 0, ends: (BEND * EDGE).asinh() };
        ranks.solve();
        ranks
    }
}

impl Ranks {
    /// The normal value of the same rank; the value is remembered.
    pub fn normal_from(&mut self, value: f64) -> f64 {
        let bent = (BEND * value).asinh() / self.ends;
        let place = ((bent + 1.0) * 0.5 * BINS as f64).clamp(0.0, BINS as f64 - 1e-9);
        let bin = place as usize;
        self.counts[bin] += 1.0;
        self.fresh += 1;
        let part = place - bin as f64;
        self.edges[bin] * (1.0 - part) + self.edges[bin + 1] * part
    }

    /// Brings the map up to date and forgets a little.
    pub fn solve(&mut self) {
        let total: f64 = self.counts.iter().sum();
        // Half a count in each bin keeps the map strictly rising.
        let (mut below, all) = (0.0, total + 0.5 * BINS as f64);
        for i in 0..=BINS {
            // The outermost bins hold all that is beyond: their ends stand for the middle of it, not for the last of it.
            let share = match i {
                0 => 0.5 * (self.counts[0] + 0.5),
                BINS => below - 0.5 * (self.counts[BINS - 1] + 0.5),
                _ => below,
            };
            self.edges[i] = noise::normal_quantile(share / all, self.edges[i]);
            if i < BINS {
                below += self.counts[i] + 0.5;
            }
        }
        let kept = (-(self.fresh as f64) / (MEMORY_SECS * MAPPING_RATE_HZ as f64 * WINDOW_CHANNELS as f64)).exp();
        self.counts.iter_mut().for_each(|count| *count *= kept);
        self.fresh = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Frame, *};

    #[test]
    fn heavy_tails_and_skew_come_out_normal() {
        let mut ranks = Ranks::default();
        let mut kept = Vec::new();
        let mut frame = Frame::default();
        for t in 0..4_000u64 {
            for (c, value) in frame.iter_mut().enumerate() {
                let x = noise::normal(c as u64, t);
                *value = ranks.normal_from(0.5 * (1.3 * x).sinh() + 0.2 * x * x);
            }
            if t % 17 == 0 {
                ranks.solve();
            }
            if t > 2_000 {
                kept.extend(frame);
            }
        }
        let moment = |power: i32| kept.iter().map(|v: &f64| v.powi(power)).sum::<f64>() / kept.len() as f64;
        assert!(moment(1).abs() < 0.05 && (moment(2) - 1.0).abs() < 0.06, "{} {}", moment(1), moment(2));
        assert!((moment(4) - 3.0).abs() < 0.3, "{}", moment(4));
    }
}
