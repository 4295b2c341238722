//! `play`: the show in a window.
//!
//! The signal thread asks the dreamer for pictures ([`super::live`]); the window's thread takes the newest one and draws
//! it. Models are loaded on a thread of their own while the old one plays on.

mod frames;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};

use super::{
    UsageError,
    cli::PlayArgs,
    device::HowDials,
    dials::{DreamDials, StageDials},
    features::features,
    live::{self, Live},
    panel::{History, Log, Sample},
    recording::{Deck, Facts, Files, SignalTap},
    remote::{self, Outside},
    render::stop_on_signal,
    setup::{Setup, declare_model, declare_shaders, set_up, steps_of_model},
    state_board::StateBoard,
    steering::Steering,
    vitals::Vitals,
    window::{self, Level, Message, Pace, WindowOptions},
};
use crate::{
    control::{Desk, Handle, Midi, Motion, Origin, Value},
    diffusion::{Dreamer, Playing, Residents, Turn, Wanted, WarmUp, usual_budget},
    remote::Status,
    stage::{Compositor, Look, ShaderLibrary, SignalTrace},
};

/// How long a message stays in the overlay; the panel keeps them all.
const MESSAGE: Duration = Duration::from_secs(20);

/// How often the models of the presets are looked up.
const AHEAD: Duration = Duration::from_secs(2);

/// How often the panel is told what moves each parameter.
const MAPPED: Duration = Duration::from_millis(500);

/// Opens the window and plays until it is closed.
pub fn run(args: PlayArgs) -> Result<()> {
    let Setup { desk, shaders, model, source, mut warnings } = set_up(&args.show)?;
    let tap = SignalTap::default();
    let line = live::open(&source, desk.table(), &tap)?;
    // The name that it was asked for by.
    let model_name = desk.table().handle("/dream/model")?.text();
    let (dreamer, playing) = Dreamer::start(&model_name, model)?;
    let dreamer = Arc::new(dreamer);
    let dials = || DreamDials::new(desk.table(), &playing.card);
    let (dials, dream) = (dials()?, dials()?);
    let files =
        Files { show: args.record.as_deref(), film: args.film.as_deref(), signal: args.record_signal.as_deref() };
    let mut deck = Deck::new(desk.table(), &tap, files)?;
    // The recording of the show begins before its signal does.
    let size = WindowOptions::default().size;
    let facts = Facts { source: &source, size: (size[0], size[1]) };
    warnings.extend(deck.follow(&desk, None, &facts));
    let motion = Motion::new(desk.table())?;
    let ears = (tap, motion.reader());
    let live =
        Live::start(source.clone(), line, desk.table().clone(), (playing.serial, dials), Arc::clone(&dreamer), ears)
            .context("the signal thread cannot be started")?;
    let outside = Outside::start(&args.remote, desk.table(), &dreamer)?;
    if let Some(url) = outside.page_url() {
        super::commands::print(&format!("Control page: {url}\n"))?;
    }
    let show =
        Show::new(desk, motion, shaders, dreamer, (live, deck, outside), (&model_name, dream, source), warnings)?;
    let options = WindowOptions {
        fullscreen: args.fullscreen,
        display: args.display.map(|typed| typed.parse()).transpose().map_err(UsageError)?,
        panel: args.panel,
        stop: stop_on_signal()?,
        ..WindowOptions::default()
    };
    window::run(show, options)?;
    Ok(())
}

/// Everything that the window's thread holds.
struct Show {
    desk: Desk,
    midi: Midi,
    motion: Motion,
    steering: Steering,
    board: StateBoard,
    dreamer: Arc<Dreamer>,
    live: Live,
    deck: Deck,
    outside: Outside,
    frames_per_s: f32,
    compositor: Option<Compositor>,
    /// Until the compositor takes it.
    shaders: Option<ShaderLibrary>,
    shader_generation: u64,
    dials: StageDials,
    look: Look,
    trace: SignalTrace,
    overlay_wanted: Handle,
    overlay_seen: u64,
    panel_wanted: Handle,
    panel_seen: u64,
    model_wanted: Handle,
    how: HowDials,
    memory: Handle,
    ahead: Handle,
    /// The models of the presets, and when they were looked up.
    models_ahead: (Option<Instant>, Vec<String>),
    steps: Handle,
    residents: Residents,
    /// To warm up others with.
    dream: DreamDials,
    playing_source: String,
    recalls: u64,
    /// The hop of the picture on the stage and the resident that painted it.
    shown: Option<(u64, u64)>,
    latency_ms: f32,
    vitals: Vitals,
    begun: Instant,
    log: Log,
    /// Of rates and latencies, for the panel.
    history: History,
    /// When the panel was last told what moves each parameter.
    mapped_at: Option<Instant>,
}

impl Show {
    fn new(
        mut desk: Desk,
        motion: Motion,
        shaders: ShaderLibrary,
        dreamer: Arc<Dreamer>,
        (live, deck, outside): (Live, Deck, Outside),
        (playing_model, dream, playing_source): (&str, DreamDials, String),
        warnings: Vec<String>,
    ) -> Result<Self> {
        let table = desk.table().clone();
        let how = HowDials::new(&table)?;
        let mut log = Log::default();
        warnings.into_iter().for_each(|text| log.say(Instant::now(), Level::Warning, text));
        if let Err(error) = desk.watch_files() {
            log.say(Instant::now(), Level::Warning, format!("saved presets are not read again: {error}"));
        }
        Ok(Self {
            dials: StageDials::new(&table, &shaders)?,
            shader_generation: shaders.generation(),
            shaders: Some(shaders),
            compositor: None,
            look: Look::default(),
            trace: SignalTrace::default(),
            overlay_wanted: table.handle("/stage/overlay")?,
            overlay_seen: 0,
            panel_wanted: table.handle("/stage/panel")?,
            panel_seen: 0,
            model_wanted: table.handle("/dream/model")?,
            steps: table.handle("/dream/steps")?,
            memory: table.handle("/dream/memory")?,
            ahead: table.handle("/dream/ahead")?,
            models_ahead: (None, Vec::new()),
            residents: Residents::new(Arc::clone(&dreamer), playing_model, how.how()),
            how,
            dream,
            recalls: desk.recalls(),
            shown: None,
            latency_ms: 0.0,
            vitals: Vitals::new(&table),
            begun: Instant::now(),
            log,
            history: History::default(),
            mapped_at: None,
            midi: Midi::start(&table, desk.presets().folders())?,
            steering: Steering::new(&table)?,
            board: StateBoard::new(&table),
            motion,
            desk,
            dreamer,
            live,
            deck,
            outside,
            frames_per_s: 0.0,
            playing_source,
        })
    }

    fn say(&mut self, level: Level, text: String) {
        self.log.say(Instant::now(), level, text);
    }

    /// Keeps rates and latencies for the panel, which may be opened after it stuttered.
    fn keep_history(&mut self, pace: Pace) {
        let now = Instant::now();
        if !self.history.is_due(now) {
            return;
        }
        let stats = self.dreamer.stats();
        self.history.push(
            now,
            Sample {
                pictures_per_s: stats.pictures_per_s,
                frames_per_s: pace.frames_per_s,
                latency_ms: self.latency_ms,
                denoise_ms: stats.denoise.p50_ms,
                decode_ms: stats.decode.p50_ms,
            },
        );
        if let Some(error) = stats.error {
            self.say(Level::Error, error);
        }
        for note in self.dreamer.notes() {
            self.say(Level::Warning, note);
        }
    }

    /// Shaders that do not compile are told for as long as they do not.
    fn shader_messages(&self) -> impl Iterator<Item = Message> {
        let of_shaders = self.compositor.iter().flat_map(|compositor| compositor.messages());
        of_shaders.map(|text| Message { level: Level::Error, text: text.to_owned(), age_secs: 0.0 })
    }

    /// Sets a parameter as a key does; the table says no only to what is not there.
    fn set(&mut self, path: &str, value: Value) {
        if let Err(error) = self.desk.table().set(path, value, Origin::Key) {
            self.say(Level::Error, error.to_string());
        }
    }

    /// Follows what presets and controls ask beyond numbers: another source, another model, a transition.
    fn follow_desk(&mut self, delta_secs: f64) {
        self.desk.set_wall(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64));
        let mut told = self.midi.tick(&self.desk, &mut self.motion, Instant::now());
        let report = self.live.report();
        self.steering.tick(&report.mood, &mut self.motion);
        let (pulse, reading) = self.live.moving();
        told.extend(self.motion.tick(delta_secs, &features(&pulse, &reading)));
        self.board.show(Instant::now(), &report.pulse, &report.reading, &self.live.effects_words());
        self.desk.set_beat(self.motion.beat().position());
        told.extend(self.desk.tick(delta_secs));
        for text in told {
            self.say(Level::Warning, text);
        }
        let size = self.compositor.as_ref().map_or((0, 0), Compositor::size);
        let facts = Facts { source: &self.playing_source, size };
        for text in self.deck.follow(&self.desk, self.compositor.as_mut(), &facts) {
            self.say(Level::Info, text);
        }
        if std::mem::replace(&mut self.recalls, self.desk.recalls()) != self.desk.recalls() {
            self.begin_transition();
            let source = self.desk.current().and_then(|preset| preset.source.clone());
            if let Some(source) = source.filter(|source| *source != self.playing_source)
                && self.live.open(&source)
            {
                self.playing_source = source;
            }
        }
        self.follow_models();
    }

    /// Keeps in memory what is wanted and will be; the model that is wanted plays as soon as it is there.
    fn follow_models(&mut self) {
        let (looked_at, models) = &mut self.models_ahead;
        if looked_at.is_none_or(|at| at.elapsed() >= AHEAD) {
            *looked_at = Some(Instant::now());
            models.clear();
            if *self.ahead.text() == *"presets" {
                models.extend(self.desk.presets().iter().filter_map(|preset| preset.model().map(str::to_owned)));
            }
            models.dedup();
        }
        let budget_gib = self.memory.number();
        let how = self.how.how();
        let budget_bytes = if budget_gib > 0.0 { (budget_gib * f64::from(1 << 30)) as u64 } else { usual_budget(how) };
        let model = self.model_wanted.text();
        let wanted = Wanted { model: &model, how, ahead: &self.models_ahead.1, budget_bytes };
        let dream = &self.dream;
        let turns = self.residents.tick(&wanted, || WarmUp { shape: dream.picture_shape(), text: dream.text() });
        for turn in turns {
            match turn {
                Turn::Told(text) => self.say(Level::Error, text),
                Turn::Plays { name, playing, anew } => self.use_model(&name, &playing, anew),
            }
        }
    }

    /// `anew`: the model that played, loaded in another way; its steps stay as they are.
    fn use_model(&mut self, name: &str, playing: &Playing, anew: bool) {
        let table = self.desk.table().clone();
        declare_model(&table, &playing.card);
        let steps = if anew { Ok(()) } else { steps_of_model(&self.desk, name, &playing.card) };
        let dials = || DreamDials::new(&table, &playing.card);
        match dials().and_then(|ours| Ok((ours, dials()?))) {
            Ok((ours, of_signal)) => {
                self.deck.model(name);
                self.dream = ours;
                self.live.use_dials((playing.serial, of_signal));
                if let Err(error) = steps {
                    self.say(Level::Error, error.to_string());
                }
            }
            Err(error) => self.say(Level::Error, error.to_string()),
        }
    }

    fn begin_transition(&mut self) {
        if let Some(compositor) = &mut self.compositor {
            let (name, secs) = (self.dials.transition(), self.dials.transition_secs());
            compositor.begin_transition(&name, secs);
            self.deck.transition(&name, secs);
        }
    }

    /// For the control page.
    fn status(&self) -> Status {
        let told = self.log.since(Instant::now(), MESSAGE).chain(self.shader_messages());
        Status {
            frames_per_s: self.frames_per_s,
            latency_ms: self.latency_ms,
            notes: told.map(remote::note).collect(),
            ..remote::status(&self.desk, &self.live.report(), &self.dreamer)
        }
    }

    /// A shader file was saved: its parameters may be others now.
    fn follow_shaders(&mut self) {
        let Some(compositor) = &self.compositor else { return };
        let library = compositor.library();
        if std::mem::replace(&mut self.shader_generation, library.generation()) != library.generation() {
            declare_shaders(self.desk.table(), library);
            self.dials.find_uses(library);
        }
    }
}
