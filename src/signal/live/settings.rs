//! What every live source can be told after the question mark.

use super::silence::Then;
use crate::signal::SourceError;
use crate::signal::url::Address;

/// Keys of every live source; each adds its own.
const KEYS: [&str; 4] = ["stale", "then", "channels", "scale"];
const STALE_SECS: f64 = 3.0;

/// What every live source can be told.
#[derive(Debug, Clone)]
pub struct Settings {
    pub address: Address,
    pub stale_secs: f64,
    pub then: Then,
    pub scale: f64,
    /// The key `channels` chooses among the channels (and does not count them, as it does for raw bytes).
    pub chooses_channels: bool,
}

impl Settings {
    /// `own` are the keys of this kind of source.
    pub fn read(address: &Address, own: &[&str]) -> Result<Self, SourceError> {
        let known: Vec<&str> = own.iter().chain(&KEYS).copied().collect();
        address.check_keys(&known)?;
        Ok(Self {
            address: address.clone(),
            stale_secs: address.number("stale", 0.1..=3600.0, "seconds")?.unwrap_or(STALE_SECS),
            then: Then::from_address(address)?,
            scale: address.scale()?,
            chooses_channels: true,
        })
    }

    /// Which of the channels with these names are wanted.
    pub fn channels(&self, names: &[String]) -> Result<Vec<usize>, SourceError> {
        if self.chooses_channels { self.address.channels(names) } else { Ok((0..names.len()).collect()) }
    }
}
