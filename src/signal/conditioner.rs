//! Makes the samples of a source fit for use, channel by channel, at the rate of the source: bridges what is not a
//! number, takes out offset, mains and what is outside a band, and applies gain. Runs on the thread that reads the
//! source. With everything off, good samples pass bit for bit.
//!
//! A change of settings builds new filters beside the old ones and crossfades: no click, whatever changed.

use super::filter::{Biquad, OffsetRemoval};
use super::health::{Health, Meter};

/// Time to come back from the held value to the signal after a gap.
const GLIDE_SECS: f64 = 0.02;
/// Length of the crossfade from old to new settings.
const FADE_SECS: f64 = 0.1;
/// Greater values are as good as infinite: nothing measured is, and their squares must stay finite in f32.
const ABSURD: f64 = 1e18;
/// Width of each mains notch.
const NOTCH_WIDTH_HZ: f64 = 2.0;
/// Mains harmonics taken out, the fundamental included.
const NOTCHES: u32 = 5;
/// Corners above this part of the rate are as good as absent.
const HIGHEST_CORNER: f64 = 0.49;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mains {
    #[default]
    Off,
    Hz50,
    Hz60,
}

/// What is done to the samples. The default does nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Corner of the removal of the offset; 0 is off.
    pub dc_hz: f32,
    /// Takes out the mains and its harmonics.
    pub mains: Mains,
    /// What is slower goes; 0 is off.
    pub low_hz: f32,
    /// What is faster goes; 0 is off.
    pub high_hz: f32,
    pub gain: f32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { dc_hz: 0.0, mains: Mains::Off, low_hz: 0.0, high_hz: 0.0, gain: 1.0 }
    }
}

/// The filters of one channel.
#[derive(Debug, Clone)]
struct Chain {
    offset: Option<OffsetRemoval>,
    sections: Vec<Biquad>,
    gain: f64,
    settled: bool,
}

impl Chain {
    fn new(settings: &Settings, rate_hz: f64) -> Self {
        let usable = |hz: f32| hz.is_finite() && hz > 0.0 && f64::from(hz) < HIGHEST_CORNER * rate_hz;
        let mut sections = Vec::new();
        let mains_hz = match settings.mains {
            Mains::Off => 0.0,
            Mains::Hz50 => 50.0,
            Mains::Hz60 => 60.0,
        };
        if mains_hz > 0.0 {
            let lines = (1..=NOTCHES).map(|harmonic| mains_hz * f64::from(harmonic));
            let below = lines.take_while(|line_hz| *line_hz < HIGHEST_CORNER * rate_hz);
            sections.extend(below.map(|line_hz| Biquad::notch(line_hz, NOTCH_WIDTH_HZ, rate_hz)));
        }
        if usable(settings.low_hz) {
            sections.push(Biquad::butterworth_high_pass(f64::from(settings.low_hz), rate_hz));
        }
        if usable(settings.high_hz) {
            sections.extend(Biquad::butterworth_low_pass(f64::from(settings.high_hz), rate_hz));
        }
        let offset = usable(settings.dc_hz).then(|| OffsetRemoval::new(f64::from(settings.dc_hz), rate_hz));
        let gain = if settings.gain.is_finite() { f64::from(settings.gain) } else { 1.0 };
        Self { offset, sections, gain, settled: false }
    }

    fn run(&mut self, x: f64) -> f64 {
        if !self.settled {
            let mut value = x;
            if let Some(offset) = &mut self.offset {
                value = offset.settle(value);
            }
            for section in &mut self.sections {
                value = section.settle(value);
            }
            self.settled = true;
        }
        let mut y = x;
        if let Some(offset) = &mut self.offset {
            y = offset.run(y);
        }
        for section in &mut self.sections {
            y = section.run(y);
        }
        y * self.gain
    }
}

/// Holds the last good value over a gap, then glides back to the signal.
#[derive(Debug, Clone, Default)]
struct Bridge {
    last: f64,
    in_gap: bool,
    offset: f64,
    glide_left: u32,
}

impl Bridge {
    fn run(&mut self, x: f64, glide_frames: u32) -> (f64, bool) {
        if x.is_nan() || x.abs() >= ABSURD {
            self.in_gap = true;
            return (self.last, true);
        }
        if self.in_gap {
            self.in_gap = false;
            self.offset = self.last - x;
            self.glide_left = glide_frames;
        }
        let mut y = x;
        if self.glide_left > 0 {
            y += self.offset * f64::from(self.glide_left) / f64::from(glide_frames + 1);
            self.glide_left -= 1;
        }
        self.last = y;
        (y, false)
    }
}

#[derive(Debug)]
struct Fade {
    old: Vec<Chain>,
    at: u32,
}

/// The conditioning of all channels of a source.
#[derive(Debug)]
pub struct Conditioner {
    rate_hz: f64,
    settings: Settings,
    /// Came during a crossfade; begins when that one ends.
    next: Option<Settings>,
    chains: Vec<Chain>,
    fade: Option<Fade>,
    fade_frames: u32,
    glide_frames: u32,
    bridges: Vec<Bridge>,
    meters: Vec<Meter>,
}

impl Conditioner {
    pub fn new(channels: usize, rate_hz: f64, settings: Settings) -> Self {
        Self {
            rate_hz,
            settings,
            next: None,
            chains: vec![Chain::new(&settings, rate_hz); channels],
            fade: None,
            fade_frames: (FADE_SECS * rate_hz).ceil().clamp(2.0, 1e6) as u32,
            glide_frames: (GLIDE_SECS * rate_hz).ceil().clamp(2.0, 1e6) as u32,
            bridges: vec![Bridge::default(); channels],
            meters: vec![Meter::new(rate_hz); channels],
        }
    }

    /// Changes what is done from the next frame on, crossfading from what was done before.
    pub fn apply(&mut self, settings: Settings) {
        if self.fade.is_some() {
            self.next = Some(settings);
        } else if settings != self.settings {
            let new = vec![Chain::new(&settings, self.rate_hz); self.chains.len()];
            let old = std::mem::replace(&mut self.chains, new);
            self.fade = Some(Fade { old, at: 0 });
            self.settings = settings;
        }
    }

    /// Conditions one frame in place. Every value is finite afterwards.
    pub fn run(&mut self, frame: &mut [f64]) {
        let share = self.fade.as_ref().map(|fade| {
            let part = f64::from(fade.at + 1) / f64::from(self.fade_frames + 1);
            part * part * (3.0 - 2.0 * part)
        });
        for (channel, value) in frame.iter_mut().enumerate() {
            let (bridged, missing) = self.bridges[channel].run(*value, self.glide_frames);
            self.meters[channel].push(bridged, missing);
            let mut out = self.chains[channel].run(bridged);
            if let (Some(share), Some(fade)) = (share, &mut self.fade) {
                let old = fade.old[channel].run(bridged);
                out = old + share * (out - old);
            }
            if !out.is_finite() {
                self.chains[channel].settled = false;
                out = 0.0;
            }
            *value = out;
        }
        let faded = self.fade.as_mut().is_some_and(|fade| {
            fade.at += 1;
            fade.at >= self.fade_frames
        });
        if faded {
            self.fade = None;
            if let Some(settings) = self.next.take() {
                self.apply(settings);
            }
        }
    }

    /// Whether a channel has stood still (or has been missing) for half a second up to the last frame.
    pub fn is_flat(&self, channel: usize) -> bool {
        self.meters[channel].is_flat()
    }

    pub fn health(&self, names: impl Iterator<Item = String>) -> Vec<Health> {
        self.meters.iter().zip(names).map(|(meter, name)| meter.health(name)).collect()
    }
}
