//! Attention over the pixels of a level and over the words of the prompt.

use std::sync::Arc;

use candle_core::{Result, Tensor};

use super::{Prepared, Words};
use crate::{
    diffusion::sd::layers::{At, Engine, Gated, GroupNorm, LayerNorm, Linear, attend},
    kernels::{Element, Grid, Keys, Map, Parts},
};

/// Group norm, a projection, blocks, a projection, and the input added.
pub struct Transformer {
    norm: GroupNorm,
    project_in: Linear,
    blocks: Vec<Block>,
    project_out: Linear,
    channels: usize,
    engine: Engine,
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
            channels,
            engine: at.engine.clone(),
        }
    }

    /// Makes keys and values of `text`, (rows, words, cross), for each block: for [`Self::run`] or for [`Self::forward`].
    pub fn prepare(&self, text: &Tensor, for_maps: bool, words: &mut Vec<Words>) -> Result<()> {
        for block in &self.blocks {
            if for_maps {
                let rows = (0..text.dim(0)?).map(|row| block.pack_words(&self.engine, &text.get(row)?).map(Arc::new));
                words.push(Words::Packed(rows.collect::<Result<_>>()?));
                continue;
            }
            let (keys, values) = (block.keys_2.forward(text)?, block.values_2.forward(text)?);
            words.push(Words::Tensors(keys, values));
        }
        Ok(())
    }

    pub fn forward(&self, x: &Tensor, with: &Prepared) -> Result<Tensor> {
        let (b, c, h, w) = x.dims4()?;
        let tokens = self.norm.forward(x)?.reshape((b, c, h * w))?.transpose(1, 2)?.contiguous()?;
        let mut tokens = self.project_in.forward(&tokens)?;
        for block in &self.blocks {
            tokens = block.forward(&self.engine, tokens, with)?;
        }
        let y = self.project_out.forward(&tokens)?.transpose(1, 2)?.reshape((b, c, h, w))?;
        y + x
    }

    /// As [`Self::forward`] on the CPU, of one picture: with the words of row `row`.
    pub fn run(&self, x: &Grid, with: &Prepared, row: usize) -> Result<Map> {
        let (engine, c, size) = (&self.engine, self.channels, [x.height(), x.width()]);
        let area = size[0] * size[1];
        let mut normed = engine.tokens(c, size, engine.element);
        self.norm.run(&[x], false, &mut normed);
        normed.rearranged(1, area);
        let mut tokens = engine.tokens(c, [1, area], Element::Float32);
        self.project_in.run(&normed, &mut tokens);
        for block in &self.blocks {
            block.run(engine, &mut tokens, &mut normed, with, row)?;
        }
        tokens.rearranged(size[0], size[1]);
        let mut out = engine.map(c, size, Element::Float32);
        self.project_out.run_plus(&tokens, x, &mut out);
        Ok(out)
    }
}

/// Said of a text that the U-Net cannot read.
const STALE: &str = "the text was made ready for another device";

struct Block {
    channels: usize,
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
    widen: Gated,
    narrow: Linear,
}

impl Block {
    fn new(at: &At, c: usize, heads: usize, cross: usize, slots: &mut usize) -> Self {
        let slot = *slots;
        *slots += 1;
        // Each head begins a block.
        let by_heads = || Parts::of(&vec![c / heads; heads]);
        let plain = |name: &str, inputs: usize| Linear::of_parts(&at.at(name), Parts::one(inputs), by_heads(), false);
        let out = |name: &str| Linear::of_parts(&at.at(name), by_heads(), Parts::one(c), true);
        Self {
            channels: c,
            heads,
            slot,
            norms: ["norm1", "norm2", "norm3"].map(|n| LayerNorm::new(&at.at(n), c)),
            queries: plain("attn1.to_q", c),
            keys: plain("attn1.to_k", c),
            values: plain("attn1.to_v", c),
            out: out("attn1.to_out.0"),
            queries_2: plain("attn2.to_q", c),
            keys_2: plain("attn2.to_k", cross),
            values_2: plain("attn2.to_v", cross),
            out_2: out("attn2.to_out.0"),
            widen: Gated::new(&at.at("ff.net.0.proj"), c, 4 * c),
            narrow: Linear::new(&at.at("ff.net.2"), 4 * c, c),
        }
    }

    fn forward(&self, engine: &Engine, x: Tensor, with: &Prepared) -> Result<Tensor> {
        let y = self.norms[0].forward(&x)?;
        let (q, k, v) = (self.queries.forward(&y)?, self.keys.forward(&y)?, self.values.forward(&y)?);
        let x = (self.out.forward(&attend(engine, &q, &k, &v, self.heads)?)? + x)?;

        let q = self.queries_2.forward(&self.norms[1].forward(&x)?)?;
        let Words::Tensors(k, v) = &with.words[self.slot] else { candle_core::bail!("{STALE}") };
        let x = (self.out_2.forward(&attend(engine, &q, k, v, self.heads)?)? + x)?;

        let y = self.widen.forward(&self.norms[2].forward(&x)?)?;
        self.narrow.forward(&y)? + x
    }

    /// Lanes of all heads.
    fn lanes(&self) -> usize {
        self.heads * (self.channels / self.heads).next_multiple_of(16)
    }

    /// Keys and values of one prompt, (words, cross).
    fn pack_words(&self, engine: &Engine, text: &Tensor) -> Result<Keys> {
        let (count, cross) = text.dims2()?;
        let mut words = engine.tokens(cross, [1, count], Element::Float32);
        words.fill_tokens(&text.flatten_all()?.to_vec1::<f32>()?, &Parts::one(cross));
        let [mut keys, mut values] = [(); 2].map(|()| engine.tokens(self.lanes(), [1, count], engine.element));
        self.keys_2.run(&words, &mut keys);
        self.values_2.run(&words, &mut values);
        let mut packed = Keys::default();
        packed.pack(engine.set, &engine.pool, (&keys, 0), (&values, 0), self.heads, self.lanes() / self.heads);
        Ok(packed)
    }

    /// In place; `normed` is memory like `x`, as products read it.
    fn run(&self, engine: &Engine, x: &mut Grid, normed: &mut Grid, with: &Prepared, row: usize) -> Result<()> {
        let (lanes, size) = (self.lanes(), [x.height(), x.width()]);
        let (heads, width) = (self.heads, self.channels / self.heads);
        let memory = || engine.tokens(lanes, size, engine.element);
        let [mut queries, mut found] = [memory(), memory()];
        {
            let [mut keys, mut values] = [memory(), memory()];
            self.norms[0].run(x, normed);
            self.queries.run(normed, &mut queries);
            self.keys.run(normed, &mut keys);
            self.values.run(normed, &mut values);
            engine.attend([&queries, &keys, &values], heads, width, &mut found);
        }
        self.out.add(&found, x);

        self.norms[1].run(x, normed);
        self.queries_2.run(normed, &mut queries);
        let Words::Packed(rows) = &with.words[self.slot] else { candle_core::bail!("{STALE}") };
        let Some(keys) = rows.get(row).or(rows.last()) else { candle_core::bail!("no words") };
        engine.attend_to(&queries, keys, width, &mut found);
        self.out_2.add(&found, x);

        self.norms[2].run(x, normed);
        let mut wide = engine.tokens(4 * self.channels, size, engine.element);
        self.widen.run(normed, &mut wide);
        self.narrow.add(&wide, x);
        Ok(())
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
