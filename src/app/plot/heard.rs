//! A live source, heard for some seconds by the real clock and then played like a recording.

use std::time::{Duration, Instant};

use crate::signal::{Description, Read, Source, SourceError};

/// For the first sample.
const FIRST_WITHIN: Duration = Duration::from_secs(15);
/// Beyond what was asked for, a silent source is waited for so long.
const GRACE: Duration = Duration::from_secs(5);
const EVERY: Duration = Duration::from_millis(5);
const BLOCK_FRAMES: usize = 4096;
/// Values kept at most: a gigabyte.
const MOST_VALUES: usize = 1 << 27;

/// What was heard.
pub struct Heard {
    about: Description,
    values: Vec<f64>,
    at: usize,
}

/// Hears a source for so long from its first sample on. When its channels or its rate change, it begins again.
///
/// # Errors
/// Nothing came, or what the source reports.
pub fn hear(mut source: Box<dyn Source>, secs: f64) -> Result<Heard, SourceError> {
    let mut values: Vec<f64> = Vec::new();
    let mut block = Vec::new();
    let mut until = Instant::now() + FIRST_WITHIN;
    let mut has_begun = false;
    loop {
        block.clear();
        let read = source.read(BLOCK_FRAMES, &mut block)?;
        while let Some(message) = source.message() {
            tracing::warn!("{message}");
        }
        if !has_begun && source.flow().is_none_or(|flow| flow.received > 0) {
            has_begun = true;
            until = Instant::now() + Duration::from_secs_f64(secs) + GRACE;
        }
        if matches!(read, Read::Changed) {
            values.clear();
        } else if has_begun {
            values.extend_from_slice(&block);
        }
        let about = source.description();
        let wanted = (secs * about.rate_hz).ceil() as usize * about.channels.len();
        let enough = has_begun && values.len() >= wanted.min(MOST_VALUES);
        if enough || matches!(read, Read::End) || Instant::now() >= until {
            values.truncate(wanted);
            break;
        }
        if matches!(read, Read::Frames(0)) {
            std::thread::sleep(EVERY);
        }
    }
    let about = source.description();
    let name = about.name.clone();
    if values.is_empty() || about.channels.is_empty() {
        let status = source.flow().map(|flow| flow.status.clone()).unwrap_or_default();
        let why = if status.is_empty() { String::new() } else { format!(" ({status})") };
        return Err(SourceError::Message(format!(
            "{name}: no sample came within {} s{why}; start the sender, and check its address and port",
            FIRST_WITHIN.as_secs()
        )));
    }
    let frames = values.len() / about.channels.len();
    let duration_secs = Some(frames as f64 / about.rate_hz);
    Ok(Heard { about: Description { live: false, duration_secs, ..about.clone() }, values, at: 0 })
}

impl Source for Heard {
    fn description(&self) -> &Description {
        &self.about
    }

    fn read(&mut self, frames: usize, out: &mut Vec<f64>) -> Result<Read, SourceError> {
        let width = self.about.channels.len();
        let end = self.values.len().min(self.at + frames * width);
        out.extend_from_slice(&self.values[self.at..end]);
        let count = (end - self.at) / width;
        self.at = end;
        Ok(if count == 0 && frames > 0 { Read::End } else { Read::Frames(count) })
    }
}
