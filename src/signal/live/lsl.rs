//! `lsl://NAME?type=EEG`: an inlet for streams of the Lab Streaming Layer (protocol 1.10; labstreaminglayer.org). Lives
//! on a thread of its own, with another that compares the clocks.
//!
//! The stream is looked for by name and type until it is there, and again when its outlet went away: a stream with a
//! source id is known by it, whatever machine it comes back on.

mod clock;
mod discover;
mod feed;
mod info;

use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::handover::{Beat, Layout, Link, handover};
use super::settings::Settings;
use super::socket::LOOK_EVERY;
use super::worker::{Ending, Receive};
use crate::signal::url::Address;
use crate::signal::{Source, SourceError};
use clock::Clock;
use discover::Query;
use feed::{ByteOrder, Decoder};
pub use info::StreamInfo;

/// A stream that sends nothing for so long is asked for: it may be gone without a word.
const ASK_AFTER: Duration = Duration::from_secs(4);
/// Frames a second of a stream without a rate when nothing is said.
const UNEVEN_HZ: f64 = 64.0;
const LOOK_FOR: Duration = Duration::from_millis(500);
/// Time after which it is told that a stream is not there.
const TELL_AFTER: Duration = Duration::from_secs(3);

/// The streams on the network that answer within `wait`.
pub fn streams(wait: Duration) -> Vec<StreamInfo> {
    discover::find(&Query::default(), wait, || false)
}

/// Opens `lsl://NAME?type=&source=&host=&rate=`.
///
/// # Errors
/// A key that cannot be meant.
pub fn open(address: &Address) -> Result<Box<dyn Source>, SourceError> {
    let settings = Settings::read(address, &["type", "source", "host", "rate", "order"])?;
    let text = |key: &str| address.text_of(key).filter(|text| !text.is_empty()).map(str::to_owned);
    let order = match address.text_of("order") {
        None => ByteOrder::native(),
        Some("little") => ByteOrder::Little,
        Some("big") => ByteOrder::Big,
        Some(_) => return Err(address.bad("order", "little or big is expected")),
    };
    let name = address.path.trim_matches('/').to_owned();
    let query = Query {
        name: Some(name).filter(|name| !name.is_empty()),
        kind: text("type"),
        source_id: text("source"),
        host: text("host"),
        ..Query::default()
    };
    let receiver = Receiver { text: address.text.clone(), query, order, rate_hz: address.rate_hz()?, known: None };
    let (link, inbox) = handover();
    super::start(settings, link, inbox, receiver)
}

struct Receiver {
    text: String,
    query: Query,
    order: ByteOrder,
    rate_hz: Option<f64>,
    /// The source id of the stream that was connected to, by which it is found again.
    known: Option<String>,
}

impl Receive for Receiver {
    fn receive(&mut self, link: &Link) -> Result<Ending, String> {
        let Some(info) = self.look(link) else { return Ok(Ending::Stopped) };
        let text = self.text.clone();
        let failed = |what: &str, cause: &dyn std::fmt::Display| {
            format!("{text}: {} on {} {what} ({cause}); it is looked for again", info.name, info.hostname)
        };
        if !info.format.is_number() {
            link.pause(Duration::from_secs(2));
            return Err(format!("{text}: {} sends text, not numbers; choose another stream with type=", info.name));
        }
        let full = info::full(&info).unwrap_or_else(|_| info.clone());
        let (mut stream, order) =
            feed::connect(&info, self.order).map_err(|cause| failed("cannot be connected to", &cause))?;
        stream.set_read_timeout(Some(LOOK_EVERY)).map_err(|cause| failed("does not work", &cause))?;
        self.known = Some(info.source_id.clone()).filter(|id| !id.is_empty());
        link.layout(self.layout(&full));
        link.status(format!("connected to {} on {}", info.name, info.hostname));
        let clock = Clock::start(&info, link.clone());
        let mut decoder = Decoder::new(&info, order);
        self.listen(&mut stream, &mut decoder, &info, &clock, link).map_err(|cause| failed("is gone", &cause))
    }
}

impl Receiver {
    /// Looks until the stream is there; None when nobody wants it any more.
    fn look(&self, link: &Link) -> Option<StreamInfo> {
        let query = Query { source_id: self.known.clone().or(self.query.source_id.clone()), ..self.query.clone() };
        link.status(format!("looking for {query}"));
        let begun = Instant::now();
        let mut told = false;
        while !link.stopped() {
            let mut found = discover::find(&query, LOOK_FOR, || link.stopped());
            found.sort_by(|a, b| (&a.name, &a.hostname, &a.uid).cmp(&(&b.name, &b.hostname, &b.uid)));
            if found.len() > 1 && self.known.is_none() {
                let names: Vec<String> = found.iter().map(|info| format!("{} ({})", info.name, info.kind)).collect();
                link.say(format!(
                    "{}: {} streams answer: {}; the first is taken",
                    self.text,
                    found.len(),
                    names.join(", ")
                ));
            }
            if let Some(info) = found.into_iter().next() {
                return Some(info);
            }
            if !told && begun.elapsed() > TELL_AFTER {
                told = true;
                link.say(format!(
                    "{}: {query} does not answer; it is waited for (host= names a machine elsewhere)",
                    self.text
                ));
            }
        }
        None
    }

    fn layout(&self, info: &StreamInfo) -> Layout {
        let is_even = info.rate_hz > 0.0;
        let rate_hz = if is_even { info.rate_hz } else { self.rate_hz.unwrap_or(UNEVEN_HZ) };
        let layout = Layout::even(info.channels(), rate_hz);
        if is_even { layout.stated() } else { layout.with_beat(Beat::Uneven) }
    }

    fn listen(
        &self,
        stream: &mut TcpStream,
        decoder: &mut Decoder,
        info: &StreamInfo,
        clock: &Clock,
        link: &Link,
    ) -> Result<Ending, String> {
        let mut buffer = vec![0; 1 << 16];
        let mut last = Instant::now();
        while !link.stopped() {
            let length = match stream.read(&mut buffer) {
                Ok(0) => return Err("its outlet closed".into()),
                Ok(length) => length,
                Err(cause)
                    if matches!(cause.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) =>
                {
                    if last.elapsed() > ASK_AFTER {
                        last = Instant::now();
                        let same = Query { uid: Some(info.uid.clone()), ..self.query.clone() };
                        if discover::find(&same, LOOK_FOR, || link.stopped()).is_empty() && !link.stopped() {
                            return Err("it sends nothing and does not answer".into());
                        }
                    }
                    continue;
                }
                Err(cause) => return Err(cause.to_string()),
            };
            last = Instant::now();
            decoder.push(&buffer[..length])?;
            self.hand_over(decoder, clock, last, link);
        }
        Ok(Ending::Stopped)
    }

    fn hand_over(&self, decoder: &mut Decoder, clock: &Clock, at: Instant, link: &Link) {
        if let Some(transit_secs) = decoder.last_stamp().and_then(|stamp| clock.age_secs(stamp, at)) {
            link.transit_ms(1e3 * transit_secs);
        }
        if decoder.is_even() {
            for (missing, values) in decoder.take_runs() {
                link.push(at, None, 0, missing, values);
            }
        } else {
            for (stamp, values) in decoder.take_samples() {
                link.points(at, Some(stamp), 0, values);
            }
        }
    }
}
