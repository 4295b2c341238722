//! The layers of a transformer in operations that candle can differentiate, for training and use alike.
//!
//! candle's fused layer norm and softmax have no way back, and products of three dimensions copy the weight a batch:
//! so these are made of plain sums and two-dimensional products.

use candle_core::{D, Result, Tensor};

/// Of every layer norm (PyTorch's default).
const EPSILON: f64 = 1e-5;

/// Where layers find their tensors by name.
pub trait Named {
    /// # Errors
    /// There is none of the name.
    fn tensor(&self, name: &str) -> Result<Tensor>;
}

/// `y = x W^T + b`, W as PyTorch keeps it: (outputs, inputs).
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    pub fn new(from: &impl Named, name: &str) -> Result<Self> {
        Self::of(from.tensor(&format!("{name}.weight"))?, from.tensor(&format!("{name}.bias"))?)
    }

    /// A convolution with a kernel as long as its stride is a product with the patch: its weight is flattened.
    pub fn of(weight: Tensor, bias: Tensor) -> Result<Self> {
        let weight = if weight.rank() > 2 { weight.flatten_from(1)? } else { weight };
        Ok(Self { weight, bias })
    }

    /// (.., inputs) -> (.., outputs)
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut sizes = x.dims().to_vec();
        let inputs = x.dim(D::Minus1)?;
        let rows = x.reshape(((), inputs))?;
        let y = rows.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)?;
        if let Some(last) = sizes.last_mut() {
            *last = self.bias.dim(0)?;
        }
        y.reshape(sizes)
    }
}

/// Layer norm over the last dimension.
#[derive(Debug, Clone)]
pub struct Norm {
    weight: Tensor,
    bias: Tensor,
}

impl Norm {
    pub fn new(from: &impl Named, name: &str) -> Result<Self> {
        Ok(Self { weight: from.tensor(&format!("{name}.weight"))?, bias: from.tensor(&format!("{name}.bias"))? })
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + EPSILON)?.sqrt()?;
        centred.broadcast_div(&deviation)?.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)
    }
}

/// Over the last dimension.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    // The largest is subtracted for the numbers' sake alone: no gradient goes through it.
    let raised = x.broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?.exp()?;
    raised.broadcast_div(&raised.sum_keepdim(D::Minus1)?)
}

/// Logarithm of [`softmax`].
pub fn log_softmax(x: &Tensor) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?;
    centred.broadcast_sub(&centred.exp()?.sum_keepdim(D::Minus1)?.log()?)
}

/// (b, n, width) -> (b, heads, n, width / heads)
pub fn split_heads(x: &Tensor, heads: usize) -> Result<Tensor> {
    let (batch, tokens, width) = x.dims3()?;
    x.reshape((batch, tokens, heads, width / heads))?.transpose(1, 2)?.contiguous()
}

/// Attention of queries over keys and values, each (b, heads, n, d) -> (b, n, heads * d)
pub fn attend(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    let scale = 1.0 / (q.dim(D::Minus1)? as f64).sqrt();
    let scores = (q * scale)?.matmul(&k.transpose(2, 3)?.contiguous()?)?;
    let mixed = softmax(&scores)?.matmul(v)?;
    mixed.transpose(1, 2)?.contiguous()?.flatten_from(2)
}

/// Pre-norm block: `x + proj(attention(norm1(x)))`, then `x + fc2(gelu(fc1(norm2(x))))`.
#[derive(Debug, Clone)]
pub struct Block {
    heads: usize,
    norm1: Norm,
    qkv: Linear,
    proj: Linear,
    norm2: Norm,
    fc1: Linear,
    fc2: Linear,
}

impl Block {
    pub fn new(from: &impl Named, name: &str, heads: usize) -> Result<Self> {
        let linear = |part: &str| Linear::new(from, &format!("{name}.{part}"));
        let norm = |part: &str| Norm::new(from, &format!("{name}.{part}"));
        Ok(Self {
            heads,
            norm1: norm("norm1")?,
            qkv: linear("attn.qkv")?,
            proj: linear("attn.proj")?,
            norm2: norm("norm2")?,
            fc1: linear("mlp.fc1")?,
            fc2: linear("mlp.fc2")?,
        })
    }

    /// (b, n, width) -> the same
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let qkv = self.qkv.forward(&self.norm1.forward(x)?)?;
        let width = x.dim(D::Minus1)?;
        let part = |n: usize| split_heads(&qkv.narrow(D::Minus1, n * width, width)?, self.heads);
        let x = (x + self.proj.forward(&attend(&part(0)?, &part(1)?, &part(2)?)?)?)?;
        let between = self.fc1.forward(&self.norm2.forward(&x)?)?.gelu_erf()?;
        x + self.fc2.forward(&between)?
    }
}
