//! MIDI controllers: what moves which parameter, learning, lights, and being pulled out.
//!
//! ```text
//! port ──> call-back ──> queue ──> parser ──> assembler ──> binding ──> table
//!          (real time)   bounded   status,    14-bit,       take-over,
//!                                  SysEx      NRPN          curve, way
//! port <── thread "midi ports" <── queue <── lamp <─────────────────────┘
//! ```
//! The call-back leaves bytes in a bounded lock-free queue and does nothing else. All the rest of the way in runs on the
//! main thread, once a frame, in [`Midi::tick`]; ports are opened, closed and written on a thread of their own
//! ([`ports`]), so that nothing waits for a controller. [`Engine`] is all of it but the ports, and takes its time from
//! outside.

mod assemble;
mod binding;
mod bytes;
mod encoder;
mod engine;
mod lamp;
mod learn;
mod map;
mod maps;
mod pair;
mod params;
mod parse;
pub mod ports;
mod source;
mod system;
mod takeover;
mod wires;

use std::time::{Duration, Instant};

pub use bytes::{Bytes, MOST_BYTES};
pub use encoder::Encoder;
pub use engine::{Device, Engine, Learned};
pub use map::{Control, Light, Map, Shape, Show, Takeover, Way};
pub use maps::{Maps, SHIPPED_MAPS};
pub use params::params;
pub use parse::Clock;
pub use source::{Source, SourceError};
pub use system::System;

use super::{Desk, Folders, SetError, Table, motion::Motion, watch::Watch};
use engine::short;
use ports::{DeviceId, Notice, Ports, Watcher};
use wires::Wires;

/// All controllers of the show. Lives on the main thread.
pub struct Midi {
    table: Table,
    engine: Engine,
    maps: Maps,
    /// None where the thread could not be started: the show goes on without controllers.
    ports: Option<Watcher>,
    watch: Option<Watch>,
    /// How many folders are watched; one more once the first map was saved.
    watched: usize,
    wires: Wires,
    start: Instant,
    last: Instant,
    told: Vec<String>,
}

impl Midi {
    /// Reads the maps and begins to watch the system's ports. What was wrong with maps is told by the first tick.
    pub fn start(table: &Table, presets: &Folders) -> Result<Self, SetError> {
        Self::with_ports(table, presets, Box::<System>::default(), ports::POLL)
    }

    /// As [`Midi::start`], on other ports.
    pub fn with_ports(
        table: &Table,
        presets: &Folders,
        ports: Box<dyn Ports>,
        poll: Duration,
    ) -> Result<Self, SetError> {
        let (maps, mut told) = Maps::load(presets);
        let ports = Watcher::start(ports, poll)
            .inspect_err(|error| told.push(format!("controllers cannot be watched: {error}")))
            .ok();
        let mut midi = Self {
            table: table.clone(),
            engine: Engine::new(table),
            maps,
            ports,
            watch: None,
            watched: 0,
            wires: Wires::new(table)?,
            start: Instant::now(),
            last: Instant::now(),
            told,
        };
        midi.watch_files();
        Ok(midi)
    }

    /// Once a frame, before [`Motion::tick`] and [`Desk::tick`]: moves what controllers move, and sets their lights.
    /// Returns what people should be told, a sentence each.
    pub fn tick(&mut self, desk: &Desk, motion: &mut Motion, now: Instant) -> Vec<String> {
        if self.watch.as_mut().is_some_and(Watch::settled) {
            let problems = self.maps.reload();
            self.told.extend(problems);
            self.use_maps();
        }
        self.follow_ports();
        self.follow_wires(now);
        self.read_packets();
        let now_secs = self.secs(now);
        // The beat's clock stands at the last frame.
        let last_secs = self.secs(self.last);
        for (at_secs, clock) in self.engine.clock() {
            motion.clock(clock, motion.now_secs() + (at_secs - last_secs).max(0.0));
        }
        self.last = now;
        self.follow_learning(now_secs);
        let (current, presets) = (desk.current().map(|preset| preset.id.as_str()), desk.presets());
        let plays = |wanted: &str| presets.find(wanted).is_some_and(|preset| Some(preset.id.as_str()) == current);
        let ports = self.ports.as_ref();
        self.engine.tick(now_secs, &plays, |device, bytes| ports.is_none_or(|ports| ports.send(device, bytes)));
        self.told.extend(self.engine.told());
        std::mem::take(&mut self.told)
    }

    /// The controllers that are plugged in, with their maps.
    pub fn devices(&self) -> &[Device] {
        self.engine.devices()
    }

    /// Every parameter that a control moves, with that control as people call it.
    pub fn movers(&self) -> impl Iterator<Item = (String, String)> {
        let of_device = |device: &Device| {
            let name = short(&device.name).to_owned();
            let controls = device.map.controls.iter();
            let moved = controls.filter_map(|control| Some((control.target.clone()?, control.shown().to_string())));
            moved.map(|(path, shown)| (path.to_string(), format!("{shown} of {name}"))).collect::<Vec<_>>()
        };
        self.engine.devices().iter().flat_map(of_device)
    }

    /// The parameter that waits for a control.
    pub fn learning(&self) -> Option<&str> {
        self.engine.learning().path()
    }

    pub fn maps(&self) -> &Maps {
        &self.maps
    }

    fn secs(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.start).as_secs_f64()
    }

    fn watch_files(&mut self) {
        let folders = self.maps.folders();
        self.watched = folders.len();
        self.watch = Watch::new(&folders)
            .inspect_err(|error| self.told.push(format!("saved controller maps are not read again: {error}")))
            .ok();
    }

    fn follow_ports(&mut self) {
        let notices: Vec<Notice> = self.ports.iter().flat_map(Watcher::notices).collect();
        for notice in notices {
            match notice {
                Notice::Came { device, name, has_output } => self.greet(device, &name, has_output),
                Notice::Gone { device, name } => {
                    self.engine.detach(device);
                    self.told.push(format!("{} is gone; its map waits for it", short(&name)));
                }
                Notice::Trouble(why) => self.told.push(why),
            }
        }
    }

    fn greet(&mut self, device: DeviceId, name: &str, has_output: bool) {
        let Some(map) = self.maps.for_port(name).cloned() else { return };
        let lights = if has_output { "" } else { ", without its lights" };
        self.told.push(format!("{} is here, with the map {}{lights}", short(name), map.id));
        let greet = self.engine.attach(device, name, map.clone());
        for bytes in greet {
            if let Some(ports) = &self.ports {
                ports.send(device, bytes);
            }
        }
        self.check_targets(&map);
    }

    /// What a map names and the table has not may be a slip, but only in a map that a person wrote: the shipped ones
    /// are checked, and genres come and go with the model.
    fn check_targets(&mut self, map: &Map) {
        let unknown = |control: &Control| Some((control.line, self.table.handle(control.target.as_ref()?).err()?));
        let mut unknown = map.controls.iter().filter_map(unknown);
        if map.is_users()
            && let Some((line, error)) = unknown.next()
        {
            let more = match unknown.count() {
                0 => String::new(),
                more => format!(", and {more} more of its controls find none"),
            };
            self.told.push(format!("{}, line {line}: {error}{more}", map.file));
        }
    }

    fn read_packets(&mut self) {
        let Some(ports) = &self.ports else { return };
        for packet in ports.packets() {
            let at_secs = packet.arrived.saturating_duration_since(self.start).as_secs_f64();
            self.engine.bytes(packet.device, &packet.bytes, at_secs);
        }
        let dropped = ports.dropped();
        if dropped > 0 {
            self.told.push(format!("{dropped} MIDI messages came faster than they could be read and were dropped"));
        }
    }
}

impl Drop for Midi {
    /// The lights go out with the program.
    fn drop(&mut self) {
        if let Some(ports) = &self.ports {
            self.engine.darken(|device, bytes| {
                ports.send(device, bytes);
            });
        }
    }
}

#[cfg(test)]
mod rig;
#[cfg(test)]
mod tests;
