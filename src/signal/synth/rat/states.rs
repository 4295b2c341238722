//! The four states of the animal, how long they last, how they follow one another, and how strong each rhythm is in
//! each. A change takes about two seconds.

use crate::signal::random::Random;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Exploring: theta with nested gamma, muscle tone.
    Awake,
    /// Sitting still: irregular activity with sharp-wave ripples.
    Rest,
    /// Slow-wave sleep: slow oscillation, spindles, some ripples.
    Sleep,
    /// Paradoxical sleep: regular theta without muscle tone.
    Rem,
}

const ALL: [State; 4] = [State::Awake, State::Rest, State::Sleep, State::Rem];

impl State {
    pub fn name(self) -> &'static str {
        match self {
            Self::Awake => "awake",
            Self::Rest => "rest",
            Self::Sleep => "sleep",
            Self::Rem => "rem",
        }
    }

    /// Shortest and longest stay. A rat stays longer; an audience does not.
    fn stay_secs(self) -> (f64, f64) {
        match self {
            Self::Awake => (15.0, 40.0),
            Self::Rest => (10.0, 25.0),
            Self::Sleep => (18.0, 40.0),
            Self::Rem => (12.0, 28.0),
        }
    }

    /// Chances of what comes next: awake, rest, sleep, rem. Paradoxical sleep comes out of slow sleep only.
    fn next(self) -> [f64; 4] {
        match self {
            Self::Awake => [0.0, 1.0, 0.0, 0.0],
            Self::Rest => [0.4, 0.0, 0.6, 0.0],
            Self::Sleep => [0.15, 0.3, 0.0, 0.55],
            Self::Rem => [0.6, 0.0, 0.4, 0.0],
        }
    }

    /// How strong the rhythms are in this state.
    fn level(self) -> Level {
        match self {
            Self::Awake => Level {
                theta: 210.0,
                theta_hz: 7.8,
                wander_hz: 0.7,
                slow_gamma: 26.0,
                fast_gamma: 30.0,
                background: 75.0,
                fast: 1.0,
                tone: 7.0,
                ..Level::default()
            },
            Self::Rest => Level {
                theta: 12.0,
                theta_hz: 6.8,
                wander_hz: 0.5,
                slow_gamma: 11.0,
                fast_gamma: 6.0,
                background: 105.0,
                fast: 0.8,
                tone: 2.5,
                ripples_hz: 0.9,
                ..Level::default()
            },
            Self::Sleep => Level {
                theta: 0.0,
                theta_hz: 6.5,
                wander_hz: 0.3,
                slow_gamma: 6.0,
                fast_gamma: 4.0,
                background: 100.0,
                fast: 0.55,
                tone: 0.8,
                ripples_hz: 0.5,
                slow: SLOW_UV,
                spindles: 0.4,
            },
            Self::Rem => Level {
                theta: 250.0,
                theta_hz: 7.0,
                wander_hz: 0.25,
                slow_gamma: 14.0,
                fast_gamma: 30.0,
                background: 60.0,
                fast: 0.9,
                ..Level::default()
            },
        }
    }
}

/// Strength of each rhythm, in µV where it is strongest, unless said otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub struct Level {
    pub theta: f64,
    pub theta_hz: f64,
    /// How far theta's frequency wanders.
    pub wander_hz: f64,
    pub slow_gamma: f64,
    pub fast_gamma: f64,
    pub background: f64,
    /// Strength of the fast part of the background: 1 is awake.
    pub fast: f64,
    /// Muscle activity that reaches the probe.
    pub tone: f64,
    /// Sharp-wave ripples a second.
    pub ripples_hz: f64,
    /// Slow oscillation.
    pub slow: f64,
    /// Chance of a spindle in a cycle of the slow oscillation.
    pub spindles: f64,
}

impl Level {
    fn add(&mut self, share: f64, other: &Self) {
        let pairs = [
            (&mut self.theta, other.theta),
            (&mut self.theta_hz, other.theta_hz),
            (&mut self.wander_hz, other.wander_hz),
            (&mut self.slow_gamma, other.slow_gamma),
            (&mut self.fast_gamma, other.fast_gamma),
            (&mut self.background, other.background),
            (&mut self.fast, other.fast),
            (&mut self.tone, other.tone),
            (&mut self.ripples_hz, other.ripples_hz),
            (&mut self.slow, other.slow),
            (&mut self.spindles, other.spindles),
        ];
        for (mine, theirs) in pairs {
            *mine += share * theirs;
        }
    }
}

/// Slow oscillation of deep sleep, where it is strongest.
pub const SLOW_UV: f64 = 360.0;
/// Time constant of each of the two stages that a change passes.
const BLEND_SECS: f64 = 0.5;

/// The state now, as shares of the four.
#[derive(Debug)]
pub struct States {
    rate_hz: f64,
    goal: State,
    automatic: bool,
    left_frames: u64,
    half_way: [f64; 4],
    shares: [f64; 4],
}

impl States {
    pub fn new(rate_hz: f64, random: &mut Random) -> Self {
        let mut states =
            Self { rate_hz, goal: State::Awake, automatic: true, left_frames: 0, half_way: [0.0; 4], shares: [0.0; 4] };
        states.enter(State::Awake, random);
        states
    }

    /// Starts in the state that is set, without a blend.
    pub fn settle(&mut self) {
        self.half_way = ALL.map(|state| f64::from(u8::from(state == self.goal)));
        self.shares = self.half_way;
    }

    fn enter(&mut self, state: State, random: &mut Random) {
        let (shortest, longest) = state.stay_secs();
        self.goal = state;
        self.left_frames = (random.between(shortest, longest) * self.rate_hz) as u64;
    }

    /// `awake`, `rest`, `sleep`, `rem`, or `auto`, which goes on from where it is.
    pub fn set(&mut self, value: &str) -> bool {
        if value == "auto" {
            self.automatic = true;
            return true;
        }
        let Some(state) = ALL.into_iter().find(|state| state.name() == value) else {
            return false;
        };
        self.automatic = false;
        self.goal = state;
        self.left_frames = 0;
        true
    }

    /// The state that has the greatest share.
    pub fn now(&self) -> State {
        let strongest = ALL.into_iter().zip(self.shares).max_by(|a, b| a.1.total_cmp(&b.1));
        strongest.map_or(self.goal, |(state, _)| state)
    }

    /// Strength of the rhythms in the next frame.
    pub fn next(&mut self, random: &mut Random) -> Level {
        if self.automatic {
            match self.left_frames {
                0 => self.move_on(random),
                _ => self.left_frames -= 1,
            }
        }
        let follow = 1.0 - (-1.0 / (BLEND_SECS * self.rate_hz)).exp();
        let mut level = Level::default();
        for (index, state) in ALL.into_iter().enumerate() {
            let goal = f64::from(u8::from(state == self.goal));
            self.half_way[index] += follow * (goal - self.half_way[index]);
            self.shares[index] += follow * (self.half_way[index] - self.shares[index]);
            level.add(self.shares[index], &state.level());
        }
        level
    }

    fn move_on(&mut self, random: &mut Random) {
        let mut left = random.unit();
        let chances = self.goal.next();
        let next = ALL.into_iter().zip(chances).find(|(_, chance)| {
            left -= chance;
            left < 0.0
        });
        let next = next.map_or(State::Awake, |(state, _)| state);
        self.enter(next, random);
    }
}
