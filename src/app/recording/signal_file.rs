//! Writes what a source brings into a file of the signal alone, on the thread `signal file`.
//!
//! Hears the signal thread over a bounded channel ([`SignalEar`]): what finds no room is missing in the file, where it
//! keeps its place and is told. Other channels or another rate begin another file; a source that comes back as it was
//! goes on in the same one, after a gap as long as it was away.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use jiff::{Span, Zoned};

use super::{SignalTap, deck::free};
use crate::signal::{
    Channel, Flow,
    record::{About, Made, RecordError, SignalFile},
};

/// Blocks that may wait: half a minute of hops.
const BLOCKS_AHEAD: usize = 1024;
const SYNC_EVERY: Duration = Duration::from_secs(1);
const LISTEN: Duration = Duration::from_millis(200);
/// A source that was away for longer goes on in another file.
const LONGEST_GAP_SECS: f64 = 3600.0;
const MOST_MESSAGES: usize = 16;

/// What the signal thread tells.
#[derive(Debug)]
pub(super) enum Heard {
    /// A source has been opened, or is another from here on.
    Source {
        line: u32,
        name: String,
        channels: Vec<Channel>,
        rate_hz: f64,
        live: bool,
    },
    Block(Block),
}

/// Frames as they came.
#[derive(Debug)]
pub(super) struct Block {
    pub line: u32,
    /// Number of the first frame of this line.
    pub first: u64,
    /// When they were read.
    pub at: Instant,
    pub values: Vec<f64>,
    pub arrival: Arrival,
}

/// What a live source says of its arrival.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Arrival {
    /// What plays is not what was measured.
    pub stale: bool,
    pub lost: u64,
    pub overrun: u64,
    pub reconnects: u64,
}

impl From<&Flow> for Arrival {
    fn from(flow: &Flow) -> Self {
        let Flow { stale, lost, overrun, reconnects, .. } = *flow;
        Self { stale, lost, overrun, reconnects }
    }
}

/// The signal thread's end.
#[derive(Debug)]
pub(super) struct SignalEar {
    /// Two recordings are never taken for one.
    pub begun: Instant,
    pub blocks: Sender<Heard>,
    pub missed: Arc<AtomicU64>,
}

impl SignalEar {
    pub fn tell(&self, heard: Heard) {
        if self.blocks.try_send(heard).is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A signal that is being recorded. Dropping it ends the file.
#[derive(Debug)]
pub struct SignalRecorder {
    tap: SignalTap,
    missed: Arc<AtomicU64>,
    messages: Receiver<String>,
    thread: Option<JoinHandle<()>>,
}

impl SignalRecorder {
    /// Begins with the next block. The file is made when the first samples come: it is `path`, or numbered if that is
    /// there.
    pub fn start(path: &Path, tap: &SignalTap) -> std::io::Result<Self> {
        let (blocks, heard) = bounded(BLOCKS_AHEAD);
        let (told, messages) = bounded(MOST_MESSAGES);
        let missed = Arc::new(AtomicU64::new(0));
        let writer = Writer { path: path.to_owned(), file: None, line: None, told, synced: Instant::now() };
        let body = move || writer.run(&heard);
        let thread = std::thread::Builder::new().name("signal file".into()).spawn(body)?;
        tap.listen_to_signal(Some(SignalEar { begun: Instant::now(), blocks, missed: Arc::clone(&missed) }));
        Ok(Self { tap: tap.clone(), missed, messages, thread: Some(thread) })
    }

    /// Blocks that found no room.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    pub fn messages(&self) -> impl Iterator<Item = String> {
        self.messages.try_iter()
    }

    /// The thread has ended by itself: the file cannot be written.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends the file, waits for the disk, and says what came of it.
    pub fn finish(mut self) -> Vec<String> {
        self.end();
        self.messages.try_iter().collect()
    }

    fn end(&mut self) {
        self.tap.listen_to_signal(None);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the recording of the signal stumbled (this is a fault in wavedream)");
        }
    }
}

impl Drop for SignalRecorder {
    fn drop(&mut self) {
        self.end();
    }
}

/// The source that plays.
#[derive(Debug)]
struct Line {
    number: u32,
    name: String,
    channels: Vec<Channel>,
    rate_hz: f64,
    live: bool,
    /// Number of the frame that comes next.
    next: u64,
    arrival: Arrival,
}

/// Lives on the thread `signal file`.
struct Writer {
    path: PathBuf,
    file: Option<Open>,
    line: Option<Line>,
    told: Sender<String>,
    synced: Instant,
}

struct Open {
    file: SignalFile,
    /// When its first frame was.
    begun: Instant,
}

impl Writer {
    fn run(mut self, heard: &Receiver<Heard>) {
        let ended = loop {
            let step = match heard.recv_timeout(LISTEN) {
                Ok(Heard::Source { line, name, channels, rate_hz, live }) => {
                    let (next, arrival) = (0, Arrival::default());
                    self.line = Some(Line { number: line, name, channels, rate_hz, live, next, arrival });
                    Ok(())
                }
                Ok(Heard::Block(block)) => self.block(block),
                Err(RecvTimeoutError::Timeout) => Ok(()),
                Err(RecvTimeoutError::Disconnected) => break self.close(),
            };
            if let Err(error) = step.and_then(|()| self.sync()) {
                break Err(error);
            }
        };
        if let Err(error) = ended {
            self.say(error.to_string());
        }
    }

    fn block(&mut self, block: Block) -> Result<(), RecordError> {
        let Some(mut line) = self.line.take_if(|line| line.number == block.line) else { return Ok(()) };
        let written = self.write(&mut line, block);
        self.line = Some(line);
        written
    }

    fn write(&mut self, line: &mut Line, mut block: Block) -> Result<(), RecordError> {
        let width = line.channels.len().max(1);
        let frames = block.values.len() / width;
        let secs = frames as f64 / line.rate_hz;
        // The first of them was measured before the others came.
        let began = block.at.checked_sub(Duration::from_secs_f64(secs.min(60.0))).unwrap_or(block.at);
        let is_first = line.next == 0;
        if is_first {
            line.arrival = block.arrival;
            line.next = block.first;
            self.goes_on(line, began)?;
        }
        if self.file.is_none() {
            self.open(line, began, block.at)?;
        }
        let Some(Open { file, .. }) = &mut self.file else { return Ok(()) };
        let missed = block.first.saturating_sub(line.next);
        if missed > 0 {
            file.remark(&format!("bad: {missed} frames came faster than they could be written"));
            file.missing(missed)?;
        }
        line.next = block.first + frames as u64;
        let (before, now) = (std::mem::replace(&mut line.arrival, block.arrival), block.arrival);
        for (count, what) in [
            (now.reconnects.saturating_sub(before.reconnects), "reconnected"),
            (now.lost.saturating_sub(before.lost), "samples lost on the way"),
            (now.overrun.saturating_sub(before.overrun), "samples dropped by a busy machine"),
        ] {
            match count {
                0 => {}
                _ if what == "reconnected" => file.remark(what),
                count => file.remark(&format!("{count} {what}")),
            }
        }
        if now.stale {
            // What stands in for the signal was not measured.
            block.values.fill(f64::NAN);
        }
        file.frames(&block.values)
    }

    /// A source begins while a file is open: it goes on there if it can.
    fn goes_on(&mut self, line: &Line, began: Instant) -> Result<(), RecordError> {
        let Some(Open { file, begun }) = &mut self.file else { return Ok(()) };
        let away_secs = began.saturating_duration_since(*begun).as_secs_f64() - file.secs();
        if file.fits(&line.channels, line.rate_hz) && away_secs < LONGEST_GAP_SECS {
            file.remark("opened again");
            // A recording plays on from its start: nothing is missing between.
            let missing = if line.live { (away_secs.max(0.0) * line.rate_hz).round() as u64 } else { 0 };
            return file.missing(missing);
        }
        self.close()
    }

    fn open(&mut self, line: &Line, began: Instant, at: Instant) -> Result<(), RecordError> {
        let path = free(&self.path);
        let before = at.saturating_duration_since(began) + at.elapsed();
        let span = Span::new().nanoseconds(i64::try_from(before.as_nanos()).unwrap_or(0));
        let begun = Zoned::now().saturating_sub(span).datetime();
        let about = About { source: line.name.clone(), channels: line.channels.clone(), rate_hz: line.rate_hz, begun };
        if path != self.path {
            self.say(format!("{}: the signal is recorded here", path.display()));
        }
        self.file = Some(Open { file: SignalFile::create(&path, about)?, begun: began });
        Ok(())
    }

    fn close(&mut self) -> Result<(), RecordError> {
        if let Some(Open { file, .. }) = self.file.take() {
            let made = file.finish()?;
            self.say(came_of(&made));
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), RecordError> {
        if self.synced.elapsed() >= SYNC_EVERY {
            self.synced = Instant::now();
            if let Some(Open { file, .. }) = &mut self.file {
                return file.sync();
            }
        }
        Ok(())
    }

    fn say(&self, text: String) {
        if let Err(TrySendError::Full(text)) = self.told.try_send(text) {
            tracing::warn!("{text}");
        }
    }
}

fn came_of(made: &Made) -> String {
    let channels = if made.channels == 1 { "1 channel".to_owned() } else { format!("{} channels", made.channels) };
    let mut said = format!("{}: {:.1} s of {channels} are recorded", made.path.display(), made.secs);
    made.notes.iter().for_each(|note| said.push_str(&format!("; {note}")));
    said
}
