//! A beat that keeps running: by its own tempo, by taps, or by a MIDI clock.
//!
//! The position, in beats since the start, never turns back and only jumps where somebody asks for the top (start,
//! restart). What a clock or a tap says otherwise is owed and paid within a tenth of a second or so, so that what hangs
//! on the beat bends and does not tear.
//!
//! A MIDI clock ticks 24 times a quarter note, each tick some milliseconds early or late. The tempo is the mean over the
//! last four beats of ticks; the phase follows a twentieth of each tick's error. When the clock drops out the beat runs
//! on in its last tempo; when it comes back the nearest 24th of a beat is taken for the one that it means.

use std::collections::VecDeque;

use crate::control::midi::Clock;

/// Ticks of a MIDI clock in a quarter note.
const TICKS: f64 = 24.0;
/// Intervals that the tempo is the mean of: with ±3 ms of jitter it is right within 0.2 % at 120.
const MOST_INTERVALS: usize = 96;
/// Before so many the tempo is a guess and stays as it was.
const FEWEST_INTERVALS: usize = 6;
/// Half a beat of intervals shows whether the tempo has leapt: ±3 ms of jitter move their mean by 4 % at most.
const RECENT: usize = 12;
/// The tempo has leapt when the recent intervals differ from the mean by more than this part.
const LEAP: f64 = 0.08;
/// Of the recent intervals these are sure to be of the new tempo.
const AFTER_LEAP: usize = 3;
/// An interval this much longer than a usual one holds a tick that was lost.
const GAP: f64 = 1.75;
/// Ticks closer than this came late and in a bunch: at the fastest tempo they are twice as far apart.
const BUNCHED_SECS: f64 = 0.5 * 60.0 / (FASTEST_BPM * TICKS);
/// So many gaps in a row are no losses but a slower tempo.
const MOST_GAPS: usize = 5;
/// A clock that is silent for longer has dropped out: the slowest tempo ticks four times in this time.
const LOST_SECS: f64 = 0.5;
/// Part of a tick's error that the phase follows: while it locks, and afterwards.
const LOCKING: f64 = 0.3;
const FOLLOW: f64 = 0.05;
/// Time in which two thirds of what is owed are paid.
const PAY_SECS: f64 = 0.06;

pub const SLOWEST_BPM: f64 = 20.0;
pub const FASTEST_BPM: f64 = 300.0;

/// See the module.
#[derive(Debug)]
pub struct Beat {
    now_secs: f64,
    position: f64,
    /// What the position is still to move beside the tempo, in beats.
    owed: f64,
    bpm: f64,
    clock: Ticks,
}

/// What is known of a MIDI clock.
#[derive(Debug, Default)]
struct Ticks {
    /// Number of the last tick, and when it was.
    last: Option<(f64, f64)>,
    intervals: VecDeque<f64>,
    /// How many intervals in a row were a multiple of the usual one.
    gaps: usize,
    /// Ticks that a gap was taken to have lost.
    lost: f64,
    /// There were enough intervals for a tempo since the clock began or came back.
    is_locked: bool,
    /// The next tick is this one: after start, continue and song position.
    next: Option<f64>,
}

impl Beat {
    pub fn new(bpm: f64) -> Self {
        Self { now_secs: 0.0, position: 0.0, owed: 0.0, bpm, clock: Ticks::default() }
    }

    /// Beats since the start. The whole part counts them, the rest is the phase.
    pub fn position(&self) -> f64 {
        self.position
    }

    pub fn bpm(&self) -> f64 {
        self.bpm
    }

    /// Whether a MIDI clock sets the tempo now.
    pub fn has_clock(&self) -> bool {
        let recent = |(_, at): &(f64, f64)| self.now_secs - at < LOST_SECS;
        self.clock.is_locked && self.clock.last.as_ref().is_some_and(recent)
    }

    /// Another tempo, from here on.
    pub fn set_bpm(&mut self, bpm: f64) {
        if bpm.is_finite() {
            self.bpm = bpm.clamp(SLOWEST_BPM, FASTEST_BPM);
        }
    }

    /// From the top, at once.
    pub fn restart(&mut self) {
        (self.position, self.owed) = (0.0, 0.0);
        self.clock.last = None;
    }

    /// Moves the beat by this much, smoothly.
    pub fn shift(&mut self, beats: f64) {
        if beats.is_finite() {
            self.owed += beats;
        }
    }

    /// A beat is here: the nearest one comes to this moment.
    pub fn align(&mut self, at_secs: f64) {
        let there = self.position_at(at_secs);
        self.owed += there.round() - there;
    }

    /// Runs on to a moment; time that goes back is no time.
    pub fn advance_to(&mut self, now_secs: f64) {
        let dt_secs = (now_secs - self.now_secs).max(0.0);
        self.now_secs = self.now_secs.max(now_secs);
        let by_tempo = dt_secs * self.bpm / 60.0;
        // Backwards it pays by standing still, at most.
        let paid = (self.owed * (1.0 - (-dt_secs / PAY_SECS).exp())).max(-by_tempo);
        self.owed -= paid;
        self.position += by_tempo + paid;
    }

    /// Where the beat will be (or was), with all that is owed.
    fn position_at(&self, secs: f64) -> f64 {
        self.position + self.owed + (secs - self.now_secs) * self.bpm / 60.0
    }

    /// Takes a message of a MIDI clock.
    pub fn clock(&mut self, clock: Clock, at_secs: f64) {
        match clock {
            Clock::Tick => self.tick(at_secs),
            Clock::Start => self.clock.next = Some(0.0),
            // Sixteenth notes: six ticks.
            Clock::Position(sixteenths) => self.clock.next = Some(f64::from(sixteenths) * TICKS / 4.0),
            // The beat goes on while the music rests; what hangs on it should not freeze.
            Clock::Continue | Clock::Stop => {}
        }
    }

    fn tick(&mut self, at_secs: f64) {
        let there = self.position_at(at_secs);
        let number = if let Some(number) = self.clock.next.take() {
            // The top (or the place that was asked for) is now.
            self.owed = 0.0;
            self.position = (number / TICKS - (at_secs - self.now_secs) * self.bpm / 60.0).max(0.0);
            if let Some((_, last_secs)) = self.clock.last {
                self.clock.interval(at_secs - last_secs);
            }
            number
        } else {
            match self.clock.last {
                Some((last, last_secs)) if at_secs - last_secs < LOST_SECS => {
                    last + self.clock.interval((at_secs - last_secs).max(0.0))
                }
                _ => {
                    self.clock.intervals.clear();
                    self.clock.is_locked = false;
                    (there * TICKS).round()
                }
            }
        };
        self.clock.last = Some((number, at_secs));
        if let Some(interval_secs) = self.clock.mean(MOST_INTERVALS) {
            self.set_bpm(60.0 / (TICKS * interval_secs));
        }
        let gain = if self.clock.intervals.len() < TICKS as usize { LOCKING } else { FOLLOW };
        self.owed += gain * (number / TICKS - self.position_at(at_secs));
    }
}

impl Ticks {
    /// Takes the time since the last tick; returns how many ticks that was: one, or more if some were lost.
    fn interval(&mut self, secs: f64) -> f64 {
        if secs < BUNCHED_SECS {
            // It is one of those that were taken for lost.
            let was_counted = self.lost >= 1.0;
            self.lost -= f64::from(u8::from(was_counted));
            return f64::from(u8::from(!was_counted));
        }
        if let Some(usual) = self.mean(MOST_INTERVALS)
            && secs > GAP * usual
        {
            self.gaps += 1;
            if self.gaps < MOST_GAPS {
                let ticks = (secs / usual).round();
                self.lost = ticks - 1.0;
                return ticks;
            }
            self.intervals.clear();
        }
        (self.gaps, self.lost) = (0, 0.0);
        if self.intervals.len() == MOST_INTERVALS {
            self.intervals.pop_front();
        }
        self.intervals.push_back(secs);
        if let (Some(recent), Some(mean)) = (self.mean(RECENT), self.mean(MOST_INTERVALS))
            && self.intervals.len() > RECENT
            && (recent / mean - 1.0).abs() > LEAP
        {
            self.intervals.drain(..self.intervals.len() - AFTER_LEAP);
        }
        self.is_locked |= self.intervals.len() >= FEWEST_INTERVALS;
        1.0
    }

    /// The mean of the last intervals, once there are enough.
    fn mean(&self, most: usize) -> Option<f64> {
        let count = self.intervals.len().min(most);
        let mean = self.intervals.iter().rev().take(most).sum::<f64>() / count.max(1) as f64;
        (count >= FEWEST_INTERVALS && mean > 0.0).then_some(mean)
    }
}

#[cfg(test)]
mod tests;
