//! What training needs: variables by name, their first values, AdamW, and gradients from all cores.
//!
//! candle's own AdamW keeps its moments to itself; a training that goes on where it was stopped needs them.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor, Var, backprop::GradStore};

use super::layers::Named;
use crate::{kernels::physical_cores, signal::Random};

/// Of AdamW, as the masked autoencoder has them (arXiv 2111.06377, table 8).
const BETAS: (f64, f64) = (0.9, 0.95);
const EPSILON: f64 = 1e-8;
pub const WEIGHT_DECAY: f64 = 0.05;
/// Gradients that are longer are shortened to it.
const LONGEST_GRADIENT: f64 = 1.0;
/// Of the steps, in which the rate rises: 40 of 500.
const WARM_UP: f64 = 0.08;
/// What the rate falls to, as a part of the largest.
const LAST_RATE: f64 = 0.01;
/// Parts of a batch that are worked on side by side, at most.
const MOST_WORKERS: usize = 16;

/// Variables by name, with AdamW's moments.
#[derive(Default)]
pub struct Vars {
    pub vars: BTreeMap<String, Slot>,
}

/// A variable and what its steps remember.
pub struct Slot {
    pub var: Var,
    pub first: Vec<f32>,
    pub second: Vec<f32>,
}

impl Named for Vars {
    fn tensor(&self, name: &str) -> Result<Tensor> {
        let missing = || candle_core::Error::Msg(format!("there is no variable {name}"));
        self.vars.get(name).map(|slot| slot.var.as_tensor().clone()).ok_or_else(missing)
    }
}

impl Vars {
    /// Takes a tensor as the first value of a variable.
    pub fn insert(&mut self, name: &str, value: &Tensor) -> Result<()> {
        let count = value.elem_count();
        let slot = Slot { var: Var::from_tensor(value)?, first: vec![0.0; count], second: vec![0.0; count] };
        self.vars.insert(name.to_owned(), slot);
        Ok(())
    }

    /// First values by name and sizes: norms are one, biases zero, tokens and filters normal (0.02), all else uniform
    /// after Glorot and Bengio.
    pub fn begin(&mut self, tensors: &[(String, Vec<usize>)], random: &mut Random, device: &Device) -> Result<()> {
        for (name, dims) in tensors {
            let count = dims.iter().product::<usize>();
            let values: Vec<f32> = if name.ends_with("bias") {
                vec![0.0; count]
            } else if dims.len() == 1 {
                vec![1.0; count]
            } else if dims.len() == 2 {
                let reach = (6.0 / (dims[0] + dims[1]) as f64).sqrt();
                (0..count).map(|_| random.between(-reach, reach) as f32).collect()
            } else {
                (0..count).map(|_| (0.02 * random.normal()) as f32).collect()
            };
            self.insert(name, &Tensor::from_vec(values, dims.as_slice(), device)?)?;
        }
        Ok(())
    }

    /// One step of AdamW. `step` counts from 1.
    pub fn step(&mut self, gradients: &[GradStore], step: usize, rate: f64) -> Result<()> {
        let shares = gradients.len().max(1) as f32;
        let mut all = Vec::with_capacity(self.vars.len());
        let mut square = 0.0_f64;
        for slot in self.vars.values() {
            let mut sum = vec![0.0_f32; slot.first.len()];
            for gradient in gradients.iter().filter_map(|store| store.get(slot.var.as_tensor())) {
                let gradient = gradient.flatten_all()?.to_vec1::<f32>()?;
                sum.iter_mut().zip(&gradient).for_each(|(sum, g)| *sum += g / shares);
            }
            square += sum.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>();
            all.push(sum);
        }
        let norm = square.sqrt();
        if !norm.is_finite() {
            // One bad batch spoils nothing.
            return Ok(());
        }
        let shorten = if norm > LONGEST_GRADIENT { LONGEST_GRADIENT / norm } else { 1.0 } as f32;
        let corrected = |beta: f64| 1.0 - beta.powi(i32::try_from(step).unwrap_or(i32::MAX));
        let (first_scale, second_scale) = ((1.0 / corrected(BETAS.0)) as f32, (1.0 / corrected(BETAS.1)) as f32);
        let (b1, b2) = (BETAS.0 as f32, BETAS.1 as f32);
        for (slot, gradient) in self.vars.values_mut().zip(&all) {
            let mut values = slot.var.as_tensor().flatten_all()?.to_vec1::<f32>()?;
            let decay = if slot.var.as_tensor().rank() > 1 { (rate * WEIGHT_DECAY) as f32 } else { 0.0 };
            for (((w, g), m), v) in values.iter_mut().zip(gradient).zip(&mut slot.first).zip(&mut slot.second) {
                let g = g * shorten;
                *m = b1 * *m + (1.0 - b1) * g;
                *v = b2 * *v + (1.0 - b2) * g * g;
                *w -= decay * *w;
                *w -= rate as f32 * *m * first_scale / ((*v * second_scale).sqrt() + EPSILON as f32);
            }
            let dims = slot.var.as_tensor().dims().to_vec();
            slot.var.set(&Tensor::from_vec(values, dims, slot.var.as_tensor().device())?)?;
        }
        Ok(())
    }

    /// Values and moments, to be saved.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = BTreeMap::new();
        for (name, slot) in &self.vars {
            let value = slot.var.as_tensor();
            let like = |values: &Vec<f32>| Tensor::from_slice(values, value.dims(), &Device::Cpu);
            state.insert(format!("value.{name}"), value.detach().copy()?);
            state.insert(format!("first.{name}"), like(&slot.first)?);
            state.insert(format!("second.{name}"), like(&slot.second)?);
        }
        Ok(state)
    }

    /// Takes back what [`Vars::state`] gave; false if it is the state of other variables.
    pub fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<bool> {
        for (name, slot) in &mut self.vars {
            let part = |part: &str| state.get(&format!("{part}.{name}"));
            let (Some(value), Some(first), Some(second)) = (part("value"), part("first"), part("second")) else {
                return Ok(false);
            };
            if value.dims() != slot.var.as_tensor().dims() || value.dtype() != DType::F32 {
                return Ok(false);
            }
            slot.var.set(value)?;
            slot.first = first.flatten_all()?.to_vec1()?;
            slot.second = second.flatten_all()?.to_vec1()?;
        }
        Ok(true)
    }
}

/// Warm-up, then down along a half cosine.
pub fn rate_at(step: usize, steps: usize, largest: f64) -> f64 {
    let (step, steps) = (step as f64, (steps as f64).max(1.0));
    let warm = (WARM_UP * steps).max(1.0);
    if step < warm {
        return largest * (step + 1.0) / warm;
    }
    let along = ((step - warm) / (steps - warm).max(1.0)).clamp(0.0, 1.0);
    largest * (LAST_RATE + (1.0 - LAST_RATE) * 0.5 * (1.0 + (std::f64::consts::PI * along).cos()))
}

/// Does the shares of a batch side by side; each gives its loss. Their mean, and the gradients of each.
pub fn side_by_side(loss: impl Fn(usize) -> Result<Tensor> + Sync) -> Result<(f32, Vec<GradStore>)> {
    let one = |worker| -> Result<(f32, GradStore)> {
        let loss = loss(worker)?;
        Ok((loss.to_scalar::<f32>()?, loss.backward()?))
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers()).map(|worker| scope.spawn(move || one(worker))).collect();
        let stumbled = || Err(candle_core::Error::Msg("a thread of the training stumbled".to_owned()));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| stumbled())).collect()
    });
    let (losses, gradients): (Vec<f32>, Vec<GradStore>) =
        results.into_iter().collect::<Result<Vec<_>>>()?.into_iter().unzip();
    Ok((losses.iter().sum::<f32>() / losses.len().max(1) as f32, gradients))
}

/// Windows that a worker takes of a batch.
pub fn share(batch: usize) -> usize {
    batch.div_ceil(workers()).max(1)
}

/// As many as there are cores.
pub fn workers() -> usize {
    physical_cores().clamp(1, MOST_WORKERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_falls_and_never_leaves_its_range() {
        let rates: Vec<f64> = (0..500).map(|step| rate_at(step, 500, 1e-3)).collect();
        assert!(rates[0] < rates[20] && (rates[40] - 1e-3).abs() < 1e-5 && rates[499] < 2e-5);
        assert!(rates.iter().all(|rate| *rate > 0.0 && *rate <= 1e-3));
    }

    #[test]
    fn steps_find_the_least_of_a_bowl_and_go_on_from_a_saved_state() {
        let device = Device::Cpu;
        let goal = Tensor::new(&[3.0_f32, -2.0], &device).unwrap();
        let mut vars = Vars::default();
        vars.insert("w.bias", &Tensor::zeros(2, DType::F32, &device).unwrap()).unwrap();
        let run = |vars: &mut Vars, steps: std::ops::Range<usize>| {
            for step in steps {
                let w = vars.tensor("w.bias").unwrap();
                let (_, gradients) = side_by_side(|_| (&w - &goal)?.sqr()?.sum_all()).unwrap();
                vars.step(&gradients, step + 1, 0.05).unwrap();
            }
            vars.tensor("w.bias").unwrap().to_vec1::<f32>().unwrap()
        };
        run(&mut vars, 0..50);
        let state = vars.state().unwrap();
        let straight = run(&mut vars, 50..300);
        assert!((straight[0] - 3.0).abs() < 0.05 && (straight[1] + 2.0).abs() < 0.05, "{straight:?}");
        let mut again = Vars::default();
        again.insert("w.bias", &Tensor::zeros(2, DType::F32, &device).unwrap()).unwrap();
        assert!(again.restore(&state).unwrap());
        assert_eq!(run(&mut again, 50..300), straight);
        again.insert("other", &goal).unwrap();
        assert!(!again.restore(&state).unwrap());
    }
}
