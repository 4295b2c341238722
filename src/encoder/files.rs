//! Files of encoders: ours (safetensors with a head), and checkpoints of DreamDiffusion as safetensors or torch pickles,
//! whose names are found behind their prefixes. A pickle is read for its tensors; nothing in it is executed.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;

use super::{EncoderError, Shape, layers::Named};

/// In front of an encoder's names in checkpoints that hold more.
const PREFIXES: [&str; 4] = ["", "cond_stage_model.mae.", "model.cond_stage_model.mae.", "module."];
/// Under which torch checkpoints keep their tensors.
const KEYS: [Option<&str>; 4] = [Some("model_state_dict"), Some("state_dict"), Some("model"), None];
/// Tensors named in one message.
const NAMED: usize = 6;

/// The tensors of a file, float32, by the names that [`Shape::tensors`] has.
#[derive(Debug, Clone)]
pub struct Store {
    pub tensors: BTreeMap<String, Tensor>,
    pub head: HashMap<String, String>,
    pub path: PathBuf,
}

impl Named for Store {
    fn tensor(&self, name: &str) -> candle_core::Result<Tensor> {
        let missing = || candle_core::Error::Msg(format!("there is no tensor {name}"));
        self.tensors.get(name).cloned().ok_or_else(missing)
    }
}

impl Store {
    /// A whole safetensors file.
    pub fn parse(bytes: &[u8], path: &Path, device: &Device) -> Result<Self, EncoderError> {
        let broken = |e: safetensors::SafeTensorError| {
            let why = e.to_string();
            refuse(path, format!("is not a whole safetensors file ({}); copy it again", why.trim_end_matches('.')))
        };
        let (_, head) = SafeTensors::read_metadata(bytes).map_err(broken)?;
        let head = head.metadata().clone().unwrap_or_default();
        let all = candle_core::safetensors::load_buffer(bytes, device)
            .map_err(|e| refuse(path, format!("is not a whole safetensors file ({e}); copy it again")))?;
        Self::cleaned(all, head, path)
    }

    fn cleaned(
        all: impl IntoIterator<Item = (String, Tensor)>,
        head: HashMap<String, String>,
        path: &Path,
    ) -> Result<Self, EncoderError> {
        let all: BTreeMap<String, Tensor> = all.into_iter().collect();
        let has = |prefix: &&&str| all.contains_key(&format!("{prefix}patch_embed.proj.weight"));
        let prefix = PREFIXES.iter().find(has).copied().unwrap_or("");
        let tensors = all
            .into_iter()
            .filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor)))
            .map(|(name, tensor)| Ok((name, tensor.to_dtype(DType::F32)?)))
            .collect::<candle_core::Result<_>>()?;
        Ok(Self { tensors, head, path: path.into() })
    }

    /// Sizes by name.
    fn sizes(&self) -> BTreeMap<String, Vec<usize>> {
        self.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.dims().to_vec())).collect()
    }

    /// What the encoder in it is made of; every tensor of it is there in its size.
    pub fn shape(&self) -> Result<Shape, EncoderError> {
        let shape = Shape::read(&self.head, &self.sizes()).map_err(|what| refuse(&self.path, what))?;
        self.expect(&shape.tensors())?;
        Ok(shape)
    }

    /// Tensors that must be there: what is missing or of another size is named.
    pub fn expect(&self, expected: &[(String, Vec<usize>)]) -> Result<(), EncoderError> {
        let missing: Vec<_> =
            expected.iter().map(|(name, _)| name).filter(|n| !self.tensors.contains_key(*n)).collect();
        let wrong = expected.iter().filter_map(|(name, dims)| {
            let is = self.tensors.get(name)?.dims();
            (is != dims.as_slice()).then(|| format!("{name} is {is:?} and must be {dims:?}"))
        });
        let wrong: Vec<_> = wrong.collect();
        let listed = |names: &[String]| {
            let more = names.len().saturating_sub(NAMED);
            let shown = names[..names.len() - more].join(", ");
            if more > 0 { format!("{shown} and {more} more") } else { shown }
        };
        let missing: Vec<String> = missing.into_iter().cloned().collect();
        match (missing.is_empty(), wrong.is_empty()) {
            (true, true) => Ok(()),
            (false, _) => Err(refuse(&self.path, format!("lacks the tensors {}", listed(&missing)))),
            (true, false) => Err(refuse(&self.path, format!("does not fit together: {}", listed(&wrong)))),
        }
    }
}

fn refuse(path: &Path, what: String) -> EncoderError {
    EncoderError::File { path: path.into(), what }
}

/// Reads a file of tensors, ours or a checkpoint.
///
/// # Errors
/// A sentence that names the file.
pub fn load(path: &Path, device: &Device) -> Result<Store, EncoderError> {
    let read = |cause| EncoderError::Read { path: path.into(), cause };
    if path.is_dir() {
        return Err(refuse(path, "is a folder; name the file of an encoder in it".to_owned()));
    }
    if is_pickle(path).map_err(read)? {
        return load_pickle(path);
    }
    Store::parse(&std::fs::read(path).map_err(read)?, path, device)
}

/// torch.save writes zip files.
fn is_pickle(path: &Path) -> std::io::Result<bool> {
    use std::io::Read;
    let mut start = [0; 4];
    let read = std::fs::File::open(path)?.read(&mut start)?;
    Ok(read == 4 && start == *b"PK\x03\x04")
}

fn load_pickle(path: &Path) -> Result<Store, EncoderError> {
    for key in KEYS {
        let Ok(tensors) = candle_core::pickle::read_all_with_key(path, key) else { continue };
        if tensors.iter().any(|(name, _)| name.ends_with("patch_embed.proj.weight")) {
            return Store::cleaned(tensors, HashMap::new(), path);
        }
    }
    Err(refuse(
        path,
        "is a torch checkpoint in which no signal encoder is found; save its state_dict as safetensors".into(),
    ))
}

/// Writes tensors and head as safetensors, whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn save(
    path: &Path,
    tensors: &BTreeMap<String, Tensor>,
    head: &HashMap<String, String>,
) -> Result<(), EncoderError> {
    let wrong = |cause| EncoderError::Write { path: path.into(), cause };
    let views = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor));
    let bytes = safetensors::serialize(views, Some(head.clone()))
        .map_err(|e| wrong(std::io::Error::new(std::io::ErrorKind::InvalidData, e.to_string())))?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(wrong)?;
    }
    let part = path.with_extension("part");
    std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, path)).map_err(wrong)
}
