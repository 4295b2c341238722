//! Files that are something else: named for what they are, with what to do.

use std::{io::Read, path::Path};

use super::Mapped;

/// What a file that is no safetensors file begins with.
pub fn by_bytes(bytes: &[u8]) -> Option<&'static str> {
    let pickle = "is a pickle (.ckpt, .pt, .bin), which can hold programs and is never executed here; `wavedream models \
                  convert` makes a .safetensors file of it without executing anything";
    let text = bytes.iter().position(|b| !b.is_ascii_whitespace()).map_or(bytes, |i| &bytes[i..]);
    match bytes {
        [b'P', b'K', 3, 4, ..] => Some(pickle),
        [0x80, 2..=5, ..] => Some(pickle),
        _ if bytes.starts_with(b"GGUF") => Some("is a GGUF file; use the .safetensors file of the same model"),
        _ if bytes.starts_with(b"version https://git-lfs") => {
            Some("is a pointer of Git LFS, not the model; run `git lfs pull`, or download the file itself")
        }
        _ if text.starts_with(b"<") => Some("is a web page, not a model; the download went wrong, or needed a login"),
        _ => None,
    }
}

pub fn first_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut first = Vec::new();
    std::fs::File::open(path)?.take(64).read_to_end(&mut first)?;
    Ok(first)
}

pub fn by_first_bytes(path: &Path) -> Option<&'static str> {
    by_bytes(&first_bytes(path).ok()?)
}

/// Whether the names are those of something that diffuses, ours or foreign: the embedded model's are not.
pub fn is_diffusion(file: &Mapped) -> bool {
    file.names().any(|n| n.starts_with("model.diffusion_model.")) || by_names(file).is_some()
}

/// What other models are told by: parts of the names of their tensors.
const KNOWN: [(&[&str], &str); 14] = [
    (
        &["lora_unet_", "lora_te", ".lora_A.", ".lora_B.", ".lora_down.", ".lora_up.", ".hada_w1_a", ".lokr_w1"],
        "is a LoRA, not a model; give the checkpoint it was made for with --model and this file with --lora",
    ),
    (&["double_blocks.", "single_transformer_blocks."], "is a Flux model; Stable Diffusion 1.x, 2.x and XL are played"),
    (
        &["joint_blocks.", "transformer_blocks.0.attn.add_k_proj."],
        "is a Stable Diffusion 3 model; 1.x, 2.x and XL are played",
    ),
    (
        &["control_model.", "controlnet_cond_embedding.", "input_hint_block."],
        "is a ControlNet, not a model; it cannot be played",
    ),
    (
        &["emb_params", "string_to_param", "clip_l", "clip_g"],
        "is a textual inversion embedding, not a model; give it beside a checkpoint",
    ),
    (&["image_proj.", "ip_adapter."], "is an IP-Adapter, not a model; it cannot be played"),
    (&["motion_modules."], "is a motion module of AnimateDiff, not a model; it cannot be played"),
    (
        &["down_blocks.0.t_embedder", "clip_txt_pooled_mapper.", "clf.1."],
        "is a Stable Cascade model; Stable Diffusion 1.x, 2.x and XL are played",
    ),
    (&["adaln_single.", "caption_projection."], "is a PixArt model; Stable Diffusion 1.x, 2.x and XL are played"),
    (
        &["conditioner.embedders.0.model.transformer."],
        "is the refiner of SDXL, which only finishes pictures; use the SDXL base model",
    ),
    (&["encoder.embed_tokens.", "shared.weight"], "is a T5 text model, not a picture model"),
    (
        &["text_model.encoder.layers."],
        "is a CLIP text model alone; give the whole checkpoint, or the folder it lies in",
    ),
    (
        &["decoder.mid.block_1.", "decoder.mid_block.resnets."],
        "is a decoder (VAE) alone; give the whole checkpoint, or the folder it lies in",
    ),
    (
        &["decoder.layers.", "1.conv.0.weight"],
        "is a TAESD decoder alone; give the checkpoint with --model and --decoder taesd",
    ),
];

/// What a file that is not one of our checkpoints is, told by its names and shapes.
pub fn by_names(file: &Mapped) -> Option<String> {
    for conv_in in ["model.diffusion_model.input_blocks.0.0.weight", "conv_in.weight"] {
        if let Some(what) = file.shape(conv_in).and_then(|s| by_inputs(*s.get(1)?)) {
            return Some(what);
        }
    }
    let ours = file.names().any(|n| n.starts_with("model.diffusion_model.input_blocks."));
    for (parts, what) in KNOWN {
        let holds = |n: &str| parts.iter().any(|p| n.contains(p));
        if (!ours || what.contains("refiner")) && file.names().any(holds) {
            return Some(what.to_owned());
        }
    }
    let unet = file.names().any(|n| n.starts_with("down_blocks.") || n.starts_with("input_blocks."));
    (unet && !ours).then(|| "is a U-Net alone, without text model and decoder; give the folder it lies in".to_owned())
}

/// What a U-Net with more inputs than the four of a latent is.
pub fn by_inputs(inputs: usize) -> Option<String> {
    let what = match inputs {
        4 => return None,
        9 => {
            "is an inpainting model (its U-Net takes a mask, 9 channels in place of 4); use the plain model of the same name"
        }
        8 => "is an editing model (its U-Net takes a second picture, 8 channels in place of 4); use a plain model",
        5 => "is a depth model (its U-Net takes a depth map, 5 channels in place of 4); use a plain model",
        7 => "is an upscaler (its U-Net takes a small picture, 7 channels in place of 4); use a plain model",
        n => {
            return Some(format!(
                "has a U-Net with {n} input channels in place of 4; use a plain Stable Diffusion 1.x, 2.x or XL"
            ));
        }
    };
    Some(what.to_owned())
}
