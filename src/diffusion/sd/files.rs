//! Model files: what they are, and their tensors under one set of names.
//!
//! Whatever the file's own names, a checkpoint becomes [`Parts`]: the tensors of U-Net, decoder and text models by the
//! names that diffusers gives them. A file is mapped, never read whole, and nothing in it is ever executed.

mod about;
mod back;
mod companions;
mod convert;
mod dreamdiffusion;
mod embedding;
mod folder;
mod foreign;
mod infer;
mod ldm;
mod lora;
mod mapped;
mod single;
mod source;
mod taesd_files;
mod tensors;

pub use about::{About, Sort, about};
pub use companions::{Configs, Json};
pub use convert::{Conversion, convert};
pub use dreamdiffusion::holds_encoder;
pub use embedding::{EmbeddingUse, learned};
pub use folder::weights;
pub use lora::{Lora, LoraUse, Places};
pub use mapped::Mapped;
pub use source::Source;
pub use tensors::{Delta, Tensors};

use std::path::{Path, PathBuf};

use crate::diffusion::hub;

use super::{config::Family, text::ClipConfig, unet::UnetConfig, vae::VaeConfig};

/// Why a file is not played. Reads as one sentence that begins with the file's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} {what}")]
pub struct Refusal {
    pub path: PathBuf,
    pub what: String,
}

impl Refusal {
    pub fn new(path: &Path, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), what: what.into() }
    }
}

/// A checkpoint: its tensors and what they are.
pub struct Parts {
    pub path: PathBuf,
    pub name: String,
    pub family: Family,
    pub unet: (Tensors, UnetConfig),
    pub vae: Option<(Tensors, VaeConfig)>,
    pub taesd: Option<Tensors>,
    /// None for a model that a signal steers in the place of a text (DreamDiffusion).
    pub text: Option<(Tensors, ClipConfig)>,
    /// OpenCLIP-G of SDXL.
    pub text_2: Option<(Tensors, ClipConfig)>,
    /// Words that the U-Net attends to.
    pub words: usize,
    /// Words after the end of a prompt are this number.
    pub padding: u32,
    pub schedule: super::schedule::ScheduleConfig,
    /// SDXL's base models were trained with zeros, not with the empty prompt.
    pub zeros_for_empty: bool,
}

/// Opens a diffusers folder or a single file.
pub fn open(path: &Path) -> Result<Parts, Refusal> {
    let metadata = std::fs::metadata(path).map_err(|e| Refusal::new(path, format!("cannot be read: {e}")))?;
    if metadata.is_dir() { folder::open(path) } else { single::open(path) }
}

/// Whether this is a file for this engine rather than another of the program's models.
pub fn is_ours(path: &Path) -> bool {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => true,
        Ok(_) => match Mapped::open(path) {
            Ok(file) => foreign::is_diffusion(&file),
            Err(_) => foreign::by_first_bytes(path).is_some(),
        },
        Err(_) => false,
    }
}

/// What a model is called by people: `ORG/NAME` in the hub's cache, else the name of its file or folder.
pub fn name_of(path: &Path) -> String {
    if let Some(repo) = hub::repo_of(path) {
        return repo;
    }
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    name.map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}
