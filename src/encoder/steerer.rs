//! Encoder and head together, as one file holds them: from a window of the signal to a steering.
//!
//! Slow beside a hop (milliseconds for a small encoder, a second for the full one), so `play` runs it on a thread of its
//! own ([`super::worker`]).

use std::{path::Path, sync::Arc};

use candle_core::{Device, Tensor};

use super::{
    EncoderError, Net, Shape, Store,
    head::{Head, Steering, Targets},
    load,
    mappers::{MapperSizes, Mappers},
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

/// What turns tokens into what is asked.
#[derive(Debug, Clone)]
enum Says {
    /// Of the box: genres, mood, scene and context.
    All(Box<Head>),
    /// Words for Stable Diffusion.
    Words(Mappers),
}

/// An encoder with a head, ready to be asked.
#[derive(Debug, Clone)]
pub struct Steerer {
    net: Net,
    targets: Arc<Targets>,
    says: Says,
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

    /// As [`Self::open`], by path.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn open_file(path: &Path) -> Result<Self, EncoderError> {
        Self::from_store(&load(path, &Device::Cpu)?)
    }

    pub fn from_store(store: &Store) -> Result<Self, EncoderError> {
        let device = Device::Cpu;
        let shape = store.shape()?;
        let refuse = |what| EncoderError::File { path: store.path.clone(), what };
        let (targets, says) = match Targets::read(&store.head) {
            Err(_) if store.has_mappers() => {
                let (mappers, sizes) = mappers(store, &shape)?;
                (Arc::new(Targets::words(sizes.word_width)), Says::Words(mappers))
            }
            targets => {
                let targets = Arc::new(targets.map_err(refuse)?);
                store.expect(&targets.tensors(&shape))?;
                let head = Head::new(Arc::clone(&targets), store)?;
                (targets, Says::All(Box::new(head)))
            }
        };
        Ok(Self { net: Net::new(&shape, store, &device)?, targets, says, device })
    }

    pub fn targets(&self) -> &Arc<Targets> {
        &self.targets
    }

    pub fn shape(&self) -> &Shape {
        &self.net.shape
    }

    /// Of one window, (channels, window), as [`super::feed`] makes it.
    pub fn steer(&self, window: &[f32]) -> Result<Steering, EncoderError> {
        self.steer_by(&self.net.tokens(window, &self.device)?)
    }

    /// Of the tokens of a window, (tokens, width).
    pub fn steer_by(&self, tokens: &Tensor) -> Result<Steering, EncoderError> {
        let tokens = tokens.unsqueeze(0)?;
        Ok(match &self.says {
            Says::All(head) => head.say(&tokens)?.steering(&self.targets)?,
            Says::Words(mappers) => Steering::of_words(&mappers.forward(&tokens)?, &self.targets)?,
        })
    }
}

/// The mappers of a file, which must take what its encoder makes.
fn mappers(store: &Store, shape: &Shape) -> Result<(Mappers, MapperSizes), EncoderError> {
    let refuse = |what| EncoderError::File { path: store.path.clone(), what };
    let sizes = MapperSizes::read(&store.tensors, "head").map_err(refuse)?;
    if (sizes.tokens, sizes.width) != (shape.tokens(), shape.width) {
        return Err(refuse(format!(
            "does not fit together: its mappers take {} tokens of {} numbers, its encoder makes {} of {}",
            sizes.tokens,
            sizes.width,
            shape.tokens(),
            shape.width
        )));
    }
    Ok((Mappers::new(store, "head")?, sizes))
}
