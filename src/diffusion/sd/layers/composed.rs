//! Norms, softmax and gates of candle's operations, for devices on which this program has no kernels.
//!
//! Sums of thousands of numbers are float32 whatever the numbers are.

use candle_core::{D, DType, Result, Tensor};

/// Over the last dimension.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    let wide = x.to_dtype(DType::F32)?;
    let weights = wide.broadcast_sub(&wide.max_keepdim(D::Minus1)?)?.exp()?;
    weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?.to_dtype(x.dtype())
}

/// As [`super::group_norm`].
pub fn group_norm(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    groups: usize,
    epsilon: f32,
    silu_after: bool,
) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let wide = x.to_dtype(DType::F32)?.reshape((b, groups, c / groups * h * w))?;
    let centred = wide.broadcast_sub(&wide.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let y =
        centred.broadcast_div(&(variance + f64::from(epsilon))?.sqrt()?)?.reshape((b, c, h, w))?.to_dtype(x.dtype())?;
    let y = y.broadcast_mul(&weight.reshape((1, c, 1, 1))?)?.broadcast_add(&bias.reshape((1, c, 1, 1))?)?;
    if silu_after { y.silu() } else { Ok(y) }
}

/// As [`super::layer_norm`].
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f32) -> Result<Tensor> {
    let wide = x.to_dtype(DType::F32)?;
    let centred = wide.broadcast_sub(&wide.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let y = centred.broadcast_div(&(variance + f64::from(epsilon))?.sqrt()?)?.to_dtype(x.dtype())?;
    y.broadcast_mul(weight)?.broadcast_add(bias)
}

/// As [`super::gelu_gate`].
pub fn gelu_gate(x: &Tensor) -> Result<Tensor> {
    let halves = x.chunk(2, D::Minus1)?;
    &halves[0] * halves[1].gelu_erf()?
}

/// A picture `(1, 3, h, w)`, -1..1, as bytes `(h * w * 4)` of red, green, blue and 255.
pub fn rgba8(image: &Tensor) -> Result<Tensor> {
    let (_, _, h, w) = image.dims4()?;
    let image = image.narrow(0, 0, 1)?.to_dtype(DType::F32)?;
    let bytes = (((image * 0.5)? + 0.5)?.clamp(0.0, 1.0)? * 255.0)?.round()?.to_dtype(DType::U8)?;
    let alpha = Tensor::full(255_u8, (1, 1, h, w), bytes.device())?;
    Tensor::cat(&[&bytes, &alpha], 1)?.permute((0, 2, 3, 1))?.contiguous()?.flatten_all()
}

#[cfg(test)]
mod tests {
    use super::super::{gelu_gate, group_norm, layer_norm, silu, softmax};
    use candle_core::Tensor;

    /// What GPUs compose of candle's operations, beside what the CPU does in one.
    #[test]
    fn composed_operations_are_those_of_one_pass() {
        let device = candle_core::Device::Cpu;
        let near = |a: Tensor, b: Tensor| {
            let error = (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
            let error = error.to_scalar::<f32>().unwrap();
            assert!(error < 2e-6, "{error}");
        };
        let x =
            Tensor::from_iter((0..2 * 6 * 4 * 5).map(|i| ((i * 37 % 61) as f32).sin() * 3.0 + 1.0), &device).unwrap();
        let x = x.reshape((2, 6, 4, 5)).unwrap();
        let weight = Tensor::from_iter((0..6).map(|i| i as f32 * 0.3 - 0.8), &device).unwrap();
        for silu in [false, true] {
            let one = group_norm(&x, &weight, &weight, 3, 1e-5, silu).unwrap();
            near(one, super::group_norm(&x, &weight, &weight, 3, 1e-5, silu).unwrap());
        }
        let rows = x.reshape((40, 6)).unwrap();
        near(
            layer_norm(&rows, &weight, &weight, 1e-5).unwrap(),
            super::layer_norm(&rows, &weight, &weight, 1e-5).unwrap(),
        );
        near(softmax(rows.copy().unwrap()).unwrap(), super::softmax(&rows).unwrap());
        near(gelu_gate(&rows).unwrap(), super::gelu_gate(&rows).unwrap());
        near(silu(&rows).unwrap(), rows.silu().unwrap());
    }

    #[test]
    fn bytes_are_made_pixel_by_pixel_and_beyond_the_ends_they_stay_there() {
        let image = [-1.0_f32, 0.0, 2.0, 1.0, -3.0, 0.5];
        let image = Tensor::from_slice(&image, (1, 3, 1, 2), &candle_core::Device::Cpu).unwrap();
        let bytes = super::rgba8(&image).unwrap().to_vec1::<u8>().unwrap();
        assert_eq!(bytes, [0, 255, 0, 255, 128, 255, 191, 255]);
    }
}
