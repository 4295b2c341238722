//! The encoder: from a window of channels to tokens. Without a class token, as it is used; with one, as it is trained.

use candle_core::{Device, Result, Tensor};

use super::{
    Shape,
    layers::{Block, Linear, Named, Norm},
    position,
};

/// An encoder on its tensors. Runs on whichever thread asks; candle multiplies on all cores.
#[derive(Debug, Clone)]
pub struct Net {
    pub shape: Shape,
    embed: Linear,
    /// (1 + tokens, width)
    positions: Tensor,
    blocks: Vec<Block>,
    norm: Norm,
}

impl Net {
    /// Tensors by the names of [`Shape::tensors`]; positions are the file's where it has any.
    pub fn new(shape: &Shape, from: &impl Named, device: &Device) -> Result<Self> {
        let rows = (1 + shape.tokens(), shape.width);
        let positions = match from.tensor("pos_embed") {
            Ok(positions) => positions.reshape(rows)?,
            Err(_) => Tensor::from_vec(position::sin_cos(shape.tokens(), shape.width), rows, device)?,
        };
        Ok(Self {
            embed: Linear::new(from, "patch_embed.proj")?,
            positions,
            blocks: (0..shape.depth)
                .map(|n| Block::new(from, &format!("blocks.{n}"), shape.heads))
                .collect::<Result<_>>()?,
            norm: Norm::new(from, "norm")?,
            shape: shape.clone(),
        })
    }

    /// Rows of the positions that these tokens have; 0 is the class slot.
    pub fn positions_of(&self, rows: &Tensor) -> Result<Tensor> {
        self.positions.index_select(rows, 0)
    }

    /// (b, n, channels * patch), the samples of a patch channel by channel, with the positions of these patches
    /// (b, n, width) -> (b, n, width), before the blocks.
    pub fn embed(&self, patches: &Tensor, positions: &Tensor) -> Result<Tensor> {
        self.embed.forward(patches)?.broadcast_add(positions)
    }

    /// The blocks and the last norm.
    pub fn run(&self, x: &Tensor) -> Result<Tensor> {
        self.finish(&self.run_first(x, self.blocks.len())?, self.blocks.len())
    }

    /// Blocks before block `until`.
    pub fn run_first(&self, x: &Tensor, until: usize) -> Result<Tensor> {
        self.blocks[..until].iter().try_fold(x.clone(), |x, block| block.forward(&x))
    }

    /// Blocks from `from` on, and the last norm.
    pub fn finish(&self, x: &Tensor, from: usize) -> Result<Tensor> {
        let x = self.blocks[from..].iter().try_fold(x.clone(), |x, block| block.forward(&x))?;
        self.norm.forward(&x)
    }

    /// Windows, (b, channels * window) channel by channel, before the blocks: (b, tokens, width).
    pub fn embed_windows(&self, windows: &[f32], device: &Device) -> Result<Tensor> {
        let Shape { channels, patch, .. } = self.shape;
        let tokens = self.shape.tokens();
        let batch = windows.len() / (channels * self.shape.window).max(1);
        let x = Tensor::from_slice(windows, (batch, channels, tokens, patch), device)?;
        let patches = x.transpose(1, 2)?.contiguous()?.flatten_from(2)?;
        self.embed(&patches, &self.positions.narrow(0, 1, tokens)?)
    }

    /// One window, (channels, window) channel by channel -> (tokens, width).
    ///
    /// # Errors
    /// Another number of samples.
    pub fn tokens(&self, window: &[f32], device: &Device) -> Result<Tensor> {
        self.run(&self.embed_windows(window, device)?)?.squeeze(0)
    }
}
