//! Masked signal modelling: most patches of a window are hidden, and a small decoder asks the encoder for them.
//!
//! As DreamDiffusion does (arXiv 2306.16934, section 3.1) after He et al. 2021 (arXiv 2111.06377): a class token in
//! front, the encoder on visible patches alone, a decoder on all, squared error on the hidden ones. Tokens stand in the
//! order visible, hidden, which is as good as their own, since positions travel with them: so nothing is gathered on the
//! way that has to be differentiated. The decoder is dropped when training ends.

mod batch;
mod decoder;
mod error;
mod state;

pub use error::{HeldOut, Trace};

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use candle_core::{Device, Tensor};

use self::{batch::Batch, decoder::Masked};
use super::{
    EncoderError, Shape, position,
    recording::Recording,
    save,
    train::{self, Vars},
};
use crate::signal::Random;

/// Between two states on disk.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// Times that the held-out error is measured on the way.
const MEASURES: usize = 30;
/// Held-out windows, on the way and at the end.
const TESTED: (usize, usize) = (32, 128);

/// How to train.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub shape: Shape,
    /// Share of the patches that are hidden.
    pub masked: f64,
    pub steps: usize,
    pub batch: usize,
    pub learning_rate: f64,
    /// Share of each recording, at its end, that is kept for the test.
    pub held_out: f64,
    pub seed: u64,
}

/// What became of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Steps done, in this run and those before.
    pub steps: usize,
    pub stopped: bool,
    /// Loss of each step.
    pub losses: Vec<f32>,
    /// Step and held-out error.
    pub tested: Vec<(usize, f32)>,
    pub held_out: HeldOut,
}

/// What a training is asked, from outside.
pub struct Watch<'a> {
    pub stop: &'a AtomicBool,
    /// Told after each step: steps done, its loss, the last held-out error.
    pub tell: &'a mut dyn FnMut(usize, f32, f32),
}

/// Trains, or goes on with a training that was stopped, and writes the encoder.
///
/// # Errors
/// Recordings too short, a state of another training, a file that cannot be written.
pub fn pretrain(
    recordings: &[Recording],
    plan: &Plan,
    output: &Path,
    watch: &mut Watch,
) -> Result<Outcome, EncoderError> {
    let refuse = |what: String| EncoderError::File { path: output.into(), what };
    plan.shape.check().map_err(refuse)?;
    let device = Device::Cpu;
    let parts = batch::parts(recordings, plan)?;
    let mut vars = Vars::default();
    vars.begin(&Masked::tensors(&plan.shape), &mut Random::new(plan.seed), &device)?;
    let state_file = state_path(output);
    let mut past = state::Past::default();
    if state_file.exists() {
        past = state::restore(&state_file, plan, &mut vars)?;
    }
    let model = Masked::new(&plan.shape, &vars, &device)?;
    let tests = batch::held_out(recordings, &parts, plan, TESTED.1);
    let mut saved = Instant::now();
    let mut stopped = false;
    for step in past.losses.len()..plan.steps {
        if watch.stop.load(Ordering::Relaxed) {
            stopped = true;
            break;
        }
        let (loss, gradients) = train::side_by_side(|worker| {
            let mut random = Random::new(plan.seed ^ ((step as u64) << 20) ^ ((worker as u64) << 60) ^ 0x6d61_736b);
            let batch = Batch::draw(recordings, &parts, plan, train::share(plan.batch), &mut random);
            model.loss(&batch, &device)
        })?;
        vars.step(&gradients, step + 1, train::rate_at(step, plan.steps, plan.learning_rate))?;
        past.losses.push(loss);
        let done = step + 1;
        if done.is_multiple_of((plan.steps / MEASURES).max(1)) || done == plan.steps {
            let few = &tests[..tests.len().min(TESTED.0)];
            past.tested.push((done, error::measure(&model, few, &plan.shape, &device)?.model));
        }
        (watch.tell)(done, loss, past.tested.last().map_or(f32::NAN, |(_, error)| *error));
        if saved.elapsed() > SAVE_EVERY {
            state::save(&state_file, plan, &vars, &past)?;
            saved = Instant::now();
        }
    }
    state::save(&state_file, plan, &vars, &past)?;
    write(output, plan, &vars, &device)?;
    let held_out = error::measure(&model, &tests, &plan.shape, &device)?;
    Ok(Outcome { steps: past.losses.len(), stopped, losses: past.losses, tested: past.tested, held_out })
}

/// Where a training that is not finished is kept: beside its output.
pub fn state_path(output: &Path) -> PathBuf {
    output.with_extension("state")
}

/// The encoder alone, with the names of the published one.
fn write(output: &Path, plan: &Plan, vars: &Vars, device: &Device) -> Result<(), EncoderError> {
    let shape = &plan.shape;
    let kept = shape.tensors().into_iter().map(|(name, _)| name).chain(["cls_token".to_owned()]);
    let mut tensors = std::collections::BTreeMap::new();
    for name in kept {
        if let Some(slot) = vars.vars.get(&name) {
            tensors.insert(name, slot.var.as_tensor().detach());
        }
    }
    let rows = (1, 1 + shape.tokens(), shape.width);
    let positions = Tensor::from_vec(position::sin_cos(shape.tokens(), shape.width), rows, device)?;
    tensors.insert("pos_embed".to_owned(), positions);
    save(output, &tensors, &shape.metadata())
}

#[cfg(test)]
mod tests;
