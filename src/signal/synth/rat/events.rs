//! What comes and goes: spindles and sharp-wave ripples, one at a time each.

use std::f64::consts::TAU;

use crate::signal::random::Random;

/// A spindle: 11 to 15 Hz for half a second to a second and a half, waxing and waning, slowing a little.
#[derive(Debug, Default)]
pub struct Spindle {
    at_secs: f64,
    length_secs: f64,
    hz: f64,
    size: f64,
    phase: f64,
}

const SPINDLE_UV: f64 = 125.0;
const SHARP_WAVE_UV: f64 = 320.0;
const RIPPLE_UV: f64 = 150.0;
/// Standard deviations of the bells of sharp wave and ripple.
const SHARP_WAVE_SECS: f64 = 0.020;
const RIPPLE_SECS: f64 = 0.014;
/// An event reaches so far from its middle.
const REACH_SECS: f64 = 0.09;
/// Ripples above this part of the rate cannot be shown.
const HIGHEST: f64 = 0.45;

impl Spindle {
    /// Gives its length, if none is running.
    pub fn begin(&mut self, random: &mut Random) -> Option<f64> {
        let free = self.at_secs >= self.length_secs;
        if free {
            *self = Self {
                at_secs: 0.0,
                length_secs: random.between(0.5, 1.5),
                hz: random.between(11.5, 14.5),
                size: random.between(0.5, 1.2),
                phase: TAU * random.unit(),
            };
        }
        free.then_some(self.length_secs)
    }

    pub fn next(&mut self, rate_hz: f64) -> f64 {
        if self.at_secs >= self.length_secs {
            return 0.0;
        }
        let part = self.at_secs / self.length_secs;
        self.at_secs += 1.0 / rate_hz;
        self.phase += TAU * self.hz * (1.04 - 0.08 * part) / rate_hz;
        SPINDLE_UV * self.size * (std::f64::consts::PI * part).sin().powi(2) * self.phase.sin()
    }
}

/// A sharp wave and the ripple on it: 140 to 190 Hz.
#[derive(Debug, Default)]
pub struct Ripple {
    /// Seconds from its middle; none is running beyond the reach.
    left_secs: f64,
    hz: f64,
    size: f64,
    phase: f64,
}

impl Ripple {
    /// Gives its length, if none is running.
    pub fn begin(&mut self, random: &mut Random) -> Option<f64> {
        let free = self.left_secs <= 0.0;
        if free {
            *self = Self {
                left_secs: 2.0 * REACH_SECS,
                hz: random.between(140.0, 190.0),
                size: random.between(0.5, 1.3),
                phase: TAU * random.unit(),
            };
        }
        free.then_some(2.0 * REACH_SECS)
    }

    /// Sharp wave and ripple.
    pub fn next(&mut self, rate_hz: f64) -> (f64, f64) {
        if self.left_secs <= 0.0 {
            return (0.0, 0.0);
        }
        let from_middle = REACH_SECS - self.left_secs;
        self.left_secs -= 1.0 / rate_hz;
        self.phase += TAU * self.hz / rate_hz;
        let bell = |width: f64| (-(from_middle / width).powi(2) / 2.0).exp();
        let shown = if self.hz < HIGHEST * rate_hz { 1.0 } else { 0.0 };
        (
            SHARP_WAVE_UV * self.size * bell(SHARP_WAVE_SECS),
            shown * RIPPLE_UV * self.size * bell(RIPPLE_SECS) * self.phase.sin(),
        )
    }
}
