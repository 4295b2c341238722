//! What the state steers: moods, genres and prompts, as offsets from what a person has set.
//!
//! Nothing is overwritten: with every depth at 0 nothing changes, and when a depth goes back to 0 what was set is there
//! again. Runs once a hop; the caller brings the settings.

use super::{Reading, STATES};
use crate::signal::HOPS_PER_SEC;

/// The state as it steers: slower than it is told, so that pictures cross over instead of switching.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mood {
    pub arousal: f32,
    /// Of each of [`STATES`]; they sum to 1.
    pub shares: [f32; STATES.len()],
    begun: bool,
}

impl Default for Mood {
    fn default() -> Self {
        Self { arousal: 0.5, shares: [0.0, 1.0, 0.0, 0.0], begun: false }
    }
}

impl Mood {
    /// Goes on for a hop; a change of state has mostly arrived after `secs`.
    pub fn hop(&mut self, reading: &Reading, secs: f32) {
        // Three time constants are 95 %.
        let follow = 1.0 - (-3.0 / (secs.max(1e-3) * HOPS_PER_SEC as f32)).exp();
        let follow = if std::mem::replace(&mut self.begun, true) { follow } else { 1.0 };
        self.arousal += follow * (reading.arousal - self.arousal);
        for (share, goal) in self.shares.iter_mut().zip(reading.shares) {
            *share += follow * (goal - *share);
        }
    }

    /// -1..1 for a dial around its middle: none at an arousal of a half.
    pub fn swing(&self) -> f32 {
        (2.0 * self.arousal - 1.0).clamp(-1.0, 1.0)
    }
}

/// The weights of genres, with the genres of the states mixed in.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GenreMix {
    /// Genre of each state, by its place; None leaves the picture as it is.
    pub of_state: [Option<usize>; STATES.len()],
    /// 0..1: at 1 the genres of the states take the place of what was set.
    pub mix: f32,
}

impl GenreMix {
    /// Writes to `offsets` what has to be added to each weight of `base`. Without a weight all genres count alike, as
    /// they do for the model.
    pub fn offsets(&self, base: &[f32], shares: &[f32; STATES.len()], offsets: &mut Vec<f32>) {
        offsets.clear();
        offsets.resize(base.len(), 0.0);
        let with = |(state, genre): (usize, &Option<usize>)| genre.filter(|at| *at < base.len()).map(|at| (state, at));
        let named = || self.of_state.iter().enumerate().filter_map(with);
        let mix = self.mix.clamp(0.0, 1.0);
        let taken: f32 = named().map(|(state, _)| mix * shares[state]).sum();
        if taken <= 0.0 {
            return;
        }
        let sum: f32 = base.iter().sum();
        for (offset, weight) in offsets.iter_mut().zip(base) {
            let set = if sum > 0.0 { weight / sum } else { 1.0 / base.len() as f32 };
            *offset = (1.0 - taken) * set - weight;
        }
        named().for_each(|(state, at)| offsets[at] += mix * shares[state]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(mix: f32, base: &[f32], shares: [f32; 4]) -> Vec<f32> {
        let of_state = [Some(0), None, Some(1), Some(9)];
        let mut offsets = Vec::new();
        GenreMix { of_state, mix }.offsets(base, &shares, &mut offsets);
        base.iter().zip(&offsets).map(|(base, offset)| base + offset).collect()
    }

    #[test]
    fn the_genres_of_the_states_are_mixed_in_as_far_as_asked() {
        let asleep = [0.0, 0.0, 1.0, 0.0];
        assert_eq!(played(0.0, &[0.5, 0.0, 1.0], asleep), [0.5, 0.0, 1.0], "off is off");
        assert_eq!(played(1.0, &[0.0, 0.0, 1.0], asleep), [0.0, 1.0, 0.0], "whole");
        assert_eq!(played(0.5, &[0.0, 0.0, 1.0], asleep), [0.0, 0.5, 0.5]);
        assert_eq!(played(0.5, &[0.0, 0.0, 0.0, 0.0], asleep), [0.125, 0.625, 0.125, 0.125], "all alike before");
        assert_eq!(played(1.0, &[0.0, 0.0, 1.0], [0.5, 0.0, 0.5, 0.0]), [0.5, 0.5, 0.0], "half way between two");
    }

    #[test]
    fn a_state_without_a_genre_leaves_what_was_set() {
        assert_eq!(played(1.0, &[0.2, 0.0, 0.6], [0.0, 1.0, 0.0, 0.0]), [0.2, 0.0, 0.6]);
        assert_eq!(played(1.0, &[0.2, 0.0, 0.6], [0.0, 0.0, 0.0, 1.0]), [0.2, 0.0, 0.6], "no such genre");
    }

    #[test]
    fn a_mood_begins_where_it_is_and_crosses_over_in_the_time_that_is_set() {
        let mut mood = Mood::default();
        let awake = Reading { arousal: 1.0, shares: [1.0, 0.0, 0.0, 0.0], ..Reading::default() };
        mood.hop(&awake, 4.0);
        assert_eq!((mood.arousal, mood.swing()), (1.0, 1.0));
        let asleep = Reading { arousal: 0.0, shares: [0.0, 0.0, 1.0, 0.0], ..Reading::default() };
        (0..60).for_each(|_| mood.hop(&asleep, 4.0));
        assert!((0.1..0.4).contains(&mood.arousal), "half of the time: {}", mood.arousal);
        (0..60).for_each(|_| mood.hop(&asleep, 4.0));
        assert!(mood.arousal < 0.06 && (mood.shares.iter().sum::<f32>() - 1.0).abs() < 1e-4);
    }
}
