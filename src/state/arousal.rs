//! How awake the signal is, 0..1: theta over delta and tone for rodents, fast over slow bands for people, energy for
//! anything else; each by its place in what is usual for this signal.

use super::{
    Kind,
    sleep::{Known, Ratios},
};
use crate::signal::HOPS_PER_SEC;

const FOLLOW_SECS: f64 = 0.7;
/// The usual range of each is taken at least so wide (in nepers).
const LEAST_RATIO: f64 = 1.5;
const LEAST_ENERGY: f64 = 1.0;
/// Theta over delta; the rest is tone.
const THETA_SHARE: f64 = 0.55;

/// Follows the arousal.
#[derive(Debug, Clone)]
pub struct Arousal(f64);

impl Default for Arousal {
    /// Before anything is known: neither way.
    fn default() -> Self {
        Self(0.5)
    }
}

impl Arousal {
    pub fn now(&self) -> f64 {
        self.0
    }

    /// None while there is no signal, which calms down.
    pub fn hop(&mut self, kind: Kind, ratios: Option<&Ratios>, known: &Known) -> f64 {
        let goal = ratios.map_or(0.0, |ratios| goal(kind, ratios, known));
        let follow = 1.0 - (-1.0 / (FOLLOW_SECS * HOPS_PER_SEC as f64)).exp();
        self.0 += follow * (goal - self.0);
        self.0
    }
}

fn goal(kind: Kind, ratios: &Ratios, known: &Known) -> f64 {
    match kind {
        Kind::Rodent if ratios.theta.is_finite() => {
            let theta = known.theta.place(ratios.theta, LEAST_RATIO);
            match ratios.tone.is_finite() {
                true => THETA_SHARE * theta + (1.0 - THETA_SHARE) * known.tone.place(ratios.tone, LEAST_RATIO),
                false => theta,
            }
        }
        Kind::Human if ratios.fast.is_finite() => known.fast.place(ratios.fast, LEAST_RATIO),
        _ => known.energy.place(ratios.energy, LEAST_ENERGY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waking_animal_is_aroused_the_sleeping_is_not_and_the_dreaming_lies_between() {
        let at = |theta, tone| Ratios { theta, tone, slow: 0.0, alpha: 0.0, fast: 0.0, energy: 0.0 };
        let (awake, sleep, rem) = (at(1.5, 3.0), at(-4.0, -1.0), at(1.5, -1.2));
        let mut known = Known::new(9000.0);
        for _ in 0..600 {
            [awake, sleep, rem].iter().for_each(|ratios| known.push(ratios));
        }
        let settled = |ratios| {
            let mut arousal = Arousal::default();
            (0..300).map(|_| arousal.hop(Kind::Rodent, Some(ratios), &known)).last().unwrap()
        };
        let (awake, sleep, rem) = (settled(&awake), settled(&sleep), settled(&rem));
        assert!(awake > 0.9 && sleep < 0.1 && (0.3..0.8).contains(&rem), "{awake} {sleep} {rem}");
        let mut arousal = Arousal(awake);
        assert!((0..300).map(|_| arousal.hop(Kind::Rodent, None, &known)).last().unwrap() < 0.01);
    }
}
