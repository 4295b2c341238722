//! How often the window is drawn, and how often it really was.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// On a software renderer: as many frames as there are pictures in the best case, the rest is left to the model.
const SOFTWARE_HZ: f64 = 30.0;
/// For displays that do not say.
const USUAL_HZ: f64 = 60.0;
/// The display itself sets the pace (vsync); ours only keeps a window that is hidden, and so never waits for the
/// display, from spinning. It must lie above every display's true rate, which may be 0.1 % off what it says.
const ABOVE_DISPLAY: f64 = 1.05;

/// The shortest time from one frame to the next.
pub(super) fn period(asked_hz: Option<f64>, display_hz: Option<f64>, software: bool) -> Duration {
    let display_hz = display_hz.filter(|hz| *hz > 1.0).unwrap_or(USUAL_HZ);
    let hz = match asked_hz {
        Some(hz) if hz.is_finite() && hz > 0.0 => hz.min(display_hz * ABOVE_DISPLAY),
        _ if software => SOFTWARE_HZ.min(display_hz),
        _ => display_hz * ABOVE_DISPLAY,
    };
    Duration::from_secs_f64(1.0 / hz)
}

/// The last second of frames.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pace {
    pub frames_per_s: f32,
    pub slowest_ms: f32,
}

/// Measures a [`Pace`].
#[derive(Debug, Default)]
pub(super) struct Meter {
    frames: VecDeque<Instant>,
    count: u64,
}

impl Meter {
    /// Counts a frame; returns its number, from 0, and the seconds since the one before.
    pub(super) fn frame(&mut self, now: Instant) -> (u64, f64) {
        let delta = self.frames.back().map_or(0.0, |last| now.duration_since(*last).as_secs_f64());
        self.frames.push_back(now);
        // One frame older than a second is kept, so that slow rates are measured too.
        while self.frames.get(1).is_some_and(|second| now.duration_since(*second) >= Duration::from_secs(1)) {
            self.frames.pop_front();
        }
        self.count += 1;
        (self.count - 1, delta)
    }

    pub(super) fn pace(&self) -> Pace {
        let (Some(first), Some(last)) = (self.frames.front(), self.frames.back()) else {
            return Pace::default();
        };
        let span_secs = last.duration_since(*first).as_secs_f64();
        if span_secs <= 0.0 {
            return Pace::default();
        }
        let slowest = (self.frames.iter().zip(self.frames.iter().skip(1)))
            .map(|(a, b)| b.duration_since(*a))
            .max()
            .unwrap_or_default();
        Pace {
            frames_per_s: ((self.frames.len() - 1) as f64 / span_secs) as f32,
            slowest_ms: slowest.as_secs_f32() * 1e3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hz(period: Duration) -> f64 {
        1.0 / period.as_secs_f64()
    }

    #[test]
    fn a_graphics_card_is_paced_by_its_display() {
        assert!(hz(period(None, Some(59.94), false)) > 60.0);
        assert!(hz(period(None, Some(144.0), false)) > 144.0);
        assert!(hz(period(None, None, false)) > USUAL_HZ);
    }

    #[test]
    fn a_software_renderer_leaves_the_cores_to_the_model() {
        assert!((hz(period(None, Some(60.0), true)) - SOFTWARE_HZ).abs() < 1e-6);
        assert!((hz(period(None, Some(24.0), true)) - 24.0).abs() < 1e-6);
    }

    #[test]
    fn a_rate_that_was_asked_for_is_kept_within_what_the_display_shows() {
        assert!((hz(period(Some(50.0), Some(60.0), true)) - 50.0).abs() < 1e-6);
        assert!(hz(period(Some(1000.0), Some(60.0), false)) < 64.0);
        for nonsense in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!((hz(period(Some(nonsense), None, true)) - SOFTWARE_HZ).abs() < 1e-6);
        }
        assert!(hz(period(None, Some(0.0), false)) > USUAL_HZ);
    }

    #[test]
    fn the_pace_is_that_of_the_last_second() {
        let start = Instant::now();
        let mut meter = Meter::default();
        let mut at = Duration::ZERO;
        for _ in 0..50 {
            meter.frame(start + at);
            at += Duration::from_millis(100);
        }
        for _ in 0..100 {
            meter.frame(start + at);
            at += Duration::from_millis(20);
        }
        let pace = meter.pace();
        assert!((pace.frames_per_s - 50.0).abs() < 0.1, "{pace:?}");
        assert!((pace.slowest_ms - 20.0).abs() < 0.1, "{pace:?}");
    }

    #[test]
    fn a_single_slow_frame_shows_as_the_slowest() {
        let start = Instant::now();
        let mut meter = Meter::default();
        let mut at = Duration::ZERO;
        for i in 0..60 {
            meter.frame(start + at);
            at += Duration::from_millis(if i == 50 { 90 } else { 16 });
        }
        assert!((meter.pace().slowest_ms - 90.0).abs() < 0.1);
    }

    #[test]
    fn frames_are_numbered_and_timed_from_the_first() {
        let start = Instant::now();
        let mut meter = Meter::default();
        assert_eq!(meter.pace(), Pace::default());
        assert_eq!(meter.frame(start), (0, 0.0));
        assert_eq!(meter.pace(), Pace::default());
        let (number, delta) = meter.frame(start + Duration::from_secs(3));
        assert_eq!(number, 1);
        assert!((delta - 3.0).abs() < 1e-6);
        assert!((meter.pace().frames_per_s - 1.0 / 3.0).abs() < 1e-3);
    }
}
