//! The signal made white: each new frame becomes 32 values near N(0, 1), nearly free of past and neighbours.
//!
//! A diffusion model expects white Gaussian noise; a brain gives 1/f rhythms shared by all electrodes. Five running stages
//! undo that, each slow (seconds) beside the signal, so that what is left is what was new in each sample:
//! standardisation ([`super::standard`]), decorrelation of the channels by a Cholesky factor ([`decorrelate`]), a linear
//! predictor for each ([`predict`]), decorrelation of what that leaves, and a running map of ranks to the normal distribution
//! ([`ranks`]). The channels come first: what they share has another spectrum than what is each one's own.
//!
//! Quiet channels are replaced by deterministic noise, so that flat input drifts on instead of freezing.

mod decorrelate;
mod predict;
mod ranks;

use super::{
    noise,
    standard::{Frame, Standard},
};
use crate::signal::{MAPPING_RATE_HZ, WINDOW_CHANNELS};

/// Frames after which predictor, decorrelation and ranks are brought up to date: about a hop.
const UPDATE_FRAMES: u64 = 17;
/// Seconds over which the loudness is levelled: long beside a wave, short enough that a window is evenly loud.
const LEVELLING_SECS: f64 = 0.2;
/// Seconds over which a burst is felt, and over which it is compared.
const BURST_SECS: f64 = 0.08;
const CALM_SECS: f64 = 8.0;
/// Seed of the noise that stands in for quiet channels.
const STAND_IN: u64 = 0x5EED_0F0A_0011_7E00;

/// Running whitening of 32 channels.
#[derive(Default)]
pub struct Whiten {
    standard: Standard,
    shared: decorrelate::Decorrelate<1>,
    predictor: predict::Predictor,
    channels: decorrelate::Decorrelate<5>,
    ranks: ranks::Ranks,
    seen: u64,
    /// Frames that the powers below follow.
    followed: u64,
    levelled: f64,
    burst: f64,
    calm: f64,
}

/// Times that the frames to begin with are read, each settling one stage more.
const SETTLING_PASSES: usize = 3;

impl Whiten {
    /// Whitening settled on these frames, the first of this number.
    pub fn begin(first: u64, frames: &[Frame]) -> Self {
        let mut begun = Self { standard: Standard::begin(frames), ..Self::default() };
        let mut white = Frame::default();
        for _ in 0..SETTLING_PASSES {
            // Ranks and powers of what the stages before gave while they were unsettled are no guide.
            begun.ranks = ranks::Ranks::default();
            begun.followed = 0;
            for (number, raw) in (first..).zip(frames) {
                begun.push(number, raw, &mut white);
            }
        }
        begun
    }

    /// Whitens the frame of this number into `white`. The answer is how lively the moment is: 1 is usual, more is a burst.
    pub fn push(&mut self, number: u64, raw: &Frame, white: &mut Frame) -> f64 {
        let (mut z, mut own, mut novel) = (Frame::default(), Frame::default(), Frame::default());
        self.standard.push(raw, &mut z);
        self.shared.push(&z, &mut own);
        self.predictor.push(&own, &mut novel);
        self.channels.push(&novel, white);
        self.seen += 1;
        if self.seen.is_multiple_of(UPDATE_FRAMES) {
            self.shared.solve();
            self.predictor.solve();
            self.channels.solve();
            self.ranks.solve();
        }

        let power = white.iter().map(|v| v * v).sum::<f64>() / WINDOW_CHANNELS as f64;
        self.follow(power);
        let gain = 1.0 / self.levelled.sqrt().max(1e-60);
        for (c, value) in white.iter_mut().enumerate() {
            let (of_signal, of_noise) = noise::quarter_turn(self.standard.quiet[c] as f32);
            let stand_in =
                if of_noise > 0.0 { noise::normal(STAND_IN, number * WINDOW_CHANNELS as u64 + c as u64) } else { 0.0 };
            *value = self.ranks.normal_from(f64::from(of_signal) * *value * gain + f64::from(of_noise) * stand_in);
        }
        let spoken = 1.0 - self.standard.quiet.iter().sum::<f64>() / WINDOW_CHANNELS as f64;
        spoken * (self.burst / self.calm.max(1e-120)).sqrt().clamp(0.0, 4.0)
    }

    fn follow(&mut self, power: f64) {
        self.followed += 1;
        let seen = self.followed as f64;
        let toward = |kept: &mut f64, secs: f64| {
            *kept += (power - *kept) * (1.0 / seen).max(1.0 / (secs * MAPPING_RATE_HZ as f64));
        };
        toward(&mut self.levelled, LEVELLING_SECS);
        toward(&mut self.burst, BURST_SECS);
        toward(&mut self.calm, CALM_SECS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shared 1/f-like background (three leaky integrators) with a little of each channel's own.
    fn coloured(number: u64, slow: &mut [f64; 3]) -> Frame {
        for (k, value) in slow.iter_mut().enumerate() {
            let leak = [0.5, 0.1, 0.01][k];
            *value += leak * (noise::normal(k as u64, number) / f64::sqrt(leak) - *value);
        }
        let shared: f64 = slow.iter().sum();
        std::array::from_fn(|c| shared * (1.0 + 0.02 * c as f64) + 0.3 * noise::normal(9 + c as u64, number))
    }

    #[test]
    fn a_coloured_shared_background_comes_out_white_and_normal() {
        let (mut whiten, mut slow, mut white) = (Whiten::default(), [0.0; 3], Frame::default());
        let mut kept: Vec<Frame> = Vec::new();
        for number in 0..20_000 {
            whiten.push(number, &coloured(number, &mut slow), &mut white);
            if number > 6_000 {
                kept.push(white);
            }
        }
        let values = || kept.iter().flatten();
        let count = values().count() as f64;
        let moment = |power: i32| values().map(|v| v.powi(power)).sum::<f64>() / count;
        assert!(moment(1).abs() < 0.02, "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.05, "variance {}", moment(2));
        assert!((moment(4) / moment(2).powi(2) - 3.0).abs() < 0.2, "kurtosis {}", moment(4));
        for lag in [1, 5, 17] {
            let pairs = kept.iter().zip(&kept[lag..]);
            let r = pairs.map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>()).sum::<f64>() / count;
            assert!(r.abs() < 0.05, "autocorrelation {r} at {lag}");
        }
        let neighbours = kept.iter().map(|f| f.windows(2).map(|w| w[0] * w[1]).sum::<f64>()).sum::<f64>() / count;
        assert!(neighbours.abs() < 0.08, "neighbours {neighbours}");
    }

    #[test]
    fn a_burst_is_felt_as_lively_and_silence_as_not() {
        let (mut whiten, mut slow, mut white) = (Whiten::default(), [0.0; 3], Frame::default());
        let mut lively = [0.0; 3];
        for number in 0..9_000 {
            let gain = if (7_950..8_000).contains(&number) { 4.0 } else { f64::from(u8::from(number < 8_500)) };
            let raw = coloured(number, &mut slow).map(|v| v * gain);
            let felt = whiten.push(number, &raw, &mut white);
            match number {
                7_949 => lively[0] = felt,
                7_999 => lively[1] = felt,
                8_999 => lively[2] = felt,
                _ => {}
            }
        }
        assert!((0.5..1.5).contains(&lively[0]) && lively[1] > 2.0 && lively[2] < 0.05, "{lively:?}");
        assert!(white.iter().any(|v| v.abs() > 0.3), "silence must not freeze: {white:?}");
    }
}
