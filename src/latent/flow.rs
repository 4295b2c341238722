//! A sample keeps its cell until it is overwritten: the calmest motion, and the mapping for the stage.
//!
//! Each sample frame is whitened ([`super::whiten`]) and its 32 values go to 32 cells scattered over the latent by a fixed
//! permutation; the frame `n` later takes the same cells (n = 512 for 4x64x64: after a second). From one hop to the next
//! 29 of 30 cells have the same owner.
//!
//! A cell overwritten at once makes the picture jitter: every blur of the latent is then a random walk. So a new sample
//! turns in over about half of the memory as cos(a) old + sin(a) new, which keeps unit variance. On a rat's hippocampus
//! (one channel spread over 32 by delays, 30 hops a second, drive 0), the mean change of the blurred latent a hop, in its own
//! deviations, and how much of that change is a jerk (mean |second difference| / mean |first|):
//!
//! | turn, of the memory | 2 cells | 8 cells | jerk |
//! |---|---|---|---|
//! | none (overwritten at once) | 0.17 | 0.21 | 1.58 |
//! | 0.2 | 0.10 | 0.10 | 0.57 |
//! | **0.5** | 0.064 | 0.066 | 0.24 |
//! | 1 | 0.046 | 0.047 | 0.13 |
//! | `paper`, for comparison | 1.06 | 1.04 | 1.55 |
//!
//! Half is kept: a whole memory is little calmer, and the picture answers to the signal half a second later. All turning cells follow
//! one clock, and that clock follows the signal's energy (`drive`): a burst surges through the film, calm lets it float,
//! though every latent is of unit variance.
//!
//! Each cell also flips the sign of what it takes in by a fixed code for each round. Without it a rhythm of a whole number
//! of cycles a round brings each cell its old value again, and the picture stands still.

use super::{Follow, Fresh, Mapping, Shape, frames, frames_from, mersenne, noise, standard::Frame, whiten::Whiten};
use crate::signal::{MAPPING_RATE_HZ, WINDOW_CHANNELS, Window};

/// Seed of the cells' places: any but the paper's.
const PLACES: u32 = 35;
const SIGNS: u64 = 0x51C4_5051_C450_0001;
const ROUNDS: u64 = 0x51C4_5051_C450_0002;
const BEFORE: u64 = 0x51C4_5051_C450_0003;
/// Part of the memory over which a new sample turns in at a usual moment.
const TURN: f64 = 0.5;
/// Slowest and quickest that the clock runs: a turn is always over when its cell is overwritten, and never takes less than
/// five pictures (at a memory of a second).
const CLOCK_RANGE: (f64, f64) = (TURN, 3.0);

/// See the module.
pub struct Flow {
    follow: Follow,
    whiten: Whiten,
    shape: Option<Shape>,
    /// Cell of each slot `(number mod n) * 32 + channel`; `u32::MAX` where the shape has no cell left.
    places: Vec<u32>,
    slots: Vec<Slot>,
    /// The clock, in turns since the start.
    clock: f64,
    memory_secs: f32,
    drive: f32,
}

/// A cell's owner and the one before.
#[derive(Clone, Copy, Default)]
struct Slot {
    before: f32,
    now: f32,
    /// What the clock showed when `now` came.
    since: f64,
}

impl Slot {
    fn at(&self, clock: f64) -> f32 {
        let part = (clock - self.since) as f32;
        if part >= 1.0 {
            return self.now;
        }
        // Eased, so that nothing starts or stops with a jerk.
        let (of_before, of_now) = noise::quarter_turn(part * part * (3.0 - 2.0 * part));
        of_before * self.before + of_now * self.now
    }
}

impl Default for Flow {
    fn default() -> Self {
        Self {
            follow: Follow::default(),
            whiten: Whiten::default(),
            shape: None,
            places: Vec::new(),
            slots: Vec::new(),
            clock: 0.0,
            memory_secs: 1.0,
            drive: 1.0,
        }
    }
}

impl Flow {
    fn size_for(&mut self, shape: Shape) {
        let slots = shape.samples_to_fill() * WINDOW_CHANNELS;
        let cell = |place: u32| {
            if (place as usize) < shape.len() { place } else { u32::MAX }
        };
        self.places = mersenne::permutation(PLACES, slots).into_iter().map(cell).collect();
        self.slots = vec![Slot::default(); slots];
        self.shape = Some(shape);
        self.follow = Follow::default();
    }

    /// Rounds of the cells (n frames each) that a sample is kept for; at least one.
    fn rounds(&self) -> f64 {
        let frames = (self.slots.len() / WINDOW_CHANNELS).max(1) as f64;
        (f64::from(self.memory_secs) * MAPPING_RATE_HZ as f64 / frames).max(1.0)
    }

    /// Gives a frame's values to their cells; with `every`, also to those whose turn it is not.
    fn take_in(&mut self, number: u64, raw: &Frame, every: bool) {
        let mut white = Frame::default();
        let lively = self.whiten.push(number, raw, &mut white);
        let frames = (self.slots.len() / WINDOW_CHANNELS).max(1) as u64;
        let (group, round, rounds) = (number % frames, number / frames, self.rounds());
        let pace = lively.powf(f64::from(self.drive)).clamp(CLOCK_RANGE.0, CLOCK_RANGE.1);
        self.clock += pace / (TURN * rounds * frames as f64);
        let first = group as usize * WINDOW_CHANNELS;
        for (index, slot) in self.slots[first..first + WINDOW_CHANNELS].iter_mut().enumerate() {
            let id = (first + index) as u64;
            let offset = noise::uniform(ROUNDS, id) * rounds;
            let due = |round: f64| ((round + offset) / rounds).floor();
            if every || due(round as f64 + 1.0) != due(round as f64) {
                let now = white[index] as f32 * noise::sign(SIGNS, round << 32 | id);
                *slot = Slot { before: slot.at(self.clock), now, since: self.clock };
            }
        }
    }

    fn refill(&mut self, window: &Window) {
        self.whiten = Whiten::begin(window.first_sample, frames(window));
        self.clock = 0.0;
        for (id, slot) in self.slots.iter_mut().enumerate() {
            let now = noise::normal(BEFORE, id as u64) as f32;
            *slot = Slot { before: now, now, since: 0.0 };
        }
        frames_from(window, 0).for_each(|(number, raw)| self.take_in(number, raw, true));
    }
}

impl Mapping for Flow {
    fn name(&self) -> &'static str {
        "flow"
    }

    fn samples(&self, shape: Shape) -> usize {
        shape.samples_to_fill()
    }

    fn map(&mut self, window: &Window, shape: Shape, out: &mut [f32]) {
        if self.shape != Some(shape) {
            self.size_for(shape);
        }
        match self.follow.window(window) {
            Fresh::From(frame) => frames_from(window, frame).for_each(|(number, raw)| self.take_in(number, raw, false)),
            Fresh::Restart => self.refill(window),
        }
        for (slot, &place) in self.slots.iter().zip(&self.places) {
            if let Some(cell) = out.get_mut(place as usize) {
                *cell = slot.at(self.clock);
            }
        }
        noise::to_unit_rms(out);
    }

    fn reset(&mut self) {
        self.follow = Follow::default();
    }

    fn set(&mut self, knob: &str, value: f32) -> bool {
        match knob {
            "memory_secs" if value.is_finite() => self.memory_secs = value.clamp(0.1, 60.0),
            "drive" if value.is_finite() => self.drive = value.clamp(0.0, 2.0),
            "memory_secs" | "drive" => {}
            _ => return false,
        }
        true
    }
}
