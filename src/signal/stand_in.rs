//! What plays instead of a channel that is flat or missing: a delayed mixture of the healthy ones, and under it a very
//! quiet drift, so that nothing freezes even when no channel is left. Deterministic. Works at 512 Hz in units of a
//! channel's own standard deviation.

use super::MAPPING_RATE_HZ;
use super::random::Random;
use super::ring::{Ring, reflect};

/// From dead to replaced, and back.
const BLEND_SECS: f64 = 0.5;
/// Channels that one stand-in is mixed from, at most.
const PARTS: usize = 32;
/// Amplitude of the drift, in standard deviations.
const DRIFT: f64 = 0.01;
/// Corner of the drift: slow enough to flow, fast enough to live.
const DRIFT_HZ: f64 = 3.0;
/// Keeps the mixture from jumping as the last healthy channel leaves.
const LAST_SHARE: f64 = 0.1;

/// Running mean and spread of a channel, by exponential forgetting that begins as a plain average.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scale {
    count: f64,
    pub mean: f64,
    variance: f64,
}

impl Scale {
    pub fn push(&mut self, x: f64, memory_frames: f64) {
        self.count += 1.0;
        let weight = 1.0 / self.count.min(memory_frames);
        let from_mean = x - self.mean;
        self.mean += weight * from_mean;
        self.variance = (1.0 - weight) * (self.variance + weight * from_mean * from_mean);
    }

    pub fn deviation(&self) -> f64 {
        self.variance.sqrt()
    }

    /// In standard deviations from the mean; 0 for a channel that has never moved.
    pub fn unit(&self, x: f64) -> f64 {
        let deviation = self.deviation();
        if deviation > 0.0 { (x - self.mean) / deviation } else { 0.0 }
    }
}

#[derive(Debug, Clone, Copy)]
struct Part {
    channel: usize,
    delay_frames: i64,
    gain: f64,
}

/// The stand-ins of all channels of a source.
#[derive(Debug)]
pub struct StandIns {
    parts: Vec<Vec<Part>>,
    /// 0 is the channel itself, 1 its stand-in.
    absence: Vec<f64>,
    drift: Vec<[f64; 2]>,
    drift_keep: f64,
    drift_gain: f64,
    random: Random,
}

impl StandIns {
    pub fn new(channels: usize, max_delay_secs: f64) -> Self {
        let mut random = Random::new(0x57a4_d145);
        let rate_hz = MAPPING_RATE_HZ as f64;
        let keep = (-std::f64::consts::TAU * DRIFT_HZ / rate_hz).exp();
        let parts = (0..channels)
            .map(|channel| {
                let others = (1..channels).take(PARTS).map(|apart| (channel + apart) % channels);
                others
                    .map(|other| Part {
                        channel: other,
                        delay_frames: (random.between(0.05, 1.0) * max_delay_secs * rate_hz) as i64,
                        gain: random.sign() * random.between(0.3, 1.0),
                    })
                    .collect()
            })
            .collect();
        Self {
            parts,
            absence: vec![0.0; channels],
            drift: vec![[0.0; 2]; channels],
            drift_keep: keep,
            // Two equal poles k with gain 1-k each leave (1-k)(1+k^2)/(1+k)^3 of the variance of white noise.
            drift_gain: DRIFT / ((1.0 - keep) * (1.0 + keep * keep) / (1.0 + keep).powi(3)).sqrt(),
            random,
        }
    }

    /// Moves on by one frame, towards the stand-ins of those channels that are dead.
    pub fn step(&mut self, dead: &[bool]) {
        let step = 1.0 / (BLEND_SECS * MAPPING_RATE_HZ as f64);
        for ((absence, dead), drift) in self.absence.iter_mut().zip(dead).zip(&mut self.drift) {
            *absence = (*absence + if *dead { step } else { -step }).clamp(0.0, 1.0);
            let keep = self.drift_keep;
            drift[0] = keep * drift[0] + (1.0 - keep) * self.random.normal();
            drift[1] = keep * drift[1] + (1.0 - keep) * drift[0];
        }
    }

    /// Share of the stand-in in a channel, smooth in time.
    pub fn share(&self, channel: usize) -> f64 {
        let absence = self.absence[channel];
        absence * absence * (3.0 - 2.0 * absence)
    }

    /// The stand-in of a channel at frame `number`, in standard deviations.
    pub fn value(&self, channel: usize, number: u64, past: &Ring, mirror: u64, scales: &[Scale]) -> f64 {
        let (mut sum, mut power) = (0.0, 0.0);
        for part in &self.parts[channel] {
            let healthy = 1.0 - self.share(part.channel);
            if healthy > 0.0 {
                let then = number as i64 - part.delay_frames;
                let then = if then < 0 { reflect(then, mirror.max(1)) } else { then as u64 };
                let frame = past.frame(then.max(past.oldest()));
                let x = frame.map_or(0.0, |frame| frame[part.channel]);
                sum += healthy * part.gain * scales[part.channel].unit(x);
                power += (healthy * part.gain).powi(2);
            }
        }
        sum / (power + LAST_SHARE * LAST_SHARE).sqrt() + self.drift_gain * self.drift[channel][1]
    }
}
