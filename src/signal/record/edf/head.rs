//! The head of an EDF+ file: ASCII fields of fixed width, first of the file, then of all signals, field by field.

use jiff::civil::DateTime;

use crate::signal::record::{About, range::Range};

/// Where the number of records stands.
pub const RECORDS_AT: u64 = 236;
const FIXED_BYTES: usize = 256;
const SIGNAL_BYTES: usize = 256;
/// The standard's limit for a record.
const MOST_RECORD_BYTES: usize = 61_440;
/// Lengths of a record that are tried, from the one that the standard wishes.
const RECORD_SECS: [f64; 10] = [1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 2.0, 5.0, 10.0];
/// A rate is met if a record of a day would be off by less than a sample of 1 kHz.
const CLOSE: f64 = 1e-8;

/// What stays the same while the ranges change.
#[derive(Debug)]
pub struct Head {
    begun: DateTime,
    source: String,
    /// Label and unit of each channel.
    channels: Vec<(String, String)>,
    pub frames_a_record: usize,
    /// As it is written.
    record_secs: String,
    /// Of the first sample, after the whole second in which the file begins.
    pub fraction_secs: f64,
    remark_bytes: usize,
}

impl Head {
    pub fn new(about: &About, remark_bytes: usize) -> Self {
        let (frames_a_record, record_secs) = record_of(about.rate_hz, about.channels.len());
        Self {
            begun: about.begun,
            source: about.source.clone(),
            channels: about.channels.iter().map(|channel| (channel.name.clone(), channel.unit.clone())).collect(),
            frames_a_record,
            record_secs,
            fraction_secs: f64::from(about.begun.subsec_nanosecond()) / 1e9,
            remark_bytes,
        }
    }

    pub fn record_secs(&self) -> f64 {
        self.record_secs.parse().unwrap_or(1.0)
    }

    /// As a reader finds it.
    pub fn rate_hz(&self) -> f64 {
        self.frames_a_record as f64 / self.record_secs()
    }

    pub fn record_bytes(&self) -> usize {
        2 * self.frames_a_record * self.channels.len() + self.remark_bytes
    }

    pub fn len(&self) -> usize {
        FIXED_BYTES + SIGNAL_BYTES * (self.channels.len() + 1)
    }

    /// The whole head.
    pub fn bytes(&self, ranges: &[Range], records: i64) -> Vec<u8> {
        let begun = &self.begun;
        let month = begun.strftime("%b").to_string().to_uppercase();
        let recording = format!(
            "Startdate {:02}-{month}-{:04} X X wavedream_{}",
            begun.day(),
            begun.year(),
            plain(&self.source).replace(' ', "_")
        );
        let mut out = String::new();
        put(&mut out, 8, "0");
        put(&mut out, 80, "X X X X");
        put(&mut out, 80, &recording);
        put(&mut out, 8, &format!("{:02}.{:02}.{:02}", begun.day(), begun.month(), begun.year().rem_euclid(100)));
        put(&mut out, 8, &format!("{:02}.{:02}.{:02}", begun.hour(), begun.minute(), begun.second()));
        put(&mut out, 8, &self.len().to_string());
        put(&mut out, 44, "EDF+C");
        out.push_str(&records_field(records));
        put(&mut out, 8, &self.record_secs);
        put(&mut out, 4, &(self.channels.len() + 1).to_string());
        let signals = || self.channels.iter().zip(ranges);
        let mut each = |width: usize, of: &dyn Fn(&(String, String), &Range) -> String, remarks: &str| {
            for (channel, range) in signals() {
                put(&mut out, width, &of(channel, range));
            }
            put(&mut out, width, remarks);
        };
        each(16, &|(name, _), _| name.clone(), "EDF Annotations");
        each(80, &|_, _| String::new(), "");
        each(8, &|(_, unit), range| prefixed(unit, range.exponent), "");
        each(8, &|_, range| range.low.clone(), "-1");
        each(8, &|_, range| range.high.clone(), "1");
        each(8, &|_, _| "-32768".into(), "-32768");
        each(8, &|_, _| "32767".into(), "32767");
        each(80, &|_, _| String::new(), "");
        each(8, &|_, _| self.frames_a_record.to_string(), &(self.remark_bytes / 2).to_string());
        each(32, &|_, _| String::new(), "");
        out.into_bytes()
    }
}

/// The field of the number of records.
pub fn records_field(records: i64) -> String {
    format!("{records:<8}")
}

fn put(out: &mut String, width: usize, text: &str) {
    let text: String = plain(text).chars().take(width).collect();
    out.push_str(&format!("{text:<width$}"));
}

/// Printable ASCII, as the standard asks for; micro is written u.
fn plain(text: &str) -> String {
    let letter = |c: char| match c {
        'µ' | 'μ' => 'u',
        ' '..='~' => c,
        _ => '_',
    };
    text.chars().map(letter).collect()
}

/// Frames a record and its length in seconds, eight characters long, so that both together are the rate.
fn record_of(rate_hz: f64, channels: usize) -> (usize, String) {
    let fits = |frames: f64| frames >= 1.0 && 2.0 * frames * channels as f64 <= MOST_RECORD_BYTES as f64;
    let even = |secs: &f64| {
        let frames = rate_hz * secs;
        (frames - frames.round()).abs() <= CLOSE * frames && fits(frames.round())
    };
    if let Some(secs) = RECORD_SECS.iter().find(|secs| even(secs)) {
        return ((rate_hz * secs).round() as usize, secs.to_string());
    }
    // About a second, or less, or a sample: the best of some.
    let most = (MOST_RECORD_BYTES / 2 / channels.max(1)).max(1);
    let about = (rate_hz.round() as usize).clamp(1, most);
    let error = |frames: usize| {
        let text = eight(frames as f64 / rate_hz);
        let there: f64 = text.parse().unwrap_or(1.0);
        ((frames as f64 / there / rate_hz - 1.0).abs(), frames, text)
    };
    let tried = (about.div_ceil(2)..=(2 * about).min(most).max(about)).take(4096).map(error);
    let (_, frames, text) = tried.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((0.0, 1, "1".into()));
    (frames, text)
}

/// A positive number in eight characters.
fn eight(x: f64) -> String {
    let decimals = 6usize.saturating_sub(x.max(1.0).log10().floor() as usize);
    let text = format!("{x:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A unit with ten to this in front of it: `V` and -6 is `uV`, what has a prefix already gets the next.
fn prefixed(unit: &str, exponent: i32) -> String {
    const PREFIXES: [(&str, i32); 9] =
        [("p", -12), ("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12)];
    const BARE: [&str; 8] = ["V", "A", "T", "Hz", "Pa", "W", "g", "s"];
    let unit = plain(unit);
    if exponent == 0 {
        return unit;
    }
    let known = PREFIXES.iter().find_map(|(prefix, power)| {
        let bare = unit.strip_prefix(prefix)?;
        BARE.contains(&bare).then_some((*power, bare))
    });
    let named = known.and_then(|(power, bare)| {
        let (prefix, _) = PREFIXES.iter().find(|(_, of)| *of == power + exponent)?;
        Some(format!("{prefix}{bare}"))
    });
    named.unwrap_or_else(|| format!("e{exponent}{unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rate_is_met_by_a_record_of_a_sensible_size() {
        for (rate_hz, channels) in [
            (250.0, 8),
            (2000.0, 64),
            (1.0, 1),
            (0.1, 1),
            (87.3, 3),
            (512.0, 32),
            (30_000.0, 384),
            (1000.0 / 3.0, 4),
            (44_100.0, 2),
        ] {
            let (frames, secs) = record_of(rate_hz, channels);
            let met = frames as f64 / secs.parse::<f64>().unwrap();
            assert!((met / rate_hz - 1.0).abs() < 1e-6, "{rate_hz}: {frames} in {secs} s");
            assert!(secs.len() <= 8 && 2 * frames * channels <= MOST_RECORD_BYTES, "{rate_hz}: {frames} in {secs} s");
        }
        assert_eq!((record_of(250.0, 8), record_of(2000.0, 64)), ((250, "1".into()), (400, "0.2".into())));
    }

    #[test]
    fn units_get_the_prefix_of_their_exponent() {
        for (unit, exponent, shown) in
            [("V", -6, "uV"), ("µV", 3, "mV"), ("uV", -3, "nV"), ("m/s", -3, "e-3m/s"), ("", 6, "e6"), ("mm", 0, "mm")]
        {
            assert_eq!(prefixed(unit, exponent), shown);
        }
    }
}
