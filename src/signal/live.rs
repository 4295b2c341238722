//! Live sources: what comes when it comes, from the network, a wire, a sound card or a pipe.
//!
//! ```text
//! receiving thread ──> hand-over ──> LiveSource (signal thread) ──> Intake
//! connects, parses,    bounded,      even beat: untouched            ring, windows
//! connects again       oldest goes   uneven: resampled by time
//!                                    silence: filled as then= says
//! ```
//!
//! A receiver says what its values mean in a [`handover::Layout`], as soon as it knows, and then hands over what comes.
//! Everything else is common to all: the beat ([`regular`]), rate, jitter and drift as measured ([`flow`]), gaps, drops
//! and staleness ([`silence`]), and what is told about them ([`tell`]). Nothing here waits for the network: opening
//! fails only when an address cannot be meant or a port is taken, and a quiet channel plays until the first sample.

mod audio;
mod discovery;
pub(super) mod flow;
mod handover;
pub mod lsl;
mod numbers;
mod osc;
mod pulse;
mod regular;
mod serial;
mod settings;
mod silence;
#[cfg(test)]
mod soak;
mod socket;
mod source;
mod stdin;
mod tell;
mod udp;
mod weave;
mod worker;
mod zmq;

pub use audio::inputs as audio_inputs;

use super::url::Address;
use super::{Source, SourceError};

/// Schemes of live sources.
pub const SCHEMES: [&str; 7] = ["osc", "lsl", "udp", "serial", "stdin", "audio", "zmq"];

/// Opens a live source.
///
/// # Errors
/// An address or key that cannot be meant, or a port that is taken.
pub fn open(scheme: &str, address: &Address) -> Result<Box<dyn Source>, SourceError> {
    match scheme {
        "osc" => osc::open(address),
        "lsl" => lsl::open(address),
        "udp" => udp::open(address),
        "serial" => serial::open(address),
        "stdin" => stdin::open(address),
        "audio" => audio::open(address),
        _ => zmq::open(address),
    }
}

/// Starts the thread of a live source and gives the signal thread its end.
fn start(
    settings: settings::Settings,
    link: handover::Link,
    inbox: handover::Inbox,
    receiver: impl worker::Receive,
) -> Result<Box<dyn Source>, SourceError> {
    let name = settings.address.scheme.clone().unwrap_or_default();
    let thread = worker::start(&name, link, receiver).map_err(|cause| {
        SourceError::Message(format!("{}: its thread cannot be started ({cause})", settings.address.text))
    })?;
    Ok(Box::new(source::LiveSource::new(settings, inbox, Some(thread))))
}
