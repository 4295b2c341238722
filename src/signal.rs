//! The signal: sources, conditioning, the ring of recent samples, windows, health.
//!
//! A [`Source`] yields frames (one value a channel) at its own rate. [`Intake`] conditions them, resamples them to
//! [`MAPPING_RATE_HZ`], keeps the last minute in a ring and cuts a [`Window`] of 32 channels each 1/30 s of signal time.

use crate::Stamp;

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
}

/// What a call of [`Source::read`] brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    Frames(usize),
    /// The source is over and will bring nothing more.
    End,
}

/// Something that yields frames. Read by one thread, never the audio or render thread.
pub trait Source: Send {
    fn description(&self) -> &Description;
    /// Appends up to `frames` frames to `out`, frame after frame, each of `channels.len()` values.
    fn read(&mut self, frames: usize, out: &mut Vec<f64>) -> Result<Read, SourceError>;
    /// Sets something that belongs to this kind of source (`state` of the synthetic rat); false if it has no such thing.
    fn set(&mut self, _knob: &str, _value: &str) -> bool {
        false
    }
    /// What the source knows of its own state, for the overlay and for tests ("awake").
    fn state(&self) -> Option<&str> {
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

/// Why a source cannot be opened or read. Each message names the source and the way out.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{0}")]
    Message(String),
}
