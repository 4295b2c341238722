//! What can be seen of a channel's health in its raw samples: flat, clipped, missing, humming. Sample by sample, on the
//! thread that reads the source; costs a few operations a sample.

mod watch;

use std::collections::VecDeque;
use std::f64::consts::TAU;

pub use watch::{Ailment, Watch};

/// A channel that has not moved for so long is flat...
const FLAT_SECS: f64 = 0.5;
/// ...but not before so many samples: a slow sensor repeats a value without being dead.
const FLAT_FRAMES: f64 = 8.0;
/// Not moving: within this part of the range seen.
const FLAT_TOLERANCE: f64 = 1e-9;
/// A rail is hit by at least so many equal samples in a row...
const CLIPPED_RUN: u64 = 3;
/// ...which the signal enters or leaves by a step greater than so many of the smallest steps it takes. (The blunt top
/// of a slow wave in whole numbers is entered by the smallest step.)
const CLIPPED_STEP: f64 = 4.0;
/// Seconds of the recent past that range, rms and hum are taken from, one bucket each.
const RECENT_BUCKETS: usize = 10;
const BUCKET_FRAMES: usize = 16;

/// The health of one channel of a source, in the units of the source.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Health {
    pub name: String,
    /// Has not moved for half a second, or is missing.
    pub flat: bool,
    /// Part of all samples so far that lie on a rail.
    pub clipped_fraction: f64,
    /// Samples so far that were no numbers and were bridged.
    pub bridged: u64,
    /// Parts of the last 10 s that lie on a rail, and that were bridged.
    pub clipped_recent: f64,
    pub missing_recent: f64,
    /// Mean of the last 10 s.
    pub mean: f64,
    /// Root mean square about the mean, of the last 10 s.
    pub rms: f64,
    /// Extremes of the last 10 s.
    pub min: f64,
    pub max: f64,
    /// Part of the variance that lies in 1 Hz around 50 and around 60 Hz; 0 where the rate is too low to tell.
    pub hum_50: f64,
    pub hum_60: f64,
}

/// Count, mean, spread and extremes of a stretch of samples.
#[derive(Debug, Clone, Copy)]
pub struct Moments {
    pub count: u64,
    pub mean: f64,
    /// Sum of squared deviations from the mean (Welford 1962, doi 10.1080/00401706.1962.10490022).
    squares: f64,
    pub min: f64,
    pub max: f64,
}

impl Default for Moments {
    fn default() -> Self {
        Self { count: 0, mean: 0.0, squares: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }
}

impl Moments {
    pub fn push(&mut self, x: f64) {
        self.count += 1;
        let from_mean = x - self.mean;
        self.mean += from_mean / self.count as f64;
        self.squares += from_mean * (x - self.mean);
        self.min = self.min.min(x);
        self.max = self.max.max(x);
    }

    fn join(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let (n, m) = (self.count as f64, other.count as f64);
        let apart = other.mean - self.mean;
        self.squares += other.squares + apart * apart * n * m / (n + m);
        self.mean += apart * m / (n + m);
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    pub fn variance(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.squares / self.count as f64 }
    }

    /// Root mean square about zero.
    pub fn root_mean_square(&self) -> f64 {
        (self.variance() + self.mean * self.mean).sqrt()
    }
}

/// Power at one frequency of a bucket of samples (Goertzel 1958, doi 10.2307/2310304).
#[derive(Debug, Clone)]
struct Line {
    twice_cos: f64,
    s: [f64; 2],
}

impl Line {
    fn new(line_hz: f64, rate_hz: f64) -> Option<Self> {
        (rate_hz > 2.2 * line_hz).then(|| Self { twice_cos: 2.0 * (TAU * line_hz / rate_hz).cos(), s: [0.0; 2] })
    }

    fn push(&mut self, x: f64) {
        self.s = [x + self.twice_cos * self.s[0] - self.s[1], self.s[0]];
    }

    /// Variance of the line over `count` samples; starts anew.
    fn take(&mut self, count: u64) -> f64 {
        let [a, b] = std::mem::take(&mut self.s);
        let count = count.max(1);
        2.0 * (a * a + b * b - self.twice_cos * a * b) / (count as f64 * count as f64)
    }
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    moments: Moments,
    hum: [f64; 2],
    clipped: u64,
    missing: u64,
}

/// The samples on one rail: the greatest (or smallest, with the sign turned) value seen.
#[derive(Debug, Clone, Copy)]
struct Rail {
    at: f64,
    clipped: u64,
}

/// Watches one channel.
#[derive(Debug, Clone)]
pub struct Meter {
    bucket_frames: u64,
    flat_frames: u64,
    lines: [Option<Line>; 2],
    reference: f64,
    now: Moments,
    /// Of the bucket that is being filled.
    clipped_now: u64,
    missing_now: u64,
    recent: VecDeque<Bucket>,
    whole: Moments,
    bridged: u64,
    previous: f64,
    /// Equal samples up to now, and the step that led to them.
    run: u64,
    step_in: f64,
    smallest_step: f64,
    rails: [Rail; 2],
    still_at: f64,
    still: u64,
    longest_still: u64,
}

impl Meter {
    pub fn new(rate_hz: f64) -> Self {
        Self {
            bucket_frames: (rate_hz.round() as u64).max(BUCKET_FRAMES as u64),
            flat_frames: (FLAT_SECS * rate_hz).max(FLAT_FRAMES).ceil() as u64,
            lines: [50.0, 60.0].map(|line_hz| Line::new(line_hz, rate_hz)),
            reference: 0.0,
            now: Moments::default(),
            clipped_now: 0,
            missing_now: 0,
            recent: VecDeque::with_capacity(RECENT_BUCKETS + 1),
            whole: Moments::default(),
            bridged: 0,
            previous: f64::NAN,
            run: 0,
            step_in: 0.0,
            smallest_step: f64::INFINITY,
            rails: [Rail { at: f64::NEG_INFINITY, clipped: 0 }; 2],
            still_at: f64::NAN,
            still: 0,
            longest_still: 0,
        }
    }

    /// Takes one sample: finite, and whether it stands in for one that was missing.
    pub fn push(&mut self, x: f64, missing: bool) {
        self.watch_stillness(x);
        if missing {
            self.bridged += 1;
            self.missing_now += 1;
            self.close_full_bucket();
            return;
        }
        if self.now.count == 0 {
            self.reference = x;
        }
        self.now.push(x);
        self.whole.push(x);
        for line in self.lines.iter_mut().flatten() {
            line.push(x - self.reference);
        }
        self.watch_rails(x);
        self.close_full_bucket();
    }

    fn close_full_bucket(&mut self) {
        if self.now.count + self.missing_now < self.bucket_frames {
            return;
        }
        let moments = std::mem::take(&mut self.now);
        let (clipped, missing) = (std::mem::take(&mut self.clipped_now), std::mem::take(&mut self.missing_now));
        let hum = [0, 1].map(|line| self.lines[line].as_mut().map_or(0.0, |line| line.take(moments.count)));
        self.recent.push_back(Bucket { moments, hum, clipped, missing });
        if self.recent.len() > RECENT_BUCKETS {
            self.recent.pop_front();
        }
    }

    fn watch_stillness(&mut self, x: f64) {
        let tolerance = FLAT_TOLERANCE * (self.whole.max - self.whole.min).max(0.0);
        if (x - self.still_at).abs() <= tolerance {
            self.still += 1;
        } else {
            self.still = 1;
            self.still_at = x;
        }
        self.longest_still = self.longest_still.max(self.still);
    }

    fn watch_rails(&mut self, x: f64) {
        if x == self.previous {
            self.run += 1;
            return;
        }
        if self.previous.is_finite() {
            let step_out = (x - self.previous).abs();
            self.smallest_step = self.smallest_step.min(step_out);
            let steep = self.step_in.max(step_out) > CLIPPED_STEP * self.smallest_step;
            for (rail, sign) in self.rails.iter_mut().zip([1.0, -1.0]) {
                let value = self.previous * sign;
                if value > rail.at {
                    // What lay on the former extreme was no rail.
                    *rail = Rail { at: value, clipped: 0 };
                }
                if value == rail.at && steep && (CLIPPED_RUN..self.flat_frames).contains(&self.run) {
                    rail.clipped += self.run;
                    self.clipped_now += self.run;
                }
            }
            self.step_in = step_out;
        }
        self.run = 1;
        self.previous = x;
    }

    pub fn is_flat(&self) -> bool {
        self.still >= self.flat_frames
    }

    /// Whether it was flat at any time.
    pub fn was_flat(&self) -> bool {
        self.longest_still >= self.flat_frames
    }

    pub fn clipped_fraction(&self) -> f64 {
        let clipped: u64 = self.rails.iter().map(|rail| rail.clipped).sum();
        if self.whole.count == 0 { 0.0 } else { clipped as f64 / self.whole.count as f64 }
    }

    pub fn bridged(&self) -> u64 {
        self.bridged
    }

    /// Of all samples so far.
    pub fn moments(&self) -> Moments {
        self.whole
    }

    pub fn health(&self, name: String) -> Health {
        let mut recent = self.now;
        let mut hum = [0.0; 2];
        let mut variance = 0.0;
        let (mut clipped, mut missing) = (self.clipped_now, self.missing_now);
        for bucket in &self.recent {
            clipped += bucket.clipped;
            missing += bucket.missing;
            recent.join(&bucket.moments);
            variance += bucket.moments.variance();
            hum[0] += bucket.hum[0];
            hum[1] += bucket.hum[1];
        }
        let [hum_50, hum_60] = hum.map(|line| if variance > 0.0 { (line / variance).clamp(0.0, 1.0) } else { 0.0 });
        let seen = recent.count > 0;
        let part = |count: u64, of: u64| if of == 0 { 0.0 } else { (count as f64 / of as f64).min(1.0) };
        Health {
            name,
            flat: self.is_flat(),
            clipped_fraction: self.clipped_fraction(),
            bridged: self.bridged,
            clipped_recent: part(clipped, recent.count),
            missing_recent: part(missing, recent.count + missing),
            mean: recent.mean,
            rms: recent.variance().sqrt(),
            min: if seen { recent.min } else { 0.0 },
            max: if seen { recent.max } else { 0.0 },
            hum_50,
            hum_60,
        }
    }
}
