//! Bytes in, parameters moved, bytes for lights out: everything about controllers but their ports.
//!
//! Runs on the main thread. Time is given from outside, in seconds of any clock that never goes back, so that all of it
//! is tested without a controller.

use std::sync::Arc;

use super::{
    assemble::{Assembler, Signal},
    binding::Binding,
    bytes::Bytes,
    learn::{self, Found, Learn, Progress},
    map::{Control, Map, Way},
    parse::{Clock, Parsed, Parser},
    ports::DeviceId,
};
use crate::control::{Kind, SetError, Table};

/// Messages for lights that one controller gets in one frame: more than a frame's share of a DIN cable, so that a grid
/// of 64 pads is lit within three frames and nothing is drowned.
const MOST_LIGHTS_A_FRAME: usize = 24;
/// Messages of the clock that are kept until they are asked for: two seconds at 300 beats a minute.
const MOST_CLOCK: usize = 256;

/// See the module.
pub struct Engine {
    table: Table,
    layout: u64,
    devices: Vec<Device>,
    learn: Learn,
    clock: Vec<(f64, Clock)>,
    told: Vec<String>,
    last_secs: Option<f64>,
}

/// A controller that is plugged in.
pub struct Device {
    pub id: DeviceId,
    pub name: String,
    pub map: Arc<Map>,
    pub bindings: Vec<Binding>,
    parser: Parser,
    assembler: Assembler,
    /// Which light is looked at first, so that each has its turn.
    first_light: usize,
}

/// A control was learned: the map to keep, and what to say.
#[derive(Debug)]
pub struct Learned {
    pub map: Map,
    pub said: String,
}

impl Engine {
    pub fn new(table: &Table) -> Self {
        Self {
            table: table.clone(),
            layout: table.layout(),
            devices: Vec::new(),
            learn: Learn::default(),
            clock: Vec::new(),
            told: Vec::new(),
            last_secs: None,
        }
    }

    /// A controller is there: its map works and its lights are all set with the next ticks. What is to be sent first
    /// comes back.
    pub fn attach(&mut self, id: DeviceId, name: &str, map: Arc<Map>) -> Vec<Bytes> {
        self.detach(id);
        let greet = map.greet.clone();
        let bindings = map.controls.iter().map(|control| Binding::new(control.clone(), &self.table)).collect();
        self.devices.push(Device {
            id,
            name: name.into(),
            map,
            bindings,
            parser: Parser::default(),
            assembler: Assembler::default(),
            first_light: 0,
        });
        greet
    }

    /// Puts another map in place: what has not changed keeps its state, so that nothing has to be picked up again.
    pub fn replace(&mut self, id: DeviceId, map: Arc<Map>) {
        let Some(device) = self.devices.iter_mut().find(|device| device.id == id) else { return };
        let mut old: Vec<Binding> = std::mem::take(&mut device.bindings);
        let same = |a: &Control, b: &Control| Control { line: b.line, ..a.clone() } == *b;
        device.bindings = map
            .controls
            .iter()
            .map(|control| match old.iter().position(|binding| same(&binding.control, control)) {
                Some(at) => old.swap_remove(at),
                None => Binding::new(control.clone(), &self.table),
            })
            .collect();
        device.map = map;
    }

    pub fn detach(&mut self, id: DeviceId) {
        self.devices.retain(|device| device.id != id);
    }

    /// The controllers that are plugged in.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// Takes bytes of a controller.
    pub fn bytes(&mut self, id: DeviceId, bytes: &[u8], now_secs: f64) {
        let Some(at) = self.devices.iter().position(|device| device.id == id) else { return };
        self.follow_layout();
        for byte in bytes {
            let device = &mut self.devices[at];
            match device.parser.byte(*byte) {
                Some(Parsed::Clock(clock)) if self.clock.len() < MOST_CLOCK => self.clock.push((now_secs, clock)),
                Some(Parsed::Clock(_)) | None => {}
                Some(Parsed::Channel(channel, message)) => {
                    let Device { assembler, bindings, .. } = device;
                    let hear = hear(id, bindings, &mut self.learn, &self.table, &mut self.told, now_secs);
                    assembler.message(channel, message, now_secs, hear);
                }
            }
        }
    }

    /// Moves what is smoothed, and hands out what lights are to be sent. `plays` tells whether a preset, by any of its
    /// names, is the one that plays.
    pub fn tick(&mut self, now_secs: f64, plays: &dyn Fn(&str) -> bool, mut send: impl FnMut(DeviceId, Bytes) -> bool) {
        let dt_secs = self.last_secs.replace(now_secs).map_or(0.0, |last| (now_secs - last).max(0.0));
        self.follow_layout();
        for device in &mut self.devices {
            let Device { id, assembler, bindings, first_light, .. } = device;
            let hear = hear(*id, bindings, &mut self.learn, &self.table, &mut self.told, now_secs);
            assembler.flush(now_secs, hear);
            bindings.iter_mut().for_each(|binding| binding.tick(dt_secs, &self.table));
            let count = bindings.len();
            let mut left = MOST_LIGHTS_A_FRAME;
            for step in 0..count {
                let at = (*first_light + step) % count;
                let binding = &mut bindings[at];
                let Some(bytes) = binding.light(now_secs, plays) else { continue };
                if !send(*id, bytes) {
                    // The port is behind: it gets it later.
                    binding.lamp.forget();
                    left = 1;
                }
                left -= 1;
                if left == 0 {
                    *first_light = (at + 1) % count;
                    break;
                }
            }
        }
    }

    /// The lights of all controllers go out.
    pub fn darken(&self, mut send: impl FnMut(DeviceId, Bytes)) {
        for device in &self.devices {
            device.bindings.iter().filter_map(Binding::dark).for_each(|bytes| send(device.id, bytes));
        }
    }

    /// The messages of the clock since the last look.
    pub fn clock(&mut self) -> impl Iterator<Item = (f64, Clock)> {
        self.clock.drain(..)
    }

    /// What went wrong since the last look.
    pub fn told(&mut self) -> impl Iterator<Item = String> {
        self.told.drain(..)
    }

    fn follow_layout(&mut self) {
        let layout = self.table.layout();
        if std::mem::replace(&mut self.layout, layout) != layout {
            let bindings = self.devices.iter_mut().flat_map(|device| &mut device.bindings);
            bindings.for_each(|binding| binding.find(&self.table));
        }
    }

    /// From now on controls move nothing, until one was moved for this parameter.
    pub fn learn(&mut self, path: &str, now_secs: f64) -> Result<(), SetError> {
        self.table.handle(path)?;
        self.learn.begin(path, now_secs);
        Ok(())
    }

    pub fn cancel_learning(&mut self) {
        self.learn.cancel();
    }

    pub fn learning(&self) -> &Learn {
        &self.learn
    }

    /// What learning has come to. The map that was made is not in place yet: see [`Engine::replace`].
    pub fn learned(&mut self, now_secs: f64) -> Option<Result<Learned, String>> {
        let path = self.learn.path()?.to_owned();
        match self.learn.decide(now_secs) {
            Progress::Waiting => None,
            Progress::GivenUp => Some(Err(format!("nothing was moved for {path}; the learning has ended"))),
            Progress::Found(device, found) => Some(self.keep(&path, device, found)),
        }
    }

    fn keep(&self, path: &str, device: DeviceId, found: Found) -> Result<Learned, String> {
        let gone = || format!("the controller that was moved for {path} is gone");
        let device = self.devices.iter().find(|known| known.id == device).ok_or_else(gone)?;
        let kind = self.table.handle(path).map_err(|error| error.to_string())?.param().kind.clone();
        let mut map = Map::clone(&device.map);
        if map.ports.iter().any(|part| part == "*") {
            // The map of all ports becomes one of this port.
            map = Map { controls: map.controls, about: map.about, ..Map::for_port(short(&device.name)) };
        }
        let overlapping = |control: &Control| {
            learn::overlap(control.source, found.source) && control.channel.is_none_or(|own| own == found.channel)
        };
        let known: Vec<Control> = map.controls.iter().filter(|control| overlapping(control)).cloned().collect();
        map.controls.retain(|control| !overlapping(control));
        // What the map says of the control itself stays; what it said of the parameter before goes.
        let same = known.iter().find(|control| control.source == found.source);
        let mut control = same.cloned().unwrap_or_else(|| Control::new(found.source, Some(found.channel)));
        if control.target.as_deref() != Some(path) {
            control.target = Some(path.into());
            control.range = None;
            control.way = match (control.way, found.way) {
                (own @ Way::Relative { .. }, _) => own,
                (own @ (Way::Position | Way::Button | Way::Gate), Way::Auto | Way::Position | Way::Button) => own,
                (_, found) => found,
            };
        }
        if matches!(kind, Kind::Text) {
            control.way = self.text_way(path, &control, &kind)?;
        }
        let said = said(path, &device.name, &control, &known, &map);
        map.controls.push(control);
        Ok(Learned { map, said })
    }

    /// A text takes a button that sets what it has now, or, if it counts, a program change.
    fn text_way(&self, path: &str, control: &Control, kind: &Kind) -> Result<Way, String> {
        let is_program = control.source == super::Source::Program(None) && path == "/preset";
        let binding = Binding::new(control.clone(), &self.table);
        match binding.way(kind) {
            _ if is_program => Ok(Way::Auto),
            Way::Position | Way::Relative { .. } => {
                Err(format!("{path} is a text: a button can set it, {} cannot", control.shown()))
            }
            _ => {
                let text = self.table.handle(path).map_err(|error| error.to_string())?.text();
                Ok(Way::Set(text.to_string()))
            }
        }
    }

    /// Takes a parameter from all controls. The maps that change come back.
    pub fn forget(&self, path: &str) -> Vec<Map> {
        let mut changed = Vec::new();
        for device in &self.devices {
            let moves = |control: &Control| control.target.as_deref() == Some(path);
            if device.map.controls.iter().any(moves) {
                let mut map = Map::clone(&device.map);
                map.controls.iter_mut().filter(|control| moves(control)).for_each(|control| control.target = None);
                changed.push(map);
            }
        }
        changed
    }
}

/// What a signal does: it moves the parameters of the controls that hear it, or is observed.
fn hear<'a>(
    id: DeviceId,
    bindings: &'a mut [Binding],
    learn: &'a mut Learn,
    table: &'a Table,
    told: &'a mut Vec<String>,
    now_secs: f64,
) -> impl FnMut(Signal) + 'a {
    move |signal| {
        let learning = learn.path().is_some();
        if learning {
            learn.hear(id, signal, now_secs);
        }
        for binding in bindings.iter_mut().filter(|binding| binding.control.hears(signal.source, signal.channel)) {
            binding.shows(signal.reading);
            if !learning && let Err(error) = binding.hear(signal.reading, table, now_secs) {
                told.push(error.to_string());
            }
        }
    }
}

/// ALSA names a port `client:port`; the client is what people know.
pub(super) fn short(port: &str) -> &str {
    port.split_once(':').map_or(port, |(client, _)| client).trim()
}

/// The sentence about what was learned, with the conflicts.
fn said(path: &str, device: &str, control: &Control, known: &[Control], map: &Map) -> String {
    let mut said = format!("{} of {} now moves {path}", control.shown(), short(device));
    let before: Vec<&str> =
        known.iter().filter_map(|control| control.target.as_deref()).filter(|target| *target != path).collect();
    if !before.is_empty() {
        said.push_str(&format!("; it moved {} before", before.join(" and ")));
    }
    let also: Vec<String> =
        map.controls.iter().filter(|other| other.target.as_deref() == Some(path)).map(Control::shown).collect();
    if !also.is_empty() {
        said.push_str(&format!("; {} moves it too", also.join(" and ")));
    }
    said
}

#[cfg(test)]
mod tests;
