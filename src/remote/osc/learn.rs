//! Learning what foreign addresses are for: `/osc/learn` is set to the path of a parameter, a control of any program is
//! moved, and from then on it moves that parameter.
//!
//! What streams by itself (a sensor, a clock) when learning begins is not what a hand moves: it is taken only if nothing
//! else comes for a while. Of several arguments the one that changes is taken. The range is guessed from the values seen
//! and widens while the control is moved over its way in the first seconds.

use std::{
    fmt::Write as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use rosc::{OscMessage, OscType};
use serde::Serialize;

use super::{
    Sender,
    values::{self, value_of},
};
use crate::control::{Handle, Kind, Origin, SetError, Table, Value};

mod binding;
mod file;
mod foreign;

use binding::Binding;
use foreign::Foreign;

/// Foreign addresses that are remembered.
const MOST_FOREIGN: usize = 32;
const MOST_BINDINGS: usize = 512;
/// How long what streams by itself is left alone after learning began.
const STREAMS_WAIT: Duration = Duration::from_secs(3);
/// How long after it was learned a range widens to the values that come.
const WIDENS: Duration = Duration::from_secs(10);

/// What became of a message to an address that is not in the table.
#[derive(Debug, PartialEq)]
pub enum Heard {
    Moved,
    /// What people should be told.
    Learned(String),
    Refused(String),
    Unknown,
}

/// Bindings, and what is needed to make more.
#[derive(Debug)]
pub struct Learn {
    learn: Handle,
    learn_seen: u64,
    unlearn: Handle,
    unlearn_seen: u64,
    bindings: Vec<Binding>,
    file: Option<PathBuf>,
    unsaved: bool,
    /// The newest last.
    foreign: Vec<Foreign>,
    armed: Option<Armed>,
}

#[derive(Debug)]
struct Armed {
    path: String,
    since: Instant,
    /// Addresses that streamed when it began.
    streams: Vec<String>,
}

/// For pages and panels.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct LearnReport {
    /// The path that waits for a control.
    pub learning: Option<String>,
    pub bindings: Vec<BindingReport>,
    /// Foreign addresses with their last arguments, the newest first.
    pub unknown: Vec<String>,
}

/// What an address moves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BindingReport {
    pub address: String,
    /// Counted from 1; none for messages without.
    pub argument: Option<usize>,
    pub parameter: String,
    pub from: f64,
    pub to: f64,
}

impl Learn {
    /// Reads the file of bindings; what is wrong with it is told. The table must hold the built-in parameters.
    pub fn new(table: &Table, file: Option<PathBuf>) -> Result<(Self, Vec<String>), SetError> {
        let (learn, unlearn) = (table.handle("/osc/learn")?, table.handle("/osc/unlearn")?);
        let mut told = Vec::new();
        let mut bindings = Vec::new();
        if let Some(file) = &file {
            match file::load(file) {
                Ok(read) => bindings = read,
                Err(error) => {
                    told.push(error.to_string());
                    told.extend(file::set_aside(file));
                }
            }
        }
        // Set before the start, for instance by --set: that counts.
        let (learn_seen, unlearn_seen, unsaved) = (0, 0, false);
        let foreign = Vec::new();
        let learn = Self { learn, learn_seen, unlearn, unlearn_seen, bindings, file, unsaved, foreign, armed: None };
        Ok((learn, told))
    }

    /// Follows `/osc/learn` and `/osc/unlearn`, and saves what has settled. Cheap: for every message.
    pub fn follow(&mut self, table: &Table, now: Instant) -> Vec<String> {
        let mut told = Vec::new();
        if self.learn.moved(&mut self.learn_seen) {
            told.extend(self.arm(table, now));
        }
        if self.unlearn.moved(&mut self.unlearn_seen) {
            told.extend(self.unlearn(table));
        }
        if self.unsaved && !self.bindings.iter().any(|binding| binding.is_widening(now)) {
            told.extend(self.save());
        }
        told
    }

    /// A message to an address that is not in the table.
    pub fn foreign(&mut self, table: &Table, message: &OscMessage, from: Sender, now: Instant) -> Heard {
        let learned = self.learn_from(table, message, now);
        let mut heard = self.play(table, message, from, now);
        if heard == Heard::Unknown || learned.is_some() {
            self.remember(message, now);
        }
        if let Some(sentence) = learned {
            heard = Heard::Learned(sentence);
        }
        heard
    }

    pub fn report(&self, now: Instant) -> LearnReport {
        let is_free = |foreign: &&Foreign| self.bindings.iter().all(|binding| binding.address != foreign.address);
        LearnReport {
            learning: self.armed.as_ref().map(|armed| armed.path.clone()),
            bindings: self.bindings.iter().map(Binding::report).collect(),
            unknown: self.foreign.iter().rev().filter(is_free).map(|foreign| foreign.shown(now)).collect(),
        }
    }

    pub fn last_unknown(&self) -> &str {
        self.foreign.last().map_or("", |foreign| &foreign.line)
    }

    /// The bindings, a line each.
    pub fn listed(&self) -> String {
        let mut out = String::new();
        for binding in &self.bindings {
            let _ = writeln!(out, "{binding}");
        }
        out.trim_end().to_owned()
    }

    fn arm(&mut self, table: &Table, now: Instant) -> Option<String> {
        let path = self.learn.text();
        self.armed = None;
        if path.is_empty() {
            return None;
        }
        if let Err(error) = table.handle(&path) {
            self.clear(table);
            return Some(format!("OSC learn: {error}"));
        }
        let streams = self.foreign.iter().filter(|foreign| foreign.streams(now)).map(|f| f.address.clone()).collect();
        self.armed = Some(Armed { path: path.to_string(), since: now, streams });
        Some(format!("OSC learn: move the control that is to move {path}"))
    }

    fn learn_from(&mut self, table: &Table, message: &OscMessage, now: Instant) -> Option<String> {
        let armed = self.armed.as_ref()?;
        let waits = now.saturating_duration_since(armed.since) < STREAMS_WAIT;
        if waits && armed.streams.contains(&message.addr) {
            return None;
        }
        let kind = table.handle(&armed.path).ok()?.param().kind.clone();
        let before = self.foreign.iter().find(|foreign| foreign.address == message.addr);
        let argument = choose(&kind, message, before)?;
        let path = self.armed.take()?.path;
        let mut binding = Binding::new(&message.addr, argument, &path, now + WIDENS);
        for value in before.into_iter().flat_map(|foreign| foreign.span(argument)) {
            binding.widen(value);
        }
        let same_control = |other: &Binding| other.address == message.addr && other.argument == argument;
        let moved_before = self.bindings.iter().find(|other| same_control(other)).map(|other| other.path.clone());
        self.bindings.retain(|other| !same_control(other) && other.path != path);
        self.bindings.truncate(MOST_BINDINGS - 1);
        let mut sentence = format!("OSC learn: {binding}");
        if let Some(other) = moved_before.filter(|other| *other != path) {
            let _ = write!(sentence, "; it no longer moves {other}");
        }
        self.bindings.push(binding);
        self.clear(table);
        if let Some(error) = self.save() {
            let _ = write!(sentence, "; {error}");
        }
        // The range still widens.
        self.unsaved = true;
        Some(sentence)
    }

    /// Moves what the address is bound to.
    fn play(&mut self, table: &Table, message: &OscMessage, from: Sender, now: Instant) -> Heard {
        let mut heard = Heard::Unknown;
        for binding in self.bindings.iter_mut().filter(|binding| binding.address == message.addr) {
            // The parameter can be gone with its shader: the binding waits for it.
            let Ok(handle) = table.handle(&binding.path) else { continue };
            heard = match binding.play(table, &handle, &message.args, from.origin, now) {
                Ok(()) => Heard::Moved,
                Err(why) => Heard::Refused(why),
            };
        }
        heard
    }

    fn remember(&mut self, message: &OscMessage, now: Instant) {
        let known = self.foreign.iter().position(|foreign| foreign.address == message.addr);
        let mut foreign = match known {
            Some(at) => self.foreign.remove(at),
            None => Foreign::new(&message.addr),
        };
        foreign.heard(&message.args, now);
        if self.foreign.len() == MOST_FOREIGN {
            self.foreign.remove(0);
        }
        self.foreign.push(foreign);
    }

    fn unlearn(&mut self, table: &Table) -> Option<String> {
        let wanted = self.unlearn.text();
        if wanted.is_empty() {
            return None;
        }
        let before = self.bindings.len();
        self.bindings.retain(|binding| binding.address != *wanted && binding.path != *wanted && *wanted != *"all");
        let gone = before - self.bindings.len();
        set(table, &self.unlearn, &mut self.unlearn_seen);
        if gone == 0 {
            return Some(format!("OSC learn: nothing is bound to or by {wanted}"));
        }
        let error = self.save();
        Some(error.unwrap_or_else(|| format!("OSC learn: {gone} forgotten ({wanted})")))
    }

    fn save(&mut self) -> Option<String> {
        self.unsaved = false;
        file::save(self.file.as_ref()?, &self.bindings).err().map(|error| error.to_string())
    }

    fn clear(&mut self, table: &Table) {
        set(table, &self.learn, &mut self.learn_seen);
    }
}

impl Drop for Learn {
    fn drop(&mut self) {
        if self.unsaved
            && let Some(error) = self.save()
        {
            tracing::warn!("{error}");
        }
    }
}

/// Empties one of our own parameters, and does not take that for a wish.
fn set(table: &Table, handle: &Handle, seen: &mut u64) {
    if let Err(error) = table.set(&handle.path(), Value::text(""), Origin::Program) {
        tracing::warn!("{error}");
    }
    *seen = handle.changed();
}

/// Which argument of a message is to be bound: the number that changed most since the last message of this address,
/// else the first; a text for what takes texts; none for a message without. None at all if nothing fits.
fn choose(kind: &Kind, message: &OscMessage, before: Option<&Foreign>) -> Option<Option<usize>> {
    if message.args.is_empty() || value_of(&message.args[0]) == Some(Value::Pulse) {
        return matches!(kind, Kind::Trigger | Kind::Bool).then_some(None);
    }
    let numbers = message.args.iter().enumerate().filter_map(|(at, arg)| Some((at, values::number_of(arg)?)));
    let change = |&(at, value): &(usize, f64)| before.map_or(0.0, |foreign| foreign.change(at, value));
    // Of equal ones the first.
    let number = numbers.rev().max_by(|a, b| change(a).total_cmp(&change(b))).map(|(at, _)| at);
    let takes_text = matches!(kind, Kind::Text | Kind::Choice(_));
    let text = message.args.iter().position(|arg| matches!(arg, OscType::String(_))).filter(|_| takes_text);
    text.or(number).map(Some)
}

#[cfg(test)]
mod tests;
