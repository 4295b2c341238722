//! The dominant rhythm of one channel: its frequency, how much it stands out, and its phase.
//!
//! A row of complex resonators a quarter of an octave apart, each as wide as its frequency says. What rises highest above
//! the straight line that log power makes over log frequency (the 1/f of everything that lives; Donoghue et al. 2020,
//! doi 10.1038/s41593-020-00744-x) is the rhythm. Its phase is the resonator's, followed by a phase of our own that never
//! jumps and never runs back, so that it can turn things on a stage.

use std::f64::consts::TAU;

use crate::signal::{HOPS_PER_SEC, MAPPING_RATE_HZ};

const RESONATORS: usize = 28;
/// Fastest and slowest rhythm of a fast source.
const FASTEST_HZ: f64 = 45.0;
const OCTAVES: f64 = 6.5;
/// Slower rhythms are a climate.
const SLOWEST_HZ: f64 = 0.004;
const FASTEST_PER_RATE: f64 = 0.3;
const QUALITY: f64 = 5.0;
/// Powers are followed over so many of a resonator's own time constants, and at least so long.
const FOLLOW: f64 = 3.0;
const FOLLOW_SECS: f64 = 1.0;
/// How far noise rises above its line (in nepers).
const NOISE: f64 = 0.7;
/// Another rhythm must stand out more by so much.
const PREFER: f64 = 0.4;
/// The phase shown goes this part of the way to the one measured in a hop, at full strength.
const PULL: f64 = 0.2;

/// What repeats in the signal.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rhythm {
    pub hz: f64,
    /// 0 is noise, 1 a pure tone.
    pub strength: f32,
    /// 0..1, 0 at the crest.
    pub phase: f32,
}

#[derive(Debug, Clone, Copy)]
struct Resonator {
    hz: f64,
    turn: (f64, f64),
    drive: f64,
    z: (f64, f64),
    power: f64,
    follow: f64,
    angle: f64,
}

/// Finds the rhythm; fed with one channel.
#[derive(Debug, Clone)]
pub struct RhythmMeter {
    resonators: [Resonator; RESONATORS],
    mean: f64,
    mean_follow: f64,
    begun: bool,
    at: usize,
    rhythm: Rhythm,
}

impl RhythmMeter {
    pub fn new(source_hz: f64) -> Self {
        let rate_hz = MAPPING_RATE_HZ as f64;
        let fastest_hz = FASTEST_HZ.min(FASTEST_PER_RATE * source_hz).max(SLOWEST_HZ * 2.0);
        let slowest_hz = (fastest_hz / OCTAVES.exp2()).max(SLOWEST_HZ);
        let apart = (fastest_hz / slowest_hz).powf(1.0 / (RESONATORS - 1) as f64);
        let resonator = |n: usize| {
            let hz = slowest_hz * apart.powi(n as i32);
            let secs = QUALITY / (std::f64::consts::PI * hz);
            let keep = (-1.0 / (secs * rate_hz)).exp();
            let (sin, cos) = (TAU * hz / rate_hz).sin_cos();
            let follow = 1.0 - (-1.0 / ((FOLLOW * secs).max(FOLLOW_SECS) * HOPS_PER_SEC as f64)).exp();
            let turn = (keep * cos, keep * sin);
            Resonator { hz, turn, drive: 1.0 - keep, z: (0.0, 0.0), power: 0.0, follow, angle: 0.0 }
        };
        Self {
            resonators: std::array::from_fn(resonator),
            mean: 0.0,
            mean_follow: 1.0 - (-TAU * slowest_hz / 2.0 / rate_hz).exp(),
            begun: false,
            at: RESONATORS / 2,
            rhythm: Rhythm::default(),
        }
    }

    pub fn push(&mut self, x: f64) {
        if !std::mem::replace(&mut self.begun, true) {
            self.mean = x;
        }
        self.mean += self.mean_follow * (x - self.mean);
        let x = x - self.mean;
        for resonator in &mut self.resonators {
            let ((re, im), (cos, sin)) = (resonator.z, resonator.turn);
            resonator.z = (re * cos - im * sin + resonator.drive * x, re * sin + im * cos);
        }
    }

    /// After the samples of a hop.
    pub fn hop(&mut self) -> Rhythm {
        let dt_secs = 1.0 / HOPS_PER_SEC as f64;
        let mut logs = [0.0; RESONATORS];
        for (resonator, log) in self.resonators.iter_mut().zip(&mut logs) {
            let (re, im) = resonator.z;
            resonator.power += resonator.follow * (re * re + im * im - resonator.power);
            *log = resonator.power.max(1e-280).ln();
        }
        let above = prominences(&above_the_line(&logs));
        let inner = 1..RESONATORS - 1;
        let best = inner.max_by(|a, b| above[*a].total_cmp(&above[*b])).unwrap_or(self.at);
        let moves = best.abs_diff(self.at) <= 1 || above[best] > above[self.at] + PREFER;
        let before = self.at;
        if moves && above[best] > above[self.at] {
            self.at = best;
        }
        let resonator = &mut self.resonators[self.at];
        let silent = resonator.power < 1e-200;
        let out = 1.0 - (-(above[self.at] - NOISE).max(0.0)).exp();
        self.rhythm.strength = if silent { 0.0 } else { out as f32 };
        let angle = resonator.z.1.atan2(resonator.z.0) / TAU;
        let expected = resonator.hz * dt_secs;
        let measured_hz = if before == self.at {
            (expected + wrapped(angle - resonator.angle - expected)) / dt_secs
        } else {
            resonator.hz
        };
        for resonator in &mut self.resonators {
            resonator.angle = resonator.z.1.atan2(resonator.z.0) / TAU;
        }
        let centre_hz = self.resonators[self.at].hz;
        let measured_hz = measured_hz.clamp(0.75 * centre_hz, 1.33 * centre_hz);
        let jump = (self.rhythm.hz / centre_hz - 1.0).abs() > 0.5;
        // Over some cycles, but not over minutes.
        let follow = (centre_hz * dt_secs / 3.0).clamp(0.003, 0.15);
        self.rhythm.hz = if jump { centre_hz } else { self.rhythm.hz + follow * (measured_hz - self.rhythm.hz) };
        let step = self.rhythm.hz * dt_secs;
        let phase = f64::from(self.rhythm.phase);
        let pull = PULL * f64::from(self.rhythm.strength) * wrapped(angle - phase - step);
        let phase = phase + (step + pull.max(-0.8 * step)).max(0.0);
        self.rhythm.phase = (phase.rem_euclid(1.0) as f32).min(0.999_999);
        self.rhythm
    }
}

/// -0.5..0.5 cycles.
fn wrapped(cycles: f64) -> f64 {
    cycles - cycles.round()
}

/// How far each lies above the straight line through those that are not peaks.
fn above_the_line(logs: &[f64; RESONATORS]) -> [f64; RESONATORS] {
    let mut above = [0.0; RESONATORS];
    let mut highest = f64::INFINITY;
    for _ in 0..3 {
        let (mut n, mut sx, mut sy, mut sxx, mut sxy) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (x, y) in logs.iter().enumerate().filter(|(x, _)| above[*x] <= highest).map(|(x, y)| (x as f64, *y)) {
            (n, sx, sy, sxx, sxy) = (n + 1.0, sx + x, sy + y, sxx + x * x, sxy + x * y);
        }
        let slope = (n * sxy - sx * sy) / (n * sxx - sx * sx).max(1e-9);
        let offset = (sy - slope * sx) / n.max(1.0);
        let mut square = 0.0;
        for (x, y) in logs.iter().enumerate() {
            above[x] = y - offset - slope * x as f64;
            square += above[x] * above[x];
        }
        // Half a deviation leaves enough to lay a line through.
        highest = 0.5 * (square / RESONATORS as f64).sqrt();
    }
    above
}

/// How far each rises above the higher of the valleys to both its sides; 0 for what is no peak.
fn prominences(above: &[f64; RESONATORS]) -> [f64; RESONATORS] {
    let mut prominences = [0.0; RESONATORS];
    for at in 1..RESONATORS - 1 {
        if above[at] >= above[at - 1] && above[at] >= above[at + 1] {
            let lowest = |side: &[f64]| side.iter().copied().fold(f64::INFINITY, f64::min);
            prominences[at] = above[at] - lowest(&above[..at]).max(lowest(&above[at + 1..]));
        }
    }
    prominences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::random::Random;

    fn run(meter: &mut RhythmMeter, secs: usize, mut x: impl FnMut(f64) -> f64) -> Vec<Rhythm> {
        let mut sample = 0;
        (1..=secs * 30)
            .map(|hop| {
                while sample < hop * 512 / 30 {
                    meter.push(x(sample as f64 / 512.0));
                    sample += 1;
                }
                meter.hop()
            })
            .collect()
    }

    #[test]
    fn the_frequency_of_a_tone_in_noise_is_found() {
        let mut random = Random::new(1);
        for hz in [1.3, 7.6, 13.0, 31.0] {
            let mut meter = RhythmMeter::new(512.0);
            let found = run(&mut meter, 12, |t| 3.0 * (TAU * hz * t).cos() + random.normal());
            let last = found.last().unwrap();
            assert!((last.hz / hz - 1.0).abs() < 0.03 && last.strength > 0.6, "{hz}: {last:?}");
        }
    }

    #[test]
    fn noise_is_no_rhythm() {
        let mut random = Random::new(2);
        let mut meter = RhythmMeter::new(512.0);
        let found = run(&mut meter, 30, |_| random.normal());
        let mean = found[300..].iter().map(|rhythm| rhythm.strength).sum::<f32>() / (found.len() - 300) as f32;
        assert!(mean < 0.25, "{mean}");
    }

    #[test]
    fn the_phase_is_that_of_the_wave_and_never_runs_back_or_jumps() {
        let mut meter = RhythmMeter::new(512.0);
        // Changes its frequency in the middle, as rhythms do.
        let mut turned = 0.0;
        let found = run(&mut meter, 20, |t| {
            turned += if t < 10.0 { 7.0 } else { 8.0 } / 512.0;
            (TAU * turned).cos()
        });
        for pair in found[60..].windows(2) {
            let step = (pair[1].phase - pair[0].phase).rem_euclid(1.0);
            assert!((0.02..0.5).contains(&step), "{step}");
        }
        let off = wrapped(f64::from(found[599].phase) - turned);
        assert!(off.abs() < 0.08, "{off} cycles off");
    }

    #[test]
    fn swell_is_found_in_a_slow_source_and_silence_is_calm() {
        let mut meter = RhythmMeter::new(1.0);
        let found = run(&mut meter, 600, |t| (TAU * 0.08 * t).cos() + 5.0);
        let last = found.last().unwrap();
        assert!((last.hz / 0.08 - 1.0).abs() < 0.1 && last.strength > 0.5, "{last:?}");
        let mut meter = RhythmMeter::new(512.0);
        let found = run(&mut meter, 5, |_| 3.0);
        assert!(found.iter().all(|rhythm| rhythm.strength == 0.0 && rhythm.hz.is_finite()));
    }
}
