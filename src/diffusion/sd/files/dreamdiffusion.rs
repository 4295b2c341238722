//! DreamDiffusion (Bai et al. 2023, arXiv 2306.16934): Stable Diffusion 1.x whose text model was taken out and whose words
//! come from an encoder of a signal, in the same file. Here its parts are told by their names; the encoder itself is read
//! by the encoder room.

use std::{collections::HashMap, path::Path};

use super::{Mapped, source::Source};
use crate::{
    diffusion::sd::schedule::{Sampler, ScheduleConfig},
    pickle::Torch,
};

/// How it is called where models are shown.
pub const KIND: &str = "DreamDiffusion (Stable Diffusion 1.x steered by a signal)";
const ENCODER: &str = "cond_stage_model.mae.";
const LAST_OF_CHANNELS: &str = "cond_stage_model.channel_mapper.1.weight";
const ALONG: &str = "cond_stage_model.dim_mapper.weight";
/// CLIP's image model, with which the pictures of the training were looked at.
const IMAGE_MODEL: &str = "image_embedder.";

/// Whether a checkpoint has the encoder of a signal in the place of a text model.
pub fn is(mut names: impl Iterator<Item = impl AsRef<str>>) -> bool {
    names.any(|name| name.as_ref().starts_with(ENCODER))
}

/// Whether a file holds an encoder of its own, as the model of a show or a picture.
pub fn holds_encoder(path: &Path) -> bool {
    path.is_file() && Mapped::open(path).is_ok_and(|file| is(file.names()))
}

/// Words that its mappers make; the error is the end of a sentence that begins with the file's name.
pub fn words(file: &Mapped, cross: usize) -> Result<usize, String> {
    let size = |name: &str| {
        let shape = file.shape(name).ok_or_else(|| {
            format!("lacks {name}, without which the encoder's tokens are no words; save the whole checkpoint again")
        })?;
        shape.first().copied().filter(|n| *n > 0).ok_or_else(|| format!("holds {name} without a size"))
    };
    let (words, width) = (size(LAST_OF_CHANNELS)?, size(ALONG)?);
    if width != cross {
        return Err(format!(
            "does not fit together: its mappers make words of {width} numbers, its U-Net takes words of {cross}"
        ));
    }
    Ok(words)
}

/// As the paper paints: PLMS, without guidance (there is no empty prompt to measure against).
pub fn schedule() -> ScheduleConfig {
    ScheduleConfig { guidance: 1.0, ..ScheduleConfig::usual(Sampler::Plms) }
}

/// Whether a tensor of its checkpoint is of training alone.
pub fn is_of_training(name: &str) -> bool {
    name.starts_with(IMAGE_MODEL)
}

/// What the shapes of the encoder do not tell, from the settings pickled beside the tensors: of the object what was set
/// in it is read, its class is not asked for.
pub fn head(source: &Source) -> HashMap<String, String> {
    let Source::Torch(file) = source else { return HashMap::new() };
    let heads = |file: &Torch| file.setting("config", "num_heads").filter(|n| (1..=64).contains(n));
    heads(file).map(|n| ("heads".to_owned(), n.to_string())).into_iter().collect()
}
