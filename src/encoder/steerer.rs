//! Encoder and head together, as one file holds them: from a window of the signal to a steering.
//!
//! Slow beside a hop (milliseconds for a small encoder, a second for the full one), so `play` runs it on a thread of its
//! own ([`super::worker`]).

use std::{path::Path, sync::Arc};

use candle_core::Device;

use super::{
    EncoderError, Net, Shape, Store,
    head::{Head, Steering, Targets},
    load,
};

/// Comes with the program: an encoder of the synthetic rat, with a head for its four states.
static RAT: &[u8] = include_bytes!("../../models/encoder/rat.safetensors");
/// Its name.
pub const BUILT_IN: &str = "rat";

/// The tensors of a file, or of what comes with the program.
///
/// # Errors
/// A sentence that names the file.
pub fn load_named(name: &str, device: &Device) -> Result<Store, EncoderError> {
    let name = name.trim();
    if name == BUILT_IN {
        return Store::parse(RAT, Path::new(BUILT_IN), device);
    }
    let path = Path::new(name);
    if !path.exists() {
        let what =
            format!("is not there; an encoder is a .safetensors file, or {BUILT_IN}, which comes with the program");
        return Err(EncoderError::File { path: path.into(), what });
    }
    load(path, device)
}

/// An encoder with a head, ready to be asked.
#[derive(Debug, Clone)]
pub struct Steerer {
    net: Net,
    head: Head,
    device: Device,
}

impl Steerer {
    /// By the name of a file, or `rat`.
    ///
    /// # Errors
    /// A sentence that names the file: it is not there, holds no encoder, or no head.
    pub fn open(name: &str) -> Result<Self, EncoderError> {
        Self::from_store(&load_named(name, &Device::Cpu)?)
    }

    pub fn from_store(store: &Store) -> Result<Self, EncoderError> {
        let device = Device::Cpu;
        let shape = store.shape()?;
        let refuse = |what| EncoderError::File { path: store.path.clone(), what };
        let targets = Arc::new(Targets::read(&store.head).map_err(refuse)?);
        store.expect(&targets.tensors(&shape))?;
        Ok(Self { net: Net::new(&shape, store, &device)?, head: Head::new(targets, store)?, device })
    }

    pub fn shape(&self) -> &Shape {
        &self.net.shape
    }

    pub fn targets(&self) -> &Arc<Targets> {
        &self.head.targets
    }

    /// Of one window, (channels, window), as [`super::feed`] makes it.
    pub fn steer(&self, window: &[f32]) -> Result<Steering, EncoderError> {
        let tokens = self.net.tokens(window, &self.device)?.unsqueeze(0)?;
        Ok(self.head.say(&tokens)?.steering(self.targets())?)
    }
}
