//! The layers that U-Net, decoder and text models are built of.
//!
//! Each has `forward`, from tensor to tensor on any device. On the CPU its weights are packed for the kernels and there is
//! `run` beside it, from map to map ([`Engine`]): what lies between two layers then never leaves the kernels' layout, and
//! bias, timestep, activation and residual happen at the end of the layer before. Sums that candle leaves slow on the CPU
//! (norms, softmax, gated activations) are operations of our own in [`ops`]. Both add what LoRAs add ([`super::beside`]).

mod composed;
mod conv;
mod engine;
mod linear;
mod norm;
mod ops;

use candle_core::{Result, Tensor};

use super::{
    beside::{Beside, Packing, Shape as BesideShape},
    files::Tensors,
};
use crate::kernels::Tiles;

pub use conv::{After, Conv3, Double, Down, Quarters};
pub use engine::{Engine, Work, each_row, tensor_of};
pub use linear::{Gated, Linear, Pointwise};
pub use norm::{GroupNorm, LayerNorm};

pub use ops::{add_into, gelu, gelu_gate, group_norm, group_norm_silu_into, layer_norm, quick_gelu, silu, softmax};

/// How large the maps of some layers are, in pictures of the size that a model is made for: the smaller, the more their
/// weights cost beside their sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapSize {
    Large,
    /// Some hundred pixels.
    Small,
    /// Some dozen.
    Coarse,
}

impl MapSize {
    /// Of a level of a U-Net, finest first. One of four levels begins at 64 x 64, one of three at 128 x 128.
    pub fn of_level(level: usize, levels: usize) -> Self {
        match level {
            0 | 1 => Self::Large,
            2 if levels < 4 => Self::Large,
            2 => Self::Small,
            _ => Self::Coarse,
        }
    }

    /// How Winograd's way cuts them best, measured with filters of 1280 channels.
    pub fn tiles(self) -> Tiles {
        if self == Self::Large { Tiles::Four } else { Tiles::Two }
    }
}

/// A place in the tensors of a part: a prefix that grows on the way down.
#[derive(Clone)]
pub struct At<'a> {
    pub tensors: &'a Tensors,
    /// What the part's packed layers run on.
    pub engine: &'a Engine,
    pub maps: MapSize,
    path: String,
}

impl<'a> At<'a> {
    pub fn root(tensors: &'a Tensors, engine: &'a Engine) -> Self {
        Self { tensors, engine, maps: MapSize::Large, path: String::new() }
    }
    pub fn at(&self, name: impl std::fmt::Display) -> Self {
        let path = if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) };
        Self { path, ..self.clone() }
    }
    pub fn get(&self, name: &str, shape: &[usize]) -> Tensor {
        self.engine.holds(self.engine.place.dtype.size_in_bytes() * shape.iter().product::<usize>());
        self.tensors.get(&self.name(name), shape, &self.engine.place)
    }
    pub fn floats(&self, name: &str, shape: &[usize]) -> Vec<f32> {
        self.tensors.floats(&self.name(name), shape)
    }
    /// Whether layers are packed for the CPU's kernels here.
    pub fn packs(&self) -> bool {
        self.engine.place.packs
    }
    /// Where LoRAs lie beside the weight of this layer.
    pub fn beside(&self, shape: BesideShape, packing: Option<Packing>) -> Beside {
        self.tensors.beside(&self.name("weight"), shape, packing)
    }
    /// The same place for layers that run on another engine.
    pub fn on(&self, engine: &'a Engine) -> Self {
        Self { engine, ..self.clone() }
    }
    /// The same place for layers of maps of another size.
    pub fn of_maps(&self, maps: MapSize) -> Self {
        Self { maps, ..self.clone() }
    }
    fn name(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

/// A bias added: of channels `(c)` or of rows and channels `(b, c)` to `(b, c, h, w)`.
pub fn shift_maps(engine: &Engine, y: Tensor, by: &Tensor) -> Result<Tensor> {
    let (_, c, h, w) = y.dims4()?;
    match engine.place.fused.shift(&y, by, h * w) {
        Some(shifted) => Ok(shifted),
        None => y.broadcast_add(&by.reshape(((), c, 1, 1))?),
    }
}

/// A bias of columns added.
fn shift_rows(engine: &Engine, y: Tensor, by: &Tensor) -> Result<Tensor> {
    engine.place.fused.shift(&y, by, 1).map_or_else(|| y.broadcast_add(by), Ok)
}

/// Scores that are computed at once, in numbers: 64 MB. All scores of SD 1.5 at 512 x 512 would be half a gigabyte.
const SCORES: usize = 16 << 20;

/// Softmax attention of `heads` heads. `q` `(b, n, heads * d)`, `k` and `v` `(b or 1, m, heads * d)`.
pub fn attend(engine: &Engine, q: &Tensor, k: &Tensor, v: &Tensor, heads: usize) -> Result<Tensor> {
    match engine.place.fused.attend(q, k, v, heads) {
        Some(found) => Ok(found),
        None => attend_masked(q, k, v, heads, None),
    }
}

/// As [`attend`]; `mask` `(n, m)` is added to the scores.
pub fn attend_masked(q: &Tensor, k: &Tensor, v: &Tensor, heads: usize, mask: Option<&Tensor>) -> Result<Tensor> {
    join_heads(&attention(&split_heads(q, heads)?, &split_heads(k, heads)?, &split_heads(v, heads)?, mask)?)
}

/// As [`attend`]: `q` `(b, heads, n, d)`, `k` and `v` `(b or 1, heads, m, d)`.
fn attention(q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
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
fn split_heads(x: &Tensor, heads: usize) -> Result<Tensor> {
    let (b, n, c) = x.dims3()?;
    x.reshape((b, n, heads, c / heads))?.transpose(1, 2)?.contiguous()
}

/// `(b, heads, n, d)` to `(b, n, heads * d)`.
fn join_heads(x: &Tensor) -> Result<Tensor> {
    let (b, heads, n, d) = x.dims4()?;
    x.transpose(1, 2)?.reshape((b, n, heads * d))
}
