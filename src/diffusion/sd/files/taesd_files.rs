//! Where the tiny decoder of a checkpoint is looked for, and its two sets of names.
//!
//! Beside the checkpoint first, then in the folders of models, then in the hub's cache (`wavedream models fetch taesd`).

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Mapped, Refusal, Tensors, folder};
use crate::diffusion::{catalogue, hub, sd::config::Family};

/// Beside the checkpoint: `taesd/` (diffusers), or `taesd_decoder.safetensors` and `taesd_encoder.safetensors`.
pub fn beside(path: &Path, family: Family) -> Result<Option<Tensors>, Refusal> {
    let names: &[&str] = if family == Family::Sdxl { &["taesdxl", "taesd"] } else { &["taesd"] };
    let above = path.parent().map(Path::to_owned);
    let mut around: Vec<PathBuf> = if path.is_dir() { vec![path.to_owned()] } else { Vec::new() };
    around.extend(above);
    around.extend(catalogue::folders());
    for folder in &around {
        for name in names {
            if let Some(found) = in_folder(&folder.join(name))? {
                return Ok(Some(found));
            }
            let pair =
                [format!("{name}_decoder.safetensors"), format!("{name}_encoder.safetensors")].map(|f| folder.join(f));
            let files: Result<Vec<_>, _> =
                pair.iter().filter(|f| f.is_file()).map(|f| Mapped::open(f).map(Arc::new)).collect();
            let files = files?;
            if !files.is_empty() {
                return Ok(Some(named(&files)));
            }
        }
    }
    let fetched = hub::Name::parse(names[0]).and_then(|n| hub::snapshot(&hub::Place::from_environment().cache, &n));
    fetched.map_or(Ok(None), |folder| in_folder(&folder))
}

/// A folder as diffusers has it.
fn in_folder(folder: &Path) -> Result<Option<Tensors>, Refusal> {
    if folder.join("config.json").is_file() { Ok(Some(named(&folder::weights(folder)?))) } else { Ok(None) }
}

/// diffusers' names. The original files number the layers and have the squashing of the latent as layer 0 of the decoder.
fn named(files: &[Arc<Mapped>]) -> Tensors {
    let mut all = Tensors::new();
    for file in files {
        // The encoder begins with a block as its second layer, the decoder has one as its fourth.
        let decoder = file.names().any(|n| n == "3.conv.0.weight") && !file.names().any(|n| n == "1.conv.0.weight");
        for name in file.names() {
            let new = match name.split_once('.').map(|(n, rest)| (n.parse::<usize>(), rest)) {
                Some((Ok(number), rest)) if decoder => format!("decoder.layers.{}.{rest}", number.saturating_sub(1)),
                Some((Ok(number), rest)) => format!("encoder.layers.{number}.{rest}"),
                _ => name.to_owned(),
            };
            all.insert(new, file, name, super::tensors::Take::Whole);
        }
    }
    all
}
