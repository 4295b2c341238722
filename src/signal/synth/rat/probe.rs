//! Where along the probe each rhythm is seen. Depth runs from 0 (surface of the cortex) to 1 (dentate gyrus); the
//! pyramidal layer of CA1 lies at 0.55, where theta begins to turn over and sharp waves change their sign.

use super::rhythms::{
    BACKGROUNDS, COUNT, FAST_GAMMA, MUSCLE, RIPPLE, SHARP_WAVE, SLOW, SLOW_GAMMA, SPINDLE, THETA, THETA_2,
};
use crate::signal::random::Random;

const PYRAMIDAL: f64 = 0.55;
const RADIATUM: f64 = 0.66;
/// Stratum lacunosum-moleculare, at the fissure: theta is greatest here.
const FISSURE: f64 = 0.8;

/// Weight of each rhythm at each electrode.
pub struct Probe {
    weights: Vec<[f64; COUNT]>,
}

fn bell(depth: f64, centre: f64, width: f64) -> f64 {
    (-((depth - centre) / width).powi(2) / 2.0).exp()
}

fn rise(depth: f64, centre: f64, width: f64) -> f64 {
    1.0 / (1.0 + (-(depth - centre) / width).exp())
}

impl Probe {
    pub fn new(channels: usize, random: &mut Random) -> Self {
        // Electrodes are never quite alike.
        let gains: Vec<f64> = (0..channels).map(|_| random.between(0.92, 1.08)).collect();
        let weights = gains.iter().enumerate().map(|(channel, gain)| {
            let depth = (channel as f64 + 0.5) / channels as f64;
            profile(depth).map(|weight| weight * gain)
        });
        Self { weights: weights.collect() }
    }

    pub fn mix(&self, rhythms: &[f64; COUNT], frame: &mut [f64]) {
        for (x, weights) in frame.iter_mut().zip(&self.weights) {
            *x = weights.iter().zip(rhythms).map(|(weight, rhythm)| weight * rhythm).sum();
        }
    }
}

fn profile(depth: f64) -> [f64; COUNT] {
    let mut weights = [0.0; COUNT];
    // Backgrounds overlap like the layers that make them; a common part reaches everywhere.
    let place = |index: usize| index as f64 / (BACKGROUNDS - 1) as f64;
    let shares: Vec<f64> =
        (0..BACKGROUNDS)
            .map(|index| {
                if index == 0 {
                    0.45
                } else {
                    bell(depth, place(index), 0.16) * if index % 2 == 0 { -1.0 } else { 1.0 }
                }
            })
            .collect();
    let power: f64 = shares.iter().map(|share| share * share).sum();
    for (weight, share) in weights.iter_mut().zip(&shares) {
        *weight = share / power.sqrt();
    }
    // Theta is conducted into the cortex and turns by half a cycle between the pyramidal layer and the fissure.
    let theta = 0.22 + 0.3 * rise(depth, 0.42, 0.05) + 0.55 * bell(depth, FISSURE, 0.11);
    let lag = std::f64::consts::PI * rise(depth, RADIATUM, 0.035);
    weights[THETA] = theta * lag.cos();
    weights[THETA + 1] = theta * lag.sin();
    weights[THETA_2] = theta * (2.0 * lag + 0.6).cos();
    weights[THETA_2 + 1] = theta * (2.0 * lag + 0.6).sin();
    weights[SLOW_GAMMA] = 0.3 * bell(depth, 0.2, 0.15) + bell(depth, RADIATUM, 0.07);
    weights[FAST_GAMMA] = 0.35 * bell(depth, 0.25, 0.15) + bell(depth, FISSURE, 0.08);
    // The slow oscillation turns over below the surface of the cortex and is weaker in the hippocampus.
    weights[SLOW] = -1.0 + 2.0 * rise(depth, 0.1, 0.03) - 0.55 * rise(depth, 0.45, 0.05);
    weights[SPINDLE] = bell(depth, 0.25, 0.14) + 0.15;
    // Positive above the pyramidal layer, negative in the radiatum.
    weights[SHARP_WAVE] = 0.35 * bell(depth, 0.48, 0.05) - bell(depth, RADIATUM, 0.06) + 0.04;
    weights[RIPPLE] = bell(depth, PYRAMIDAL, 0.04) + 0.05 * rise(depth, 0.42, 0.05);
    weights[MUSCLE] = 1.0 + 0.25 * (1.0 - depth);
    weights
}
