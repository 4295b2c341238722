//! What a U-Net will take in memory, told from the shapes in its files before it is loaded.

use super::blocks::COARSE;
use crate::diffusion::sd::files::Tensors;

/// Of its packed weights in float32: those that Winograd's transform makes four times as many are counted so.
pub fn packed_bytes(tensors: &Tensors) -> usize {
    let levels = 1 + tensors.names().filter_map(|name| level_of(name, "up_blocks.")).max().unwrap_or(0);
    let is_coarse = |name: &str| {
        name.starts_with("mid_block.") && levels > COARSE
            || level_of(name, "down_blocks.").is_some_and(|level| level >= COARSE)
            || level_of(name, "up_blocks.").is_some_and(|block| levels - 1 - block >= COARSE)
    };
    let numbers = |name: &str| {
        let shape = tensors.shape(name).unwrap_or_default();
        let count: usize = shape.iter().product();
        let transformed = matches!(shape[..], [outputs, inputs, 3, 3]
            if outputs >= 32 && outputs % 16 == 0 && inputs % 16 == 0 && !is_coarse(name) && !name.contains("downsamplers"));
        if transformed { 4 * count } else { count }
    };
    size_of::<f32>() * tensors.names().map(numbers).sum::<usize>()
}

/// The number behind a prefix.
fn level_of(name: &str, prefix: &str) -> Option<usize> {
    name.strip_prefix(prefix)?.split('.').next()?.parse().ok()
}
