//! A diffusers folder or a torch checkpoint as one .safetensors file, with the names of the original code, as most
//! programs read them.
//!
//! What a folder says in its configurations goes into the file's head, so that it is played exactly as the folder was.
//! A pickle is read by [`crate::pickle`]: nothing in it is executed. One tensor at a time is in memory.

use std::{
    collections::{BTreeMap, HashMap},
    io::Write,
    path::{Path, PathBuf},
};

use safetensors::Dtype;

use super::{
    Configs, Refusal, back,
    companions::{FILES, IN_HEAD},
    dreamdiffusion, folder, ldm, name_of,
    source::{Piece, Source},
};
use crate::diffusion::sd::config::Family;

type Pieces = BTreeMap<String, Piece>;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    pub path: PathBuf,
    pub tensors: usize,
    pub bytes: u64,
    /// What was left out, as a person would say it.
    pub left_out: Vec<String>,
    /// Tensors that stayed as they were because halves do not hold their numbers.
    pub kept_wide: usize,
}

/// Writes `out`. `progress` is told the bytes written and the bytes in all.
///
/// # Errors
/// The input is no model, or is broken; the output is there already or cannot be written.
pub fn convert(from: &Path, out: &Path, half: bool, progress: &mut dyn FnMut(u64, u64)) -> Result<Conversion, Refusal> {
    if out.exists() {
        return Err(Refusal::new(out, "is there already; name another file with -o, or remove it"));
    }
    let mut left_out = Vec::new();
    let (mut pieces, mut head) = if from.is_dir() { of_folder(from)? } else { of_file(from, &mut left_out)? };
    if pieces.is_empty() {
        return Err(Refusal::new(from, "holds no tensors"));
    }
    let mut kept_wide = 0;
    if half {
        for piece in pieces.values_mut() {
            piece.halve();
            kept_wide += usize::from(matches!(piece.dtype, Dtype::F32 | Dtype::F64 | Dtype::BF16));
        }
    }
    head.insert("format".to_owned(), "pt".to_owned());
    head.entry("modelspec.title".to_owned()).or_insert_with(|| name_of(from));
    let bytes = write(out, &pieces, &head, progress)?;
    Ok(Conversion { path: out.to_owned(), tensors: pieces.len(), bytes, left_out, kept_wide })
}

type Read = (Pieces, HashMap<String, String>);

fn of_file(path: &Path, left_out: &mut Vec<String>) -> Result<Read, Refusal> {
    let source = Source::open(path)?;
    let mut head = match &source {
        Source::Mapped(file) => file.metadata.clone(),
        Source::Torch(_) => HashMap::new(),
    };
    let names = source.names();
    // Trainers keep the weights among other things.
    let under = ["state_dict.", "model_state_dict."].into_iter().find(|p| names.iter().any(|n| n.starts_with(p)));
    let plain = |name: &String| name.strip_prefix(under.unwrap_or_default()).map(str::to_owned);
    let steered = dreamdiffusion::is(names.iter().filter_map(plain));
    if steered {
        head.extend(dreamdiffusion::head(&source));
    }
    let (mut averaged, mut others, mut of_training) = (0, 0, 0);
    let mut pieces = Pieces::new();
    for name in &names {
        let Some(new) = name.strip_prefix(under.unwrap_or_default()) else {
            others += 1;
            continue;
        };
        if new.starts_with("model_ema.") {
            averaged += 1;
        } else if steered && dreamdiffusion::is_of_training(new) {
            of_training += 1;
        } else if let Some(piece) = Piece::new(&source, name) {
            pieces.insert(new.to_owned(), piece);
        }
    }
    if let Source::Torch(file) = &source {
        if pieces.is_empty()
            && let Some(first) = file.skipped.first()
        {
            let what = format!(
                "holds no tensors that can be read without running its program ({first}); save its state_dict instead"
            );
            return Err(Refusal::new(path, what));
        }
        let objects = file.skipped.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
        match file.skipped.len() {
            0 => {}
            1..=4 => left_out.push(format!("what is no tensor: {objects}")),
            n => left_out.push(format!("what is no tensor: {objects} and {} more", n - 4)),
        }
    }
    if averaged > 0 {
        left_out.push(format!("{averaged} tensors of the averaged copy that training keeps (model_ema)"));
    }
    if of_training > 0 {
        left_out.push(format!("{of_training} tensors of the image model that training looked at pictures with"));
    }
    if others > 0 {
        left_out.push(format!("{others} tensors beside the weights (optimizer, counters)"));
    }
    Ok((pieces, head))
}

/// The weights of a part of a folder; pickles where there is nothing else.
fn part(folder: &Path) -> Result<Vec<Source>, Refusal> {
    let refusal = match folder::weights(folder) {
        Ok(files) => return Ok(files.into_iter().map(Source::Mapped).collect()),
        Err(refusal) => refusal,
    };
    for name in ["diffusion_pytorch_model.bin", "pytorch_model.bin"] {
        if folder.join(name).is_file() {
            return Ok(vec![Source::open(&folder.join(name))?]);
        }
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut shards: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    shards.retain(|p| p.to_string_lossy().ends_with(".bin") && p.to_string_lossy().contains("-of-"));
    if shards.is_empty() {
        return Err(refusal);
    }
    shards.iter().map(|path| Source::open(path)).collect()
}

fn of_folder(path: &Path) -> Result<Read, Refusal> {
    let (family, unet) = folder::kind(path, &Configs::of(path)?)?;
    let mut pieces = Pieces::new();
    let each = |name: &str, put: &mut dyn FnMut(&Source, &str) -> Result<(), String>| -> Result<(), Refusal> {
        let folder = path.join(name);
        for source in part(&folder)? {
            for tensor in source.names().iter().filter(|n| !n.ends_with("position_ids")) {
                put(&source, tensor).map_err(|what| Refusal::new(&folder, what))?;
            }
        }
        Ok(())
    };
    let numbering = ldm::Numbering { layers: unet.layers, levels: unet.channels.len() };
    let attends = |up: usize| unet.depth.iter().rev().nth(up).is_some_and(|d| *d > 0);
    each("unet", &mut |source, name| {
        let old = back::unet(name, numbering, attends).ok_or_else(|| format!("has {name}, which no U-Net has"))?;
        let piece = Piece::new(source, name);
        pieces.extend(piece.map(|p| (format!("model.diffusion_model.{old}"), p)));
        Ok(())
    })?;
    let mut vae: Vec<(Source, String)> = Vec::new();
    each("vae", &mut |source, name| {
        vae.push((source.clone(), name.to_owned()));
        Ok(())
    })?;
    let level = |n: &String| n.strip_prefix("decoder.up_blocks.")?.split('.').next()?.parse::<usize>().ok();
    let levels = vae.iter().filter_map(|(_, n)| level(n)).max().map_or(0, |n| n + 1);
    for (source, name) in &vae {
        let old = back::vae(&ldm::vae_of_today(name), levels);
        // The original code's attention is made of convolutions.
        let convolution = old.contains(".attn_1.") && !old.contains(".norm.");
        let piece = Piece::new(source, name).map(|p| if convolution { p.into_convolution() } else { p });
        pieces.extend(piece.map(|p| (format!("first_stage_model.{old}"), p)));
    }
    let hugging_face = if family == Family::Sdxl { "conditioner.embedders.0." } else { "cond_stage_model." };
    if family == Family::Sd2 {
        each("text_encoder", &mut |source, name| open_clip(&mut pieces, "cond_stage_model.model.", source, name))?;
    } else {
        each("text_encoder", &mut |source, name| {
            let plain = name.strip_prefix("text_model.").unwrap_or(name);
            let piece = Piece::new(source, name);
            pieces.extend(piece.map(|p| (format!("{hugging_face}transformer.text_model.{plain}"), p)));
            Ok(())
        })?;
    }
    if family == Family::Sdxl {
        let prefix = "conditioner.embedders.1.model.";
        each("text_encoder_2", &mut |source, name| open_clip(&mut pieces, prefix, source, name))?;
    }
    let text = |name: &&str| Some((format!("{IN_HEAD}{name}"), std::fs::read_to_string(path.join(name)).ok()?));
    Ok((pieces, FILES.iter().filter_map(text).collect()))
}

fn open_clip(pieces: &mut Pieces, prefix: &str, source: &Source, name: &str) -> Result<(), String> {
    let plain = name.strip_prefix("text_model.").unwrap_or(name);
    let (Some(place), Some(piece)) = (back::open_clip(plain), Piece::new(source, name)) else { return Ok(()) };
    match place {
        back::Place::As(old) => drop(pieces.insert(format!("{prefix}{old}"), piece)),
        back::Place::Transposed(old) => drop(pieces.insert(format!("{prefix}{old}"), piece.transpose())),
        // Queries, keys and values lie in the same file: the first brings the others.
        back::Place::Third(old, 0) => {
            let mut whole = piece;
            for other in ["k", "v"] {
                let name = name.replace("q_proj", &format!("{other}_proj"));
                whole.stack(Piece::new(source, &name).ok_or_else(|| format!("lacks {name}"))?)?;
            }
            pieces.insert(format!("{prefix}{old}"), whole);
        }
        back::Place::Third(..) => {}
    }
    Ok(())
}

/// Beside the output while it is written; renamed when it is whole.
fn unfinished(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    out.with_file_name(name)
}

fn write(
    out: &Path,
    pieces: &Pieces,
    head: &HashMap<String, String>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, Refusal> {
    // Wide numbers first, so that all are aligned.
    let mut order: Vec<(&String, &Piece)> = pieces.iter().collect();
    order.sort_by_key(|(name, piece)| (std::cmp::Reverse(piece.dtype.bitsize()), *name));
    let mut json = serde_json::Map::new();
    json.insert("__metadata__".to_owned(), serde_json::json!(head));
    let mut at = 0;
    for (name, piece) in &order {
        let entry =
            serde_json::json!({"dtype": piece.dtype, "shape": piece.shape, "data_offsets": [at, at + piece.len()]});
        json.insert((*name).clone(), entry);
        at += piece.len();
    }
    let mut json = serde_json::Value::Object(json).to_string().into_bytes();
    json.resize(json.len().next_multiple_of(8), b' ');
    let part = unfinished(out);
    let mut written = || -> std::io::Result<u64> {
        let mut file = std::fs::File::create(&part)?;
        file.write_all(&(json.len() as u64).to_le_bytes())?;
        file.write_all(&json)?;
        let (mut done, all) = (0, at as u64);
        for (_, piece) in &order {
            file.write_all(&piece.bytes())?;
            done += piece.len() as u64;
            progress(done, all);
        }
        file.sync_all()?;
        drop(file);
        std::fs::rename(&part, out)?;
        Ok(8 + json.len() as u64 + all)
    };
    written().map_err(|e| {
        // The half-written file is of no use; if it cannot be removed, the next run writes over it.
        drop(std::fs::remove_file(&part));
        Refusal::new(out, format!("cannot be written: {e}"))
    })
}
