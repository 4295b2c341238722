//! Any number of channels become 32, at 512 Hz, frame by frame.
//!
//! Exactly 32 healthy channels pass bit for bit. Any other number is taken relative to each channel's running mean and
//! spread (so that a barometer and an anemometer can be mixed), then delayed and mixed ([`design`]). A channel that is
//! dead is replaced by a stand-in. Before its first frame the signal is mirrored.
//!
//! The first frames of a source that has to be scaled are kept back until its scale is known.

use std::collections::VecDeque;

pub mod design;

use super::ring::{Ring, reflect};
use super::stand_in::{Scale, StandIns};
use super::{MAPPING_RATE_HZ, WINDOW_CHANNELS};
use design::Tap;

/// Delays reach so far for fast signals; slow ones have a longer memory, hence longer delays.
const SPAN_SECS: (f64, f64) = (2.0, 24.0);
const SPAN_SAMPLES: f64 = 128.0;
/// Memory of the running scale, and in samples of slow sources.
const SCALE_SECS: f64 = 30.0;
const SCALE_SAMPLES: f64 = 120.0;
/// Live sources wait no longer than this to know their scale; it is what the first window needs anyway.
const LIVE_START_SECS: f64 = 1.0;
const MAX_START_SECS: f64 = 8.0;
/// Delays of stand-ins.
const STAND_IN_SECS: f64 = 0.5;
/// What [`Spread::past`] keeps at least, for the overlay.
const KEPT_SECS: f64 = 12.0;
/// Taken as spread of a source that has never moved.
const UNMOVED: f64 = 0.1;

#[derive(Debug)]
enum Plan {
    Direct,
    Mixed { outputs: Vec<Vec<Tap>>, clean: Ring },
}

/// Makes 32 channels of a source's.
#[derive(Debug)]
pub struct Spread {
    plan: Plan,
    past: Ring,
    scales: Vec<Scale>,
    scale_frames: f64,
    stand_ins: StandIns,
    /// Frames kept back at the start.
    start_frames: u64,
    started: bool,
    waiting: VecDeque<Vec<bool>>,
    done: u64,
    out: Vec<f64>,
    units: Vec<f64>,
}

impl Spread {
    /// For a source of `channels` channels sampled at `source_hz`.
    pub fn new(channels: usize, source_hz: f64, live: bool) -> Self {
        let start_secs = if live { LIVE_START_SECS } else { MAX_START_SECS };
        Self::starting_within(channels, source_hz, start_secs)
    }

    /// As [`Self::new`], but the first frames are kept back for no longer than this.
    pub fn starting_within(channels: usize, source_hz: f64, start_secs: f64) -> Self {
        let rate_hz = MAPPING_RATE_HZ as f64;
        let span_secs = (SPAN_SAMPLES / source_hz).clamp(SPAN_SECS.0, SPAN_SECS.1);
        let kept = ((span_secs + MAX_START_SECS + 1.0).max(KEPT_SECS) * rate_hz) as usize;
        let direct = channels == WINDOW_CHANNELS;
        let start_secs = span_secs.min(start_secs);
        let plan = if direct {
            Plan::Direct
        } else {
            Plan::Mixed { outputs: design::taps(channels, span_secs), clean: Ring::new(channels, kept) }
        };
        Self {
            plan,
            past: Ring::new(channels, kept),
            scales: vec![Scale::default(); channels],
            scale_frames: SCALE_SECS.max(SCALE_SAMPLES / source_hz) * rate_hz,
            stand_ins: StandIns::new(channels, STAND_IN_SECS * span_secs / SPAN_SECS.0),
            start_frames: if direct { 0 } else { (start_secs * rate_hz) as u64 },
            started: direct,
            waiting: VecDeque::new(),
            done: 0,
            out: vec![0.0; WINDOW_CHANNELS],
            units: vec![0.0; channels],
        }
    }

    /// The conditioned channels of the source at 512 Hz, as they came.
    pub fn past(&self) -> &Ring {
        &self.past
    }

    /// Takes one frame of the source at 512 Hz, with what is known of its dead channels, and appends what it can.
    pub fn push(&mut self, frame: &[f64], dead: &[bool], ring: &mut Ring) {
        self.past.push(frame);
        for ((scale, x), dead) in self.scales.iter_mut().zip(frame).zip(dead) {
            if !dead {
                scale.push(*x, self.scale_frames);
            }
        }
        if self.started {
            self.emit(dead, ring);
        } else {
            self.waiting.push_back(dead.to_vec());
            if self.past.total() >= self.start_frames {
                self.start(ring);
            }
        }
    }

    /// The source is over: what was kept back comes out.
    pub fn finish(&mut self, ring: &mut Ring) {
        if !self.started {
            self.start(ring);
        }
    }

    fn start(&mut self, ring: &mut Ring) {
        self.started = true;
        self.start_frames = self.past.total();
        while let Some(dead) = self.waiting.pop_front() {
            self.emit(&dead, ring);
        }
    }

    /// Mean spread of the channels that have ever moved.
    fn common_deviation(&self) -> f64 {
        let moving = self.scales.iter().map(Scale::deviation).filter(|deviation| *deviation > 0.0);
        let (count, sum) = moving.fold((0.0, 0.0), |(count, sum), deviation| (count + 1.0, sum + deviation));
        if count > 0.0 { sum / count } else { UNMOVED }
    }

    fn emit(&mut self, dead: &[bool], ring: &mut Ring) {
        let number = self.done;
        self.done += 1;
        self.stand_ins.step(dead);
        let mirror = if self.start_frames > 0 { self.start_frames } else { self.past.total() };
        let Some(frame) = self.past.frame(number) else { return };
        match &mut self.plan {
            Plan::Direct => {
                self.out.copy_from_slice(frame);
                if (0..WINDOW_CHANNELS).any(|channel| self.stand_ins.share(channel) > 0.0) {
                    self.replace_dead(number, mirror);
                }
            }
            Plan::Mixed { outputs, clean } => {
                for (channel, unit) in self.units.iter_mut().enumerate() {
                    *unit = self.scales[channel].unit(frame[channel]);
                    let share = self.stand_ins.share(channel);
                    if share > 0.0 {
                        let stand_in = self.stand_ins.value(channel, number, &self.past, mirror, &self.scales);
                        *unit += share * (stand_in - *unit);
                    }
                }
                clean.push(&self.units);
                for (out, taps) in self.out.iter_mut().zip(outputs.iter()) {
                    *out = 0.0;
                    for tap in taps {
                        let unit = match number.checked_sub(tap.delay_frames as u64) {
                            Some(then) => clean.frame(then).map_or(0.0, |frame| frame[tap.channel]),
                            None => {
                                let then = reflect(number as i64 - tap.delay_frames as i64, mirror.max(1));
                                let before = self.past.frame(then).map_or(0.0, |frame| frame[tap.channel]);
                                self.scales[tap.channel].unit(before)
                            }
                        };
                        *out += tap.gain * unit;
                    }
                }
                let deviation = self.common_deviation();
                self.out.iter_mut().for_each(|out| *out *= deviation);
            }
        }
        ring.push(&self.out);
    }

    /// Blends the stand-ins of dead channels into 32 direct ones, around the channel's own mean or that of the others.
    fn replace_dead(&mut self, number: u64, mirror: u64) {
        let deviation = self.common_deviation();
        let moving = self.scales.iter().filter(|scale| scale.deviation() > 0.0);
        let (count, sum) = moving.fold((0.0, 0.0), |(count, sum), scale| (count + 1.0, sum + scale.mean));
        let common_mean = if count > 0.0 { sum / count } else { 0.0 };
        for channel in 0..WINDOW_CHANNELS {
            let share = self.stand_ins.share(channel);
            if share > 0.0 {
                let own = &self.scales[channel];
                let mean = if own.deviation() > 0.0 { own.mean } else { common_mean };
                let unit = self.stand_ins.value(channel, number, &self.past, mirror, &self.scales);
                self.out[channel] += share * (mean + deviation * unit - self.out[channel]);
            }
        }
    }
}
