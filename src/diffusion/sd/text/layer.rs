//! A layer of CLIP's transformers, the one for texts and the one for pictures alike: norm, attention, norm, perceptron.

use candle_core::{Result, Tensor};

use super::Activation;
use crate::diffusion::sd::layers::{At, LayerNorm, Linear, attend_masked, gelu, quick_gelu};

pub struct Layer {
    norm_1: LayerNorm,
    queries: Linear,
    keys: Linear,
    values: Linear,
    out: Linear,
    norm_2: LayerNorm,
    widen: Linear,
    narrow: Linear,
    heads: usize,
    activation: Activation,
}

impl Layer {
    /// `inner` is the width between the perceptron's two matrices.
    pub fn new(at: &At, width: usize, inner: usize, heads: usize, activation: Activation) -> Self {
        let linear = |name: &str, from: usize, to: usize| Linear::new(&at.at(name), from, to);
        Self {
            norm_1: LayerNorm::new(&at.at("layer_norm1"), width),
            queries: linear("self_attn.q_proj", width, width),
            keys: linear("self_attn.k_proj", width, width),
            values: linear("self_attn.v_proj", width, width),
            out: linear("self_attn.out_proj", width, width),
            norm_2: LayerNorm::new(&at.at("layer_norm2"), width),
            widen: linear("mlp.fc1", width, inner),
            narrow: linear("mlp.fc2", inner, width),
            heads,
            activation,
        }
    }

    /// (b, n, width) -> the same; `mask` (n, n) is added to the scores.
    pub fn forward(&self, x: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let y = self.norm_1.forward(x)?;
        let (q, k, v) = (self.queries.forward(&y)?, self.keys.forward(&y)?, self.values.forward(&y)?);
        let x = (x + self.out.forward(&attend_masked(&q, &k, &v, self.heads, mask)?)?)?;
        let y = self.widen.forward(&self.norm_2.forward(&x)?)?;
        let y = match self.activation {
            Activation::QuickGelu => quick_gelu(&y)?,
            Activation::Gelu => gelu(&y)?,
        };
        x + self.narrow.forward(&y)?
    }
}
