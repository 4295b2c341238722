//! A live source as the signal thread sees it: never waits, never runs dry.
//!
//! Frames of an even beat pass untouched; values that come when they come go through [`Regular`]. When nothing comes
//! the beat goes on: at first missing samples (bridged further on, and counted), then what `then=` says. Before the
//! channels are known a single quiet one stands for them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use super::flow::{ArrivalMeter, Flow, likely_rate_hz};
use super::handover::{Arrival, Beat, Inbox, Layout};
use super::regular::Regular;
use super::settings::Settings;
use super::silence::Silence;
use super::tell::Teller;
use crate::signal::{Channel, Description, Read, Source, SourceError};

/// Of the quiet channel before the true ones are known.
const WAITING_HZ: f64 = 64.0;
/// An even beat may pause for so long, and for so many of its usual intervals, before the gap is filled.
const PATIENCE_SECS: f64 = 0.4;
const PATIENCE_INTERVALS: f64 = 4.0;
/// Missing frames are filled in up to so many seconds at once.
const MAX_GAP_SECS: f64 = 10.0;
/// A rate that is off by this part, for so long, is put right.
const WRONG_RATE: f64 = 0.05;
const WRONG_FOR_SECS: f64 = 6.0;
/// ...or so long, where the sender says itself at which rate it measures: then a busy machine is likelier.
const STATED_WRONG_FOR_SECS: f64 = 20.0;
/// What a pipe may be ahead.
const PACED_AHEAD_SECS: f64 = 0.25;
/// What nobody has read for so long is left behind.
const BEHIND_SECS: f64 = 5.0;

/// A source that brings frames when they come.
pub struct LiveSource {
    settings: Settings,
    description: Description,
    inbox: Inbox,
    thread: Option<JoinHandle<()>>,
    epoch: Instant,
    layout: Option<Arc<(u64, Layout)>>,
    /// Of the layout's channels, those that are wanted.
    chosen: Vec<usize>,
    /// Came with a layout that is not in force yet.
    held: Option<Arrival>,
    /// Chosen frames of an even beat that wait to be read.
    queue: VecDeque<f64>,
    regular: Option<Regular>,
    meter: ArrivalMeter,
    silence: Silence,
    teller: Teller,
    flow: Flow,
    /// Up to when frames were given out.
    filled_to: f64,
    /// A pause of an even beat is being filled, so far with so many frames.
    in_gap: bool,
    filled_frames: usize,
    /// Frames that a pipe may give out.
    allowance: f64,
    paced_at: f64,
    last_arrival: f64,
    new_rate_hz: Option<f64>,
    frame: Vec<f64>,
}

impl LiveSource {
    /// `thread` feeds the other end of `inbox`; None if it cannot be told to end (it reads the standard input).
    pub fn new(settings: Settings, inbox: Inbox, thread: Option<JoinHandle<()>>) -> Self {
        let channels = vec![Channel { name: "waiting".into(), unit: String::new(), rate_hz: WAITING_HZ }];
        let name = settings.address.text.clone();
        let description =
            Description { name: name.clone(), channels, rate_hz: WAITING_HZ, live: true, ..Description::default() };
        Self {
            silence: Silence::new(settings.then, 1, WAITING_HZ),
            teller: Teller::new(name, settings.then),
            settings,
            description,
            inbox,
            thread,
            epoch: Instant::now(),
            layout: None,
            chosen: Vec::new(),
            held: None,
            queue: VecDeque::new(),
            regular: None,
            meter: ArrivalMeter::default(),
            flow: Flow::default(),
            filled_to: 0.0,
            in_gap: false,
            filled_frames: 0,
            allowance: 0.0,
            paced_at: f64::NAN,
            last_arrival: f64::NAN,
            new_rate_hz: None,
            frame: Vec::new(),
        }
    }

    fn secs(&self, at: Instant) -> f64 {
        // An arrival may be older than this source by a hair.
        at.checked_duration_since(self.epoch)
            .map_or_else(|| -self.epoch.duration_since(at).as_secs_f64(), |since| since.as_secs_f64())
    }

    /// As [`Source::read`], at a given moment.
    pub fn read_at(&mut self, now: Instant, frames: usize, out: &mut Vec<f64>) -> Result<Read, SourceError> {
        let now_secs = self.secs(now);
        if let Some(rate_hz) = self.new_rate_hz.take() {
            self.description.rate_hz = rate_hz;
            self.description.channels.iter_mut().for_each(|channel| channel.rate_hz = rate_hz);
            self.silence = Silence::new(self.settings.then, self.chosen.len(), rate_hz);
            return Ok(Read::Changed);
        }
        let changed = self.fetch(now_secs);
        let given = match self.layout.as_ref().map(|layout| layout.1.beat) {
            Some(Beat::Uneven) => self.give_uneven(now_secs, frames, out),
            Some(Beat::Even | Beat::Paced) => self.give_even(now_secs, frames, out),
            None => self.give_silence(now_secs, frames, out),
        };
        if given == 0 && changed {
            self.adopt(now_secs)?;
            return Ok(Read::Changed);
        }
        self.observe(now_secs);
        if given == 0 && self.queue.is_empty() && self.inbox.is_over() {
            return Ok(Read::End);
        }
        Ok(Read::Frames(given))
    }

    /// Takes what has come; true if something waits that another layout is needed for.
    fn fetch(&mut self, now_secs: f64) -> bool {
        let number = self.layout.as_ref().map_or(0, |layout| layout.0);
        loop {
            if self.is_ahead() {
                return false;
            }
            let Some(arrival) = self.held.take().or_else(|| self.inbox.next()) else {
                return self.queue.is_empty() && self.inbox.layout().is_some_and(|newest| newest.0 != number);
            };
            if arrival.layout != number {
                // What came before anyone knew what it was is of no use, nor is what an older layout means.
                if arrival.layout > number {
                    self.held = Some(arrival);
                    return true;
                }
                continue;
            }
            self.take(arrival, now_secs);
        }
    }

    /// A pipe is left to wait when enough of it is here, and what floods this machine is left to the hand-over, which
    /// drops the oldest and counts.
    fn is_ahead(&self) -> bool {
        let enough_secs = match self.layout.as_ref().map(|layout| layout.1.beat) {
            Some(Beat::Paced) => PACED_AHEAD_SECS,
            Some(Beat::Even) => BEHIND_SECS,
            Some(Beat::Uneven) | None => return false,
        };
        let enough = enough_secs * self.description.rate_hz * self.chosen.len() as f64;
        self.queue.len() as f64 > enough.max(1.0)
    }

    fn take(&mut self, arrival: Arrival, now_secs: f64) {
        let Some(layout) = &self.layout else { return };
        let at_secs = self.secs(arrival.at);
        self.last_arrival = at_secs.min(now_secs);
        let scale = self.settings.scale;
        let width = layout.1.channels.len();
        if layout.1.beat == Beat::Uneven {
            self.flow.received += 1;
            if let Some(regular) = &mut self.regular {
                regular.push(at_secs, arrival.sender_secs, arrival.first_channel, &arrival.values);
            }
            return;
        }
        let frames = arrival.values.len() / width.max(1);
        self.flow.received += frames as u64;
        self.meter.push(at_secs, frames + arrival.missing_frames);
        // A sender that paused was missed already while it did.
        let filled = std::mem::take(&mut self.filled_frames);
        let most = (MAX_GAP_SECS * self.description.rate_hz) as usize;
        let gap = arrival.missing_frames.saturating_sub(filled).min(most);
        self.queue.extend(std::iter::repeat_n(f64::NAN, gap * self.chosen.len()));
        for frame in arrival.values.chunks_exact(width) {
            self.queue.extend(self.chosen.iter().map(|channel| {
                // Without a scale the samples are those of the sender, bit for bit.
                if scale == 1.0 { frame[*channel] } else { frame[*channel] * scale }
            }));
        }
    }

    fn give_even(&mut self, now_secs: f64, frames: usize, out: &mut Vec<f64>) -> usize {
        let width = self.chosen.len();
        let there = self.queue.len() / width;
        if there == 0 {
            let patience = PATIENCE_SECS.max(PATIENCE_INTERVALS * self.meter.interval_secs());
            self.in_gap |= now_secs - self.filled_to >= patience;
            if self.inbox.is_over() || !self.in_gap {
                return 0;
            }
            let given = self.give_silence(now_secs, frames, out);
            self.filled_frames += given;
            return given;
        }
        let mut count = there.min(frames);
        if self.layout.as_ref().is_some_and(|layout| layout.1.beat == Beat::Paced) {
            let rate_hz = self.description.rate_hz;
            let since = if self.paced_at.is_finite() { now_secs - self.paced_at } else { 0.0 };
            self.paced_at = now_secs;
            self.allowance = (self.allowance + since * rate_hz).min(PACED_AHEAD_SECS * rate_hz + 1.0);
            count = count.min(self.allowance as usize);
            self.allowance -= count as f64;
        }
        let start = out.len();
        out.extend(self.queue.drain(..count * width));
        for frame in out[start..].chunks_exact(width) {
            self.silence.heard(frame);
        }
        self.in_gap = false;
        let paced = self.paced_at.is_finite();
        self.filled_to = if paced || !self.queue.is_empty() { now_secs } else { self.last_arrival };
        count
    }

    fn give_uneven(&mut self, now_secs: f64, frames: usize, out: &mut Vec<f64>) -> usize {
        if self.silent_secs(now_secs) > self.settings.stale_secs {
            return self.give_silence(now_secs, frames, out);
        }
        let rate_hz = self.description.rate_hz;
        let Some(regular) = &mut self.regular else { return 0 };
        if now_secs - self.filled_to > BEHIND_SECS {
            self.filled_to = now_secs - 1.0 / rate_hz;
        }
        let width = regular_width(&self.layout);
        self.frame.resize(width, 0.0);
        let mut given = 0;
        while given < frames && self.filled_to + 1.0 / rate_hz <= now_secs {
            self.filled_to += 1.0 / rate_hz;
            regular.frame(self.filled_to, &mut self.frame);
            let start = out.len();
            out.extend(self.chosen.iter().map(|channel| self.frame[*channel] * self.settings.scale));
            self.silence.heard(&out[start..]);
            given += 1;
        }
        given
    }

    fn give_silence(&mut self, now_secs: f64, frames: usize, out: &mut Vec<f64>) -> usize {
        let rate_hz = self.description.rate_hz;
        if now_secs - self.filled_to > BEHIND_SECS {
            self.filled_to = now_secs - 1.0 / rate_hz;
        }
        let due = (((now_secs - self.filled_to) * rate_hz) as usize).min(frames);
        let known = self.layout.is_some() && self.last_arrival.is_finite();
        for _ in 0..due {
            self.filled_to += 1.0 / rate_hz;
            if known && self.filled_to - self.last_arrival <= self.settings.stale_secs {
                out.extend(std::iter::repeat_n(f64::NAN, self.description.channels.len()));
            } else {
                self.silence.fill(out);
            }
        }
        due
    }

    /// The newest layout comes into force.
    fn adopt(&mut self, now_secs: f64) -> Result<(), SourceError> {
        let Some(newest) = self.inbox.layout() else { return Ok(()) };
        let layout = &newest.1;
        let names: Vec<String> = layout.channels.iter().map(|channel| channel.name.clone()).collect();
        self.description.odd.clone_from(&layout.odd);
        self.chosen = match self.settings.channels(&names) {
            Ok(chosen) => chosen,
            Err(error) => {
                self.teller.say(format!("{error}; all of them play"));
                self.description.odd.push(error.to_string());
                (0..names.len()).collect()
            }
        };
        self.description.channels = self.chosen.iter().map(|index| layout.channels[*index].clone()).collect();
        self.description.rate_hz = layout.rate_hz;
        self.regular = (layout.beat == Beat::Uneven).then(|| Regular::new(layout.rate_hz, &layout.pulses));
        self.silence = Silence::new(self.settings.then, self.chosen.len(), layout.rate_hz);
        self.meter = ArrivalMeter::default();
        self.queue.clear();
        self.filled_to = now_secs;
        self.last_arrival = now_secs;
        (self.in_gap, self.filled_frames) = (false, 0);
        (self.allowance, self.paced_at) = (0.0, f64::NAN);
        self.layout = Some(newest);
        Ok(())
    }

    fn silent_secs(&self, now_secs: f64) -> f64 {
        if self.last_arrival.is_finite() { (now_secs - self.last_arrival).max(0.0) } else { now_secs }
    }

    /// Brings the flow up to date and tells what has happened to it.
    fn observe(&mut self, now_secs: f64) {
        let counts = self.inbox.counts();
        let even = self.layout.as_ref().filter(|layout| layout.1.beat == Beat::Even);
        let meter = self.regular.as_ref().map_or(Some(&self.meter), Regular::meter);
        let silent_secs = self.silent_secs(now_secs);
        let heard = self.flow.received > 0;
        self.flow.measured_rate_hz = meter.and_then(ArrivalMeter::rate_hz);
        self.flow.jitter_ms = meter.map_or(0.0, |meter| 1e3 * meter.jitter_secs());
        self.flow.lost = counts.lost;
        self.flow.overrun = counts.overrun;
        self.flow.malformed = counts.malformed;
        self.flow.reconnects = counts.reconnects;
        self.flow.transit_ms = self.inbox.transit_ms();
        let by_count = even.filter(|layout| layout.1.rate_is_stated);
        let by_count = by_count.and_then(|layout| self.meter.drift_ppm(layout.1.rate_hz));
        self.flow.drift_ppm = self.inbox.drift_ppm().or(by_count);
        // A block waits for its last frame: on average half of it.
        let block_secs = if even.is_some() { self.meter.interval_secs() } else { 0.0 };
        self.flow.buffer_ms = 1e3 * self.regular.as_ref().map_or(block_secs, Regular::delay_secs);
        self.flow.buffer_of = match (&self.regular, even.is_some()) {
            (Some(_), _) => "making uneven arrivals even",
            (None, true) => "the sender's blocks",
            (None, false) => "",
        };
        self.flow.silent_secs = silent_secs;
        self.flow.stale = self.layout.is_some() && silent_secs > self.settings.stale_secs;
        self.flow.status = String::clone(&self.inbox.status());
        let doubted_secs = match even {
            Some(layout) if layout.1.rate_is_stated => STATED_WRONG_FOR_SECS,
            _ => WRONG_FOR_SECS,
        };
        if even.is_some() && self.meter.settled_secs() > doubted_secs {
            let declared_hz = self.description.rate_hz;
            let wrong = |measured: &f64| (measured / declared_hz - 1.0).abs() > WRONG_RATE;
            if let Some(measured_hz) = self.flow.measured_rate_hz.filter(wrong) {
                let likely_hz = likely_rate_hz(measured_hz);
                self.teller.wrong_rate(declared_hz, measured_hz);
                self.new_rate_hz = Some(likely_hz);
            }
        }
        while let Some(text) = self.inbox.message() {
            self.teller.say(text);
        }
        self.teller.observe(now_secs, &self.flow, heard, self.description.rate_hz);
    }
}

fn regular_width(layout: &Option<Arc<(u64, Layout)>>) -> usize {
    layout.as_ref().map_or(0, |layout| layout.1.channels.len())
}

impl Source for LiveSource {
    fn description(&self) -> &Description {
        &self.description
    }

    fn read(&mut self, frames: usize, out: &mut Vec<f64>) -> Result<Read, SourceError> {
        self.read_at(Instant::now(), frames, out)
    }

    fn state(&self) -> Option<&str> {
        Some(self.teller.state())
    }

    fn flow(&self) -> Option<&Flow> {
        Some(&self.flow)
    }

    fn message(&mut self) -> Option<String> {
        self.teller.message()
    }
}

impl Drop for LiveSource {
    fn drop(&mut self) {
        self.inbox.stop();
        // The port or device must be free before the same source is opened again.
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("{}: its thread did not end well", self.description.name);
        }
    }
}
