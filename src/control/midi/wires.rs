//! What the parameters of MIDI ask for: learning, forgetting, and putting the maps that come of it to work.

use std::{sync::Arc, time::Instant};

use super::{
    Learned, Map, Midi,
    params::{last_moved, say},
    ports::DeviceId,
};
use crate::control::{Handle, SetError, Table};

/// The parameters that ask something of MIDI, and what was seen of them.
pub(super) struct Wires {
    learn: Handle,
    learn_seen: u64,
    learn_last: Handle,
    learn_last_seen: u64,
    forget: Handle,
    forget_seen: u64,
    /// Turning back was asked for.
    doubt_told: bool,
}

impl Wires {
    /// What was set before the start asks for nothing.
    pub fn new(table: &Table) -> Result<Self, SetError> {
        let (learn, learn_last) = (table.handle("/midi/learn")?, table.handle("/midi/learn_last")?);
        let forget = table.handle("/midi/forget")?;
        Ok(Self {
            learn_seen: learn.changed(),
            learn,
            learn_last_seen: learn_last.pulses(),
            learn_last,
            forget_seen: forget.changed(),
            forget,
            doubt_told: false,
        })
    }
}

impl Midi {
    pub(super) fn follow_wires(&mut self, now: Instant) {
        let now_secs = self.secs(now);
        let wires = &mut self.wires;
        if wires.learn.moved(&mut wires.learn_seen) {
            let path = wires.learn.text();
            self.begin_learning(path.trim(), now_secs);
        }
        let wires = &mut self.wires;
        if wires.learn_last.fired(&mut wires.learn_last_seen) {
            match last_moved(&self.table) {
                Some(path) => self.begin_learning(&path, now_secs),
                None => self.told.push("nothing was moved yet: move a parameter first, then learn it".into()),
            }
        }
        let wires = &mut self.wires;
        if wires.forget.moved(&mut wires.forget_seen) {
            let path = wires.forget.text();
            if !path.is_empty() {
                self.forget(&path);
                say(&self.table, "/midi/forget", "");
                self.wires.forget_seen = self.wires.forget.changed();
            }
        }
    }

    fn begin_learning(&mut self, path: &str, now_secs: f64) {
        self.wires.doubt_told = false;
        if path.is_empty() {
            self.engine.cancel_learning();
            return;
        }
        match self.engine.learn(path, now_secs) {
            Ok(()) => {
                self.told.push(format!("move the control for {path}"));
                self.show_learning(path);
            }
            Err(error) => {
                self.engine.cancel_learning();
                self.told.push(error.to_string());
                self.show_learning("");
            }
        }
    }

    fn show_learning(&mut self, path: &str) {
        if &*self.wires.learn.text() != path {
            say(&self.table, "/midi/learn", path);
        }
        self.wires.learn_seen = self.wires.learn.changed();
    }

    pub(super) fn follow_learning(&mut self, now_secs: f64) {
        let Some(path) = self.engine.learning().path().map(str::to_owned) else { return };
        if let Some(done) = self.engine.learned(now_secs) {
            match done {
                Ok(Learned { map, said }) => {
                    self.told.push(said);
                    self.keep(map);
                }
                Err(why) => self.told.push(why),
            }
            self.show_learning("");
        } else if !self.wires.doubt_told && self.engine.learning().is_in_doubt() {
            self.wires.doubt_told = true;
            self.told.push(format!("turn the control for {path} the other way too"));
        }
    }

    fn forget(&mut self, path: &str) {
        let maps = self.engine.forget(path);
        if maps.is_empty() {
            self.told.push(format!("no control that is plugged in moves {path}"));
        }
        for map in maps {
            self.told.push(format!("nothing of {} moves {path} any more", map.name));
            self.keep(map);
        }
    }

    /// Saves a map and puts it to work.
    fn keep(&mut self, map: Map) {
        if let Err(error) = self.maps.save(map) {
            self.told.push(error.to_string());
        }
        self.use_maps();
        if self.maps.folders().len() != self.watched {
            self.watch_files();
        }
    }

    /// Gives each controller the map that fits it best now.
    pub(super) fn use_maps(&mut self) {
        let known: Vec<(DeviceId, String)> =
            self.engine.devices().iter().map(|device| (device.id, device.name.clone())).collect();
        for (id, name) in known {
            if let Some(map) = self.maps.for_port(&name).cloned() {
                if !self.engine.devices().iter().any(|device| device.id == id && Arc::ptr_eq(&device.map, &map)) {
                    self.check_targets(&map);
                }
                self.engine.replace(id, map);
            }
        }
    }
}
