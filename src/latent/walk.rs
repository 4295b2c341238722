//! A walk between key noises: slerp from one to the next, a beat apart.
//!
//! The signal sets the pace (a loud moment walks faster, a silent one never stops) and the way: which bands are up at the
//! moment a key is reached picks the next one, so that a state that comes back leads to the same picture.
//! Locked to a beat from outside, its phase is the way: the keys come on the beat, and the signal only picks them.
//! Slerp of noises of the same length stays on their sphere: unit variance all the way.

use super::{Follow, Fresh, Mapping, Shape, bands::Bands, frames, frames_from, noise};
use crate::signal::{MAPPING_RATE_HZ, Window};

const KEYS: u64 = 0x3A1C_0000_0000_0001;
/// How much faster a spread of loudness walks, at drive 1: a factor of 1.4.
const PACE_PER_LEVEL: f64 = 0.34;
const PACE_RANGE: (f64, f64) = (0.25, 4.0);
/// Part of the difference to the beat that is made up in a hop: it is in step within half a second, without a leap.
const CATCH_UP: f64 = 0.15;
/// Above this level (in spreads) a band counts as up, below its negative as down.
const UP: f64 = 0.6;

/// See the module.
pub struct Walk {
    follow: Follow,
    bands: Bands,
    from: Vec<f32>,
    to: Vec<f32>,
    /// Keys of `from` and `to`.
    keys: (u64, u64),
    /// Way from one to the other, 0..1.
    way: f64,
    pace: f64,
    beat_secs: f32,
    /// The phase of the beat that it is locked to, 0..1, and what it was a hop before.
    beat_phase: Option<f64>,
    last_phase: Option<f64>,
    drive: f32,
}

impl Default for Walk {
    fn default() -> Self {
        Self {
            follow: Follow::default(),
            bands: Bands::default(),
            from: Vec::new(),
            to: Vec::new(),
            keys: (0, 0),
            way: 0.0,
            pace: 1.0,
            beat_secs: 2.0,
            beat_phase: None,
            last_phase: None,
            drive: 1.0,
        }
    }
}

impl Walk {
    /// The key that the moment picks: never one of the two before, or the walk would stand or turn back.
    fn pick(&mut self) -> u64 {
        let code = self.bands.read().iter().fold(0, |code, band| {
            let digit = if band.level > UP { 2 } else { u64::from(band.level > -UP) };
            code * 3 + digit
        });
        let others = [self.keys.0, self.keys.1];
        (0..).map(|variant| code * 3 + variant).find(|key| !others.contains(key)).unwrap_or(code)
    }

    fn start(&mut self, cells: usize) {
        self.keys = (u64::MAX, u64::MAX);
        self.keys.0 = self.pick();
        self.keys.1 = self.pick();
        self.from.resize(cells, 0.0);
        self.to.resize(cells, 0.0);
        noise::fill_unit(KEYS + self.keys.0, &mut self.from);
        noise::fill_unit(KEYS + self.keys.1, &mut self.to);
        self.way = 0.0;
        self.pace = 1.0;
    }

    /// As far as the beat went since the last hop, and part of what is missing to be where it is. Never back.
    fn step_to(&self, phase: f64) -> f64 {
        let nearest = |turns: f64| turns - turns.round();
        let went = self.last_phase.map_or(0.0, |last| (phase - last).rem_euclid(1.0));
        let missing = nearest(phase - self.way - went);
        (went + CATCH_UP * missing).max(0.0)
    }

    /// Walks on by this much signal time.
    fn step(&mut self, secs: f64) {
        let step = match self.beat_phase {
            Some(phase) => self.step_to(phase),
            None => {
                let wanted = (PACE_PER_LEVEL * self.bands.loudness() * f64::from(self.drive)).exp();
                self.pace = wanted.clamp(PACE_RANGE.0, PACE_RANGE.1);
                secs * self.pace / f64::from(self.beat_secs)
            }
        };
        self.last_phase = self.beat_phase;
        // At most one key is passed in a hop, however short the beat.
        self.way += step.min(0.99);
        if self.way >= 1.0 {
            self.way -= 1.0;
            let next = self.pick();
            self.keys = (self.keys.1, next);
            std::mem::swap(&mut self.from, &mut self.to);
            noise::fill_unit(KEYS + next, &mut self.to);
        }
    }
}

impl Mapping for Walk {
    fn name(&self) -> &'static str {
        "walk"
    }

    fn samples(&self, _shape: Shape) -> usize {
        MAPPING_RATE_HZ as usize
    }

    fn map(&mut self, window: &Window, _shape: Shape, out: &mut [f32]) {
        match self.follow.window(window) {
            Fresh::From(frame) if self.from.len() == out.len() => {
                let mut frames = 0;
                for (_, raw) in frames_from(window, frame) {
                    self.bands.push(raw);
                    frames += 1;
                }
                self.step(f64::from(frames) / MAPPING_RATE_HZ as f64);
            }
            _ => {
                self.bands = Bands::begin(frames(window));
                self.start(out.len());
            }
        }
        // Half eased: it breathes with the beat, but never stands at a key.
        let eased = self.way * self.way * (3.0 - 2.0 * self.way);
        slerp(&self.from, &self.to, (0.5 * (self.way + eased)) as f32, out);
    }

    fn reset(&mut self) {
        self.follow = Follow::default();
    }

    fn set(&mut self, knob: &str, value: f32) -> bool {
        match knob {
            "beat_secs" if value.is_finite() => self.beat_secs = value.clamp(0.1, 120.0),
            "drive" if value.is_finite() => self.drive = value.clamp(0.0, 2.0),
            // Anything that is no phase frees it.
            "beat_phase" => self.beat_phase = (0.0..=1.0).contains(&value).then(|| f64::from(value)),
            "beat_secs" | "drive" => {}
            _ => return false,
        }
        true
    }
}

/// Spherical interpolation of two noises of unit mean square.
fn slerp(from: &[f32], to: &[f32], part: f32, out: &mut [f32]) {
    let cos = from.iter().zip(to).map(|(a, b)| a * b).sum::<f32>() / from.len().max(1) as f32;
    let angle = cos.clamp(-1.0, 1.0).acos();
    let sin = angle.sin();
    let (of_from, of_to) =
        if sin > 0.03 { (((1.0 - part) * angle).sin() / sin, (part * angle).sin() / sin) } else { (1.0 - part, part) };
    out.iter_mut().zip(from.iter().zip(to)).for_each(|(cell, (a, b))| *cell = of_from * a + of_to * b);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stamp;

    /// Positions, keys and part of the way, of a walk whose beat has these phases, a hop apart.
    fn locked(phases: impl Iterator<Item = f64>) -> Vec<f64> {
        let mut walk = Walk::default();
        let shape = Shape { channels: 4, height: 2, width: 2 };
        let (mut out, mut places, mut keys) = (vec![0.0; shape.len()], Vec::new(), 0.0);
        for (hop, phase) in (0u64..).zip(phases) {
            walk.set("beat_phase", phase as f32);
            // 17 new frames a hop.
            let samples = vec![0.5; 512 * crate::signal::WINDOW_CHANNELS];
            let stamp = Stamp { hop, ..Stamp::start() };
            let before = walk.keys;
            walk.map(&Window { stamp, first_sample: hop * 17, samples }, shape, &mut out);
            keys += f64::from(u8::from(hop > 0 && walk.keys != before));
            places.push(keys + walk.way);
        }
        places
    }

    #[test]
    fn locked_to_a_beat_it_reaches_a_key_at_each_and_never_leaps_or_turns_back() {
        let beat = |hop: u32| 0.4 + f64::from(hop) * 0.07;
        let places = locked((0..200).map(|hop| beat(hop).fract()));
        for pair in places.windows(2) {
            assert!(pair[1] >= pair[0] && pair[1] - pair[0] < 0.2, "{pair:?}");
        }
        let off = places[199] - beat(199);
        assert!((off - off.round()).abs() < 1e-3, "in step with the beat, not {off} away");
        assert!((places[199] - places[99] - 7.0).abs() < 1e-3);
    }

    #[test]
    fn what_is_no_phase_frees_it() {
        let mut walk = Walk::default();
        for (value, is_locked) in [(0.5, true), (-1.0, false), (0.0, true), (f32::NAN, false)] {
            assert!(walk.set("beat_phase", value));
            assert_eq!(walk.beat_phase.is_some(), is_locked, "{value}");
        }
    }

    #[test]
    fn slerp_starts_and_ends_at_its_keys_and_keeps_unit_variance() {
        let (mut a, mut b, mut out) = (vec![0.0; 4096], vec![0.0; 4096], vec![0.0; 4096]);
        noise::fill_unit(1, &mut a);
        noise::fill_unit(2, &mut b);
        for (part, end) in [(0.0, Some(&a)), (0.3, None), (0.5, None), (1.0, Some(&b))] {
            slerp(&a, &b, part, &mut out);
            let power = out.iter().map(|v| v * v).sum::<f32>() / 4096.0;
            assert!((power - 1.0).abs() < 1e-3, "{power} at {part}");
            if let Some(end) = end {
                assert!(out.iter().zip(end).all(|(x, y)| (x - y).abs() < 1e-5));
            }
        }
    }
}
