//! A diffusers folder: `unet/`, `vae/`, `text_encoder/`, … each with its configuration and one or more .safetensors files.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Configs, Json, Mapped, Parts, Refusal, companions, foreign, ldm, name_of, taesd_files, tensors::Tensors};
use crate::diffusion::sd::{
    config::Family,
    schedule::ScheduleConfig,
    text::{END, LENGTH},
    unet::UnetConfig,
};

/// What a folder is a model of, and its U-Net's configuration; an error if it is something that is not played.
pub fn kind(path: &Path, configs: &Configs) -> Result<(Family, UnetConfig), Refusal> {
    let class = configs.index.as_ref().and_then(|i| i.text("_class_name")).unwrap_or_default();
    if let Some(what) = foreign_class(class) {
        return Err(Refusal::new(path, what));
    }
    let refuse = |what: String| Refusal::new(path, what);
    let Some(unet_json) = &configs.unet else {
        return Err(refuse(
            "is a folder without unet/config.json; give a diffusers folder (with model_index.json and unet/) or a \
             .safetensors file"
                .to_owned(),
        ));
    };
    if let Some(what) = unet_json.size("in_channels").and_then(foreign::by_inputs) {
        return Err(refuse(what));
    }
    Ok((family(class, configs, unet_json), companions::unet(unet_json).map_err(refuse)?))
}

pub fn open(path: &Path) -> Result<Parts, Refusal> {
    let configs = Configs::of(path)?;
    let (family, unet_config) = kind(path, &configs)?;
    let refuse = |what: String| Refusal::new(path, what);
    let lacks = |part: &str| refuse(format!("lacks {part}/config.json; download the folder again"));
    let text_json = configs.text.as_ref().ok_or_else(|| lacks("text_encoder"))?;
    let text_config = companions::clip(text_json).map_err(refuse)?;

    let text = text_tensors(&weights(&path.join("text_encoder"))?);
    let text_2 = match (&configs.text_2, family) {
        (Some(json), Family::Sdxl) => {
            let tensors = text_tensors(&weights(&path.join("text_encoder_2"))?);
            let mut config = companions::clip(json).map_err(refuse)?;
            config.projection = Some(tensors.size("text_projection.weight", 0));
            Some((tensors, config))
        }
        (None, Family::Sdxl) => return Err(lacks("text_encoder_2")),
        _ => None,
    };
    let is_tiny = |j: &Json| j.text("_class_name") == Some("AutoencoderTiny");
    let vae = match &configs.vae {
        Some(json) if !is_tiny(json) => {
            let tensors = Tensors::of(&weights(&path.join("vae"))?, |n| Some(ldm::vae_of_today(n)));
            Some((tensors, companions::vae(json, family.scaling()).map_err(refuse)?))
        }
        _ => None,
    };
    let taesd = match &configs.vae {
        Some(json) if is_tiny(json) => Some(Tensors::of(&weights(&path.join("vae"))?, |n| Some(n.to_owned()))),
        _ => taesd_files::beside(path, family)?,
    };
    if vae.is_none() && taesd.is_none() {
        return Err(lacks("vae"));
    }
    let padding = configs.tokenizer.as_ref().and_then(padding).unwrap_or_else(|| family.padding());
    Ok(Parts {
        path: path.to_owned(),
        name: name_of(path),
        family,
        unet: (Tensors::of(&weights(&path.join("unet"))?, |n| Some(n.to_owned())), unet_config),
        vae,
        taesd,
        text: Some((text, text_config)),
        text_2,
        words: LENGTH,
        padding,
        schedule: ScheduleConfig::of(configs.scheduler.as_ref(), family).map_err(refuse)?,
        zeros_for_empty: family == Family::Sdxl
            && configs.index.as_ref().and_then(|i| i.is("force_zeros_for_empty_prompt")).unwrap_or(true),
    })
}

/// Text models have had their names with and without `text_model.`; positions 0..77 are written into some files.
fn text_tensors(files: &[Arc<Mapped>]) -> Tensors {
    Tensors::of(files, |name| {
        let name = name.strip_prefix("text_model.").unwrap_or(name);
        (!name.ends_with("position_ids")).then(|| name.to_owned())
    })
}

fn family(class: &str, configs: &Configs, unet: &Json) -> Family {
    if class.contains("XL") || unet.text("addition_embed_type").is_some() || configs.text_2.is_some() {
        Family::Sdxl
    } else if unet.is("use_linear_projection").unwrap_or(false) || unet.size("cross_attention_dim") == Some(1024) {
        Family::Sd2
    } else {
        Family::Sd1
    }
}

/// The word that fills prompts up, from the tokenizer's configuration.
pub fn padding(tokenizer: &Json) -> Option<u32> {
    let pad = tokenizer.value("pad_token")?;
    match pad.as_str().or_else(|| pad.get("content")?.as_str())? {
        "!" => Some(0),
        "<|endoftext|>" => Some(END),
        _ => None,
    }
}

fn foreign_class(class: &str) -> Option<String> {
    let what = match class {
        _ if class.starts_with("Flux") => "a Flux model",
        _ if class.starts_with("StableDiffusion3") => "a Stable Diffusion 3 model",
        _ if class.starts_with("StableCascade") || class.starts_with("Wuerstchen") => "a Stable Cascade model",
        _ if class.starts_with("PixArt") => "a PixArt model",
        "StableDiffusionXLImg2ImgPipeline" => "the refiner of SDXL, which only finishes pictures",
        "StableDiffusionInpaintPipeline" | "StableDiffusionXLInpaintPipeline" => {
            "an inpainting model (its U-Net takes a mask)"
        }
        "" => return None,
        _ if class.starts_with("StableDiffusion") || class.starts_with("LatentConsistency") => return None,
        other => return Some(format!("is a model of the kind {other}; Stable Diffusion 1.x, 2.x and XL are played")),
    };
    Some(format!("is {what}; Stable Diffusion 1.x, 2.x and XL are played"))
}

/// The weights of a part: full precision rather than half, one file or the shards that an index names.
pub fn weights(part: &Path) -> Result<Vec<Arc<Mapped>>, Refusal> {
    let entries = std::fs::read_dir(part).map_err(|e| Refusal::new(part, format!("cannot be read: {e}")))?;
    let mut names: Vec<String> = entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    let open = |name: &str| Mapped::open(&part.join(name)).map(Arc::new);
    for variant in ["", ".fp32", ".fp16", ".bf16", ".non_ema"] {
        for stem in ["diffusion_pytorch_model", "model"] {
            let whole = format!("{stem}{variant}.safetensors");
            if names.contains(&whole) {
                return Ok(vec![open(&whole)?]);
            }
            let index = match variant.strip_prefix('.') {
                None => format!("{stem}.safetensors.index.json"),
                Some(variant) => format!("{stem}.safetensors.index.{variant}.json"),
            };
            if names.contains(&index) {
                return shards(part, &part.join(index));
            }
        }
    }
    let files: Vec<&String> = names.iter().filter(|n| n.ends_with(".safetensors")).collect();
    if let [only] = files[..] {
        return Ok(vec![open(only)?]);
    }
    let pickled = names.iter().any(|n| n.ends_with(".bin") || n.ends_with(".ckpt") || n.ends_with(".pt"));
    let why = match (files.len(), pickled) {
        (0, true) => {
            "holds its weights as a pickle; `wavedream models convert` makes one .safetensors file of the whole folder \
             without executing anything"
        }
        (0, false) => "holds no .safetensors file; download the folder again",
        _ => "holds several .safetensors files of unknown names; keep the one to be played",
    };
    Err(Refusal::new(part, why))
}

fn shards(part: &Path, index: &Path) -> Result<Vec<Arc<Mapped>>, Refusal> {
    let broken = || Refusal::new(index, "names no files in weight_map; download it again");
    let json = Json::read(index)?.ok_or_else(broken)?;
    let files: BTreeSet<&str> = json.map("weight_map").ok_or_else(broken)?.into_iter().map(|(_, file)| file).collect();
    let path = |file: &&str| -> Result<PathBuf, Refusal> {
        // A name is a file of this folder and nothing else.
        let plain = Path::new(file).file_name().is_some_and(|n| n == *file);
        if plain {
            Ok(part.join(file))
        } else {
            Err(Refusal::new(index, format!("names the file {file:?} outside its folder")))
        }
    };
    files.iter().map(|f| Mapped::open(&path(f)?).map(Arc::new)).collect()
}
