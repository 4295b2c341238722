//! Each channel brought to running mean 0 and running deviation 1, whatever comes in.
//!
//! Shared by the mappings that keep state. Runs once for each new frame (512 a second). It is here that NaN, infinite,
//! huge, clipped and flat input ends: behind it every value is finite and within [`MOST`], and a channel that says nothing
//! is known as quiet, so that the mapping can put noise in its place.

// Several arrays of channels side by side read plainest by index.
#![allow(clippy::needless_range_loop)]

use crate::signal::{MAPPING_RATE_HZ, WINDOW_CHANNELS};

/// One value for each channel of a window.
pub type Frame = [f64; WINDOW_CHANNELS];

/// Seconds over which mean and deviation are kept: slow beside every rhythm of a brain, quick beside a change of gain.
const MEMORY_SECS: f64 = 8.0;
/// Deviations beyond which a value is held: real signals stay within 6, artefacts do not.
pub const MOST: f64 = 8.0;
/// Samples without change after which a channel starts to be taken as quiet (16 ms)...
const STILL_SAMPLES: f64 = 8.0;
/// ...and over which it comes to be so.
const QUIETING_SAMPLES: f64 = 32.0;
/// Deviations of a value that mean and deviation learn from at most: one artefact each 20 samples is borne.
const MOST_LEARNT: f64 = 4.0;
/// Values beyond are taken as missing, as NaN is: they could not be squared.
const MISSING: f64 = 1e60;
/// What counts as no change, in deviations.
const STILL: f64 = 1e-7;

/// Running standardisation of 32 channels.
#[derive(Default)]
pub struct Standard {
    mean: Frame,
    variance: Frame,
    last: Frame,
    still: Frame,
    seen: u64,
    /// How far each channel is taken as quiet, 0..1.
    pub quiet: Frame,
}

impl Standard {
    /// Starts from the median and the median deviation of these frames, which one artefact among them cannot spoil.
    pub fn begin(frames: &[Frame]) -> Self {
        let mut begun = Self::default();
        let mut values = Vec::with_capacity(frames.len());
        for c in 0..WINDOW_CHANNELS {
            values.clear();
            values.extend(frames.iter().map(|frame| frame[c]).filter(|v| v.abs() < MISSING));
            let median = median_of(&mut values);
            values.iter_mut().for_each(|v| *v = (*v - median).abs());
            // 1.4826 median deviations are a standard deviation of N(0, 1).
            let deviation = 1.4826 * median_of(&mut values);
            begun.mean[c] = median;
            begun.last[c] = median;
            begun.variance[c] = if deviation > 0.0 {
                deviation * deviation
            } else {
                values.iter().map(|v| v * v).sum::<f64>() / values.len().max(1) as f64
            };
        }
        begun.seen = frames.len() as u64;
        begun
    }

    /// Standardises a frame into `z`.
    pub fn push(&mut self, raw: &Frame, z: &mut Frame) {
        self.seen += 1;
        let weight = (1.0 / self.seen as f64).max(1.0 / (MEMORY_SECS * MAPPING_RATE_HZ as f64));
        for c in 0..WINDOW_CHANNELS {
            let sound = raw[c].abs() < MISSING;
            let x = if sound { raw[c] } else { self.last[c] };
            let deviation = self.variance[c].sqrt();
            let floor = 1e-9 * self.mean[c].abs() + 1e-60;
            let from_mean = x - self.mean[c];
            // Once the scale is known, one artefact must not undo it.
            let known = self.seen > MAPPING_RATE_HZ / 4;
            let most = if known { MOST_LEARNT * deviation.max(floor) } else { MISSING };
            let learnt = from_mean.clamp(-most, most);
            self.mean[c] += weight * learnt;
            self.variance[c] = (1.0 - weight) * (self.variance[c] + weight * learnt * learnt);
            z[c] = (from_mean / self.variance[c].sqrt().max(floor)).clamp(-MOST, MOST);
            let changed = sound && (x - self.last[c]).abs() > STILL * deviation.max(floor);
            self.still[c] = if changed { 0.0 } else { self.still[c] + 1.0 };
            let step = if self.still[c] > STILL_SAMPLES { 1.0 } else { -1.0 } / QUIETING_SAMPLES;
            self.quiet[c] = (self.quiet[c] + step).clamp(0.0, 1.0);
            self.last[c] = x;
        }
    }
}

/// The value in the middle; 0 of none.
fn median_of(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() { 0.0 } else { *values.select_nth_unstable_by(middle, f64::total_cmp).1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_gain_and_offset_come_out_alike() {
        let run = |gain: f64, offset: f64| {
            let (mut standard, mut z) = (Standard::default(), Frame::default());
            for t in 0..20_000u32 {
                let raw = std::array::from_fn(|c| offset + gain * (f64::from(t) * (0.05 + 0.01 * c as f64)).sin());
                standard.push(&raw, &mut z);
            }
            z
        };
        let (plain, scaled) = (run(1.0, 0.0), run(3e-6, 7e-4));
        assert!(plain.iter().zip(&scaled).all(|(a, b)| (a - b).abs() < 1e-3), "{plain:?} {scaled:?}");
        assert!(plain.iter().any(|v| v.abs() > 0.5));
    }

    #[test]
    fn broken_values_stay_within_bounds_and_do_not_undo_the_scale() {
        let broken = |t: usize| {
            let mut raw: Frame = [(t * 7 % 20) as f64 - 9.5; WINDOW_CHANNELS];
            raw[t * 5 % 32] = [f64::NAN, f64::INFINITY, 1e300, -1e59][t % 4];
            raw
        };
        let window: Vec<Frame> = (0..512).map(broken).collect();
        let (mut standard, mut z) = (Standard::begin(&window), Frame::default());
        for t in 512..8_000 {
            standard.push(&broken(t), &mut z);
            assert!(z.iter().all(|v| v.abs() <= MOST));
        }
        assert!(standard.variance.iter().all(|v| *v < 100.0), "{:?}", standard.variance);
    }

    #[test]
    fn a_channel_that_stops_is_quiet_within_a_tenth_of_a_second() {
        let (mut standard, mut z) = (Standard::default(), Frame::default());
        for t in 0..1_000u32 {
            let mut raw: Frame = [f64::from(t).sin(); WINDOW_CHANNELS];
            if t > 948 {
                raw[3] = 0.25;
            }
            standard.push(&raw, &mut z);
        }
        assert_eq!(standard.quiet[3], 1.0);
        assert_eq!(standard.quiet[4], 0.0);
    }
}
