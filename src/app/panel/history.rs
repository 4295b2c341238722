//! The last minute of rates and latencies, for the plots. Filled by the window's thread four times a second.
//!
//! It runs while the panel is closed too, so that a stutter can be looked at after it happened: five numbers each time.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How far back the plots go.
pub const SPAN_SECS: f32 = 60.0;
const EVERY: Duration = Duration::from_millis(250);
const KEPT: usize = 240;

/// One moment. What was not known then is not a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    pub pictures_per_s: f32,
    pub frames_per_s: f32,
    pub latency_ms: f32,
    pub denoise_ms: f32,
    pub decode_ms: f32,
}

impl Sample {
    const UNKNOWN: Self = Self {
        pictures_per_s: f32::NAN,
        frames_per_s: f32::NAN,
        latency_ms: f32::NAN,
        denoise_ms: f32::NAN,
        decode_ms: f32::NAN,
    };
}

/// A ring of samples, evenly spaced in time.
#[derive(Debug, Clone, Default)]
pub struct History {
    samples: VecDeque<Sample>,
    /// When the newest sample was due.
    last: Option<Instant>,
}

impl History {
    /// Whether it is time for the next sample.
    pub fn is_due(&self, now: Instant) -> bool {
        self.last.is_none_or(|last| now.saturating_duration_since(last) >= EVERY)
    }

    /// Adds a sample; moments that were missed because the window stood still are left open.
    pub fn push(&mut self, now: Instant, sample: Sample) {
        let behind = self.last.map_or(0, |last| {
            let steps = now.saturating_duration_since(last).as_secs_f64() / EVERY.as_secs_f64();
            // Late by less than half a step is in time.
            ((steps + 0.5) as usize).saturating_sub(1).min(KEPT)
        });
        self.samples.extend(std::iter::repeat_n(Sample::UNKNOWN, behind));
        self.samples.push_back(sample);
        while self.samples.len() > KEPT {
            self.samples.pop_front();
        }
        self.last = Some(now);
    }

    /// Age in seconds and value of each known sample, the oldest first.
    pub fn series<'a>(&'a self, value: impl Fn(&Sample) -> f32 + 'a) -> impl Iterator<Item = (f32, f32)> + 'a {
        let newest = self.samples.len();
        let aged = self.samples.iter().enumerate().map(move |(i, sample)| {
            let age_secs = (newest - 1 - i) as f32 * EVERY.as_secs_f32();
            (age_secs, value(sample))
        });
        aged.filter(|(_, value)| value.is_finite())
    }

    pub fn newest(&self) -> Option<&Sample> {
        self.samples.back()
    }
}

/// The largest value that a plot of these has room for: the next of 1, 2, 5, 10, 20 … above all of them.
pub fn ceiling(values: impl IntoIterator<Item = f32>, least: f32) -> f32 {
    let most = values.into_iter().filter(|value| value.is_finite()).fold(least, f32::max);
    let decade = 10_f32.powf(most.max(1e-6).log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|step| step * decade)
        .find(|top| *top >= most * 1.001)
        .unwrap_or(10.0 * decade)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(pictures_per_s: f32) -> Sample {
        Sample { pictures_per_s, ..Sample::UNKNOWN }
    }

    fn values(history: &History) -> Vec<(f32, f32)> {
        history.series(|sample| sample.pictures_per_s).collect()
    }

    #[test]
    fn a_minute_is_kept_and_no_more() {
        let (start, mut history) = (Instant::now(), History::default());
        for i in 0..1000 {
            let now = start + EVERY * i;
            assert!(history.is_due(now));
            history.push(now, sample(i as f32));
            assert!(!history.is_due(now + EVERY / 2));
        }
        let values = values(&history);
        assert_eq!(values.len(), KEPT);
        assert_eq!((values[0].1, values[KEPT - 1]), (1000.0 - KEPT as f32, (0.0, 999.0)));
        assert!((values[0].0 - SPAN_SECS).abs() < 0.5, "{:?}", values[0]);
    }

    #[test]
    fn a_window_that_stood_still_leaves_a_gap_as_long_as_it_stood() {
        let (start, mut history) = (Instant::now(), History::default());
        history.push(start, sample(1.0));
        history.push(start + Duration::from_secs(5), sample(2.0));
        assert_eq!(values(&history), [(5.0, 1.0), (0.0, 2.0)]);
        history.push(start + Duration::from_secs(3600), sample(3.0));
        assert_eq!(values(&history), [(0.0, 3.0)]);
    }

    #[test]
    fn what_was_not_known_is_not_drawn() {
        let mut history = History::default();
        history.push(Instant::now(), sample(f32::NAN));
        assert!(values(&history).is_empty());
        assert!(history.newest().is_some());
    }

    #[test]
    fn the_scale_of_a_plot_is_a_round_number_above_everything_in_it() {
        for (values, least, expected) in [
            (vec![], 10.0, 20.0),
            (vec![3.0], 1.0, 5.0),
            (vec![29.7, f32::NAN], 10.0, 50.0),
            (vec![140.0], 50.0, 200.0),
            (vec![0.0], 0.0, 1e-6),
        ] {
            let top = ceiling(values.iter().copied(), least);
            assert!((top / expected - 1.0).abs() < 1.1, "{values:?}: {top}");
            assert!(values.iter().all(|value| value.is_nan() || *value <= top));
        }
        assert_eq!(ceiling([29.7], 10.0), 50.0);
    }
}
