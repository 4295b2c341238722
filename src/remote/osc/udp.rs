//! The thread "osc": datagrams in, values out to subscribers.
//!
//! One blocking socket with a short time-out, so that the thread also does what is due by the clock. A socket that cannot
//! be opened, or fails, is tried again; the show does not wait for it.

use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, UdpSocket},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rosc::{OscPacket, encoder};

use super::{
    Answer, LARGEST_BYTES, Sender,
    subscribers::{self, Subscribers},
};
use crate::{
    control::Origin,
    remote::{core::Core, listen::why_not_bound},
};

/// Between two attempts to open the socket.
const RETRY: Duration = Duration::from_secs(2);
/// The longest sleep: within it a stop or a setting of `/osc/learn` is seen.
const LONGEST_WAIT: Duration = Duration::from_millis(50);
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// The running thread. Dropping it ends it.
#[derive(Debug)]
pub struct Udp {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Udp {
    /// The first attempt to open the socket happens before this returns.
    pub fn start(address: SocketAddr, core: Arc<Core>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut line = Line { address, core, stop: Arc::clone(&stop), has_failed: false };
        let first = line.open();
        let thread = std::thread::Builder::new().name("osc".into()).spawn(move || line.run(first))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Udp {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::warn!("the OSC thread did not end well");
        }
    }
}

struct Line {
    address: SocketAddr,
    core: Arc<Core>,
    stop: Arc<AtomicBool>,
    has_failed: bool,
}

impl Line {
    fn run(mut self, first: Option<UdpSocket>) {
        let mut socket = first;
        while !self.stop.load(Ordering::Relaxed) {
            match socket.take().or_else(|| self.open()) {
                Some(open) => {
                    let why = match catch_unwind(AssertUnwindSafe(|| self.serve(&open))) {
                        Ok(Ok(())) => None,
                        Ok(Err(error)) => Some(error.to_string()),
                        Err(_) => Some("it stumbled (this is a fault in wavedream)".into()),
                    };
                    if let Some(why) = why {
                        self.core.say(format!("OSC at {}: {why}; it is opened again", self.address));
                    }
                    self.core.osc_at.store(None);
                }
                None => self.wait(RETRY),
            }
        }
    }

    fn open(&mut self) -> Option<UdpSocket> {
        let opened = UdpSocket::bind(self.address).and_then(|socket| Ok((socket.local_addr()?, socket)));
        match opened {
            Ok((at, socket)) => {
                self.core.osc_at.store(Some(Arc::new(at)));
                if std::mem::take(&mut self.has_failed) {
                    self.core.say(format!("OSC is heard at {at} now"));
                }
                Some(socket)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.has_failed, true) {
                    let why = why_not_bound(&error);
                    self.core.say(format!(
                        "OSC is not heard at {}: {why}; it is tried again, and --osc ADDR takes another",
                        self.address
                    ));
                }
                None
            }
        }
    }

    /// Until it is to stop, or the socket fails.
    fn serve(&self, socket: &UdpSocket) -> io::Result<()> {
        let mut buffer = vec![0; LARGEST_BYTES];
        let mut subscribers = Subscribers::default();
        let mut next_tick = Instant::now();
        let mut waits = Duration::ZERO;
        while !self.stop.load(Ordering::Relaxed) {
            let wait = self.wait_for(next_tick);
            if wait != waits {
                socket.set_read_timeout(Some(wait))?;
                waits = wait;
            }
            match socket.recv_from(&mut buffer) {
                Ok((length, from)) => self.heard(&buffer[..length], from, socket, &mut subscribers),
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
            let now = Instant::now();
            self.core.tick(now);
            if now >= next_tick {
                next_tick = now + if subscribers.is_empty() { LONGEST_WAIT } else { subscribers::PERIOD };
                subscribers.tick(&self.core.table, socket, now);
            }
        }
        Ok(())
    }

    fn wait_for(&self, next_tick: Instant) -> Duration {
        let due = self.core.receiver().next_due();
        let next = due.map_or(next_tick, |due| due.min(next_tick));
        // Whole milliseconds: setting the time-out anew costs a system call.
        let ms = u64::try_from(next.saturating_duration_since(Instant::now()).as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(ms).clamp(SHORTEST_WAIT, LONGEST_WAIT)
    }

    fn heard(&self, bytes: &[u8], from: SocketAddr, socket: &UdpSocket, subscribers: &mut Subscribers) {
        let answers = self.core.receiver().packet(bytes, Sender { address: from, origin: Origin::Osc });
        for answer in answers {
            let to = |port: Option<u16>| port.map_or(from, |port| SocketAddr::new(from.ip(), port));
            match answer {
                Answer::Send(message) => {
                    let sent = encoder::encode(&OscPacket::Message(message)).map(|bytes| socket.send_to(&bytes, from));
                    if let Ok(Err(error)) = sent {
                        tracing::debug!("answer to {from}: {error}");
                    }
                }
                Answer::Subscribe { port, prefix } => {
                    if !subscribers.subscribe(to(port), &prefix, Instant::now()) {
                        self.core.say(format!("OSC from {from}: there are too many subscribers already"));
                    }
                }
                Answer::Unsubscribe { port } => subscribers.unsubscribe(to(port)),
            }
        }
    }

    fn wait(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until && !self.stop.load(Ordering::Relaxed) {
            self.core.tick(Instant::now());
            std::thread::sleep(LONGEST_WAIT);
        }
    }
}

/// A time-out, or the echo of an answer that its receiver refused (Windows tells that to the next reader).
fn is_passing(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionRefused, ConnectionReset, Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted | ConnectionReset | ConnectionRefused)
}
