//! `udp://ADDR:PORT`: packets with lines of numbers, from anything home-made, or OpenBCI's JSON. Both are told apart
//! packet by packet. Lives on a thread of its own.
//!
//! UDP says nothing of packets that were lost: a packet that does not come shows as jitter, and as a rate a little lower
//! than meant.

mod openbci;

use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

use super::discovery::Discovery;
use super::handover::{Link, handover};
use super::numbers::{self, Row};
use super::settings::Settings;
use super::socket;
use super::worker::{Ending, Receive};
use crate::signal::url::Address;
use crate::signal::{Source, SourceError};

const DEFAULT_PORT: u16 = 12_345;

/// Opens `udp://ADDR:PORT?rate=&stream=`.
///
/// # Errors
/// An address or key that cannot be meant, or a port that is taken.
pub fn open(address: &Address) -> Result<Box<dyn Source>, SourceError> {
    let settings = Settings::read(address, &["rate", "stream"])?;
    let local = socket::local_address(address, &address.path, DEFAULT_PORT)?;
    let rate_hz = address.rate_hz()?;
    let (link, inbox) = handover();
    let receiver = Receiver {
        socket: Some(socket::bind(address, local)?),
        address: address.clone(),
        local,
        stream: openbci::Choice::new(address.text_of("stream")),
        rate_hz,
        discovery: Discovery::new(rate_hz),
    };
    super::start(settings, link, inbox, receiver)
}

struct Receiver {
    address: Address,
    local: SocketAddr,
    /// Bound already, the first time.
    socket: Option<UdpSocket>,
    stream: openbci::Choice,
    rate_hz: Option<f64>,
    discovery: Discovery,
}

impl Receive for Receiver {
    fn receive(&mut self, link: &Link) -> Result<Ending, String> {
        let socket = socket::listen(self.socket.take(), &self.address, self.local, link)?;
        let mut buffer = vec![0; socket::MAX_PACKET];
        while !link.stopped() {
            let packet = socket::receive(&socket, &mut buffer)
                .map_err(|cause| format!("{}: the network is gone ({cause})", self.address.text))?;
            match packet {
                Some(packet) => self.take(packet, link),
                None => self.discovery.idle(Instant::now(), link),
            }
        }
        Ok(Ending::Stopped)
    }
}

impl Receiver {
    fn take(&mut self, packet: &[u8], link: &Link) {
        let at = Instant::now();
        let Ok(text) = std::str::from_utf8(packet) else { return link.malformed() };
        let mut rows: Vec<Row> = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if line.starts_with('{') {
                match self.stream.take(line) {
                    openbci::Taken::Rows(taken) => rows.extend(taken),
                    openbci::Taken::Other => {}
                    openbci::Taken::Better(taken) => {
                        self.discovery = Discovery::new(self.rate_hz);
                        rows = taken;
                    }
                    openbci::Taken::Malformed => link.malformed(),
                }
            } else {
                match numbers::row(line) {
                    Some(row) => rows.push(row),
                    None => link.malformed(),
                }
            }
        }
        self.discovery.take(at, rows, link);
    }
}
