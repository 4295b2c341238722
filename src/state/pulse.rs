//! The beat of a signal, of whatever kind: its recent course, its level and its onsets.
//!
//! Runs on the signal thread, once a hop. Adaptive: level and onset are measured against what this signal usually does,
//! so that a rat's microvolts and a gale's metres a second both fill the range within some seconds.

use crate::signal::{HOPS_PER_SEC, MAPPING_RATE_HZ, WINDOW_CHANNELS, Window};

/// Samples of [`Pulse::points`]: one second.
pub const PULSE_POINTS: usize = MAPPING_RATE_HZ as usize;
/// Samples that count as "now": a tenth of a second, short beside a heart beat, long beside a gamma wave.
const NOW_SAMPLES: usize = PULSE_POINTS / 10;
/// Time in which the idea of what is usual follows the signal.
const USUAL_SECS: f64 = 8.0;
/// Time in which an onset dies away to a third.
const ONSET_SECS: f32 = 0.25;
/// The course is scaled so that this many usual deviations reach ±1.
const SPAN_DEVIATIONS: f32 = 3.0;
/// An onset is a rise by this factor over the usual level ...
const ONSET_RISE: f32 = 1.6;

/// What the stage may follow.
#[derive(Debug, Clone, PartialEq)]
pub struct Pulse {
    /// The last second of the first channel, oldest first, -1..1.
    pub points: Vec<f32>,
    /// 0..1; about 1/3 is usual.
    pub level: f32,
    /// Jumps to 1 when the level rises suddenly, then falls back.
    pub onset: f32,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { points: vec![0.0; PULSE_POINTS], level: 0.0, onset: 0.0 }
    }
}

/// Follows a signal from window to window.
#[derive(Debug, Default)]
pub struct PulseMeter {
    usual_power: Option<f64>,
    was_loud: bool,
    pulse: Pulse,
}

impl PulseMeter {
    /// Takes the next hop's window into account.
    pub fn follow(&mut self, window: &Window) -> &Pulse {
        let frames = window.samples.len() / WINDOW_CHANNELS;
        let shown = frames.min(PULSE_POINTS);
        let course = window.samples[(frames - shown) * WINDOW_CHANNELS..].as_chunks::<WINDOW_CHANNELS>().0.iter();
        let first = || course.clone().map(|frame| sound(frame[0]));
        let mean = first().sum::<f64>() / shown.max(1) as f64;
        let now = first().skip(shown.saturating_sub(NOW_SAMPLES)).map(|value| (value - mean) * (value - mean));
        let now_power = now.sum::<f64>() / NOW_SAMPLES.min(shown).max(1) as f64;

        let follow = 1.0 / (USUAL_SECS * HOPS_PER_SEC as f64);
        let usual = self.usual_power.get_or_insert(now_power);
        *usual += (now_power - *usual) * follow;
        let deviation = usual.sqrt().max(f64::MIN_POSITIVE.sqrt());
        let ratio = (now_power.sqrt() / deviation) as f32;

        let loud = ratio > ONSET_RISE;
        self.pulse.onset *= (-1.0 / (ONSET_SECS * HOPS_PER_SEC as f32)).exp();
        if loud && !self.was_loud {
            self.pulse.onset = 1.0;
        }
        self.was_loud = loud;
        self.pulse.level = (ratio / SPAN_DEVIATIONS).clamp(0.0, 1.0);

        self.pulse.points.fill(0.0);
        let scale = 1.0 / (f64::from(SPAN_DEVIATIONS) * deviation);
        for (point, value) in self.pulse.points[PULSE_POINTS - shown..].iter_mut().zip(first()) {
            *point = ((value - mean) * scale).clamp(-1.0, 1.0) as f32;
        }
        &self.pulse
    }
}

/// A sample whose square is finite.
fn sound(value: f64) -> f64 {
    if value.is_finite() { value.clamp(-1e100, 1e100) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stamp;
    use std::time::Instant;

    fn window(value: impl Fn(usize) -> f64) -> Window {
        let stamp = Stamp { hop: 0, signal_secs: 1.0, arrived: Instant::now() };
        let samples = (0..512).flat_map(|s| std::iter::repeat_n(value(s), WINDOW_CHANNELS)).collect();
        Window { stamp, first_sample: 0, samples }
    }

    fn sine(amplitude: f64) -> impl Fn(usize) -> f64 {
        move |s| amplitude * (s as f64 * 0.3).sin() + 40.0
    }

    #[test]
    fn the_level_does_not_depend_on_the_unit_of_the_signal() {
        let (mut small, mut large) = (PulseMeter::default(), PulseMeter::default());
        let (a, b) = (small.follow(&window(sine(1e-6))).level, large.follow(&window(sine(1e6))).level);
        assert!((a - 1.0 / 3.0).abs() < 0.1, "{a}");
        assert!((a - b).abs() < 0.1, "{a} and {b}");
    }

    #[test]
    fn a_sudden_rise_is_one_onset_that_dies_away() {
        let mut meter = PulseMeter::default();
        for _ in 0..60 {
            meter.follow(&window(sine(1.0)));
        }
        assert_eq!(meter.pulse.onset, 0.0);
        assert_eq!(meter.follow(&window(sine(5.0))).onset, 1.0);
        let later = (0..15).map(|_| meter.follow(&window(sine(5.0))).onset).fold(1.0, |_, onset| onset);
        assert!(later < 0.2, "{later}");
    }

    #[test]
    fn a_flat_or_broken_window_stays_finite() {
        let mut meter = PulseMeter::default();
        for value in [0.0, f64::NAN, f64::INFINITY, 1e300, 0.0] {
            let pulse = meter.follow(&window(|_| value));
            assert!(pulse.points.iter().chain([&pulse.level, &pulse.onset]).all(|x| x.is_finite()), "{value}");
        }
    }
}
