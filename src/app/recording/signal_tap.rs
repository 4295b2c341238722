//! Hears what sources bring, as they bring it.
//!
//! Every source that the signal thread opens is wrapped, whether a show is recorded or not, so that a recording can begin
//! at any moment. Runs on the signal thread; while nothing is recorded it costs one atomic load a block.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwapOption;
use crossbeam_channel::Sender;

use super::{
    format,
    recorder::Note,
    signal_file::{Arrival, Block, Heard, SignalEar},
};
use crate::signal::{Description, Flow, Happening, Read, Source, SourceError};

/// Shared by the signal thread and whoever records.
#[derive(Debug, Clone, Default)]
pub struct SignalTap(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    ear: ArcSwapOption<Ear>,
    signal_ear: ArcSwapOption<SignalEar>,
    lines: AtomicU32,
    /// When hop 0 of the line that plays was.
    hop_zero: Mutex<Option<Instant>>,
}

/// A recording that listens.
#[derive(Debug)]
pub(super) struct Ear {
    pub start: Instant,
    pub notes: Sender<Note>,
    pub missed: Arc<AtomicU64>,
}

impl Ear {
    fn secs(&self, at: Instant) -> f64 {
        match at.checked_duration_since(self.start) {
            Some(after) => after.as_secs_f64(),
            None => -(self.start - at).as_secs_f64(),
        }
    }

    fn tell(&self, note: Note) {
        if self.notes.try_send(note).is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl SignalTap {
    /// A source that is heard.
    pub fn wrap(&self, source: Box<dyn Source>) -> Box<dyn Source> {
        let line = self.0.lines.fetch_add(1, Ordering::Relaxed);
        Box::new(Tapped { source, tap: self.clone(), line, frames: 0, told: None, signal_told: None })
    }

    /// A line begins, which counts its hops from this moment.
    pub fn line_begins(&self, hop_zero: Instant) {
        *self.0.hop_zero.lock().unwrap_or_else(PoisonError::into_inner) = Some(hop_zero);
    }

    /// The line that plays was held up and counts its hops from this moment now.
    pub fn clock_restarts(&self, hop_zero: Instant) {
        self.line_begins(hop_zero);
        if let Some(ear) = &*self.0.ear.load() {
            ear.tell(Note::HopZero(Instant::now(), ear.secs(hop_zero)));
        }
    }

    pub(super) fn listen(&self, ear: Option<Ear>) {
        self.0.ear.store(ear.map(Arc::new));
    }

    pub(super) fn listen_to_signal(&self, ear: Option<SignalEar>) {
        self.0.signal_ear.store(ear.map(Arc::new));
    }
}

struct Tapped {
    source: Box<dyn Source>,
    tap: SignalTap,
    line: u32,
    /// Brought so far.
    frames: u64,
    /// The start of the recording that knows of this line.
    told: Option<Instant>,
    /// The start of the recording of the signal alone that does.
    signal_told: Option<Instant>,
}

impl Tapped {
    fn introduce(&self, ear: &Ear) {
        let about = self.source.description();
        let hop_zero = *self.tap.0.hop_zero.lock().unwrap_or_else(PoisonError::into_inner);
        let t = ear.start.elapsed().as_secs_f64();
        ear.tell(Note::Line(format::Line {
            t,
            line: self.line,
            name: about.name.clone(),
            rate_hz: about.rate_hz,
            live: about.live,
            channels: about.channels.iter().map(|channel| (channel.name.clone(), channel.unit.clone())).collect(),
            hop_zero: hop_zero.map_or(t, |at| ear.secs(at)),
        }));
    }

    /// The signal alone: nothing before a live source has brought its first sample, for what plays till then is none.
    fn tell_signal(&mut self, first: u64, values: &[f64]) {
        let ear = self.tap.0.signal_ear.load();
        let flow = self.source.flow();
        let Some(ear) = ear.as_ref().filter(|_| flow.is_none_or(|flow| flow.received > 0)) else { return };
        let arrival = flow.map(Arrival::from).unwrap_or_default();
        let line = self.line;
        if self.signal_told != Some(ear.begun) {
            let about = self.source.description();
            let (name, channels) = (about.name.clone(), about.channels.clone());
            ear.tell(Heard::Source { line, name, channels, rate_hz: about.rate_hz, live: about.live });
            self.signal_told = Some(ear.begun);
        }
        ear.tell(Heard::Block(Block { line, first, at: Instant::now(), values: values.to_vec(), arrival }));
    }
}

impl Source for Tapped {
    fn description(&self) -> &Description {
        self.source.description()
    }

    fn read(&mut self, frames: usize, out: &mut Vec<f64>) -> Result<Read, SourceError> {
        let before = out.len();
        let read = self.source.read(frames, out)?;
        let count = match read {
            Read::Frames(count) => count,
            Read::Changed => {
                // Other channels or another rate: for whoever records, another line.
                self.line = self.tap.0.lines.fetch_add(1, Ordering::Relaxed);
                (self.frames, self.told, self.signal_told) = (0, None, None);
                return Ok(read);
            }
            Read::End => return Ok(read),
        };
        let first = self.frames;
        self.frames += count as u64;
        let ear = self.tap.0.ear.load();
        if let Some(ear) = ear.as_ref().filter(|_| count > 0) {
            if self.told != Some(ear.start) {
                self.introduce(ear);
                self.told = Some(ear.start);
            }
            let t = ear.start.elapsed().as_secs_f64();
            let values = out[before..].to_vec();
            ear.tell(Note::Block(format::Block { line: self.line, t, first, frames: count as u32, values }));
        }
        if count > 0 {
            self.tell_signal(first, &out[before..]);
        }
        Ok(read)
    }

    fn recorded(&self, channel: usize) -> Option<Box<dyn Iterator<Item = f64> + '_>> {
        self.source.recorded(channel)
    }

    fn set(&mut self, knob: &str, value: &str) -> bool {
        self.source.set(knob, value)
    }

    fn state(&self) -> Option<&str> {
        self.source.state()
    }

    fn happened(&mut self) -> Option<Happening> {
        self.source.happened()
    }

    fn flow(&self) -> Option<&Flow> {
        self.source.flow()
    }

    fn message(&mut self) -> Option<String> {
        self.source.message()
    }
}
