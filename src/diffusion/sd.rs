//! Stable Diffusion 1.x, 2.x and XL, with Turbo and LCM models: from unit-variance noise and a text to a picture.
//!
//! ```text
//! text ──> words ──> CLIP ──> prepared keys and values ─┐
//! noise ──> schedule ──> U-Net (1..50 times) <──────────┘ ──> decoder ──> picture
//! ```
//!
//! Lives on the generating thread. A checkpoint is a diffusers folder or one file ([`files`]); LoRAs are added to its
//! weights while they are read. Everything is float32 on the CPU.

mod config;
mod files;
mod layers;
mod model;
mod schedule;
mod text;
mod unet;
mod vae;

use std::path::Path;

use candle_core::{Device, Tensor};

use crate::kernels::{Element, Instructions, Pool};

pub use config::Family;
pub use files::{LoraUse, Refusal, is_ours};
pub use schedule::{Prediction, Sampler, Schedule, ScheduleConfig, Spacing, Step};
pub use text::{Blend, Tokens};
pub use unet::Prepared;

use files::{Lora, Parts};
use layers::{At, Engine};
use text::{Clip, LENGTH, blends};
use unet::Unet;
use vae::{Decoder, Encoder, Tiny};

/// Pixels a latent cell, each way.
const FACTOR: usize = 8;

/// Which autoencoder makes the picture.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DecoderChoice {
    /// The checkpoint's own; TAESD where it has no other.
    #[default]
    Own,
    /// TAESD, from beside the checkpoint.
    Tiny,
}

/// What a checkpoint is loaded with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// None: as the checkpoint says.
    pub sampler: Option<Sampler>,
    pub decoder: DecoderChoice,
    pub loras: Vec<LoraUse>,
    /// Of the U-Net's products; sums, norms, text and autoencoder are float32 always.
    pub precision: Element,
    /// LCM's noise between steps, (steps, 4, h, w); none: noise of a fixed seed.
    pub noise: Option<Vec<f32>>,
}

/// What is to be seen. The default is the empty prompt.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Text {
    pub prompt: String,
    /// What is not to be seen; counts only with guidance.
    pub negative: String,
    /// How much the prompt counts against the negative one; 1 is one pass a step. None: as the checkpoint was made for.
    pub guidance: Option<f32>,
    pub blend: Blend,
}

/// A text's vectors: (1, words, width), and for SDXL (1, width) of the whole.
#[derive(Clone)]
pub struct Embedded {
    pub words: Tensor,
    pub pooled: Option<Tensor>,
}

/// An autoencoder of either kind.
enum Autoencoder {
    Kl(Box<Decoder>, Box<Encoder>),
    Tiny(Box<Tiny>),
}

/// A checkpoint ready to run.
pub struct StableDiffusion {
    engine: Engine,
    name: String,
    family: Family,
    padding: u32,
    zeros_for_empty: bool,
    unet: Unet,
    clip: Clip,
    clip_2: Option<Clip>,
    autoencoder: Autoencoder,
    schedule: ScheduleConfig,
    settings: Settings,
    /// The last text, made ready.
    ready: Option<(Text, [usize; 2], Ready)>,
    card: crate::diffusion::Card,
}

/// A text made ready, and the guidance it is used with: none is one pass a step.
#[derive(Clone)]
struct Ready {
    prepared: Prepared,
    guidance: Option<f32>,
}

impl StableDiffusion {
    /// Opens, checks and packs a checkpoint: seconds for a large one.
    pub fn load(path: &Path, settings: Settings, pool: &Pool) -> Result<Self, Refusal> {
        let mut parts = files::open(path)?;
        for used in &settings.loras {
            Lora::open(&used.path)?.apply(&mut parts, used.strength)?;
        }
        Self::build(parts, settings, pool)
    }

    /// What a checkpoint is, without making it ready to run.
    pub fn read_card(path: &Path) -> Result<crate::diffusion::Card, Refusal> {
        Ok(model::card(&files::open(path)?, &Settings::default()))
    }

    fn build(parts: Parts, settings: Settings, pool: &Pool) -> Result<Self, Refusal> {
        let path = parts.path.clone();
        let failed = |e: candle_core::Error| Refusal::new(&path, format!("cannot be built: {e}"));
        let engine = Engine::new(pool, Instructions::best(), settings.precision);
        if settings.precision == Element::Bfloat16 && !engine.bfloat16_pays() {
            tracing::warn!(
                "this processor multiplies float32 faster than bfloat16: --precision float32 is the faster one"
            );
        }
        let exact = engine.exact();
        let (tensors, config) = &parts.unet;
        let unet = Unet::new(&At::root(tensors, &engine), config.clone()).map_err(failed)?;
        tensors.check("unet", &path)?;
        let (tensors, config) = &parts.text;
        let (is_clip, width) = (config.width, unet.config().cross);
        let clip = Clip::new(&At::root(tensors, &exact), config.clone()).map_err(failed)?;
        tensors.check("text_encoder", &path)?;
        let clip_2 = match &parts.text_2 {
            None => None,
            Some((tensors, config)) => {
                let clip = Clip::new(&At::root(tensors, &exact), config.clone()).map_err(failed)?;
                tensors.check("text_encoder_2", &path)?;
                Some(clip)
            }
        };
        let text_width = is_clip + parts.text_2.as_ref().map_or(0, |t| t.1.width);
        if text_width != width {
            let what = format!(
                "has text models of {text_width} channels, but its U-Net takes {width}; its parts are of different models"
            );
            return Err(Refusal::new(&path, what));
        }
        let autoencoder = autoencoder(&parts, &settings, &exact)?;
        let card = model::card(&parts, &settings);
        Ok(Self {
            engine,
            name: parts.name,
            family: parts.family,
            padding: parts.padding,
            zeros_for_empty: parts.zeros_for_empty,
            unet,
            clip,
            clip_2,
            autoencoder,
            schedule: parts.schedule,
            settings,
            ready: None,
            card,
        })
    }

    pub fn family(&self) -> Family {
        self.family
    }

    pub fn schedule_config(&self) -> &ScheduleConfig {
        &self.schedule
    }

    pub fn schedule(&self, steps: usize) -> Schedule {
        Schedule::new(&self.schedule, self.settings.sampler.unwrap_or(self.schedule.sampler), steps)
    }

    /// The numbers of a prompt's words as the text models see them.
    pub fn tokens(&self, prompt: &str) -> Vec<Tokens> {
        let mut all = vec![Tokens::of(prompt, self.padding)];
        if self.clip_2.is_some() {
            all.push(Tokens::of(prompt, 0));
        }
        all
    }

    /// A prompt's vectors; blends and weights of words are resolved.
    pub fn embed(&self, prompt: &str, blend: Blend) -> candle_core::Result<Embedded> {
        let mut mixed: Option<(Embedded, f32)> = None;
        for (prompt, share) in blends(prompt) {
            let next = self.embed_one(prompt)?;
            mixed = Some(match mixed {
                None => (next, share),
                Some((before, sum)) => {
                    let part = f64::from(share / (sum + share));
                    let mix = |a: &Tensor, b: &Tensor| match blend {
                        Blend::Linear => (a * (1.0 - part))? + (b * part)?,
                        Blend::Slerp => slerp(a, b, part),
                    };
                    let pooled = match (&before.pooled, &next.pooled) {
                        (Some(a), Some(b)) => Some(mix(a, b)?),
                        _ => None,
                    };
                    (Embedded { words: mix(&before.words, &next.words)?, pooled }, sum + share)
                }
            });
        }
        mixed.map_or_else(|| self.embed_one(""), |m| Ok(m.0))
    }

    fn embed_one(&self, prompt: &str) -> candle_core::Result<Embedded> {
        let encode = |clip: &Clip, padding: u32| {
            let tokens = Tokens::of(prompt, padding);
            if tokens.left_out > 0 {
                tracing::warn!("the prompt is {} words too long; its end is left out", tokens.left_out);
            }
            let empty = Tokens::of("", padding);
            let mut prompts = vec![tokens.numbers.as_slice()];
            if tokens.is_weighted() {
                prompts.push(&empty.numbers);
            }
            let encoded = clip.encode(&prompts)?;
            let words = if self.family == Family::Sdxl { &encoded.before_last } else { &encoded.last };
            let mut weighted = words.narrow(0, 0, 1)?;
            if tokens.is_weighted() {
                // A weight moves a word's vector away from the one that the empty prompt has at its place.
                let neutral = words.narrow(0, 1, 1)?;
                let weights = Tensor::from_vec(tokens.weights, (1, LENGTH, 1), clip.device())?;
                weighted = ((weighted - &neutral)?.broadcast_mul(&weights)? + neutral)?;
            }
            let pooled = encoded.pooled.map(|p| p.narrow(0, 0, 1)).transpose()?;
            candle_core::Result::Ok((weighted, pooled))
        };
        let (words, _) = encode(&self.clip, self.padding)?;
        match &self.clip_2 {
            None => Ok(Embedded { words, pooled: None }),
            Some(clip) => {
                let (more, pooled) = encode(clip, 0)?;
                Ok(Embedded { words: Tensor::cat(&[words, more], 2)?, pooled })
            }
        }
    }

    /// A text for the U-Net: one row, or with guidance two, the negative one first.
    fn prepare(&self, text: &Text, [height, width]: [usize; 2]) -> candle_core::Result<Ready> {
        let guidance = text.guidance.unwrap_or(self.schedule.guidance);
        let both_empty = text.prompt.trim().is_empty() && text.negative.trim().is_empty();
        let guided = guidance != 1.0 && !both_empty && self.unet.config().guidance_width.is_none();
        let mut rows = vec![self.embed(&text.prompt, text.blend)?];
        if guided {
            let mut negative = self.embed(&text.negative, text.blend)?;
            if self.zeros_for_empty && text.negative.trim().is_empty() {
                negative.words = negative.words.zeros_like()?;
                negative.pooled = negative.pooled.map(|p| p.zeros_like()).transpose()?;
            }
            rows.insert(0, negative);
        }
        let words: Vec<&Tensor> = rows.iter().map(|r| &r.words).collect();
        let pooled: Vec<&Tensor> = rows.iter().filter_map(|r| r.pooled.as_ref()).collect();
        let pooled = if pooled.is_empty() { None } else { Some(Tensor::cat(&pooled, 0)?) };
        let (h, w) = ((FACTOR * height) as f32, (FACTOR * width) as f32);
        let size = [h, w, 0.0, 0.0, h, w];
        let prepared = self.unet.prepare(&Tensor::cat(&words, 0)?, pooled.as_ref().map(|p| (p, size)))?;
        let distilled = self.unet.config().guidance_width.is_some();
        Ok(Ready { prepared, guidance: (guided || distilled).then_some(guidance) })
    }

    /// The U-Net's answer for each row of `x` (rows, 4, h, w), at a timestep of its own, all with the same text.
    pub fn answer(
        &self,
        x: &Tensor,
        timesteps: &[f32],
        with: &Prepared,
        guidance: Option<f32>,
    ) -> candle_core::Result<Tensor> {
        self.unet.forward(x, timesteps, with, guidance)
    }

    /// Makes vectors ready for [`Self::answer`], for pictures of `height` x `width` latent cells.
    pub fn ready(&self, with: &Embedded, [height, width]: [usize; 2]) -> candle_core::Result<Prepared> {
        let (h, w) = ((FACTOR * height) as f32, (FACTOR * width) as f32);
        self.unet.prepare(&with.words, with.pooled.as_ref().map(|p| (p, [h, w, 0.0, 0.0, h, w])))
    }

    /// From noise `(1, 4, h, w)` of unit variance to the latent of a picture. `after` sees the latent after each step.
    pub fn denoise(
        &self,
        noise: &Tensor,
        text: &Text,
        steps: usize,
        after: &mut dyn FnMut(usize, &[f32]),
    ) -> candle_core::Result<Vec<f32>> {
        let (_, _, h, w) = noise.dims4()?;
        let ready = self.prepare(text, [h, w])?;
        self.denoise_with(noise, &ready, steps, after)
    }

    fn denoise_with(
        &self,
        noise: &Tensor,
        ready: &Ready,
        steps: usize,
        after: &mut dyn FnMut(usize, &[f32]),
    ) -> candle_core::Result<Vec<f32>> {
        let shape = noise.dims4()?;
        let len = shape.1 * shape.2 * shape.3;
        let schedule = self.schedule(steps);
        let mut x = (noise * schedule.start)?.flatten_all()?.to_vec1::<f32>()?;
        let distilled = self.unet.config().guidance_width.is_some();
        for (i, step) in schedule.steps().iter().enumerate() {
            let scale = schedule.input_scale(step);
            let mut row: Vec<f32> = x.iter().map(|v| v * scale).collect();
            let guidance = ready.guidance.filter(|_| !distilled);
            if guidance.is_some() {
                row.extend_from_within(..);
            }
            let rows = row.len() / len;
            let input = Tensor::from_vec(row, (rows, shape.1, shape.2, shape.3), noise.device())?;
            let distilled = ready.guidance.filter(|_| distilled);
            let answer = self.answer(&input, &vec![step.timestep; rows], &ready.prepared, distilled)?;
            let mut answer = answer.flatten_all()?.to_vec1::<f32>()?;
            if let Some(guidance) = guidance {
                let (without, with) = answer.split_at_mut(len);
                without.iter_mut().zip(with).for_each(|(u, c)| *u += guidance * (*c - *u));
                answer.truncate(len);
            }
            let fresh = schedule.wants_noise(step).then(|| self.noise_between(i, len));
            schedule.advance(step, &mut x, &answer, fresh.as_deref());
            after(i, &x);
        }
        Ok(x)
    }

    /// The noise that LCM adds after step `i`: what was given, or the same for every picture, so that only the signal
    /// moves it.
    fn noise_between(&self, i: usize, len: usize) -> Vec<f32> {
        match self.settings.noise.as_ref().and_then(|n| n.get(i * len..(i + 1) * len)) {
            Some(given) => given.to_vec(),
            None => gauss(0x5eed + i as u64, len),
        }
    }

    /// A latent `(b, 4, h, w)` to a picture `(b, 3, 8 h, 8 w)`, about -1..1.
    pub fn decode(&self, latent: &Tensor) -> candle_core::Result<Tensor> {
        match &self.autoencoder {
            Autoencoder::Kl(decoder, _) => decoder.forward(latent),
            Autoencoder::Tiny(tiny) => tiny.decode(latent),
        }
    }

    /// A picture `(b, 3, 8 h, 8 w)`, -1..1, to its latent `(b, 4, h, w)` as the U-Net has it.
    pub fn encode(&self, picture: &Tensor) -> candle_core::Result<Tensor> {
        match &self.autoencoder {
            Autoencoder::Kl(_, encoder) => encoder.forward(picture),
            Autoencoder::Tiny(tiny) => match tiny.encode(picture)? {
                Some(latent) => Ok(latent),
                None => candle_core::bail!("the tiny decoder of {} came without its encoder", self.name),
            },
        }
    }
}

fn autoencoder(parts: &Parts, settings: &Settings, engine: &Engine) -> Result<Autoencoder, Refusal> {
    let path = &parts.path;
    let failed = |e: candle_core::Error| Refusal::new(path, format!("cannot be built: {e}"));
    let tiny = |tensors: &files::Tensors, path: &Path| {
        let tiny = Tiny::new(&At::root(tensors, engine), tensors).map_err(failed)?;
        tensors.check("taesd", path)?;
        Ok(Autoencoder::Tiny(Box::new(tiny)))
    };
    match (&settings.decoder, &parts.vae, &parts.taesd) {
        (DecoderChoice::Tiny, _, Some(tensors)) | (DecoderChoice::Own, None, Some(tensors)) => tiny(tensors, path),
        (DecoderChoice::Own, Some((tensors, config)), _) => {
            let root = At::root(tensors, engine);
            let decoder = Decoder::new(&root, config).map_err(failed)?;
            let encoder = Encoder::new(&root, config).map_err(failed)?;
            tensors.check("vae", path)?;
            Ok(Autoencoder::Kl(Box::new(decoder), Box::new(encoder)))
        }
        (DecoderChoice::Tiny, _, None) => {
            let name = if parts.family == Family::Sdxl { "taesdxl" } else { "taesd" };
            let what = format!(
                "has no TAESD beside it; put {name}_decoder.safetensors (or the diffusers folder {name}/) there, or use --decoder vae"
            );
            Err(Refusal::new(path, what))
        }
        (DecoderChoice::Own, None, None) => Err(Refusal::new(path, "has no decoder")),
    }
}

/// Each word's vector along the great circle, its length in between; straight where the two are nearly parallel.
fn slerp(a: &Tensor, b: &Tensor, part: f64) -> candle_core::Result<Tensor> {
    let shape = a.dims().to_vec();
    let width = shape.last().copied().unwrap_or(1);
    let (mut from, to) = (a.flatten_all()?.to_vec1::<f32>()?, b.flatten_all()?.to_vec1::<f32>()?);
    for (a, b) in from.chunks_exact_mut(width).zip(to.chunks_exact(width)) {
        let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
        let lengths = (dot(a, a).sqrt(), dot(b, b).sqrt());
        let cosine = dot(a, b) / (lengths.0 * lengths.1).max(1e-30);
        let (p, q) = if cosine.abs() > 0.9995 {
            (1.0 - part, part)
        } else {
            let angle = cosine.acos();
            let length = lengths.0 * (1.0 - part) + lengths.1 * part;
            let share = |x: f64| (x * angle).sin() / angle.sin() * length;
            (share(1.0 - part) / lengths.0, share(part) / lengths.1)
        };
        a.iter_mut().zip(b).for_each(|(a, b)| *a = (p * f64::from(*a) + q * f64::from(*b)) as f32);
    }
    Tensor::from_vec(from, shape, &Device::Cpu)
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

    #[test]
    fn half_way_between_two_words_the_length_is_kept() {
        let tensor = |v: [f32; 2]| Tensor::from_slice(&v, (1, 2), &Device::Cpu).unwrap();
        let middle = slerp(&tensor([2.0, 0.0]), &tensor([0.0, 2.0]), 0.5)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        assert!((middle[0] - 2.0_f32.sqrt()).abs() < 1e-6 && (middle[1] - 2.0_f32.sqrt()).abs() < 1e-6);
    }
}
