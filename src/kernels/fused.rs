//! Kernels of our own on a GPU, as far as there are any: of what candle leaves slow there.
//!
//! Each gives none where it does not fit or does not work, and the caller goes on with candle's operations. On CUDA they
//! are compiled when a card is opened and tried on small numbers, so that a card on which they are wrong is painted on
//! without them.

use candle_core::{Device, Result, Tensor};

/// Cloning gives another handle to the same.
#[derive(Debug, Clone, Default)]
pub struct Fused {
    #[cfg(feature = "cuda")]
    cuda: Option<std::sync::Arc<super::cuda::Kernels>>,
}

#[cfg_attr(not(feature = "cuda"), allow(unused_variables))]
impl Fused {
    /// What there is for a device, and sentences on what there is not.
    pub fn on(device: &Device) -> (Self, Vec<String>) {
        #[cfg(feature = "cuda")]
        if let Device::Cuda(card) = device {
            return match super::cuda::Kernels::compile(card) {
                Ok((kernels, notes)) => (Self { cuda: Some(std::sync::Arc::new(kernels)) }, notes),
                Err(why) => (Self::default(), vec![format!("{why}: candle's operations take their place")]),
            };
        }
        (Self::default(), Vec::new())
    }

    /// Softmax attention of `heads` heads: `q` `(b, n, c)`, `k` and `v` `(b or 1, m, c)`, to `(b, n, c)`.
    pub fn attend(&self, q: &Tensor, k: &Tensor, v: &Tensor, heads: usize) -> Option<Tensor> {
        #[cfg(feature = "cuda")]
        return self.cuda.as_ref()?.attend(q, k, v, heads);
        #[cfg(not(feature = "cuda"))]
        None
    }

    /// Group norm of `(b, channels, h, w)`, SiLU after it where that is asked.
    pub fn group_norm(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        groups: usize,
        epsilon: f32,
        silu: bool,
    ) -> Option<Tensor> {
        #[cfg(feature = "cuda")]
        return self.cuda.as_ref()?.group_norm(x, weight, bias, groups, epsilon, silu);
        #[cfg(not(feature = "cuda"))]
        None
    }

    /// Layer norm over the last dimension.
    pub fn layer_norm(&self, x: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f32) -> Option<Tensor> {
        #[cfg(feature = "cuda")]
        return self.cuda.as_ref()?.layer_norm(x, weight, bias, epsilon);
        #[cfg(not(feature = "cuda"))]
        None
    }

    /// `(…, 2 n)` to `(…, n)`: the first half times the GELU of the second.
    pub fn gelu_gate(&self, x: &Tensor) -> Option<Tensor> {
        #[cfg(feature = "cuda")]
        return self.cuda.as_ref()?.gelu_gate(x);
        #[cfg(not(feature = "cuda"))]
        None
    }

    /// A convolution of `(b, inputs, h, w)` with `(outputs, inputs, k, k)`.
    pub fn conv(&self, x: &Tensor, weight: &Tensor, padding: usize, stride: usize) -> Option<Tensor> {
        #[cfg(feature = "cuda")]
        return self.cuda.as_ref()?.conv(x, weight, padding, stride);
        #[cfg(not(feature = "cuda"))]
        None
    }

    /// `x` with a number of `by` added to each: the numbers of `by` one after the other, each for `area` numbers of `x`, over
    /// and over. A bias by columns is of area 1, one by channels of as many pixels as there are.
    pub fn shift(&self, x: &Tensor, by: &Tensor, area: usize) -> Option<Tensor> {
        #[cfg(feature = "cuda")]
        return self.cuda.as_ref()?.shift(x, by, area);
        #[cfg(not(feature = "cuda"))]
        None
    }

    /// Lets bytes come from the device while it is at the next picture.
    pub fn bring(&self, bytes: &Tensor) -> Option<Result<Coming>> {
        #[cfg(feature = "cuda")]
        return self.cuda.as_ref()?.bring(bytes);
        #[cfg(not(feature = "cuda"))]
        None
    }

    /// A picture `(1, 3, h, w)` of -1..1, float32, as bytes `(h * w * 4)` of red, green, blue and 255.
    pub fn rgba8(&self, image: &Tensor) -> Option<Tensor> {
        #[cfg(feature = "cuda")]
        return self.cuda.as_ref()?.rgba8(image);
        #[cfg(not(feature = "cuda"))]
        None
    }
}

/// Bytes on their way from a device.
#[cfg(feature = "cuda")]
pub use super::cuda::Coming;

/// No device lets bytes come.
#[cfg(not(feature = "cuda"))]
pub enum Coming {}

#[cfg(not(feature = "cuda"))]
impl Coming {
    pub fn take(self, _: &mut Vec<u8>) -> Result<()> {
        match self {}
    }
}
