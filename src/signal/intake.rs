//! From a source to windows: reads, conditions, resamples, spreads, keeps the last minute.
//!
//! Lives on the signal thread (or on the one thread of `render` and `latent`). Time here is signal time: sample `n` at
//! 512 Hz is at `n / 512` s from the first frame of the source, and hop `k` ends before sample `floor(k * 512 / 30)`,
//! by integers, so that an hour has exactly 108,000 hops. A live source has a clock of its own: [`Pace`] says where its
//! hops end.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::conditioner::Conditioner;
use super::pace::Pace;
use super::resample::Resampler;
use super::ring::{Ring, reflect};
use super::spread::Spread;
use super::tones::{TONES, Tones};
use super::{
    Description, Flow, HOPS_PER_SEC, Happening, Health, MAPPING_RATE_HZ, Read, Settings, Source, SourceError,
    WINDOW_CHANNELS, Window,
};
use crate::Stamp;

/// Kept of the 32 channels.
const RING_SECS: u64 = 64;
/// Frames read at once, at most: bounds the memory, not the result.
const BLOCK_FRAMES: usize = 8192;
/// A file or synthetic source is read at least so far, so that early windows can be mirrored from a whole one.
const AHEAD_SECS: f64 = 2.0;
/// Numbers kept free for samples mirrored before the start: more than any window is long.
const BEFORE_START: u64 = 1 << 20;
/// Arrivals remembered, one a block.
const ARRIVALS: usize = 4096;
/// A live source that has changed shall be seen soon: its scale settles afterwards.
const CHANGED_START_SECS: f64 = 0.2;

/// How far the signal has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Signal that windows may now end at.
    pub reached_secs: f64,
    /// The source is over: there will never be more.
    pub ended: bool,
}

/// Recent conditioned samples for the eye.
#[derive(Debug, Clone)]
pub struct Trace {
    pub names: Vec<String>,
    pub rate_hz: f64,
    /// One list a channel, oldest first, in the units of the source.
    pub channels: Vec<Vec<f32>>,
}

/// A source with everything that makes windows of it.
pub struct Intake {
    source: Box<dyn Source>,
    conditioner: Conditioner,
    /// None when the source has the rate of the mappings already.
    resampler: Option<Resampler>,
    spread: Spread,
    ring: Ring,
    block: Vec<f64>,
    resampled: Vec<f64>,
    dead: Vec<bool>,
    arrivals: VecDeque<(u64, Instant)>,
    settings: Settings,
    /// Of live sources.
    pace: Option<Pace>,
    ended: bool,
    tones: Option<Tones>,
    /// Samples before this one have been heard; the end of the newest window; where the ring stood when the source last
    /// became another.
    heard: u64,
    newest: u64,
    spread_from: u64,
}

impl Intake {
    /// Opens a path or URL.
    ///
    /// # Errors
    /// As [`super::open`].
    pub fn open(url: &str, settings: Settings) -> Result<Self, SourceError> {
        Self::from_source(super::open(url)?, settings)
    }

    /// # Errors
    /// A source without channels or without a rate.
    pub fn from_source(source: Box<dyn Source>, settings: Settings) -> Result<Self, SourceError> {
        let description = source.description();
        let (channels, rate_hz) = (description.channels.len(), description.rate_hz);
        if channels == 0 {
            return Err(SourceError::Message(format!("{}: has no channels; choose another source", description.name)));
        }
        if !(rate_hz.is_finite() && rate_hz > 0.0) {
            return Err(SourceError::Message(format!("{}: has no rate; say it with ?rate=", description.name)));
        }
        let wanted_hz = MAPPING_RATE_HZ as f64;
        Ok(Self {
            conditioner: Conditioner::new(channels, rate_hz, settings),
            resampler: (rate_hz != wanted_hz).then(|| Resampler::new(channels, rate_hz, wanted_hz)),
            spread: Spread::new(channels, rate_hz, description.live),
            ring: Ring::new(WINDOW_CHANNELS, (RING_SECS * MAPPING_RATE_HZ) as usize),
            block: Vec::new(),
            resampled: vec![0.0; channels],
            dead: vec![false; channels],
            arrivals: VecDeque::with_capacity(ARRIVALS),
            settings,
            pace: description.live.then(Pace::default),
            ended: false,
            tones: Tones::new(rate_hz),
            heard: 0,
            newest: 0,
            spread_from: 0,
            source,
        })
    }

    /// The source has other channels or another rate from here on. What it was stays in the ring.
    fn rebuild(&mut self) {
        let description = self.source.description();
        let (channels, rate_hz) = (description.channels.len(), description.rate_hz);
        let wanted_hz = MAPPING_RATE_HZ as f64;
        self.conditioner = Conditioner::new(channels, rate_hz, self.settings);
        self.resampler = (rate_hz != wanted_hz).then(|| Resampler::new(channels, rate_hz, wanted_hz));
        self.spread = Spread::starting_within(channels, rate_hz, CHANGED_START_SECS);
        self.resampled = vec![0.0; channels];
        self.dead = vec![false; channels];
        self.tones = Tones::new(rate_hz);
        self.spread_from = self.ring.total();
    }

    /// Reads until windows may end at `signal_secs`, or the source is over, or (live) has brought nothing yet.
    ///
    /// Do not go further at once than the ring is long (a minute) if the windows on the way are wanted.
    ///
    /// # Errors
    /// Whatever the source reports.
    pub fn advance_to(&mut self, signal_secs: f64) -> Result<Progress, SourceError> {
        // What a live source has brought is taken at once, however much it is: it is as old as it is.
        let target = match self.pace {
            Some(_) => self.ring.total() + RING_SECS * MAPPING_RATE_HZ,
            None => (signal_secs.max(AHEAD_SECS) * MAPPING_RATE_HZ as f64).ceil() as u64,
        };
        while self.ring.total() < target && !self.ended {
            let missing = (target - self.ring.total()) as f64 / MAPPING_RATE_HZ as f64;
            let frames = (missing * self.source.description().rate_hz).ceil().clamp(1.0, BLOCK_FRAMES as f64);
            let mut block = std::mem::take(&mut self.block);
            block.clear();
            let read = self.source.read(frames as usize, &mut block)?;
            self.take(&mut block);
            self.block = block;
            match read {
                Read::Frames(0) => break,
                Read::Frames(_) => {}
                Read::Changed => self.rebuild(),
                Read::End => self.finish(),
            }
        }
        Ok(Progress { reached_secs: self.ring.total() as f64 / MAPPING_RATE_HZ as f64, ended: self.ended })
    }

    fn take(&mut self, block: &mut [f64]) {
        for frame in block.chunks_exact_mut(self.dead.len()) {
            self.conditioner.run(frame);
            if let Some(tones) = &mut self.tones {
                tones.push(frame);
            }
            for (channel, dead) in self.dead.iter_mut().enumerate() {
                *dead = self.conditioner.is_flat(channel);
            }
            match &mut self.resampler {
                None => self.spread.push(frame, &self.dead, &mut self.ring),
                Some(resampler) => {
                    resampler.push(frame);
                    while resampler.pop(&mut self.resampled) {
                        self.spread.push(&self.resampled, &self.dead, &mut self.ring);
                    }
                }
            }
        }
        if self.arrivals.len() == ARRIVALS {
            self.arrivals.pop_front();
        }
        self.arrivals.push_back((self.ring.total(), Instant::now()));
    }

    fn finish(&mut self) {
        self.ended = true;
        if let Some(resampler) = &mut self.resampler {
            resampler.finish();
            while resampler.pop(&mut self.resampled) {
                self.spread.push(&self.resampled, &self.dead, &mut self.ring);
            }
        }
        self.spread.finish(&mut self.ring);
        self.arrivals.push_back((self.ring.total(), Instant::now()));
    }

    /// The first hop whose window of so many samples lies wholly in the signal.
    pub fn first_hop(&self, samples: usize) -> u64 {
        (samples as u64 * HOPS_PER_SEC).div_ceil(MAPPING_RATE_HZ)
    }

    /// Sample before which the window of a hop ends.
    fn end_of(&mut self, hop: u64) -> u64 {
        let total = self.ring.total();
        self.pace.as_mut().map_or(hop_end(hop), |pace| pace.end(hop_end(hop), total))
    }

    /// The window of a hop; None before [`Self::first_hop`], before the signal has come so far, and when it is forgotten.
    pub fn window_at_hop(&self, hop: u64, samples: usize) -> Option<Window> {
        self.window(hop, hop_end(hop), samples)
    }

    /// As [`Self::window_at_hop`], but before the first whole window the signal is mirrored at its start, so that
    /// a show can begin at once. Its samples are numbered from [`BEFORE_START`] earlier, so that each sample, mirrored or
    /// not, has one number and a mapping sees the signal move on. None only when nothing has come yet, or it is forgotten.
    pub fn window_at_hop_or_mirrored(&mut self, hop: u64, samples: usize) -> Option<Window> {
        let end = self.end_of(hop);
        self.newest = end;
        let first_sample = (end + BEFORE_START).checked_sub(samples as u64)?;
        if end >= samples as u64 {
            return Some(Window { first_sample, ..self.window(hop, end, samples)? });
        }
        let there = self.ring.total().min(samples as u64);
        if there == 0 || self.ring.oldest() > 0 || end > self.ring.total() {
            return None;
        }
        let mut values = Vec::with_capacity(samples * WINDOW_CHANNELS);
        for number in end as i64 - samples as i64..end as i64 {
            values.extend_from_slice(self.ring.frame(reflect(number, there))?);
        }
        Some(Window { stamp: self.stamp(hop, end), first_sample, samples: values })
    }

    /// The window that ends at a moment of signal time, to the nearest sample; None if it is not wholly in the signal.
    pub fn window_ending_at(&self, secs: f64, samples: usize) -> Option<Window> {
        if !(secs.is_finite() && secs >= 0.0) {
            return None;
        }
        let end = (secs * MAPPING_RATE_HZ as f64).round() as u64;
        self.window(end * HOPS_PER_SEC / MAPPING_RATE_HZ, end, samples)
    }

    fn window(&self, hop: u64, end: u64, samples: usize) -> Option<Window> {
        let first_sample = end.checked_sub(samples as u64)?;
        let values = self.ring.span(first_sample, samples)?;
        Some(Window { stamp: self.stamp(hop, end), first_sample, samples: values })
    }

    fn stamp(&self, hop: u64, end: u64) -> Stamp {
        let block = self.arrivals.partition_point(|(total, _)| *total < end);
        let fetched = self.arrivals.get(block).or(self.arrivals.back()).map_or_else(Instant::now, |(_, at)| *at);
        // The even beat of a live source costs a wait that began before it was fetched.
        let buffered = self.source.flow().map_or(Duration::ZERO, |flow| Duration::from_secs_f64(flow.buffer_ms / 1e3));
        // The resampler waits for what follows a sample.
        let rate_hz = self.description().rate_hz;
        let resampled = self.resampler.as_ref().map_or(0.0, |resampler| resampler.latency_frames() as f64 / rate_hz);
        let arrived = fetched.checked_sub(buffered + Duration::from_secs_f64(resampled)).unwrap_or(fetched);
        Stamp { hop, signal_secs: end as f64 / MAPPING_RATE_HZ as f64, arrived }
    }

    /// Of each channel of the source.
    pub fn health(&self) -> Vec<Health> {
        self.conditioner.health(self.description().channels.iter().map(|channel| channel.name.clone()))
    }

    /// The last `samples` conditioned samples (at 512 Hz) of the first `channels` channels.
    pub fn trace(&self, channels: usize, samples: usize) -> Trace {
        let past = self.spread.past();
        let described = &self.description().channels;
        let shown = channels.min(described.len());
        let first = past.total().saturating_sub(samples as u64).max(past.oldest());
        let mut lists = vec![Vec::with_capacity((past.total() - first) as usize); shown];
        for number in first..past.total() {
            if let Some(frame) = past.frame(number) {
                lists.iter_mut().zip(frame).for_each(|(list, x)| list.push(*x as f32));
            }
        }
        Trace {
            names: described.iter().take(shown).map(|channel| channel.name.clone()).collect(),
            rate_hz: MAPPING_RATE_HZ as f64,
            channels: lists,
        }
    }

    /// Gives `take` the frames of the source's own channels, conditioned and at 512 Hz, each with its signal time, from
    /// where the last call ended to the end of the newest window of [`Self::window_at_hop_or_mirrored`].
    pub fn hear(&mut self, mut take: impl FnMut(&[f64], f64)) {
        let past = self.spread.past();
        let first = self.heard.max(self.spread_from + past.oldest());
        for number in first..self.newest {
            if let Some(frame) = past.frame(number - self.spread_from) {
                take(frame, number as f64 / MAPPING_RATE_HZ as f64);
            }
        }
        self.heard = self.heard.max(self.newest);
    }

    /// Which channels of the source stand still or are missing.
    pub fn dead(&self) -> &[bool] {
        &self.dead
    }

    /// Mean power of bass, middle and treble since the last call; None for a source that is no sound.
    pub fn tones(&mut self) -> Option<[f64; TONES]> {
        self.tones.as_mut().map(Tones::take)
    }

    /// What the source knows of its own signal, in the order of its beginnings.
    pub fn happened(&mut self) -> Option<Happening> {
        self.source.happened()
    }

    /// The source's own channels, conditioned, at 512 Hz: so many frames that end before sample `end`, frame after frame.
    /// Before the start the signal is mirrored. None when it has not come so far, or is forgotten (after 12 s).
    pub fn channels_before(&self, end: u64, frames: usize) -> Option<Vec<f64>> {
        let past = self.spread.past();
        if let Some(first) = end.checked_sub(frames as u64) {
            return past.span(first, frames);
        }
        let there = past.total().min(frames as u64);
        if there == 0 || past.oldest() > 0 || end > past.total() {
            return None;
        }
        let numbers = end as i64 - frames as i64..end as i64;
        let mirrored = numbers.map(|number| past.frame(reflect(number, there)));
        Some(mirrored.collect::<Option<Vec<_>>>()?.concat())
    }

    /// Changes the conditioning while it runs, without a click.
    pub fn apply(&mut self, settings: Settings) {
        self.settings = settings;
        self.conditioner.apply(settings);
    }

    /// Sets something that belongs to the kind of source; false if it has no such thing.
    pub fn set(&mut self, knob: &str, value: &str) -> bool {
        self.source.set(knob, value)
    }

    pub fn state(&self) -> Option<&str> {
        self.source.state()
    }

    /// How a live source arrives.
    pub fn flow(&self) -> Option<&Flow> {
        self.source.flow()
    }

    /// The next thing that has happened to the source and that a person should read.
    pub fn message(&mut self) -> Option<String> {
        self.source.message()
    }

    pub fn description(&self) -> &Description {
        self.source.description()
    }
}

/// Sample before which the window of a hop ends.
fn hop_end(hop: u64) -> u64 {
    hop * MAPPING_RATE_HZ / HOPS_PER_SEC
}
