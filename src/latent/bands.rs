//! What the rhythms do: power and pace of six bands over all channels, frame by frame.
//!
//! Each channel goes through two leaky complex resonators a band, one behind the other (Q about 4), after a first
//! difference that levels a 1/f spectrum. Powers are averaged over channels, so that channels out of phase do not cancel;
//! the pace is the mean advance of phase a frame. Both are causal and cost 3,000 multiplications a frame.

// Several arrays of channels side by side read plainest by index.
#![allow(clippy::needless_range_loop)]

use std::f64::consts::TAU;

use super::standard::{Frame, Standard};
use crate::signal::{MAPPING_RATE_HZ, WINDOW_CHANNELS};

pub const BANDS: usize = 6;
/// Middle of each band: slow waves, theta, spindles, beta, gamma, fast gamma and ripples.
pub const CENTRES_HZ: [f64; BANDS] = [2.0, 7.0, 13.0, 24.0, 50.0, 120.0];
/// Width of a resonator as a part of its centre.
const WIDTH: f64 = 0.4;
/// Seconds over which a power is followed, and over which its usual level and spread are known.
const FOLLOW_SECS: f64 = 0.2;
const USUAL_SECS: f64 = 20.0;
/// Seconds over which silence is believed: a signal that rests at a rail for an instant is not silent.
const QUIETING_SECS: f64 = 0.5;

/// A resonator on every channel.
#[derive(Clone, Copy, Default)]
struct Resonator {
    first: (Frame, Frame),
    real: Frame,
    imaginary: Frame,
    /// Running mean power.
    power: f64,
    /// Usual logarithm of the power, and its variance.
    usual: f64,
    spread: f64,
    /// Sum of conj(before) x now over the frames since it was last asked for.
    advance: (f64, f64),
}

/// Running band analysis of 32 channels.
#[derive(Default)]
pub struct Bands {
    standard: Standard,
    last: Frame,
    resonators: [Resonator; BANDS],
    seen: u64,
    broad: Resonator,
    /// Share of the channels that say nothing, followed slowly.
    quiet: f64,
}

/// One band at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Band {
    /// Logarithmic power against its usual level, in spreads, -3..3.
    pub level: f64,
    /// Its frequency as a multiple of the centre, 0.25..2.
    pub pace: f64,
}

impl Bands {
    /// Analysis begun on these frames.
    pub fn begin(frames: &[Frame]) -> Self {
        let mut begun = Self { standard: Standard::begin(frames), ..Self::default() };
        frames.iter().for_each(|raw| begun.push(raw));
        begun
    }

    pub fn push(&mut self, raw: &Frame) {
        let mut z = Frame::default();
        self.standard.push(raw, &mut z);
        let new: Frame = std::array::from_fn(|c| z[c] - 0.98 * self.last[c]);
        self.last = z;
        self.seen += 1;
        let seen = self.seen as f64;
        for (resonator, centre_hz) in self.resonators.iter_mut().zip(CENTRES_HZ) {
            resonator.push(&new, centre_hz);
            resonator.follow(seen);
        }
        self.broad.power = follow(self.broad.power, new.iter().map(|v| v * v).sum(), seen, FOLLOW_SECS);
        self.broad.follow_usual(seen);
        let quiet = self.standard.quiet.iter().sum::<f64>() / WINDOW_CHANNELS as f64;
        self.quiet = follow(self.quiet, quiet, seen, QUIETING_SECS);
    }

    /// Each band now; the pace is since this was last called.
    pub fn read(&mut self) -> [Band; BANDS] {
        let mut bands = [Band::default(); BANDS];
        for ((band, resonator), centre_hz) in bands.iter_mut().zip(&mut self.resonators).zip(CENTRES_HZ) {
            let (real, imaginary) = std::mem::take(&mut resonator.advance);
            let silent = real == 0.0 && imaginary == 0.0;
            let hz = imaginary.atan2(real) / TAU * MAPPING_RATE_HZ as f64;
            band.pace = if silent { 1.0 } else { (hz / centre_hz).clamp(0.25, 2.0) };
            band.level = resonator.level() * (1.0 - self.quiet) - 3.0 * self.quiet;
        }
        bands
    }

    /// Loudness of everything against its usual level, in spreads, -3..3.
    pub fn loudness(&self) -> f64 {
        self.broad.level() * (1.0 - self.quiet) - 3.0 * self.quiet
    }
}

impl Resonator {
    fn push(&mut self, new: &Frame, centre_hz: f64) {
        let rate_hz = MAPPING_RATE_HZ as f64;
        let leak = (-TAU * centre_hz * WIDTH * 0.5 / rate_hz).exp();
        let (sin, cos) = (TAU * centre_hz / rate_hz).sin_cos();
        let (turn_real, turn_imaginary) = (leak * cos, leak * sin);
        let (mut real_sum, mut imaginary_sum) = (0.0, 0.0);
        for c in 0..WINDOW_CHANNELS {
            let (re, im) = (self.first.0[c], self.first.1[c]);
            let first_re = re * turn_real - im * turn_imaginary + (1.0 - leak) * new[c];
            let first_im = re * turn_imaginary + im * turn_real;
            (self.first.0[c], self.first.1[c]) = (first_re, first_im);
            let (re, im) = (self.real[c], self.imaginary[c]);
            let now_re = re * turn_real - im * turn_imaginary + (1.0 - leak) * first_re;
            let now_im = re * turn_imaginary + im * turn_real + (1.0 - leak) * first_im;
            real_sum += re * now_re + im * now_im;
            imaginary_sum += re * now_im - im * now_re;
            (self.real[c], self.imaginary[c]) = (now_re, now_im);
        }
        self.advance.0 += real_sum;
        self.advance.1 += imaginary_sum;
    }

    fn follow(&mut self, seen: f64) {
        let power = self.real.iter().chain(&self.imaginary).map(|v| v * v).sum();
        self.power = follow(self.power, power, seen, FOLLOW_SECS);
        self.follow_usual(seen);
    }

    fn follow_usual(&mut self, seen: f64) {
        let log = (self.power + 1e-9).ln();
        self.usual = follow(self.usual, log, seen, USUAL_SECS);
        self.spread = follow(self.spread, (log - self.usual).powi(2), seen, USUAL_SECS);
    }

    fn level(&self) -> f64 {
        // A steady tone has no spread of its own: a quarter of a neper is the least that counts.
        (((self.power + 1e-9).ln() - self.usual) / self.spread.sqrt().max(0.25)).clamp(-3.0, 3.0)
    }
}

fn follow(kept: f64, new: f64, seen: f64, secs: f64) -> f64 {
    kept + (new - kept) * (1.0 / seen).max(1.0 / (secs * MAPPING_RATE_HZ as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latent::noise::normal;

    #[test]
    fn a_burst_of_theta_is_seen_in_its_band_alone_and_with_its_pace() {
        let mut bands = Bands::default();
        let mut read = [Band::default(); BANDS];
        for t in 0..12_000u64 {
            let theta = if t > 11_500 { 0.6 } else { 0.0 };
            let wave = theta * (TAU * 8.4 * t as f64 / 512.0).sin();
            bands.push(&std::array::from_fn(|c| wave + normal(c as u64, t)));
            if t % 17 == 0 {
                read = bands.read();
            }
        }
        assert!(read[1].level > 2.0, "{read:?}");
        assert!(read[3..].iter().all(|band| band.level.abs() < 1.6), "{read:?}");
        assert!((read[1].pace - 1.2).abs() < 0.1, "{read:?}");
    }

    #[test]
    fn silence_reads_as_low_and_keeps_a_pace() {
        let mut bands = Bands::default();
        for t in 0..4_000u64 {
            bands.push(&[if t < 2_000 { normal(1, t) } else { 0.0 }; WINDOW_CHANNELS]);
        }
        assert!(bands.loudness() < -2.9);
        assert!(bands.read().iter().all(|band| band.level < -2.9 && band.pace >= 0.25));
    }
}
