//! The signal: sources, conditioning, the ring of recent samples, windows, health.
//!
//! A [`Source`] yields frames (one value a channel) at its own rate. [`Intake`] conditions them, resamples them to
//! [`MAPPING_RATE_HZ`], keeps the last minute in a ring and cuts a [`Window`] of 32 channels each 1/30 s of signal time.
//!
//! ```text
//! source -> conditioner -> resampler -> spread -> ring -> window
//! (own rate)  bridge NaN,    512 Hz      32 channels, 64 s   1 s, every 1/30 s
//!             filters, health            stand-ins for dead ones
//! ```
//!
//! Everything here works frame after frame, so that the result does not depend on how the frames were grouped into
//! blocks, and what is switched off passes samples bit for bit.
//!
//! | source | query keys |
//! |---|---|
//! | `synth://rat` | `seed`, `state` (awake, rest, sleep, rem, auto), `channels`, `rate`, `scale` |
//! | `synth://wind` | `seed`, `rate`, `speed` (m/s), `scale` |
//! | `synth://waves` | `seed`, `rate`, `height` (m), `buoys`, `scale` |
//! | `.npy` | `rate`, `channels`, `loop`, `from`, `to`, `scale`, `time` (axis 0 or 1) |
//! | `.edf` `.bdf` | `rate` (resample to), `channels`, `loop`, `from`, `to`, `scale` |
//! | `.wav` | `rate` (instead of the one it states), `channels`, `loop`, `from`, `to`, `scale` |
//! | `.csv` `.tsv` `.txt` | `rate`, `channels`, `loop`, `from`, `to`, `scale`, `time` (column, or `none`) |
//! | `osc://ADDR:PORT/pattern` | `rate`, `preset`, `events`, `decay`, `stream`, and those of every live source |
//! | `lsl://NAME` | `type`, `source`, `host`, `rate`, `order`, and those of every live source |
//! | `udp://ADDR:PORT` | `rate`, `stream`, and those of every live source |
//! | `serial://DEVICE` | `baud`, `rate`, and those of every live source |
//! | `stdin://` | `rate`, `format` (lines, f32), and those of every live source |
//! | `audio://NAME` | `as` (wave, bands, level), `bands`, `rate`, and those of every live source |
//! | `zmq://HOST:PORT` | `stream`, and those of every live source |
//! | every live source | `stale` (seconds), `then` (hold, calm, stand-in), `channels`, `scale` |

pub mod conditioner;
mod error;
pub mod file;
pub(crate) mod filter;
pub mod health;
mod inspect;
mod intake;
pub mod live;
mod mix;
mod pace;
pub(crate) mod random;
pub mod record;
pub mod resample;
mod ring;
pub mod spread;
mod stand_in;
pub mod synth;
mod tones;
mod url;

pub use conditioner::{Mains, Settings};
pub use error::SourceError;
pub use health::{Ailment, Health, Watch};
pub use inspect::{ChannelReport, Report, inspect};
pub use intake::{Intake, Progress, Trace};
pub use live::flow::Flow;
pub(crate) use random::Random;
pub use tones::{TONES, TONES_HZ};

use crate::Stamp;
use url::Address;

/// Samples a second that every mapping works at: 512 samples of one second fill a 4x64x64 latent with 32 channels
/// (Yamashiro et al. 2024, doi 10.1371/journal.pone.0309709).
pub const MAPPING_RATE_HZ: u64 = 512;
/// Channels of a window, whatever the source has.
pub const WINDOW_CHANNELS: usize = 32;
/// Windows a second of signal time.
pub const HOPS_PER_SEC: u64 = 30;

/// One channel of a source as it describes itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    pub name: String,
    pub unit: String,
    pub rate_hz: f64,
}

/// A remark that a recording carries at a moment of its time.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Annotation {
    pub onset_secs: f64,
    /// None for a moment without length.
    pub duration_secs: Option<f64>,
    pub text: String,
}

/// Something short in a signal, by a source that made it itself and so knows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Happening {
    /// "ripple", "spindle".
    pub kind: &'static str,
    /// Signal time.
    pub start_secs: f64,
    pub end_secs: f64,
}

/// What a source says about itself.
#[derive(Debug, Clone, Default)]
pub struct Description {
    pub name: String,
    pub channels: Vec<Channel>,
    /// Frames a second that [`Source::read`] yields.
    pub rate_hz: f64,
    /// None for a source without an end.
    pub duration_secs: Option<f64>,
    /// What was strange about it, a sentence each.
    pub odd: Vec<String>,
    /// Remarks in the order of their time, counted from the first frame that [`Source::read`] yields.
    pub annotations: Vec<Annotation>,
    /// Its frames come when they come (a sensor, a socket) and not as fast as they are read.
    pub live: bool,
}

/// What a call of [`Source::read`] brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    Frames(usize),
    /// Nothing yet, but [`Source::description`] has other channels or another rate from here on.
    Changed,
    /// The source is over and will bring nothing more.
    End,
}

/// Something that yields frames. Read by one thread, never the audio or render thread.
pub trait Source: Send {
    fn description(&self) -> &Description;
    /// Appends up to `frames` frames to `out`, frame after frame, each of `channels.len()` values.
    fn read(&mut self, frames: usize, out: &mut Vec<f64>) -> Result<Read, SourceError>;
    /// The samples of a channel as recorded, where [`Self::read`] brings them resampled; None where they are the same.
    fn recorded(&self, _channel: usize) -> Option<Box<dyn Iterator<Item = f64> + '_>> {
        None
    }
    /// Sets something that belongs to this kind of source (`state` of the synthetic rat); false if it has no such thing.
    fn set(&mut self, _knob: &str, _value: &str) -> bool {
        false
    }
    /// What the source knows of its own state, for the overlay and for tests ("awake").
    fn state(&self) -> Option<&str> {
        None
    }
    /// The next thing that the source knows has happened in the signal it brought: what detectors are compared with.
    fn happened(&mut self) -> Option<Happening> {
        None
    }
    /// How a live source arrives; None for what is not live.
    fn flow(&self) -> Option<&Flow> {
        None
    }
    /// The next thing that has happened to it and that a person should read.
    fn message(&mut self) -> Option<String> {
        None
    }
}

/// 32 channels of conditioned signal at [`MAPPING_RATE_HZ`], ending at one moment.
#[derive(Debug, Clone)]
pub struct Window {
    pub stamp: Stamp,
    /// Number, since the start of the signal, of the first sample in this window.
    pub first_sample: u64,
    /// `samples[s * WINDOW_CHANNELS + channel]`, oldest first.
    pub samples: Vec<f64>,
}

/// Schemes of sources that are not live.
const STILL_SCHEMES: [&str; 2] = ["synth", "file"];

/// Opens a path or URL such as `synth://rat?seed=3` or `recording.npy?rate=1000&channels=0-31,40&loop`, or several of
/// them with ` + ` between.
///
/// # Errors
/// One sentence that names the source and the way out: an unknown scheme or key, a file that is missing, too large, of
/// an unknown kind or malformed, or one whose rate is unknown.
pub fn open(url_or_path: &str) -> Result<Box<dyn Source>, SourceError> {
    if mix::is_several(url_or_path) {
        return mix::open(url_or_path);
    }
    let address = Address::parse(url_or_path)?;
    match address.scheme.as_deref() {
        None | Some("file") => file::open(&address),
        Some("synth") => synth::open(&address),
        Some(scheme) if live::SCHEMES.contains(&scheme) => live::open(scheme, &address),
        Some(scheme) => Err(SourceError::UnknownScheme {
            url: address.text.clone(),
            scheme: scheme.to_owned(),
            hint: error::did_you_mean(scheme, &[&STILL_SCHEMES[..], &live::SCHEMES[..]].concat()),
        }),
    }
}
