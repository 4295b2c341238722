//! The signal thread of `play`: steps the line by the real clock and asks the dreamer for pictures.
//!
//! Owns source and mapping. Hands out two things, both slots where the latest wins: the request to the dreamer, and a
//! [`Report`] for stage and overlay. A source that fails or ends is opened again; meanwhile the last noise plays on.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::{
    calibrations,
    dials::DreamDials,
    effects::{Effects, Listening},
    line::{Line, LineError},
    recording::SignalTap,
};
use crate::{
    control::{BeatReader, Table},
    diffusion::{Conditioning, Dreamer},
    latent::Latent,
    signal::{self, Flow, HOPS_PER_SEC, Health, Trace},
    state::{Calibration, Mood, Pulse, Reading},
};

/// Samples of each channel in the overlay: two seconds.
const SCOPE_SAMPLES: usize = 1024;
const SCOPE_CHANNELS: usize = 32;
/// Hops between two reports of scope and health, which cost more than the pulse.
const HOPS_A_SCOPE: u64 = 2;
/// Hops between two sentences on the state.
const HOPS_A_LINE: u64 = 6;
/// Pause before a source that failed is opened again.
const RETRY: Duration = Duration::from_secs(2);
/// Further behind than this, the clock starts anew instead of hurrying after.
const MOST_BEHIND_HOPS: u64 = HOPS_PER_SEC;

/// Time between two savings of what was learned of the signal.
const SAVE_HOPS: u64 = 120 * HOPS_PER_SEC;

/// A line whose source is heard by whoever records, and of which is known what was learned another evening.
pub fn open(source: &str, table: &Table, tap: &SignalTap) -> Result<Line, LineError> {
    let mut line = Line::with(tap.wrap(signal::open(source)?), table)?;
    line.encode_on_a_thread();
    match calibrations::file().map_or(Ok(None), |file| calibrations::read(&file, source)) {
        Ok(learned) => line.ear_mut().start_with(learned),
        Err(why) => tracing::warn!("{why}"),
    }
    Ok(line)
}

/// Keeps what was learned. The disk may be slow: not for the signal thread while it plays.
fn keep(source: &str, learned: Option<Calibration>) {
    if let (Some(learned), Some(file)) = (learned, calibrations::file())
        && let Err(why) = calibrations::write(&file, source, learned)
    {
        tracing::warn!("{why}");
    }
}

/// The serial of the resident that pictures are asked of, and its dials.
pub type OfResident = (u64, DreamDials);

/// What the signal thread tells.
#[derive(Clone, Default)]
pub struct Report {
    pub source: Arc<str>,
    /// What is known of the signal, in a line, or why there is none.
    pub state: Arc<str>,
    pub mapping: &'static str,
    pub pulse: Arc<Pulse>,
    pub reading: Reading,
    pub mood: Mood,
    pub scope: Option<Arc<Trace>>,
    pub health: Arc<[Health]>,
    /// How a live source arrives.
    pub flow: Option<Flow>,
    pub latent: Option<Latent>,
}

/// The running thread. Dropping it ends it.
pub struct Live {
    report: Arc<ArcSwap<Report>>,
    dials: Arc<ArcSwapOption<OfResident>>,
    sources: Sender<String>,
    messages: Receiver<String>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    listening: Listening,
}

impl Live {
    /// `line` is open already, so that a source that is not there is told before a window opens.
    pub fn start(
        source: String,
        line: Line,
        table: Table,
        dials: OfResident,
        dreamer: Arc<Dreamer>,
        (tap, beat): (SignalTap, BeatReader),
    ) -> std::io::Result<Self> {
        let report = Arc::new(ArcSwap::from_pointee(Report { source: source.as_str().into(), ..Report::default() }));
        let dials = Arc::new(ArcSwapOption::from_pointee(dials));
        let (sources, wanted) = bounded(1);
        let (told, messages) = bounded(16);
        let stop = Arc::new(AtomicBool::new(false));
        let effects = Effects::new(&table).map_err(std::io::Error::other)?;
        let listening = Listening::start(effects)?;
        let mut player = Player {
            name: source.as_str().into(),
            source,
            line: Some(line),
            table,
            dials: Arc::clone(&dials),
            dreamer,
            tap,
            beat,
            report: Arc::clone(&report),
            told,
            start: Instant::now(),
            hop: 0,
            retry_at: None,
        };
        player.tap.line_begins(player.start);
        let flag = Arc::clone(&stop);
        let body = move || {
            while !flag.load(Ordering::Relaxed) {
                if let Ok(source) = wanted.try_recv() {
                    player.change_source(source);
                }
                if catch_unwind(AssertUnwindSafe(|| player.step())).is_err() {
                    player.fail("the signal thread stumbled (this is a fault in wavedream)");
                }
            }
            player.keep_learned();
        };
        let thread = std::thread::Builder::new().name("signal".into()).spawn(body)?;
        Ok(Self { report, dials, sources, messages, stop, thread: Some(thread), listening })
    }

    /// The newest report.
    pub fn report(&self) -> Arc<Report> {
        self.report.load_full()
    }

    /// What went wrong since the last look.
    pub fn messages(&self) -> impl Iterator<Item = String> {
        self.messages.try_iter().chain(self.listening.messages())
    }

    /// The pulse and the reading that move the effects: of the source for them, or of the one that paints.
    pub fn moving(&self) -> (Arc<Pulse>, Reading) {
        match self.listening.heard() {
            Some(heard) => (Arc::clone(&heard.pulse), heard.reading),
            None => {
                let report = self.report.load();
                (Arc::clone(&report.pulse), report.reading)
            }
        }
    }

    /// The source of the effects and how it is; empty if it is the one that paints.
    pub fn effects_words(&self) -> Arc<str> {
        self.listening.words()
    }

    /// Opens another source; the old one plays until the new one is there. False if one is being opened already.
    pub fn open(&self, source: &str) -> bool {
        self.sources.try_send(source.to_owned()).is_ok()
    }

    /// The dials of another model.
    pub fn use_dials(&self, dials: OfResident) {
        self.dials.store(Some(Arc::new(dials)));
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the signal thread did not end well");
        }
    }
}

/// What the thread holds.
struct Player {
    source: String,
    /// The same, for reports.
    name: Arc<str>,
    line: Option<Line>,
    table: Table,
    dials: Arc<ArcSwapOption<OfResident>>,
    dreamer: Arc<Dreamer>,
    tap: SignalTap,
    beat: BeatReader,
    report: Arc<ArcSwap<Report>>,
    told: Sender<String>,
    /// When hop 0 was.
    start: Instant,
    hop: u64,
    retry_at: Option<Instant>,
}

impl Player {
    /// Waits for the next hop and plays it.
    fn step(&mut self) {
        let due = self.start + Duration::from_nanos((self.hop + 1) * 1_000_000_000 / HOPS_PER_SEC);
        let now = Instant::now();
        if let Some(wait) = due.checked_duration_since(now) {
            std::thread::sleep(wait);
        } else if (now - due).as_secs_f64() * HOPS_PER_SEC as f64 > MOST_BEHIND_HOPS as f64 {
            // The machine slept, or the source blocked: go on from here.
            self.start = now - Duration::from_nanos(self.hop * 1_000_000_000 / HOPS_PER_SEC);
            self.tap.clock_restarts(self.start);
        }
        if self.line.is_none() && self.retry_at.is_none_or(|at| Instant::now() >= at) {
            self.reopen();
        }
        self.hop += 1;
        let Some(of_resident) = self.dials.load_full() else { return };
        let (serial, dials) = &*of_resident;
        let Some(line) = &mut self.line else { return };
        line.set_beat(self.beat.position_at(Instant::now()));
        let stepped = line.latent_at_hop(self.hop, dials.latent_shape());
        let paced = |hop: u64| (hop as f64 * dials.rate() / HOPS_PER_SEC as f64) as u64;
        let is_due = paced(self.hop) != paced(self.hop - 1);
        let asked = is_due.then(|| dials.steered(line.ear().mood(), line.steering()));
        for text in line.messages() {
            self.message(text);
        }
        match stepped {
            Ok((progress, latent)) => {
                if let Some(latent) = latent {
                    if let Some(asked) = asked {
                        let with = Conditioning { live: true, ..asked };
                        self.dreamer.submit(*serial, latent.clone(), with, dials.steps());
                    }
                    self.tell(latent);
                }
                if progress.ended && self.hop as f64 >= progress.reached_secs * HOPS_PER_SEC as f64 {
                    self.keep_learned();
                    self.line = None;
                    self.retry_at = None;
                }
            }
            Err(error) => self.fail(&error.to_string()),
        }
    }

    fn tell(&mut self, latent: Latent) {
        let Some(line) = &self.line else { return };
        let before = self.report.load();
        let (reading, own) = (*line.ear().reading(), line.intake().state());
        // A few times a second: nobody reads faster.
        let state = if self.hop.is_multiple_of(HOPS_A_LINE) || before.state.is_empty() {
            let told = reading.sentence();
            own.map_or_else(|| told.as_str().into(), |own| format!("{told} ({own})").into())
        } else {
            Arc::clone(&before.state)
        };
        let mut report = Report {
            source: Arc::clone(&self.name),
            state,
            mapping: line.mapping_name(),
            pulse: Arc::clone(line.pulse()),
            reading,
            mood: *line.ear().mood(),
            scope: before.scope.clone(),
            health: Arc::clone(&before.health),
            flow: line.intake().flow().cloned(),
            latent: Some(latent),
        };
        if self.hop.is_multiple_of(HOPS_A_SCOPE) {
            report.scope = Some(Arc::new(line.intake().trace(SCOPE_CHANNELS, SCOPE_SAMPLES)));
            report.health = line.intake().health().into();
        }
        self.report.store(Arc::new(report));
        if self.hop.is_multiple_of(SAVE_HOPS) {
            let (source, learned) = (self.source.clone(), line.ear().calibration());
            let save = move || keep(&source, learned);
            if let Err(error) = std::thread::Builder::new().name("learned".into()).spawn(save) {
                tracing::debug!("{error}");
            }
        }
    }

    /// Before the line goes.
    fn keep_learned(&self) {
        if let Some(line) = &self.line {
            keep(&self.source, line.ear().calibration());
        }
    }

    fn change_source(&mut self, source: String) {
        match open(&source, &self.table, &self.tap) {
            Ok(line) => {
                self.keep_learned();
                self.name = source.as_str().into();
                self.source = source;
                self.begin(line);
            }
            Err(error) => self.message(format!("{error}; {} plays on", self.source)),
        }
    }

    fn reopen(&mut self) {
        match open(&self.source, &self.table, &self.tap) {
            Ok(line) => self.begin(line),
            Err(error) => self.fail(&error.to_string()),
        }
    }

    fn begin(&mut self, line: Line) {
        self.line = Some(line);
        self.retry_at = None;
        self.start = Instant::now();
        self.tap.line_begins(self.start);
        self.hop = 0;
    }

    /// Lets go of the line, says why, and tries again soon.
    fn fail(&mut self, why: &str) {
        self.keep_learned();
        self.line = None;
        self.retry_at = Some(Instant::now() + RETRY);
        let before = self.report.load_full();
        if *before.state != *why {
            self.message(why.to_owned());
        }
        self.report.store(Arc::new(Report { state: why.into(), ..Report::clone(&before) }));
    }

    fn message(&self, text: String) {
        tracing::warn!("{text}");
        // A full box already tells that something is wrong.
        if let Err(TrySendError::Disconnected(text)) = self.told.try_send(text) {
            tracing::debug!("nobody hears: {text}");
        }
    }
}
