//! How signal and pictures are, for everyone who listens: the parameters under `/health`, which OSC, OSCQuery, the page
//! and the panel show, and a line of the log when a channel falls ill or gets well.
//!
//! Lives on the thread that makes frames; looks twice a second.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{
    control::{Origin, Table, Value},
    signal::{Ailment, Flow, Health, Watch},
};

const PERIOD: Duration = Duration::from_millis(500);
/// Latencies that the quantiles are of: ten seconds of pictures.
const LATENCIES: usize = 300;
/// Longer lists are cut.
const NAMED: usize = 24;

/// From sample to picture, of the source that plays.
#[derive(Debug, Default)]
struct Latencies {
    source: String,
    ms: VecDeque<f32>,
}

impl Latencies {
    fn push(&mut self, source: &str, ms: f32) {
        if self.source != source {
            // Each source has its own.
            source.clone_into(&mut self.source);
            self.ms.clear();
        }
        if self.ms.len() == LATENCIES {
            self.ms.pop_front();
        }
        self.ms.push_back(ms);
    }

    fn quantile(&self, share: f64) -> f64 {
        let mut sorted: Vec<f32> = self.ms.iter().copied().collect();
        sorted.sort_by(f32::total_cmp);
        let place = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
        sorted.get(place).copied().map_or(0.0, f64::from)
    }
}

/// Shows and logs health.
#[derive(Debug)]
pub struct Vitals {
    table: Table,
    watch: Watch,
    begun: Instant,
    looked_at: Option<Instant>,
    latencies: Latencies,
}

impl Vitals {
    pub fn new(table: &Table) -> Self {
        Self {
            table: table.clone(),
            watch: Watch::default(),
            begun: Instant::now(),
            looked_at: None,
            latencies: Latencies::default(),
        }
    }

    /// A picture is shown for the first time, so long after the newest sample that it is made of was measured.
    pub fn shown(&mut self, source: &str, latency_ms: f32) {
        self.latencies.push(source, latency_ms);
    }

    /// Of the source that plays, in the middle of the last ten seconds; 0 before the first picture.
    pub fn latency_ms(&self) -> f64 {
        self.latencies.quantile(0.5)
    }

    /// To be called as often as is convenient. What a person should read.
    pub fn follow(&mut self, now: Instant, health: &[Health], flow: Option<&Flow>) -> Vec<String> {
        if self.looked_at.is_some_and(|at| now.saturating_duration_since(at) < PERIOD) {
            return Vec::new();
        }
        self.looked_at = Some(now);
        let told = self.watch.observe(now.saturating_duration_since(self.begun).as_secs_f64(), health);
        told.iter().for_each(|text| tracing::info!("health: {text}"));
        let word = |(_, ailment): (&str, Option<Ailment>)| ailment.map_or("good", Ailment::word);
        let each = self.watch.each().map(word).collect::<Vec<_>>().join(",");
        let named = |(name, ailment): (&str, Option<Ailment>)| Some(format!("{name} {}", ailment?.word()));
        let ailing: Vec<_> = self.watch.each().filter_map(named).take(NAMED).collect();
        self.put("channels", Value::Int(health.len() as i64));
        self.put("unwell", Value::Int(self.watch.unwell() as i64));
        self.put("each", Value::text(each));
        self.put("ailing", Value::text(ailing.join(", ")));
        let nothing = Flow::default();
        let flow = flow.unwrap_or(&nothing);
        for (name, number) in [
            ("rate_hz", flow.measured_rate_hz.unwrap_or(0.0)),
            ("jitter_ms", flow.jitter_ms),
            ("drift_ppm", flow.drift_ppm.unwrap_or(0.0)),
            ("buffer_ms", flow.buffer_ms),
            ("latency_ms", self.latencies.quantile(0.5)),
            ("latency_p99_ms", self.latencies.quantile(0.99)),
        ] {
            self.put(name, Value::Float(three_digits(number)));
        }
        self.put("lost", Value::Int(flow.lost as i64));
        self.put("dropped", Value::Int(flow.overrun as i64));
        told
    }

    /// Only what is another value goes out.
    fn put(&self, name: &str, value: Value) {
        let path = format!("/health/{name}");
        let is_other = self.table.get(&path).is_ok_and(|before| before != value);
        if is_other && let Err(error) = self.table.set(&path, value, Origin::Program) {
            tracing::warn!("{error}");
        }
    }
}

/// Enough to judge by, and no news because the fourth has changed.
fn three_digits(x: f64) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return 0.0;
    }
    let scale = 10f64.powf(2.0 - x.abs().log10().floor());
    (x * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::builtin;

    #[test]
    fn what_a_subscriber_of_health_hears_is_what_the_channels_are() {
        let table = Table::new(builtin());
        let mut vitals = Vitals::new(&table);
        let health = [
            Health { name: "Fp1".into(), ..Health::default() },
            Health { name: "Cz".into(), flat: true, ..Health::default() },
        ];
        let flow = Flow { measured_rate_hz: Some(250.123), lost: 7, ..Flow::default() };
        let mut told = Vec::new();
        let begun = Instant::now();
        for n in 0..40 {
            vitals.shown("a", n as f32);
            told.extend(vitals.follow(begun + n * Duration::from_millis(100), &health, Some(&flow)));
        }
        assert_eq!(told, ["channel Cz: does not move"]);
        let is = |name: &str| table.get(&format!("/health/{name}")).unwrap();
        assert_eq!((is("each"), is("ailing")), (Value::text("good,flat"), Value::text("Cz flat")));
        assert_eq!((is("channels"), is("unwell"), is("lost")), (Value::Int(2), Value::Int(1), Value::Int(7)));
        assert_eq!((is("rate_hz"), is("latency_ms")), (Value::Float(250.0), Value::Float(18.0)));
        // Nothing has changed: nothing goes out.
        let seen = table.generation();
        vitals.follow(begun + Duration::from_secs(9), &health, Some(&flow));
        let changed: Vec<_> = table.changes_since(&mut seen.clone()).iter().map(|handle| handle.path()).collect();
        assert!(changed.iter().all(|path| path.starts_with("/health/latency")), "{changed:?}");
        // Another source begins anew.
        vitals.shown("b", 500.0);
        assert_eq!(vitals.latency_ms(), 500.0);
    }
}
