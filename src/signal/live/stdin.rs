//! `stdin://?rate=`: lines of numbers from a pipe, or raw little-endian float32 (`format=f32&channels=n`). The end of
//! the pipe is the end of the source. Lives on a thread of its own, which waits in `read` and so outlives its source.
//!
//! With a rate the pipe is paced: samples are released at that rate, and who writes faster is made to wait. Without one
//! the rate is measured, as of any live source.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::discovery::Discovery;
use super::handover::{Beat, Layout, Link, handover};
use super::numbers::{self, LineCutter};
use super::settings::Settings;
use super::source::LiveSource;
use super::worker::{self, Ending, Receive};
use crate::signal::url::Address;
use crate::signal::{Source, SourceError};

/// Seconds of samples that may wait before the writer is made to wait.
const AHEAD_SECS: f64 = 1.0;
/// There is one standard input.
static TAKEN: AtomicBool = AtomicBool::new(false);
static ENDED: AtomicBool = AtomicBool::new(false);

enum Format {
    Lines,
    F32 { channels: usize },
}

/// Opens `stdin://?rate=&format=&channels=`.
///
/// # Errors
/// A key that cannot be meant, raw bytes without rate and channels, or a standard input that is read already.
pub fn open(address: &Address) -> Result<Box<dyn Source>, SourceError> {
    let mut settings = Settings::read(address, &["rate", "format"])?;
    let rate_hz = address.rate_hz()?;
    let format = match address.text_of("format") {
        None | Some("lines") => Format::Lines,
        Some("f32") => {
            settings.chooses_channels = false;
            let channels = address.whole("channels", 1..=1024, "a number of channels")?;
            match (channels, rate_hz) {
                (Some(channels), Some(_)) => Format::F32 { channels: channels as usize },
                _ => {
                    let expected = "raw samples need rate= and channels= (how many), for example \
                                    stdin://?format=f32&channels=4&rate=1000";
                    return Err(address.bad("format", expected));
                }
            }
        }
        Some(_) => return Err(address.bad("format", "lines or f32 is expected")),
    };
    if ENDED.load(Ordering::Relaxed) {
        return Err(SourceError::Message(format!("{}: the pipe has ended; choose another source", address.text)));
    }
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Err(SourceError::Message(format!(
            "{}: the standard input is being read already; there is only one",
            address.text
        )));
    }
    let (link, inbox) = handover();
    let discovery = rate_hz.map_or_else(|| Discovery::new(None), Discovery::paced);
    let receiver = Receiver { format, rate_hz, discovery };
    worker::start("stdin", link, receiver)
        .map_err(|cause| SourceError::Message(format!("{}: its thread cannot be started ({cause})", address.text)))?;
    Ok(Box::new(LiveSource::new(settings, inbox, None)))
}

struct Receiver {
    format: Format,
    rate_hz: Option<f64>,
    discovery: Discovery,
}

impl Receive for Receiver {
    fn receive(&mut self, link: &Link) -> Result<Ending, String> {
        link.status("reading the standard input");
        let ended = match self.format {
            Format::Lines => self.lines(link),
            Format::F32 { channels } => self.floats(channels, link),
        };
        TAKEN.store(false, Ordering::Relaxed);
        if let Ok(Ending::Over) = ended {
            ENDED.store(true, Ordering::Relaxed);
        }
        ended.or(Ok(Ending::Over))
    }
}

impl Receiver {
    fn lines(&mut self, link: &Link) -> Result<Ending, String> {
        let mut cutter = LineCutter::default();
        let mut buffer = vec![0; 16_384];
        loop {
            let length = read(&mut buffer)?;
            if link.stopped() {
                return Ok(Ending::Stopped);
            }
            let at = Instant::now();
            let mut rows = Vec::new();
            let mut take = |line: Option<&str>| match line.and_then(numbers::row) {
                Some(row) => rows.push(row),
                None => link.malformed(),
            };
            cutter.push(&buffer[..length], &mut take);
            if length == 0 {
                // The last line may lack its end.
                cutter.push(b"\n", &mut take);
            }
            let values: usize = rows.iter().map(|row| row.values.len()).max().unwrap_or(0);
            self.discovery.take(at, rows, link);
            if length == 0 {
                return Ok(Ending::Over);
            }
            if let Some(rate_hz) = self.rate_hz {
                link.wait_for_room((AHEAD_SECS * rate_hz) as usize * values.max(1));
            }
        }
    }

    fn floats(&mut self, channels: usize, link: &Link) -> Result<Ending, String> {
        let rate_hz = self.rate_hz.unwrap_or(1.0);
        let names = (0..channels).map(|n| (format!("channel {n}"), String::new()));
        link.layout(Layout::even(names, rate_hz).stated().with_beat(Beat::Paced));
        let mut rest: Vec<u8> = Vec::new();
        let mut buffer = vec![0; 16_384];
        loop {
            let length = read(&mut buffer)?;
            if link.stopped() {
                return Ok(Ending::Stopped);
            }
            if length == 0 {
                if !rest.is_empty() {
                    link.malformed();
                }
                return Ok(Ending::Over);
            }
            rest.extend_from_slice(&buffer[..length]);
            let whole = rest.len() / (4 * channels) * (4 * channels);
            let (values, _) = rest[..whole].as_chunks::<4>();
            let values: Vec<f64> = values.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect();
            if !values.is_empty() {
                link.frames(values, 0);
            }
            rest.drain(..whole);
            link.wait_for_room((AHEAD_SECS * rate_hz) as usize * channels);
        }
    }
}

fn read(buffer: &mut [u8]) -> Result<usize, String> {
    loop {
        match std::io::stdin().lock().read(buffer) {
            Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
            other => return other.map_err(|cause| format!("stdin://: cannot be read ({cause})")),
        }
    }
}
