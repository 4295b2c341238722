//! Norms: on maps those of the kernels, on tensors [`super::ops`].

use candle_core::{Result, Tensor};

use super::{At, Engine, Work, group_norm, group_norm_silu_into, layer_norm};
use crate::kernels::{self, Grid};

/// Group norm over `(b, channels, h, w)`, SiLU after it where `forward_silu` is asked.
pub struct GroupNorm {
    weight: Tensor,
    bias: Tensor,
    groups: usize,
    epsilon: f32,
    engine: Engine,
    packed: Option<kernels::GroupNorm>,
}

impl GroupNorm {
    pub fn new(at: &At, channels: usize, groups: usize, epsilon: f32) -> Self {
        Self::joined(at, &[channels], groups, epsilon)
    }
    /// Over several maps that count as one.
    pub fn joined(at: &At, parts: &[usize], groups: usize, epsilon: f32) -> Self {
        let channels: usize = parts.iter().sum();
        let (weight, bias) = (at.get("weight", &[channels]), at.get("bias", &[channels]));
        let packed = at.packs().then(|| {
            let [weight, bias] = ["weight", "bias"].map(|name| at.floats(name, &[channels]));
            kernels::GroupNorm::new(at.engine.set, parts, groups, epsilon, weight, bias)
        });
        Self { weight, bias, groups, epsilon, engine: at.engine.clone(), packed }
    }
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_with(x, false)
    }
    pub fn forward_silu(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_with(x, true)
    }
    fn forward_with(&self, x: &Tensor, silu: bool) -> Result<Tensor> {
        let Self { weight, bias, groups, epsilon, .. } = self;
        match self.engine.place.fused.group_norm(x, weight, bias, *groups, *epsilon, silu) {
            Some(y) => Ok(y),
            None => group_norm(x, weight, bias, *groups, *epsilon, silu),
        }
    }
    /// As [`Self::forward_silu`], into the memory of `x`, which nobody else may hold, where that is faster.
    pub fn forward_silu_into(&self, x: Tensor) -> Result<Tensor> {
        if self.engine.place.is_gpu() {
            return self.forward_silu(&x);
        }
        group_norm_silu_into(x, &self.weight, &self.bias, self.groups, self.epsilon)
    }
    /// From maps to one, on the CPU.
    pub fn run(&self, inputs: &[&Grid], silu: bool, out: &mut Grid) {
        match &self.packed {
            Some(norm) => self.engine.timed(Work::Norm, || norm.run(&self.engine.pool, inputs, silu, out)),
            None => unreachable!("maps are the CPU's"),
        }
    }
}

/// Of layer norms.
const EPSILON: f32 = 1e-5;

/// Layer norm over the last dimension.
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    engine: Engine,
    packed: Option<kernels::LayerNorm>,
}

impl LayerNorm {
    pub fn new(at: &At, width: usize) -> Self {
        let packed = (at.packs() && width.is_multiple_of(16)).then(|| {
            let [weight, bias] = ["weight", "bias"].map(|name| at.floats(name, &[width]));
            kernels::LayerNorm::new(at.engine.set, &weight, &bias)
        });
        let [weight, bias] = ["weight", "bias"].map(|name| at.get(name, &[width]));
        Self { weight, bias, engine: at.engine.clone(), packed }
    }
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self.engine.place.fused.layer_norm(x, &self.weight, &self.bias, EPSILON) {
            Some(y) => Ok(y),
            None => layer_norm(x, &self.weight, &self.bias, EPSILON),
        }
    }
    /// From tokens to tokens, on the CPU.
    pub fn run(&self, x: &Grid, out: &mut Grid) {
        match &self.packed {
            Some(norm) => self.engine.timed(Work::Norm, || norm.run(&self.engine.pool, x, out)),
            None => unreachable!("maps are the CPU's, and their channels whole blocks"),
        }
    }
}
