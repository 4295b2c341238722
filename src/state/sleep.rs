//! Awake, quiet, asleep or dreaming, from the ratios of the bands; certain states with hysteresis, and shares between them.
//!
//! As sleep is scored in rodents (Watson et al. 2016, doi 10.1016/j.neuron.2016.03.036): slow waves make sleep, theta
//! with muscle tone is waking and moving, theta without is paradoxical sleep, neither is quiet waking. In people alpha
//! stands for quiet waking with closed eyes. Anything else is awake while it is lively.
//!
//! Each sign is a ratio with a threshold that goes to where this signal's own values part into two kinds, within
//! bounds that hold for the kind of signal: a night without a dream is not cut in two.

use super::{Kind, usual::Usual};
use crate::signal::HOPS_PER_SEC;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Awake and about.
    Awake,
    /// Awake and still; the state of what is not known yet.
    #[default]
    Quiet,
    /// Slow-wave sleep.
    Asleep,
    /// Paradoxical sleep.
    Dreaming,
}

pub const STATES: [State; 4] = [State::Awake, State::Quiet, State::Asleep, State::Dreaming];
pub const STATE_NAMES: [&str; 4] = ["awake", "quiet", "asleep", "dreaming"];

impl State {
    pub fn name(self) -> &'static str {
        STATE_NAMES[self as usize]
    }

    /// Of a state by the name that a source gives it: those of the synthetic rat, or of a hypnogram.
    pub fn from_truth(name: &str) -> Option<Self> {
        match name.to_lowercase().as_str() {
            "awake" | "wake" => Some(Self::Awake),
            "rest" | "quiet" => Some(Self::Quiet),
            "sleep" | "asleep" | "nrem" | "sws" => Some(Self::Asleep),
            "rem" | "dreaming" => Some(Self::Dreaming),
            _ => None,
        }
    }
}

/// The ratios that tell the state, as natural logarithms; not finite where the source has no such band.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratios {
    /// Theta over delta.
    pub theta: f64,
    /// Delta over beta and low gamma.
    pub slow: f64,
    /// Power of what muscles leave, in no unit: only its changes say something.
    pub tone: f64,
    /// Alpha over theta and beta.
    pub alpha: f64,
    /// Beta and low gamma over what is slower.
    pub fast: f64,
    /// Energy of the whole, in no unit.
    pub energy: f64,
}

/// A sign: where its threshold usually lies, how far it may go to both sides, how soft it is, and how far apart the two
/// kinds of values must lie that move it.
struct Sign {
    usual: f64,
    reach: f64,
    soft: f64,
    apart: f64,
}

/// From the synthetic rat (theta about 0.5 with theta waves, -1.5 and less without; slow about 2.9 in sleep, 1.7 and less
/// out of it) and a recorded one that runs (1.0 and -0.1).
const RODENT_THETA: Sign = Sign { usual: -0.6, reach: 0.6, soft: 0.3, apart: 0.6 };
const RODENT_SLOW: Sign = Sign { usual: 2.3, reach: 0.8, soft: 0.2, apart: 0.9 };
/// From the clinical picture of sleep stages 2 and 3: delta tens of times beta.
const HUMAN_SLOW: Sign = Sign { usual: 3.5, reach: 1.5, soft: 0.4, apart: 1.2 };
const HUMAN_ALPHA: Sign = Sign { usual: 0.3, reach: 0.8, soft: 0.3, apart: 0.9 };
/// Tone has no usual value; what is heard of it outside slow sleep must be of two kinds that lie so far apart, to tell
/// dreaming from waking.
const TONE_APART: f64 = 1.5;
const TONE_SOFT: f64 = 0.2;
/// How sure it is of tone where it cannot be told.
const TONE_ASSUMED: f64 = 0.9;
/// Shares follow with this time constant.
const FOLLOW_SECS: f64 = 0.35;
/// Another state takes over when its share is greater by this, for so long.
const LEAD: f64 = 0.15;
const HOLD_SECS: f64 = 0.5;

impl Sign {
    /// How certain the sign is, 0..1.
    fn of(&self, value: f64, known: &Usual) -> f64 {
        if !value.is_finite() {
            return 0.0;
        }
        let own = known.split().filter(|(_, apart)| *apart > self.apart).map(|(at, _)| at);
        let own = own.unwrap_or(self.usual);
        let threshold = own.clamp(self.usual - self.reach, self.usual + self.reach);
        logistic((value - threshold) / self.soft)
    }
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// What has been learned of the ratios.
#[derive(Debug, Clone)]
pub struct Known {
    pub theta: Usual,
    pub slow: Usual,
    pub tone: Usual,
    /// The tone where the state is waking or dreaming.
    pub muscles: Usual,
    pub alpha: Usual,
    pub fast: Usual,
    pub energy: Usual,
}

impl Known {
    /// Forgets with a time constant of so many hops.
    pub fn new(memory: f64) -> Self {
        let usual = || Usual::new(memory);
        Self {
            theta: usual(),
            slow: usual(),
            tone: usual(),
            muscles: usual(),
            alpha: usual(),
            fast: usual(),
            energy: usual(),
        }
    }

    pub fn push(&mut self, ratios: &Ratios) {
        self.theta.push(ratios.theta);
        self.tone.push(ratios.tone);
        self.alpha.push(ratios.alpha);
        self.fast.push(ratios.fast);
        self.energy.push(ratios.energy);
    }

    pub fn all(&self) -> [(&'static str, &Usual); 7] {
        let Self { theta, slow, tone, muscles, alpha, fast, energy } = self;
        [
            ("theta", theta),
            ("slow", slow),
            ("tone", tone),
            ("muscles", muscles),
            ("alpha", alpha),
            ("fast", fast),
            ("energy", energy),
        ]
    }

    pub fn named(&mut self, name: &str) -> Option<&mut Usual> {
        Some(match name {
            "theta" => &mut self.theta,
            "slow" => &mut self.slow,
            "tone" => &mut self.tone,
            "muscles" => &mut self.muscles,
            "alpha" => &mut self.alpha,
            "fast" => &mut self.fast,
            "energy" => &mut self.energy,
            _ => return None,
        })
    }
}

/// Tells the state.
#[derive(Debug, Clone)]
pub struct Sleep {
    state: State,
    shares: [f64; 4],
    /// Hops for which another state has led.
    led: u32,
}

impl Default for Sleep {
    fn default() -> Self {
        Self { state: State::Quiet, shares: [0.0, 1.0, 0.0, 0.0], led: 0 }
    }
}

impl Sleep {
    pub fn state(&self) -> State {
        self.state
    }

    /// Sum to 1.
    pub fn shares(&self) -> [f64; 4] {
        self.shares
    }

    /// Takes the next hop's ratios into account, and teaches what is usual; None while there is no signal, which calms
    /// down.
    pub fn hop(&mut self, kind: Kind, ratios: Option<&Ratios>, known: &mut Known) {
        let goal = match ratios {
            None => [0.0, 1.0, 0.0, 0.0],
            Some(ratios) => {
                known.push(ratios);
                goal(kind, ratios, known)
            }
        };
        let follow = 1.0 - (-1.0 / (FOLLOW_SECS * HOPS_PER_SEC as f64)).exp();
        for (share, goal) in self.shares.iter_mut().zip(goal) {
            *share += follow * (goal - *share);
        }
        let best = STATES.into_iter().max_by(|a, b| self.shares[*a as usize].total_cmp(&self.shares[*b as usize]));
        let best = best.unwrap_or_default();
        let leads = self.shares[best as usize] > self.shares[self.state as usize] + LEAD;
        self.led = if leads { self.led + 1 } else { 0 };
        if f64::from(self.led) > HOLD_SECS * HOPS_PER_SEC as f64 {
            (self.state, self.led) = (best, 0);
        }
    }
}

fn goal(kind: Kind, ratios: &Ratios, known: &mut Known) -> [f64; 4] {
    match kind {
        Kind::Rodent => {
            let theta = RODENT_THETA.of(ratios.theta, &known.theta);
            // Sleep has to be told from rest only where there is no theta.
            if theta < 0.5 {
                known.slow.push(ratios.slow);
            }
            let slow = RODENT_SLOW.of(ratios.slow, &known.slow);
            let tone = tone(ratios, theta, &mut known.muscles);
            [theta * tone, (1.0 - theta) * (1.0 - slow), (1.0 - theta) * slow, theta * (1.0 - tone)]
        }
        Kind::Human => {
            known.slow.push(ratios.slow);
            let slow = HUMAN_SLOW.of(ratios.slow, &known.slow);
            let alpha = HUMAN_ALPHA.of(ratios.alpha, &known.alpha);
            let tone = tone(ratios, 1.0 - slow, &mut known.muscles);
            // Relaxed muscles alone are no dream.
            let dream = (1.0 - slow) * (1.0 - tone) * (1.0 - alpha);
            let awake = 1.0 - slow - dream;
            [awake * (1.0 - alpha), awake * alpha, slow, dream]
        }
        Kind::Other => {
            let lively = logistic((known.energy.place(ratios.energy, 1.0) - 0.5) / 0.12);
            [lively, 1.0 - lively, 0.0, 0.0]
        }
    }
}

/// How certain muscle tone is, where `counts` (0..1) says that it tells waking from dreaming.
fn tone(ratios: &Ratios, counts: f64, muscles: &mut Usual) -> f64 {
    if counts > 0.5 {
        muscles.push(ratios.tone);
    }
    match muscles.split() {
        Some((threshold, apart)) if apart > TONE_APART && ratios.tone.is_finite() => {
            logistic((ratios.tone - threshold) / TONE_SOFT)
        }
        _ => TONE_ASSUMED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AWAKE: Ratios = Ratios { theta: 0.4, slow: 0.9, tone: 4.5, alpha: -1.0, fast: -1.0, energy: 0.0 };
    const REST: Ratios = Ratios { theta: -1.4, slow: 1.6, tone: 3.4, ..AWAKE };
    const SLEEP: Ratios = Ratios { theta: -2.8, slow: 2.9, tone: 2.6, ..AWAKE };
    const REM: Ratios = Ratios { theta: 0.6, slow: 1.1, tone: 2.0, ..AWAKE };

    fn run(sleep: &mut Sleep, known: &mut Known, ratios: Ratios, secs: usize) -> State {
        for _ in 0..secs * 30 {
            sleep.hop(Kind::Rodent, Some(&ratios), known);
        }
        sleep.state()
    }

    #[test]
    fn the_four_states_are_told_apart() {
        let (mut sleep, mut known) = (Sleep::default(), Known::new(9000.0));
        for _ in 0..2 {
            for (ratios, state) in [
                (AWAKE, State::Awake),
                (REST, State::Quiet),
                (SLEEP, State::Asleep),
                (REM, State::Dreaming),
                (SLEEP, State::Asleep),
            ] {
                assert_eq!(run(&mut sleep, &mut known, ratios, 20), state);
                assert!((sleep.shares().iter().sum::<f64>() - 1.0).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn a_moment_does_not_change_the_state() {
        let (mut sleep, mut known) = (Sleep::default(), Known::new(9000.0));
        run(&mut sleep, &mut known, SLEEP, 20);
        run(&mut sleep, &mut known, AWAKE, 20);
        for _ in 0..12 {
            sleep.hop(Kind::Rodent, Some(&SLEEP), &mut known);
            assert_eq!(sleep.state(), State::Awake);
        }
    }

    #[test]
    fn one_state_alone_is_not_cut_in_two() {
        let (mut sleep, mut known) = (Sleep::default(), Known::new(9000.0));
        for n in 0..60 {
            let wobble = 0.2 * f64::from(n % 2);
            let ratios = Ratios { slow: SLEEP.slow + wobble, theta: SLEEP.theta + wobble, ..SLEEP };
            let state = run(&mut sleep, &mut known, ratios, 3);
            assert!(n < 2 || state == State::Asleep, "{state:?}");
        }
    }

    #[test]
    fn without_a_signal_it_is_quiet_and_without_bands_still_finite() {
        let (mut sleep, mut known) = (Sleep::default(), Known::new(9000.0));
        run(&mut sleep, &mut known, AWAKE, 10);
        (0..300).for_each(|_| sleep.hop(Kind::Rodent, None, &mut known));
        assert_eq!(sleep.state(), State::Quiet);
        let none = Ratios { theta: f64::NAN, slow: f64::NAN, tone: f64::NAN, alpha: f64::NAN, fast: f64::NAN, ..AWAKE };
        for kind in [Kind::Rodent, Kind::Human, Kind::Other] {
            sleep.hop(kind, Some(&none), &mut known);
            assert!(sleep.shares().iter().all(|share| share.is_finite()));
        }
    }
}
