//! What the tests of the stage show: pictures drawn by formula, a signal, looks; and a stage to show them on.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{f32::consts::TAU, time::Instant};

use wavedream::{
    Stamp,
    diffusion::Picture,
    stage::{FrameClock, Headless, Kind, Look, Precision, ShaderLibrary, SignalTrace, Use},
};

/// A stage on whatever adapter there is; None, said loudly, if there is none.
pub fn headless(size: (u32, u32)) -> Option<Headless> {
    headless_with(size, Precision::Auto)
}

pub fn headless_with(size: (u32, u32), precision: Precision) -> Option<Headless> {
    match Headless::with_precision(size, ShaderLibrary::builtin(), precision) {
        Ok(stage) => Some(stage),
        Err(error) => {
            eprintln!("\n*** SKIPPED, NOTHING WAS CHECKED: {error} ***\n");
            assert!(
                std::env::var_os("WAVEDREAM_NEEDS_ADAPTER").is_none(),
                "WAVEDREAM_NEEDS_ADAPTER is set, and there is no adapter"
            );
            None
        }
    }
}

fn drawn(width: usize, height: usize, colour: impl Fn(f32, f32) -> [f32; 3]) -> Picture {
    let mut rgba = Vec::with_capacity(4 * width * height);
    for y in 0..height {
        for x in 0..width {
            let u = (x as f32 + 0.5) / width as f32;
            let v = (y as f32 + 0.5) / height as f32;
            let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
            let [r, g, b] = colour(u, v).map(byte);
            rgba.extend_from_slice(&[r, g, b, 255]);
        }
    }
    Picture {
        stamp: Stamp { hop: 0, signal_secs: 0.0, arrived: Instant::now() },
        width,
        height,
        rgba,
        ..Picture::empty()
    }
}

pub fn plain(width: usize, height: usize, [r, g, b]: [u8; 3]) -> Picture {
    drawn(width, height, |_, _| [r, g, b].map(|value| f32::from(value) / 255.0))
}

fn mix(a: [f32; 3], b: [f32; 3], t: f32) -> [f32; 3] {
    let t = t.clamp(0.0, 1.0);
    [0, 1, 2].map(|i| a[i] + (b[i] - a[i]) * t)
}

fn hash(x: i32, y: i32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x9E37_79B1) ^ (y as u32).wrapping_mul(0x85EB_CA77);
    h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
    h = (h ^ (h >> 12)).wrapping_mul(0x297A_2D39);
    (h ^ (h >> 15)) as f32 / u32::MAX as f32
}

fn noise(x: f32, y: f32) -> f32 {
    let (i, j) = (x.floor(), y.floor());
    let (fx, fy) = (x - i, y - j);
    let (ux, uy) = (fx * fx * (3.0 - 2.0 * fx), fy * fy * (3.0 - 2.0 * fy));
    let at = |dx: i32, dy: i32| hash(i as i32 + dx, j as i32 + dy);
    let top = at(0, 0) + (at(1, 0) - at(0, 0)) * ux;
    let low = at(0, 1) + (at(1, 1) - at(0, 1)) * ux;
    top + (low - top) * uy
}

fn fbm(x: f32, y: f32) -> f32 {
    (0..5).fold(0.0, |sum, octave| {
        let f = 2f32.powi(octave);
        sum + noise(x * f + 13.0 * octave as f32, y * f) / (2.0 * f)
    })
}

/// Curtains of light over dark ridges, with stars.
pub fn aurora(width: usize, height: usize) -> Picture {
    let wide = width as f32 / height as f32;
    drawn(width, height, |u, v| {
        let x = u * wide;
        let mut sky = mix([0.01, 0.02, 0.07], [0.04, 0.10, 0.22], v);
        for (i, tint) in [[0.15, 1.0, 0.55], [0.2, 0.75, 1.0], [0.85, 0.25, 0.95]].iter().enumerate() {
            let k = i as f32;
            let line = 0.60 - 0.13 * k + 0.25 * (fbm(x * 1.6 + 5.0 * k, 3.0 * k) - 0.5) * 2.0;
            let up = line - v;
            let body = if up > 0.0 { (-up * 5.0).exp() } else { (up * 30.0).exp() };
            let rays = 0.35 + 0.65 * fbm(x * 14.0 + 9.0 * k, 0.3 + v * 0.5).powi(2) * 2.4;
            for c in 0..3 {
                sky[c] += tint[c] * body * rays * 0.85;
            }
        }
        let (sx, sy) = ((x * 60.0) as i32, (v * 60.0) as i32);
        if hash(sx, sy) > 0.985 && v < 0.7 {
            let d = ((x * 60.0).fract() - 0.5).hypot((v * 60.0).fract() - 0.5);
            let star = (1.0 - d * 3.0).max(0.0);
            sky = sky.map(|c| c + star);
        }
        for layer in 0..3 {
            let l = layer as f32;
            let ridge = 0.62 + 0.11 * l + 0.42 * (0.5 - fbm(x * (1.5 + l) + 40.0 * l, l));
            let edge = ((v - ridge) * height as f32).clamp(0.0, 1.0);
            sky = mix(sky, mix([0.05, 0.16, 0.22], [0.01, 0.02, 0.04], l / 2.0), edge);
        }
        sky
    })
}

/// Warm inks marbled on paper.
pub fn marble(width: usize, height: usize) -> Picture {
    let wide = width as f32 / height as f32;
    let inks = [
        [0.97, 0.92, 0.82],
        [0.86, 0.22, 0.13],
        [0.98, 0.66, 0.16],
        [0.10, 0.22, 0.42],
        [0.95, 0.88, 0.74],
        [0.16, 0.50, 0.48],
    ];
    drawn(width, height, |u, v| {
        let (x, y) = (u * wide * 2.2, v * 2.2);
        let (a, b) = (fbm(x, y), fbm(x + 7.3, y + 2.8));
        let (c, d) = (fbm(x + 3.0 * a, y + 3.0 * b), fbm(x + 3.0 * a + 8.3, y + 3.0 * b + 2.8));
        let f = fbm(x + 3.2 * c, y + 3.2 * d) * 13.0 + a * 3.0;
        let band = f.floor();
        let edge = ((f - band - 0.5) * 5.0 + 0.5).clamp(0.0, 1.0);
        let ink = |k: f32| inks[(k as i64).rem_euclid(6) as usize];
        let grain = 0.96 + 0.08 * noise(x * 90.0, y * 90.0);
        mix(ink(band), ink(band + 1.0), edge).map(|c| c * grain)
    })
}

/// A lively signal: slow and quick waves whose phase is `at`.
pub fn signal(at: f32) -> SignalTrace {
    let mut trace = SignalTrace { level: 0.6, onset: 0.2, ..SignalTrace::default() };
    for (i, point) in trace.points.iter_mut().enumerate() {
        let t = i as f32 / 512.0;
        *point = 0.45 * (TAU * 8.0 * t + at).sin()
            + 0.2 * (TAU * 21.0 * t + 1.7 * at).sin() * (TAU * 3.0 * t).sin()
            + 0.15 * (TAU * 2.0 * t + 0.4 * at).cos();
    }
    trace
}

/// Each effect, set so that it shows.
pub fn vivid_effects() -> Vec<Use> {
    let effects = vec![
        Use::new("displace", 1.0, &[]),
        Use::new("mirror", 1.0, &[]),
        Use::new("kaleidoscope", 1.0, &[]),
        Use::new("trails", 1.0, &[("turn", 6.0)]),
        Use::new("sharpen", 1.0, &[("strength", 1.0)]),
        Use::new("colour", 1.0, &[("hue", 0.3), ("contrast", 1.2)]),
        Use::new("posterise", 1.0, &[]),
        Use::new("bloom", 1.0, &[]),
        Use::new("vignette", 1.0, &[]),
        Use::new("grain", 1.0, &[]),
    ];
    let known = ShaderLibrary::builtin();
    let count = known.declarations().filter(|declared| declared.kind == Kind::Effect).count();
    assert_eq!(effects.len(), count, "vivid_effects misses one");
    effects
}

/// All effects at once, each a little.
pub fn everything() -> Look {
    Look { effects: vivid_effects().into_iter().map(|used| Use { amount: 0.4, ..used }).collect(), ..Look::default() }
}

/// Windows are drawn larger and smaller while the show goes on.
pub fn resized_clock(stage: &mut Headless) {
    // The read-back of a Headless has one size; the compositor alone must bear it.
    for size in [(128, 20), (20, 128), (64, 36)] {
        assert!(stage.compositor().resize(size).is_ok());
        assert_eq!(stage.compositor().size(), size);
    }
    let clock = FrameClock::of_film(100, 30.0);
    let rgba = stage.frame(&clock, &everything(), &signal(1.0));
    assert!(rgba.is_ok_and(|rgba| rgba.as_chunks::<4>().0.iter().any(|pixel| pixel[1] > 20)));
}
