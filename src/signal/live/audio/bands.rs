//! Sound as a hand of slow channels: the loudness of bands a constant part of an octave wide, the level of the whole,
//! its onsets, and its brightness.
//!
//! Each band is two band-passes after each other, squared and followed (fast up, slow down), in decibels. An onset is a
//! rise of many bands at once over what they were a moment ago (Bello et al. 2005, "A Tutorial on Onset Detection in
//! Music Signals", IEEE TSAP 13(5)). Runs on the thread of the source.

use crate::signal::filter::Biquad;
use crate::signal::live::pulse::Pulse;

/// Frames a second that come out: envelopes hold nothing faster.
pub const FRAMES_HZ: f64 = 128.0;
/// Bands of which level, onset and brightness are taken when no bands are wanted.
pub const LEVEL_BANDS: usize = 16;
const LOWEST_HZ: f64 = 40.0;
const HIGHEST_HZ: f64 = 16_000.0;
const ATTACK_SECS: f64 = 0.004;
const RELEASE_SECS: f64 = 0.08;
const LEVEL_SECS: f64 = 0.025;
/// Silence; nothing is quieter.
const FLOOR_DB: f64 = -90.0;
/// What a band was a moment ago.
const MOMENT_SECS: f64 = 0.15;
/// An onset is a mean rise of so many decibels, and so many times the usual one...
const ONSET_DB: f64 = 3.0;
const ONSET_TIMES: f64 = 2.5;
const USUAL_SECS: f64 = 3.0;
/// ...and not so soon after another.
const ONSET_APART_SECS: f64 = 0.1;
const ONSET_DECAY_SECS: f64 = 0.2;

#[derive(Debug)]
struct Band {
    centre_hz: f64,
    filters: [Biquad; 2],
    power: f64,
    before_db: f64,
}

/// Makes frames of samples.
#[derive(Debug)]
pub struct Listener {
    rate_hz: f64,
    bands: Vec<Band>,
    gives_bands: bool,
    attack: f64,
    release: f64,
    level: f64,
    power: f64,
    onset: Pulse,
    usual_rise: f64,
    last_onset: f64,
    /// The last onset is over.
    armed: bool,
    /// Samples until the next frame, times the rate of the frames.
    due: f64,
    frames: u64,
}

impl Listener {
    /// Gives the bands, level and onset; or, without the bands, level, onset and brightness.
    pub fn new(rate_hz: f64, bands: usize, gives_bands: bool) -> Self {
        let highest_hz = HIGHEST_HZ.min(0.42 * rate_hz);
        let apart = (highest_hz / LOWEST_HZ).powf(1.0 / bands as f64);
        let follow = |secs: f64| 1.0 - (-1.0 / (secs * rate_hz)).exp();
        let bands = (0..bands)
            .map(|n| {
                let centre_hz = LOWEST_HZ * apart.powf(n as f64 + 0.5);
                // Two in a row are narrower than one: each is opened by 1 / sqrt(sqrt(2) - 1).
                let width_hz = centre_hz * (apart.sqrt() - 1.0 / apart.sqrt()) * 1.554;
                let filter = Biquad::band_pass(centre_hz, width_hz.min(1.5 * centre_hz), rate_hz);
                Band { centre_hz, filters: [filter.clone(), filter], power: 0.0, before_db: FLOOR_DB }
            })
            .collect();
        Self {
            rate_hz,
            bands,
            gives_bands,
            attack: follow(ATTACK_SECS),
            release: follow(RELEASE_SECS),
            level: follow(LEVEL_SECS),
            power: 0.0,
            onset: Pulse::new(ONSET_DECAY_SECS),
            usual_rise: 0.0,
            last_onset: f64::NEG_INFINITY,
            armed: true,
            due: 0.0,
            frames: 0,
        }
    }

    /// Name and unit of each channel.
    pub fn channels(&self) -> Vec<(String, String)> {
        let bands = self.bands.iter().filter(|_| self.gives_bands);
        let mut channels: Vec<_> = bands.map(|band| (format!("{:.0} Hz", band.centre_hz), "dB".to_owned())).collect();
        channels.push(("level".into(), "dB".into()));
        channels.push(("onset".into(), String::new()));
        if !self.gives_bands {
            channels.push(("brightness".into(), "octaves".into()));
        }
        channels
    }

    /// Takes a sample; appends a frame when one is due.
    pub fn push(&mut self, x: f64, out: &mut Vec<f64>) {
        let x = if x.is_finite() { x } else { 0.0 };
        for band in &mut self.bands {
            let y = band.filters.iter_mut().fold(x, |y, filter| filter.run(y));
            let above = y * y - band.power;
            band.power += if above > 0.0 { self.attack } else { self.release } * above;
        }
        self.power += self.level * (x * x - self.power);
        self.due += FRAMES_HZ;
        if self.due >= self.rate_hz {
            self.due -= self.rate_hz;
            self.frame(out);
        }
    }

    fn frame(&mut self, out: &mut Vec<f64>) {
        let now = self.frames as f64 / FRAMES_HZ;
        self.frames += 1;
        let forget = 1.0 - (-1.0 / (MOMENT_SECS * FRAMES_HZ)).exp();
        let (mut rise, mut power, mut octaves) = (0.0, 0.0, 0.0);
        for band in &mut self.bands {
            let db = decibels(band.power);
            rise += (db - band.before_db).max(0.0);
            band.before_db += forget * (db - band.before_db);
            power += band.power;
            octaves += band.power * (band.centre_hz / LOWEST_HZ).log2();
            if self.gives_bands {
                out.push(db);
            }
        }
        rise /= self.bands.len() as f64;
        let enough = ONSET_DB.max(ONSET_TIMES * self.usual_rise);
        if rise > enough && self.armed && now > MOMENT_SECS && now - self.last_onset > ONSET_APART_SECS {
            self.last_onset = now;
            self.armed = false;
            self.onset.push(now, 1.0);
        } else if rise < 0.5 * enough {
            self.armed = true;
        }
        self.usual_rise += (rise - self.usual_rise) / (USUAL_SECS * FRAMES_HZ);
        out.push(decibels(self.power));
        out.push(self.onset.at(now));
        if !self.gives_bands {
            out.push(if power > 0.0 { octaves / power } else { 0.0 });
        }
    }
}

fn decibels(power: f64) -> f64 {
    (10.0 * power.max(1e-12).log10()).max(FLOOR_DB)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    const RATE_HZ: f64 = 48_000.0;

    fn heard(listener: &mut Listener, secs: f64, wave: impl Fn(f64) -> f64) -> Vec<Vec<f64>> {
        let mut out = Vec::new();
        (0..(secs * RATE_HZ) as usize).for_each(|n| listener.push(wave(n as f64 / RATE_HZ), &mut out));
        out.chunks(listener.channels().len()).map(<[f64]>::to_vec).collect()
    }

    #[test]
    fn a_tone_is_loudest_in_its_band_and_far_quieter_elsewhere() {
        for hz in [60.0, 440.0, 3000.0, 12_000.0] {
            let mut listener = Listener::new(RATE_HZ, 30, true);
            let frames = heard(&mut listener, 1.0, |time| 0.5 * (TAU * hz * time).sin());
            let last = &frames[frames.len() - 1][..30];
            let loudest = (0..30).max_by(|a, b| last[*a].total_cmp(&last[*b])).unwrap();
            let centre_hz = listener.bands[loudest].centre_hz;
            assert!((centre_hz / hz).log2().abs() < 0.25, "{hz} Hz is loudest at {centre_hz}");
            assert!((-12.0..-6.0).contains(&last[loudest]), "its power is -9 dB: {}", last[loudest]);
            assert!(last.iter().enumerate().all(|(n, db)| n.abs_diff(loudest) < 5 || *db < last[loudest] - 24.0));
        }
    }

    #[test]
    fn frames_come_at_their_rate_and_level_follows_the_loudness() {
        let mut listener = Listener::new(RATE_HZ, LEVEL_BANDS, false);
        let loud = heard(&mut listener, 2.0, |time| (TAU * 500.0 * time).sin());
        assert_eq!(loud.len(), 256);
        assert!((loud[255][0] + 3.0).abs() < 0.3, "{}", loud[255][0]);
        let quiet = heard(&mut listener, 3.0, |_| 0.0);
        assert_eq!(quiet[383][0], FLOOR_DB);
    }

    #[test]
    fn each_beat_is_one_onset_and_a_steady_tone_has_none() {
        let mut listener = Listener::new(RATE_HZ, LEVEL_BANDS, false);
        let beat = |time: f64| (TAU * 200.0 * time).sin() * (-(time % 0.5) * 20.0).exp();
        let onsets = |frames: &[Vec<f64>]| frames.windows(2).filter(|pair| pair[1][1] > pair[0][1]).count();
        let frames = heard(&mut listener, 5.0, beat);
        assert!((8..=10).contains(&onsets(&frames)), "{}", onsets(&frames));
        let mut listener = Listener::new(RATE_HZ, LEVEL_BANDS, false);
        let frames = heard(&mut listener, 5.0, |time| (TAU * 200.0 * time).sin());
        assert_eq!(onsets(&frames[64..]), 0);
    }
}
