//! What the tests of live sources have in common: reading for a while, and waiting for something to be so.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use wavedream::signal::{self, Flow, Read, Source};

/// How long anything may take on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A source and what it has brought since its channels were last told.
pub struct Reader {
    pub source: Box<dyn Source>,
    pub frames: Vec<Vec<f64>>,
    pub messages: Vec<String>,
    pub ended: bool,
}

impl Reader {
    pub fn open(url: &str) -> Self {
        Self { source: signal::open(url).unwrap(), frames: Vec::new(), messages: Vec::new(), ended: false }
    }

    /// Reads what is there.
    pub fn read(&mut self) {
        let mut block = Vec::new();
        loop {
            block.clear();
            let read = self.source.read(4096, &mut block).unwrap();
            let width = self.source.description().channels.len();
            self.frames.extend(block.chunks_exact(width).map(<[f64]>::to_vec));
            self.messages.extend(std::iter::from_fn(|| self.source.message()));
            match read {
                Read::Frames(0) => return,
                Read::Frames(_) => {}
                Read::Changed => self.frames.clear(),
                Read::End => {
                    self.ended = true;
                    return;
                }
            }
        }
    }

    /// Reads, and does something in between, until it is so.
    pub fn until(&mut self, what: &str, mut between: impl FnMut(), so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !so(self) {
            assert!(
                begun.elapsed() < PATIENCE,
                "{what}: not within {PATIENCE:?}; {:?} {:?}",
                self.flow(),
                self.messages
            );
            between();
            self.read();
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What was sent: without what stands for missing frames where this machine had no time to send or read.
    pub fn heard(&self) -> Vec<Vec<f64>> {
        self.frames.iter().filter(|frame| frame.iter().all(|x| x.is_finite())).cloned().collect()
    }

    pub fn flow(&self) -> &Flow {
        self.source.flow().unwrap()
    }

    pub fn names(&self) -> Vec<&str> {
        self.source.description().channels.iter().map(|channel| channel.name.as_str()).collect()
    }

    pub fn said(&self, what: &str) -> bool {
        self.messages.iter().any(|message| message.contains(what))
    }

    /// Where a source that listens does so.
    pub fn address(&mut self) -> String {
        self.until("it listens", || {}, |reader| reader.flow().status.starts_with("listening on"));
        self.flow().status.replace("listening on ", "")
    }
}

/// A socket that sends to a source.
pub fn sender(to: &str) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(to).unwrap();
    socket
}

/// Calls `each` so many times a second from a first call on, as often as is due.
pub struct Beat {
    begun: Instant,
    rate_hz: f64,
    pub count: u64,
}

impl Beat {
    pub fn new(rate_hz: f64) -> Self {
        Self { begun: Instant::now(), rate_hz, count: 0 }
    }

    pub fn due(&mut self, mut each: impl FnMut(u64)) {
        while (self.count as f64) < self.begun.elapsed().as_secs_f64() * self.rate_hz {
            each(self.count);
            self.count += 1;
        }
    }
}
