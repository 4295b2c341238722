//! Stable Diffusion as one of the program's models.

use std::time::Instant;

use candle_core::{Device, Tensor};

use super::{Autoencoder, DecoderChoice, FACTOR, Settings, StableDiffusion, files::Parts};
use crate::{
    diffusion::{Card, Conditioning, GenerateError, Model, Picture, Raw, Runtime, Timing},
    kernels::Element,
    latent::{Latent, Shape},
};

/// Most steps of a run, and longest side of a latent (2048 pixels).
const MOST_STEPS: usize = 50;
const LARGEST: usize = 256;

/// Of a checkpoint, with the sampler that it is loaded with.
pub fn card(parts: &Parts, settings: &Settings) -> Card {
    let own = settings.sampler.is_none_or(|s| s == parts.schedule.sampler);
    let texts = parts.text.0.count() + parts.text_2.as_ref().map_or(0, |t| t.0.count());
    let decoder = match (&settings.decoder, &parts.vae, &parts.taesd) {
        (DecoderChoice::Own, Some((tensors, _)), _) | (_, _, Some(tensors)) => tensors.count(),
        _ => 0,
    };
    Card {
        name: parts.name.clone(),
        genres: Vec::new(),
        scene: Vec::new(),
        context_width: 0,
        latent_channels: 4,
        factor: FACTOR,
        multiple: parts.unet.1.multiple(),
        max_steps: MOST_STEPS,
        usual_steps: if own { parts.schedule.steps } else { 20 },
        reads_text: true,
        weights: parts.unet.0.count() + texts + decoder,
    }
}

impl StableDiffusion {
    fn failed(&self, e: impl std::fmt::Display) -> GenerateError {
        GenerateError::Failed { model: self.name.clone(), why: e.to_string() }
    }

    /// The latent of the picture, (1, 4, h, w).
    fn latent_of(&mut self, latent: &Latent, with: &Conditioning, steps: usize) -> Result<Tensor, GenerateError> {
        let Shape { channels, height, width } = latent.shape;
        let multiple = self.card.multiple;
        let side = |n: usize| n > 0 && n.is_multiple_of(multiple) && n <= LARGEST;
        if channels != 4 || !side(height) || !side(width) || latent.values.len() != latent.shape.len() {
            return Err(GenerateError::Shape {
                model: self.name.clone(),
                expected: format!("4 x height x width, both multiples of {multiple} up to {LARGEST}"),
                found: format!("{channels} x {height} x {width}, {} values", latent.values.len()),
            });
        }
        let run = |this: &mut Self| {
            let noise = Tensor::from_slice(&latent.values, (1, channels, height, width), &Device::Cpu)?;
            let text = with.text.clone().unwrap_or_default();
            let size = [height, width];
            if this.ready.as_ref().is_some_and(|(_, its, _)| *its != size) {
                this.engine.forget();
            }
            let ready = match this.ready.take() {
                Some((known, its, ready)) if known == text && its == size => ready,
                _ => this.prepare(&text, size)?,
            };
            let found = this.denoise_with(&noise, &ready, steps, &mut |_, _| {});
            this.ready = Some((text, size, ready));
            Tensor::from_vec(found?, (1, channels, height, width), &Device::Cpu)
        };
        run(self).map_err(|e: candle_core::Error| self.failed(e))
    }
}

impl Model for StableDiffusion {
    fn spent(&self) -> Vec<(&'static str, f64)> {
        self.engine.spent()
    }

    fn runtime(&self) -> Runtime {
        let numbers = match self.settings.precision {
            Element::Float32 => "float32",
            Element::Bfloat16 => "bfloat16",
        };
        let instructions = format!("{}, {numbers}", self.engine.set.name());
        Runtime { instructions, threads: self.engine.pool.threads() }
    }

    fn card(&self) -> &Card {
        &self.card
    }

    fn flops(&self, shape: Shape, steps: usize) -> u64 {
        let decode = match &self.autoencoder {
            Autoencoder::Kl(decoder, _) => decoder.flops(shape.height, shape.width),
            Autoencoder::Tiny(tiny) => tiny.flops(shape.height, shape.width),
        };
        steps.clamp(1, MOST_STEPS) as u64 * self.unet.flops(shape.height, shape.width) + decode
    }

    fn generate(
        &mut self,
        latent: &Latent,
        with: &Conditioning,
        steps: usize,
        picture: &mut Picture,
    ) -> Result<Timing, GenerateError> {
        let start = Instant::now();
        let denoised = self.latent_of(latent, with, steps)?;
        let between = Instant::now();
        let values =
            self.decode(&denoised).and_then(|i| i.flatten_all()?.to_vec1::<f32>()).map_err(|e| self.failed(e))?;
        (picture.stamp, picture.height, picture.width) =
            (latent.stamp, FACTOR * latent.shape.height, FACTOR * latent.shape.width);
        let area = picture.height * picture.width;
        picture.rgba.resize(4 * area, 255);
        let byte = |v: f32| ((v * 0.5 + 0.5).clamp(0.0, 1.0) * 255.0).round() as u8;
        for (i, pixel) in picture.rgba.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            pixel.copy_from_slice(&[byte(values[i]), byte(values[area + i]), byte(values[2 * area + i]), 255]);
        }
        let ms = |from: Instant, to: Instant| (to - from).as_secs_f32() * 1e3;
        Ok(Timing { denoise_ms: ms(start, between), decode_ms: ms(between, Instant::now()) })
    }

    fn generate_raw(&mut self, latent: &Latent, with: &Conditioning, steps: usize) -> Result<Raw, GenerateError> {
        let denoised = self.latent_of(latent, with, steps)?;
        let numbers = |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f32>());
        let image = self.decode(&denoised).and_then(|i| numbers(&i)).map_err(|e| self.failed(e))?;
        let values = numbers(&denoised).map_err(|e| self.failed(e))?;
        Ok(Raw { latent: values, latent_shape: latent.shape, image })
    }
}
