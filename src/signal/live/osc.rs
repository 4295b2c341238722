//! `osc://ADDR:PORT/pattern?rate=&events=&preset=`: sensors that speak OSC over UDP. Lives on a thread of its own.
//!
//! Each argument of each matching address is a channel, resampled by the sender's time tags, or by arrival. Devices
//! that send an even stream of samples (Muse, OpenBCI, Neurosity) have presets, whose samples pass untouched.

mod channels;
mod packet;
mod preset;
mod stream;

use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

use super::handover::{Link, handover};
use super::settings::Settings;
use super::socket;
use super::worker::{Ending, Receive};
use crate::signal::url::Address;
use crate::signal::{Source, SourceError};
use channels::Channels;
use packet::Message;
use preset::Preset;
use stream::Stream;

const DEFAULT_PORT: u16 = 9001;
/// Of a channel that rises at an event.
pub(super) const DECAY_SECS: f64 = 0.5;

/// What becomes of the messages.
enum Taker {
    /// Samples of an even stream.
    Stream(Stream),
    /// Values that come when they come.
    Channels(Channels),
}

/// Opens `osc://ADDR:PORT/pattern`.
///
/// # Errors
/// An address, pattern or key that cannot be meant, or a port that is taken.
pub fn open(address: &Address) -> Result<Box<dyn Source>, SourceError> {
    let settings = Settings::read(address, &["rate", "preset", "events", "decay", "stream"])?;
    let (host, pattern) = match address.path.find('/') {
        Some(slash) => address.path.split_at(slash),
        None => (address.path.as_str(), ""),
    };
    let preset = match address.text_of("preset") {
        None => None,
        Some(name) => Some(Preset::named(name).ok_or_else(|| {
            let hint = crate::signal::error::did_you_mean(name, &preset::NAMES);
            address.bad("preset", &format!("known are {}{hint}", preset::NAMES.join(", ")))
        })?),
    };
    let port = preset.as_ref().map_or(DEFAULT_PORT, |preset| preset.port);
    let local = socket::local_address(address, host, port)?;
    let rate_hz = address.rate_hz()?;
    let decay_secs = address.number("decay", 0.01..=60.0, "seconds")?.unwrap_or(DECAY_SECS);
    let stream = preset.as_ref().and_then(|preset| Stream::new(preset, rate_hz, address.text_of("stream")));
    let taker = match stream {
        Some(stream) => Taker::Stream(stream),
        None => {
            let patterns: Vec<&str> = match &preset {
                Some(preset) if pattern.trim_matches('/').is_empty() => preset.patterns.to_vec(),
                _ => vec![pattern],
            };
            let events = address.text_of("events").unwrap_or("");
            let unit = preset.as_ref().map_or("", |preset| preset.unit);
            Taker::Channels(Channels::new(&patterns, events, rate_hz, decay_secs, unit).map_err(|pattern| {
                SourceError::Message(format!(
                    "{}: '{pattern}' is no OSC address; one looks like /wind or /sensor/*/x",
                    address.text
                ))
            })?)
        }
    };
    let (link, inbox) = handover();
    let socket = Some(socket::bind(address, local)?);
    super::start(settings, link, inbox, Receiver { address: address.clone(), local, socket, taker })
}

struct Receiver {
    address: Address,
    local: SocketAddr,
    /// Bound already, the first time.
    socket: Option<UdpSocket>,
    taker: Taker,
}

impl Receive for Receiver {
    fn receive(&mut self, link: &Link) -> Result<Ending, String> {
        let socket = socket::listen(self.socket.take(), &self.address, self.local, link)?;
        let mut buffer = vec![0; socket::MAX_PACKET];
        while !link.stopped() {
            let packet = socket::receive(&socket, &mut buffer)
                .map_err(|cause| format!("{}: the network is gone ({cause})", self.address.text))?;
            let at = Instant::now();
            let Some(packet) = packet else {
                if let Taker::Channels(channels) = &mut self.taker {
                    channels.idle(at, link);
                }
                continue;
            };
            match packet::messages(packet) {
                Some(messages) => messages.into_iter().for_each(|message| self.take(&message, at, link)),
                None => link.malformed(),
            }
            if let Taker::Stream(stream) = &mut self.taker {
                stream.hand_over(at, link);
            }
        }
        Ok(Ending::Stopped)
    }
}

impl Receiver {
    fn take(&mut self, message: &Message, at: Instant, link: &Link) {
        match &mut self.taker {
            Taker::Stream(stream) => stream.take(message, link),
            Taker::Channels(channels) => channels.take(message, at, link),
        }
    }
}
