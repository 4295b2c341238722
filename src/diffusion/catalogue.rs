//! Models by name: what there is, and loading one from the program itself or from a file.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{
    Card, Embedded, Model,
    sd::{self, StableDiffusion},
    weights::Weights,
};
use crate::kernels::{Instructions, Pool, physical_cores};

/// A model that `load` knows by name, for `models list`.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    pub name: String,
    pub summary: String,
}

/// Why a model cannot be loaded. Each message names the model or file and the way out.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(
        "there is no model or file {name:?}; models are {known}, or the path of a diffusers folder or a .safetensors file"
    )]
    Unknown { name: String, known: String },
    #[error("{path} cannot be read: {why}")]
    Read { path: PathBuf, why: std::io::Error },
    #[error(transparent)]
    StableDiffusion(#[from] sd::Refusal),
    #[error("{path} {what}")]
    File { path: PathBuf, what: String },
}

/// How a model runs.
#[derive(Debug, Clone)]
pub struct Options {
    pub threads: usize,
    pub instructions: Instructions,
    /// What Stable Diffusion is loaded with; other models have no choice.
    pub stable: sd::Settings,
}

impl Default for Options {
    fn default() -> Self {
        Self { threads: physical_cores(), instructions: Instructions::best(), stable: sd::Settings::default() }
    }
}

/// Larger files are not read whole to find out that they are something else.
const LARGEST_BYTES: u64 = 256 << 20;

/// The models that are there without a file.
pub fn list() -> Vec<Entry> {
    let summary = "the model in the box: eight genres, one to four steps, 512x512 and other shapes".to_owned();
    vec![Entry { name: "box".to_owned(), summary }]
}

fn known() -> String {
    list().into_iter().map(|e| e.name).collect::<Vec<_>>().join(", ")
}

/// Loads a model by name (`box`, or nothing for the same) or by the path of its file, on all physical cores.
pub fn load(name_or_path: &str) -> Result<Box<dyn Model>, LoadError> {
    load_with(name_or_path, Options::default())
}

/// As [`load`], on as many threads and with the instructions that the options say.
pub fn load_with(name_or_path: &str, options: Options) -> Result<Box<dyn Model>, LoadError> {
    let pool = Pool::new(options.threads);
    if let Some(path) = stable(name_or_path) {
        return Ok(Box::new(StableDiffusion::load(path, options.stable, &pool)?));
    }
    let weights = weights(name_or_path)?;
    let model = Embedded::new(&weights, options.instructions, &pool);
    Ok(Box::new(model.map_err(|what| LoadError::File { path: name_or_path.into(), what })?))
}

/// What a model is, without making it ready to run.
pub fn card(name_or_path: &str) -> Result<Card, LoadError> {
    if let Some(path) = stable(name_or_path) {
        return Ok(StableDiffusion::read_card(path)?);
    }
    let refuse = |what| LoadError::File { path: name_or_path.into(), what };
    Embedded::read_card(&weights(name_or_path)?).map_err(refuse)
}

/// The path, if it is Stable Diffusion's or one that its loader knows to name.
fn stable(name_or_path: &str) -> Option<&Path> {
    let path = Path::new(name_or_path.trim());
    let large = || std::fs::metadata(path).is_ok_and(|m| m.len() > LARGEST_BYTES);
    (!name_or_path.trim().is_empty() && (sd::is_ours(path) || large())).then_some(path)
}

fn weights(name_or_path: &str) -> Result<Weights, LoadError> {
    let name = name_or_path.trim();
    if name.is_empty() || name == "box" {
        return Weights::parse(super::embedded::WEIGHTS).map_err(|what| LoadError::File { path: "box".into(), what });
    }
    let path = Path::new(name);
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => {
            return Err(LoadError::Unknown { name: name.to_owned(), known: known() });
        }
        Err(why) => return Err(LoadError::Read { path: path.into(), why }),
    };
    Weights::parse(&bytes).map_err(|what| LoadError::File { path: path.into(), what })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let message = load(&file.path().display().to_string()).err().expect("a refusal").to_string();
        assert!(message.starts_with(&file.path().display().to_string()) && !message.contains('\n'), "{message}");
        message
    }

    #[test]
    fn the_model_in_the_box_is_found_by_name_and_by_no_name() {
        assert_eq!(card("box").unwrap().name, "box");
        assert_eq!(card(" ").unwrap().genres.len(), 8);
        assert!(list().iter().any(|e| e.name == "box"));
    }

    #[test]
    fn an_unknown_name_and_a_folder_are_refused_with_the_names_there_are() {
        assert!(load("bax").err().unwrap().to_string().contains("models are box"));
        assert!(load("/").err().unwrap().to_string().contains("is a folder"));
    }

    #[test]
    fn a_truncated_empty_or_random_file_is_refused_in_a_sentence() {
        let whole = crate::diffusion::embedded::WEIGHTS;
        for bytes in [&whole[..0], &whole[..7], &whole[..100], &whole[..5000], &whole[..whole.len() - 1]] {
            assert!(refusal(bytes).contains("is not a whole safetensors file"));
        }
        let random: Vec<u8> = (0..5000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        assert!(refusal(&random).contains("is not a whole safetensors file"));
    }

    #[test]
    fn a_safetensors_file_of_something_else_is_refused() {
        let head = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        let mut bytes = (head.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(head);
        bytes.extend_from_slice(&1.0_f32.to_le_bytes());
        assert!(refusal(&bytes).contains("not a model of wavedream"));
    }

    #[test]
    fn a_renamed_tensor_is_told_by_both_names() {
        let mut bytes = crate::diffusion::embedded::WEIGHTS.to_vec();
        let name = b"denoiser.conv_in.bias";
        let at = bytes.windows(name.len()).position(|w| w == name).unwrap();
        bytes[at + name.len() - 1] = b'z';
        let message = refusal(&bytes);
        assert!(message.contains("lacks denoiser.conv_in.bias; it has besides denoiser.conv_in.biaz"), "{message}");
    }
}
