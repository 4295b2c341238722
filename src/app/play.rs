//! `play`: the show in a window.
//!
//! The signal thread asks the dreamer for pictures ([`super::live`]); the window's thread takes the newest one and draws
//! it. Models are loaded on a thread of their own while the old one plays on.

use std::{sync::Arc, time::Instant};

use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, Sender, bounded};

use super::{
    cli::PlayArgs,
    dials::{DreamDials, StageDials},
    line::Line,
    live::Live,
    remote::{self, Outside},
    render::stop_on_signal,
    setup::{Setup, declare_model, declare_shaders, set_up},
    trace_from_pulse,
    window::{
        self, Frame, Gpu, Health, Key, KeyHelp, KeyPress, Level, Message, OverlayData, Scope, StageApp, Trace,
        WindowOptions, WindowState,
    },
};
use crate::{
    control::{Desk, Handle, KEY_HELP, Origin, Value},
    diffusion::{self, Dreamer, Model, Timing},
    remote::Status,
    signal,
    stage::{Compositor, FrameClock, Look, ShaderLibrary, SignalTrace},
};

/// How long a message stays in the overlay.
const MESSAGE_SECS: f32 = 20.0;
const MOST_MESSAGES: usize = 6;

/// Opens the window and plays until it is closed.
pub fn run(args: PlayArgs) -> Result<()> {
    let Setup { desk, shaders, model, source, warnings } = set_up(&args.show)?;
    let line = Line::open(&source, desk.table())?;
    let dials = DreamDials::new(desk.table(), model.card())?;
    let model_name = model.card().name.clone();
    let dreamer = Arc::new(Dreamer::start(model)?);
    let live = Live::start(source.clone(), line, desk.table().clone(), dials, Arc::clone(&dreamer))
        .context("the signal thread cannot be started")?;
    let outside = Outside::start(&args.remote, desk.table(), &dreamer)?;
    if let Some(url) = outside.page_url() {
        super::commands::print(&format!("Control page: {url}\n"))?;
    }
    let mut show = Show::new(desk, shaders, dreamer, live, outside, model_name, source)?;
    warnings.into_iter().for_each(|text| show.say(Level::Warning, text));
    let options = WindowOptions {
        fullscreen: args.fullscreen,
        display: args.display,
        stop: stop_on_signal()?,
        ..WindowOptions::default()
    };
    window::run(show, options)?;
    Ok(())
}

/// Everything that the window's thread holds.
struct Show {
    desk: Desk,
    dreamer: Arc<Dreamer>,
    live: Live,
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
    model_wanted: Handle,
    steps: Handle,
    loader: Loader,
    playing_model: String,
    playing_source: String,
    recalls: u64,
    shown_hop: Option<u64>,
    latency_ms: f32,
    begun: Instant,
    messages: Vec<(Instant, Level, String)>,
}

impl Show {
    fn new(
        mut desk: Desk,
        shaders: ShaderLibrary,
        dreamer: Arc<Dreamer>,
        live: Live,
        outside: Outside,
        playing_model: String,
        playing_source: String,
    ) -> Result<Self> {
        let table = desk.table().clone();
        let mut messages = Vec::new();
        if let Err(error) = desk.watch_files() {
            messages.push((Instant::now(), Level::Warning, format!("saved presets are not read again: {error}")));
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
            model_wanted: table.handle("/dream/model")?,
            steps: table.handle("/dream/steps")?,
            loader: Loader::default(),
            recalls: desk.recalls(),
            shown_hop: None,
            latency_ms: 0.0,
            begun: Instant::now(),
            messages,
            desk,
            dreamer,
            live,
            outside,
            frames_per_s: 0.0,
            playing_model,
            playing_source,
        })
    }

    fn say(&mut self, level: Level, text: String) {
        if self.messages.last().is_some_and(|(at, _, last)| *last == text && at.elapsed().as_secs_f32() < MESSAGE_SECS)
        {
            return;
        }
        self.messages.push((Instant::now(), level, text));
        if self.messages.len() > MOST_MESSAGES {
            self.messages.remove(0);
        }
    }

    /// Sets a parameter as a key does; the table says no only to what is not there.
    fn set(&mut self, path: &str, value: Value) {
        if let Err(error) = self.desk.table().set(path, value, Origin::Key) {
            self.say(Level::Error, error.to_string());
        }
    }

    /// Follows what presets and controls ask beyond numbers: another source, another model, a transition.
    fn follow_desk(&mut self, delta_secs: f64) {
        for text in self.desk.tick(delta_secs) {
            self.say(Level::Warning, text);
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
        let wanted = self.model_wanted.text();
        if *wanted != *self.playing_model && self.loader.ask(&wanted) {
            self.playing_model = wanted.to_string();
        }
        match self.loader.loaded() {
            None => {}
            Some(Ok(model)) => self.use_model(model),
            Some(Err(why)) => self.say(Level::Error, format!("{why}; the model before plays on")),
        }
    }

    fn use_model(&mut self, model: Box<dyn Model>) {
        let table = self.desk.table().clone();
        declare_model(&table, model.card());
        match DreamDials::new(&table, model.card()) {
            Ok(dials) => {
                self.dreamer.switch(model);
                self.live.use_dials(dials);
                self.begin_transition();
            }
            Err(error) => self.say(Level::Error, error.to_string()),
        }
    }

    fn begin_transition(&mut self) {
        if let Some(compositor) = &mut self.compositor {
            compositor.begin_transition(&self.dials.transition(), self.dials.transition_secs());
        }
    }

    /// For the control page.
    fn status(&self) -> Status {
        let alive = self.messages.iter().filter(|(at, ..)| at.elapsed().as_secs_f32() < MESSAGE_SECS);
        Status {
            frames_per_s: self.frames_per_s,
            latency_ms: self.latency_ms,
            notes: alive.map(|(at, level, text)| remote::note(*level == Level::Error, text, *at)).collect(),
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

impl StageApp for Show {
    fn start(&mut self, gpu: &Gpu) -> Result<()> {
        let shaders = self.shaders.take().unwrap_or_else(ShaderLibrary::builtin);
        let size = (gpu.size_px[0], gpu.size_px[1]);
        let mut compositor = Compositor::new(gpu.device.clone(), gpu.queue.clone(), size, gpu.format, shaders)?;
        compositor.prepare();
        self.compositor = Some(compositor);
        self.shown_hop = None;
        Ok(())
    }

    fn tick(&mut self, window: &mut WindowState) {
        self.frames_per_s = window.pace.frames_per_s;
        let overlay_moved = self.overlay_wanted.moved(&mut self.overlay_seen);
        if overlay_moved {
            window.overlay = self.overlay_wanted.is_on();
        } else if window.overlay != self.overlay_wanted.is_on() {
            self.set("/stage/overlay", Value::Bool(window.overlay));
            self.overlay_seen = self.overlay_wanted.changed();
        }
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        self.follow_desk(frame.delta_secs);
        self.follow_shaders();
        let messages: Vec<_> = self.live.messages().chain(self.outside.messages()).collect();
        for text in messages {
            self.say(Level::Warning, text);
        }
        if self.outside.is_due() {
            self.outside.put(self.status());
        }
        let size = (frame.size_px[0], frame.size_px[1]);
        let Some(compositor) = &mut self.compositor else { return };
        if compositor.size() != size
            && let Err(error) = compositor.resize(size)
        {
            tracing::warn!("{error}");
            return;
        }
        if let Some(picture) = self.dreamer.latest()
            && self.shown_hop != Some(picture.stamp.hop)
        {
            self.shown_hop = Some(picture.stamp.hop);
            self.latency_ms = picture.stamp.arrived.elapsed().as_secs_f32() * 1e3;
            compositor.show(&picture);
        }
        self.dials.fill(&mut self.look);
        trace_from_pulse(&self.live.report().pulse, &mut self.trace);
        let clock = FrameClock {
            time_secs: (frame.now - self.begun).as_secs_f64(),
            delta_secs: frame.delta_secs,
            frame: frame.number,
        };
        compositor.frame(frame.target, &clock, &self.look, &self.trace);
    }

    fn key(&mut self, press: KeyPress) {
        if press.pressed {
            self.desk.key(&name_of(press.key), press.modifiers.shift, press.repeat);
        }
    }

    fn keys(&self) -> Vec<KeyHelp> {
        KEY_HELP.iter().map(|(key, what)| KeyHelp::new(*key, *what)).collect()
    }

    fn overlay(&mut self, data: &mut OverlayData) {
        let report = self.live.report();
        let stats = self.dreamer.stats();
        data.source.clone_from(&report.source);
        data.source_state.clone_from(&report.state);
        data.mapping = report.mapping.to_owned();
        data.latent.clone_from(&report.latent);
        data.model.clone_from(&self.playing_model);
        data.preset = self.desk.current().map(|preset| preset.name.clone()).unwrap_or_default();
        data.pictures_per_s = stats.pictures_per_s;
        data.latency_ms = self.latency_ms;
        data.timing = Timing { denoise_ms: stats.denoise.p50_ms, decode_ms: stats.decode.p50_ms };
        data.steps = self.steps.index();
        if let Some(picture) = self.dreamer.latest() {
            data.picture_px = [picture.width, picture.height];
        }
        if let Some(error) = stats.error {
            self.say(Level::Error, error);
        }
        if let Some(trace) = &report.scope {
            fill_scope(&mut data.scope, trace, &report.health);
        }
        let alive = |at: &Instant| at.elapsed().as_secs_f32() < MESSAGE_SECS;
        self.messages.retain(|(at, ..)| alive(at));
        let of_shaders = self.compositor.iter().flat_map(|compositor| compositor.messages());
        let of_shaders = of_shaders.map(|text| Message { level: Level::Error, text: text.to_owned(), age_secs: 0.0 });
        data.messages.clear();
        data.messages.extend(of_shaders);
        data.messages.extend(self.messages.iter().map(|(at, level, text)| Message {
            level: *level,
            text: text.clone(),
            age_secs: at.elapsed().as_secs_f32(),
        }));
    }
}

/// A key as [`Desk::key`] knows it.
fn name_of(key: Key) -> String {
    match key {
        Key::Character(typed) => typed.to_string(),
        Key::Digit(digit) => digit.to_string(),
        named => format!("{named:?}"),
    }
}

fn fill_scope(scope: &mut Scope, trace: &signal::Trace, health: &[signal::Health]) {
    let samples = trace.channels.first().map_or(0, Vec::len);
    scope.span_secs = samples as f32 / trace.rate_hz as f32;
    scope.traces.resize_with(trace.channels.len(), Trace::default);
    for (channel, shown) in scope.traces.iter_mut().enumerate() {
        shown.name.clone_from(&trace.names[channel]);
        shown.samples.clone_from(&trace.channels[channel]);
        shown.health = health.get(channel).map_or(Health::Good, health_shown);
    }
}

fn health_shown(health: &signal::Health) -> Health {
    if health.flat {
        Health::Flat
    } else if health.clipped_fraction > 0.01 {
        Health::Clipped
    } else if health.bridged > 0 {
        Health::Bridged
    } else {
        Health::Good
    }
}

/// Loads one model at a time on a thread of its own.
#[derive(Default)]
struct Loader {
    loading: Option<Receiver<Result<Box<dyn Model>, String>>>,
}

impl Loader {
    /// False while another model is being loaded.
    fn ask(&mut self, name: &str) -> bool {
        if self.loading.is_some() {
            return false;
        }
        let (done, loading): (Sender<Result<Box<dyn Model>, String>>, _) = bounded(1);
        let name = name.to_owned();
        let body = move || {
            let loaded = diffusion::load(&name).map_err(|error| error.to_string());
            // Nobody waits only when the program ends.
            drop(done.send(loaded));
        };
        self.loading = std::thread::Builder::new().name("loader".into()).spawn(body).ok().map(|_| loading);
        self.loading.is_some()
    }

    fn loaded(&mut self) -> Option<Result<Box<dyn Model>, String>> {
        let loaded = self.loading.as_ref()?.try_recv();
        match loaded {
            Ok(loaded) => {
                self.loading = None;
                Some(loaded)
            }
            Err(crossbeam_channel::TryRecvError::Empty) => None,
            Err(crossbeam_channel::TryRecvError::Disconnected) => {
                self.loading = None;
                Some(Err("the model could not be loaded: its loader stumbled".into()))
            }
        }
    }
}
