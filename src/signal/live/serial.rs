//! `serial://DEVICE?baud=115200`: lines of numbers from a wire, as an Arduino prints them (`Serial.println`), with or
//! without labels. Opened again when the device comes back. Lives on a thread of its own.

use std::io::{ErrorKind, Read as _};
use std::time::Instant;

use serialport::SerialPort;

use super::discovery::Discovery;
use super::handover::{Link, handover};
use super::numbers::{self, LineCutter};
use super::settings::Settings;
use super::socket::LOOK_EVERY;
use super::worker::{Ending, Receive};
use crate::signal::url::Address;
use crate::signal::{Source, SourceError};

const BAUD: u64 = 115_200;

/// Opens `serial://DEVICE?baud=&rate=`. A device that is not there (yet) is waited for.
///
/// # Errors
/// A key that cannot be meant, or no device in the address.
pub fn open(address: &Address) -> Result<Box<dyn Source>, SourceError> {
    let settings = Settings::read(address, &["rate", "baud"])?;
    let baud = address.whole("baud", 50..=20_000_000, "bits a second")?.unwrap_or(BAUD) as u32;
    if address.path.trim_matches('/').is_empty() {
        return Err(SourceError::Message(format!(
            "{}: names no device; write for example serial:///dev/ttyUSB0 or serial://COM3",
            address.text
        )));
    }
    let receiver = Receiver {
        device: device(&address.path),
        text: address.text.clone(),
        baud,
        discovery: Discovery::new(address.rate_hz()?),
        cutter: LineCutter::default(),
    };
    let (link, inbox) = handover();
    super::start(settings, link, inbox, receiver)
}

/// `ttyUSB0` is `/dev/ttyUSB0` where there is such a folder.
fn device(path: &str) -> String {
    let path = path.trim_end_matches('/');
    if cfg!(unix) && !path.contains('/') { format!("/dev/{path}") } else { path.to_owned() }
}

struct Receiver {
    device: String,
    text: String,
    baud: u32,
    discovery: Discovery,
    cutter: LineCutter,
}

impl Receive for Receiver {
    fn receive(&mut self, link: &Link) -> Result<Ending, String> {
        let mut port = self.connect()?;
        link.status(format!("connected to {}", self.device));
        self.cutter.clear();
        // The line that is being sent just now is only seen in part.
        let mut whole = false;
        let mut buffer = [0; 4096];
        while !link.stopped() {
            let length = match port.read(&mut buffer) {
                Ok(0) => return Err(self.gone("it was closed")),
                Ok(length) => length,
                Err(cause) if matches!(cause.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                    self.discovery.idle(Instant::now(), link);
                    continue;
                }
                Err(cause) => return Err(self.gone(&cause.to_string())),
            };
            let at = Instant::now();
            let mut rows = Vec::new();
            self.cutter.push(&buffer[..length], |line| {
                if !std::mem::replace(&mut whole, true) {
                    return;
                }
                match line.and_then(numbers::row) {
                    Some(row) => rows.push(row),
                    None => link.malformed(),
                }
            });
            self.discovery.take(at, rows, link);
        }
        Ok(Ending::Stopped)
    }
}

impl Receiver {
    fn connect(&self) -> Result<Box<dyn SerialPort>, String> {
        serialport::new(&self.device, self.baud).timeout(LOOK_EVERY).open().map_err(|cause| {
            let way_out = match cause.kind() {
                serialport::ErrorKind::NoDevice => "plug it in; it is waited for",
                serialport::ErrorKind::Io(ErrorKind::NotFound) => "plug it in; it is waited for",
                serialport::ErrorKind::Io(ErrorKind::PermissionDenied) => {
                    "add yourself to the group that owns it (dialout), and log in again"
                }
                _ => "close the program that uses it, and check the baud rate",
            };
            format!("{}: {} cannot be opened ({cause}); {way_out}", self.text, self.device)
        })
    }

    fn gone(&self, why: &str) -> String {
        format!("{}: {} is gone ({why}); it is waited for", self.text, self.device)
    }
}
