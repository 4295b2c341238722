//! Synthetic signals: endless, cheap, deterministic by their seed.

mod player;
mod rat;
mod waves;
mod wind;

use super::error::did_you_mean;
use super::url::Address;
use super::{Source, SourceError};

const NAMES: [&str; 3] = ["rat", "wind", "waves"];

/// Opens `synth://NAME?key=value`.
///
/// # Errors
/// An unknown name or key, or a value out of its range.
pub fn open(address: &Address) -> Result<Box<dyn Source>, SourceError> {
    match address.path.trim_end_matches('/') {
        "rat" => rat::open(address),
        "wind" => wind::open(address),
        "waves" => waves::open(address),
        name => Err(SourceError::UnknownSynth {
            url: address.text.clone(),
            name: name.to_owned(),
            hint: did_you_mean(name, &NAMES),
        }),
    }
}
