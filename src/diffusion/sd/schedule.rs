//! The way from noise to a latent: timesteps, and what is done with the U-Net's answer at each.
//!
//! Numbers are those of diffusers' schedulers, whose papers are: DDIM (Song et al. 2021, eta 0), Euler (Karras et al.
//! 2022, algorithm 1 without churn), LCM (Luo et al. 2023), PLMS (Liu et al. 2022, without Runge-Kutta steps). One object
//! holds all steps of a run, so that a row of a batch can stand at any of them.

mod past;
mod settings;
mod times;

use candle_core::{Result, Tensor};

pub use past::Past;

pub use settings::{Prediction, Sampler, ScheduleConfig, Spacing};

/// Steps of training; timesteps are 0 to 999.
pub const TRAINED: usize = 1000;
/// As many as DreamDiffusion was shown with.
pub const MOST_STEPS: usize = 250;
/// Those of its own schedule.
const MOST_STEPS_OF_LCM: usize = 50;
/// LCM: width of the data, and how steeply the timestep counts.
const LCM_SIGMA_DATA: f64 = 0.5;
const LCM_SCALING: f64 = 10.0;

/// All steps of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    sampler: Sampler,
    prediction: Prediction,
    steps: Vec<Step>,
    skipped: usize,
    /// What unit-variance noise is multiplied with before the first step.
    pub start: f64,
}

/// A step: `a` is the share of the picture, `b` that of the noise, a^2 + b^2 = 1; sigma = b / a.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    pub timestep: f32,
    a: f64,
    b: f64,
    next_a: f64,
    next_b: f64,
    sigma: f64,
    next_sigma: f64,
    last: bool,
}

/// Where a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Begin {
    /// At noise alone.
    #[default]
    Noise,
    /// At a picture with so much noise, 0..1, in whole steps as diffusers has it: of 5 steps, 0.5 takes the last 2.
    Whole(f32),
    /// As `Whole`, but with the noise of exactly this strength, so that it can be a knob: the first step is shorter.
    Exact(f32),
}

impl Schedule {
    /// All steps from noise; `steps` is brought into 1 to [`MOST_STEPS`], for LCM to 50.
    pub fn new(config: &ScheduleConfig, sampler: Sampler, steps: usize) -> Self {
        Self::beginning(config, sampler, steps, Begin::Noise)
    }

    /// Of so many steps those from a beginning on, at least one.
    pub fn beginning(config: &ScheduleConfig, sampler: Sampler, steps: usize, begin: Begin) -> Self {
        let n = steps.clamp(1, if sampler == Sampler::Lcm { MOST_STEPS_OF_LCM } else { MOST_STEPS });
        let (steps, skipped) = times::steps(config, sampler, n, begin);
        let largest = steps.first().map_or(1.0, |s| s.sigma);
        let start = match (sampler, config.spacing(sampler)) {
            (Sampler::Euler, Spacing::Leading) => (largest * largest + 1.0).sqrt(),
            (Sampler::Euler, _) => largest,
            _ => 1.0,
        };
        Self { sampler, prediction: config.prediction, steps, skipped, start }
    }

    pub fn sampler(&self) -> Sampler {
        self.sampler
    }

    /// Steps of the whole run that come before the first one.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether a step adds fresh noise.
    pub fn wants_noise(&self, step: &Step) -> bool {
        self.sampler == Sampler::Lcm && !step.last
    }

    /// What the latent is multiplied with before the U-Net sees it, and what latent, answer and fresh noise are multiplied
    /// with for their sum to be the next latent: see [`scaled`] and [`advanced`].
    pub fn factors(&self, step: &Step) -> [f32; FACTORS] {
        let scale = match self.sampler {
            Sampler::Euler => 1.0 / (step.sigma * step.sigma + 1.0).sqrt(),
            _ => 1.0,
        };
        let [keep, take, fresh] = self.weights(step);
        [scale, keep, take, fresh].map(|factor| factor as f32)
    }

    /// The share of noise and of the clean latent at the start of a step, for starting from a picture.
    pub fn mix(&self, step: &Step) -> (f32, f32) {
        if self.sampler == Sampler::Euler { (step.sigma as f32, 1.0) } else { (step.b as f32, step.a as f32) }
    }

    /// Every step is a sum: of the latent, the U-Net's answer and fresh noise, with these weights.
    fn weights(&self, s: &Step) -> [f64; 3] {
        // The clean latent and the noise as sums of latent and answer.
        let (clean, noise) = match (self.sampler, self.prediction) {
            // x = x0 + sigma e; with v: x0 = x / (s^2 + 1) - v s / sqrt(s^2 + 1)
            (Sampler::Euler, Prediction::Epsilon) => ([1.0, -s.sigma], [0.0, 1.0]),
            (Sampler::Euler, Prediction::Velocity) => {
                let d = s.sigma * s.sigma + 1.0;
                let clean = [1.0 / d, -s.sigma / d.sqrt()];
                (clean, [(1.0 - clean[0]) / s.sigma, -clean[1] / s.sigma])
            }
            (_, Prediction::Epsilon) => ([1.0 / s.a, -s.b / s.a], [0.0, 1.0]),
            (_, Prediction::Velocity) => ([s.a, -s.b], [s.b, s.a]),
        };
        match self.sampler {
            // With the blended answer, PLMS is DDIM: its formula for the next latent is the same in other words.
            Sampler::Ddim | Sampler::Plms => {
                [s.next_a * clean[0] + s.next_b * noise[0], s.next_a * clean[1] + s.next_b * noise[1], 0.0]
            }
            Sampler::Euler => {
                let d = s.next_sigma - s.sigma;
                [1.0 + d * noise[0], d * noise[1], 0.0]
            }
            Sampler::Lcm => {
                let t = f64::from(s.timestep) * LCM_SCALING;
                let data = LCM_SIGMA_DATA * LCM_SIGMA_DATA;
                let (skip, out) = (data / (t * t + data), t / (t * t + data).sqrt());
                let denoised = [skip + out * clean[0], out * clean[1]];
                if s.last {
                    [denoised[0], denoised[1], 0.0]
                } else {
                    [s.next_a * denoised[0], s.next_a * denoised[1], s.next_b]
                }
            }
        }
    }
}

/// Factors of a row.
pub const FACTORS: usize = 4;

/// The latents `(rows, 4, h, w)` as the U-Net sees them. `by` `(FACTORS or more, rows, 1, 1, 1)` holds the
/// [`Schedule::factors`] of each row, on the device that all are on: numbers there, so that a recording serves all steps.
pub fn scaled(x: &Tensor, by: &Tensor) -> Result<Tensor> {
    x.broadcast_mul(&by.get(0)?)
}

/// The latents `x` brought from a step to the next with the U-Net's answer; without noise there is none to add.
pub fn advanced(x: &Tensor, answer: &Tensor, noise: Option<&Tensor>, by: &Tensor) -> Result<Tensor> {
    let next = (x.broadcast_mul(&by.get(1)?)? + answer.broadcast_mul(&by.get(2)?)?)?;
    match noise {
        Some(noise) => next + noise.broadcast_mul(&by.get(3)?)?,
        None => Ok(next),
    }
}

impl Step {
    fn new(timestep: f64, square: f64, next_square: f64, last: bool) -> Self {
        let (a, b) = (square.sqrt(), (1.0 - square).sqrt());
        let (next_a, next_b) = (next_square.sqrt(), (1.0 - next_square).sqrt());
        let sigma = ((1.0 - square) / square).sqrt();
        Self { timestep: timestep as f32, a, b, next_a, next_b, sigma, next_sigma: 0.0, last }
    }
}

#[cfg(test)]
mod tests;
