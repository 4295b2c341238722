//! What each channel's own past foretells, taken away: an autoregressive predictor of each channel.
//!
//! Autocorrelations are kept over seconds and the predictor is solved from them once a hop by Levinson and Durbin's
//! recursion (Durbin 1960). A little white noise is assumed in the signal (`FLOOR`), so that whitening stops 20 dB down:
//! bands where a resampled or slow source holds nothing are not blown up to full size.

// Several arrays of channels side by side read plainest by index.
#![allow(clippy::needless_range_loop)]

use super::Frame;
use crate::signal::{MAPPING_RATE_HZ, WINDOW_CHANNELS};

/// Past samples that predict: 16 (31 ms) flatten a local field potential; 32 gained nothing.
const ORDER: usize = 16;
/// Share of white noise assumed.
const FLOOR: f64 = 0.01;
const MEMORY_SECS: f64 = 8.0;

/// 32 predictors side by side.
pub struct Predictor {
    /// The last frames, newest at `at`, going round.
    past: [Frame; ORDER],
    at: usize,
    /// Autocorrelation at lags 0..=ORDER.
    products: [Frame; ORDER + 1],
    /// `weights[k]` is for the frame k + 1 ago.
    weights: [Frame; ORDER],
    seen: u64,
}

impl Default for Predictor {
    fn default() -> Self {
        let zero = Frame::default();
        Self { past: [zero; ORDER], at: 0, products: [zero; ORDER + 1], weights: [zero; ORDER], seen: 0 }
    }
}

impl Predictor {
    /// `novel` is `z` without what its past foretold.
    pub fn push(&mut self, z: &Frame, novel: &mut Frame) {
        self.seen += 1;
        let weight = (1.0 / self.seen as f64).max(1.0 / (MEMORY_SECS * MAPPING_RATE_HZ as f64));
        let learn = |kept: &mut Frame, before: &Frame| {
            for c in 0..WINDOW_CHANNELS {
                kept[c] += weight * (z[c] * before[c] - kept[c]);
            }
        };
        *novel = *z;
        learn(&mut self.products[0], z);
        for k in 0..ORDER {
            let before = &self.past[(self.at + k) % ORDER];
            learn(&mut self.products[k + 1], before);
            for c in 0..WINDOW_CHANNELS {
                novel[c] -= self.weights[k][c] * before[c];
            }
        }
        self.at = (self.at + ORDER - 1) % ORDER;
        self.past[self.at] = *z;
    }

    /// Brings the weights up to date.
    pub fn solve(&mut self) {
        for c in 0..WINDOW_CHANNELS {
            let r: [f64; ORDER + 1] = std::array::from_fn(|lag| self.products[lag][c]);
            let weights = levinson(&r);
            for k in 0..ORDER {
                self.weights[k][c] = weights[k];
            }
        }
    }
}

fn levinson(r: &[f64; ORDER + 1]) -> [f64; ORDER] {
    let mut weights = [0.0; ORDER];
    let mut error = r[0] * (1.0 + FLOOR) + 1e-12;
    for k in 0..ORDER {
        let foretold: f64 = (0..k).map(|j| weights[j] * r[k - j]).sum();
        let reflection = (r[k + 1] - foretold) / error;
        // Estimated products need not belong to any real process: then the shorter predictor is kept.
        if reflection.abs() >= 1.0 {
            break;
        }
        let before = weights;
        weights[k] = reflection;
        for j in 0..k {
            weights[j] = before[j] - reflection * before[k - 1 - j];
        }
        error *= 1.0 - reflection * reflection;
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recursion_finds_a_known_process() {
        // x(t) = 0.9 x(t-1) + e: autocorrelation 0.9^lag; with the assumed noise the first weight is a little less.
        let r = std::array::from_fn(|lag| 0.9f64.powi(lag as i32));
        let weights = levinson(&r);
        assert!((0.75..0.9).contains(&weights[0]) && weights[8].abs() < 0.05, "{weights:?}");
    }

    #[test]
    fn impossible_products_do_not_blow_up() {
        let mut r = [1.0; ORDER + 1];
        r[3] = -5.0;
        assert!(levinson(&r).iter().all(|w| w.is_finite() && w.abs() < 4.0));
        assert!(levinson(&[0.0; ORDER + 1]).iter().all(|w| *w == 0.0));
    }
}
