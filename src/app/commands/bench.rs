//! `wavedream bench`: how fast pictures are made on this machine, with the code that plays.
//!
//! First the model alone, picture after picture; then the whole way of a sample into a finished picture (source, filters,
//! window, mapping, model), and of pictures onto a stage that has no window.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;

use super::{print, shape_for, steps_of};
use crate::{
    app::{
        cli::{BenchArgs, Decoder},
        dials::DreamDials,
        full_table,
        line::Line,
    },
    diffusion::{
        self, Model, Picture, Quantiles,
        device::{DeviceChoice, How},
        sd::{DecoderChoice, Settings},
    },
    latent::Shape,
    stage::{FrameClock, Headless, Look, ShaderLibrary, SignalTrace},
};

const SOURCE: &str = "synth://rat?seed=1";
/// Part of the time that goes to the whole way.
const WHOLE_WAY: f64 = 0.3;
/// Of that, what goes to the stage.
const STAGE: f64 = 0.3;
/// As a show has it.
const STAGE_SIZE: (u32, u32) = (1920, 1080);
const STAGE_FPS: f64 = 60.0;
const FEWEST_PICTURES: usize = 3;

/// The model's report, and what the way to it adds.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    model: diffusion::Report,
    /// From the file to a model that is ready.
    load_ms: f32,
    /// From the newest sample's arrival to the finished picture.
    latency: Quantiles,
    /// Of that, the source, its filters and the window.
    window: Quantiles,
    /// Of that, from the window to the latent.
    mapping: Quantiles,
    #[serde(flatten)]
    stage: Option<StageReport>,
}

/// What the stage takes, where there is a graphics adapter.
#[derive(Debug, Serialize)]
struct StageReport {
    /// From the finished picture to the adapter's memory.
    upload: Quantiles,
    /// From there to a frame that stands on the stage.
    present: Quantiles,
    stage_width: u32,
    stage_height: u32,
    adapter: String,
}

pub fn run(args: &BenchArgs) -> Result<()> {
    let began = Instant::now();
    let decoder = args.decoder.map_or(DecoderChoice::Own, Decoder::choice);
    let How { device, precision } = args.how.over(How::default());
    let stable = Settings { decoder, device, precision, ..Settings::default() };
    let mut model = diffusion::load_with(&args.model, diffusion::Options { stable, ..diffusion::Options::default() })?;
    if !model.card().reads_text && args.how.device.is_some_and(|device| device != DeviceChoice::Cpu) {
        bail!("the model {} is painted by the CPU: leave --device out", model.card().name);
    }
    for note in model.notes() {
        tracing::warn!("{note}");
    }
    let load_ms = began.elapsed().as_secs_f32() * 1e3;
    let steps = steps_of(model.card(), args.steps as usize)?;
    let shape = shape_for(model.card(), args.size)?;
    let of_model = diffusion::bench(model.as_mut(), shape, steps, args.seconds * (1.0 - WHOLE_WAY))?;
    let secs = args.seconds * WHOLE_WAY;
    let ([latency, window, mapping], picture) = whole_way(model.as_mut(), shape, steps, secs * (1.0 - STAGE))?;
    let stage = on_stage(&picture, secs * STAGE)?;
    let report = Report { model: of_model, load_ms, latency, window, mapping, stage };
    print(&if args.json { format!("{}\n", serde_json::to_string_pretty(&report)?) } else { told(&report) })
}

/// From sample to picture, the window, the mapping; and the last picture.
fn whole_way(model: &mut dyn Model, shape: Shape, steps: usize, seconds: f64) -> Result<([Quantiles; 3], Picture)> {
    let table = full_table(model.card());
    let with = DreamDials::new(&table, model.card())?.conditioning();
    let mut line = Line::open(SOURCE, &table)?;
    let mut picture = Picture::empty();
    let (mut latency, mut window, mut mapping) = (Vec::new(), Vec::new(), Vec::new());
    let length = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let start = Instant::now();
    // The first hop fills the memory of every stage and is left out.
    for hop in 1.. {
        let arrived = Instant::now();
        let (_, Some(latent)) = line.latent_at_hop(hop, shape)? else { bail!("{SOURCE}: gave nothing at hop {hop}") };
        model.generate(&latent, &with, steps, &mut picture)?;
        if hop > 1 {
            latency.push(arrived.elapsed());
            window.push(line.took().window);
            mapping.push(line.took().mapping);
        }
        if latency.len() >= FEWEST_PICTURES && start.elapsed() >= length {
            break;
        }
    }
    Ok(([latency, window, mapping].map(quantiles), picture))
}

/// None without a graphics adapter.
fn on_stage(picture: &Picture, seconds: f64) -> Result<Option<StageReport>> {
    let mut stage = match Headless::new(STAGE_SIZE, ShaderLibrary::builtin()) {
        Ok(stage) => stage,
        Err(error) => {
            tracing::info!("the stage is not measured: {error}");
            return Ok(None);
        }
    };
    let (look, signal) = (Look::default(), SignalTrace::default());
    let (mut upload, mut present) = (Vec::new(), Vec::new());
    let length = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let start = Instant::now();
    // The first frame makes textures and pipelines and is left out.
    for frame in 0.. {
        let began = Instant::now();
        stage.upload(picture)?;
        let uploaded = Instant::now();
        stage.draw(&FrameClock::of_film(frame, STAGE_FPS), &look, &signal)?;
        if frame > 0 {
            upload.push(uploaded - began);
            present.push(uploaded.elapsed());
        }
        if present.len() >= FEWEST_PICTURES && start.elapsed() >= length {
            break;
        }
    }
    let (stage_width, stage_height) = STAGE_SIZE;
    let (upload, present) = (quantiles(upload), quantiles(present));
    Ok(Some(StageReport { upload, present, stage_width, stage_height, adapter: stage.adapter() }))
}

/// By the nearest rank.
fn quantiles(mut times: Vec<Duration>) -> Quantiles {
    times.sort();
    let at = |share: f64| {
        let rank = (share * times.len() as f64).ceil() as usize;
        times.get(rank.saturating_sub(1)).map_or(0.0, |time| time.as_secs_f32() * 1e3)
    };
    Quantiles { p50_ms: at(0.5), p99_ms: at(0.99) }
}

fn told(Report { model, load_ms, latency, window, mapping, stage }: &Report) -> String {
    let line =
        |name: &str, spread: &Quantiles| format!("{name:<22}{:>9.1} ms {:>9.1} ms\n", spread.p50_ms, spread.p99_ms);
    let steps = if model.steps == 1 { "1 step".to_owned() } else { format!("{} steps", model.steps) };
    let mut out = format!(
        "{} at {}x{}, {steps}: {:.1} pictures a second\n",
        model.model, model.width, model.height, model.pictures_per_s
    );
    out += &format!("{:<22}{:>12} {:>12}\n", "", "half within", "99% within");
    out += &line("a picture", &model.picture);
    out += &line("  denoise", &model.denoise);
    out += &line("  decode", &model.decode);
    for (name, millis) in &model.layers_ms {
        out += &format!("    {name:<18}{millis:>9.1} ms in the mean\n");
    }
    out +=
        &format!("{:<22}{:>9.1} ms, after {load_ms:.0} ms of loading\n", "the first picture", model.first_picture_ms);
    out += &line("sample to picture", latency);
    out += &line("  of that the window", window);
    out += &line("  and the mapping", mapping);
    if let Some(StageReport { upload, present, stage_width, stage_height, adapter }) = stage {
        out += &line("onto the adapter", upload);
        out += &line("a frame of the stage", present);
        out += &format!("    {stage_width}x{stage_height}, by {adapter}\n");
    }
    out += &format!(
        "{:.2} GFLOP a picture, {:.0} GFLOP a second, {} threads of {} ({}), on {} in {}",
        model.gflop_per_picture,
        model.gflop_per_s,
        model.runtime.threads,
        model.cpu,
        model.runtime.instructions,
        model.runtime.device,
        model.runtime.precision
    );
    if let Some(memory) = model.peak_memory_mb {
        out += &format!("; {memory:.0} MB of memory at most");
    }
    out + "\n"
}
