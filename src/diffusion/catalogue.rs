//! Models by name: what there is, and loading one from the program itself, a file, a folder or the hub's cache.
//!
//! One notion of a name for the command line, presets, parameters and the panel ([`find`]). Lists are read from the heads
//! of files on the thread that asks: milliseconds a model.

mod folders;
mod names;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{
    Card, Embedded, Model,
    device::{How, Precision},
    hub::{Place, cached},
    sd::{self, Sort, StableDiffusion},
    weights::Weights,
};
use crate::kernels::{Element, Instructions, Pool, physical_cores};

pub use folders::{folders, size_on_disk};
pub use names::Meant;

/// A model that `load` knows by name, for `models list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    pub name: String,
    pub summary: String,
    /// `box`, `SD 1.x`, `SDXL Turbo`, `LoRA`, …
    pub kind: String,
    /// Whether it paints by itself; a LoRA, an embedding or a decoder does not.
    pub paints: bool,
    /// On disk; 0 for what is part of the program.
    pub bytes: u64,
    /// None for what is part of the program.
    pub path: Option<PathBuf>,
    pub licence: Option<String>,
}

/// Why a model cannot be loaded. Each message names the model or file and the way out.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(
        "there is no model or file {name:?}{nearest}; `wavedream models list` shows what there is, and a diffusers folder \
         or a .safetensors file can be given by its path"
    )]
    Unknown { name: String, nearest: String },
    #[error("{name} is not on this machine yet; `wavedream models fetch {short}` brings it")]
    NotFetched { name: String, short: String },
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
    /// What Stable Diffusion is loaded with; of it the model in the box knows half precision.
    pub stable: sd::Settings,
}

impl Default for Options {
    fn default() -> Self {
        Self { threads: physical_cores(), instructions: Instructions::best(), stable: sd::Settings::default() }
    }
}

impl Options {
    /// On a device, in a precision.
    pub fn on(how: How) -> Self {
        let stable = sd::Settings { device: how.device, precision: how.precision, ..sd::Settings::default() };
        Self { stable, ..Self::default() }
    }
}

/// Larger files are not read whole to find out that they are something else.
const LARGEST_BYTES: u64 = 256 << 20;

/// The models that can be called by name: in the program, in the folders of the user, fetched from the hub.
pub fn list() -> Vec<Entry> {
    let summary = "eight genres, one to four steps, 512x512 and other shapes".to_owned();
    let mut all = vec![Entry {
        name: "box".to_owned(),
        summary,
        kind: "box".to_owned(),
        paints: true,
        bytes: 0,
        path: None,
        licence: Some("MIT or Apache-2.0".to_owned()),
    }];
    for own in folders().iter().flat_map(|f| folders::within(f)) {
        all.push(entry(own.name, &own.path, None));
    }
    for cached in cached(&Place::from_environment().cache) {
        let path = folders::of_snapshot(&cached.snapshot);
        let entry = entry(names::short_of(&cached.repo), &path, names::licence_of(&cached.repo));
        // The cache also holds models of other programs: language models, data.
        if entry.kind != "-" {
            all.push(entry);
        }
    }
    all
}

fn entry(name: String, path: &Path, licence: Option<&str>) -> Entry {
    let about = sd::about(path);
    let summary = about.needs.map_or_else(|| about.says.clone(), |needs| format!("{}; needs {needs}", about.says));
    Entry {
        name,
        summary,
        kind: about.kind,
        paints: about.sort == Sort::Checkpoint,
        bytes: size_on_disk(path),
        path: Some(path.to_owned()),
        licence: about.licence.or_else(|| licence.map(str::to_owned)),
    }
}

/// What a name means: the model in the box, or a path.
///
/// # Errors
/// There is nothing of the name; the nearest one is told, or how to fetch it.
pub fn find(name_or_path: &str) -> Result<Meant, LoadError> {
    names::meant(name_or_path)
}

/// The path of a file that is used with a model (a LoRA, an embedding), by path or by the same names as models.
pub fn find_file(name_or_path: &str) -> Result<PathBuf, LoadError> {
    match find(name_or_path)? {
        Meant::Path(path) => Ok(path),
        Meant::Box => Err(LoadError::Unknown { name: name_or_path.to_owned(), nearest: String::new() }),
    }
}

/// Loads a model by name (`box`, or nothing for the same) or by the path of its file, on all physical cores.
pub fn load(name_or_path: &str) -> Result<Box<dyn Model>, LoadError> {
    load_with(name_or_path, Options::default())
}

/// As [`load`], on as many threads and with the instructions that the options say.
pub fn load_with(name_or_path: &str, options: Options) -> Result<Box<dyn Model>, LoadError> {
    let meant = find(name_or_path)?;
    let pool = Pool::new(options.threads);
    if let Some(path) = stable(&meant) {
        return Ok(Box::new(StableDiffusion::load(path, options.stable, &pool)?));
    }
    let weights = weights(&meant)?;
    let way = super::embedded::Way::of(options.instructions, options.stable.precision);
    if options.stable.precision == Precision::Half && way.element == Element::Float32 {
        tracing::warn!("this processor does not multiply half precision: the model computes in float32");
    }
    let model = Embedded::new(&weights, way, &pool);
    Ok(Box::new(model.map_err(|what| LoadError::File { path: name_or_path.into(), what })?))
}

/// What a model is, without making it ready to run.
pub fn card(name_or_path: &str) -> Result<Card, LoadError> {
    let meant = find(name_or_path)?;
    if let Some(path) = stable(&meant) {
        return Ok(StableDiffusion::read_card(path)?);
    }
    let refuse = |what| LoadError::File { path: name_or_path.into(), what };
    Embedded::read_card(&weights(&meant)?).map_err(refuse)
}

/// The path, if it is Stable Diffusion's or one that its loader knows to name.
fn stable(meant: &Meant) -> Option<&Path> {
    let Meant::Path(path) = meant else { return None };
    let large = || std::fs::metadata(path).is_ok_and(|m| m.len() > LARGEST_BYTES);
    (sd::is_ours(path) || large()).then_some(path)
}

fn weights(meant: &Meant) -> Result<Weights, LoadError> {
    let Meant::Path(path) = meant else {
        return Weights::parse(super::embedded::WEIGHTS).map_err(|what| LoadError::File { path: "box".into(), what });
    };
    let bytes = std::fs::read(path).map_err(|why| LoadError::Read { path: path.clone(), why })?;
    Weights::parse(&bytes).map_err(|what| LoadError::File { path: path.clone(), what })
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
        assert!(load("bax").err().unwrap().to_string().contains("did you mean box?"));
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
