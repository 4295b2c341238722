//! The five mappings on signals that are drawn here: moments, whiteness, motion, broken input, other shapes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on shall stop")]

use std::{path::Path, time::Instant};

use wavedream::{
    Stamp,
    latent::{self, Mapping, NAMES, Shape, noise, npy},
    signal::{WINDOW_CHANNELS, Window},
};

const SD: Shape = Shape { channels: 4, height: 64, width: 64 };

/// A signal as a function of frame and channel.
type Signal = fn(u64, usize) -> f64;

/// 1/f: octaves of smoothed noise, shared by the channels with a little of each one's own.
fn one_over_f(frame: u64, channel: usize) -> f64 {
    let octave = |k: u64, seed: u64| {
        let length = 1u64 << k;
        let (at, part) = (frame / length, (frame % length) as f64 / length as f64);
        let ease = part * part * (3.0 - 2.0 * part);
        let (a, b) = (noise::normal(seed + k, at), noise::normal(seed + k, at + 1));
        (a + (b - a) * ease) * f64::from(1u32 << k).sqrt()
    };
    let shared: f64 = (0..9).map(|k| octave(k, 100)).sum();
    let own: f64 = (0..5).map(|k| octave(k, 1_000 + 100 * channel as u64)).sum();
    shared * (1.0 + 0.03 * channel as f64) + own
}

/// Whole numbers of cycles a second: the hardest for a cell that is overwritten each second.
fn sines(frame: u64, channel: usize) -> f64 {
    let secs = frame as f64 / 512.0;
    let turns = |hz: f64| (std::f64::consts::TAU * (hz * secs + 0.07 * channel as f64)).sin();
    turns(3.0) + 0.5 * turns(8.0) + 0.2 * turns(41.0)
}

/// 1/f with a loud burst in each third second.
fn bursts(frame: u64, channel: usize) -> f64 {
    let gain = if frame % 1_536 < 200 { 6.0 } else { 1.0 };
    gain * one_over_f(frame, channel)
}

/// A signal drawn once, 32 values a frame.
struct Recording(Vec<f64>);

impl Recording {
    fn of(signal: impl Fn(u64, usize) -> f64, frames: u64) -> Self {
        let places = (0..frames).flat_map(|frame| (0..WINDOW_CHANNELS).map(move |channel| (frame, channel)));
        Self(places.map(|(frame, channel)| signal(frame, channel)).collect())
    }

    /// The window that ends `hop` hops after the first `samples` samples.
    fn window(&self, hop: u64, samples: usize) -> Window {
        let first = (hop * 512 / 30) as usize;
        let end = first + samples;
        Window {
            stamp: Stamp { hop: 30 + hop, signal_secs: end as f64 / 512.0, arrived: Instant::now() },
            first_sample: first as u64,
            samples: self.0[first * WINDOW_CHANNELS..end * WINDOW_CHANNELS].to_vec(),
        }
    }
}

/// The latents of these hops, one after the other.
fn film(mapping: &mut dyn Mapping, signal: impl Fn(u64, usize) -> f64, hops: u64, shape: Shape) -> Vec<Vec<f32>> {
    let samples = mapping.samples(shape);
    let recording = Recording::of(signal, samples as u64 + hops * 18);
    let map = |hop| {
        let mut out = vec![f32::NAN; shape.len()];
        mapping.map(&recording.window(hop, samples), shape, &mut out);
        out
    };
    (0..hops).map(map).collect()
}

fn film_of(name: &str, signal: impl Fn(u64, usize) -> f64, hops: u64) -> Vec<Vec<f32>> {
    film(latent::mapping(name).unwrap().as_mut(), signal, hops, SD)
}

fn moment(values: &[f32], power: i32) -> f64 {
    values.iter().map(|&v| f64::from(v).powi(power)).sum::<f64>() / values.len() as f64
}

/// Correlation of two latents.
fn likeness(a: &[f32], b: &[f32]) -> f64 {
    let product: f64 = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
    product / (moment(a, 2) * moment(b, 2)).sqrt() / a.len() as f64
}

/// Mean |difference| from latent to latent.
fn motion(film: &[Vec<f32>]) -> Vec<f64> {
    let change =
        |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>() / a.len() as f64;
    film.windows(2).map(|pair| change(&pair[0], &pair[1])).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn most(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, v| most.max(*v))
}

/// Each plane blurred with a Gaussian of two cells, in units of its own deviation on white noise.
fn blurred(latent: &[f32]) -> Vec<f32> {
    let (height, width) = (SD.height as i64, SD.width as i64);
    let weights: Vec<f32> = (-6..=6).map(|d| (-0.5 * (d as f32 / 2.0).powi(2)).exp()).collect();
    let norm = weights.iter().map(|w| w * w).sum::<f32>().sqrt();
    let pass = |from: &[f32], step: (i64, i64)| -> Vec<f32> {
        let at = |plane: i64, y: i64, x: i64| {
            from[((plane * height + y.clamp(0, height - 1)) * width + x.clamp(0, width - 1)) as usize]
        };
        let cell = |i: i64| {
            let (plane, y, x) = (i / (height * width), i / width % height, i % width);
            (-6..=6).map(|d| weights[(d + 6) as usize] * at(plane, y + d * step.0, x + d * step.1)).sum::<f32>() / norm
        };
        (0..from.len() as i64).map(cell).collect()
    };
    pass(&pass(latent, (1, 0)), (0, 1))
}

#[test]
fn paper_equals_numpy_in_every_cell() {
    let mut state: u64 = 1;
    let mut samples = Vec::new();
    for index in 0..512 * 32u64 {
        state = (state * 1_103_515_245 + 12_345) % (1 << 31);
        let drawn = state as f64 / (1u64 << 31) as f64;
        samples.push(drawn + 1e-3 * (index / 32 % 64) as f64 + 5e-2 * (index % 32) as f64);
    }
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/latent/paper.npy");
    let (shape, expected) = npy::read(&fixture).unwrap();
    let mut out = vec![0.0; shape.len()];
    let window = Window { samples, ..Recording::of(one_over_f, 0).window(0, 0) };
    latent::mapping("paper").unwrap().map(&window, shape, &mut out);
    let worst = out.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-6, "{worst}");
}

#[test]
fn every_mapping_is_of_zero_mean_and_unit_variance_on_every_signal() {
    for (signal, what) in [(one_over_f as Signal, "1/f"), (sines, "sines"), (bursts, "bursts")] {
        for (name, _) in NAMES {
            for (hop, latent) in film_of(name, signal, 75).iter().enumerate().step_by(15) {
                let (mean, power) = (moment(latent, 1), moment(latent, 2));
                assert!(mean.abs() < 0.05, "{name} on {what}, hop {hop}: mean {mean}");
                assert!((power - 1.0).abs() < 0.02, "{name} on {what}, hop {hop}: mean square {power}");
            }
        }
    }
}

#[test]
fn no_mapping_leaves_a_pattern_between_neighbouring_cells() {
    for (signal, what) in [(one_over_f as Signal, "1/f"), (sines, "sines"), (bursts, "bursts")] {
        for (name, _) in NAMES {
            let latent = film_of(name, signal, 40).pop().unwrap();
            for lag in [1, 2, 32, 64, 4096] {
                let r = likeness(&latent[lag..], &latent[..latent.len() - lag]);
                // 5 deviations of the estimate for white noise.
                assert!(r.abs() < 5.0 / (latent.len() as f64).sqrt(), "{name} on {what}: {r} at lag {lag}");
            }
        }
    }
}

#[test]
fn all_but_paper_are_normally_distributed() {
    for (signal, what, allowed) in [(one_over_f as Signal, "1/f", 0.35), (bursts, "bursts", 0.6)] {
        for name in ["gauss", "flow", "walk", "spectral"] {
            let latent = film_of(name, signal, 90).pop().unwrap();
            let kurtosis = moment(&latent, 4) / moment(&latent, 2).powi(2);
            let skew = moment(&latent, 3);
            assert!((kurtosis - 3.0).abs() < allowed && skew.abs() < 0.15, "{name} on {what}: {kurtosis}, {skew}");
        }
    }
}

#[test]
fn flow_moves_much_less_than_paper_in_cells_and_in_blurs() {
    for (signal, what) in [(one_over_f as Signal, "1/f"), (bursts, "bursts")] {
        let (paper, flow) = (film_of("paper", signal, 40), film_of("flow", signal, 40));
        let (p, f) = (mean(&motion(&paper)), mean(&motion(&flow)));
        assert!(f < 0.3 * p, "{what}: flow {f}, paper {p}");
        let blur = |film: &[Vec<f32>]| mean(&motion(&film.iter().take(12).map(|l| blurred(l)).collect::<Vec<_>>()));
        let (p, f) = (blur(&paper), blur(&flow));
        assert!(f < 0.3 * p, "{what}, blurred: flow {f}, paper {p}");
    }
}

#[test]
fn flow_has_another_picture_after_its_memory_and_nearly_the_same_a_hop_later() {
    let film = film_of("flow", one_over_f, 90);
    assert!(likeness(&film[20], &film[21]) > 0.98);
    assert!(likeness(&film[20], &film[80]).abs() < 0.06);
    let mut calm = latent::mapping("flow").unwrap();
    assert!(calm.set("memory_secs", 4.0));
    let calm = self::film(calm.as_mut(), one_over_f, 90, SD);
    assert!(likeness(&calm[20], &calm[80]) > 0.3);
    assert!(mean(&motion(&calm)) < 0.6 * mean(&motion(&film)));
}

#[test]
fn a_burst_surges_through_flow_and_drive_0_ignores_it() {
    let one_burst: Signal = |frame, channel| {
        let gain = if (1_200..1_350).contains(&frame) { 5.0 } else { 1.0 };
        gain * one_over_f(frame, channel)
    };
    let surge = |drive: f32| {
        let mut flow = latent::mapping("flow").unwrap();
        assert!(flow.set("drive", drive));
        let motion = motion(&film(flow.as_mut(), one_burst, 70, SD));
        // The newest sample of hop h is number 512 + h * 512 / 30.
        mean(&motion[43..48]) / mean(&motion[20..38])
    };
    assert!(surge(1.0) > 1.3, "{}", surge(1.0));
    assert!((0.7..1.2).contains(&surge(0.0)), "{}", surge(0.0));
}

#[test]
fn flow_is_nearly_the_same_after_a_jump_as_when_followed() {
    let mut mapping = latent::mapping("flow").unwrap();
    let followed = film(mapping.as_mut(), one_over_f, 300, SD).pop().unwrap();
    mapping.reset();
    let mut jumped = vec![0.0; SD.len()];
    mapping.map(&Recording::of(one_over_f, 512 + 300 * 18).window(299, 512), SD, &mut jumped);
    let likeness = likeness(&followed, &jumped);
    assert!(likeness > 0.5, "{likeness}");
}

#[test]
fn the_same_windows_give_the_same_bits() {
    for (name, _) in NAMES {
        let (first, second) = (film_of(name, bursts, 35), film_of(name, bursts, 35));
        assert!(first.iter().flatten().zip(second.iter().flatten()).all(|(a, b)| a.to_bits() == b.to_bits()), "{name}");
    }
}

#[test]
fn none_freezes_or_jumps_when_the_signal_breaks() {
    let flat: Signal = |frame, channel| if frame < 700 { one_over_f(frame, channel) } else { 0.7 };
    let always_flat: Signal = |_, _| 0.0;
    let clipped: Signal = |frame, channel| one_over_f(frame, channel).clamp(-6.0, 6.0);
    let missing: Signal = |frame, channel| {
        if channel % 3 == 0 { f64::NAN } else { one_over_f(frame, channel) }
    };
    let one_left: Signal = |frame, channel| if channel == 9 { one_over_f(frame, 9) } else { 0.0 };
    let cases: [(Signal, &str); 6] = [
        (flat, "flat"),
        (always_flat, "always flat"),
        (clipped, "clipped"),
        (missing, "missing"),
        (one_left, "one left"),
        (sines, "sines"),
    ];
    for (name, _) in NAMES {
        // Twice the usual, or a tenth of the way between unrelated latents (1.13): a surge, and not a jump.
        let allowed = (2.0 * most(&motion(&film_of(name, one_over_f, 60)))).max(0.113);
        for (signal, what) in cases {
            let film = film_of(name, signal, 75);
            assert!(film.iter().flatten().all(|v| v.is_finite()), "{name}, {what}");
            let motion = motion(&film);
            let least = motion.iter().fold(f64::MAX, |least, v| least.min(*v));
            assert!(least > 0.003, "{name} freezes when {what}: {least}");
            assert!(most(&motion) < allowed, "{name} jumps when {what}: {} against {allowed}", most(&motion));
        }
    }
}

#[test]
fn every_value_is_finite_whatever_the_window_holds() {
    let broken: Signal = |frame, channel| match (frame + channel as u64) % 11 {
        0 => f64::NAN,
        1 => f64::INFINITY,
        2 => -1e308,
        3 => 1e-308,
        _ => one_over_f(frame, channel),
    };
    let all_nan: Signal = |_, _| f64::NAN;
    let huge: Signal = |frame, channel| 1e300 * one_over_f(frame, channel);
    let tiny: Signal = |frame, channel| 1e-200 * one_over_f(frame, channel);
    for (name, _) in NAMES {
        for signal in [broken, all_nan, huge, tiny] {
            let film = film_of(name, signal, 4);
            assert!(film.iter().flatten().all(|v| v.is_finite()), "{name}");
            assert!(film.iter().all(|latent| moment(latent, 2) > 0.5), "{name} is blank");
        }
        let mut mapping = latent::mapping(name).unwrap();
        let mut out = vec![f32::NAN; SD.len()];
        for samples in [0, 3, 700] {
            mapping.reset();
            mapping.map(&Recording::of(one_over_f, 700).window(0, samples), SD, &mut out);
            assert!(out.iter().all(|v| v.is_finite()), "{name} with {samples} samples");
        }
    }
}

#[test]
fn other_shapes_are_filled_as_well() {
    for text in ["4x36x64", "4x32x32", "4x72x128", "4x9x15"] {
        let shape: Shape = text.parse().unwrap();
        for (name, _) in NAMES {
            let film = film(latent::mapping(name).unwrap().as_mut(), one_over_f, 12, shape);
            let (first, last) = (&film[0], &film[11]);
            assert!((moment(last, 2) - 1.0).abs() < 0.1, "{name} {text}: {}", moment(last, 2));
            assert!(moment(last, 1).abs() < 0.15, "{name} {text}: {}", moment(last, 1));
            assert!(likeness(first, last) < 0.999, "{name} {text} stands still");
        }
    }
}

#[test]
fn knobs_are_taken_while_running_and_unknown_ones_refused() {
    for (name, _) in NAMES {
        assert!(!latent::mapping(name).unwrap().set("colour", 1.0));
    }
    let brisk = |name: &str, knob: &str, value: f32| {
        let mut mapping = latent::mapping(name).unwrap();
        let before = mean(&motion(&film(mapping.as_mut(), one_over_f, 45, SD)));
        mapping.reset();
        assert!(mapping.set(knob, f32::NAN) && mapping.set(knob, value), "{name} has no {knob}");
        mean(&motion(&film(mapping.as_mut(), one_over_f, 45, SD))) / before
    };
    assert!(brisk("walk", "beat_secs", 8.0) < 0.4);
    assert!(brisk("flow", "memory_secs", 6.0) < 0.6);
    assert!(brisk("gauss", "memory_secs", 1.0) < 0.4);
    assert!(brisk("spectral", "drive", 2.0) > 1.2);
}
