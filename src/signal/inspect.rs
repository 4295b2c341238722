//! What is in a source, for people and for scripts: `wavedream inspect`.

use std::fmt;

use serde::Serialize;

use super::health::Meter;
use super::resample::Resampler;
use super::{Annotation, Flow, HOPS_PER_SEC, MAPPING_RATE_HZ, Read, Source, SourceError};

mod live;

/// Read of an endless source when nothing is said.
const ENDLESS_SECS: f64 = 10.0;
const BLOCK_FRAMES: usize = 4096;
/// Part of the samples on a rail from which on it is worth a sentence.
const CLIPPED_WORTH_SAYING: f64 = 0.001;
/// Part of the variance.
const HUM_WORTH_SAYING: f64 = 0.3;

/// One channel of a source, measured in its own units.
#[derive(Debug, Clone, Serialize)]
pub struct ChannelReport {
    pub name: String,
    pub unit: String,
    pub rate_hz: f64,
    pub min: f64,
    pub max: f64,
    pub mean: f64,
    /// Root mean square about zero.
    pub rms: f64,
    /// Never moved.
    pub flat: bool,
    /// Part of the samples that lie on a rail, 0 to 1.
    pub clipped: f64,
    /// Samples that are no numbers, and will be bridged.
    pub bridged: u64,
    /// Part of the variance of the last 10 s that is hum of the mains.
    pub hum_50: f64,
    pub hum_60: f64,
}

/// A wait that a sample has on its way to a picture, beside the model's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Wait {
    pub of: &'static str,
    pub ms: f64,
}

#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub source: String,
    pub channels: Vec<ChannelReport>,
    /// Frames a second that the source yields.
    pub rate_hz: f64,
    /// Of live sources only.
    pub measured_rate_hz: Option<f64>,
    /// None for a source without an end.
    pub duration_secs: Option<f64>,
    /// Of which the figures were taken.
    pub inspected_secs: f64,
    /// How a live source arrives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Flow>,
    /// What a live source and the way to the mappings add to the latency.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<Wait>,
    pub annotations: Vec<Annotation>,
    pub odd: Vec<String>,
}

/// Reads a source (all of it, or its first `seconds`) and reports what it holds.
///
/// # Errors
/// As [`super::open`].
pub fn inspect(url: &str, seconds: Option<f64>) -> Result<Report, SourceError> {
    let mut source = super::open(url)?;
    if source.description().live {
        return inspect_live(source.as_mut(), seconds);
    }
    let description = source.description().clone();
    let width = description.channels.len();
    let mut meters = vec![Meter::new(description.rate_hz); width];
    let limit_secs = seconds.or(description.duration_secs.is_none().then_some(ENDLESS_SECS)).unwrap_or(f64::INFINITY);
    let limit = (limit_secs * description.rate_hz).round();
    let mut last = vec![0.0; width];
    let mut block = Vec::new();
    let mut frames = 0;
    while (frames as f64) < limit {
        block.clear();
        let read = source.read(((limit - frames as f64) as usize).min(BLOCK_FRAMES), &mut block)?;
        for frame in block.chunks_exact(width) {
            frames += 1;
            for ((x, last), meter) in frame.iter().zip(&mut last).zip(&mut meters) {
                measure(*x, last, meter);
            }
        }
        if !matches!(read, Read::Frames(1..)) {
            break;
        }
    }
    // Figures are those of the file, not of what resampling makes of it.
    for (number, channel) in description.channels.iter().enumerate() {
        if let Some(recorded) = source.recorded(number) {
            meters[number] = metered(recorded.take((limit_secs * channel.rate_hz).round() as usize), channel.rate_hz);
        }
    }
    let mut odd = description.odd.clone();
    let channels: Vec<ChannelReport> =
        description.channels.iter().zip(&meters).map(|(channel, meter)| channel_report(channel, meter)).collect();
    for (channel, meter) in channels.iter().zip(&meters) {
        odd.extend(complaint(channel, meter));
    }
    Ok(Report {
        source: description.name,
        channels,
        rate_hz: description.rate_hz,
        measured_rate_hz: None,
        duration_secs: description.duration_secs,
        inspected_secs: frames as f64 / description.rate_hz,
        live: None,
        added: Vec::new(),
        annotations: description.annotations,
        odd,
    })
}

fn inspect_live(source: &mut dyn Source, seconds: Option<f64>) -> Result<Report, SourceError> {
    let heard = live::listen(source, seconds)?;
    let description = source.description();
    let mut odd = description.odd.clone();
    odd.extend(heard.messages);
    let channels: Vec<ChannelReport> =
        description.channels.iter().zip(&heard.meters).map(|(channel, meter)| channel_report(channel, meter)).collect();
    for (channel, meter) in channels.iter().zip(&heard.meters) {
        odd.extend(complaint(channel, meter));
    }
    Ok(Report {
        source: description.name.clone(),
        channels,
        rate_hz: description.rate_hz,
        measured_rate_hz: heard.flow.measured_rate_hz,
        duration_secs: None,
        inspected_secs: heard.frames as f64 / description.rate_hz,
        added: waits(&heard.flow, description.rate_hz),
        live: Some(heard.flow),
        annotations: Vec::new(),
        odd,
    })
}

/// Of samples of a live source until they can be in a window.
fn waits(flow: &Flow, rate_hz: f64) -> Vec<Wait> {
    let mut waits = Vec::new();
    if flow.buffer_ms > 0.0 {
        waits.push(Wait { of: flow.buffer_of, ms: flow.buffer_ms });
    }
    let mapping_hz = MAPPING_RATE_HZ as f64;
    if rate_hz != mapping_hz {
        let frames = Resampler::new(1, rate_hz, mapping_hz).latency_frames();
        waits.push(Wait { of: "resampling to 512 Hz", ms: 1e3 * frames as f64 / rate_hz });
    }
    // Of a hop, on the average.
    waits.push(Wait { of: "the next hop", ms: 500.0 / HOPS_PER_SEC as f64 });
    waits
}

/// One sample; what is no number is counted and held over.
fn measure(x: f64, last: &mut f64, meter: &mut Meter) {
    if x.is_finite() {
        *last = x;
    }
    meter.push(*last, !x.is_finite());
}

fn metered(samples: impl Iterator<Item = f64>, rate_hz: f64) -> Meter {
    let (mut meter, mut last) = (Meter::new(rate_hz), 0.0);
    samples.for_each(|x| measure(x, &mut last, &mut meter));
    meter
}

fn channel_report(channel: &super::Channel, meter: &Meter) -> ChannelReport {
    let moments = meter.moments();
    let some = moments.count > 0;
    let health = meter.health(String::new());
    ChannelReport {
        name: channel.name.clone(),
        unit: channel.unit.clone(),
        rate_hz: channel.rate_hz,
        min: if some { moments.min } else { 0.0 },
        max: if some { moments.max } else { 0.0 },
        mean: moments.mean,
        rms: moments.root_mean_square(),
        flat: !some || moments.min == moments.max,
        clipped: meter.clipped_fraction(),
        bridged: meter.bridged(),
        hum_50: health.hum_50,
        hum_60: health.hum_60,
    }
}

fn complaint(channel: &ChannelReport, meter: &Meter) -> Option<String> {
    let name = &channel.name;
    if channel.flat {
        Some(format!("channel {name} never moves"))
    } else if channel.bridged > 0 {
        Some(format!("channel {name} has {} samples that are no numbers; they are bridged", channel.bridged))
    } else if channel.clipped > CLIPPED_WORTH_SAYING {
        Some(format!("channel {name} sits on its rails for {:.1} % of the time", 100.0 * channel.clipped))
    } else if meter.was_flat() {
        Some(format!("channel {name} stands still for half a second or more at least once"))
    } else {
        None
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.channels.len();
        write!(f, "{}: {count} channel{}", self.source, if count == 1 { "" } else { "s" })?;
        write!(f, " at {} Hz", tidy(self.rate_hz))?;
        match self.duration_secs {
            Some(secs) => writeln!(f, ", {} s", tidy(secs))?,
            None => writeln!(f, ", endless; {} s looked at", tidy(self.inspected_secs))?,
        }
        if let Some(live) = &self.live {
            writeln!(f, "{}", live_words(live))?;
            let wait = |wait: &Wait| format!("{} ms for {}", tidy(wait.ms), wait.of);
            let all_ms: f64 = self.added.iter().map(|wait| wait.ms).sum();
            let each = self.added.iter().map(wait).collect::<Vec<_>>().join(", ");
            writeln!(f, "from sample to window {} ms: {each}", tidy(all_ms))?;
        }
        let names = self.channels.iter().map(|channel| channel.name.chars().count()).max().unwrap_or(0).max(7);
        let units = self.channels.iter().map(|channel| channel.unit.chars().count()).max().unwrap_or(0).max(4);
        writeln!(
            f,
            "\n{:>4}  {:<names$}  {:<units$}  {:>9}  {:>10}  {:>10}  {:>10}  {:>10}  health",
            "", "channel", "unit", "Hz", "min", "max", "mean", "rms"
        )?;
        for (number, channel) in self.channels.iter().enumerate() {
            writeln!(
                f,
                "{number:>4}  {:<names$}  {:<units$}  {:>9}  {:>10}  {:>10}  {:>10}  {:>10}  {}",
                channel.name,
                channel.unit,
                tidy(channel.rate_hz),
                tidy(channel.min),
                tidy(channel.max),
                tidy(channel.mean),
                tidy(channel.rms),
                health_words(channel)
            )?;
        }
        if !self.annotations.is_empty() {
            writeln!(f, "\n{} annotations", self.annotations.len())?;
            for annotation in self.annotations.iter().take(20) {
                writeln!(f, "{:>10.3} s  {}", annotation.onset_secs, annotation.text)?;
            }
            if self.annotations.len() > 20 {
                writeln!(f, "            and {} more", self.annotations.len() - 20)?;
            }
        }
        if !self.odd.is_empty() {
            writeln!(f, "\nodd")?;
            for sentence in &self.odd {
                writeln!(f, "  - {sentence}")?;
            }
        }
        Ok(())
    }
}

fn live_words(live: &Flow) -> String {
    let mut words = vec![
        live.measured_rate_hz
            .map_or("rate not measured yet".to_owned(), |rate_hz| format!("{} Hz measured", tidy(rate_hz))),
    ];
    words.push(format!("jitter {} ms, buffer {} ms", tidy(live.jitter_ms), tidy(live.buffer_ms)));
    words.extend(live.transit_ms.map(|ms| format!("{} ms on the way", tidy(ms))));
    words.extend(live.drift_ppm.map(|ppm| format!("clock {} ppm off", tidy(ppm))));
    words.push(format!(
        "{} received, {} lost, {} dropped, {} not understood, {} reconnections",
        live.received, live.lost, live.overrun, live.malformed, live.reconnects
    ));
    words.join("; ")
}

fn health_words(channel: &ChannelReport) -> String {
    let mut words = Vec::new();
    if channel.flat {
        words.push("flat".to_owned());
    }
    if channel.clipped > 0.0 && !channel.flat {
        words.push(format!("clipped {:.2} %", 100.0 * channel.clipped));
    }
    if channel.bridged > 0 {
        words.push(format!("{} missing", channel.bridged));
    }
    for (hum, mains) in [(channel.hum_50, 50), (channel.hum_60, 60)] {
        if hum > HUM_WORTH_SAYING {
            words.push(format!("{:.0} % hum of {mains} Hz", 100.0 * hum));
        }
    }
    if words.is_empty() { "good".to_owned() } else { words.join(", ") }
}

/// Five significant digits, without needless zeros.
fn tidy(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return if x == 0.0 { "0".to_owned() } else { "-".to_owned() };
    }
    let magnitude = x.abs().log10().floor() as i32;
    if !(-4..9).contains(&magnitude) {
        return format!("{x:.3e}");
    }
    let text = format!("{x:.*}", (4 - magnitude).max(0) as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
