//! The published mapping, to the letter: z-score over the whole window, one fixed permutation, reshape.
//!
//! Source: Yamashiro, Matsumoto, Ikegaya, PLOS ONE 2024, doi 10.1371/journal.pone.0309709. Population deviation in
//! float64, `latent[k] = z[perm[k]]` with numpy's `RandomState(34).shuffle`, stored as float32. Other shapes take
//! ceil(cells / 32) samples and the same generator's permutation at that length.
//!
//! What the paper leaves open: a flat window has no deviation to divide by. It gets a slowly turning noise instead, faded
//! in from the last picture over a second; a window with any deviation at all is mapped exactly.

use super::{Mapping, Shape, mersenne, noise};
use crate::signal::{HOPS_PER_SEC, MAPPING_RATE_HZ, WINDOW_CHANNELS, Window};

/// Seed of the paper's permutation.
pub const SEED: u32 = 34;
/// Below this share of the largest value, deviation is the rounding of float64 sums and not signal.
const FLAT: f64 = 1e-13;
/// Values beyond this cannot be squared and summed in float64.
const HUGE: f64 = 1e140;
/// Seconds of a turn from one noise to the next while the signal is flat.
const DRIFT_SECS: f64 = 8.0;

/// See the module.
#[derive(Default)]
pub struct Paper {
    order: Vec<u32>,
    values: Vec<f64>,
    /// The last latent with a signal in it, and how far (0..1) the drift has replaced it.
    last: Vec<f32>,
    faded: f32,
    drift: Drift,
}

impl Mapping for Paper {
    fn name(&self) -> &'static str {
        "paper"
    }

    fn samples(&self, shape: Shape) -> usize {
        shape.samples_to_fill()
    }

    fn map(&mut self, window: &Window, shape: Shape, out: &mut [f32]) {
        let slots = shape.samples_to_fill() * WINDOW_CHANNELS;
        if self.order.len() != slots {
            self.order = mersenne::permutation(SEED, slots);
        }
        newest(window, slots, &mut self.values);
        if z_score(&mut self.values) {
            for (cell, &slot) in out.iter_mut().zip(&self.order) {
                *cell = self.values[slot as usize] as f32;
            }
            self.last.clear();
            self.last.extend_from_slice(out);
            self.faded = 0.0;
            return;
        }
        self.drift.fill(window.first_sample as f64 / MAPPING_RATE_HZ as f64, out);
        self.faded = (self.faded + 1.0 / HOPS_PER_SEC as f32).min(1.0);
        if self.faded < 1.0 && self.last.len() == out.len() {
            let (of_last, of_drift) = noise::quarter_turn(self.faded);
            out.iter_mut().zip(&self.last).for_each(|(cell, last)| *cell = of_drift * *cell + of_last * last);
        }
    }

    fn reset(&mut self) {
        self.last.clear();
        self.faded = 0.0;
    }
}

/// The newest `slots` values of the window, finite, scaled down if they are huge. A window too short is repeated.
fn newest(window: &Window, slots: usize, values: &mut Vec<f64>) {
    values.clear();
    let samples = &window.samples[window.samples.len().saturating_sub(slots)..];
    let sound = samples.iter().all(|v| v.abs() < HUGE);
    if sound && samples.len() == slots {
        values.extend_from_slice(samples);
        return;
    }
    let (sum, count) = samples.iter().filter(|v| v.abs() < HUGE).fold((0.0, 0usize), |(sum, n), v| (sum + v, n + 1));
    let bridge = if count > 0 { sum / count as f64 } else { 0.0 };
    let bridged = |v: &f64| if v.abs() < HUGE { *v } else { bridge };
    if samples.is_empty() {
        values.resize(slots, 0.0);
    } else {
        values.extend(samples.iter().cycle().take(slots).map(bridged));
    }
}

/// (x - mean) / std in place, population deviation; false, and nothing done, if the values are all the same.
fn z_score(values: &mut [f64]) -> bool {
    let count = values.len().max(1) as f64;
    let rough = values.iter().sum::<f64>() / count;
    // A plain sum of equal values is off by its rounding, and all of a flat window would then be that far from its mean.
    let mean = rough + values.iter().map(|v| v - rough).sum::<f64>() / count;
    let deviation = (values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count).sqrt();
    let largest = values.iter().fold(0.0f64, |largest, v| largest.max(v.abs()));
    let varies = deviation > FLAT * largest && deviation > f64::MIN_POSITIVE;
    if varies {
        values.iter_mut().for_each(|v| *v = (*v - mean) / deviation);
    }
    varies
}

/// White noise that turns slowly into other white noise: what a mapping shows while there is no signal.
#[derive(Default)]
pub struct Drift {
    turn: Option<u64>,
    from: Vec<f32>,
    to: Vec<f32>,
}

impl Drift {
    pub fn fill(&mut self, signal_secs: f64, out: &mut [f32]) {
        let turns = (signal_secs / DRIFT_SECS).max(0.0);
        let turn = turns as u64;
        if self.turn != Some(turn) || self.from.len() != out.len() {
            self.from.resize(out.len(), 0.0);
            self.to.resize(out.len(), 0.0);
            noise::fill_unit(turn, &mut self.from);
            noise::fill_unit(turn + 1, &mut self.to);
            self.turn = Some(turn);
        }
        let (of_from, of_to) = noise::quarter_turn(turns.fract() as f32);
        for ((cell, from), to) in out.iter_mut().zip(&self.from).zip(&self.to) {
            *cell = of_from * from + of_to * to;
        }
    }
}
