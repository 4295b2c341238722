//! `render`: the whole path by a virtual clock, into a film.
//!
//! One thread steps signal, model and stage; the film's encoder works beside it. Nothing here looks at a clock (but for
//! the progress bar and live sources), so the same input gives the same frames, byte for byte on one machine.

use std::{
    io::IsTerminal,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    calibrations,
    cli::{RenderArgs, one_line},
    device::HowDials,
    dials::{DreamDials, StageDials},
    effects::Effects,
    features::features,
    line::Line,
    recording::{Replay, Turn},
    setup::{Setup, declare_model, set_up, steps_of_model},
    steering::Steering,
    trace_from_pulse,
};
use crate::{
    control::{Desk, Handle, Motion},
    diffusion::{self, Model, Picture},
    signal::HOPS_PER_SEC,
    stage::{FrameClock, Look, Offscreen, SignalTrace, film::Film},
    state::{Mood, Pulse, Reading},
};

mod replay;

/// Shorter side of a film whose size was not said.
const SHORT_SIDE_PX: f64 = 720.0;
/// Length of a film of a source without an end whose length was not said.
const ENDLESS_SECS: f64 = 60.0;

/// Makes the film that was asked for.
pub fn run(args: RenderArgs) -> Result<()> {
    let (setup, played) = match &args.recorded {
        Some(file) => replay::set_up(&args, file)?,
        None => {
            let setup = set_up(&args.show)?;
            let mut line = Line::open(&setup.source, setup.desk.table())?;
            if args.calibrated
                && let Some(file) = calibrations::file()
            {
                let learned = calibrations::read(&file, &setup.source).map_err(anyhow::Error::msg)?;
                line.ear_mut().start_with(learned);
            }
            (setup, Played::Line(line))
        }
    };
    for warning in &setup.warnings {
        tracing::warn!("{warning}");
    }
    let secs = match (args.seconds, played.known_secs()) {
        (Some(asked), Some(known)) => asked.min(known),
        (Some(asked), None) => asked,
        (None, Some(known)) => known,
        (None, None) => ENDLESS_SECS,
    };
    let frames = (secs * f64::from(args.fps)).round() as u64;
    if frames == 0 {
        bail!("{}: {secs} s at {} frames a second is less than one frame", setup.source, args.fps);
    }
    let mut frame_maker = FrameMaker::new(setup, played, &args)?;
    let mut film = Film::create(&args.output, frame_maker.size, f64::from(args.fps))?;
    for note in film.notes() {
        eprintln!("{note}");
    }
    let stop = stop_on_signal()?;

    let progress = progress(frames);
    let start = Instant::now();
    let mut rgba = Vec::new();
    let mut written = 0;
    let mut frame = 0;
    while written < frames && !stop.load(Ordering::Relaxed) {
        while frame < frames && frame - written < frame_maker.stage.in_flight() as u64 {
            frame_maker.step(frame)?;
            frame += 1;
        }
        if frame_maker.stage.fetch(&mut rgba)? {
            film.push(&rgba)?;
            written += 1;
            progress.set_position(written);
        }
    }
    let made = film.finish()?;
    progress.finish_and_clear();
    if let Played::Show { replay, .. } = &frame_maker.played
        && let Some(unknown) = replay.unknown()
    {
        tracing::warn!("{unknown}");
    }
    let took_secs = start.elapsed().as_secs_f64();
    println!(
        "{}: {written} frames of {}x{}, {:.1} s of film in {took_secs:.1} s ({:.1} frames a second){}",
        made.path.display(),
        frame_maker.size.0,
        frame_maker.size.1,
        written as f64 / f64::from(args.fps),
        written as f64 / took_secs.max(1e-9),
        if written < frames { ", stopped early" } else { "" },
    );
    Ok(())
}

/// What a film is made of.
enum Played {
    /// A signal; the desk moves the parameters.
    Line(Line),
    /// A recorded show, which moves the parameters itself.
    Show {
        replay: Box<Replay>,
        /// None until its signal begins.
        line: Option<Line>,
        /// When hop 0 of the line was.
        hop_zero_secs: f64,
        /// The model is the one that was asked for, whatever the show played.
        own_model: bool,
    },
}

impl Played {
    fn known_secs(&self) -> Option<f64> {
        match self {
            Self::Line(line) => line.intake().description().duration_secs,
            Self::Show { replay, .. } => Some(replay.show().secs),
        }
    }

    fn line(&mut self) -> Option<&mut Line> {
        match self {
            Self::Line(line) => Some(line),
            Self::Show { line, .. } => line.as_mut(),
        }
    }
}

/// What a live source will bring is not there yet: its film is made no faster than it plays.
fn wait_for_live(is_live: bool, begun: Instant, hop: u64) {
    let due = begun + Duration::from_nanos(hop * 1_000_000_000 / HOPS_PER_SEC);
    if is_live && let Some(wait) = due.checked_duration_since(Instant::now()) {
        std::thread::sleep(wait);
    }
}

/// Steps the show frame by frame.
struct FrameMaker {
    desk: Desk,
    motion: Motion,
    steering: Steering,
    effects: Effects,
    /// What moves the effects: of the source for them, or of the one that paints.
    moving: (Arc<Pulse>, Reading),
    played: Played,
    model: Box<dyn Model>,
    dream: DreamDials,
    dials: StageDials,
    stage: Offscreen,
    size: (u32, u32),
    fps: u32,
    look: Look,
    trace: SignalTrace,
    picture: Picture,
    begun: Instant,
    hop: u64,
    /// Pictures that were due so far.
    due: u64,
    recalls: u64,
    model_wanted: Handle,
    how: HowDials,
    /// As it was asked for: a name or a path.
    playing_model: String,
}

impl FrameMaker {
    fn new(setup: Setup, played: Played, args: &RenderArgs) -> Result<Self> {
        let Setup { desk, shaders, model, .. } = setup;
        let dream = DreamDials::new(desk.table(), model.card())?;
        let dials = StageDials::new(desk.table(), &shaders)?;
        let shape = dream.latent_shape();
        let size = match args.size {
            Some(size) => (size.width as u32, size.height as u32),
            None => film_size(shape.width, shape.height),
        };
        let (stage, note) = Offscreen::open(size, shaders)?;
        if let Some(note) = note {
            eprintln!("{note}");
        }
        Ok(Self {
            recalls: desk.recalls(),
            motion: Motion::new(desk.table())?,
            steering: Steering::new(desk.table())?,
            effects: Effects::new(desk.table())?,
            moving: (Arc::default(), Reading::default()),
            playing_model: desk.table().handle("/dream/model")?.text().to_string(),
            model_wanted: desk.table().handle("/dream/model")?,
            how: HowDials::new(desk.table())?,
            desk,
            played,
            model,
            dream,
            dials,
            stage,
            size,
            fps: args.fps,
            look: Look::default(),
            trace: SignalTrace::default(),
            picture: Picture::empty(),
            begun: Instant::now(),
            hop: 0,
            due: 0,
        })
    }

    /// Brings signal, picture and stage to frame `frame` and sends it on its way.
    fn step(&mut self, frame: u64) -> Result<()> {
        let clock = FrameClock::of_film(frame, f64::from(self.fps));
        if let Some(line) = self.played.line() {
            self.steering.tick(line.ear().mood(), &mut self.motion);
        }
        let features = features(&self.moving.0, &self.moving.1);
        for message in self.motion.tick(clock.delta_secs, &features) {
            tracing::warn!("{message}");
        }
        let beat = self.motion.beat().position();
        self.desk.set_beat(beat);
        let last_hop = match self.played {
            Played::Line(_) => {
                self.follow_desk(clock.delta_secs);
                // Frame 0 shows the first hop, which ends at 1/30 s: a picture for each frame at 30 a second.
                (frame + 1) * HOPS_PER_SEC / u64::from(self.fps)
            }
            Played::Show { .. } => self.follow_show((frame + 1) as f64 / f64::from(self.fps))?,
        };
        let shape = self.dream.latent_shape();
        let mut newest = None;
        // As `Played::line`, which would borrow all of it.
        let line = match &mut self.played {
            Played::Line(line) => Some(line),
            Played::Show { line, .. } => line.as_mut(),
        };
        if let Some(line) = line {
            while self.hop < last_hop.max(1) {
                self.hop += 1;
                let is_live = line.intake().description().live || self.effects.is_live();
                wait_for_live(is_live, self.begun, self.hop);
                line.set_beat(beat);
                let (_, latent) = line.latent_at_hop(self.hop, shape)?;
                for message in line.messages() {
                    tracing::warn!("{message}");
                }
                newest = latent.or(newest);
                let heard = self.effects.hop();
                for message in self.effects.messages() {
                    tracing::warn!("{message}");
                }
                self.moving = match heard {
                    Some(heard) => (heard.pulse, heard.reading),
                    None => (Arc::clone(line.pulse()), *line.ear().reading()),
                };
            }
            trace_from_pulse(&self.moving.0, &mut self.trace);
        }
        if let Some(latent) = newest {
            let due = (self.hop as f64 * self.dream.rate() / HOPS_PER_SEC as f64).ceil() as u64;
            if std::mem::replace(&mut self.due, due) != due {
                let steps = self.dream.steps();
                let line = self.played.line();
                let mood = line.as_ref().map_or_else(Mood::default, |line| *line.ear().mood());
                let asked = self.dream.steered(&mood, line.as_ref().and_then(|line| line.steering()));
                self.model.generate(&latent, &asked, steps, &mut self.picture)?;
                for note in self.model.notes() {
                    tracing::warn!("{note}");
                }
                self.stage.show(&self.picture);
            }
        }
        self.dials.fill(&mut self.look);
        self.stage.submit(&clock, &self.look, &self.trace)?;
        Ok(())
    }
}

impl FrameMaker {
    /// The desk moves everything by so much.
    fn follow_desk(&mut self, delta_secs: f64) {
        for message in self.desk.tick(delta_secs) {
            tracing::warn!("{message}");
        }
        let mut crosses = std::mem::replace(&mut self.recalls, self.desk.recalls()) != self.desk.recalls();
        let wanted = self.model_wanted.text();
        if *wanted != *self.playing_model {
            wanted.as_ref().clone_into(&mut self.playing_model);
            match self.use_model(&wanted) {
                Ok(()) => crosses = true,
                Err(error) => tracing::warn!("{}; the model before goes on", one_line(&error)),
            }
        }
        if crosses {
            self.stage.begin_transition(&self.dials.transition(), self.dials.transition_secs());
        }
    }

    fn use_model(&mut self, name: &str) -> Result<()> {
        let model = diffusion::load_with(name, diffusion::Options::on(self.how.how()))?;
        declare_model(self.desk.table(), model.card());
        steps_of_model(&self.desk, name, model.card())?;
        self.dream = DreamDials::new(self.desk.table(), model.card())?;
        self.model = model;
        Ok(())
    }

    /// The recorded show moves everything up to this moment. Gives the hop that its line has reached.
    fn follow_show(&mut self, to_secs: f64) -> Result<u64> {
        let table = self.desk.table().clone();
        loop {
            let Played::Show { replay, line, hop_zero_secs, own_model } = &mut self.played else { return Ok(0) };
            match replay.turn(&table, to_secs)? {
                // Times are rounded: a hop that ends now has ended.
                None => return Ok(((to_secs - *hop_zero_secs) * HOPS_PER_SEC as f64 + 1e-6).max(0.0) as u64),
                Some(Turn::Line(source, secs)) => {
                    *line = Some(Line::with(source, &table)?);
                    *hop_zero_secs = secs;
                    self.hop = 0;
                }
                Some(Turn::HopZero(secs)) => *hop_zero_secs = secs,
                Some(Turn::Transition(name, secs)) => self.stage.begin_transition(&name, secs as f32),
                Some(Turn::Model(name)) if !*own_model && name != self.playing_model => {
                    let why = || format!("the show plays the model {name}; --model chooses one for all of it");
                    self.use_model(&name).with_context(why)?;
                    self.playing_model = name;
                }
                Some(Turn::Model(_)) => {}
            }
        }
    }
}

/// The shape of the picture at the size of a small film, even numbers.
fn film_size(width: usize, height: usize) -> (u32, u32) {
    let scale = SHORT_SIDE_PX / width.min(height) as f64;
    let even = |cells: usize| ((cells as f64 * scale / 2.0).round() * 2.0) as u32;
    (even(width), even(height))
}

/// Ctrl-C and a polite kill end the film after the current frame; it is playable.
pub(super) fn stop_on_signal() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).context("Ctrl-C cannot be caught")?;
    Ok(stop)
}

fn progress(frames: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} frames, {per_sec}, {eta} left");
    ProgressBar::new(frames).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
