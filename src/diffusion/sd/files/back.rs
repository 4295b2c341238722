//! The way back: diffusers' names as those of the original code, which single files have.
//!
//! Each answer is the name from which [`super::ldm`] makes the name asked for; the tests hold the two together.

use super::ldm::{Numbering, unet_layer_back};

/// A U-Net's name, without `model.diffusion_model.`. `attends`: whether a level of the way up has attention, which
/// decides where its upsampler stands.
pub fn unet(name: &str, n: Numbering, attends: impl Fn(usize) -> bool) -> Option<String> {
    let (layer, parameter) = name.rsplit_once('.')?;
    let old = unet_layer_back(layer, n)?;
    let level = layer.strip_prefix("up_blocks.").and_then(|l| l.split_once('.')?.0.parse::<usize>().ok());
    let old = match level {
        Some(level) if layer.contains(".upsamplers.") && !attends(level) => old.replace(".2.conv", ".1.conv"),
        _ => old,
    };
    Some(format!("{old}.{parameter}"))
}

/// A decoder's or encoder's name, without `first_stage_model.`.
pub fn vae(name: &str, levels: usize) -> String {
    let mut name = name.to_owned();
    for (new, old) in [("encoder.down_blocks.", "encoder.down."), ("decoder.up_blocks.", "decoder.up.")] {
        let Some((number, rest)) = name.strip_prefix(new).and_then(|n| n.split_once('.')) else { continue };
        let Ok(number) = number.parse::<usize>() else { continue };
        let number = if old == "decoder.up." { levels.saturating_sub(number + 1) } else { number };
        name = format!("{old}{number}.{rest}");
    }
    for (new, old) in [
        ("mid_block.resnets.0.", "mid.block_1."),
        ("mid_block.resnets.1.", "mid.block_2."),
        ("mid_block.attentions.0.group_norm.", "mid.attn_1.norm."),
        ("mid_block.attentions.0.to_q.", "mid.attn_1.q."),
        ("mid_block.attentions.0.to_k.", "mid.attn_1.k."),
        ("mid_block.attentions.0.to_v.", "mid.attn_1.v."),
        ("mid_block.attentions.0.to_out.0.", "mid.attn_1.proj_out."),
        (".resnets.", ".block."),
        (".downsamplers.0.", ".downsample."),
        (".upsamplers.0.", ".upsample."),
        ("conv_shortcut.", "nin_shortcut."),
        ("coder.conv_norm_out.", "coder.norm_out."),
    ] {
        name = name.replace(new, old);
    }
    name
}

/// Where a tensor of a text model goes in OpenCLIP's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    As(String),
    /// A third of a tensor of this name: queries, keys, values.
    Third(String, usize),
    Transposed(String),
}

/// Of a text model's name without `text_model.`; none for what OpenCLIP has not.
pub fn open_clip(name: &str) -> Option<Place> {
    match name {
        "embeddings.token_embedding.weight" => return Some(Place::As("token_embedding.weight".to_owned())),
        "embeddings.position_embedding.weight" => return Some(Place::As("positional_embedding".to_owned())),
        "text_projection.weight" => return Some(Place::Transposed("text_projection".to_owned())),
        _ => {}
    }
    if let Some(rest) = name.strip_prefix("final_layer_norm.") {
        return Some(Place::As(format!("ln_final.{rest}")));
    }
    let (number, rest) = name.strip_prefix("encoder.layers.")?.split_once('.')?;
    let layer = format!("transformer.resblocks.{number}");
    for (third, part) in ["q", "k", "v"].iter().enumerate() {
        if let Some(what) = rest.strip_prefix(&format!("self_attn.{part}_proj.")) {
            return Some(Place::Third(format!("{layer}.attn.in_proj_{what}"), third));
        }
    }
    let parts = [
        ("self_attn.out_proj.", "attn.out_proj."),
        ("layer_norm1.", "ln_1."),
        ("layer_norm2.", "ln_2."),
        ("mlp.fc1.", "mlp.c_fc."),
        ("mlp.fc2.", "mlp.c_proj."),
    ];
    parts.iter().find_map(|(new, old)| Some(Place::As(format!("{layer}.{old}{}", rest.strip_prefix(new)?))))
}

#[cfg(test)]
mod tests {
    use super::{super::ldm, *};

    #[test]
    fn every_name_of_a_unet_comes_back() {
        let n = Numbering { layers: 2, levels: 4 };
        let attends = |level| level > 0;
        for name in [
            "conv_in.weight",
            "conv_norm_out.bias",
            "conv_out.weight",
            "time_embedding.linear_2.bias",
            "time_embedding.cond_proj.weight",
            "add_embedding.linear_1.weight",
            "down_blocks.0.resnets.1.norm2.weight",
            "down_blocks.1.attentions.0.transformer_blocks.0.ff.net.0.proj.weight",
            "down_blocks.2.downsamplers.0.conv.bias",
            "mid_block.resnets.1.conv_shortcut.weight",
            "mid_block.attentions.0.norm.weight",
            "up_blocks.0.upsamplers.0.conv.weight",
            "up_blocks.2.upsamplers.0.conv.weight",
            "up_blocks.3.attentions.2.proj_out.bias",
        ] {
            let old = unet(name, n, attends).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(ldm::unet(&old, n).as_deref(), Some(name), "{old}");
        }
        assert_eq!(
            unet("up_blocks.0.upsamplers.0.conv.bias", n, attends).as_deref(),
            Some("output_blocks.2.1.conv.bias")
        );
        assert_eq!(
            unet("up_blocks.1.upsamplers.0.conv.bias", n, attends).as_deref(),
            Some("output_blocks.5.2.conv.bias")
        );
        assert_eq!(unet("something.else.weight", n, attends), None);
    }

    #[test]
    fn every_name_of_a_decoder_and_of_a_text_model_comes_back() {
        for name in [
            "decoder.up_blocks.0.resnets.2.conv_shortcut.weight",
            "decoder.up_blocks.3.upsamplers.0.conv.bias",
            "encoder.down_blocks.1.downsamplers.0.conv.weight",
            "encoder.mid_block.attentions.0.to_out.0.bias",
            "decoder.mid_block.attentions.0.group_norm.weight",
            "decoder.mid_block.resnets.1.norm1.weight",
            "encoder.conv_norm_out.weight",
            "post_quant_conv.weight",
        ] {
            assert_eq!(ldm::vae(&vae(name, 4), 4), name);
        }
        assert_eq!(vae("decoder.up_blocks.0.resnets.0.conv1.bias", 4), "decoder.up.3.block.0.conv1.bias");
        for name in [
            "embeddings.token_embedding.weight",
            "embeddings.position_embedding.weight",
            "final_layer_norm.bias",
            "encoder.layers.11.self_attn.k_proj.bias",
            "encoder.layers.0.self_attn.out_proj.weight",
            "encoder.layers.3.mlp.fc2.weight",
            "text_projection.weight",
        ] {
            let (Place::As(old) | Place::Third(old, _) | Place::Transposed(old)) = open_clip(name).unwrap();
            assert!(ldm::open_clip(&old).iter().any(|(new, _)| new == name), "{old}");
        }
        assert_eq!(open_clip("embeddings.position_ids"), None);
    }
}
