//! Pixels that are made and not yet here.

use std::fmt;

/// The pixels of a picture on their way from a device.
pub struct Arriving(Box<Fetch>);

type Fetch = dyn FnOnce(&mut Vec<u8>) -> Result<(), String> + Send;

impl Arriving {
    /// `fetch` waits for them, and may do so on any thread; its error is the end of a sentence.
    pub fn new(fetch: impl FnOnce(&mut Vec<u8>) -> Result<(), String> + Send + 'static) -> Self {
        Self(Box::new(fetch))
    }

    /// Waits for them.
    pub fn take(self, rgba: &mut Vec<u8>) -> Result<(), String> {
        (self.0)(rgba)
    }
}

impl fmt::Debug for Arriving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Arriving")
    }
}
