//! `synth://waves`: the sea at a few buoys, elevation in metres: a wind sea and a swell from afar.
//!
//! Linear waves in deep water (omega^2 = g k): the wind sea has the JONSWAP spectrum (Hasselmann et al. 1973) with
//! cos^2 spreading, the swell is a narrow peak from another side. Some hundred components, each at a frequency of its
//! own, so that groups come and go and nothing repeats.

use std::f64::consts::{PI, TAU};

use super::player::{Generator, Player};
use crate::signal::random::Random;
use crate::signal::url::Address;
use crate::signal::{Source, SourceError};

const RATE_HZ: f64 = 8.0;
const HEIGHT_M: f64 = 2.0;
const BUOYS: u64 = 5;
const COMPONENTS: usize = 64;
const GRAVITY: f64 = 9.81;
const SEA_PEAK_HZ: f64 = 0.16;
const SWELL_PEAK_HZ: f64 = 0.075;
const SWELL_WIDTH_HZ: f64 = 0.008;
const SWELL_FROM: f64 = 1.1;
/// Of the wave energy.
const SWELL_PART: f64 = 0.45;
/// Peak enhancement of JONSWAP.
const GAMMA: f64 = 3.3;
/// Buoys lie within a circle of this radius.
const FIELD_M: f64 = 120.0;

/// A rotating phasor; `at` holds its phase at each buoy as (cos, sin).
struct Component {
    amplitude: f64,
    turn: (f64, f64),
    phasor: (f64, f64),
    at: Vec<(f64, f64)>,
}

struct Waves {
    components: Vec<Component>,
}

pub fn open(address: &Address) -> Result<Box<dyn Source>, SourceError> {
    address.check_keys(&["seed", "rate", "height", "buoys", "scale"])?;
    let rate_hz = address.number("rate", 1.0..=1000.0, "samples a second")?.unwrap_or(RATE_HZ);
    let height_m = address.number("height", 0.01..=30.0, "metres")?.unwrap_or(HEIGHT_M);
    let buoys = address.whole("buoys", 1..=32, "a number of buoys")?.unwrap_or(BUOYS) as usize;
    let mut random = Random::new(address.whole("seed", 0..=u64::MAX, "a whole number")?.unwrap_or(1) ^ 0x5e_a5);
    let places: Vec<(f64, f64)> = (0..buoys)
        .map(|_| {
            let (angle, distance) = (random.between(0.0, TAU), FIELD_M * random.unit().sqrt());
            (distance * angle.cos(), distance * angle.sin())
        })
        .collect();
    let waves = Waves { components: components(height_m, rate_hz, &places, &mut random) };
    let names = (1..=buoys).map(|buoy| (format!("buoy {buoy}"), "m"));
    Ok(Box::new(Player::new(waves, address, rate_hz, names)?))
}

fn jonswap(hz: f64) -> f64 {
    let width = if hz < SEA_PEAK_HZ { 0.07 } else { 0.09 };
    let peak = (-((hz / SEA_PEAK_HZ - 1.0) / width).powi(2) / 2.0).exp();
    hz.powi(-5) * (-1.25 * (SEA_PEAK_HZ / hz).powi(4)).exp() * GAMMA.powf(peak)
}

fn components(height_m: f64, rate_hz: f64, places: &[(f64, f64)], random: &mut Random) -> Vec<Component> {
    let mut sea = Vec::new();
    let mut swell = Vec::new();
    let (low, high) = (0.08, 0.7f64.min(0.45 * rate_hz));
    for index in 0..COMPONENTS {
        // Logarithmic steps, each frequency somewhere within its step.
        let part = (index as f64 + random.unit()) / COMPONENTS as f64;
        let hz = low * (high / low).powf(part);
        // cos^2 around the wind, drawn by rejection.
        let from = loop {
            let angle = random.between(-PI / 2.0, PI / 2.0);
            if random.unit() < angle.cos().powi(2) {
                break angle;
            }
        };
        sea.push((hz, from, jonswap(hz) * hz));
        let hz = SWELL_PEAK_HZ + SWELL_WIDTH_HZ * 2.5 * (2.0 * part - 1.0);
        let energy = (-((hz - SWELL_PEAK_HZ) / SWELL_WIDTH_HZ).powi(2) / 2.0).exp();
        swell.push((hz, SWELL_FROM + random.between(-0.15, 0.15), energy));
    }
    // The significant height is four standard deviations.
    let variance = (height_m / 4.0).powi(2);
    let mut all = Vec::new();
    for (part, kind) in [(1.0 - SWELL_PART, sea), (SWELL_PART, swell)] {
        let total: f64 = kind.iter().map(|(_, _, energy)| energy).sum();
        for (hz, from, energy) in kind {
            let number = (TAU * hz).powi(2) / GRAVITY;
            let phase = random.between(0.0, TAU);
            let step = TAU * hz / rate_hz;
            all.push(Component {
                amplitude: (2.0 * variance * part * energy / total).sqrt(),
                turn: (step.cos(), step.sin()),
                phasor: (phase.cos(), phase.sin()),
                at: places
                    .iter()
                    .map(|(x, y)| {
                        let lag = number * (x * from.cos() + y * from.sin());
                        (lag.cos(), lag.sin())
                    })
                    .collect(),
            });
        }
    }
    all
}

impl Generator for Waves {
    fn next(&mut self, frame: &mut [f64]) {
        frame.fill(0.0);
        for component in &mut self.components {
            let (c, s) = component.phasor;
            for (x, (at_c, at_s)) in frame.iter_mut().zip(&component.at) {
                *x += component.amplitude * (c * at_c + s * at_s);
            }
            let (tc, ts) = component.turn;
            let (c, s) = (c * tc - s * ts, c * ts + s * tc);
            // Rounding would slowly change the length: one Newton step back to one.
            let mend = 1.5 - 0.5 * (c * c + s * s);
            component.phasor = (c * mend, s * mend);
        }
    }
}
