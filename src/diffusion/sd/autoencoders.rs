//! The checkpoint's own autoencoder and TAESD, as far as there are: either may decode the next picture.

use std::path::Path;

use candle_core::{DType, Result, Tensor};

use super::{
    DecoderChoice, Family, Refusal, Settings,
    files::{Parts, Tensors},
    layers::{At, Engine},
    vae::{Decoder, Encoder, Tiny},
};
use crate::kernels::{Element, Recordings};

pub struct Autoencoders {
    own: Option<(Decoder, Encoder)>,
    tiny: Option<Tiny>,
    /// Where nobody says which.
    usual: DecoderChoice,
    /// What TAESD of this family is called.
    tiny_name: &'static str,
    recordings: Recordings,
}

/// What there is to record.
#[derive(Clone, Copy)]
enum Part {
    TinyDecoder,
    OwnDecoder,
    TinyEncoder,
    OwnEncoder,
    /// A decoder, and the bytes of its picture.
    TinyBytes,
    OwnBytes,
}

impl Autoencoders {
    /// With [`DecoderChoice::Tiny`] nothing but TAESD is made ready; otherwise all that there is. On the CPU both are
    /// float32, but for TAESD in half precision; elsewhere as the engine is, but for the own one of SDXL, which overflows in
    /// half precision.
    pub fn new(parts: &Parts, settings: &Settings, engine: &Engine) -> std::result::Result<Self, Refusal> {
        let path = &parts.path;
        let exact = engine.exact();
        let of_tiny = if engine.place.packs && engine.element != Element::Float16 { &exact } else { engine };
        let engine = if engine.place.packs { &exact } else { engine };
        let overflows = parts.family == Family::Sdxl && engine.place.dtype == DType::F16;
        let of_own = if overflows { &exact } else { engine };
        let only_tiny = settings.decoder == DecoderChoice::Tiny;
        let tiny_name = if parts.family == Family::Sdxl { "taesdxl" } else { "taesd" };
        let tiny = match parts.taesd.as_ref().map(|tensors| tiny(tensors, path, of_tiny)) {
            None => None,
            Some(Ok(tiny)) => Some(tiny),
            // A fault in a file beside the checkpoint is none of the checkpoint, while nobody asks for it.
            Some(Err(refusal)) if !only_tiny && parts.vae.is_some() => {
                tracing::warn!("{refusal}; it is left out");
                None
            }
            Some(Err(refusal)) => return Err(refusal),
        };
        let failed = |e: candle_core::Error| Refusal::new(path, format!("cannot be built: {e}"));
        let own = match &parts.vae {
            Some((tensors, config)) if !only_tiny => {
                let root = At::root(tensors, of_own);
                let both = (Decoder::new(&root, config).map_err(failed)?, Encoder::new(&root, config).map_err(failed)?);
                tensors.check("vae", path)?;
                Some(both)
            }
            _ => None,
        };
        let recordings = Recordings::on(&engine.place.device);
        let autoencoders = Self { own, tiny, usual: settings.decoder, tiny_name, recordings };
        match (only_tiny, &autoencoders.tiny, &autoencoders.own) {
            (true, None, _) => Err(Refusal::new(path, autoencoders.lacks_tiny("use --decoder vae"))),
            (false, None, None) => Err(Refusal::new(path, "has no decoder")),
            _ => Ok(autoencoders),
        }
    }

    fn lacks_tiny(&self, otherwise: &str) -> String {
        let name = self.tiny_name;
        format!(
            "has no TAESD beside it; put {name}_decoder.safetensors (or the diffusers folder {name}/) there, or {otherwise}"
        )
    }

    /// What is said where another decoder than there is was asked for: the end of a sentence that begins with the
    /// checkpoint's name.
    pub fn lacks(&self, choice: Option<DecoderChoice>) -> Option<String> {
        match choice {
            Some(DecoderChoice::Tiny) if self.tiny.is_none() => Some(self.lacks_tiny("set /dream/decoder to own")),
            _ => None,
        }
    }

    fn tiny(&self, choice: Option<DecoderChoice>) -> Option<&Tiny> {
        let wanted = choice.unwrap_or(self.usual) == DecoderChoice::Tiny;
        self.tiny.as_ref().filter(|_| wanted || self.own.is_none())
    }

    /// A latent `(b, 4, h, w)` to a picture `(b, 3, 8 h, 8 w)`, about -1..1.
    pub fn decode(&self, choice: Option<DecoderChoice>, latent: &Tensor) -> Result<Tensor> {
        let part = if self.tiny(choice).is_some() { Part::TinyDecoder } else { Part::OwnDecoder };
        self.recordings.play(part as u64, &[latent], |x| self.decoded(choice, x[0]))
    }

    /// A latent `(1, 4, h, w)` to the bytes of its picture, on a GPU: as [`Self::decode`] and [`Engine::bytes_of`] in one.
    pub fn paint(&self, engine: &Engine, choice: Option<DecoderChoice>, latent: &Tensor) -> Result<Tensor> {
        let part = if self.tiny(choice).is_some() { Part::TinyBytes } else { Part::OwnBytes };
        self.recordings.play(part as u64, &[latent], |x| engine.bytes_of(&self.decoded(choice, x[0])?))
    }

    fn decoded(&self, choice: Option<DecoderChoice>, latent: &Tensor) -> Result<Tensor> {
        match (self.tiny(choice), &self.own) {
            (Some(tiny), _) => tiny.decode(latent),
            (None, Some((decoder, _))) => decoder.forward(latent),
            (None, None) => candle_core::bail!("there is no decoder"),
        }
    }

    /// A picture `(b, 3, 8 h, 8 w)`, -1..1, to its latent `(b, 4, h, w)` as the U-Net has it.
    pub fn encode(&self, choice: Option<DecoderChoice>, picture: &Tensor) -> Result<Tensor> {
        let tiny = self.tiny(choice).filter(|tiny| tiny.encodes());
        match (tiny, &self.own) {
            (Some(tiny), _) => self.recordings.play(Part::TinyEncoder as u64, &[picture], |x| tiny.encode(x[0])),
            (None, Some((_, encoder))) => {
                self.recordings.play(Part::OwnEncoder as u64, &[picture], |x| encoder.forward(x[0]))
            }
            (None, None) => candle_core::bail!(
                "the tiny decoder came without its encoder, which a picture to start from needs; put \
                 {}_encoder.safetensors beside it",
                self.tiny_name
            ),
        }
    }

    /// Lets go of what is kept for pictures of this size.
    pub fn forget(&self) {
        self.recordings.forget();
    }

    pub fn flops(&self, height: usize, width: usize) -> u64 {
        match (self.tiny(None), &self.own) {
            (Some(tiny), _) => tiny.flops(height, width),
            (None, Some((decoder, _))) => decoder.flops(height, width),
            (None, None) => 0,
        }
    }
}

fn tiny(tensors: &Tensors, path: &Path, engine: &Engine) -> std::result::Result<Tiny, Refusal> {
    let failed = |e: candle_core::Error| Refusal::new(path, format!("cannot be built: {e}"));
    let tiny = Tiny::new(&At::root(tensors, engine), tensors).map_err(failed)?;
    tensors.check("taesd", path)?;
    Ok(tiny)
}
