//! The ports of this machine, behind a trait, and the thread that watches them.
//!
//! No system tells midir that a controller was plugged in, so the thread "midi ports" looks through the names of all
//! ports each second, opens what is new and lets go of what is gone. It also sends what goes out, so that a port that
//! blocks holds up nothing else.
//!
//! Bytes come in on a call-back of the system's own thread: [`Tap::push`] neither allocates nor locks nor logs. It
//! leaves them, with their time, in a bounded lock-free queue whose reader never blocks; what does not fit is counted.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::bytes::{Bytes, MOST_BYTES};

/// Twenty frames of a stream that fills a DIN cable; a fader bank sends a tenth of it.
const MOST_WAITING: usize = 4096;
/// A controller that comes back plays within two seconds: one until it is seen, the rest to open it and light it.
pub const POLL: Duration = Duration::from_secs(1);

/// A controller, for as long as the program runs: it keeps its number when it is pulled out and comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceId(pub u16);

/// Bytes that came in.
#[derive(Debug, Clone, Copy)]
pub struct Packet {
    pub device: DeviceId,
    pub arrived: Instant,
    pub bytes: Bytes,
}

/// What the thread tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    Came { device: DeviceId, name: String, has_output: bool },
    Gone { device: DeviceId, name: String },
    Trouble(String),
}

/// Why a port does not open or send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{port}: {why}")]
pub struct PortError {
    pub port: String,
    pub why: String,
}

/// Where a call-back leaves what came in.
#[derive(Debug, Clone)]
pub struct Tap {
    device: DeviceId,
    queue: Sender<Packet>,
    dropped: Arc<AtomicU64>,
}

impl Tap {
    /// Real-time safe: see the module.
    pub fn push(&self, bytes: &[u8]) {
        let arrived = Instant::now();
        for piece in bytes.chunks(MOST_BYTES) {
            let packet = Packet { device: self.device, arrived, bytes: Bytes::new(piece) };
            if self.queue.try_send(packet).is_err() {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// A port that can be sent to.
pub trait Output: Send {
    fn send(&mut self, bytes: &[u8]) -> Result<(), PortError>;
}

/// What a machine has of MIDI. Lives on the thread "midi ports".
pub trait Ports: Send {
    /// The names of all ports that can be listened to; equal names are told apart by the order.
    fn inputs(&mut self) -> Vec<String>;
    /// The names of all ports that can be sent to.
    fn outputs(&mut self) -> Vec<String>;
    /// Listens to the `nth` port of this name until what is returned is dropped.
    fn open_input(&mut self, name: &str, nth: usize, tap: Tap) -> Result<Box<dyn Send>, PortError>;
    fn open_output(&mut self, name: &str, nth: usize) -> Result<Box<dyn Output>, PortError>;
}

/// The running thread. Dropping it ends it.
pub struct Watcher {
    packets: Receiver<Packet>,
    notices: Option<Receiver<Notice>>,
    out: Option<Sender<(DeviceId, Bytes)>>,
    dropped: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    pub fn start(ports: Box<dyn Ports>, poll: Duration) -> std::io::Result<Self> {
        let (queue, packets) = bounded(MOST_WAITING);
        let (tell, notices) = bounded(64);
        let (out, outgoing) = bounded(1024);
        let dropped = Arc::new(AtomicU64::new(0));
        let mut watch = Watch { ports, queue, dropped: Arc::clone(&dropped), tell, devices: Vec::new() };
        let body = move || watch.run(&outgoing, poll);
        let thread = std::thread::Builder::new().name("midi ports".into()).spawn(body)?;
        Ok(Self { packets, notices: Some(notices), out: Some(out), dropped, thread: Some(thread) })
    }

    pub fn packets(&self) -> impl Iterator<Item = Packet> {
        self.packets.try_iter()
    }

    pub fn notices(&self) -> impl Iterator<Item = Notice> {
        self.notices.iter().flat_map(Receiver::try_iter)
    }

    /// Never waits; false if the port is not fast enough, or gone.
    pub fn send(&self, device: DeviceId, bytes: Bytes) -> bool {
        self.out.as_ref().is_some_and(|out| out.try_send((device, bytes)).is_ok())
    }

    /// How many packets found no place since the last look.
    pub fn dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // What was sent before still goes out; nobody reads what the thread would tell.
        self.out = None;
        self.notices = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the MIDI thread did not end well");
        }
    }
}

/// A port pair by its name.
struct Device {
    id: DeviceId,
    name: String,
    nth: usize,
    input: Option<Box<dyn Send>>,
    output: Option<Box<dyn Output>>,
    /// It could not be opened: that is told once until it works.
    is_refused: bool,
}

struct Watch {
    ports: Box<dyn Ports>,
    queue: Sender<Packet>,
    dropped: Arc<AtomicU64>,
    tell: Sender<Notice>,
    devices: Vec<Device>,
}

impl Watch {
    fn run(&mut self, outgoing: &Receiver<(DeviceId, Bytes)>, poll: Duration) {
        let mut next = Instant::now();
        loop {
            if Instant::now() >= next {
                next = Instant::now() + poll;
                // A driver that panics must not take the other controllers with it.
                if catch_unwind(AssertUnwindSafe(|| self.look())).is_err() {
                    self.say(Notice::Trouble("looking for controllers failed (trying again)".into()));
                }
            }
            match outgoing.recv_deadline(next) {
                Ok((device, bytes)) => self.send(device, &bytes),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// A full box waits for its reader; one that is gone means the end.
    fn say(&self, notice: Notice) {
        drop(self.tell.send(notice));
    }

    /// Compares the ports with those of the last look.
    fn look(&mut self) {
        let inputs = numbered(self.ports.inputs());
        let gone: Vec<usize> = (0..self.devices.len())
            .filter(|at| {
                let device = &self.devices[*at];
                device.input.is_some() && !inputs.contains(&(device.name.clone(), device.nth))
            })
            .collect();
        for at in gone {
            let device = &mut self.devices[at];
            (device.input, device.output) = (None, None);
            let (id, name) = (device.id, shown(&device.name, device.nth));
            self.say(Notice::Gone { device: id, name });
        }
        let outputs = numbered(self.ports.outputs());
        for (name, nth) in inputs {
            self.open(&name, nth, outputs.contains(&(name.clone(), nth)));
        }
    }

    fn open(&mut self, name: &str, nth: usize, has_output: bool) {
        let known = self.devices.iter().position(|device| device.name == name && device.nth == nth);
        let at = known.unwrap_or_else(|| {
            let id = DeviceId(u16::try_from(self.devices.len()).unwrap_or(u16::MAX));
            let device = Device { id, name: name.into(), nth, input: None, output: None, is_refused: false };
            self.devices.push(device);
            self.devices.len() - 1
        });
        if self.devices[at].input.is_some() {
            return;
        }
        let id = self.devices[at].id;
        let tap = Tap { device: id, queue: self.queue.clone(), dropped: Arc::clone(&self.dropped) };
        match self.ports.open_input(name, nth, tap) {
            Ok(input) => {
                // Without its output a controller still plays; it only stays dark.
                let output = has_output.then(|| self.ports.open_output(name, nth));
                let (output, trouble) = match output {
                    Some(Ok(output)) => (Some(output), None),
                    Some(Err(error)) => (None, Some(format!("{error}; it plays without its lights"))),
                    None => (None, None),
                };
                let device = &mut self.devices[at];
                (device.input, device.output, device.is_refused) = (Some(input), output, false);
                let has_output = device.output.is_some();
                self.say(Notice::Came { device: id, name: shown(name, nth), has_output });
                if let Some(trouble) = trouble {
                    self.say(Notice::Trouble(trouble));
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.devices[at].is_refused, true) {
                    let why = format!("{error}; is it open in another program? It is tried again each second");
                    self.say(Notice::Trouble(why));
                }
            }
        }
    }

    fn send(&mut self, device: DeviceId, bytes: &[u8]) {
        let output = self.devices.iter_mut().find(|known| known.id == device).and_then(|known| known.output.as_mut());
        // A port that fails is on its way out: the next look finds it gone.
        if let Some(output) = output
            && let Err(error) = output.send(bytes)
        {
            tracing::debug!("{error}");
        }
    }
}

/// Each name with how many of the same came before it.
fn numbered(names: Vec<String>) -> Vec<(String, usize)> {
    let before = |at: usize| names[..at].iter().filter(|other| **other == names[at]).count();
    (0..names.len()).map(|at| (names[at].clone(), before(at))).collect()
}

fn shown(name: &str, nth: usize) -> String {
    if nth == 0 { name.into() } else { format!("{name} ({})", nth + 1) }
}

#[cfg(test)]
pub(super) mod bench;
#[cfg(test)]
mod tests;
