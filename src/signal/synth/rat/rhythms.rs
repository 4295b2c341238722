//! The rhythms of the rat's brain, one value each a sample; where they are seen is the probe's affair.

use std::f64::consts::TAU;

use super::events::{Ripple, Spindle};
use super::states::{Level, SLOW_UV};
use crate::signal::random::{Coloured, Random};

/// Independent sources of the background.
pub const BACKGROUNDS: usize = 6;
/// Values a frame: the backgrounds, theta and its harmonic as cosine and sine, two gammas, slow oscillation, spindle,
/// sharp wave, ripple, muscle.
pub const COUNT: usize = BACKGROUNDS + 11;
pub const THETA: usize = BACKGROUNDS;
pub const THETA_2: usize = THETA + 2;
pub const SLOW_GAMMA: usize = THETA + 4;
pub const FAST_GAMMA: usize = THETA + 5;
pub const SLOW: usize = THETA + 6;
pub const SPINDLE: usize = THETA + 7;
pub const SHARP_WAVE: usize = THETA + 8;
pub const RIPPLE: usize = THETA + 9;
pub const MUSCLE: usize = THETA + 10;

/// Theta is a band of 6 to 10 Hz.
const THETA_RANGE_HZ: (f64, f64) = (6.0, 10.0);
/// Theta rises faster than it falls: share of its second harmonic.
const THETA_SKEW: f64 = 0.18;
/// Lowest and highest frequency of the slow oscillation.
const SLOW_HZ: (f64, f64) = (0.65, 1.15);

/// A band of noise: a damped oscillator driven by noise.
struct Band {
    turn: (f64, f64),
    drive: f64,
    value: (f64, f64),
}

impl Band {
    /// Unit variance around `centre_hz`.
    fn new(centre_hz: f64, width_hz: f64, rate_hz: f64) -> Self {
        let keep = (-std::f64::consts::PI * width_hz / rate_hz).exp();
        let (sin, cos) = (TAU * centre_hz / rate_hz).sin_cos();
        Self { turn: (keep * cos, keep * sin), drive: (1.0 - keep * keep).sqrt(), value: (0.0, 0.0) }
    }

    fn next(&mut self, random: &mut Random) -> f64 {
        let (re, im) = self.value;
        let (cos, sin) = self.turn;
        self.value =
            (re * cos - im * sin + self.drive * random.normal(), re * sin + im * cos + self.drive * random.normal());
        self.value.0
    }
}

pub struct Rhythms {
    rate_hz: f64,
    backgrounds: Vec<Coloured>,
    fast_backgrounds: Vec<Coloured>,
    theta_phase: f64,
    theta_wander: Coloured,
    theta_waxing: Coloured,
    slow_gamma: Band,
    fast_gamma: Band,
    slow_phase: f64,
    slow_hz: f64,
    slow_size: f64,
    spindle: Spindle,
    ripple: Ripple,
    muscle: Coloured,
    muscle_before: [f64; 2],
    effort: Coloured,
    begun: [Option<(&'static str, f64)>; 2],
}

impl Rhythms {
    pub fn new(rate_hz: f64, random: &mut Random) -> Self {
        Self {
            rate_hz,
            backgrounds: (0..BACKGROUNDS).map(|_| Coloured::new(rate_hz, 0.4, 8.0, 1.5, random)).collect(),
            fast_backgrounds: (0..BACKGROUNDS).map(|_| Coloured::new(rate_hz, 12.0, 200.0, 1.5, random)).collect(),
            theta_phase: TAU * random.unit(),
            theta_wander: Coloured::new(rate_hz, 0.12, 0.12, 2.0, random),
            theta_waxing: Coloured::new(rate_hz, 0.25, 0.25, 2.0, random),
            slow_gamma: Band::new(38.0, 9.0, rate_hz),
            fast_gamma: Band::new(75.0, 16.0, rate_hz),
            slow_phase: TAU * random.unit(),
            slow_hz: 0.9,
            slow_size: 1.0,
            spindle: Spindle::default(),
            ripple: Ripple::default(),
            muscle: Coloured::new(rate_hz, 100.0, 400.0, 1.0, random),
            muscle_before: [0.0; 2],
            effort: Coloured::new(rate_hz, 0.3, 0.3, 2.0, random),
            begun: [None; 2],
        }
    }

    pub fn next(&mut self, level: &Level, random: &mut Random) -> [f64; COUNT] {
        let mut out = [0.0; COUNT];
        for (index, value) in out[..BACKGROUNDS].iter_mut().enumerate() {
            let slow = self.backgrounds[index].next(random);
            let fast = self.fast_backgrounds[index].next(random);
            *value = level.background * (slow + 0.22 * level.fast * fast);
        }
        let theta_cos = self.theta(level, random, &mut out);
        // Gammas ride on theta: the slow one on its falling, the fast one near its peak (Colgin et al. 2009).
        let theta_depth = (level.theta / 150.0).min(1.0) * 0.85;
        let ride = |phase: f64| 1.0 + theta_depth * (self.theta_phase - phase).cos();
        let (slow_ride, fast_ride) = (ride(1.9), ride(0.3));
        let (up_state, new_cycle) = self.slow(level, random, &mut out);
        let awake_up = 1.0 + 0.6 * (level.slow / SLOW_UV) * up_state;
        out[SLOW_GAMMA] = level.slow_gamma * slow_ride * awake_up * self.slow_gamma.next(random);
        out[FAST_GAMMA] = level.fast_gamma * fast_ride * awake_up * self.fast_gamma.next(random);
        self.begun = [None; 2];
        if new_cycle && random.unit() < level.spindles {
            self.begun[0] = self.spindle.begin(random).map(|secs| ("spindle", secs));
        }
        out[SPINDLE] = self.spindle.next(self.rate_hz);
        // In sleep ripples come with the up states of the cortex.
        let asleep = (level.slow / SLOW_UV).min(1.0);
        let chance = level.ripples_hz / self.rate_hz * (1.0 + asleep * (2.0 * up_state - 1.0).clamp(-1.0, 1.0));
        if random.unit() < chance {
            self.begun[1] = self.ripple.begin(random).map(|secs| ("ripple", secs));
        }
        (out[SHARP_WAVE], out[RIPPLE]) = self.ripple.next(self.rate_hz);
        out[MUSCLE] = self.muscle(level, theta_cos, random);
        out
    }

    /// The events that the last frame began: what, and for how many seconds.
    pub fn begun(&self) -> [Option<(&'static str, f64)>; 2] {
        self.begun
    }

    fn theta(&mut self, level: &Level, random: &mut Random, out: &mut [f64; COUNT]) -> f64 {
        let (lowest, highest) = THETA_RANGE_HZ;
        let hz = (level.theta_hz + level.wander_hz * self.theta_wander.next(random)).clamp(lowest, highest);
        self.theta_phase = (self.theta_phase + TAU * hz / self.rate_hz) % TAU;
        let size = level.theta * (0.28 * self.theta_waxing.next(random)).exp();
        let (sin, cos) = self.theta_phase.sin_cos();
        out[THETA] = size * cos;
        out[THETA + 1] = size * sin;
        // Double angles.
        out[THETA_2] = size * THETA_SKEW * (cos * cos - sin * sin);
        out[THETA_2 + 1] = size * THETA_SKEW * 2.0 * sin * cos;
        cos
    }

    /// Returns how deep in the up state it is (0..1) and whether a cycle has just begun.
    fn slow(&mut self, level: &Level, random: &mut Random, out: &mut [f64; COUNT]) -> (f64, bool) {
        self.slow_phase += TAU * self.slow_hz / self.rate_hz;
        let new_cycle = self.slow_phase >= TAU;
        if new_cycle {
            // Cycles differ; at this phase the wave is zero, so that a new size makes no step.
            self.slow_phase -= TAU;
            self.slow_hz = random.between(SLOW_HZ.0, SLOW_HZ.1);
            self.slow_size = random.between(0.55, 1.35);
        }
        let sin = self.slow_phase.sin();
        // Long up states, short deep down states.
        let wave = if sin > 0.0 { 0.6 * sin.powf(0.7) } else { -(-sin).powf(1.3) };
        out[SLOW] = level.slow * self.slow_size * wave;
        (sin.max(0.0), new_cycle)
    }

    /// What is left of the muscles' activity at the probe: fast noise, louder in movement.
    fn muscle(&mut self, level: &Level, theta_cos: f64, random: &mut Random) -> f64 {
        let noise = self.muscle.next(random);
        // A second difference leaves what is fast.
        let fast = noise - 2.0 * self.muscle_before[0] + self.muscle_before[1];
        self.muscle_before = [noise, self.muscle_before[0]];
        let effort = (0.5 * self.effort.next(random)).exp();
        level.tone * effort * (1.0 + 0.1 * theta_cos) * fast
    }
}
