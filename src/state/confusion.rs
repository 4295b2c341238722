//! How well the state is told, compared with a source that knows its own: the confusion table, and how many events were
//! found.

use serde::Serialize;

use super::{STATES, State};
use crate::signal::Happening;

/// Time of each true state (rows) in each told state (columns), in the order of [`STATES`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Confusion {
    pub secs: [[f64; 4]; 4],
}

impl Confusion {
    pub fn add(&mut self, truth: State, told: State, secs: f64) {
        self.secs[truth as usize][told as usize] += secs;
    }

    pub fn total_secs(&self) -> f64 {
        self.secs.iter().flatten().sum()
    }

    /// Part of the time in which the state is told rightly.
    pub fn accuracy(&self) -> f64 {
        let right: f64 = STATES.iter().map(|state| self.secs[*state as usize][*state as usize]).sum();
        right / self.total_secs().max(1e-9)
    }

    /// Part of a state's time in which it is told.
    pub fn recall(&self, state: State) -> f64 {
        let row = &self.secs[state as usize];
        row[state as usize] / row.iter().sum::<f64>().max(1e-9)
    }

    /// Part of the time in which a state is told that it is there.
    pub fn precision(&self, state: State) -> f64 {
        let told: f64 = self.secs.iter().map(|row| row[state as usize]).sum();
        self.secs[state as usize][state as usize] / told.max(1e-9)
    }

    /// Cohen's kappa: agreement beyond chance, by which scorers of sleep are compared.
    pub fn kappa(&self) -> f64 {
        let total = self.total_secs().max(1e-9);
        let chance = |at: usize| {
            let (row, column): (f64, f64) = (self.secs[at].iter().sum(), self.secs.iter().map(|row| row[at]).sum());
            row / total * (column / total)
        };
        let by_chance: f64 = (0..4).map(chance).sum();
        (self.accuracy() - by_chance) / (1.0 - by_chance).max(1e-9)
    }
}

/// Events that were there and events that were told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Detected {
    pub there: usize,
    pub told: usize,
    /// Of those that were there, found; of those that were told, right.
    pub found: usize,
    pub right: usize,
}

impl Detected {
    /// Compares true events with the moments that were told: one that lies in an event, give or take `slack_secs`, is
    /// right. Both in the order of their time.
    pub fn compare(there: &[Happening], told_secs: &[f64], slack_secs: f64) -> Self {
        let hits =
            |event: &Happening, at: f64| (event.start_secs - slack_secs..=event.end_secs + slack_secs).contains(&at);
        Self {
            there: there.len(),
            told: told_secs.len(),
            found: there.iter().filter(|event| told_secs.iter().any(|at| hits(event, *at))).count(),
            right: told_secs.iter().filter(|at| there.iter().any(|event| hits(event, **at))).count(),
        }
    }

    pub fn recall(&self) -> f64 {
        self.found as f64 / self.there.max(1) as f64
    }

    pub fn precision(&self) -> f64 {
        self.right as f64 / self.told.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_of_the_table() {
        let mut confusion = Confusion::default();
        confusion.add(State::Awake, State::Awake, 8.0);
        confusion.add(State::Awake, State::Dreaming, 2.0);
        confusion.add(State::Asleep, State::Asleep, 10.0);
        assert!((confusion.accuracy() - 0.9).abs() < 1e-9);
        assert!((confusion.recall(State::Awake) - 0.8).abs() < 1e-9);
        assert!((confusion.precision(State::Awake) - 1.0).abs() < 1e-9);
        assert_eq!(confusion.precision(State::Dreaming), 0.0);
        // By chance: 0.5 * 0.4 + 0.5 * 0.5.
        assert!((confusion.kappa() - (0.9 - 0.45) / 0.55).abs() < 1e-9);
    }

    #[test]
    fn events_are_matched_within_the_slack() {
        let event = |start_secs: f64| Happening { kind: "ripple", start_secs, end_secs: start_secs + 0.2 };
        let detected = Detected::compare(&[event(1.0), event(5.0)], &[1.1, 1.25, 3.0], 0.06);
        assert_eq!(detected, Detected { there: 2, told: 3, found: 1, right: 2 });
        assert!((detected.recall() - 0.5).abs() < 1e-9);
    }
}
