//! Tap tempo: the mean of the last taps that belong together.

use std::collections::VecDeque;

/// Taps further apart belong to different tries: 30 beats a minute.
const APART_SECS: f64 = 2.0;
/// Intervals that count: two bars.
const MOST: usize = 8;
/// An interval that differs from the mean by more than this part begins another tempo.
const OTHER: f64 = 0.3;

/// The taps of one try.
#[derive(Debug, Default)]
pub struct Taps {
    last_secs: Option<f64>,
    intervals: VecDeque<f64>,
}

impl Taps {
    /// Takes a tap; returns the tempo, in beats a minute, from the second one on.
    pub fn tap(&mut self, at_secs: f64) -> Option<f64> {
        let interval = self.last_secs.replace(at_secs).map(|last| at_secs - last);
        match interval {
            Some(interval) if interval > 0.0 && interval < APART_SECS => {
                if self.mean().is_some_and(|mean| (interval / mean - 1.0).abs() > OTHER) {
                    self.intervals.clear();
                }
                if self.intervals.len() == MOST {
                    self.intervals.pop_front();
                }
                self.intervals.push_back(interval);
            }
            _ => self.intervals.clear(),
        }
        self.mean().map(|mean| 60.0 / mean)
    }

    fn mean(&self) -> Option<f64> {
        let count = self.intervals.len();
        (count > 0).then(|| self.intervals.iter().sum::<f64>() / count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tapped(taps: &[f64]) -> Vec<Option<f64>> {
        let mut state = Taps::default();
        taps.iter().map(|at| state.tap(*at).map(|bpm| (bpm * 10.0).round() / 10.0)).collect()
    }

    #[test]
    fn the_second_tap_gives_a_tempo_and_more_make_it_better() {
        assert_eq!(tapped(&[0.0, 0.48, 1.02, 1.5]), [None, Some(125.0), Some(117.6), Some(120.0)]);
    }

    #[test]
    fn a_pause_or_another_tempo_begins_anew() {
        assert_eq!(tapped(&[0.0, 0.5, 9.0, 10.0]), [None, Some(120.0), None, Some(60.0)]);
        assert_eq!(tapped(&[0.0, 0.5, 1.0, 2.0, 3.0]).last(), Some(&Some(60.0)));
    }
}
