//! An engine with one controller on paper, for tests: bytes in, parameters and light bytes out.

use std::sync::Arc;

use super::{Engine, Map, ports::DeviceId};
use crate::control::{Origin, Table, Value, builtin};

pub const PULT: DeviceId = DeviceId(3);
const FRAME_SECS: f64 = 1.0 / 60.0;

pub struct Rig {
    pub table: Table,
    pub engine: Engine,
    pub now_secs: f64,
    /// What was sent to the controller since the last look.
    sent: Vec<Vec<u8>>,
    /// The preset that plays.
    pub preset: String,
}

impl Rig {
    /// `controls` are the lines of `control = [...]`.
    pub fn new(controls: &str) -> Self {
        let table = Table::new(builtin());
        let mut rig =
            Self { engine: Engine::new(&table), table, now_secs: 10.0, sent: Vec::new(), preset: String::new() };
        rig.engine.attach(PULT, "Pult:Pult MIDI 1", Arc::new(map(controls)));
        rig
    }

    /// Plays bytes and lets one frame pass.
    pub fn play(&mut self, bytes: &[u8]) {
        self.engine.bytes(PULT, bytes, self.now_secs);
        self.frames(1);
    }

    pub fn frames(&mut self, count: usize) {
        for _ in 0..count {
            self.now_secs += FRAME_SECS;
            let (sent, preset) = (&mut self.sent, &self.preset);
            self.engine.tick(self.now_secs, &|wanted| wanted == preset, |device, bytes| {
                assert_eq!(device, PULT);
                sent.push(bytes.to_vec());
                true
            });
        }
    }

    pub fn wait(&mut self, secs: f64) {
        self.frames((secs / FRAME_SECS).ceil() as usize);
    }

    /// Moves a parameter by another way.
    pub fn set(&mut self, setting: &str) {
        self.table.set_from_text(setting, Origin::Panel).unwrap();
    }

    pub fn number(&self, path: &str) -> f64 {
        (self.table.handle(path).unwrap().number() * 1000.0).round() / 1000.0
    }

    pub fn value(&self, path: &str) -> Value {
        self.table.get(path).unwrap()
    }

    pub fn pulses(&self, path: &str) -> u64 {
        self.table.handle(path).unwrap().pulses()
    }

    /// What was sent to the controller since the last look, a message each.
    pub fn sent(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.sent)
    }

    pub fn told(&mut self) -> Vec<String> {
        self.engine.told().collect()
    }
}

pub fn map(controls: &str) -> Map {
    Map::parse(&format!("version = 1\nports = [\"pult\"]\ncontrol = [\n{controls}\n]\n"), "pult.toml").unwrap()
}
