//! Files of encoders: ours (safetensors with a head), and checkpoints of DreamDiffusion as safetensors or torch pickles,
//! whose names are found behind their prefixes. Of a file that holds more (a whole Stable Diffusion) only what is wanted
//! is read. A pickle is read for its tensors; nothing in it is executed.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use candle_core::{DType, Device, Tensor, safetensors::Load};
use safetensors::{
    SafeTensors,
    tensor::{Metadata, TensorView},
};

use super::{EncoderError, Shape, layers::Named};
use crate::pickle::{self, Torch};

/// In front of an encoder's names in checkpoints that hold more.
const PREFIXES: [&str; 4] = ["", "cond_stage_model.mae.", "model.cond_stage_model.mae.", "module."];
/// Under which torch checkpoints keep their tensors.
const KEYS: [&str; 4] = ["model_state_dict.", "state_dict.", "model.", ""];
/// The tensor by which an encoder is found.
const FIRST: &str = "patch_embed.proj.weight";
/// What lies beside the encoder within a checkpoint of DreamDiffusion and makes words of its tokens.
const MAPPERS: [&str; 2] = ["channel_mapper.", "dim_mapper."];
/// A head of a safetensors file that is longer is none.
const LONGEST_HEAD: u64 = 64 << 20;
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
        let broken = |e: safetensors::SafeTensorError| not_whole(path, &e);
        let (_, head) = SafeTensors::read_metadata(bytes).map_err(broken)?;
        let head = head.metadata().clone().unwrap_or_default();
        let names = Names::of(SafeTensors::deserialize(bytes).map_err(broken)?.names().into_iter(), &head);
        let all = candle_core::safetensors::load_buffer(bytes, device).map_err(|e| not_whole(path, &e))?;
        let wanted = all.into_iter().filter_map(|(name, tensor)| Some((names.plain(&name)?, tensor)));
        Self::cleaned(wanted, head, path)
    }

    fn cleaned(
        all: impl IntoIterator<Item = (String, Tensor)>,
        head: HashMap<String, String>,
        path: &Path,
    ) -> Result<Self, EncoderError> {
        let tensors = all
            .into_iter()
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

    /// Whether it makes words for Stable Diffusion of an encoder's tokens.
    pub fn has_mappers(&self) -> bool {
        self.tensors.keys().any(|name| name.starts_with("head.channel_mapper."))
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

fn not_whole(path: &Path, why: &dyn std::fmt::Display) -> EncoderError {
    let why = why.to_string();
    refuse(path, format!("is not a whole safetensors file ({}); copy it again", why.trim_end_matches('.')))
}

/// Which names of a file are an encoder's, and what they are called here.
struct Names {
    /// In front of the encoder's; none where there is no encoder.
    encoder: Option<String>,
    /// In front of the mappers beside it, where the encoder lies in a checkpoint that has them.
    mappers: Option<String>,
}

impl Names {
    fn of<'a>(all: impl Iterator<Item = &'a str>, head: &HashMap<String, String>) -> Self {
        // A file of ours is meant as it is: an encoder, or the state of a training.
        if head.contains_key("wavedream") {
            return Self { encoder: Some(String::new()), mappers: None };
        }
        let known = |name: &str| {
            let prefix = name.strip_suffix(FIRST)?;
            let is = |key: &&str| prefix.strip_prefix(*key).is_some_and(|rest| PREFIXES.contains(&rest));
            KEYS.iter().any(is).then(|| prefix.to_owned())
        };
        // Shorter ones first: what a file has at its top is meant before what lies deeper.
        let encoder = all.filter_map(known).min_by_key(String::len);
        Self { mappers: encoder.as_ref().and_then(|e| Some(e.strip_suffix("mae.")?.to_owned())), encoder }
    }

    /// None for what is neither of the encoder nor of the mappers.
    fn plain(&self, name: &str) -> Option<String> {
        if let Some(rest) = name.strip_prefix(self.encoder.as_ref()?) {
            return Some(rest.to_owned());
        }
        let rest = name.strip_prefix(self.mappers.as_ref()?)?;
        MAPPERS.iter().any(|mapper| rest.starts_with(mapper)).then(|| format!("head.{rest}"))
    }
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
    let mut file = File::open(path).map_err(read)?;
    let mut first = Vec::new();
    file.by_ref().take(8).read_to_end(&mut first).map_err(read)?;
    if pickle::is_pickle(&first) { load_pickle(path, device) } else { load_safetensors(file, first, path, device) }
}

/// Only what is wanted is read: the encoder may lie within gigabytes.
fn load_safetensors(mut file: File, mut start: Vec<u8>, path: &Path, device: &Device) -> Result<Store, EncoderError> {
    let read = |cause| EncoderError::Read { path: path.into(), cause };
    let length = file.metadata().map_err(read)?.len();
    let head_length = start.as_slice().try_into().map_or(u64::MAX, u64::from_le_bytes);
    if head_length > length.saturating_sub(8).min(LONGEST_HEAD) {
        return Err(not_whole(path, &"its head is longer than the file"));
    }
    start.clear();
    file.by_ref().take(head_length).read_to_end(&mut start).map_err(read)?;
    let head: Metadata = serde_json::from_slice(&start).map_err(|e| not_whole(path, &e))?;
    let said = head.metadata().clone().unwrap_or_default();
    let names = Names::of(head.tensors().keys().map(String::as_str), &said);
    let mut all = Vec::new();
    for (name, info) in head.tensors() {
        let (from, to) = (info.data_offsets.0 as u64, info.data_offsets.1 as u64);
        if to < from || to > length - 8 - head_length {
            return Err(not_whole(path, &"it ends before its last tensor"));
        }
        let Some(plain) = names.plain(&name) else { continue };
        let mut bytes = vec![0; (to - from) as usize];
        file.seek(SeekFrom::Start(8 + head_length + from)).map_err(read)?;
        file.read_exact(&mut bytes).map_err(read)?;
        let view = TensorView::new(info.dtype, info.shape.clone(), &bytes).map_err(|e| not_whole(path, &e))?;
        all.push((plain, view.load(device)?));
    }
    Store::cleaned(all, said, path)
}

fn load_pickle(path: &Path, device: &Device) -> Result<Store, EncoderError> {
    let file = Torch::open(path).map_err(|e| refuse(path, e.what))?;
    if !file.names().any(|name| name.ends_with(FIRST)) {
        let what = "is a torch checkpoint in which no signal encoder is found; save its state_dict as safetensors";
        return Err(refuse(path, what.into()));
    }
    let names = Names::of(file.names(), &HashMap::new());
    let mut all = Vec::new();
    for name in file.names() {
        let (Some(plain), Some(stored)) = (names.plain(name), file.get(name)) else { continue };
        let values = file.floats(name).map_err(|what| refuse(path, what))?;
        all.push((plain, Tensor::from_vec(values, stored.shape.as_slice(), device)?));
    }
    let heads = file.setting("config", "num_heads").map(|heads| ("heads".to_owned(), heads.to_string()));
    Store::cleaned(all, heads.into_iter().collect(), path)
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
