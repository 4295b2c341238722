//! Recursive filters, one channel each: the one-pole that removes an offset, and biquads.
//!
//! Coefficients: Robert Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients" (W3C note, 2021).

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

/// Subtracts a running mean: a first-order high-pass.
#[derive(Debug, Clone)]
pub struct OffsetRemoval {
    follow: f64,
    mean: f64,
}

impl OffsetRemoval {
    pub fn new(corner_hz: f64, rate_hz: f64) -> Self {
        Self { follow: 1.0 - (-TAU * corner_hz / rate_hz).exp(), mean: 0.0 }
    }

    pub fn settle(&mut self, value: f64) -> f64 {
        self.mean = value;
        0.0
    }

    pub fn run(&mut self, x: f64) -> f64 {
        self.mean += self.follow * (x - self.mean);
        x - self.mean
    }
}

/// A second-order section, transposed direct form II.
#[derive(Debug, Clone)]
pub struct Biquad {
    b: [f64; 3],
    a: [f64; 2],
    s: [f64; 2],
}

/// Qualities of the two sections of a fourth-order Butterworth filter: `1 / (2 cos(pi/8))`, `1 / (2 cos(3 pi/8))`.
const BUTTERWORTH_4: [f64; 2] = [0.541_196_100_146_197, 1.306_562_964_876_377];

impl Biquad {
    fn new(b: [f64; 3], a: [f64; 3]) -> Self {
        Self { b: b.map(|value| value / a[0]), a: [a[1] / a[0], a[2] / a[0]], s: [0.0; 2] }
    }

    fn low_pass(corner_hz: f64, quality: f64, rate_hz: f64) -> Self {
        let (sin, cos) = (TAU * corner_hz / rate_hz).sin_cos();
        let alpha = sin / (2.0 * quality);
        let b1 = 1.0 - cos;
        Self::new([b1 / 2.0, b1, b1 / 2.0], [1.0 + alpha, -2.0 * cos, 1.0 - alpha])
    }

    fn high_pass(corner_hz: f64, quality: f64, rate_hz: f64) -> Self {
        let (sin, cos) = (TAU * corner_hz / rate_hz).sin_cos();
        let alpha = sin / (2.0 * quality);
        let b1 = -(1.0 + cos);
        Self::new([-b1 / 2.0, b1, -b1 / 2.0], [1.0 + alpha, -2.0 * cos, 1.0 - alpha])
    }

    /// Takes out `centre_hz` and `width_hz` around it (to -3 dB).
    pub fn notch(centre_hz: f64, width_hz: f64, rate_hz: f64) -> Self {
        let (sin, cos) = (TAU * centre_hz / rate_hz).sin_cos();
        let alpha = sin * width_hz / (2.0 * centre_hz);
        Self::new([1.0, -2.0 * cos, 1.0], [1.0 + alpha, -2.0 * cos, 1.0 - alpha])
    }

    /// Lets `centre_hz` pass untouched, and less and less of what is further off; `width_hz` wide at -3 dB.
    pub fn band_pass(centre_hz: f64, width_hz: f64, rate_hz: f64) -> Self {
        let (sin, cos) = (TAU * centre_hz / rate_hz).sin_cos();
        let alpha = sin * width_hz / (2.0 * centre_hz);
        Self::new([alpha, 0.0, -alpha], [1.0 + alpha, -2.0 * cos, 1.0 - alpha])
    }

    /// 24 dB an octave above `corner_hz`.
    pub fn butterworth_low_pass(corner_hz: f64, rate_hz: f64) -> [Self; 2] {
        BUTTERWORTH_4.map(|quality| Self::low_pass(corner_hz, quality, rate_hz))
    }

    /// 12 dB an octave below `corner_hz`: low corners ring for long, so this one is of second order.
    pub fn butterworth_high_pass(corner_hz: f64, rate_hz: f64) -> Self {
        Self::high_pass(corner_hz, FRAC_1_SQRT_2, rate_hz)
    }

    /// 12 dB an octave above `corner_hz`.
    pub fn butterworth_low_pass_2(corner_hz: f64, rate_hz: f64) -> Self {
        Self::low_pass(corner_hz, FRAC_1_SQRT_2, rate_hz)
    }

    /// `b0, b1, b2` and `a1, a2`, for who runs many channels side by side.
    pub fn coefficients(&self) -> ([f64; 3], [f64; 2]) {
        (self.b, self.a)
    }

    /// The state in which a constant input `value` has always been there; returns the constant output.
    pub fn settle(&mut self, value: f64) -> f64 {
        let gain = self.b.iter().sum::<f64>() / (1.0 + self.a[0] + self.a[1]);
        let out = gain * value;
        self.s[1] = self.b[2] * value - self.a[1] * out;
        self.s[0] = self.b[1] * value - self.a[0] * out + self.s[1];
        out
    }

    pub fn run(&mut self, x: f64) -> f64 {
        let y = self.b[0] * x + self.s[0];
        self.s[0] = self.b[1] * x - self.a[0] * y + self.s[1];
        self.s[1] = self.b[2] * x - self.a[1] * y;
        y
    }
}
