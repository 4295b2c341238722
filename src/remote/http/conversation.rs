//! What is said over one WebSocket: JSON commands and OSC packets, both ways.
//!
//! Nothing queues up for a client: each has its own memory of what it has seen of the table, and gets, some thirty times a
//! second, what has changed since, as it is then. A client that reads slowly gets fewer messages, never older ones.
//!
//! Beside the commands of the proposal there is `STATUS` (`DATA` true or false), which the control page asks for: how the
//! show goes, twice a second.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use rosc::{OscMessage, OscPacket, OscType, encoder};
use serde_json::{Value as Json, json};

use super::layout::Layout;
use crate::{
    control::{Kind, Origin},
    remote::{
        core::Core,
        osc::{Answer, Sender, values},
    },
};

/// How often values go out.
pub const PERIOD: Duration = Duration::from_millis(33);
/// How often the status and readings go out.
const SLOW_PERIOD: Duration = Duration::from_millis(500);

/// Something to be sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Say {
    Text(String),
    Binary(Vec<u8>),
}

/// One client.
pub struct Conversation {
    core: Arc<Core>,
    from: Sender,
    listens: BTreeSet<String>,
    layout: Layout,
    /// Generation of the table.
    seen: u64,
    wants_status: bool,
    slow_at: Option<Instant>,
    /// Readings that are listened to, as they were sent.
    readings: BTreeMap<&'static str, OscType>,
}

impl Conversation {
    pub fn new(core: Arc<Core>, peer: SocketAddr) -> Self {
        Self {
            from: Sender { address: peer, origin: Origin::Web },
            listens: BTreeSet::new(),
            seen: core.table.generation(),
            layout: Layout::of(&core.table),
            wants_status: false,
            slow_at: None,
            readings: BTreeMap::new(),
            core,
        }
    }

    /// A JSON command. What is none is passed over, as the proposal has no way to answer it.
    pub fn text(&mut self, text: &str) -> Vec<Say> {
        let Ok(command) = serde_json::from_str::<Json>(text) else { return Vec::new() };
        let data = &command["DATA"];
        let path = data.as_str().unwrap_or_default();
        match command["COMMAND"].as_str() {
            Some("LISTEN") => self.listen(path),
            Some("IGNORE") => {
                self.listens.remove(path);
                self.readings.retain(|reading, _| *reading != path);
                Vec::new()
            }
            Some("STATUS") => {
                self.wants_status = *data != json!(false);
                self.slow_at = None;
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// An OSC packet; questions are answered.
    pub fn binary(&mut self, bytes: &[u8]) -> Vec<Say> {
        let answers = self.core.receiver().packet(bytes, self.from);
        let messages = answers.into_iter().filter_map(|answer| match answer {
            Answer::Send(message) => Some(message),
            // Here that is LISTEN.
            Answer::Subscribe { .. } | Answer::Unsubscribe { .. } => None,
        });
        messages.filter_map(say).collect()
    }

    /// What has changed. To be called every [`PERIOD`].
    pub fn tick(&mut self, now: Instant) -> Vec<Say> {
        let core = Arc::clone(&self.core);
        let mut out = Vec::new();
        if let Some(change) = self.layout.follow(&core.table) {
            let single = |command: &'static str, paths: Vec<String>| paths.into_iter().map(move |path| (command, path));
            let all = [("PATH_CHANGED", change.path)]
                .into_iter()
                .chain(single("PATH_REMOVED", change.removed))
                .chain(single("PATH_ADDED", change.added));
            out.extend(all.map(|(command, path)| Say::Text(json!({ "COMMAND": command, "DATA": path }).to_string())));
            // What is gone is not listened to any more; it would have to be asked for anew.
            self.listens.retain(|path| self.layout.holds(path) || path.starts_with("/wavedream/"));
        }
        let changes = core.table.changes_since(&mut self.seen);
        let heard = changes.iter().filter(|handle| self.listens.contains(&handle.path()));
        out.extend(heard.filter_map(|handle| say(values::message(handle))));
        if self.slow_at.is_none_or(|at| now.saturating_duration_since(at) >= SLOW_PERIOD) {
            self.slow_at = Some(now);
            out.extend(self.changed_readings());
            out.extend(self.wants_status.then(|| Say::Text(self.status(now))));
        }
        out
    }

    fn listen(&mut self, path: &str) -> Vec<Say> {
        let Ok(handle) = self.core.table.handle(path) else {
            let readings = self.core.receiver().readings();
            if readings.iter().any(|(reading, _)| reading.path == path) {
                self.listens.insert(path.to_owned());
            }
            return Vec::new();
        };
        self.listens.insert(path.to_owned());
        // The value as it is now: it may have changed since the client read the tree. A trigger has none.
        let value = (handle.param().kind != Kind::Trigger).then(|| say(values::message(&handle)));
        value.flatten().into_iter().collect()
    }

    fn changed_readings(&mut self) -> Vec<Say> {
        if !self.listens.iter().any(|path| path.starts_with("/wavedream/")) {
            return Vec::new();
        }
        let mut out = Vec::new();
        for (reading, value) in self.core.receiver().readings() {
            if self.listens.contains(reading.path) && self.readings.get(reading.path) != Some(&value) {
                self.readings.insert(reading.path, value.clone());
                out.extend(say(OscMessage { addr: reading.path.into(), args: vec![value] }));
            }
        }
        out
    }

    fn status(&self, now: Instant) -> String {
        let receiver = self.core.receiver();
        let (counts, learn, problem) =
            (receiver.counts(), receiver.learn_report(now), receiver.last_complaint().to_owned());
        drop(receiver);
        let at = |address: Option<Arc<SocketAddr>>| address.map(|address| address.to_string());
        json!({
            "COMMAND": "STATUS",
            "DATA": {
                "show": &*self.core.board.status(),
                "osc": { "at": at(self.core.osc_at.load_full()), "counts": counts, "problem": problem, "learn": learn },
            },
        })
        .to_string()
    }
}

fn say(message: OscMessage) -> Option<Say> {
    encoder::encode(&OscPacket::Message(message)).ok().map(Say::Binary)
}

#[cfg(test)]
mod tests;
