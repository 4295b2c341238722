//! What a file or folder is, told from its head alone: for lists, and for the words in which a model is shown.

use std::path::Path;

use super::{Mapped, Parts, Refusal, dreamdiffusion, foreign, open, source::Source};
use crate::{
    diffusion::sd::{config::Family, files::Json, schedule::Sampler},
    pickle,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Something that paints.
    Checkpoint,
    Lora,
    Embedding,
    TinyDecoder,
    /// Anything else, and what cannot be read.
    Other,
}

/// What a file or folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    pub sort: Sort,
    /// A word or two: `SD 1.x`, `SDXL Turbo`, `LoRA`.
    pub kind: String,
    /// A sentence without its subject.
    pub says: String,
    /// What it must be given or used with.
    pub needs: Option<String>,
    pub licence: Option<String>,
}

/// Never fails: what cannot be read is told in the sentence.
pub fn about(path: &Path) -> About {
    let licence = licence(path);
    match open(path) {
        Ok(parts) => About { licence, ..checkpoint(&parts) },
        Err(refusal) => About { licence, ..other(path, refusal) },
    }
}

fn checkpoint(parts: &Parts) -> About {
    if parts.text.is_none() {
        return About {
            sort: Sort::Checkpoint,
            kind: dreamdiffusion::KIND.to_owned(),
            says: format!("paints what a signal says in {} steps, usually 512x512", parts.schedule.steps),
            needs: Some("a signal: --source, which its own encoder reads".to_owned()),
            licence: None,
        };
    }
    let schedule = &parts.schedule;
    let turbo = schedule.sampler == Sampler::Euler && schedule.steps <= 4;
    let family = match parts.family {
        Family::Sd1 => "SD 1.x",
        Family::Sd2 if turbo => "SD",
        Family::Sd2 => "SD 2.x",
        Family::Sdxl => "SDXL",
    };
    let kind = match schedule.sampler {
        Sampler::Lcm => format!("{family} LCM"),
        _ if turbo => format!("{family} Turbo"),
        _ => family.to_owned(),
    };
    let side = 8 * parts.family.side();
    let steps = if schedule.steps == 1 { "one step".to_owned() } else { format!("{} steps", schedule.steps) };
    let guidance = if schedule.guidance == 1.0 { String::new() } else { format!(", guidance {}", schedule.guidance) };
    let says = format!("paints what a prompt says in {steps}{guidance}, usually {side}x{side}");
    let needs = parts.vae.is_none().then(|| "its decoder is a TAESD".to_owned());
    About { sort: Sort::Checkpoint, kind, says, needs, licence: None }
}

fn other(path: &Path, refusal: Refusal) -> About {
    let about = |sort, kind: &str, says: &str, needs: &str| About {
        sort,
        kind: kind.to_owned(),
        says: says.to_owned(),
        needs: (!needs.is_empty()).then(|| needs.to_owned()),
        licence: None,
    };
    if path.is_dir() {
        let class = Json::read(&path.join("config.json")).ok().flatten();
        if class.as_ref().and_then(|j| j.text("_class_name")) == Some("AutoencoderTiny") {
            return about(Sort::TinyDecoder, "TAESD", "decodes pictures quickly", "a checkpoint, with --decoder taesd");
        }
        return about(Sort::Other, "-", &refusal.what, "");
    }
    let pickled = foreign::first_bytes(path).is_ok_and(|first| pickle::is_pickle(&first));
    // Small pickles may be embeddings; large ones are checkpoints to be converted.
    const LARGEST_EMBEDDING: u64 = 16 << 20;
    if pickled && std::fs::metadata(path).is_ok_and(|m| m.len() <= LARGEST_EMBEDDING) {
        let names = Source::open(path).map(|s| s.names()).unwrap_or_default();
        if names.iter().any(|n| n.starts_with("string_to_param.")) || names.len() == 1 {
            return embedding(path);
        }
    }
    let Ok(file) = Mapped::open(path) else { return about(Sort::Other, "-", &refusal.what, "") };
    if file.shape("denoiser.conv_in.bias").is_some() {
        return about(Sort::Checkpoint, "box", "paints as the model in the box, by genres", "");
    }
    match foreign::by_names(&file) {
        Some(what) if what.starts_with("is a LoRA") => about(
            Sort::Lora,
            "LoRA",
            "changes a checkpoint's style",
            "the kind of checkpoint it was made for, with --lora",
        ),
        Some(what) if what.starts_with("is a textual inversion") => embedding(path),
        Some(what) if what.starts_with("is a TAESD") => {
            about(Sort::TinyDecoder, "TAESD", "decodes pictures quickly", "a checkpoint, with --decoder taesd")
        }
        _ if file.names().count() == 1 && refusal.what.contains("is no Stable Diffusion") => embedding(path),
        _ => about(Sort::Other, "-", &refusal.what, ""),
    }
}

fn embedding(path: &Path) -> About {
    let name = super::name_of(path);
    About {
        sort: Sort::Embedding,
        kind: "embedding".to_owned(),
        says: format!("is a word for prompts: {name}"),
        needs: Some("to lie in embeddings/ beside a checkpoint, or --embedding".to_owned()),
        licence: None,
    }
}

/// What the file's head or the description beside it says of the licence.
fn licence(path: &Path) -> Option<String> {
    if path.is_file()
        && let Ok(file) = Mapped::open(path)
        && let Some(said) = ["modelspec.license", "license"].iter().find_map(|k| file.metadata.get(*k))
    {
        return Some(said.clone());
    }
    let folder = if path.is_dir() { path } else { path.parent()? };
    // The head of a model card is YAML between two lines of dashes; these two keys are plain lines of it.
    let card = std::fs::read_to_string(folder.join("README.md")).ok()?;
    let head = card.strip_prefix("---")?.split("\n---").next()?;
    let value =
        |key: &str| head.lines().find_map(|l| Some(l.strip_prefix(key)?.trim().trim_matches(['"', '\'']).to_owned()));
    match (value("license:")?, value("license_name:")) {
        (other, Some(name)) if other == "other" => Some(name),
        (licence, _) => Some(licence),
    }
    .filter(|l| !l.is_empty())
}
