//! Values that come when they come become an even beat: what is sent by a wind vane once a second, and what a phone
//! sends ten thousand times a second in fits and starts.
//!
//! Each value gets a time on this machine's clock: the sender's time tag moved by the smallest delay seen, or, without
//! one, the arrival smoothed by a loop that follows the sender's beat (Adriaensen 2005, "Using a DLL to filter time").
//! Between two values there is a straight line; each frame is its mean over one interval of the beat, so that a fast
//! sender does not alias. All of it is played late by what the arrivals need, measured and slowly adjusted. Lives on the
//! signal thread.

use std::collections::VecDeque;

use super::flow::ArrivalMeter;
use super::pulse::Pulse;

/// Longest wait for the next value, and so the longest line between two; a slower value is held, then blended into.
const MAX_DELAY_SECS: f64 = 2.5;
const SPARE_SECS: f64 = 0.005;
/// Seconds a second by which the delay grows and shrinks: too little to be seen as a change of speed.
const DELAY_UP: f64 = 0.2;
const DELAY_DOWN: f64 = 0.01;
/// Memory of the latest arrival.
const LAG_MEMORY_SECS: f64 = 10.0;
/// A sender's clock may run slower by this and be followed.
const CLOCK_LEAK: f64 = 5e-4;
/// A time tag further off than this: the sender's clock was set, or it was started again.
const CLOCK_STEP_SECS: f64 = 2.0;
/// Gains of the loop, once it has settled.
const FOLLOW_TIME: f64 = 0.05;
const FOLLOW_PERIOD: f64 = 0.01;
/// Values kept of a channel at most.
const MAX_KEPT: usize = 1 << 16;

/// Gives values of one sender's address their times.
#[derive(Debug, Clone)]
pub struct Stamper {
    /// Smallest arrival minus time tag, lately.
    offset: f64,
    last_at: f64,
    last_time: f64,
    period: f64,
    arrivals: f64,
    lag: f64,
}

impl Default for Stamper {
    fn default() -> Self {
        let nan = f64::NAN;
        Self { offset: nan, last_at: nan, last_time: nan, period: 0.0, arrivals: 0.0, lag: 0.0 }
    }
}

impl Stamper {
    /// The time on this machine's clock of what arrived at `at_secs`.
    pub fn time(&mut self, at_secs: f64, sender_secs: Option<f64>) -> f64 {
        let time = match sender_secs {
            Some(sender_secs) => self.by_tag(at_secs, sender_secs),
            None => self.by_beat(at_secs),
        };
        let lag = (at_secs - time).max(0.0);
        if self.last_at.is_finite() {
            self.lag *= (-(at_secs - self.last_at).max(0.0) / LAG_MEMORY_SECS).exp();
        }
        self.lag = self.lag.max(lag);
        self.last_at = at_secs;
        self.last_time = time;
        time
    }

    fn by_tag(&mut self, at_secs: f64, sender_secs: f64) -> f64 {
        let apart = at_secs - sender_secs;
        if !self.offset.is_finite() || (apart - self.offset).abs() > CLOCK_STEP_SECS {
            self.offset = apart;
            self.lag = 0.0;
        }
        if self.last_at.is_finite() {
            self.offset += CLOCK_LEAK * (at_secs - self.last_at).clamp(0.0, 10.0);
        }
        self.offset = self.offset.min(apart);
        sender_secs + self.offset
    }

    fn by_beat(&mut self, at_secs: f64) -> f64 {
        let interval = at_secs - self.last_at;
        if !interval.is_finite() {
            return at_secs;
        }
        let off = at_secs - (self.last_time + self.period);
        if self.arrivals > 0.0 && (interval > 1.0f64.max(4.0 * self.period) || off.abs() > 0.05 + 4.0 * self.period) {
            return at_secs.max(self.last_time);
        }
        self.arrivals += 1.0;
        self.period += FOLLOW_PERIOD.max(1.0 / self.arrivals) * (interval - self.period);
        let off = at_secs - (self.last_time + self.period);
        let time = self.last_time + self.period + FOLLOW_TIME.max(1.0 / (self.arrivals + 1.0)) * off;
        time.max(self.last_time + 0.1 * self.period)
    }

    /// How late the latest arrival was, lately.
    fn lag_secs(&self) -> f64 {
        self.lag
    }
}

/// The values of one channel with their times, in order.
#[derive(Debug, Default)]
struct Series {
    points: VecDeque<(f64, f64)>,
}

impl Series {
    fn push(&mut self, time: f64, value: f64) {
        // Packets may overtake each other.
        let at = self.points.partition_point(|(earlier, _)| *earlier <= time);
        if at == self.points.len() {
            self.points.push_back((time, value));
        } else {
            self.points.insert(at, (time, value));
        }
        if self.points.len() > MAX_KEPT {
            self.points.pop_front();
        }
    }

    /// Mean over `from..to`, with lines no longer than `ramp`; not a number before anything came.
    fn mean(&mut self, from: f64, to: f64, ramp: f64) -> f64 {
        while self.points.len() > 1 && self.points[1].0 <= from {
            self.points.pop_front();
        }
        let Some(&(_, first)) = self.points.front() else { return f64::NAN };
        let mut area = 0.0;
        let mut reached = from;
        let mut last = first;
        for pair in 0..self.points.len().saturating_sub(1) {
            let ((a_time, a), (b_time, b)) = (self.points[pair], self.points[pair + 1]);
            if reached >= to {
                break;
            }
            let begin = a_time.max(b_time - ramp);
            let held = begin.min(to);
            if held > reached {
                area += a * (held - reached);
                reached = held;
            }
            let end = b_time.min(to);
            if end > reached {
                let value = |time: f64| a + (b - a) * (time - begin) / (b_time - begin).max(1e-12);
                area += 0.5 * (value(reached) + value(end)) * (end - reached);
                reached = end;
            }
            last = b;
        }
        if reached < to {
            area += last * (to - reached);
        }
        area / (to - from)
    }
}

/// What one channel is made of.
#[derive(Debug)]
enum Track {
    Values(Series),
    Pulse(Pulse),
}

/// The channels that come together.
#[derive(Debug)]
struct Group {
    first_channel: usize,
    stamper: Stamper,
    meter: ArrivalMeter,
    is_events: bool,
}

/// The resampler of a source whose values come when they come.
#[derive(Debug)]
pub struct Regular {
    rate_hz: f64,
    tracks: Vec<Track>,
    groups: Vec<Group>,
    delay_secs: f64,
}

impl Regular {
    /// `pulses` says of each channel whether it is one of events, and then how fast they decay.
    pub fn new(rate_hz: f64, pulses: &[Option<f64>]) -> Self {
        let tracks = pulses.iter().map(|decay_secs| match decay_secs {
            None => Track::Values(Series::default()),
            Some(decay_secs) => Track::Pulse(Pulse::new(*decay_secs)),
        });
        Self { rate_hz, tracks: tracks.collect(), groups: Vec::new(), delay_secs: SPARE_SECS }
    }

    /// Values of the channels from `first_channel` on arrived.
    pub fn push(&mut self, at_secs: f64, sender_secs: Option<f64>, first_channel: usize, values: &[f64]) {
        let found = self.groups.iter().position(|group| group.first_channel == first_channel);
        let group = match found {
            Some(found) => &mut self.groups[found],
            None => {
                let is_events = matches!(self.tracks.get(first_channel), Some(Track::Pulse(_)));
                let (stamper, meter) = (Stamper::default(), ArrivalMeter::default());
                self.groups.push(Group { first_channel, stamper, meter, is_events });
                let last = self.groups.len() - 1;
                &mut self.groups[last]
            }
        };
        // An event is when it is: it has no beat.
        let beatless = group.is_events && sender_secs.is_none();
        let time = if beatless { at_secs } else { group.stamper.time(at_secs, sender_secs) };
        group.meter.push(at_secs, 1);
        for (track, value) in self.tracks.iter_mut().skip(first_channel).zip(values) {
            match track {
                Track::Values(series) if value.is_finite() => series.push(time, *value),
                Track::Values(_) => {}
                Track::Pulse(pulse) => pulse.push(time, *value),
            }
        }
    }

    /// The frame that is due at `at_secs`, to be asked for in even steps of the rate.
    pub fn frame(&mut self, at_secs: f64, frame: &mut [f64]) {
        let step = 1.0 / self.rate_hz;
        self.delay_secs += (self.wanted_delay_secs() - self.delay_secs).clamp(-DELAY_DOWN * step, DELAY_UP * step);
        let to = at_secs - self.delay_secs;
        for (track, x) in self.tracks.iter_mut().zip(frame) {
            *x = match track {
                Track::Values(series) => series.mean(to - step, to, self.delay_secs),
                Track::Pulse(pulse) => pulse.at(to),
            };
        }
    }

    fn wanted_delay_secs(&self) -> f64 {
        let beats = self.groups.iter().filter(|group| !group.is_events);
        let needs = beats.map(|group| 1.05 * group.meter.interval_secs() + group.stamper.lag_secs());
        (needs.fold(0.0, f64::max) + SPARE_SECS).min(MAX_DELAY_SECS)
    }

    pub fn delay_secs(&self) -> f64 {
        self.delay_secs
    }

    /// Of the channels that come most often.
    pub fn meter(&self) -> Option<&ArrivalMeter> {
        let rate = |group: &&Group| group.meter.rate_hz().unwrap_or(0.0);
        let busiest = self.groups.iter().max_by(|a, b| rate(a).total_cmp(&rate(b)))?;
        Some(&busiest.meter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::random::Random;

    /// Plays `secs` of a wave of `wave_hz` sent at `sent_hz`, each value up to `late_secs` late, at `rate_hz`: the worst
    /// difference from the wave after the first third, and the delay at the end.
    fn worst(wave_hz: f64, sent_hz: f64, late_secs: f64, rate_hz: f64, secs: f64, tagged: bool) -> (f64, f64) {
        let wave = |time: f64| (std::f64::consts::TAU * wave_hz * time).sin();
        let mut random = Random::new(7);
        let mut regular = Regular::new(rate_hz, &[None]);
        let mut arrivals: Vec<(f64, f64)> = (0..(secs * sent_hz) as usize)
            .map(|n| n as f64 / sent_hz)
            .map(|time| (time + 0.02 + random.unit() * late_secs, time))
            .collect();
        arrivals.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut arrivals = arrivals.into_iter().peekable();
        let mut worst = 0f64;
        for n in 0..(secs * rate_hz) as usize {
            let now = n as f64 / rate_hz;
            while let Some((at, time)) = arrivals.next_if(|(at, _)| *at <= now) {
                regular.push(at, tagged.then_some(1e6 + time), 0, &[wave(time)]);
            }
            let mut frame = [0.0];
            regular.frame(now, &mut frame);
            if now > secs / 3.0 {
                // The smallest delay, 20 ms, cannot be known; the mean lies half a step back.
                let meant = now - regular.delay_secs() - 0.02 - 0.5 / rate_hz;
                worst = worst.max((frame[0] - wave(meant)).abs());
            }
        }
        (worst, regular.delay_secs())
    }

    #[test]
    fn a_sensor_of_one_hertz_becomes_a_smooth_curve() {
        let (off, delay) = worst(0.05, 1.0, 0.1, 50.0, 90.0, true);
        assert!(off < 0.05, "{off}");
        assert!((1.0..1.5).contains(&delay), "{delay}");
    }

    #[test]
    fn ten_kilohertz_in_fits_and_starts_keep_their_shape() {
        let (off, delay) = worst(20.0, 10_000.0, 0.004, 1000.0, 3.0, true);
        assert!(off < 0.01, "{off}");
        assert!(delay < 0.02, "{delay}");
    }

    #[test]
    fn without_time_tags_the_arrivals_are_smoothed() {
        // A wave of 1 Hz changes by 0.063 within the 10 ms by which its values are late.
        let (off, _) = worst(1.0, 100.0, 0.01, 200.0, 12.0, false);
        assert!(off < 0.055, "{off}");
    }

    #[test]
    fn a_fast_sender_does_not_alias() {
        // 95 Hz at 100 frames a second would show as 5 Hz.
        let wave = |time: f64| (std::f64::consts::TAU * 95.0 * time).sin();
        let mut regular = Regular::new(100.0, &[None]);
        let (mut sent, mut loudest) = (0, 0f64);
        for n in 0..500 {
            let now = f64::from(n) / 100.0;
            while f64::from(sent) / 2000.0 <= now {
                let time = f64::from(sent) / 2000.0;
                regular.push(time, Some(time), 0, &[wave(time)]);
                sent += 1;
            }
            let mut frame = [0.0];
            regular.frame(now, &mut frame);
            if n > 100 {
                loudest = loudest.max(frame[0].abs());
            }
        }
        assert!(loudest < 0.08, "{loudest}");
    }

    #[test]
    fn a_value_after_a_long_pause_is_blended_into() {
        let mut regular = Regular::new(50.0, &[None]);
        regular.push(0.0, None, 0, &[0.0]);
        let mut frame = [0.0];
        let mut last = 0.0;
        let mut largest = 0f64;
        for n in 1..600 {
            let now = f64::from(n) / 50.0;
            if n == 300 {
                regular.push(now, None, 0, &[1.0]);
            }
            regular.frame(now, &mut frame);
            largest = largest.max((frame[0] - last).abs());
            last = frame[0];
        }
        assert!(frame[0] > 0.999);
        assert!(largest <= 1.0);
    }

    #[test]
    fn channels_that_come_apart_are_put_together() {
        let mut regular = Regular::new(50.0, &[None, None]);
        let mut frame = [f64::NAN; 2];
        for n in 0..200 {
            let now = f64::from(n) / 50.0;
            if n % 2 == 0 {
                regular.push(now, None, 0, &[3.0]);
            }
            if n > 50 && n % 5 == 0 {
                regular.push(now, None, 1, &[4.0]);
            }
            regular.frame(now, &mut frame);
            if n == 30 {
                assert!(frame[0] == 3.0 && frame[1].is_nan(), "{frame:?}");
            }
        }
        assert!((frame[0] - 3.0).abs() < 1e-9 && (frame[1] - 4.0).abs() < 1e-9, "{frame:?}");
    }
}
