//! How fast a model is here: what `wavedream bench` prints.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_channel::bounded;
use serde::Serialize;

use super::{Arriving, Conditioning, GenerateError, Model, Picture, Runtime};
use crate::{
    Stamp,
    latent::{Latent, Shape},
};

/// Milliseconds that half, and that 99 of 100 pictures stay below.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Quantiles {
    pub p50_ms: f32,
    pub p99_ms: f32,
}

impl Quantiles {
    pub(super) fn of(mut values: Vec<f32>) -> Self {
        values.sort_by(f32::total_cmp);
        let at = |share: f32| {
            let index = (share * values.len() as f32).ceil() as usize;
            values.get(index.saturating_sub(1)).copied().unwrap_or(0.0)
        };
        Self { p50_ms: at(0.5), p99_ms: at(0.99) }
    }
}

/// What a run of pictures one after the other cost.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub model: String,
    pub width: usize,
    pub height: usize,
    pub steps: usize,
    pub pictures: usize,
    pub seconds: f64,
    pub pictures_per_s: f64,
    /// The first one, with memory not yet allocated.
    pub first_picture_ms: f32,
    pub picture: Quantiles,
    pub denoise: Quantiles,
    pub decode: Quantiles,
    /// Milliseconds a picture of each kind of layer, where the model counts them.
    pub layers_ms: BTreeMap<&'static str, f64>,
    /// Convolutions and matrix products.
    pub gflop_per_picture: f64,
    pub gflop_per_s: f64,
    /// Largest resident memory of the program so far; none where the system does not tell.
    pub peak_memory_mb: Option<f64>,
    pub cpu: String,
    #[serde(flatten)]
    pub runtime: Runtime,
}

/// Makes pictures for `seconds` (at least three), each from another noise and with another mood.
pub fn bench(model: &mut dyn Model, shape: Shape, steps: usize, seconds: f64) -> Result<Report, GenerateError> {
    let stamp = Stamp { hop: 0, signal_secs: 0.0, arrived: Instant::now() };
    let latents: Vec<Latent> = (0..4).map(|seed| Latent { stamp, shape, values: noise(seed, shape.len()) }).collect();
    let mut with = Conditioning { genres: vec![1.0; model.card().genres.len()], ..Conditioning::default() };
    let mut picture = Picture { stamp, ..Picture::empty() };
    let cold = Instant::now();
    model.generate(&latents[0], &with, steps, &mut picture)?;
    let first_picture_ms = cold.elapsed().as_secs_f32() * 1e3;
    let (mut here, mut denoise, mut decode) = (Vec::new(), Vec::new(), Vec::new());
    let before = model.spent();
    let length = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let start = Instant::now();
    // As in a show: pixels that come from a device are waited for while the next picture is painted.
    let arrived = std::thread::scope(|scope| {
        let (send, coming) = bounded::<(Instant, Arriving)>(1);
        let courier = scope.spawn(move || {
            let mut rgba = Vec::new();
            let each = |(began, arriving): (Instant, Arriving)| arriving.take(&mut rgba).map(|()| millis_since(began));
            coming.into_iter().map(each).collect::<Result<Vec<f32>, String>>()
        });
        while start.elapsed() < length || denoise.len() < 3 {
            let began = Instant::now();
            with.vivid = (denoise.len() as f32 * 0.01).sin();
            let (timing, arriving) =
                model.begin(&latents[denoise.len() % latents.len()], &with, steps, &mut picture)?;
            match arriving.map(|arriving| send.send((began, arriving))) {
                None => here.push(millis_since(began)),
                Some(Ok(())) => {}
                // The courier is gone, and tells why below.
                Some(Err(_)) => break,
            }
            denoise.push(timing.denoise_ms);
            decode.push(timing.decode_ms);
        }
        drop(send);
        courier
            .join()
            .unwrap_or_else(|_| Err("a library of the device panicked".to_owned()))
            .map_err(|why| GenerateError::Failed { model: model.card().name.clone(), why })
    })?;
    let whole = [here, arrived].concat();
    let seconds = start.elapsed().as_secs_f64();
    let pictures = whole.len();
    let spent = model.spent().into_iter().zip(before);
    let layers_ms = spent.map(|((name, after), (_, before))| (name, (after - before) / pictures as f64)).collect();
    let gflop_per_picture = model.flops(shape, steps) as f64 / 1e9;
    Ok(Report {
        model: model.card().name.clone(),
        width: picture.width,
        height: picture.height,
        steps,
        pictures,
        seconds,
        pictures_per_s: pictures as f64 / seconds,
        first_picture_ms,
        picture: Quantiles::of(whole),
        denoise: Quantiles::of(denoise),
        decode: Quantiles::of(decode),
        layers_ms,
        gflop_per_picture,
        gflop_per_s: gflop_per_picture * pictures as f64 / seconds,
        peak_memory_mb: peak_memory_mb(),
        cpu: cpu_name(),
        runtime: model.runtime(),
    })
}

fn millis_since(began: Instant) -> f32 {
    began.elapsed().as_secs_f32() * 1e3
}

/// Unit-variance noise that is the same everywhere: sums of twelve uniform numbers, less six.
fn noise(seed: u64, len: usize) -> Arc<[f32]> {
    let mut state = seed;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    (0..len).map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0).collect()
}

/// VmHWM of Linux.
fn peak_memory_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()? / 1024.0)
}

/// What the CPU is called; its kind where the system does not tell.
pub fn cpu_name() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_values() {
        let values = (1..=100).rev().map(|v| v as f32).collect();
        assert_eq!(Quantiles::of(values), Quantiles { p50_ms: 50.0, p99_ms: 99.0 });
        assert_eq!(Quantiles::of(vec![]), Quantiles::default());
    }

    #[test]
    fn the_noise_has_unit_variance() {
        let values = noise(7, 20_000);
        let variance = values.iter().map(|v| v * v).sum::<f32>() / 20_000.0;
        assert!((variance - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn a_report_counts_what_was_made() {
        let mut model = crate::diffusion::load("box").unwrap();
        let report = bench(&mut *model, Shape { channels: 4, height: 8, width: 16 }, 2, 0.0).unwrap();
        assert_eq!((report.pictures, report.width, report.height, report.steps), (3, 128, 64, 2));
        assert!(
            report.pictures_per_s > 0.0 && report.gflop_per_picture > 0.1 && !report.runtime.instructions.is_empty()
        );
    }
}
