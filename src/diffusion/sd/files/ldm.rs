//! The names of CompVis' original code (LDM), which single files have, as diffusers' names.

use super::tensors::Take;

/// What the U-Net's numbering depends on: read from the names themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbering {
    /// Resnets a level.
    pub layers: usize,
    pub levels: usize,
}

impl Numbering {
    /// From the U-Net's names without their prefix: the first `.0.op` is the end of the first level.
    pub fn of<'a>(names: impl Iterator<Item = &'a str>) -> Option<Self> {
        let (mut last, mut first_down) = (None, None);
        for name in names {
            let Some((number, rest)) = name.strip_prefix("input_blocks.").and_then(|n| n.split_once('.')) else {
                continue;
            };
            let number: usize = number.parse().ok()?;
            last = last.max(Some(number));
            if rest.starts_with("0.op.") {
                first_down = Some(first_down.map_or(number, |n: usize| n.min(number)));
            }
        }
        let last: usize = last?;
        let layers = first_down.map_or(last, |n| n - 1).max(1);
        Some(Self { layers, levels: (last + 1) / (layers + 1) })
    }
}

/// A U-Net's name without `model.diffusion_model.`.
pub fn unet(name: &str, n: Numbering) -> Option<String> {
    let fixed = [
        ("time_embed.0.", "time_embedding.linear_1."),
        ("time_embed.2.", "time_embedding.linear_2."),
        ("time_embed.cond_proj.", "time_embedding.cond_proj."),
        ("label_emb.0.0.", "add_embedding.linear_1."),
        ("label_emb.0.2.", "add_embedding.linear_2."),
        ("input_blocks.0.0.", "conv_in."),
        ("out.0.", "conv_norm_out."),
        ("out.2.", "conv_out."),
        ("middle_block.1.", "mid_block.attentions.0."),
        // DreamDiffusion's branch, which diffusers does not have.
        ("time_embed_condtion.", "time_embed_condtion."),
    ];
    if let Some((old, new)) = fixed.iter().find(|(old, _)| name.starts_with(old)) {
        return Some(format!("{new}{}", &name[old.len()..]));
    }
    if let Some(rest) = name.strip_prefix("middle_block.0.") {
        return Some(format!("mid_block.resnets.0.{}", resnet(rest)?));
    }
    if let Some(rest) = name.strip_prefix("middle_block.2.") {
        return Some(format!("mid_block.resnets.1.{}", resnet(rest)?));
    }
    let (side, rest) = name.split_once('.')?;
    let (number, rest) = rest.split_once('.')?;
    let (part, rest) = rest.split_once('.')?;
    let number: usize = number.parse().ok()?;
    match side {
        "input_blocks" => {
            let (level, layer) = (number.checked_sub(1)? / (n.layers + 1), (number - 1) % (n.layers + 1));
            match part {
                "0" if layer == n.layers => {
                    Some(format!("down_blocks.{level}.downsamplers.0.conv.{}", rest.strip_prefix("op.")?))
                }
                "0" => Some(format!("down_blocks.{level}.resnets.{layer}.{}", resnet(rest)?)),
                "1" => Some(format!("down_blocks.{level}.attentions.{layer}.{rest}")),
                _ => None,
            }
        }
        "output_blocks" => {
            let (level, layer) = (number / (n.layers + 1), number % (n.layers + 1));
            match part {
                "0" => Some(format!("up_blocks.{level}.resnets.{layer}.{}", resnet(rest)?)),
                "1" | "2" if rest.starts_with("conv.") => Some(format!("up_blocks.{level}.upsamplers.0.{rest}")),
                "1" => Some(format!("up_blocks.{level}.attentions.{layer}.{rest}")),
                _ => None,
            }
        }
        _ => None,
    }
}

fn resnet(name: &str) -> Option<String> {
    let parts = [
        ("in_layers.0.", "norm1."),
        ("in_layers.2.", "conv1."),
        ("emb_layers.1.", "time_emb_proj."),
        ("out_layers.0.", "norm2."),
        ("out_layers.3.", "conv2."),
        ("skip_connection.", "conv_shortcut."),
    ];
    parts.iter().find_map(|(old, new)| Some(format!("{new}{}", name.strip_prefix(old)?)))
}

/// The other way, for a layer of the U-Net (a name without `.weight`): LoRAs of SDXL are named by the original code.
pub fn unet_layer_back(layer: &str, n: Numbering) -> Option<String> {
    let fixed = [
        ("time_embedding.linear_1", "time_embed.0"),
        ("time_embedding.linear_2", "time_embed.2"),
        ("add_embedding.linear_1", "label_emb.0.0"),
        ("add_embedding.linear_2", "label_emb.0.2"),
        ("conv_in", "input_blocks.0.0"),
        ("conv_norm_out", "out.0"),
        ("conv_out", "out.2"),
        ("time_embedding.cond_proj", "time_embed.cond_proj"),
    ];
    if let Some((_, old)) = fixed.iter().find(|(new, _)| layer == *new) {
        return Some((*old).to_owned());
    }
    if let Some(rest) = layer.strip_prefix("mid_block.attentions.0.") {
        return Some(format!("middle_block.1.{rest}"));
    }
    if let Some((number, rest)) = layer.strip_prefix("mid_block.resnets.").and_then(|l| l.split_once('.')) {
        return Some(format!("middle_block.{}.{}", 2 * number.parse::<usize>().ok()?, resnet_back(rest)?));
    }
    let mut parts = layer.splitn(5, '.');
    let (side, level, kind, number) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let rest = parts.next()?;
    let (level, number): (usize, usize) = (level.parse().ok()?, number.parse().ok()?);
    let at = level * (n.layers + 1) + number;
    let (blocks, at) = if side == "down_blocks" { ("input_blocks", at + 1) } else { ("output_blocks", at) };
    match kind {
        "resnets" => Some(format!("{blocks}.{at}.0.{}", resnet_back(rest)?)),
        "attentions" => Some(format!("{blocks}.{at}.1.{rest}")),
        "downsamplers" => Some(format!("{blocks}.{}.0.op", (level + 1) * (n.layers + 1))),
        // Without attention at the level it is part 1, but LoRAs of such layers are of models that have it.
        "upsamplers" => Some(format!("{blocks}.{}.2.conv", level * (n.layers + 1) + n.layers)),
        _ => None,
    }
}

fn resnet_back(layer: &str) -> Option<&'static str> {
    let parts = [
        ("norm1", "in_layers.0"),
        ("norm2", "out_layers.0"),
        ("conv1", "in_layers.2"),
        ("time_emb_proj", "emb_layers.1"),
        ("conv2", "out_layers.3"),
        ("conv_shortcut", "skip_connection"),
    ];
    parts.iter().find(|(new, _)| *new == layer).map(|(_, old)| *old)
}

/// Levels of the decoder: one more than the largest number of `decoder.up.N.`.
pub fn vae_levels<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    let number = |n: &str| n.strip_prefix("decoder.up.")?.split('.').next()?.parse::<usize>().ok();
    names.filter_map(number).max().map_or(0, |n| n + 1)
}

/// A decoder's or encoder's name without `first_stage_model.`.
pub fn vae(name: &str, levels: usize) -> String {
    let mut name = name.to_owned();
    for (old, new) in [("encoder.down.", "encoder.down_blocks."), ("decoder.up.", "decoder.up_blocks.")] {
        let Some((number, rest)) = name.strip_prefix(old).and_then(|n| n.split_once('.')) else { continue };
        let Ok(number) = number.parse::<usize>() else { continue };
        let number = if old == "decoder.up." { levels.saturating_sub(number + 1) } else { number };
        name = format!("{new}{number}.{rest}");
    }
    for (old, new) in [
        (".block.", ".resnets."),
        (".downsample.", ".downsamplers.0."),
        (".upsample.", ".upsamplers.0."),
        ("mid.block_1.", "mid_block.resnets.0."),
        ("mid.block_2.", "mid_block.resnets.1."),
        ("nin_shortcut.", "conv_shortcut."),
        ("mid.attn_1.norm.", "mid_block.attentions.0.group_norm."),
        ("mid.attn_1.q.", "mid_block.attentions.0.to_q."),
        ("mid.attn_1.k.", "mid_block.attentions.0.to_k."),
        ("mid.attn_1.v.", "mid_block.attentions.0.to_v."),
        ("mid.attn_1.proj_out.", "mid_block.attentions.0.to_out.0."),
        ("coder.norm_out.", "coder.conv_norm_out."),
    ] {
        name = name.replace(old, new);
    }
    vae_of_today(&name)
}

/// diffusers itself has renamed the attention of the decoder once.
pub fn vae_of_today(name: &str) -> String {
    let renamed = [(".query.", ".to_q."), (".key.", ".to_k."), (".value.", ".to_v."), (".proj_attn.", ".to_out.0.")];
    renamed.iter().fold(name.to_owned(), |name, (old, new)| name.replace(old, new))
}

/// OpenCLIP's name of a text model as Hugging Face's without `text_model.`: queries, keys and values are together there.
pub fn open_clip(name: &str) -> Vec<(String, Take)> {
    let one = |new: String| vec![(new, Take::Whole)];
    match name {
        "token_embedding.weight" => return one("embeddings.token_embedding.weight".to_owned()),
        "positional_embedding" => return one("embeddings.position_embedding.weight".to_owned()),
        "text_projection" => return vec![("text_projection.weight".to_owned(), Take::Transposed)],
        _ => {}
    }
    if let Some(rest) = name.strip_prefix("ln_final.") {
        return one(format!("final_layer_norm.{rest}"));
    }
    let Some((number, rest)) = name.strip_prefix("transformer.resblocks.").and_then(|n| n.split_once('.')) else {
        return Vec::new();
    };
    let layer = format!("encoder.layers.{number}");
    if let Some(what) = rest.strip_prefix("attn.in_proj_") {
        let part = |(i, p): (usize, &str)| (format!("{layer}.self_attn.{p}_proj.{what}"), Take::Third(i));
        return ["q", "k", "v"].into_iter().enumerate().map(part).collect();
    }
    let parts = [
        ("attn.out_proj.", "self_attn.out_proj."),
        ("ln_1.", "layer_norm1."),
        ("ln_2.", "layer_norm2."),
        ("mlp.c_fc.", "mlp.fc1."),
        ("mlp.c_proj.", "mlp.fc2."),
    ];
    let found = parts.iter().find_map(|(old, new)| Some(format!("{layer}.{new}{}", rest.strip_prefix(old)?)));
    found.map(one).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbering_is_read_from_the_names() {
        let names = [
            "input_blocks.0.0.weight",
            "input_blocks.3.0.op.weight",
            "input_blocks.6.0.op.weight",
            "input_blocks.11.0.x",
        ];
        assert_eq!(Numbering::of(names.into_iter()), Some(Numbering { layers: 2, levels: 4 }));
        assert_eq!(Numbering::of(["out.0.weight"].into_iter()), None);
    }

    #[test]
    fn names_of_stable_diffusion_one_are_those_of_diffusers() {
        let n = Numbering { layers: 2, levels: 4 };
        for (old, new) in [
            ("input_blocks.4.0.skip_connection.weight", "down_blocks.1.resnets.0.conv_shortcut.weight"),
            (
                "input_blocks.8.1.transformer_blocks.0.attn2.to_k.weight",
                "down_blocks.2.attentions.1.transformer_blocks.0.attn2.to_k.weight",
            ),
            ("input_blocks.9.0.op.bias", "down_blocks.2.downsamplers.0.conv.bias"),
            ("output_blocks.2.1.conv.weight", "up_blocks.0.upsamplers.0.conv.weight"),
            ("output_blocks.5.2.conv.weight", "up_blocks.1.upsamplers.0.conv.weight"),
            ("output_blocks.11.1.proj_out.bias", "up_blocks.3.attentions.2.proj_out.bias"),
            ("middle_block.2.emb_layers.1.weight", "mid_block.resnets.1.time_emb_proj.weight"),
        ] {
            assert_eq!(unet(old, n).as_deref(), Some(new));
            let (layer, _) = new.rsplit_once('.').unwrap();
            let back = unet_layer_back(layer, n).unwrap();
            // Which part of its block an upsampler is depends on the level.
            assert_eq!(
                back.replace(".2.conv", ".1.conv"),
                old.rsplit_once('.').unwrap().0.replace(".2.conv", ".1.conv")
            );
        }
        assert_eq!(unet("input_blocks.1.3.weight", n), None);
        assert_eq!(
            vae("decoder.up.3.block.0.nin_shortcut.weight", 4),
            "decoder.up_blocks.0.resnets.0.conv_shortcut.weight"
        );
        assert_eq!(vae("encoder.mid.attn_1.proj_out.bias", 4), "encoder.mid_block.attentions.0.to_out.0.bias");
        assert_eq!(vae("decoder.norm_out.bias", 4), "decoder.conv_norm_out.bias");
    }
}
