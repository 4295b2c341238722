//! The layers that U-Net, decoder and text models are built of: candle tensors, with the sums that candle leaves slow on
//! the CPU (norms, softmax, gated activations) as operations of our own in [`ops`].

mod ops;

use candle_core::{D, Result, Tensor};

use super::{
    beside::{Beside, Shape as BesideShape},
    files::Tensors,
};
use crate::kernels::{Conv3x3, Pool};

pub use ops::{add_into, gelu, gelu_gate, group_norm, group_norm_silu_into, layer_norm, quick_gelu, silu, softmax};

/// A place in the tensors of a part: a prefix that grows on the way down.
#[derive(Clone)]
pub struct At<'a> {
    pub tensors: &'a Tensors,
    pub pool: &'a Pool,
    path: String,
}

impl<'a> At<'a> {
    pub fn root(tensors: &'a Tensors, pool: &'a Pool) -> Self {
        Self { tensors, pool, path: String::new() }
    }
    pub fn at(&self, name: impl std::fmt::Display) -> Self {
        let path = if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) };
        Self { path, ..self.clone() }
    }
    pub fn get(&self, name: &str, shape: &[usize]) -> Tensor {
        self.tensors.get(&self.name(name), shape)
    }
    /// Where LoRAs lie beside the weight of this layer.
    pub fn beside(&self, shape: BesideShape) -> Beside {
        self.tensors.beside(&self.name("weight"), shape)
    }
    fn name(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

/// `(…, inputs)` to `(…, outputs)`.
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
    beside: Beside,
}

impl Linear {
    pub fn new(at: &At, inputs: usize, outputs: usize) -> Self {
        Self { bias: Some(at.get("bias", &[outputs])), ..Self::without_bias(at, inputs, outputs) }
    }
    pub fn without_bias(at: &At, inputs: usize, outputs: usize) -> Self {
        let beside = at.beside(BesideShape::Rows);
        Self { weight: at.get("weight", &[outputs, inputs]), bias: None, beside }
    }
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let inputs = x.dim(D::Minus1)?;
        let mut shape = x.dims().to_vec();
        let rows = x.elem_count() / inputs;
        let x = x.reshape((rows, inputs))?;
        let y = self.beside.add_rows(&x, x.matmul(&self.weight.t()?)?)?;
        if let Some(last) = shape.last_mut() {
            *last = self.weight.dim(0)?;
        }
        match &self.bias {
            Some(bias) => y.broadcast_add(bias)?.reshape(shape),
            None => y.reshape(shape),
        }
    }
}

/// A 3x3 convolution with a border of zeros: `(b, inputs, h, w)` to `(b, outputs, h, w)`.
#[expect(clippy::large_enum_variant, reason = "few and long-lived: a box would only add a step")]
pub enum Conv3 {
    /// Packed for the CPU.
    Packed(Conv3x3, Beside),
    Plain {
        weight: Tensor,
        bias: Option<Tensor>,
    },
}

impl Conv3 {
    pub fn new(at: &At, inputs: usize, outputs: usize) -> Result<Self> {
        Self::with(at, inputs, outputs, true)
    }
    pub fn without_bias(at: &At, inputs: usize, outputs: usize) -> Result<Self> {
        Self::with(at, inputs, outputs, false)
    }
    fn with(at: &At, inputs: usize, outputs: usize, bias: bool) -> Result<Self> {
        let weight = at.get("weight", &[outputs, inputs, 3, 3]);
        let bias = bias.then(|| at.get("bias", &[outputs]));
        if at.tensors.device().is_cpu() {
            let conv = Conv3x3::new(&weight, bias.as_ref(), at.pool)?;
            return Ok(Self::Packed(conv, at.beside(BesideShape::Conv)));
        }
        let bias = bias.map(|b| b.reshape((1, outputs, 1, 1))).transpose()?;
        Ok(Self::Plain { weight, bias })
    }
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Packed(conv, beside) => beside.add_maps(x, conv.forward(x)?),
            Self::Plain { weight, bias } => {
                let y = x.conv2d(weight, 1, 1, 1, 1)?;
                bias.as_ref().map_or(Ok(y.clone()), |b| y.broadcast_add(b))
            }
        }
    }
}

/// A 3x3 convolution that halves the map. `before`: a row and column of zeros before it (U-Net, TAESD) or, as the KL
/// encoder has it, after it.
pub struct Down {
    weight: Tensor,
    bias: Option<Tensor>,
    before: bool,
    beside: Beside,
}

impl Down {
    pub fn new(at: &At, inputs: usize, outputs: usize, bias: bool, before: bool) -> Result<Self> {
        let weight = at.get("weight", &[outputs, inputs, 3, 3]);
        let bias = bias.then(|| at.get("bias", &[outputs]).reshape((1, outputs, 1, 1))).transpose()?;
        Ok(Self { weight, bias, before, beside: at.beside(BesideShape::Halving) })
    }
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = if self.before {
            self.beside.add_maps(x, x.conv2d(&self.weight, 1, 2, 1, 1)?)?
        } else {
            x.pad_with_zeros(2, 0, 1)?.pad_with_zeros(3, 0, 1)?.conv2d(&self.weight, 0, 2, 1, 1)?
        };
        self.bias.as_ref().map_or(Ok(y.clone()), |b| y.broadcast_add(b))
    }
}

/// A 1x1 convolution: `(b, inputs, h, w)` to `(b, outputs, h, w)`.
pub struct Pointwise {
    weight: Tensor,
    bias: Tensor,
    beside: Beside,
}

impl Pointwise {
    pub fn new(at: &At, inputs: usize, outputs: usize) -> Result<Self> {
        let weight = at.get("weight", &[outputs, inputs, 1, 1]).reshape((1, outputs, inputs))?;
        let beside = at.beside(BesideShape::Pointwise);
        Ok(Self { weight, bias: at.get("bias", &[outputs]).reshape((1, outputs, 1))?, beside })
    }
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (b, c, h, w) = x.dims4()?;
        let y = self.weight.broadcast_matmul(&x.reshape((b, c, h * w))?)?.broadcast_add(&self.bias)?;
        let outputs = y.dim(1)?;
        self.beside.add_maps(x, y.reshape((b, outputs, h, w))?)
    }
}

/// Group norm over `(b, channels, h, w)`, SiLU after it where `forward_silu` is asked.
pub struct GroupNorm {
    weight: Tensor,
    bias: Tensor,
    groups: usize,
    epsilon: f32,
}

impl GroupNorm {
    pub fn new(at: &At, channels: usize, groups: usize, epsilon: f32) -> Self {
        Self { weight: at.get("weight", &[channels]), bias: at.get("bias", &[channels]), groups, epsilon }
    }
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        group_norm(x, &self.weight, &self.bias, self.groups, self.epsilon, false)
    }
    /// As [`Self::forward_silu`], into the memory of `x`, which nobody else may hold.
    pub fn forward_silu_into(&self, x: Tensor) -> Result<Tensor> {
        group_norm_silu_into(x, &self.weight, &self.bias, self.groups, self.epsilon)
    }
    pub fn forward_silu(&self, x: &Tensor) -> Result<Tensor> {
        group_norm(x, &self.weight, &self.bias, self.groups, self.epsilon, true)
    }
}

/// Layer norm over the last dimension.
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
}

impl LayerNorm {
    pub fn new(at: &At, width: usize) -> Self {
        Self { weight: at.get("weight", &[width]), bias: at.get("bias", &[width]) }
    }
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        layer_norm(x, &self.weight, &self.bias, 1e-5)
    }
}

/// Scores that are computed at once, in numbers: 64 MB. All scores of SD 1.5 at 512 x 512 would be half a gigabyte.
const SCORES: usize = 16 << 20;

/// Softmax attention. `q` `(b, heads, n, d)`, `k` and `v` `(b or 1, heads, m, d)`; `mask` `(n, m)` is added to the scores.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    let (b, heads, n, d) = q.dims4()?;
    let m = k.dim(2)?;
    let spread =
        |t: &Tensor| if t.dim(0)? == b { t.contiguous() } else { t.broadcast_as((b, heads, m, d))?.contiguous() };
    let (k, v) = (spread(k)?, spread(v)?);
    let q = (q * (1.0 / (d as f64).sqrt()))?.contiguous()?;
    let keys = k.transpose(2, 3)?;
    let rows = (SCORES / (b * heads * m)).clamp(1, n);
    let mut parts = Vec::new();
    for first in (0..n).step_by(rows) {
        let len = rows.min(n - first);
        let mut scores = q.narrow(2, first, len)?.contiguous()?.matmul(&keys)?;
        if let Some(mask) = mask {
            scores = scores.broadcast_add(&mask.narrow(0, first, len)?)?;
        }
        parts.push(softmax(scores)?.matmul(&v)?);
    }
    if parts.len() == 1 { Ok(parts.swap_remove(0)) } else { Tensor::cat(&parts, 2) }
}

/// `(b, n, heads * d)` to `(b, heads, n, d)`.
pub fn split_heads(x: &Tensor, heads: usize) -> Result<Tensor> {
    let (b, n, c) = x.dims3()?;
    x.reshape((b, n, heads, c / heads))?.transpose(1, 2)?.contiguous()
}

/// `(b, heads, n, d)` to `(b, n, heads * d)`.
pub fn join_heads(x: &Tensor) -> Result<Tensor> {
    let (b, heads, n, d) = x.dims4()?;
    x.transpose(1, 2)?.reshape((b, n, heads * d))
}
