//! Pictures on their way from noise to latent, one pass of the U-Net at a time, and several in one pass.
//!
//! A stream (after StreamDiffusion, Kodaira et al. 2023) takes one step of each of n consecutive pictures in one pass: a
//! picture comes out of every pass, n passes after its noise went in. Each row has its own noise, timestep and memory, so
//! that a picture of the stream is the picture that its noise gives alone.

use std::{collections::VecDeque, sync::Arc};

use candle_core::{Device, Result, Tensor};

use super::{
    said::Ready,
    schedule::{Past, Schedule},
    unet::Unet,
};
use crate::Stamp;

/// A picture on its way.
#[derive(Clone)]
pub struct Run {
    pub schedule: Arc<Schedule>,
    /// The step that comes.
    next: usize,
    /// (4, h, w)
    pub latent: Vec<f32>,
    past: Past,
    pub stamp: Stamp,
}

impl Run {
    /// From noise of unit variance, and from `picture`'s latent with it where the schedule begins at a picture.
    pub fn new(schedule: Arc<Schedule>, noise: &[f32], picture: Option<&[f32]>, stamp: Stamp) -> Self {
        let latent = match (picture, schedule.steps().first()) {
            (Some(picture), Some(first)) => {
                let (noisy, clean) = schedule.mix(first);
                noise.iter().zip(picture).map(|(n, p)| noisy * n + clean * p).collect()
            }
            _ => noise.iter().map(|n| (f64::from(*n) * schedule.start) as f32).collect(),
        };
        Self { schedule, next: 0, latent, past: Past::default(), stamp }
    }

    pub fn is_done(&self) -> bool {
        self.next >= self.schedule.steps().len()
    }
}

/// What is the same for all pictures of a pass.
pub struct Passes<'a> {
    pub unet: &'a Unet,
    /// (h, w)
    pub size: [usize; 2],
    /// LCM's noise between steps, (steps, 4, h, w); none: noise of a fixed seed.
    pub noise: Option<&'a [f32]>,
}

impl Passes<'_> {
    /// Takes each picture one step on. `ready` must be spread over as many rows.
    pub fn pass(&self, runs: &mut [&mut Run], ready: &Ready) -> Result<()> {
        let [height, width] = self.size;
        let len = 4 * height * width;
        let mut rows = Vec::with_capacity(2 * runs.len() * len);
        let mut timesteps = Vec::with_capacity(2 * runs.len());
        for run in runs.iter() {
            let Some(step) = run.schedule.steps().get(run.next) else {
                candle_core::bail!("a picture was done already")
            };
            let scale = run.schedule.input_scale(step);
            rows.extend(run.latent.iter().map(|v| v * scale));
            timesteps.push(step.timestep);
        }
        let distilled = self.unet.config().guidance_width.is_some();
        let guidance = ready.guidance.filter(|_| !distilled);
        if guidance.is_some() {
            // The negative text is in the first half of the rows.
            rows.extend_from_within(..);
            timesteps.extend_from_within(..);
        }
        let input = Tensor::from_vec(rows, (timesteps.len(), 4, height, width), &Device::Cpu)?;
        let answer = self.unet.forward(&input, &timesteps, &ready.prepared, ready.guidance.filter(|_| distilled))?;
        let mut answer = answer.flatten_all()?.to_vec1::<f32>()?;
        if let Some(guidance) = guidance {
            let (without, with) = answer.split_at_mut(runs.len() * len);
            without.iter_mut().zip(with).for_each(|(u, c)| *u += guidance * (*c - *u));
        }
        for (run, answer) in runs.iter_mut().zip(answer.chunks_exact(len)) {
            let step = run.schedule.steps()[run.next];
            let between = run.schedule.wants_noise(&step).then(|| self.noise_between(run, len));
            run.schedule.advance(&step, &mut run.latent, answer, &mut run.past, between.as_deref());
            run.next += 1;
        }
        Ok(())
    }

    /// The noise that LCM adds after a step: what was given, or the same for every picture, so that only the signal moves
    /// it.
    fn noise_between(&self, run: &Run, len: usize) -> Vec<f32> {
        let i = run.schedule.skipped() + run.next;
        match self.noise.and_then(|n| n.get(i * len..(i + 1) * len)) {
            Some(given) => given.to_vec(),
            None => gauss(0x5eed + i as u64, len),
        }
    }
}

/// Pictures at each step of the way, the one nearest to its end first.
#[derive(Default)]
pub struct Stream {
    runs: VecDeque<Run>,
}

impl Stream {
    pub fn clear(&mut self) {
        self.runs.clear();
    }

    /// Whether a picture of this kind goes on with what is on its way.
    fn goes_on(&self, run: &Run) -> bool {
        let kind = |r: &Run| (r.schedule.sampler(), r.schedule.steps().len(), r.latent.len());
        self.runs.len() + 1 == run.schedule.steps().len() && self.runs.iter().all(|r| kind(r) == kind(run))
    }

    /// Puts a picture in at its start and gets the oldest out, done. The first of a stream fills all places on its way,
    /// which takes as many passes as it has steps.
    pub fn push(&mut self, run: Run, mut pass: impl FnMut(&mut [&mut Run]) -> Result<()>) -> Result<Option<Run>> {
        if !self.goes_on(&run) {
            self.runs.clear();
            let mut first = run.clone();
            for _ in 1..run.schedule.steps().len() {
                pass(&mut [&mut first])?;
                self.runs.push_front(first.clone());
            }
        }
        self.runs.push_back(run);
        let mut all: Vec<&mut Run> = self.runs.iter_mut().collect();
        if let Err(error) = pass(&mut all) {
            self.runs.clear();
            return Err(error);
        }
        Ok(self.runs.pop_front())
    }
}

/// Gaussian numbers of a seed, the same everywhere (SplitMix64, Box-Muller).
fn gauss(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed;
    let mut uniform = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    };
    let pair = |_| {
        let (r, turn) = ((-2.0 * (1.0 - uniform()).ln()).sqrt(), std::f64::consts::TAU * uniform());
        [(r * turn.cos()) as f32, (r * turn.sin()) as f32]
    };
    let mut values: Vec<f32> = (0..len.div_ceil(2)).flat_map(pair).collect();
    values.truncate(len);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_between_steps_is_gaussian() {
        let values = gauss(1, 40_000);
        let moment = |p: i32| values.iter().map(|v| f64::from(*v).powi(p)).sum::<f64>() / 40_000.0;
        assert!(moment(1).abs() < 0.02 && (moment(2) - 1.0).abs() < 0.03 && (moment(4) - 3.0).abs() < 0.2);
    }
}
