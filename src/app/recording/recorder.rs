//! Writes a show to its file, on the thread `show`.
//!
//! Hears the table, the signal and the stage over bounded channels: what finds no room is counted and told, and nobody
//! waits. A tenth of a second at a time goes to the file, so that a crash of the program loses no more than that, and a
//! few seconds at a time to the disk, so that a pulled plug loses no more than those.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use serde_json::{Value as Json, json};

use super::{
    SignalTap,
    format::{Block, Event, Fault, Happened, Head, Line, Lost, MAGIC, VERSION, record},
    signal_tap::Ear,
};
use crate::control::{Change, Kind, Table, Tap, Value, What};

/// Settings that may wait: some recalls of every parameter there is.
const CHANGES_AHEAD: usize = 16_384;
/// Blocks of signal and notes of the stage that may wait: half a minute of hops.
const NOTES_AHEAD: usize = 1024;
const WRITE_EVERY: Duration = Duration::from_millis(100);
const SYNC_EVERY: Duration = Duration::from_secs(5);

/// What the recorder hears beside the table.
#[derive(Debug)]
pub(super) enum Note {
    Line(Line),
    Block(Block),
    HopZero(Instant, f64),
    Transition(Instant, String, f64),
    Model(Instant, String),
}

/// What came of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    pub path: PathBuf,
    pub secs: f64,
    pub lost: u64,
}

/// A show that is being recorded. Dropping it ends the file.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    start: Instant,
    table: Table,
    signal: SignalTap,
    notes: Option<Sender<Note>>,
    missed: Missed,
    thread: Option<JoinHandle<Result<f64, Fault>>>,
}

#[derive(Debug, Clone, Default)]
struct Missed {
    controls: Arc<AtomicU64>,
    blocks: Arc<AtomicU64>,
}

impl Missed {
    fn now(&self) -> Lost {
        Lost { controls: self.controls.load(Ordering::Relaxed), blocks: self.blocks.load(Ordering::Relaxed) }
    }
}

impl Recorder {
    /// Begins now. The file is made on the recorder's thread: if it cannot be, [`Self::has_ended`] and
    /// [`Self::finish`] tell. `head` lacks what the table knows; the texts of the presets in `files` are read by the
    /// thread where they are empty.
    pub fn start(path: &Path, head: Head, table: &Table, signal: &SignalTap) -> std::io::Result<Self> {
        let (changed, changes) = bounded(CHANGES_AHEAD);
        let (notes, heard) = bounded(NOTES_AHEAD);
        let missed = Missed::default();
        let start = Instant::now();
        // First the ear, then the look: what happens between the two is in both.
        table.set_tap(Some(Tap::new(changed, Arc::clone(&missed.controls))));
        let (head, begun) = (with_values(head, table), gliding(table));
        signal.listen(Some(Ear { start, notes: notes.clone(), missed: Arc::clone(&missed.blocks) }));
        let file = path.to_owned();
        let counts = missed.clone();
        let body = move || Writer::create(&file, start)?.run(head, begun, &heard, &changes, &counts);
        let thread = std::thread::Builder::new().name("show".into()).spawn(body).inspect_err(|_| {
            table.set_tap(None);
            signal.listen(None);
        })?;
        let (table, signal) = (table.clone(), signal.clone());
        Ok(Self { path: path.to_owned(), start, table, signal, notes: Some(notes), missed, thread: Some(thread) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Since it began.
    pub fn secs(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// What found no room so far.
    pub fn lost(&self) -> u64 {
        let Lost { controls, blocks } = self.missed.now();
        controls + blocks
    }

    /// The stage begins a transition.
    pub fn transition(&self, name: &str, secs: f64) {
        self.tell(Note::Transition(Instant::now(), name.to_owned(), secs));
    }

    /// Another model paints from now on.
    pub fn model(&self, name: &str) {
        self.tell(Note::Model(Instant::now(), name.to_owned()));
    }

    fn tell(&self, note: Note) {
        if self.notes.as_ref().is_none_or(|notes| notes.try_send(note).is_err()) {
            self.missed.controls.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The thread has ended by itself: the file cannot be written.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends the file.
    pub fn finish(mut self) -> Result<Recorded, Fault> {
        let secs = self.end()?;
        Ok(Recorded { path: self.path.clone(), secs, lost: self.lost() })
    }

    fn end(&mut self) -> Result<f64, Fault> {
        self.table.set_tap(None);
        self.signal.listen(None);
        self.notes = None;
        let stumbled = || Fault::Unwritable {
            file: self.path.display().to_string(),
            cause: std::io::Error::other("its thread stumbled"),
        };
        self.thread.take().map_or(Ok(0.0), |thread| thread.join().unwrap_or_else(|_| Err(stumbled())))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!("{error}");
        }
    }
}

fn with_values(mut head: Head, table: &Table) -> Head {
    for handle in table.all() {
        let (param, offset) = (handle.param(), handle.offset());
        if param.kind != Kind::Trigger && !param.measured {
            head.start.push((param.path.clone(), json_of(&handle.value())));
        }
        if offset != 0.0 {
            head.offsets.push((param.path.clone(), offset));
        }
    }
    head.program = env!("CARGO_PKG_VERSION").to_owned();
    head
}

/// What is on its way when the recording begins goes on from there.
fn gliding(table: &Table) -> Vec<Event> {
    let glides = table.gliding().into_iter();
    glides
        .map(|(handle, to, secs)| Event {
            t: 0.0,
            what: Happened::Set(handle.path(), json!(to), secs, "Program".into()),
        })
        .collect()
}

pub(super) fn json_of(value: &Value) -> Json {
    match value {
        Value::Float(number) => json!(number),
        Value::Int(number) => json!(number),
        Value::Bool(on) => json!(on),
        Value::Text(text) => json!(**text),
        Value::Pulse => Json::Null,
    }
}

/// Lives on the thread `show`.
struct Writer {
    name: String,
    file: File,
    start: Instant,
    synced: Instant,
    line: u32,
    lost: Lost,
}

impl Writer {
    fn create(path: &Path, start: Instant) -> Result<Self, Fault> {
        let name = path.display().to_string();
        // A show that was recorded is never written over.
        match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(file) => Ok(Self { name, file, start, synced: start, line: 0, lost: Lost::default() }),
            Err(cause) => Err(Fault::Unwritable { file: name, cause }),
        }
    }

    fn run(
        mut self,
        mut head: Head,
        begun: Vec<Event>,
        notes: &Receiver<Note>,
        changes: &Receiver<Change>,
        missed: &Missed,
    ) -> Result<f64, Fault> {
        for (file, text) in head.files.iter_mut().filter(|(_, text)| text.is_empty()) {
            *text = fs::read_to_string(file).unwrap_or_default();
        }
        self.put(&[&MAGIC[..], &[VERSION]].concat())?;
        self.json(b'H', &json!(head))?;
        self.json(b'C', &json!(begun))?;
        loop {
            let until = Instant::now() + WRITE_EVERY;
            let mut heard = Vec::new();
            let goes_on = loop {
                match notes.recv_deadline(until) {
                    Ok(note) => heard.push(note),
                    Err(RecvTimeoutError::Timeout) => break true,
                    Err(RecvTimeoutError::Disconnected) => break false,
                }
            };
            self.write(heard, changes, missed.now())?;
            if !goes_on {
                break;
            }
        }
        let secs = self.start.elapsed().as_secs_f64();
        self.json(b'E', &json!(secs))?;
        self.file.sync_all().map_err(|cause| self.unwritable(cause))?;
        Ok(secs)
    }

    fn write(&mut self, heard: Vec<Note>, changes: &Receiver<Change>, lost: Lost) -> Result<(), Fault> {
        let mut events: Vec<Event> = changes.try_iter().map(|change| self.event_of(change)).collect();
        for note in heard {
            match note {
                Note::Line(line) => {
                    self.line = line.line;
                    self.json(b'S', &json!(line))?;
                }
                Note::Block(block) => self.content(b'B', &block.to_bytes())?,
                Note::HopZero(at, hop_zero) => {
                    events.push(Event { t: self.secs(at), what: Happened::HopZero(self.line, hop_zero) });
                }
                Note::Transition(at, name, secs) => {
                    events.push(Event { t: self.secs(at), what: Happened::Transition(name, secs) });
                }
                Note::Model(at, name) => events.push(Event { t: self.secs(at), what: Happened::Model(name) }),
            }
        }
        // Stable: what has one time stays in its order.
        events.sort_by(|a, b| a.t.total_cmp(&b.t));
        if !events.is_empty() {
            self.json(b'C', &json!(events))?;
        }
        if std::mem::replace(&mut self.lost, lost) != lost {
            self.json(b'L', &json!(lost))?;
        }
        if self.synced.elapsed() >= SYNC_EVERY {
            self.synced = Instant::now();
            self.file.sync_data().map_err(|cause| self.unwritable(cause))?;
        }
        Ok(())
    }

    fn event_of(&self, Change { at, path, what, origin }: Change) -> Event {
        let what = match what {
            What::Set { value, secs } => Happened::Set(path, json_of(&value), secs, format!("{origin:?}")),
            What::Offset(offset) => Happened::Offset(path, offset),
        };
        Event { t: self.secs(at), what }
    }

    fn secs(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.start).as_secs_f64()
    }

    fn json(&mut self, kind: u8, value: &Json) -> Result<(), Fault> {
        self.content(kind, value.to_string().as_bytes())
    }

    fn content(&mut self, kind: u8, plain: &[u8]) -> Result<(), Fault> {
        let bytes = record(kind, plain).map_err(|cause| self.unwritable(cause))?;
        self.put(&bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.file.write_all(bytes).map_err(|cause| self.unwritable(cause))
    }

    fn unwritable(&self, cause: std::io::Error) -> Fault {
        Fault::Unwritable { file: self.name.clone(), cause }
    }
}
