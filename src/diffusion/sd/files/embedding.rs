//! Files of textual inversion, and where they are found.
//!
//! Four ways of writing them are common: AUTOMATIC1111's (`string_to_param`, a pickle; `emb_params` as .safetensors),
//! those for SDXL's two text models (`clip_l`, `clip_g`), and diffusers' (one tensor under its word).

use std::path::{Path, PathBuf};

use super::{Parts, Refusal, Source, name_of};
use crate::diffusion::{
    catalogue,
    sd::text::{ClipConfig, Learned},
};

/// A file of learned words and the name by which it is called, if not by its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingUse {
    pub path: PathBuf,
    pub name: Option<String>,
}

impl EmbeddingUse {
    /// `FILE` or `FILE:NAME`; a path with a colon in it that is there is a path.
    pub fn typed(text: &str) -> Self {
        match text.rsplit_once(':') {
            Some((path, name)) if !Path::new(text).exists() && !name.is_empty() && !name.contains(['/', '\\']) => {
                Self { path: path.into(), name: Some(name.to_owned()) }
            }
            _ => Self { path: text.into(), name: None },
        }
    }
}

/// Larger files in a folder of embeddings are something else.
const LARGEST_BYTES: u64 = 16 << 20;

/// Vectors for one text model: which one if the file says so, how many, how wide.
struct Vectors {
    of: Option<usize>,
    width: usize,
    rows: Vec<f32>,
}

/// The learned words of both text models: those that were given, and those that lie in `embeddings/` beside the model
/// and in the folders of models. One that was given must fit; others that do not are for other models.
pub fn learned(parts: &Parts, given: &[EmbeddingUse]) -> Result<[Learned; 2], Refusal> {
    let configs = [parts.text.as_ref().map(|t| &t.1), parts.text_2.as_ref().map(|t| &t.1)];
    let mut all = configs.map(|c| Learned::after(c.map_or(0, |c| c.words)));
    for path in beside(&parts.path) {
        match add(&mut all, configs, &path, None) {
            Ok(names) => tracing::debug!("the word {} is known", names.join(", ")),
            Err(refusal) => tracing::info!("{refusal}; it is left out"),
        }
    }
    for used in given {
        add(&mut all, configs, &used.path, used.name.as_deref())?;
    }
    Ok(all)
}

fn beside(model: &Path) -> Vec<PathBuf> {
    let around = if model.is_dir() { Some(model) } else { model.parent() };
    let mut folders: Vec<PathBuf> = around.map(Path::to_owned).into_iter().chain(catalogue::folders()).collect();
    folders.iter_mut().for_each(|f| f.push("embeddings"));
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in folders {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
        let mut found: Vec<PathBuf> = entries
            .filter(|p| p.extension().is_some_and(|e| ["safetensors", "pt", "bin"].iter().any(|k| e == *k)))
            .filter(|p| std::fs::metadata(p).is_ok_and(|m| m.is_file() && m.len() <= LARGEST_BYTES))
            .collect();
        found.sort();
        files.extend(found);
    }
    files
}

/// Adds a file's word; the names by which it is called.
fn add(
    all: &mut [Learned; 2],
    configs: [Option<&ClipConfig>; 2],
    path: &Path,
    name: Option<&str>,
) -> Result<Vec<String>, Refusal> {
    let refuse = |what: String| Refusal::new(path, what);
    let (mut names, vectors) = read(path)?;
    names.insert(0, name.map_or_else(|| name_of(path), str::to_owned));
    let widths: Vec<usize> = configs.iter().flatten().map(|c| c.width).collect();
    for part in &vectors {
        let fits = |i: &usize| configs[*i].is_some_and(|c| c.width == part.width) && part.of.is_none_or(|of| of == *i);
        let Some(model) = (0..configs.len()).find(fits) else {
            let widths: Vec<String> = widths.iter().map(ToString::to_string).collect();
            return Err(refuse(format!(
                "is an embedding of {} numbers a word, and the model's words have {}; use one made for this kind of model",
                part.width,
                widths.join(" and ")
            )));
        };
        all[model].add(&names, &part.rows, part.width);
    }
    Ok(names)
}

/// The words that a file calls itself by, and its vectors.
fn read(path: &Path) -> Result<(Vec<String>, Vec<Vectors>), Refusal> {
    let source = Source::open(path)?;
    let refuse = |what: String| Refusal::new(path, what);
    let all = source.names();
    let mut own_names = Vec::new();
    let mut vectors = Vec::new();
    for name in &all {
        let of = match name.as_str() {
            "clip_l" | "text_encoders_0" => Some(0),
            "clip_g" | "text_encoders_1" => Some(1),
            "emb_params" => None,
            _ if name.starts_with("string_to_param.") => None,
            // diffusers writes the word itself, and nothing else.
            _ if all.len() == 1 => {
                own_names.push(name.clone());
                None
            }
            _ => continue,
        };
        let shape = source.what(name).map(|(_, shape)| shape).unwrap_or_default();
        let ([width] | [_, width]) = shape[..] else {
            return Err(refuse(format!("holds {name} with the shape {shape:?}, which is no embedding")));
        };
        let rows = source.floats(name).map_err(refuse)?;
        if width == 0 || rows.is_empty() || rows.iter().any(|v| !v.is_finite()) {
            return Err(refuse(format!("holds no usable numbers in {name}")));
        }
        vectors.push(Vectors { of, width, rows });
    }
    if vectors.is_empty() {
        return Err(refuse(
            "is no textual inversion embedding (it has none of emb_params, string_to_param, clip_l, clip_g, or one word)"
                .to_owned(),
        ));
    }
    Ok((own_names, vectors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_follow_the_file() {
        let typed = |text| EmbeddingUse::typed(text);
        assert_eq!(typed("a/ink.pt:wash"), EmbeddingUse { path: "a/ink.pt".into(), name: Some("wash".to_owned()) });
        assert_eq!(typed("a/ink.pt"), EmbeddingUse { path: "a/ink.pt".into(), name: None });
        assert_eq!(typed("C:\\ink.pt"), EmbeddingUse { path: "C:\\ink.pt".into(), name: None });
    }
}
