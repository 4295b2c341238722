//! Attention over the pixels of a level and over the words of the prompt.

use candle_core::{Result, Tensor};

use super::Prepared;
use crate::diffusion::sd::layers::{At, GroupNorm, LayerNorm, Linear, attention, gelu_gate, join_heads, split_heads};

/// Group norm, a projection, blocks, a projection, and the input added.
pub struct Transformer {
    norm: GroupNorm,
    project_in: Linear,
    blocks: Vec<Block>,
    project_out: Linear,
}

impl Transformer {
    /// `slots` counts the cross-attentions of the U-Net, each of which finds its keys at its number.
    pub fn new(
        at: &At,
        channels: usize,
        heads: usize,
        depth: usize,
        cross: usize,
        groups: usize,
        slots: &mut usize,
    ) -> Self {
        let blocks =
            (0..depth).map(|i| Block::new(&at.at(format!("transformer_blocks.{i}")), channels, heads, cross, slots));
        Self {
            norm: GroupNorm::new(&at.at("norm"), channels, groups, 1e-6),
            // A matrix in SD 2 and XL, a 1x1 convolution in SD 1: the same product.
            project_in: Linear::new(&at.at("proj_in"), channels, channels),
            blocks: blocks.collect(),
            project_out: Linear::new(&at.at("proj_out"), channels, channels),
        }
    }

    pub fn prepare(&self, text: &Tensor, words: &mut Vec<(Tensor, Tensor)>) -> Result<()> {
        for block in &self.blocks {
            let (keys, values) = (block.keys_2.forward(text)?, block.values_2.forward(text)?);
            words.push((split_heads(&keys, block.heads)?, split_heads(&values, block.heads)?));
        }
        Ok(())
    }

    pub fn forward(&self, x: &Tensor, with: &Prepared) -> Result<Tensor> {
        let (b, c, h, w) = x.dims4()?;
        let tokens = self.norm.forward(x)?.reshape((b, c, h * w))?.transpose(1, 2)?.contiguous()?;
        let mut tokens = self.project_in.forward(&tokens)?;
        for block in &self.blocks {
            tokens = block.forward(tokens, with)?;
        }
        let y = self.project_out.forward(&tokens)?.transpose(1, 2)?.reshape((b, c, h, w))?;
        y + x
    }
}

struct Block {
    heads: usize,
    slot: usize,
    norms: [LayerNorm; 3],
    queries: Linear,
    keys: Linear,
    values: Linear,
    out: Linear,
    queries_2: Linear,
    keys_2: Linear,
    values_2: Linear,
    out_2: Linear,
    widen: Linear,
    narrow: Linear,
}

impl Block {
    fn new(at: &At, c: usize, heads: usize, cross: usize, slots: &mut usize) -> Self {
        let slot = *slots;
        *slots += 1;
        let plain = |name: &str, inputs: usize| Linear::without_bias(&at.at(name), inputs, c);
        Self {
            heads,
            slot,
            norms: ["norm1", "norm2", "norm3"].map(|n| LayerNorm::new(&at.at(n), c)),
            queries: plain("attn1.to_q", c),
            keys: plain("attn1.to_k", c),
            values: plain("attn1.to_v", c),
            out: Linear::new(&at.at("attn1.to_out.0"), c, c),
            queries_2: plain("attn2.to_q", c),
            keys_2: plain("attn2.to_k", cross),
            values_2: plain("attn2.to_v", cross),
            out_2: Linear::new(&at.at("attn2.to_out.0"), c, c),
            widen: Linear::new(&at.at("ff.net.0.proj"), c, 8 * c),
            narrow: Linear::new(&at.at("ff.net.2"), 4 * c, c),
        }
    }

    fn forward(&self, x: Tensor, with: &Prepared) -> Result<Tensor> {
        let y = self.norms[0].forward(&x)?;
        let heads = |t: Tensor| split_heads(&t, self.heads);
        let (q, k, v) =
            (heads(self.queries.forward(&y)?)?, heads(self.keys.forward(&y)?)?, heads(self.values.forward(&y)?)?);
        let x = (self.out.forward(&join_heads(&attention(&q, &k, &v, None)?)?)? + x)?;

        let q = heads(self.queries_2.forward(&self.norms[1].forward(&x)?)?)?;
        let (k, v) = &with.words[self.slot];
        let x = (self.out_2.forward(&join_heads(&attention(&q, k, v, None)?)?)? + x)?;

        let y = gelu_gate(&self.widen.forward(&self.norms[2].forward(&x)?)?)?;
        self.narrow.forward(&y)? + x
    }
}

/// Multiplications of a transformer over `area` pixels, keys and values of the text not counted.
pub fn macs(channels: usize, depth: usize, area: u64) -> u64 {
    if depth == 0 {
        return 0;
    }
    let c = channels as u64;
    let block = (4 + 2 + 12) * c * c * area + 2 * c * area * area + 2 * c * 77 * area;
    2 * c * c * area + depth as u64 * block
}
