//! From the channels of a source to the window that an encoder sees: resampled to its rate, tiled or cropped to its
//! channels, each channel with zero mean and unit deviation. A window is a function of its samples alone.

use super::Shape;
use crate::signal::{Mains, Settings, resample::Resampler};

/// What an encoder's recordings are conditioned with: drift out, nothing else.
pub const SETTINGS: Settings = Settings { dc_hz: 0.5, mains: Mains::Off, low_hz: 0.0, high_hz: 0.0, gain: 1.0 };
/// A channel that moves less than this part of its size is flat.
const FLAT: f64 = 1e-9;

/// Frames of a source at `rate_hz` that fill the window of an encoder.
pub fn frames_needed(shape: &Shape, rate_hz: f64) -> usize {
    (shape.secs() * rate_hz).ceil().max(2.0) as usize
}

/// Frames (frame after frame, `width` channels each) at `rate_hz` -> (channels, window), channel by channel.
pub fn window(shape: &Shape, frames: &[f64], width: usize, rate_hz: f64) -> Vec<f32> {
    let mut columns = resampled(frames, width, rate_hz, shape.rate_hz);
    for column in &mut columns {
        let surplus = column.len().saturating_sub(shape.window);
        column.drain(..surplus);
    }
    let mut values = tiled(shape, &columns);
    normalise(&mut values, shape.window);
    values
}

/// As [`window`], but the samples are taken as they are: tiled or cropped, and interpolated only where there are fewer
/// of them than the window has.
pub fn raw_window(shape: &Shape, frames: &[f64], width: usize) -> Vec<f32> {
    let columns: Vec<Vec<f64>> =
        (0..width).map(|channel| frames.iter().skip(channel).step_by(width).copied().collect()).collect();
    tiled(shape, &columns)
}

fn resampled(frames: &[f64], width: usize, from_hz: f64, to_hz: f64) -> Vec<Vec<f64>> {
    let mut columns = vec![Vec::new(); width];
    let mut take = |frame: &[f64]| columns.iter_mut().zip(frame).for_each(|(column, x)| column.push(*x));
    if from_hz == to_hz {
        frames.chunks_exact(width).for_each(take);
        return columns;
    }
    let mut resampler = Resampler::new(width, from_hz, to_hz);
    let mut frame = vec![0.0; width];
    for new in frames.chunks_exact(width) {
        resampler.push(new);
    }
    resampler.finish();
    while resampler.pop(&mut frame) {
        take(&frame);
    }
    columns
}

/// Fewer channels are repeated, more are left out; another number of samples is interpolated, both ends kept.
fn tiled(shape: &Shape, columns: &[Vec<f64>]) -> Vec<f32> {
    let mut values = Vec::with_capacity(shape.channels * shape.window);
    for channel in 0..shape.channels {
        match columns.get(channel % columns.len().max(1)) {
            Some(column) => values.extend(interpolated(column, shape.window).map(|x| x as f32)),
            None => values.extend(std::iter::repeat_n(0.0, shape.window)),
        }
    }
    values
}

fn interpolated(column: &[f64], count: usize) -> impl Iterator<Item = f64> + '_ {
    let step = if count > 1 { (column.len().max(1) - 1) as f64 / (count - 1) as f64 } else { 0.0 };
    (0..count).map(move |n| {
        if column.len() == count {
            return column[n];
        }
        let at = n as f64 * step;
        let (low, share) = (at.floor() as usize, at.fract());
        let of = |i: usize| column.get(i.min(column.len().saturating_sub(1))).copied().unwrap_or_default();
        of(low) * (1.0 - share) + of(low + 1) * share
    })
}

/// Each `window` values: zero mean, unit deviation; a flat channel is zero.
pub fn normalise(values: &mut [f32], window: usize) {
    for channel in values.chunks_exact_mut(window) {
        let mean = channel.iter().map(|x| f64::from(*x)).sum::<f64>() / window as f64;
        let variance = channel.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / window as f64;
        let deviation = variance.sqrt();
        let scale = if deviation > FLAT * (1.0 + mean.abs()) { 1.0 / deviation } else { 0.0 };
        for x in channel {
            *x = ((f64::from(*x) - mean) * scale) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(channels: usize, rate_hz: f64, window: usize) -> Shape {
        Shape { channels, rate_hz, window, patch: 4, ..Shape::full() }
    }

    #[test]
    fn a_few_channels_are_tiled_and_many_are_cropped() {
        let frames: Vec<f64> = (0..8).flat_map(|n| [n as f64, -(n as f64), 5.0 * n as f64]).collect();
        let three = raw_window(&shape(5, 8.0, 8), &frames, 3);
        assert_eq!(three[..8], three[24..32]);
        assert_eq!(three[8..16], three[32..40]);
        assert_eq!(raw_window(&shape(1, 8.0, 8), &frames, 3), (0..8).map(|n| n as f32).collect::<Vec<_>>());
    }

    #[test]
    fn each_channel_has_zero_mean_and_unit_deviation_and_a_flat_one_is_zero() {
        let frames: Vec<f64> = (0..512).flat_map(|n| [1e4 + (n as f64 * 0.1).sin(), 7.0]).collect();
        let values = window(&shape(2, 256.0, 256), &frames, 2, 512.0);
        let (moving, flat) = values.split_at(256);
        let mean = moving.iter().sum::<f32>() / 256.0;
        let variance = moving.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 256.0;
        assert!(mean.abs() < 1e-4 && (variance - 1.0).abs() < 1e-3, "{mean} {variance}");
        assert!(flat.iter().all(|x| *x == 0.0));
    }

    #[test]
    fn a_slow_wave_is_the_same_wave_at_the_rate_of_the_encoder() {
        let wave = |n: usize, hz: f64| (n as f64 / hz * std::f64::consts::TAU * 5.0).sin();
        let frames: Vec<f64> = (0..1000).map(|n| wave(n, 1000.0)).collect();
        let values = window(&shape(1, 256.0, 256), &frames, 1, 1000.0);
        for (n, x) in values.iter().enumerate().skip(20).take(200) {
            assert!((f64::from(*x) - wave(n, 256.0) * 2f64.sqrt()).abs() < 0.05, "sample {n}: {x}");
        }
    }

    #[test]
    fn fewer_samples_than_the_window_are_stretched_with_both_ends_kept() {
        let frames: Vec<f64> = (0..440).map(f64::from).collect();
        let values = raw_window(&shape(1, 1000.0, 512), &frames, 1);
        assert_eq!((values[0], values[511]), (0.0, 439.0));
        assert!((values[256] - 256.0 * 439.0 / 511.0).abs() < 1e-3);
    }
}
