//! The spectrum steers: band powers and phases move a point on the sphere of noise.
//!
//! Fourteen fixed, orthogonal noises of unit variance span seven planes. Six belong to the bands of [`super::bands`]: the
//! share of a band is its length in its plane, and its rhythm turns it there, slowed down (a theta wave of 7 Hz would
//! strobe at thirty pictures a second) but in proportion: faster theta, faster turn. The seventh turns by itself, so that
//! silence drifts. The sum lies on the sphere: unit variance always, whatever the bands do.

use std::f64::consts::TAU;

use super::{
    Follow, Fresh, Mapping, Shape,
    bands::{BANDS, Band, Bands},
    frames, frames_from, noise,
};
use crate::signal::{MAPPING_RATE_HZ, Window};

const PLANES: usize = BANDS + 1;
const DIRECTIONS: usize = 2 * PLANES;
const SEED: u64 = 0x5BEC_0000_0000_0000;
/// Seconds of a full turn at a band's centre frequency, and of the drift: no two in step.
const TURN_SECS: [f64; PLANES] = [13.0, 11.0, 9.7, 8.3, 7.1, 6.1, 23.0];
/// Growth of a band's length for one spread of its level, at drive 1.
const GROWTH: f64 = 0.5;
/// Length of the drift beside a band at its usual level.
const DRIFT: f64 = 0.8;
/// Seconds over which lengths follow the levels.
const FOLLOW_SECS: f64 = 0.25;

/// See the module.
pub struct Spectral {
    follow: Follow,
    bands: Bands,
    /// `DIRECTIONS` orthogonal noises, one after the other.
    directions: Vec<f32>,
    cells: usize,
    angles: [f64; PLANES],
    lengths: [f64; PLANES],
    drive: f32,
}

impl Default for Spectral {
    fn default() -> Self {
        Self {
            follow: Follow::default(),
            bands: Bands::default(),
            directions: Vec::new(),
            cells: 0,
            angles: [0.0; PLANES],
            lengths: [1.0; PLANES],
            drive: 1.0,
        }
    }
}

impl Spectral {
    fn step(&mut self, frames: usize, at_once: bool) {
        let secs = frames as f64 / MAPPING_RATE_HZ as f64;
        let bands = self.bands.read();
        let near = if at_once { 1.0 } else { 1.0 - (-secs / FOLLOW_SECS).exp() };
        for (plane, turn_secs) in TURN_SECS.iter().enumerate().take(PLANES) {
            let Band { level, pace } = bands.get(plane).copied().unwrap_or(Band { level: 0.0, pace: 1.0 });
            let usual = if plane < BANDS { 1.0 } else { DRIFT };
            let wanted = usual * (GROWTH * f64::from(self.drive) * level).exp();
            self.lengths[plane] += near * (wanted - self.lengths[plane]);
            self.angles[plane] = (self.angles[plane] + TAU * secs * pace / turn_secs) % TAU;
        }
    }

    /// Weight of each direction; the squares sum to 1.
    fn weights(&self) -> [f32; DIRECTIONS] {
        let radius = self.lengths.iter().map(|length| length * length).sum::<f64>().sqrt();
        std::array::from_fn(|i| {
            let (sin, cos) = self.angles[i / 2].sin_cos();
            (self.lengths[i / 2] / radius * if i % 2 == 0 { cos } else { sin }) as f32
        })
    }
}

impl Mapping for Spectral {
    fn name(&self) -> &'static str {
        "spectral"
    }

    fn samples(&self, _shape: Shape) -> usize {
        MAPPING_RATE_HZ as usize
    }

    fn map(&mut self, window: &Window, _shape: Shape, out: &mut [f32]) {
        if self.cells != out.len() {
            self.directions = orthogonal_noises(out.len());
            self.cells = out.len();
        }
        match self.follow.window(window) {
            Fresh::From(frame) => {
                let frames = frames_from(window, frame).map(|(_, raw)| self.bands.push(raw)).count();
                self.step(frames, false);
            }
            Fresh::Restart => {
                self.bands = Bands::begin(frames(window));
                // The drift is where signal time would have brought it, so that a late start is not the first picture again.
                let secs = window.first_sample as f64 / MAPPING_RATE_HZ as f64;
                self.angles = TURN_SECS.map(|turn_secs| TAU * (secs / turn_secs).fract());
                self.step(frames(window).len(), true);
            }
        }
        out.fill(0.0);
        for (weight, direction) in self.weights().into_iter().zip(self.directions.chunks_exact(self.cells.max(1))) {
            out.iter_mut().zip(direction).for_each(|(cell, value)| *cell += weight * value);
        }
    }

    fn reset(&mut self) {
        self.follow = Follow::default();
    }

    fn set(&mut self, knob: &str, value: f32) -> bool {
        if knob == "drive" && value.is_finite() {
            self.drive = value.clamp(0.0, 2.0);
        }
        knob == "drive"
    }
}

/// White noises of unit mean square, made orthogonal one after the other (Gram and Schmidt).
fn orthogonal_noises(cells: usize) -> Vec<f32> {
    let mut all = vec![0.0; DIRECTIONS * cells];
    for i in 0..DIRECTIONS {
        let (before, rest) = all.split_at_mut(i * cells);
        let new = &mut rest[..cells];
        noise::fill_unit(SEED + i as u64, new);
        for other in before.chunks_exact(cells.max(1)) {
            let shared = new.iter().zip(other).map(|(a, b)| f64::from(a * b)).sum::<f64>() / cells.max(1) as f64;
            new.iter_mut().zip(other).for_each(|(a, b)| *a -= shared as f32 * b);
        }
        noise::to_unit_rms(new);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directions_are_orthogonal_and_of_unit_variance() {
        let cells = 4096;
        let all = orthogonal_noises(cells);
        for (i, a) in all.chunks_exact(cells).enumerate() {
            for (j, b) in all.chunks_exact(cells).enumerate() {
                let product = a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>() / cells as f32;
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((product - expected).abs() < 1e-3, "{i} {j}: {product}");
            }
        }
    }
}
