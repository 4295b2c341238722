//! What a U-Net will take in memory, told from the shapes in its files before it is loaded.

use crate::{
    diffusion::sd::{files::Tensors, layers::MapSize},
    kernels::Tiles,
};

/// Of its packed weights in float32: those that Winograd's transform makes more of are counted so.
pub fn packed_bytes(tensors: &Tensors) -> usize {
    let levels = 1 + tensors.names().filter_map(|name| level_of(name, "up_blocks.")).max().unwrap_or(0);
    let level = |name: &str| {
        let up = || Some(levels.saturating_sub(1 + level_of(name, "up_blocks.")?));
        level_of(name, "down_blocks.").or_else(up).unwrap_or(if name.starts_with("mid_block.") {
            levels - 1
        } else {
            0
        })
    };
    let numbers = |name: &str| {
        let shape = tensors.shape(name).unwrap_or_default();
        let count: usize = shape.iter().product();
        let transformed = matches!(shape[..], [outputs, inputs, 3, 3]
            if outputs >= 32 && outputs % 16 == 0 && inputs % 16 == 0 && !name.contains("downsamplers"));
        let size = MapSize::of_level(level(name), levels);
        // The map of an up-sampler is as large as that of the next level.
        let grows = name.contains("upsamplers") && size == MapSize::Small;
        let tiles = if grows { Tiles::Four } else { size.tiles() };
        match tiles {
            _ if !transformed => count,
            Tiles::Two => count * 16 / 9,
            Tiles::Four => 4 * count,
        }
    };
    size_of::<f32>() * tensors.names().map(numbers).sum::<usize>()
}

/// The number behind a prefix.
fn level_of(name: &str, prefix: &str) -> Option<usize> {
    name.strip_prefix(prefix)?.split('.').next()?.parse().ok()
}
