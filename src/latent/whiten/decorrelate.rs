//! What the channels share, taken apart: y = L⁻¹ x with L Lᵀ the running covariance.
//!
//! A Cholesky factor, and not the symmetric root (ZCA), because it is exact at every hop for a hundredth of the work
//! (5,500 multiplications against a 32 x 32 eigenproblem) and a permuted latent cannot tell the two apart. The covariance is
//! shrunk towards its diagonal (Ledoit and Wolf 2004), so that channels that are copies of each other stay bounded.

// Several arrays of channels side by side read plainest by index.
#![allow(clippy::needless_range_loop)]

use super::Frame;
use crate::signal::{MAPPING_RATE_HZ, WINDOW_CHANNELS};

const MEMORY_SECS: f64 = 8.0;
/// Running decorrelation of 32 channels. `PERCENT` is the share of the diagonal, which bounds the gain for perfect copies:
/// 1 / sqrt(0.05) = 4.5 at 5.
pub struct Decorrelate<const PERCENT: u8> {
    covariance: [Frame; WINDOW_CHANNELS],
    /// Lower triangle; the diagonal holds 1 / L[i][i].
    factor: [Frame; WINDOW_CHANNELS],
    seen: u64,
}

impl<const PERCENT: u8> Default for Decorrelate<PERCENT> {
    fn default() -> Self {
        let mut factor = [Frame::default(); WINDOW_CHANNELS];
        (0..WINDOW_CHANNELS).for_each(|i| factor[i][i] = 1.0);
        Self { covariance: [Frame::default(); WINDOW_CHANNELS], factor, seen: 0 }
    }
}

impl<const PERCENT: u8> Decorrelate<PERCENT> {
    pub fn push(&mut self, x: &Frame, y: &mut Frame) {
        self.seen += 1;
        let weight = (1.0 / self.seen as f64).max(1.0 / (MEMORY_SECS * MAPPING_RATE_HZ as f64));
        for i in 0..WINDOW_CHANNELS {
            for j in 0..=i {
                self.covariance[i][j] += weight * (x[i] * x[j] - self.covariance[i][j]);
            }
            let row = &self.factor[i];
            let explained: f64 = (0..i).map(|j| row[j] * y[j]).sum();
            y[i] = (x[i] - explained) * row[i];
        }
    }

    /// Brings the factor up to date.
    pub fn solve(&mut self) {
        let mean_power = (0..WINDOW_CHANNELS).map(|i| self.covariance[i][i]).sum::<f64>() / WINDOW_CHANNELS as f64;
        let least = 1e-6 * mean_power + 1e-24;
        for i in 0..WINDOW_CHANNELS {
            for j in 0..=i {
                let explained: f64 = (0..j).map(|k| self.factor[i][k] * self.factor[j][k]).sum();
                self.factor[i][j] = if i == j {
                    1.0 / (self.covariance[i][i] + least - explained).max(least).sqrt()
                } else {
                    ((1.0 - f64::from(PERCENT) / 100.0) * self.covariance[i][j] - explained) * self.factor[j][j]
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latent::noise::normal;

    #[test]
    fn mixed_channels_are_taken_apart() {
        let (mut channels, mut y) = (Decorrelate::<5>::default(), Frame::default());
        let mut product = 0.0;
        for t in 0..10_000u64 {
            let shared = normal(1, t);
            let x = std::array::from_fn(|c| 2.0 * shared + normal(2 + c as u64, t));
            channels.push(&x, &mut y);
            if t % 17 == 0 {
                channels.solve();
            }
            if t >= 6_000 {
                product += y[20] * y[25] / 4_000.0;
            }
        }
        assert!(product.abs() < 0.1, "{product}");
    }

    #[test]
    fn copies_and_silence_stay_bounded() {
        let (mut channels, mut y) = (Decorrelate::<5>::default(), Frame::default());
        for t in 0..2_000u64 {
            channels.push(&[if t < 1_000 { normal(1, t) } else { 0.0 }; WINDOW_CHANNELS], &mut y);
            channels.solve();
            assert!(y.iter().all(|v| v.abs() < 40.0), "{y:?}");
        }
    }
}
