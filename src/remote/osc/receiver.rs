//! What becomes of a packet: it sets the table, is answered, waits for its time, or is learned.
//!
//! Called by the OSC thread and by the HTTP thread, with its lock held by whoever calls. Nothing that arrives can end
//! the show: what cannot be meant is counted and told.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::PathBuf,
    time::{Instant, SystemTime},
};

use rosc::{OscMessage, OscPacket, OscType};
use serde::Serialize;

use super::{
    Sender,
    complaints::Complaints,
    late::Late,
    learn::{Heard, Learn, LearnReport},
    packet::{self, Due},
    pattern::{Pattern, is_pattern},
    service,
    values::{self, Asked},
};
use crate::control::{Handle, SetError, Table};

/// How much has arrived, by what became of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub received: u64,
    /// Packets that are no OSC.
    pub malformed: u64,
    /// Messages whose argument their parameter does not take.
    pub wrong_type: u64,
    pub clamped: u64,
    /// Messages to addresses that are neither in the table nor learned.
    pub unknown: u64,
    /// Bundles for later that found no room.
    pub dropped: u64,
}

/// What the sender of a packet is to get.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Send(OscMessage),
    Subscribe {
        /// The one it sent from if none.
        port: Option<u16>,
        prefix: String,
    },
    Unsubscribe {
        port: Option<u16>,
    },
}

/// Takes packets of all senders.
#[derive(Debug)]
pub struct Receiver {
    table: Table,
    index: Index,
    late: Late,
    learn: Learn,
    counts: Counts,
    complaints: Complaints,
    /// Sentences for people, until they are taken.
    told: Vec<String>,
}

/// The parameters by path, as of a layout of the table: looking for a path that is not there costs nothing.
#[derive(Debug, Default)]
struct Index {
    layout: Option<u64>,
    handles: Vec<Handle>,
    by_path: HashMap<String, usize>,
}

impl Index {
    fn refresh(&mut self, table: &Table) {
        let layout = table.layout();
        if self.layout != Some(layout) {
            self.layout = Some(layout);
            self.handles = table.all();
            self.by_path = self.handles.iter().enumerate().map(|(at, handle)| (handle.path(), at)).collect();
        }
    }

    fn get(&self, path: &str) -> Option<&Handle> {
        self.handles.get(*self.by_path.get(path)?)
    }
}

impl Receiver {
    /// `learned` is the file of bindings; without one they last until the end of the program.
    /// The table must hold the built-in parameters.
    pub fn new(table: Table, learned: Option<PathBuf>) -> Result<Self, SetError> {
        let (learn, told) = Learn::new(&table, learned)?;
        Ok(Self {
            learn,
            table,
            told,
            index: Index::default(),
            late: Late::default(),
            counts: Counts::default(),
            complaints: Complaints::default(),
        })
    }

    /// Takes a datagram or frame, and returns what its sender is to get.
    pub fn packet(&mut self, bytes: &[u8], from: Sender) -> Vec<Answer> {
        let mut answers = Vec::new();
        match packet::decode(bytes) {
            Ok(packet) => self.take(packet, from, &mut answers),
            Err(error) => {
                self.counts.malformed += 1;
                self.complain(from.address, &error.to_string());
            }
        }
        answers
    }

    /// Executes what has become due and follows the parameters of learning. To be called some times a second, and at
    /// [`Receiver::next_due`].
    pub fn tick(&mut self, now: Instant) {
        while let Some((content, from)) = self.late.pop(now) {
            for packet in content {
                // Who asked a question for later is not waiting any more.
                self.take(packet, from, &mut Vec::new());
            }
        }
        self.follow_learn(now);
        let rest = self.complaints.rest(now);
        self.told.extend(rest);
    }

    pub fn next_due(&self) -> Option<Instant> {
        self.late.next_at()
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    pub fn last_complaint(&self) -> &str {
        self.complaints.last()
    }

    pub fn learn_report(&self, now: Instant) -> LearnReport {
        self.learn.report(now)
    }

    /// What people should be told since the last call.
    pub fn take_told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }

    fn take(&mut self, packet: OscPacket, from: Sender, answers: &mut Vec<Answer>) {
        match packet {
            OscPacket::Message(message) => self.message(&message, from, answers),
            OscPacket::Bundle(bundle) => {
                match packet::due(bundle.timetag, Instant::now(), SystemTime::now()) {
                    Due::At(at) => {
                        if !self.late.push(at, bundle.content, from) {
                            self.counts.dropped += 1;
                            self.complain(from.address, "more bundles for later than there is room for");
                        }
                        return;
                    }
                    Due::Never { ahead_secs } => {
                        let why = format!("a bundle {ahead_secs} s ahead: its clock is wrong, so it is played at once");
                        self.complain(from.address, &why);
                    }
                    Due::Now => {}
                }
                for packet in bundle.content {
                    self.take(packet, from, answers);
                }
            }
        }
    }

    fn message(&mut self, message: &OscMessage, from: Sender, answers: &mut Vec<Answer>) {
        let now = Instant::now();
        self.counts.received += 1;
        // `/osc/learn` may have been set by the message before.
        self.follow_learn(now);
        self.index.refresh(&self.table);
        let addr = message.addr.as_str();
        if let Some(handle) = self.index.get(addr).cloned() {
            return self.apply(&handle, &message.args, from, answers);
        }
        if is_pattern(addr) {
            let pattern = Pattern::new(addr);
            let fits = |handle: &&Handle| pattern.as_ref().is_some_and(|pattern| pattern.matches(&handle.path()));
            let handles: Vec<_> = self.index.handles.iter().filter(fits).cloned().collect();
            if handles.is_empty() {
                self.counts.unknown += 1;
            }
            for handle in handles {
                self.apply(&handle, &message.args, from, answers);
            }
            return;
        }
        match service::answer(message, |path| self.reading(path)) {
            Some(Ok(answer)) => answers.push(answer),
            Some(Err(why)) => {
                self.counts.wrong_type += 1;
                self.complain(from.address, &why);
            }
            None => self.foreign(message, from, now),
        }
    }

    fn apply(&mut self, handle: &Handle, args: &[OscType], from: Sender, answers: &mut Vec<Answer>) {
        let param = handle.param();
        let set = match values::asked(&param.kind, args) {
            Ok(Asked::Read) => return answers.push(Answer::Send(values::message(handle))),
            Ok(Asked::Set(value)) => self.table.set(&param.path, value, from.origin),
            Err(found) => Err(SetError::WrongType { path: param.path.clone(), expected: param.kind.expected(), found }),
        };
        match set {
            Ok(outcome) => self.counts.clamped += u64::from(outcome.clamped.is_some()),
            Err(error) => {
                self.counts.wrong_type += 1;
                self.complain(from.address, &error.to_string());
            }
        }
    }

    fn foreign(&mut self, message: &OscMessage, from: Sender, now: Instant) {
        match self.learn.foreign(&self.table, message, from, now) {
            Heard::Moved => {}
            Heard::Learned(sentence) => self.told.push(sentence),
            Heard::Refused(why) => {
                self.counts.wrong_type += 1;
                self.complain(from.address, &why);
            }
            Heard::Unknown => {
                self.counts.unknown += 1;
                tracing::debug!("OSC from {}: nothing is at {}", from.address, message.addr);
            }
        }
    }

    fn follow_learn(&mut self, now: Instant) {
        let told = self.learn.follow(&self.table, now);
        self.told.extend(told);
    }

    fn reading(&self, path: &str) -> Option<OscType> {
        let count = |count: u64| OscType::Int(i32::try_from(count).unwrap_or(i32::MAX));
        Some(match path.strip_prefix(service::UNDER)? {
            "received" => count(self.counts.received),
            "malformed" => count(self.counts.malformed),
            "wrong_type" => count(self.counts.wrong_type),
            "clamped" => count(self.counts.clamped),
            "unknown" => count(self.counts.unknown),
            "dropped" => count(self.counts.dropped),
            "last_problem" => OscType::String(self.complaints.last().into()),
            "last_unknown" => OscType::String(self.learn.last_unknown().into()),
            "learned" => OscType::String(self.learn.listed()),
            _ => return None,
        })
    }

    /// All readings, in the order in which they are listed.
    pub fn readings(&self) -> Vec<(Reading, OscType)> {
        let of = |reading: &Reading| self.reading(reading.path).map(|value| (*reading, value));
        READINGS.iter().filter_map(of).collect()
    }

    fn complain(&mut self, from: SocketAddr, what: &str) {
        let sentence = format!("OSC from {from}: {what}");
        tracing::debug!("{sentence}");
        self.told.extend(self.complaints.tell(sentence, Instant::now()));
    }
}

/// Something that can be read and not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    pub path: &'static str,
    pub about: &'static str,
}

const READINGS: [Reading; 9] = [
    Reading { path: "/wavedream/received", about: "OSC messages that have arrived." },
    Reading { path: "/wavedream/malformed", about: "Packets that were no OSC." },
    Reading { path: "/wavedream/wrong_type", about: "Messages whose argument their parameter does not take." },
    Reading { path: "/wavedream/clamped", about: "Messages beyond the range of their parameter." },
    Reading { path: "/wavedream/unknown", about: "Messages to addresses that mean nothing here." },
    Reading { path: "/wavedream/dropped", about: "Bundles for later that found no room." },
    Reading { path: "/wavedream/last_problem", about: "What was wrong last." },
    Reading { path: "/wavedream/last_unknown", about: "The last address that meant nothing, with its arguments." },
    Reading { path: "/wavedream/learned", about: "Foreign addresses and what they move, a line each." },
];

#[cfg(test)]
mod tests;
