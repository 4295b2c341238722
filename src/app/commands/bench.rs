//! `wavedream bench`: how fast pictures are made on this machine, with the code that plays.
//!
//! First the model alone, picture after picture; then the whole way of a sample into a finished picture (source,
//! filters, mapping, model) without the wait for the screen.

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
};

const SOURCE: &str = "synth://rat?seed=1";
/// Part of the time that goes to the whole way.
const WHOLE_WAY: f64 = 0.3;
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
    /// Of that, what the signal takes: source, filters, window, mapping.
    signal: Quantiles,
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
    let (latency, signal) = whole_way(model.as_mut(), shape, steps, args.seconds * WHOLE_WAY)?;
    let report = Report { model: of_model, load_ms, latency, signal };
    print(&if args.json { format!("{}\n", serde_json::to_string_pretty(&report)?) } else { told(&report) })
}

fn whole_way(model: &mut dyn Model, shape: Shape, steps: usize, seconds: f64) -> Result<(Quantiles, Quantiles)> {
    let table = full_table(model.card());
    let with = DreamDials::new(&table, model.card())?.conditioning();
    let mut line = Line::open(SOURCE, &table)?;
    let mut picture = Picture::empty();
    let (mut latency, mut signal) = (Vec::new(), Vec::new());
    let length = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let start = Instant::now();
    // The first hop fills the memory of every stage and is left out.
    for hop in 1.. {
        let arrived = Instant::now();
        let (_, Some(latent)) = line.latent_at_hop(hop, shape)? else { bail!("{SOURCE}: gave nothing at hop {hop}") };
        let mapped = arrived.elapsed();
        model.generate(&latent, &with, steps, &mut picture)?;
        if hop > 1 {
            latency.push(arrived.elapsed());
            signal.push(mapped);
        }
        if latency.len() >= FEWEST_PICTURES && start.elapsed() >= length {
            break;
        }
    }
    Ok((quantiles(latency), quantiles(signal)))
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

fn told(Report { model, load_ms, latency, signal }: &Report) -> String {
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
    out += &line("  of that the signal", signal);
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
