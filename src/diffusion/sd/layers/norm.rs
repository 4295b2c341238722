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
    packed: Option<(kernels::GroupNorm, Engine)>,
}

impl GroupNorm {
    pub fn new(at: &At, channels: usize, groups: usize, epsilon: f32) -> Self {
        Self::joined(at, &[channels], groups, epsilon)
    }
    /// Over several maps that count as one.
    pub fn joined(at: &At, parts: &[usize], groups: usize, epsilon: f32) -> Self {
        let channels: usize = parts.iter().sum();
        let (weight, bias) = (at.get("weight", &[channels]), at.get("bias", &[channels]));
        let packed = at.tensors.device().is_cpu().then(|| {
            let [weight, bias] = ["weight", "bias"].map(|name| at.floats(name, &[channels]));
            (kernels::GroupNorm::new(at.engine.set, parts, groups, epsilon, weight, bias), at.engine.clone())
        });
        Self { weight, bias, groups, epsilon, packed }
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
    /// From maps to one, on the CPU.
    pub fn run(&self, inputs: &[&Grid], silu: bool, out: &mut Grid) {
        match &self.packed {
            Some((norm, engine)) => engine.timed(Work::Norm, || norm.run(&engine.pool, inputs, silu, out)),
            None => unreachable!("maps are the CPU's"),
        }
    }
}

/// Layer norm over the last dimension.
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    packed: Option<(kernels::LayerNorm, Engine)>,
}

impl LayerNorm {
    pub fn new(at: &At, width: usize) -> Self {
        let packed = (at.tensors.device().is_cpu() && width.is_multiple_of(16)).then(|| {
            let [weight, bias] = ["weight", "bias"].map(|name| at.floats(name, &[width]));
            (kernels::LayerNorm::new(at.engine.set, &weight, &bias), at.engine.clone())
        });
        Self { weight: at.get("weight", &[width]), bias: at.get("bias", &[width]), packed }
    }
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        layer_norm(x, &self.weight, &self.bias, 1e-5)
    }
    /// From tokens to tokens, on the CPU.
    pub fn run(&self, x: &Grid, out: &mut Grid) {
        match &self.packed {
            Some((norm, engine)) => engine.timed(Work::Norm, || norm.run(&engine.pool, x, out)),
            None => unreachable!("maps are the CPU's, and their channels whole blocks"),
        }
    }
}
