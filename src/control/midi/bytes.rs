//! A short MIDI message, held in place: made, sent and dropped without memory being asked for.

use std::ops::Deref;

/// Long enough for an NRPN with both data bytes (12) and for the greetings of the shipped maps.
pub const MOST_BYTES: usize = 24;

/// Up to [`MOST_BYTES`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes {
    len: u8,
    bytes: [u8; MOST_BYTES],
}

impl Bytes {
    /// Takes what fits.
    pub fn new(from: &[u8]) -> Self {
        let len = from.len().min(MOST_BYTES);
        let mut bytes = [0; MOST_BYTES];
        bytes[..len].copy_from_slice(&from[..len]);
        Self { len: len as u8, bytes }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}
