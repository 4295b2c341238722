//! How a live source arrives: rate, jitter and drift measured from the times of arrival, never believed.
//!
//! A straight line is fitted to the count of frames over the time of arrival, with exponential forgetting: its slope is
//! the rate, the spread about it the jitter. Runs on the signal thread.

use serde::Serialize;

/// What is known of a live source's arrival.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Flow {
    /// Frames a second as they come; None before that is known.
    pub measured_rate_hz: Option<f64>,
    /// Spread of the arrivals about an even beat.
    pub jitter_ms: f64,
    /// Frames (or messages) since the start.
    pub received: u64,
    /// Frames that the sender counted or stamped and that never came.
    pub lost: u64,
    /// Frames that came but were not fetched in time.
    pub overrun: u64,
    /// Packets, lines or messages that could not be understood.
    pub malformed: u64,
    pub reconnects: u64,
    /// How much faster the sender's clock runs than this machine's; None before that is known.
    pub drift_ppm: Option<f64>,
    /// Waiting that the even beat costs, from the arrival on.
    pub buffer_ms: f64,
    /// What is waited for.
    pub buffer_of: &'static str,
    /// From the sender's time stamp to the arrival, where the clocks are compared.
    pub transit_ms: Option<f64>,
    /// Since something last came.
    pub silent_secs: f64,
    /// Silent for longer than `stale=`: what `then=` says plays.
    pub stale: bool,
    /// Connected to what, or why not.
    pub status: String,
}

/// Memory of the rate, and of the slower comparison of the clocks.
const RATE_SECS: f64 = 10.0;
const DRIFT_SECS: f64 = 120.0;
/// Before so many seconds the slope is noise.
const RATE_FROM_SECS: f64 = 1.0;
const DRIFT_FROM_SECS: f64 = 30.0;
/// A pause longer than this, and than so many usual ones, starts the measurement anew.
const PAUSE_SECS: f64 = 1.0;
const PAUSE_INTERVALS: f64 = 4.0;
/// After a pause what waited meanwhile comes all at once: so long it says nothing of the rate.
const CATCH_UP_SECS: f64 = 0.5;

/// A line through points with exponential forgetting that begins as a plain average.
#[derive(Debug, Clone)]
pub(super) struct Line {
    memory_secs: f64,
    weight: f64,
    mean_x: f64,
    mean_y: f64,
    xx: f64,
    xy: f64,
    yy: f64,
    last_x: f64,
}

impl Line {
    pub(super) fn new(memory_secs: f64) -> Self {
        Self { memory_secs, weight: 0.0, mean_x: 0.0, mean_y: 0.0, xx: 0.0, xy: 0.0, yy: 0.0, last_x: f64::NAN }
    }

    pub(super) fn push(&mut self, x: f64, y: f64) {
        if self.last_x.is_finite() {
            let keep = (-(x - self.last_x).max(0.0) / self.memory_secs).exp();
            self.weight *= keep;
            self.xx *= keep;
            self.xy *= keep;
            self.yy *= keep;
        }
        self.last_x = x;
        self.weight += 1.0;
        let (from_x, from_y) = (x - self.mean_x, y - self.mean_y);
        self.mean_x += from_x / self.weight;
        self.mean_y += from_y / self.weight;
        self.xx += from_x * (x - self.mean_x);
        self.xy += from_x * (y - self.mean_y);
        self.yy += from_y * (y - self.mean_y);
    }

    pub(super) fn slope(&self) -> Option<f64> {
        (self.xx > 0.0).then(|| self.xy / self.xx)
    }

    /// Root mean square of the distances in y.
    fn spread(&self) -> f64 {
        let Some(slope) = self.slope() else { return 0.0 };
        ((self.yy - slope * self.xy).max(0.0) / self.weight.max(1.0)).sqrt()
    }
}

/// Measures the arrivals of one stream.
#[derive(Debug, Clone)]
pub struct ArrivalMeter {
    rate: Line,
    drift: Line,
    frames: f64,
    first_secs: f64,
    last_secs: f64,
    /// Usual pause between two arrivals.
    interval_secs: f64,
    arrivals: u64,
    /// Until then what waited during a pause may come.
    catches_up_until: f64,
}

impl Default for ArrivalMeter {
    fn default() -> Self {
        Self {
            rate: Line::new(RATE_SECS),
            drift: Line::new(DRIFT_SECS),
            frames: 0.0,
            first_secs: f64::NAN,
            last_secs: f64::NAN,
            interval_secs: 0.0,
            arrivals: 0,
            catches_up_until: f64::NEG_INFINITY,
        }
    }
}

impl ArrivalMeter {
    /// So many frames came at this moment.
    pub fn push(&mut self, at_secs: f64, frames: usize) {
        let pause = at_secs - self.last_secs;
        // After a single arrival a long pause is the beat of a slow sender.
        let too_long = self.arrivals > 1 && pause > PAUSE_SECS.max(PAUSE_INTERVALS * self.interval_secs);
        let catches_up = at_secs < self.catches_up_until;
        if !pause.is_finite() || too_long || catches_up {
            let catches_up_until = if too_long { at_secs + CATCH_UP_SECS } else { self.catches_up_until };
            *self = Self { interval_secs: self.interval_secs, catches_up_until, ..Self::default() };
            self.first_secs = at_secs;
            self.last_secs = at_secs;
            // The frames of the first arrival were made before it.
            self.rate.push(at_secs, 0.0);
            self.drift.push(at_secs, 0.0);
            self.arrivals = 1;
            return;
        }
        let weight = 1.0 / (self.arrivals as f64).clamp(1.0, 50.0);
        self.interval_secs += weight * (pause - self.interval_secs);
        self.arrivals += 1;
        self.frames += frames as f64;
        self.last_secs = at_secs;
        self.rate.push(at_secs, self.frames);
        self.drift.push(at_secs, self.frames);
    }

    fn measured_secs(&self) -> f64 {
        let secs = self.last_secs - self.first_secs;
        if secs.is_finite() { secs } else { 0.0 }
    }

    pub fn rate_hz(&self) -> Option<f64> {
        // Slow sources need a few arrivals.
        let enough = self.measured_secs() >= RATE_FROM_SECS.max(2.5 * self.interval_secs) && self.arrivals > 2;
        self.rate.slope().filter(|rate_hz| enough && *rate_hz > 0.0)
    }

    /// How long the rate has been measured without a pause.
    pub fn settled_secs(&self) -> f64 {
        self.measured_secs()
    }

    pub fn jitter_secs(&self) -> f64 {
        self.rate_hz().map_or(0.0, |rate_hz| self.rate.spread() / rate_hz)
    }

    pub fn interval_secs(&self) -> f64 {
        self.interval_secs
    }

    /// The sender's clock against this machine's, in millionths, if it means to send `nominal_hz`.
    pub fn drift_ppm(&self, nominal_hz: f64) -> Option<f64> {
        let slope = self.drift.slope().filter(|_| self.measured_secs() >= DRIFT_FROM_SECS && nominal_hz > 0.0)?;
        Some((slope / nominal_hz - 1.0) * 1e6)
    }
}

/// The rate that a measured one most likely means: the nearest usual one within two percent, else three digits.
pub fn likely_rate_hz(measured_hz: f64) -> f64 {
    const USUAL: [f64; 26] = [
        50.0, 60.0, 64.0, 100.0, 120.0, 125.0, 128.0, 160.0, 200.0, 250.0, 256.0, 300.0, 400.0, 500.0, 512.0, 600.0,
        1000.0, 1024.0, 1200.0, 2000.0, 2048.0, 2400.0, 4000.0, 5000.0, 10_000.0, 30_000.0,
    ];
    let apart = |usual: f64| (measured_hz / usual - 1.0).abs();
    let near = USUAL.into_iter().filter(|usual| apart(*usual) < 0.02).min_by(|a, b| apart(*a).total_cmp(&apart(*b)));
    near.unwrap_or_else(|| {
        let digits = 10f64.powf(2.0 - measured_hz.max(1e-3).log10().floor());
        (measured_hz * digits).round() / digits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_jitter_and_drift_are_those_of_the_arrivals() {
        let mut meter = ArrivalMeter::default();
        // 250.0125 frames a second in packets of ten, up to 8 ms late.
        let mut random = crate::signal::random::Random::new(3);
        for packet in 0..2500 {
            let late = random.unit() * 0.008;
            meter.push(packet as f64 * 10.0 / 250.0125 + late, 10);
        }
        assert!((meter.rate_hz().unwrap() - 250.0).abs() < 0.1, "{:?}", meter.rate_hz());
        let jitter_ms = 1e3 * meter.jitter_secs();
        assert!((1.8..2.8).contains(&jitter_ms), "8 ms / sqrt(12) is 2.3 ms: {jitter_ms}");
        let drift = meter.drift_ppm(250.0).unwrap();
        assert!((drift - 50.0).abs() < 20.0, "{drift}");
    }

    #[test]
    fn a_pause_does_not_spoil_the_rate() {
        let mut meter = ArrivalMeter::default();
        for n in 0..100 {
            meter.push(n as f64 * 0.02, 1);
        }
        for n in 0..100 {
            meter.push(60.0 + n as f64 * 0.02, 1);
        }
        assert!((meter.rate_hz().unwrap() - 50.0).abs() < 0.01);
    }

    #[test]
    fn what_waited_during_a_pause_does_not_pass_for_a_faster_sender() {
        let mut meter = ArrivalMeter::default();
        (0..200).for_each(|n| meter.push(f64::from(n) * 0.02, 40));
        // Three seconds late, in one go.
        (0..150).for_each(|n| meter.push(7.0 + f64::from(n) * 1e-4, 40));
        (0..350).for_each(|n| meter.push(7.02 + f64::from(n) * 0.02, 40));
        assert!((meter.rate_hz().unwrap() - 2000.0).abs() < 1.0, "{:?}", meter.rate_hz());
    }

    #[test]
    fn a_sensor_of_one_hertz_is_measured_too() {
        let mut meter = ArrivalMeter::default();
        for n in 0..5 {
            meter.push(f64::from(n) * 1.02, 1);
        }
        assert!((meter.rate_hz().unwrap() - 1.0 / 1.02).abs() < 0.01);
    }

    #[test]
    fn a_measured_rate_is_taken_for_the_usual_one_near_it() {
        for (measured, likely) in [(249.6, 250.0), (255.1, 256.0), (1003.0, 1000.0), (1.0, 1.0), (87.31, 87.3)] {
            assert_eq!(likely_rate_hz(measured), likely, "{measured}");
        }
    }
}
