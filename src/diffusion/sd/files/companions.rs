//! The JSON files of a diffusers folder, and what they say about U-Net, decoder and text models.
//!
//! A single file has no such files of its own; where it lies in such a folder they are asked for what its shapes do not
//! tell (attention heads, groups of the norms, prediction type).

use std::{collections::HashMap, path::Path};

use serde_json::Value;

use super::Refusal;
use crate::diffusion::sd::{
    text::{Activation, ClipConfig},
    unet::{Added, UnetConfig},
    vae::VaeConfig,
};

/// A JSON file; asked leniently, for every version of diffusers writes other fields.
#[derive(Debug, Clone, Default)]
pub struct Json(Value);

impl Json {
    /// None if there is no such file.
    pub fn read(path: &Path) -> Result<Option<Self>, Refusal> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Refusal::new(path, format!("cannot be read: {e}"))),
        };
        let value = serde_json::from_str(&text).map_err(|e| Refusal::new(path, format!("is not valid JSON: {e}")))?;
        Ok(Some(Self(value)))
    }
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|v| !v.is_null())
    }
    /// An object within it.
    pub fn part(&self, key: &str) -> Option<Self> {
        self.value(key).filter(|v| v.is_object()).cloned().map(Self)
    }
    pub fn text(&self, key: &str) -> Option<&str> {
        self.value(key)?.as_str()
    }
    pub fn size(&self, key: &str) -> Option<usize> {
        usize::try_from(self.value(key)?.as_u64()?).ok()
    }
    pub fn number(&self, key: &str) -> Option<f64> {
        self.value(key)?.as_f64()
    }
    pub fn is(&self, key: &str) -> Option<bool> {
        self.value(key)?.as_bool()
    }
    pub fn sizes(&self, key: &str) -> Option<Vec<usize>> {
        self.value(key)?.as_array()?.iter().map(|v| usize::try_from(v.as_u64()?).ok()).collect()
    }
    /// A number for all levels, or a list with one for each.
    fn each(&self, key: &str, levels: usize) -> Option<Vec<usize>> {
        self.sizes(key).or_else(|| Some(vec![self.size(key)?; levels])).filter(|v| v.len() == levels)
    }
    fn texts(&self, key: &str) -> Option<Vec<&str>> {
        self.value(key)?.as_array()?.iter().map(Value::as_str).collect()
    }
    /// The names of a map, for the index of a sharded model: tensor to file.
    pub fn map(&self, key: &str) -> Option<Vec<(&str, &str)>> {
        self.value(key)?.as_object()?.iter().map(|(k, v)| Some((k.as_str(), v.as_str()?))).collect()
    }
}

/// What the JSON files of a folder say; all may be missing.
#[derive(Debug, Clone, Default)]
pub struct Configs {
    pub index: Option<Json>,
    pub unet: Option<Json>,
    pub vae: Option<Json>,
    pub text: Option<Json>,
    pub text_2: Option<Json>,
    pub scheduler: Option<Json>,
    pub tokenizer: Option<Json>,
}

/// The files of a folder that say what its parts are.
pub const FILES: [&str; 7] = [
    "model_index.json",
    "unet/config.json",
    "vae/config.json",
    "text_encoder/config.json",
    "text_encoder_2/config.json",
    "scheduler/scheduler_config.json",
    "tokenizer/tokenizer_config.json",
];
/// Before the name of each in the head of a file that was made of a folder.
pub const IN_HEAD: &str = "wavedream.";

impl Configs {
    /// What the head of a single file says, if it was made of a folder by `wavedream models convert`.
    pub fn of_head(head: &HashMap<String, String>) -> Option<Self> {
        let read = |name: &str| serde_json::from_str(head.get(&format!("{IN_HEAD}{name}"))?).ok().map(Json);
        let [index, unet, vae, text, text_2, scheduler, tokenizer] = FILES.map(read);
        unet.is_some().then_some(Self { index, unet, vae, text, text_2, scheduler, tokenizer })
    }

    pub fn of(folder: &Path) -> Result<Self, Refusal> {
        let read = |name: &str| Json::read(&folder.join(name));
        Ok(Self {
            index: read("model_index.json")?,
            unet: read("unet/config.json")?,
            vae: read("vae/config.json")?,
            text: read("text_encoder/config.json")?,
            text_2: read("text_encoder_2/config.json")?,
            scheduler: read("scheduler/scheduler_config.json")?,
            tokenizer: read("tokenizer/tokenizer_config.json")?,
        })
    }
}

/// Settings that no Stable Diffusion 1, 2 or XL has.
const UNKNOWN: [&str; 6] = [
    "class_embed_type",
    "encoder_hid_dim_type",
    "time_embedding_act_fn",
    "timestep_post_act",
    "cross_attention_norm",
    "num_class_embeds",
];

/// A U-Net as its configuration says; the error is the end of a sentence that begins with the file's name.
pub fn unet(json: &Json) -> Result<UnetConfig, String> {
    let lacks = |what: &str| format!("has no {what} in its configuration of the U-Net");
    let channels =
        json.sizes("block_out_channels").filter(|c| !c.is_empty()).ok_or_else(|| lacks("block_out_channels"))?;
    let levels = channels.len();
    if let Some(key) = UNKNOWN.iter().find(|key| json.value(key).is_some()) {
        return Err(format!("is a U-Net with {key}, which is no Stable Diffusion 1, 2 or XL"));
    }
    let added_type = json.text("addition_embed_type");
    if added_type.is_some_and(|t| t != "text_time") {
        return Err(format!(
            "adds {} to its timesteps, which is no Stable Diffusion 1, 2 or XL",
            added_type.unwrap_or("")
        ));
    }
    let attends = json.texts("down_block_types").ok_or_else(|| lacks("down_block_types"))?;
    if attends.len() != levels || attends.iter().any(|t| !matches!(*t, "CrossAttnDownBlock2D" | "DownBlock2D")) {
        return Err(format!("has the blocks {}; CrossAttnDownBlock2D and DownBlock2D are known", attends.join(", ")));
    }
    let depths = json.each("transformer_layers_per_block", levels).unwrap_or_else(|| vec![1; levels]);
    let depth = attends.iter().zip(&depths).map(|(t, d)| if *t == "DownBlock2D" { 0 } else { *d }).collect();
    // diffusers calls the number of heads attention_head_dim, and kept that for the sake of old files.
    let heads = json.each("num_attention_heads", levels).or_else(|| json.each("attention_head_dim", levels));
    let added = added_type.map(|_| Added {
        time_width: json.size("addition_time_embed_dim").unwrap_or(256),
        inputs: json.size("projection_class_embeddings_input_dim").unwrap_or(2816),
    });
    let config = UnetConfig {
        inputs: json.size("in_channels").unwrap_or(4),
        outputs: json.size("out_channels").unwrap_or(4),
        layers: json.size("layers_per_block").unwrap_or(2),
        depth,
        mid_depth: depths.last().copied().unwrap_or(1),
        cross: json.size("cross_attention_dim").ok_or_else(|| lacks("cross_attention_dim"))?,
        heads: heads.unwrap_or_else(|| vec![8; levels]),
        groups: json.size("norm_num_groups").unwrap_or(32),
        added,
        guidance_width: json.size("time_cond_proj_dim"),
        channels,
    };
    config.check()?;
    Ok(config)
}

pub fn vae(json: &Json, scaling: f32) -> Result<VaeConfig, String> {
    let channels = json.sizes("block_out_channels").filter(|c| !c.is_empty());
    let config = VaeConfig {
        channels: channels.ok_or("has no block_out_channels in its configuration of the decoder")?,
        layers: json.size("layers_per_block").unwrap_or(2),
        groups: json.size("norm_num_groups").unwrap_or(32),
        scaling: json.number("scaling_factor").map_or(scaling, |s| s as f32),
        shift: json.number("shift_factor").map_or(0.0, |s| s as f32),
        quant: json.is("use_post_quant_conv").unwrap_or(true),
    };
    config.check()?;
    Ok(config)
}

pub fn clip(json: &Json) -> Result<ClipConfig, String> {
    let size = |key: &str| json.size(key).ok_or_else(|| format!("has no {key} in its configuration of the text model"));
    let activation = match json.text("hidden_act") {
        Some("quick_gelu") | None => Activation::QuickGelu,
        Some("gelu") => Activation::Gelu,
        Some(other) => return Err(format!("has a text model with {other}; gelu and quick_gelu are known")),
    };
    let config = ClipConfig {
        width: size("hidden_size")?,
        inner: size("intermediate_size")?,
        layers: size("num_hidden_layers")?,
        heads: size("num_attention_heads")?,
        activation,
        words: json.size("vocab_size").unwrap_or(49_408),
        projection: None,
    };
    config.check()?;
    Ok(config)
}
