//! What stands beside an `.npy` file that this program recorded: names, units, rate and remarks, as JSON.

use std::path::Path;

use serde::Deserialize;

use crate::signal::{Annotation, Channel};

/// More remarks than that are no recording of ours.
const MOST_BYTES: u64 = 16 << 20;

#[derive(Debug, Deserialize)]
struct Text {
    version: u32,
    rate_hz: f64,
    channels: Vec<Named>,
    annotations: Vec<Remark>,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
    unit: String,
}

#[derive(Debug, Deserialize)]
struct Remark {
    onset_secs: f64,
    duration_secs: Option<f64>,
    text: String,
}

/// What is known of a file beside its numbers.
#[derive(Debug)]
pub struct Beside {
    pub rate_hz: f64,
    pub channels: Vec<Channel>,
    pub annotations: Vec<Annotation>,
}

impl Beside {
    /// None where nothing stands beside the file; the error is a sentence on what does.
    pub fn read(path: &Path) -> Result<Option<Self>, String> {
        let file = crate::signal::record::beside(path);
        let is_there = std::fs::metadata(&file).is_ok_and(|about| about.is_file() && about.len() <= MOST_BYTES);
        let Some(text) = is_there.then(|| std::fs::read(&file).ok()).flatten() else { return Ok(None) };
        let odd = |why: &str| format!("{} beside it is not used ({why})", file.display());
        let text: Text = serde_json::from_slice(&text).map_err(|error| odd(&error.to_string()))?;
        if text.version != 1 {
            return Err(odd(&format!("version {} is not known here", text.version)));
        }
        let rate_hz = text.rate_hz;
        if !(rate_hz.is_finite() && rate_hz > 0.0) {
            return Err(odd("its rate is none"));
        }
        let channel = |named: Named| Channel { name: named.name, unit: named.unit, rate_hz };
        let annotation = |remark: Remark| Annotation {
            onset_secs: remark.onset_secs,
            duration_secs: remark.duration_secs,
            text: remark.text,
        };
        Ok(Some(Self {
            rate_hz,
            channels: text.channels.into_iter().map(channel).collect(),
            annotations: text.annotations.into_iter().map(annotation).collect(),
        }))
    }
}
