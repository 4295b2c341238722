//! Whether a kernel gives on this card what candle's operations give on the CPU, of small random numbers.

use candle_core::{D, DType, Device, Result, Tensor};

use super::{Kernels, Kind, line};

/// Relative errors of halves that are all right; a wrong one is off by far more.
const LIMIT: f32 = 2e-2;

/// The error is the end of a sentence.
pub fn check(kernels: &Kernels, kind: Kind, device: &Device) -> std::result::Result<(), String> {
    match error_of(kernels, kind, device) {
        Ok(error) if error <= LIMIT => Ok(()),
        Ok(error) => Err(format!("its numbers are off by {:.0} %", error * 100.0)),
        Err(error) => Err(line(&error)),
    }
}

/// The largest relative error over the types that there are.
fn error_of(kernels: &Kernels, kind: Kind, device: &Device) -> Result<f32> {
    let types: &[DType] = match kind {
        Kind::Attention | Kind::FlashAttention => &[DType::F16, DType::BF16],
        Kind::Bytes => &[DType::F32],
        _ => &[DType::F32, DType::F16, DType::BF16],
    };
    let mut worst = 0.0_f32;
    for dtype in types {
        let there = |t: &Tensor| t.to_dtype(*dtype)?.to_device(device);
        let found = |made: Option<Tensor>| match made {
            Some(made) => made.to_device(&Device::Cpu)?.to_dtype(DType::F32),
            None => candle_core::bail!("it did not start"),
        };
        let errors = match kind {
            Kind::Attention | Kind::FlashAttention => [(40, 70, 77), (64, 128, 128), (80, 33, 65), (160, 64, 77)]
                .into_iter()
                .map(|(width, n, m)| {
                    let (q, k, v) = (
                        random(&[2, n, 2 * width], 1)?,
                        random(&[1, m, 2 * width], 2)?,
                        random(&[1, m, 2 * width], 3)?,
                    );
                    let there = [there(&q)?, there(&k)?, there(&v)?];
                    let made = match kind {
                        Kind::Attention => kernels.own_attend(&there[0], &there[1], &there[2], 2),
                        _ => kernels.flash_attend(&there[0], &there[1], &there[2], 2),
                    };
                    apart(&found(made)?, &attention(&q, &k, &v, 2)?)
                })
                .collect::<Result<Vec<f32>>>()?,
            Kind::GroupNorm => {
                let (x, weight, bias) = (random(&[2, 12, 6, 10], 1)?, random(&[12], 2)?, random(&[12], 3)?);
                let made = kernels.group_norm(&there(&x)?, &there(&weight)?, &there(&bias)?, 3, 1e-5, true);
                let groups = normed(&x.reshape((2, 3, 240))?)?.reshape((2, 12, 6, 10))?;
                let spread = |t: &Tensor| t.reshape((1, 12, 1, 1));
                let expected = groups.broadcast_mul(&spread(&weight)?)?.broadcast_add(&spread(&bias)?)?.silu()?;
                vec![apart(&found(made)?, &expected)?]
            }
            Kind::LayerNorm => {
                let (x, weight, bias) = (random(&[5, 320], 1)?, random(&[320], 2)?, random(&[320], 3)?);
                let made = kernels.layer_norm(&there(&x)?, &there(&weight)?, &there(&bias)?, 1e-5);
                vec![apart(&found(made)?, &normed(&x)?.broadcast_mul(&weight)?.broadcast_add(&bias)?)?]
            }
            Kind::Gate => {
                let x = random(&[7, 88], 1)?;
                let halves = x.chunk(2, 1)?;
                vec![apart(&found(kernels.gelu_gate(&there(&x)?))?, &(&halves[0] * halves[1].gelu_erf()?)?)?]
            }
            Kind::Shift => {
                let (x, columns, channels) = (random(&[2, 12, 2, 6], 1)?, random(&[8], 2)?, random(&[2, 12], 3)?);
                let rows = random(&[5, 8], 4)?;
                let by_channel = kernels.shift(&there(&x)?, &there(&channels)?, 12);
                let by_column = kernels.shift(&there(&rows)?, &there(&columns)?, 1);
                vec![
                    apart(&found(by_channel)?, &x.broadcast_add(&channels.reshape((2, 12, 1, 1))?)?)?,
                    apart(&found(by_column)?, &rows.broadcast_add(&columns)?)?,
                ]
            }
            Kind::Convolution => {
                let (x, weight) = (random(&[2, 16, 10, 12], 1)?, random(&[24, 16, 3, 3], 2)?);
                let strides = [1, 2].into_iter().map(|stride| {
                    let made = kernels.conv(&there(&x)?, &there(&weight)?, 1, stride);
                    apart(&found(made)?, &x.conv2d(&weight, 1, stride, 1, 1)?)
                });
                strides.collect::<Result<Vec<f32>>>()?
            }
            Kind::Bytes => {
                let x = random(&[1, 3, 9, 7], 1)?;
                let levels = (((&x * 0.5)? + 0.5)?.clamp(0.0, 1.0)? * 255.0)?.round()?;
                let full = Tensor::full(255.0_f32, (1, 1, 9, 7), &Device::Cpu)?;
                let expected = Tensor::cat(&[levels, full], 1)?.permute((0, 2, 3, 1))?.contiguous()?.flatten_all()?;
                vec![apart(&found(kernels.rgba8(&there(&x)?))?, &expected)?]
            }
        };
        // A NaN is the worst.
        worst = errors.into_iter().fold(worst, |a, b| if b <= a { a } else { b });
    }
    Ok(worst)
}

/// About -2..2, the same everywhere.
fn random(shape: &[usize], seed: u32) -> Result<Tensor> {
    let mut state = seed;
    let mut uniform = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 22) as f32 - 2.0
    };
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| uniform()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// The last dimension to mean 0 and variance 1.
fn normed(x: &Tensor) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    centred.broadcast_div(&(centred.sqr()?.mean_keepdim(D::Minus1)? + 1e-5)?.sqrt()?)
}

fn attention(q: &Tensor, k: &Tensor, v: &Tensor, heads: usize) -> Result<Tensor> {
    let (b, n, c) = q.dims3()?;
    let split = |t: &Tensor| {
        let (rows, len, _) = t.dims3()?;
        let heads = t.reshape((rows, len, heads, c / heads))?.transpose(1, 2)?;
        heads.broadcast_as((b, heads.dim(1)?, len, c / heads.dim(1)?))?.contiguous()
    };
    let (q, k, v) = (split(q)?, split(k)?, split(v)?);
    let scores = (q.matmul(&k.t()?.contiguous()?)? / ((c / heads) as f64).sqrt())?;
    let weights = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
    let weights = weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?;
    weights.matmul(&v)?.transpose(1, 2)?.contiguous()?.reshape((b, n, c))
}

/// The norm of the difference over the norm of what was expected.
fn apart(found: &Tensor, expected: &Tensor) -> Result<f32> {
    let norm = |t: Tensor| t.sqr()?.sum_all()?.sqrt()?.to_scalar::<f32>();
    Ok(norm((found - expected)?)? / norm(expected.clone())?)
}
