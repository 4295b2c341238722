//! Norms, softmax and activations in one pass over memory on the CPU, on all threads; composed of candle's operations on
//! other devices ([`composed`]). Sums are float64 where thousands of numbers are added.

use candle_core::{CpuStorage, CustomOp1, DType, Error, InplaceOp1, InplaceOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::composed;

fn on_cpu(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32
}

fn floats<'a>(storage: &'a CpuStorage, layout: &Layout, name: &str) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&values[from..to]),
        _ => Err(Error::Msg(format!("{name} takes contiguous float32"))),
    }
}

fn floats_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout, name: &str) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&mut values[from..to]),
        _ => Err(Error::Msg(format!("{name} takes contiguous float32"))),
    }
}

/// e^x for |x| up to 87: 2^n times a polynomial of degree 6 (Cephes' expf), in a form that compilers vectorise.
#[inline(always)]
fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let n = (x * std::f32::consts::LOG2_E + 12_582_912.0) - 12_582_912.0;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_2e-4_f32;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let y = p * r * r + r + 1.0;
    y * f32::from_bits((((n as i32) + 127) as u32) << 23)
}

#[inline(always)]
fn silu_of(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// The error function as a quotient of polynomials (the float32 one of Eigen), exact to a few units in the last place.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let s = x * x;
    let p = -2.726_142_3e-10_f32;
    let p = p * s + 2.770_681_4e-8;
    let p = p * s - 2.101_024e-6;
    let p = p * s - 5.692_506_6e-5;
    let p = p * s - 7.349_906_4e-4;
    let p = p * s - 2.954_6e-3;
    let p = p * s - 1.609_603_3e-2;
    let q = -1.456_607_2e-5_f32;
    let q = q * s - 2.133_740_6e-4;
    let q = q * s - 1.682_827e-3;
    let q = q * s - 7.373_329_3e-3;
    let q = q * s - 1.426_474e-2;
    x * p / q
}

#[inline(always)]
fn gelu_of(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    groups: usize,
    epsilon: f32,
    silu: bool,
}

impl Norm {
    /// Mean and inverse deviation of each group of each row.
    fn sums(&self, x: &[f32], of_group: usize) -> Vec<(f64, f64)> {
        x.par_chunks(of_group)
            .map(|values| {
                let (mut sum, mut squares) = (0.0_f64, 0.0_f64);
                // Eight sums at once, of float32 within a few hundred numbers and of float64 over these.
                for part in values.chunks(512) {
                    let (mut s, mut q) = ([0.0_f32; 8], [0.0_f32; 8]);
                    let (eights, rest) = part.as_chunks::<8>();
                    for eight in eights {
                        for i in 0..8 {
                            s[i] += eight[i];
                            q[i] += eight[i] * eight[i];
                        }
                    }
                    sum += s.iter().chain(rest).map(|v| f64::from(*v)).sum::<f64>();
                    squares += q.iter().map(|v| f64::from(*v)).sum::<f64>();
                    squares += rest.iter().map(|v| f64::from(v * v)).sum::<f64>();
                }
                let mean = sum / of_group as f64;
                (mean, 1.0 / (squares / of_group as f64 - mean * mean + f64::from(self.epsilon)).sqrt())
            })
            .collect()
    }

    /// Factor and term for a channel of a row.
    fn affine(&self, sums: &[(f64, f64)], row: usize, channel: usize) -> (f32, f32) {
        let (mean, inverse) = sums[row * self.groups + channel / (self.weight.len() / self.groups)];
        let factor = inverse * f64::from(self.weight[channel]);
        (factor as f32, (f64::from(self.bias[channel]) - mean * factor) as f32)
    }

    /// Numbers of a channel and of a group.
    fn sizes(&self, layout: &Layout) -> (usize, usize) {
        let area: usize = layout.dims()[2..].iter().product();
        (area.max(1), (self.weight.len() / self.groups * area).max(1))
    }
}

impl CustomOp1 for Norm {
    fn name(&self) -> &'static str {
        "group_norm"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = floats(storage, layout, "group_norm")?;
        let (area, of_group) = self.sizes(layout);
        let (sums, channels) = (self.sums(x, of_group), self.weight.len());
        let mut out = vec![0.0; x.len()];
        out.par_chunks_mut(area).zip(x.par_chunks(area)).enumerate().for_each(|(i, (out, x))| {
            let (factor, term) = self.affine(&sums, i / channels, i % channels);
            if self.silu {
                out.iter_mut().zip(x).for_each(|(o, x)| *o = silu_of(x * factor + term));
            } else {
                out.iter_mut().zip(x).for_each(|(o, x)| *o = x * factor + term);
            }
        });
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}

impl InplaceOp1 for Norm {
    fn name(&self) -> &'static str {
        "group_norm"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (area, of_group) = self.sizes(layout);
        let x = floats_mut(storage, layout, "group_norm")?;
        let (sums, channels) = (self.sums(x, of_group), self.weight.len());
        x.par_chunks_mut(area).enumerate().for_each(|(i, x)| {
            let (factor, term) = self.affine(&sums, i / channels, i % channels);
            if self.silu {
                x.iter_mut().for_each(|x| *x = silu_of(*x * factor + term));
            } else {
                x.iter_mut().for_each(|x| *x = *x * factor + term);
            }
        });
        Ok(())
    }
}

/// As [`group_norm`] with SiLU, into the memory of `x`, which nobody else may hold: large maps are not allocated anew.
pub fn group_norm_silu_into(x: Tensor, weight: &Tensor, bias: &Tensor, groups: usize, epsilon: f32) -> Result<Tensor> {
    if !on_cpu(&x) || !x.is_contiguous() {
        return group_norm(&x, weight, bias, groups, epsilon, true);
    }
    x.inplace_op1(&Norm { weight: weight.to_vec1()?, bias: bias.to_vec1()?, groups, epsilon, silu: true })?;
    Ok(x)
}

struct Add;

impl InplaceOp2 for Add {
    fn name(&self) -> &'static str {
        "add_into"
    }

    fn cpu_fwd(&self, dst: &mut CpuStorage, layout: &Layout, x: &CpuStorage, x_layout: &Layout) -> Result<()> {
        let (out, x) = (floats_mut(dst, layout, "add_into")?, floats(x, x_layout, "add_into")?);
        out.par_chunks_mut(1 << 14).zip(x.par_chunks(1 << 14)).for_each(|(out, x)| {
            out.iter_mut().zip(x).for_each(|(o, x)| *o += x);
        });
        Ok(())
    }
}

/// `y + x` into the memory of `y`, which nobody else may hold.
pub fn add_into(y: Tensor, x: &Tensor) -> Result<Tensor> {
    if !on_cpu(&y) || !y.is_contiguous() || !x.is_contiguous() || y.shape() != x.shape() {
        return y + x;
    }
    y.inplace_op2(x, &Add)?;
    Ok(y)
}

/// `(b, channels, …)`, each group of channels to mean 0 and variance 1, then weight and bias by channel.
pub fn group_norm(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    groups: usize,
    epsilon: f32,
    silu_after: bool,
) -> Result<Tensor> {
    if on_cpu(x) {
        let norm = Norm { weight: weight.to_vec1()?, bias: bias.to_vec1()?, groups, epsilon, silu: silu_after };
        return x.contiguous()?.apply_op1_no_bwd(&norm);
    }
    composed::group_norm(x, weight, bias, groups, epsilon, silu_after)
}

struct Rows {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

impl CustomOp1 for Rows {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = floats(storage, layout, self.name())?;
        let width = self.weight.len();
        let mut out = vec![0.0; x.len()];
        out.par_chunks_mut(width).zip(x.par_chunks(width)).with_min_len(16).for_each(|(out, x)| {
            let mean = x.iter().sum::<f32>() / width as f32;
            let variance = x.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / width as f32;
            let inverse = 1.0 / (variance + self.epsilon).sqrt();
            for (i, out) in out.iter_mut().enumerate() {
                *out = (x[i] - mean) * inverse * self.weight[i] + self.bias[i];
            }
        });
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}

/// The last dimension to mean 0 and variance 1, then weight and bias.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f32) -> Result<Tensor> {
    if on_cpu(x) {
        let rows = Rows { weight: weight.to_vec1()?, bias: bias.to_vec1()?, epsilon };
        return x.contiguous()?.apply_op1_no_bwd(&rows);
    }
    composed::layer_norm(x, weight, bias, epsilon)
}

struct Softmax;

impl InplaceOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let width = layout.dims().last().copied().unwrap_or(1).max(1);
        let (CpuStorage::F32(values), Some((from, to))) = (storage, layout.contiguous_offsets()) else {
            return Err(Error::Msg("softmax takes contiguous float32".into()));
        };
        values[from..to].par_chunks_mut(width).with_min_len(8).for_each(|row| {
            let largest = row.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
            row.iter_mut().for_each(|v| *v = exp(*v - largest));
            let share = 1.0 / row.iter().sum::<f32>();
            row.iter_mut().for_each(|v| *v *= share);
        });
        Ok(())
    }
}

/// Over the last dimension; works in place where it can.
pub fn softmax(x: Tensor) -> Result<Tensor> {
    if on_cpu(&x) && x.is_contiguous() {
        x.inplace_op1(&Softmax)?;
        return Ok(x);
    }
    composed::softmax(&x)
}

/// A function of each number, or of two numbers that lie half a row apart.
struct Each {
    name: &'static str,
    gate: bool,
    function: fn(&mut [f32], &[f32]),
}

impl CustomOp1 for Each {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = floats(storage, layout, self.name)?;
        let mut dims = layout.dims().to_vec();
        let width = dims.last().copied().unwrap_or(1);
        let mut out = vec![0.0; if self.gate { x.len() / 2 } else { x.len() }];
        let function = self.function;
        if self.gate {
            if let Some(last) = dims.last_mut() {
                *last /= 2;
            }
            let rows = out.par_chunks_mut((width / 2).max(1)).zip(x.par_chunks(width.max(1)));
            rows.with_min_len(4).for_each(|(out, x)| function(out, x));
        } else {
            out.par_chunks_mut(1 << 14).zip(x.par_chunks(1 << 14)).for_each(|(out, x)| function(out, x));
        }
        Ok((CpuStorage::F32(out), Shape::from(dims)))
    }
}

pub fn silu(x: &Tensor) -> Result<Tensor> {
    if !on_cpu(x) {
        return x.silu();
    }
    let each =
        Each { name: "silu", gate: false, function: |o, x| o.iter_mut().zip(x).for_each(|(o, x)| *o = silu_of(*x)) };
    x.contiguous()?.apply_op1_no_bwd(&each)
}

/// GELU with the error function, not its approximation.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    if !on_cpu(x) {
        return x.gelu_erf();
    }
    let each =
        Each { name: "gelu", gate: false, function: |o, x| o.iter_mut().zip(x).for_each(|(o, x)| *o = gelu_of(*x)) };
    x.contiguous()?.apply_op1_no_bwd(&each)
}

/// x sigmoid(1.702 x): the approximation that OpenAI's CLIP was trained with.
pub fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    if !on_cpu(x) {
        return x * (((x * -1.702)?.exp()? + 1.0)?.recip()?);
    }
    let function = |o: &mut [f32], x: &[f32]| o.iter_mut().zip(x).for_each(|(o, x)| *o = x / (1.0 + exp(-1.702 * x)));
    x.contiguous()?.apply_op1_no_bwd(&Each { name: "quick_gelu", gate: false, function })
}

/// `(…, 2 n)` to `(…, n)`: the first half times the GELU of the second.
pub fn gelu_gate(x: &Tensor) -> Result<Tensor> {
    if !on_cpu(x) {
        return composed::gelu_gate(x);
    }
    let function = |o: &mut [f32], x: &[f32]| {
        let (value, gate) = x.split_at(o.len());
        o.iter_mut().zip(value.iter().zip(gate)).for_each(|(o, (v, g))| *o = v * gelu_of(*g));
    };
    x.contiguous()?.apply_op1_no_bwd(&Each { name: "gelu_gate", gate: true, function })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_and_error_function_are_exact_to_a_few_units() {
        for i in -870..=880 {
            let x = i as f32 * 0.1;
            let expected = f64::from(x).exp();
            assert!((f64::from(exp(x)) / expected - 1.0).abs() < 3e-7, "{x}");
        }
        for i in -500..=500 {
            let x = i as f32 * 0.01;
            let expected = candle_core::cpu::erf::erf_f64(f64::from(x));
            assert!((f64::from(erf(x)) - expected).abs() < 4e-7, "{x}: {} {expected}", erf(x));
        }
    }

    #[test]
    fn norms_and_softmax_are_those_of_their_definitions() {
        let device = candle_core::Device::Cpu;
        let x = Tensor::from_iter((0..2 * 6 * 5).map(|i| ((i * 37 % 61) as f32).sin() * 3.0 + 1.0), &device).unwrap();
        let x = x.reshape((2, 6, 5, 1)).unwrap();
        let weight = Tensor::from_iter((0..6).map(|i| i as f32 - 2.0), &device).unwrap();
        let y =
            group_norm(&x, &weight, &weight, 3, 1e-5, true).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let v = x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (i, y) in y.iter().enumerate() {
            let group = &v[i / 10 * 10..i / 10 * 10 + 10];
            let mean = group.iter().sum::<f32>() / 10.0;
            let variance = group.iter().map(|g| (g - mean).powi(2)).sum::<f32>() / 10.0;
            let w = (i / 5 % 6) as f32 - 2.0;
            let n = (v[i] - mean) / (variance + 1e-5).sqrt() * w + w;
            assert!((y - n / (1.0 + (-n).exp())).abs() < 1e-5);
        }
        let copy = x.affine(1.0, 0.0).unwrap();
        let into = group_norm_silu_into(copy, &weight, &weight, 3, 1e-5).unwrap();
        assert_eq!(into.flatten_all().unwrap().to_vec1::<f32>().unwrap(), y);
        let doubled =
            add_into(x.affine(1.0, 0.0).unwrap(), &x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(doubled.iter().zip(&v).all(|(d, v)| *d == 2.0 * v));
        let s = softmax(x.reshape((12, 5)).unwrap().copy().unwrap()).unwrap().sum(1).unwrap().to_vec1::<f32>().unwrap();
        assert!(s.iter().all(|s| (s - 1.0).abs() < 1e-6));
    }
}
