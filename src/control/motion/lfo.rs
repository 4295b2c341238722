//! A slow oscillator that moves a parameter around what was set.
//!
//! Runs free or in whole parts of the beat. Chance is a number made of the LFO's and the cycle's: the same in each run.

use std::{f64::consts::TAU, sync::Arc};

use crate::control::{Handle, SetError, Table};

pub const SHAPES: [&str; 6] = ["sine", "triangle", "saw", "square", "random-smooth", "random-step"];
/// Beats a cycle by name; `free` runs by its rate.
pub const CYCLES: [(&str, f64); 9] = [
    ("free", 0.0),
    ("1/4", 0.25),
    ("1/2", 0.5),
    ("1", 1.0),
    ("2", 2.0),
    ("4", 4.0),
    ("8", 8.0),
    ("16", 16.0),
    ("32", 32.0),
];

/// One of them.
pub struct Lfo {
    number: u64,
    target: Handle,
    shape: Handle,
    rate_hz: Handle,
    beats: Handle,
    phase: Handle,
    depth: Handle,
    /// Cycles that it has run free.
    cycles: f64,
}

impl Lfo {
    /// `number` counts from 1, as the path does.
    pub fn new(table: &Table, number: usize) -> Result<Self, SetError> {
        let handle = |name: &str| table.handle(&format!("/lfo/{number}/{name}"));
        Ok(Self {
            number: number as u64,
            target: handle("target")?,
            shape: handle("shape")?,
            rate_hz: handle("rate_hz")?,
            beats: handle("beats")?,
            phase: handle("phase")?,
            depth: handle("depth")?,
            cycles: 0.0,
        })
    }

    pub fn target(&self) -> Arc<str> {
        self.target.text()
    }

    /// Runs on; returns what it adds on the normal scale.
    pub fn tick(&mut self, dt_secs: f64, beat: f64) -> f64 {
        self.cycles += dt_secs * self.rate_hz.number();
        let beats = CYCLES.get(self.beats.index()).map_or(0.0, |(_, beats)| *beats);
        let cycles = if beats > 0.0 { beat / beats } else { self.cycles };
        self.depth.number() * wave(self.shape.index(), cycles + self.phase.number(), self.number)
    }
}

/// -1..1 after so many cycles.
fn wave(shape: usize, cycles: f64, seed: u64) -> f64 {
    let cycle = cycles.floor();
    let phase = cycles - cycle;
    let chance = |cycle: f64| chance(seed, cycle as i64 as u64);
    match SHAPES.get(shape).copied().unwrap_or_default() {
        "triangle" => 1.0 - 4.0 * ((phase + 0.25).fract() - 0.5).abs(),
        "saw" => 2.0 * phase - 1.0,
        "square" if phase < 0.5 => 1.0,
        "square" => -1.0,
        "random-smooth" => {
            let (from, to) = (chance(cycle), chance(cycle + 1.0));
            from + phase * phase * (3.0 - 2.0 * phase) * (to - from)
        }
        "random-step" => chance(cycle),
        _ => (TAU * phase).sin(),
    }
}

/// -1..1, by SplitMix64 (Steele, Lea, Flood 2014).
fn chance(seed: u64, cycle: u64) -> f64 {
    let mut z = (seed << 48 ^ cycle).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ z >> 31) as f64 / u64::MAX as f64 * 2.0 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(shape: &str, cycles: f64) -> f64 {
        wave(SHAPES.iter().position(|name| *name == shape).unwrap(), cycles, 1)
    }

    #[test]
    fn every_shape_passes_its_corners() {
        for (shape, corners) in [
            ("sine", [0.0, 1.0, 0.0, -1.0]),
            ("triangle", [0.0, 1.0, 0.0, -1.0]),
            ("saw", [-1.0, -0.5, 0.0, 0.5]),
            ("square", [1.0, 1.0, -1.0, -1.0]),
        ] {
            for (quarter, corner) in corners.iter().enumerate() {
                let found = at(shape, 7.0 + quarter as f64 / 4.0);
                assert!((found - corner).abs() < 1e-9, "{shape} at {quarter}/4: {found}");
            }
        }
    }

    #[test]
    fn chance_stays_in_range_differs_from_cycle_to_cycle_and_is_the_same_again() {
        let steps: Vec<f64> = (0..500).map(|cycle| at("random-step", f64::from(cycle) + 0.3)).collect();
        assert!(steps.iter().all(|step| step.abs() <= 1.0));
        assert!(steps.windows(2).all(|pair| pair[0] != pair[1]));
        let mean = steps.iter().sum::<f64>() / 500.0;
        assert!(mean.abs() < 0.1, "{mean}");
        assert_eq!(at("random-step", 3.9), steps[3]);
        assert_ne!(wave(5, 3.0, 1), wave(5, 3.0, 2), "each LFO has its own");
    }

    #[test]
    fn smooth_chance_has_no_corners_and_passes_the_steps() {
        let mut last = at("random-smooth", 0.0);
        for step in 1..=5000 {
            let next = at("random-smooth", f64::from(step) / 100.0);
            assert!((next - last).abs() < 0.035);
            last = next;
        }
        assert_eq!(at("random-smooth", 3.0), at("random-step", 3.0));
    }
}
