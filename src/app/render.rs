//! `render`: the whole path by a virtual clock, into a film.
//!
//! One thread steps signal, model and stage; the film's encoder works beside it. Nothing here looks at a clock (but for
//! the progress bar), so the same input gives the same frames, byte for byte on one machine.

use std::{
    io::IsTerminal,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    cli::RenderArgs,
    dials::{DreamDials, StageDials},
    features::features,
    line::Line,
    setup::{Setup, set_up},
    trace_from_pulse,
};
use crate::{
    control::{Desk, Motion},
    diffusion::{Model, Picture},
    signal::HOPS_PER_SEC,
    stage::{FrameClock, Look, Offscreen, SignalTrace, film::Film},
};

/// Shorter side of a film whose size was not said.
const SHORT_SIDE_PX: f64 = 720.0;
/// Length of a film of a source without an end whose length was not said.
const ENDLESS_SECS: f64 = 60.0;

/// Makes the film that was asked for.
pub fn run(args: RenderArgs) -> Result<()> {
    let setup = set_up(&args.show)?;
    for warning in &setup.warnings {
        tracing::warn!("{warning}");
    }
    let line = Line::open(&setup.source, setup.desk.table())?;
    let known_secs = line.intake().description().duration_secs;
    let secs = match (args.seconds, known_secs) {
        (Some(asked), Some(known)) => asked.min(known),
        (Some(asked), None) => asked,
        (None, Some(known)) => known,
        (None, None) => ENDLESS_SECS,
    };
    let frames = (secs * f64::from(args.fps)).round() as u64;
    if frames == 0 {
        bail!("{}: {secs} s at {} frames a second is less than one frame", setup.source, args.fps);
    }
    let mut frame_maker = FrameMaker::new(setup, line, &args)?;
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

/// Steps the show frame by frame.
struct FrameMaker {
    desk: Desk,
    motion: Motion,
    line: Line,
    model: Box<dyn Model>,
    dream: DreamDials,
    dials: StageDials,
    stage: Offscreen,
    size: (u32, u32),
    fps: u32,
    look: Look,
    trace: SignalTrace,
    picture: Picture,
    hop: u64,
    /// Pictures that were due so far.
    due: u64,
    recalls: u64,
}

impl FrameMaker {
    fn new(setup: Setup, line: Line, args: &RenderArgs) -> Result<Self> {
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
            desk,
            line,
            model,
            dream,
            dials,
            stage,
            size,
            fps: args.fps,
            look: Look::default(),
            trace: SignalTrace::default(),
            picture: Picture::empty(),
            hop: 0,
            due: 0,
        })
    }

    /// Brings signal, picture and stage to frame `frame` and sends it on its way.
    fn step(&mut self, frame: u64) -> Result<()> {
        let clock = FrameClock::of_film(frame, f64::from(self.fps));
        let moved = self.motion.tick(clock.delta_secs, &features(self.line.pulse()));
        self.line.set_beat(self.motion.beat().position());
        for message in moved.into_iter().chain(self.desk.tick(clock.delta_secs)) {
            tracing::warn!("{message}");
        }
        if std::mem::replace(&mut self.recalls, self.desk.recalls()) != self.desk.recalls() {
            self.stage.begin_transition(&self.dials.transition(), self.dials.transition_secs());
        }
        // Frame 0 shows the first hop, which ends at 1/30 s: a picture for each frame at 30 a second.
        let last_hop = (frame + 1) * HOPS_PER_SEC / u64::from(self.fps);
        let shape = self.dream.latent_shape();
        let mut newest = None;
        while self.hop < last_hop.max(1) {
            self.hop += 1;
            let (_, latent) = self.line.latent_at_hop(self.hop, shape)?;
            newest = latent.or(newest);
        }
        if let Some(latent) = newest {
            let due = (self.hop as f64 * self.dream.rate() / HOPS_PER_SEC as f64).ceil() as u64;
            if std::mem::replace(&mut self.due, due) != due {
                let steps = self.dream.steps();
                self.model.generate(&latent, &self.dream.conditioning(), steps, &mut self.picture)?;
                self.stage.show(&self.picture);
            }
            trace_from_pulse(self.line.pulse(), &mut self.trace);
        }
        self.dials.fill(&mut self.look);
        self.stage.submit(&clock, &self.look, &self.trace)?;
        Ok(())
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
