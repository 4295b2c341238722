//! A checkpoint in one file, with the names of the original code.

use std::{path::Path, sync::Arc};

use super::{
    Configs, Mapped, Parts, Refusal, companions, dreamdiffusion, folder, foreign, infer, ldm, name_of, taesd_files,
    tensors::{Take, Tensors},
};
use crate::diffusion::sd::{
    config::Family,
    schedule::ScheduleConfig,
    text::{Activation, ClipConfig, LENGTH},
};

const UNET: &str = "model.diffusion_model.";
const VAE: &str = "first_stage_model.";
const CLIP: &str = "cond_stage_model.transformer.";
const OPEN_CLIP: &str = "cond_stage_model.model.";
const XL_CLIP: &str = "conditioner.embedders.0.transformer.";
const XL_OPEN_CLIP: &str = "conditioner.embedders.1.model.";
/// OpenCLIP-H has 24 layers; Stable Diffusion 2 takes what the last but one puts out, so the last is never used.
const LAYERS_OF_H: usize = 24;

pub fn open(path: &Path) -> Result<Parts, Refusal> {
    if let Some(what) = foreign::by_first_bytes(path) {
        return Err(Refusal::new(path, what));
    }
    let file = Arc::new(Mapped::open(path)?);
    if let Some(what) = foreign::by_names(&file) {
        return Err(Refusal::new(path, what));
    }
    let has = |prefix: &str| file.names().any(|n| n.starts_with(prefix));
    let refuse = |what: String| Refusal::new(path, what);
    // A signal steers it in the place of a text.
    let mut steered = false;
    let family = if has("conditioner.embedders.") {
        Family::Sdxl
    } else if has(OPEN_CLIP) {
        Family::Sd2
    } else if has(CLIP) {
        Family::Sd1
    } else if dreamdiffusion::is(file.names()) {
        steered = true;
        Family::Sd1
    } else if has(UNET) {
        return Err(refuse(
            "has a U-Net but no text model; use the full checkpoint (several GB), or the diffusers folder".to_owned(),
        ));
    } else {
        let first = file.names().take(3).collect::<Vec<_>>().join(", ");
        return Err(refuse(format!("is no Stable Diffusion 1.x, 2.x or XL checkpoint (its tensors are {first}, …)")));
    };
    // A file may lie in the folder of the same model: then the folder's configuration answers what shapes do not tell.
    // One that was made of a folder carries it along.
    let configs = match (Configs::of_head(&file.metadata), path.parent()) {
        (Some(configs), _) => configs,
        (None, Some(folder)) => Configs::of(folder)?,
        (None, None) => Configs::default(),
    };

    let unet = unet_tensors(&file).map_err(refuse)?;
    let mut unet_config = infer::unet(&unet, family).map_err(refuse)?;
    let text_2 = (family == Family::Sdxl).then(|| open_clip(&file, XL_OPEN_CLIP));
    let text_2 = match text_2 {
        None => None,
        Some(tensors) => {
            let mut config = infer::clip(&tensors, Activation::Gelu).map_err(refuse)?;
            config.projection = Some(tensors.size("text_projection.weight", 0));
            if let Some(known) = configs.text_2.as_ref().and_then(|j| companions::clip(j).ok()) {
                config.adopt(&known);
            }
            Some((tensors, config))
        }
    };
    if let Some(known) = configs.unet.as_ref().and_then(|j| companions::unet(j).ok()) {
        unet_config.adopt(&known);
    }
    if let Some(added) = &mut unet_config.added {
        let pooled = text_2.as_ref().and_then(|(_, c)| c.projection).unwrap_or(0);
        added.time_width = added.inputs.saturating_sub(pooled) / 6;
    }
    let (text, words) = if steered {
        (None, dreamdiffusion::words(&file, unet_config.cross).map_err(refuse)?)
    } else {
        (Some(text_model(&file, family, &configs).map_err(refuse)?), LENGTH)
    };
    let vae = vae_tensors(&file);
    let vae = if vae.is_empty() {
        None
    } else {
        let mut config = infer::vae(&vae, family.scaling()).map_err(refuse)?;
        if let Some(known) = configs.vae.as_ref().and_then(|j| companions::vae(j, family.scaling()).ok()) {
            config.adopt(&known);
        }
        Some((vae, config))
    };
    let taesd = taesd_files::beside(path, family)?;
    if vae.is_none() && taesd.is_none() {
        return Err(refuse(
            "has no decoder (first_stage_model); use the full checkpoint, or put taesd_decoder.safetensors beside it"
                .to_owned(),
        ));
    }
    let schedule = match &configs.scheduler {
        Some(json) => ScheduleConfig::of(Some(json), family).map_err(refuse)?,
        None if steered => dreamdiffusion::schedule(),
        None => ScheduleConfig::of_single(&file, family, unet_config.guidance_width.is_some()),
    };
    Ok(Parts {
        path: path.to_owned(),
        name: name_of(path),
        family,
        unet: (unet, unet_config),
        vae,
        taesd,
        text,
        text_2,
        words,
        padding: configs.tokenizer.as_ref().and_then(folder::padding).unwrap_or_else(|| family.padding()),
        schedule,
        zeros_for_empty: family == Family::Sdxl
            && configs.index.as_ref().and_then(|i| i.is("force_zeros_for_empty_prompt")).unwrap_or(true),
    })
}

/// The first text model, which all but steered ones have.
fn text_model(file: &Arc<Mapped>, family: Family, configs: &Configs) -> Result<(Tensors, ClipConfig), String> {
    let mut text = match family {
        Family::Sd1 => hugging_face(file, CLIP),
        Family::Sd2 => open_clip(file, OPEN_CLIP),
        Family::Sdxl => hugging_face(file, XL_CLIP),
    };
    let activation = if family == Family::Sd2 { Activation::Gelu } else { Activation::QuickGelu };
    let mut config = infer::clip(&text, activation)?;
    if family == Family::Sd2 && config.layers == LAYERS_OF_H {
        config.layers -= 1;
        let last = format!("encoder.layers.{}.", config.layers);
        text = text.without(|n| n.starts_with(&last) || n.starts_with("text_projection"));
    }
    if let Some(known) = configs.text.as_ref().and_then(|j| companions::clip(j).ok()) {
        config.adopt(&known);
    }
    Ok((text, config))
}

fn unet_tensors(file: &Arc<Mapped>) -> Result<Tensors, String> {
    let names = || file.names().filter_map(|n| n.strip_prefix(UNET));
    let numbering = ldm::Numbering::of(names()).ok_or("lacks the input blocks of its U-Net; download it again")?;
    let mut all = Tensors::new();
    for name in names() {
        // A name that is none of a U-Net's stays as it is and is told as left over.
        let new = ldm::unet(name, numbering).unwrap_or_else(|| name.to_owned());
        all.insert(new, file, &format!("{UNET}{name}"), Take::Whole);
    }
    Ok(all)
}

fn vae_tensors(file: &Arc<Mapped>) -> Tensors {
    let names = || file.names().filter_map(|n| n.strip_prefix(VAE));
    let levels = ldm::vae_levels(names());
    let mut all = Tensors::new();
    // Training leaves its discriminator and averaged copies in some files.
    for name in names().filter(|n| !n.starts_with("loss.") && !n.starts_with("model_ema.")) {
        all.insert(ldm::vae(name, levels), file, &format!("{VAE}{name}"), Take::Whole);
    }
    all
}

fn hugging_face(file: &Arc<Mapped>, prefix: &str) -> Tensors {
    let mut all = Tensors::new();
    for name in file.names().filter(|n| n.starts_with(prefix) && !n.ends_with("position_ids")) {
        let new = &name[prefix.len()..];
        let new = new.strip_prefix("text_model.").unwrap_or(new);
        if new != "logit_scale" && !new.starts_with("text_projection") {
            all.insert(new.to_owned(), file, name, Take::Whole);
        }
    }
    all
}

fn open_clip(file: &Arc<Mapped>, prefix: &str) -> Tensors {
    let mut all = Tensors::new();
    for name in file.names().filter(|n| n.starts_with(prefix)) {
        let old = &name[prefix.len()..];
        if old == "logit_scale" || old == "attn_mask" {
            continue;
        }
        let new = ldm::open_clip(old);
        if new.is_empty() {
            all.insert(old.to_owned(), file, name, Take::Whole);
        }
        for (new, take) in new {
            all.insert(new, file, name, take);
        }
    }
    all
}
