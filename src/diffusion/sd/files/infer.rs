//! What a model is, told by the shapes of its tensors: for single files, which carry no configuration.
//!
//! Shapes tell widths, levels and depths; they do not tell attention heads and groups of the norms. Every published
//! Stable Diffusion has 320 channels at its first level and the same answers: 8 heads (1.x) or heads of 64 channels (2.x,
//! XL), 32 groups. A narrower model is one made for tests, and then the answers are those of wavedream's own and of the
//! other small models in use: 4 heads (1.x) or heads of half the first level's channels, 16 groups in the U-Net and 8
//! in the decoder, text heads of 16 channels. A configuration beside the file overrules all this.

use super::Tensors;
use crate::diffusion::sd::{
    config::Family,
    text::{Activation, ClipConfig},
    unet::{Added, UnetConfig},
    vae::VaeConfig,
};

/// Channels at the first level of every published U-Net, and of every published decoder.
const UNET_BASE: usize = 320;
const VAE_BASE: usize = 128;

fn count(tensors: &Tensors, name: impl Fn(usize) -> String) -> usize {
    (0..).take_while(|i| tensors.has(&name(*i))).count()
}

pub fn unet(t: &Tensors, family: Family) -> Result<UnetConfig, String> {
    let levels = count(t, |i| format!("down_blocks.{i}.resnets.0.conv1.weight"));
    let layers = count(t, |j| format!("down_blocks.0.resnets.{j}.conv1.weight"));
    let base = t.size("conv_in.weight", 0);
    if levels == 0 || base == 0 {
        return Err("lacks the first layers of its U-Net; download it again".to_owned());
    }
    let channels: Vec<usize> =
        (0..levels).map(|i| t.size(&format!("down_blocks.{i}.resnets.0.conv1.weight"), 0)).collect();
    let depth_of = |at: &str| count(t, |k| format!("{at}.transformer_blocks.{k}.norm1.weight"));
    let depth: Vec<usize> = (0..levels).map(|i| depth_of(&format!("down_blocks.{i}.attentions.0"))).collect();
    let cross = t.size("mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight", 1);
    let heads = match (family, base == UNET_BASE) {
        (Family::Sd1, true) => vec![8; levels],
        (Family::Sd1, false) => vec![4; levels],
        (_, true) => channels.iter().map(|c| c / 64).collect(),
        (_, false) => channels.iter().map(|c| (2 * c / base).max(1)).collect(),
    };
    let added = t
        .has("add_embedding.linear_1.weight")
        .then(|| Added { time_width: 0, inputs: t.size("add_embedding.linear_1.weight", 1) });
    let config = UnetConfig {
        inputs: t.size("conv_in.weight", 1),
        outputs: t.size("conv_out.weight", 0),
        layers,
        depth,
        mid_depth: depth_of("mid_block.attentions.0"),
        cross,
        heads,
        groups: if base == UNET_BASE { 32 } else { 16 },
        added,
        guidance_width: t.has("time_embedding.cond_proj.weight").then(|| t.size("time_embedding.cond_proj.weight", 1)),
        channels,
    };
    config.check()?;
    Ok(config)
}

pub fn vae(t: &Tensors, scaling: f32) -> Result<VaeConfig, String> {
    let levels = count(t, |i| format!("decoder.up_blocks.{i}.resnets.0.conv1.weight"));
    let mut channels: Vec<usize> =
        (0..levels).map(|i| t.size(&format!("decoder.up_blocks.{i}.resnets.0.conv1.weight"), 0)).collect();
    channels.reverse();
    let layers = count(t, |j| format!("decoder.up_blocks.0.resnets.{j}.conv1.weight")).saturating_sub(1);
    let groups = if channels.first() == Some(&VAE_BASE) { 32 } else { 8 };
    let config = VaeConfig { channels, layers, groups, scaling, shift: 0.0, quant: t.has("post_quant_conv.weight") };
    config.check()?;
    Ok(config)
}

pub fn clip(t: &Tensors, activation: Activation) -> Result<ClipConfig, String> {
    let width = t.size("embeddings.token_embedding.weight", 1);
    let heads = if width >= 512 { width / 64 } else { (width / 16).max(2) };
    let config = ClipConfig {
        width,
        inner: t.size("encoder.layers.0.mlp.fc1.weight", 0),
        layers: count(t, |i| format!("encoder.layers.{i}.layer_norm1.weight")),
        heads,
        activation,
        words: t.size("embeddings.token_embedding.weight", 0),
        projection: None,
    };
    config.check()?;
    Ok(config)
}
