//! `synth://rat`: the local field potential of a rat, along a probe from the cortex through the hippocampus, in µV.
//!
//! A frame is a matrix of depth profiles ([`probe`]) times a handful of rhythms ([`rhythms`]), whose strength follows the
//! state of the animal ([`states`]), plus a little noise of each electrode. Some hundred multiplications and as many
//! random numbers a sample: far below a hundredth of a core at 512 Hz. What the rhythms look like and where they live
//! follows Buzsáki, "Rhythms of the Brain" (2006) and "Hippocampal sharp wave-ripple" (2015, doi 10.1002/hipo.22488).

mod events;
mod probe;
mod rhythms;
mod states;

use std::collections::VecDeque;

use super::player::{Generator, Player};
use crate::signal::random::{Coloured, Random};
use crate::signal::url::Address;
use crate::signal::{Happening, Source, SourceError};
use probe::Probe;
use rhythms::Rhythms;
use states::{State, States};

const RATE_HZ: f64 = 512.0;
const CHANNELS: u64 = 32;
/// Noise of one electrode and its amplifier: slow and white part, µV.
const OWN_UV: f64 = 9.0;
const WHITE_UV: f64 = 2.0;
/// Events that nobody asks for are forgotten.
const MOST_HAPPENINGS: usize = 256;

struct Rat {
    random: Random,
    states: States,
    rhythms: Rhythms,
    probe: Probe,
    own: Vec<Coloured>,
    rate_hz: f64,
    frames: u64,
    happenings: VecDeque<Happening>,
}

pub fn open(address: &Address) -> Result<Box<dyn Source>, SourceError> {
    address.check_keys(&["seed", "state", "channels", "rate", "scale"])?;
    let rate_hz = address.number("rate", 100.0..=40_000.0, "samples a second")?.unwrap_or(RATE_HZ);
    let channels = address.whole("channels", 1..=1024, "a number of channels")?.unwrap_or(CHANNELS) as usize;
    let seed = address.whole("seed", 0..=u64::MAX, "a whole number")?.unwrap_or(1);
    let mut random = Random::new(seed ^ 0x7261_7400);
    let mut states = States::new(rate_hz, &mut random);
    if let Some(state) = address.text_of("state")
        && !states.set(state)
    {
        return Err(address.bad("state", "awake, rest, sleep, rem or auto is expected"));
    }
    states.settle();
    let rat = Rat {
        states,
        rhythms: Rhythms::new(rate_hz, &mut random),
        probe: Probe::new(channels, &mut random),
        own: (0..channels).map(|_| Coloured::new(rate_hz, 1.0, 80.0, 1.2, &mut random)).collect(),
        random,
        rate_hz,
        frames: 0,
        happenings: VecDeque::with_capacity(MOST_HAPPENINGS),
    };
    let names = (1..=channels).map(|channel| (format!("lfp {channel:02}"), "µV"));
    Ok(Box::new(Player::new(rat, address, rate_hz, names)?))
}

impl Generator for Rat {
    fn next(&mut self, frame: &mut [f64]) {
        let random = &mut self.random;
        let level = self.states.next(random);
        let rhythms = self.rhythms.next(&level, random);
        for (kind, length_secs) in self.rhythms.begun().into_iter().flatten() {
            if self.happenings.len() == MOST_HAPPENINGS {
                self.happenings.pop_front();
            }
            let start_secs = self.frames as f64 / self.rate_hz;
            self.happenings.push_back(Happening { kind, start_secs, end_secs: start_secs + length_secs });
        }
        self.frames += 1;
        self.probe.mix(&rhythms, frame);
        for (x, own) in frame.iter_mut().zip(&mut self.own) {
            *x += OWN_UV * own.next(random) + WHITE_UV * random.normal();
        }
    }

    fn set(&mut self, knob: &str, value: &str) -> bool {
        knob == "state" && self.states.set(value)
    }

    fn state(&self) -> Option<&str> {
        Some(State::name(self.states.now()))
    }

    fn happened(&mut self) -> Option<Happening> {
        self.happenings.pop_front()
    }
}
