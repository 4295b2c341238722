//! An envelope follower: what the signal says of itself moves a parameter.

use std::sync::Arc;

use crate::control::{Handle, SetError, Table};

/// One of them.
pub struct Envelope {
    source: Handle,
    target: Handle,
    attack_secs: Handle,
    release_secs: Handle,
    gain: Handle,
    depth: Handle,
    level: f64,
}

impl Envelope {
    /// `number` counts from 1, as the path does.
    pub fn new(table: &Table, number: usize) -> Result<Self, SetError> {
        let handle = |name: &str| table.handle(&format!("/envelope/{number}/{name}"));
        Ok(Self {
            source: handle("source")?,
            target: handle("target")?,
            attack_secs: handle("attack_secs")?,
            release_secs: handle("release_secs")?,
            gain: handle("gain")?,
            depth: handle("depth")?,
            level: 0.0,
        })
    }

    pub fn target(&self) -> Arc<str> {
        self.target.text()
    }

    /// Follows its feature; returns what it adds on the normal scale. A feature that is not there is silent.
    pub fn tick(&mut self, dt_secs: f64, features: &[(&str, f32)]) -> f64 {
        let wanted = self.source.text();
        let feature = features.iter().find(|(name, _)| *name == &*wanted).map_or(0.0, |(_, value)| f64::from(*value));
        let feature = if feature.is_finite() { feature } else { 0.0 };
        let to = (feature.abs() * self.gain.number()).min(1.0);
        let secs = if to > self.level { self.attack_secs.number() } else { self.release_secs.number() };
        self.level += (to - self.level) * (1.0 - (-dt_secs / secs.max(1e-6)).exp());
        self.depth.number() * self.level
    }
}
