//! Pictures on their way from noise to latent, one pass of the U-Net at a time, and several in one pass.
//!
//! A stream (after StreamDiffusion, Kodaira et al. 2023) takes one step of each of n consecutive pictures in one pass: a
//! picture comes out of every pass, n passes after its noise went in. Each row has its own noise, timestep and memory, so
//! that a picture of the stream is the picture that its noise gives alone.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use candle_core::{Device, Result, Tensor};

use super::{
    said::Ready,
    schedule::{Past, Schedule},
    unet::Unet,
};
use crate::{Stamp, diffusion::device::Place};

/// A picture on its way, on the device that the U-Net is on.
#[derive(Clone)]
pub struct Run {
    pub schedule: Arc<Schedule>,
    /// The step that comes.
    next: usize,
    /// (1, 4, h, w), float32
    pub latent: Tensor,
    past: Past,
    pub stamp: Stamp,
}

impl Run {
    /// From noise of unit variance, and from `picture`'s latent with it where the schedule begins at a picture; both
    /// (1, 4, h, w), float32.
    pub fn new(schedule: Arc<Schedule>, noise: &Tensor, picture: Option<&Tensor>, stamp: Stamp) -> Result<Self> {
        let latent = match (picture, schedule.steps().first()) {
            (Some(picture), Some(first)) => {
                let (noisy, clean) = schedule.mix(first);
                ((noise * f64::from(noisy))? + (picture * f64::from(clean))?)?
            }
            _ => (noise * schedule.start)?,
        };
        Ok(Self { schedule, next: 0, latent, past: Past::default(), stamp })
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
    pub between: &'a Between,
    pub place: &'a Place,
}

impl Passes<'_> {
    /// Takes each picture one step on. `ready` must be spread over as many rows. Nothing comes back from the device.
    pub fn pass(&self, runs: &mut [&mut Run], ready: &Ready) -> Result<()> {
        let mut rows = Vec::with_capacity(2 * runs.len());
        let mut timesteps = Vec::with_capacity(2 * runs.len());
        for run in runs.iter() {
            let Some(step) = run.schedule.steps().get(run.next) else {
                candle_core::bail!("a picture was done already")
            };
            rows.push((&run.latent * f64::from(run.schedule.input_scale(step)))?);
            timesteps.push(step.timestep);
        }
        let distilled = self.unet.config().guidance_width.is_some();
        let guidance = ready.guidance.filter(|_| !distilled);
        if guidance.is_some() {
            // The negative text is in the first half of the rows.
            rows.extend_from_within(..);
            timesteps.extend_from_within(..);
        }
        let input = if rows.len() == 1 { rows.swap_remove(0) } else { Tensor::cat(&rows, 0)? };
        let mut answer =
            self.unet.forward(&input, &timesteps, &ready.prepared, ready.guidance.filter(|_| distilled))?;
        if let Some(guidance) = guidance {
            let halves = answer.chunk(2, 0)?;
            answer = (&halves[0] + ((&halves[1] - &halves[0])? * f64::from(guidance))?)?;
        }
        for (row, run) in runs.iter_mut().enumerate() {
            let step = run.schedule.steps()[run.next];
            let between = if run.schedule.wants_noise(&step) {
                Some(self.between.noise(run.schedule.skipped() + run.next, self.size, self.place)?)
            } else {
                None
            };
            let answer = answer.narrow(0, row, 1)?;
            run.latent = run.schedule.advance(&step, &run.latent, &answer, &mut run.past, between.as_ref())?;
            run.next += 1;
        }
        Ok(())
    }
}

/// The noise that LCM adds between steps: what was given, or the same for every picture, so that only the signal moves
/// it. Made and brought to the device once.
pub struct Between {
    /// (steps, 4, h, w)
    given: Option<Vec<f32>>,
    made: Mutex<BTreeMap<(usize, [usize; 2]), Tensor>>,
}

impl Between {
    pub fn new(given: Option<Vec<f32>>) -> Self {
        Self { given, made: Mutex::default() }
    }

    /// After step `i`, `(1, 4, h, w)`.
    fn noise(&self, i: usize, size: [usize; 2], place: &Place) -> Result<Tensor> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(noise) = made.get(&(i, size)) {
            return Ok(noise.clone());
        }
        let len = 4 * size[0] * size[1];
        let values = match self.given.as_ref().and_then(|n| n.get(i * len..(i + 1) * len)) {
            Some(given) => given.to_vec(),
            None => gauss(0x5eed + i as u64, len),
        };
        let noise = Tensor::from_vec(values, (1, 4, size[0], size[1]), &Device::Cpu)?.to_device(&place.device)?;
        made.insert((i, size), noise.clone());
        Ok(noise)
    }

    /// Frees the noise of pictures of another size.
    pub fn forget(&self) {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clear();
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
        let kind = |r: &Run| (r.schedule.sampler(), r.schedule.steps().len(), r.latent.dims().to_vec());
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
