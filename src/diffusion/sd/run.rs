//! Pictures on their way from noise to latent, one pass of the U-Net at a time, and several in one pass.
//!
//! A stream (after StreamDiffusion, Kodaira et al. 2023) takes one step of each of n consecutive pictures in one pass: a
//! picture comes out of every pass, n passes after its noise went in. Each row has its own noise, timestep and memory, so
//! that a picture of the stream is the picture that its noise gives alone.

use std::{collections::VecDeque, sync::Arc};

use candle_core::{Result, Tensor};

use super::{
    known::Known,
    said::Ready,
    schedule::{FACTORS, Past, Sampler, Schedule, Step, advanced, scaled},
    unet::{Around, Unet},
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

    fn step(&self) -> Result<Step> {
        match self.schedule.steps().get(self.next) {
            Some(step) => Ok(*step),
            None => candle_core::bail!("a picture was done already"),
        }
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
        let steps = runs.iter().map(|run| run.step()).collect::<Result<Vec<_>>>()?;
        let distilled = self.unet.config().guidance_width.is_some();
        let guidance = ready.guidance.filter(|_| !distilled);
        let mut timesteps: Vec<f32> = steps.iter().map(|step| step.timestep).collect();
        if guidance.is_some() {
            timesteps.extend_from_within(..);
        }
        let by = self.factors(runs, &steps, guidance.unwrap_or(1.0))?;
        let noise = self.noise(runs, &steps)?;
        // PLMS steps with sums of answers, which it remembers.
        let remembers = runs.iter().any(|run| run.schedule.sampler() == Sampler::Plms);

        let form = u64::from(guidance.is_some()) + 2 * u64::from(noise.is_some()) + 4 * u64::from(remembers);
        let with: Vec<&Tensor> = [&by].into_iter().chain(&noise).collect();
        let around = Around {
            form,
            with: &with,
            before: &|x, with| {
                let x = scaled(x, with[0])?;
                // The negative text is in the first half of the rows.
                if guidance.is_some() { Tensor::cat(&[&x, &x], 0) } else { Ok(x) }
            },
            after: &|x, answer, with| {
                let answer = match guidance {
                    Some(_) => guided(&answer, &with[0].get(FACTORS)?)?,
                    None => answer,
                };
                if remembers { Ok(answer) } else { advanced(x, &answer, with.get(1).copied(), with[0]) }
            },
        };
        let latents = together(runs.iter().map(|run| &run.latent))?;
        let distilled = ready.guidance.filter(|_| distilled);
        let made = self.unet.forward(&latents, &timesteps, &ready.prepared, distilled, &around)?;
        for (row, run) in runs.iter_mut().enumerate() {
            let made = made.narrow(0, row, 1)?;
            run.latent = if remembers {
                let (x, answer) = run.past.blend(&run.latent, &made)?;
                advanced(&x, &answer, None, &by.narrow(1, row, 1)?)?
            } else {
                made
            };
            run.next += 1;
        }
        Ok(())
    }

    /// The factors of each row, and the guidance as one more, (FACTORS + 1, rows, 1, 1, 1).
    fn factors(&self, runs: &[&mut Run], steps: &[Step], guidance: f32) -> Result<Tensor> {
        let each: Vec<_> = runs.iter().zip(steps).map(|(run, step)| run.schedule.factors(step)).collect();
        let row = |factor: usize| each.iter().map(move |of| of.get(factor).copied().unwrap_or(guidance));
        let numbers: Vec<f32> = (0..=FACTORS).flat_map(row).collect();
        let key = numbers.iter().map(|number| number.to_bits()).collect();
        let shape = (FACTORS + 1, runs.len(), 1, 1, 1);
        self.between.factors.get(key, || Tensor::from_vec(numbers, shape, &self.place.device))
    }

    /// The noise that is added to each row, where there is one that wants it.
    fn noise(&self, runs: &[&mut Run], steps: &[Step]) -> Result<Option<Tensor>> {
        let wants = |(run, step): (&&mut Run, &Step)| run.schedule.wants_noise(step);
        if !runs.iter().zip(steps).any(wants) {
            return Ok(None);
        }
        // What a row does not want is multiplied by 0.
        let of = |run: &&mut Run| self.between.noise(run.schedule.skipped() + run.next, self.size, self.place);
        let rows = runs.iter().map(of).collect::<Result<Vec<_>>>()?;
        together(rows.iter()).map(Some)
    }
}

/// Rows in one tensor.
fn together<'a>(rows: impl ExactSizeIterator<Item = &'a Tensor>) -> Result<Tensor> {
    let rows: Vec<&Tensor> = rows.collect();
    if rows.len() == 1 { Ok(rows[0].clone()) } else { Tensor::cat(&rows, 0) }
}

/// Answers to the texts in the second half of the rows, measured against those to the negative ones in the first.
fn guided(answer: &Tensor, guidance: &Tensor) -> Result<Tensor> {
    let halves = answer.chunk(2, 0)?;
    &halves[0] + (&halves[1] - &halves[0])?.broadcast_mul(guidance)?
}

/// Noises and rows of factors that are kept: as many as the longest run has steps.
const KEPT: usize = 256;

/// What steps are taken with, made and brought to the device once: their factors, and the noise that LCM adds between
/// them, which was given or is the same for every picture, so that only the signal moves it.
pub struct Between {
    /// (steps, 4, h, w)
    given: Option<Vec<f32>>,
    made: Known<(usize, [usize; 2])>,
    factors: Known<Vec<u32>>,
}

impl Between {
    pub fn new(given: Option<Vec<f32>>) -> Self {
        Self { given, made: Known::new(KEPT), factors: Known::new(KEPT) }
    }

    /// After step `i`, `(1, 4, h, w)`.
    fn noise(&self, i: usize, size: [usize; 2], place: &Place) -> Result<Tensor> {
        self.made.get((i, size), || {
            let len = 4 * size[0] * size[1];
            let values = match self.given.as_ref().and_then(|n| n.get(i * len..(i + 1) * len)) {
                Some(given) => given.to_vec(),
                None => gauss(0x5eed + i as u64, len),
            };
            Tensor::from_vec(values, (1, 4, size[0], size[1]), &place.device)
        })
    }

    /// Frees the noise of pictures of another size.
    pub fn forget(&self) {
        self.made.clear();
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
