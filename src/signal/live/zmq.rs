//! `zmq://HOST:PORT?stream=`: the ZMQ Interface of the Open Ephys GUI. Lives on a thread of its own, with the small
//! runtime that the crate zeromq asks for.
//!
//! Each message carries some samples of one channel with the number of the first: channels, and streams of one rate, are
//! put together by number. Every two seconds a heartbeat goes to the next port, so that the GUI lists this program.

mod message;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use zeromq::{ReqSocket, Socket as _, SocketRecv as _, SocketSend as _, SubSocket, ZmqMessage};

use super::handover::{Layout, Link, handover};
use super::settings::Settings;
use super::socket::LOOK_EVERY;
use super::weave::{Order, Weave};
use super::worker::{Ending, Receive};
use crate::signal::url::Address;
use crate::signal::{Source, SourceError};
use message::{Data, Parsed};

const DEFAULT_HOST: &str = "127.0.0.1";
const DEFAULT_PORT: u16 = 5556;
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
const HEARTBEAT_EVERY: Duration = Duration::from_secs(2);
/// A GUI that stops acquiring sends nothing; one that was started again needs a new connection.
const SILENT: Duration = Duration::from_secs(5);
/// How long channels are listened for.
const LISTEN: Duration = Duration::from_millis(1000);
const MAX_CHANNELS: usize = 4096;
/// Seconds by which a channel may lag behind the others.
const PATIENCE_SECS: f64 = 0.25;
const JUMP_SECS: f64 = 5.0;
/// Streams of rates further apart than this do not belong together.
const SAME_RATE: f64 = 1e-3;

/// Opens `zmq://HOST:PORT?stream=`.
///
/// # Errors
/// An address or key that cannot be meant.
pub fn open(address: &Address) -> Result<Box<dyn Source>, SourceError> {
    let settings = Settings::read(address, &["stream"])?;
    let text = address.path.trim_matches('/');
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse::<u16>().ok()),
        None => (text, Some(DEFAULT_PORT)),
    };
    let Some(port) = port else {
        return Err(SourceError::Message(format!(
            "{}: '{text}' is no address; write for example zmq://127.0.0.1:{DEFAULT_PORT}",
            address.text
        )));
    };
    let host = if host.is_empty() { DEFAULT_HOST } else { host }.to_owned();
    let stream = address.text_of("stream").map(str::to_owned);
    let (link, inbox) = handover();
    super::start(settings, link, inbox, Receiver { text: address.text.clone(), host, port, stream })
}

struct Receiver {
    text: String,
    host: String,
    port: u16,
    stream: Option<String>,
}

impl Receive for Receiver {
    fn receive(&mut self, link: &Link) -> Result<Ending, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|cause| format!("{}: its thread cannot be set up ({cause})", self.text))?;
        let ended = runtime.block_on(self.listen(link));
        runtime.shutdown_background();
        ended
    }
}

impl Receiver {
    async fn listen(&self, link: &Link) -> Result<Ending, String> {
        link.status(format!("looking for Open Ephys at {}:{}", self.host, self.port));
        let mut socket = SubSocket::new();
        let endpoint = format!("tcp://{}:{}", self.host, self.port);
        let away = |why: &str| {
            format!(
                "{}: nothing answers at {}:{} ({why}); add the ZMQ Interface in Open Ephys and start it",
                self.text, self.host, self.port
            )
        };
        tokio::select! {
            connected = socket.connect(&endpoint) => connected.map_err(|cause| away(&cause.to_string()))?,
            () = stopped(link) => return Ok(Ending::Stopped),
            () = tokio::time::sleep(CONNECT_WITHIN) => return Err(away("it does not connect")),
        }
        socket.subscribe("").await.map_err(|cause| away(&cause.to_string()))?;
        link.status(format!("connected to {}:{}", self.host, self.port));
        let heart = tokio::spawn(heartbeat(format!("tcp://{}:{}", self.host, u32::from(self.port) + 1)));
        let mut streams = Streams::new(self.stream.clone());
        let mut last = Instant::now();
        let ended = loop {
            let message = tokio::time::timeout(LOOK_EVERY, socket.recv()).await;
            if link.stopped() {
                break Ok(Ending::Stopped);
            }
            match message {
                Ok(Ok(message)) => {
                    last = Instant::now();
                    let frames: Vec<&[u8]> = message.iter().map(AsRef::as_ref).collect();
                    match message::parse(&frames) {
                        Parsed::Data(data) => streams.take(&data, last, link),
                        Parsed::Other => {}
                        Parsed::Malformed => link.malformed(),
                    }
                }
                Ok(Err(cause)) => break Err(format!("{}: the connection broke ({cause}); it is made anew", self.text)),
                Err(_) if last.elapsed() > SILENT => {
                    break Err(format!("{}: Open Ephys sends nothing; start its acquisition", self.text));
                }
                Err(_) => {}
            }
        };
        heart.abort();
        ended
    }
}

async fn stopped(link: &Link) {
    while !link.stopped() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Tells Open Ephys that this program listens, for ever; it is no matter if nobody wants to know.
async fn heartbeat(endpoint: String) {
    // One id a running program.
    let uuid = format!("7d6f2f4e-9a55-4c0b-9d3e-{:012x}", std::process::id());
    let said = format!(r#"{{"application":"wavedream","uuid":"{uuid}","type":"heartbeat"}}"#);
    loop {
        let mut socket = ReqSocket::new();
        if socket.connect(&endpoint).await.is_ok() {
            while socket.send(ZmqMessage::from(said.clone())).await.is_ok() && socket.recv().await.is_ok() {
                tokio::time::sleep(HEARTBEAT_EVERY).await;
            }
        }
        tokio::time::sleep(HEARTBEAT_EVERY).await;
    }
}

/// The channels of the streams that belong together.
struct Streams {
    wanted: Option<String>,
    rate_hz: f64,
    begun: Option<Instant>,
    /// While listening: (stream, channel) and its name; and of each stream the first number.
    heard: BTreeMap<(String, u64), String>,
    bases: BTreeMap<String, u64>,
    places: BTreeMap<(String, u64), usize>,
    weave: Option<Weave>,
    left_out: bool,
    values: Vec<f64>,
}

impl Streams {
    fn new(wanted: Option<String>) -> Self {
        Self {
            wanted,
            rate_hz: 0.0,
            begun: None,
            heard: BTreeMap::new(),
            bases: BTreeMap::new(),
            places: BTreeMap::new(),
            weave: None,
            left_out: false,
            values: Vec::new(),
        }
    }

    fn take(&mut self, data: &Data<'_>, at: Instant, link: &Link) {
        if self.wanted.as_ref().is_some_and(|wanted| *wanted != data.stream) {
            return;
        }
        if self.rate_hz == 0.0 {
            self.rate_hz = data.rate_hz;
        }
        if (data.rate_hz / self.rate_hz - 1.0).abs() > SAME_RATE {
            if !std::mem::replace(&mut self.left_out, true) {
                link.say(format!(
                    "zmq: the stream {} has {} samples a second, not {}; it is left out (stream= chooses one)",
                    data.stream, data.rate_hz, self.rate_hz
                ));
            }
            return;
        }
        let key = (data.stream.clone(), data.channel);
        if self.weave.is_none() {
            let begun = *self.begun.get_or_insert(at);
            if self.heard.len() < MAX_CHANNELS {
                self.heard.entry(key).or_insert_with(|| data.name.clone());
            }
            if at.duration_since(begun) >= LISTEN {
                self.decide(link);
            }
            return;
        }
        let (Some(weave), Some(place)) = (&mut self.weave, self.places.get(&key)) else { return };
        // Begun in the middle of a turn, the first channels would lack the first samples.
        if self.bases.is_empty() && *place > 0 {
            return;
        }
        // Streams count for themselves: each from the first of its numbers on.
        let base = *self.bases.entry(data.stream.clone()).or_insert(data.first_sample);
        let number = data.first_sample.wrapping_sub(base);
        if weave.push(*place, number, data.samples()) == Order::Anew {
            // Acquisition was started again: all streams begin anew.
            self.bases.clear();
            self.weave = Some(self.new_weave());
            return;
        }
        weave.pop(&mut self.values);
        let lost = weave.take_lost();
        link.lose(lost.div_ceil(self.places.len().max(1) as u64));
        if !self.values.is_empty() {
            link.push(at, None, 0, 0, std::mem::take(&mut self.values));
        }
    }

    fn decide(&mut self, link: &Link) {
        let several = self.heard.keys().any(|(stream, _)| self.heard.keys().any(|(other, _)| other != stream));
        let names = self.heard.iter().map(|((stream, _), name)| {
            (if several { format!("{stream} {name}") } else { name.clone() }, "uV".to_owned())
        });
        link.layout(Layout::even(names, self.rate_hz).stated());
        self.places = self.heard.keys().cloned().enumerate().map(|(place, key)| (key, place)).collect();
        self.weave = Some(self.new_weave());
    }

    fn new_weave(&self) -> Weave {
        let (patience, jump) = (PATIENCE_SECS * self.rate_hz, JUMP_SECS * self.rate_hz);
        Weave::new(self.places.len(), patience as usize, jump as usize)
    }
}
