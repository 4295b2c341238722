//! Looking at a live source: waits for its first sample, then listens for as long as was asked, by the real clock.

use std::time::{Duration, Instant};

use super::{Meter, measure};
use crate::signal::{Flow, Read, Source, SourceError};

/// For the first sample; a stream has to be found and its channels counted.
const FIRST_WITHIN: Duration = Duration::from_secs(10);
/// When nothing is said.
const LISTEN_SECS: f64 = 5.0;
const EVERY: Duration = Duration::from_millis(5);
const BLOCK_FRAMES: usize = 4096;

/// What was heard.
pub struct Heard {
    pub meters: Vec<Meter>,
    pub frames: u64,
    pub flow: Flow,
    pub messages: Vec<String>,
}

/// Listens to a live source.
///
/// # Errors
/// Nothing came, or what the source reports.
pub fn listen(source: &mut dyn Source, seconds: Option<f64>) -> Result<Heard, SourceError> {
    let mut messages = Vec::new();
    let mut first = true;
    let mut until = Instant::now() + FIRST_WITHIN;
    let mut heard = Heard { meters: meters(source), frames: 0, flow: Flow::default(), messages: Vec::new() };
    let mut last = vec![0.0; heard.meters.len()];
    let mut block = Vec::new();
    while Instant::now() < until {
        block.clear();
        let read = source.read(BLOCK_FRAMES, &mut block)?;
        messages.extend(std::iter::from_fn(|| source.message()));
        let came = source.flow().is_some_and(|flow| flow.received > 0);
        if matches!(read, Read::Changed) || (came && first) {
            heard.meters = meters(source);
            heard.frames = 0;
            last = vec![0.0; heard.meters.len()];
        }
        if came && first {
            first = false;
            until = Instant::now() + Duration::from_secs_f64(seconds.unwrap_or(LISTEN_SECS));
        }
        if !first {
            for frame in block.chunks_exact(last.len().max(1)) {
                heard.frames += 1;
                for ((x, last), meter) in frame.iter().zip(&mut last).zip(&mut heard.meters) {
                    measure(*x, last, meter);
                }
            }
        }
        match read {
            Read::End => break,
            Read::Frames(0) => std::thread::sleep(EVERY),
            Read::Frames(_) | Read::Changed => {}
        }
    }
    heard.flow = source.flow().cloned().unwrap_or_default();
    if first {
        let name = &source.description().name;
        let why = messages.pop().filter(|why| why.starts_with(name.as_str()));
        let status = if heard.flow.status.is_empty() { "no sender".into() } else { heard.flow.status };
        return Err(SourceError::Message(why.unwrap_or_else(|| {
            let malformed = match heard.flow.malformed {
                0 => String::new(),
                count => format!(", and {count} packets that are not understood"),
            };
            format!(
                "{name}: no sample came within {} s ({status}{malformed}); start the sender, and check its address and port",
                FIRST_WITHIN.as_secs()
            )
        })));
    }
    heard.messages = messages;
    Ok(heard)
}

fn meters(source: &dyn Source) -> Vec<Meter> {
    let description = source.description();
    vec![Meter::new(description.rate_hz); description.channels.len()]
}
