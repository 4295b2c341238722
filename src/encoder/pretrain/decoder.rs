//! The encoder with what only training needs: class token, mask token and decoder.

use candle_core::{D, Device, Result, Tensor};

use super::batch::Batch;
use crate::encoder::{
    Net, Shape,
    layers::{Block, Linear, Named, Norm},
    position,
    shape::block_tensors,
};

/// An encoder that is being trained.
pub struct Masked {
    net: Net,
    class: Tensor,
    mask: Tensor,
    embed: Linear,
    positions: Tensor,
    blocks: Vec<Block>,
    norm: Norm,
    predict: Linear,
}

/// Width, depth and heads of the decoder: of the published encoder 512, 8, 16 (code of arXiv 2306.16934), of others in
/// the same proportion.
fn decoder_sizes(shape: &Shape) -> (usize, usize, usize) {
    let width = (shape.width / 2).next_multiple_of(2 * shape.heads);
    (width, (shape.depth / 3).max(2), shape.heads)
}

impl Masked {
    /// All that is trained, by name and sizes.
    pub fn tensors(shape: &Shape) -> Vec<(String, Vec<usize>)> {
        let (width, depth, _) = decoder_sizes(shape);
        let mut all = shape.tensors();
        all.push(("cls_token".to_owned(), vec![1, 1, shape.width]));
        all.push(("mask_token".to_owned(), vec![1, 1, width]));
        for (name, outputs, inputs) in
            [("decoder_embed", width, shape.width), ("decoder_pred", shape.patch_values(), width)]
        {
            all.push((format!("{name}.weight"), vec![outputs, inputs]));
            all.push((format!("{name}.bias"), vec![outputs]));
        }
        for part in ["weight", "bias"] {
            all.push((format!("decoder_norm.{part}"), vec![width]));
        }
        for block in 0..depth {
            all.extend(block_tensors(&format!("decoder_blocks.{block}"), width, width));
        }
        all
    }

    pub fn new(shape: &Shape, from: &impl Named, device: &Device) -> Result<Self> {
        let (width, depth, heads) = decoder_sizes(shape);
        let rows = (1 + shape.tokens(), width);
        Ok(Self {
            net: Net::new(shape, from, device)?,
            class: from.tensor("cls_token")?,
            mask: from.tensor("mask_token")?,
            embed: Linear::new(from, "decoder_embed")?,
            positions: Tensor::from_vec(position::sin_cos(shape.tokens(), width), rows, device)?,
            blocks: (0..depth)
                .map(|n| Block::new(from, &format!("decoder_blocks.{n}"), heads))
                .collect::<Result<_>>()?,
            norm: Norm::new(from, "decoder_norm")?,
            predict: Linear::new(from, "decoder_pred")?,
        })
    }

    /// What it takes the hidden patches for: (b, hidden, patch values).
    pub fn guess(&self, batch: &Batch, device: &Device) -> Result<Tensor> {
        let shape = &self.net.shape;
        let (count, hidden) = (batch.order.len(), shape.tokens() - batch.seen);
        let (seen_rows, hidden_rows) = (batch.rows(false, device)?, batch.rows(true, device)?);
        let positions = self.net.positions_of(&seen_rows)?.reshape((count, batch.seen, ()))?;
        let x = self.net.embed(&batch.visible(shape, device)?, &positions)?;
        let class = self.class.broadcast_as((count, 1, shape.width))?.contiguous()?;
        let x = self.net.run(&Tensor::cat(&[&class, &x], 1)?)?;

        let x = self.embed.forward(&x)?;
        let width = x.dim(D::Minus1)?;
        let of = |rows: &Tensor, n: usize| self.positions.index_select(rows, 0)?.reshape((count, n, width));
        let class_place = Tensor::zeros((count, 1, width), x.dtype(), device)?;
        let x = (x + Tensor::cat(&[&class_place, &of(&seen_rows, batch.seen)?], 1)?)?;
        let asked = of(&hidden_rows, hidden)?.broadcast_add(&self.mask)?;
        let x = Tensor::cat(&[&x, &asked], 1)?;
        let x = self.blocks.iter().try_fold(x, |x, block| block.forward(&x))?;
        let asked = x.narrow(1, 1 + batch.seen, hidden)?.contiguous()?;
        self.predict.forward(&self.norm.forward(&asked)?)
    }

    /// Mean squared error on the hidden patches.
    pub fn loss(&self, batch: &Batch, device: &Device) -> Result<Tensor> {
        (self.guess(batch, device)? - batch.hidden(&self.net.shape, device)?)?.sqr()?.mean_all()
    }
}
