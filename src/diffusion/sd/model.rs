//! Stable Diffusion as one of the program's models.

use std::{
    borrow::Cow,
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

use candle_core::{Result, Tensor};

use super::{
    Begin, DecoderChoice, FACTOR, Run, Settings, StableDiffusion, Text, Time,
    files::{Parts, Tensors},
    maps, numbers, unet,
};
use crate::{
    Stamp,
    diffusion::{Arriving, Card, Conditioning, GenerateError, Model, Picture, Raw, Runtime, Timing, feedback},
    kernels::{Coming, Mark},
    latent::{Latent, Shape},
};

/// Most steps of a run, and longest side of a latent (2048 pixels).
const MOST_STEPS: usize = 50;
const LARGEST: usize = 256;

/// A picture that may be fed back.
pub struct Last {
    stamp: Stamp,
    size: [usize; 2],
    /// (1, 4, h, w)
    latent: Tensor,
    /// (1, 3, 8 h, 8 w), about -1..1
    image: Tensor,
}

/// A finished picture before it is bytes.
struct Painted {
    stamp: Stamp,
    /// (1, 4, h, w)
    latent: Tensor,
}

/// Of a checkpoint, with the sampler that it is loaded with.
pub fn card(parts: &Parts, settings: &Settings) -> Card {
    let own = settings.sampler.is_none_or(|s| s == parts.schedule.sampler);
    let count = |text: &Option<(Tensors, _)>| text.as_ref().map_or(0, |t| t.0.count());
    let texts = count(&parts.text) + count(&parts.text_2);
    let decoder = match (&settings.decoder, &parts.vae, &parts.taesd) {
        (DecoderChoice::Own, Some((tensors, _)), _) | (_, _, Some(tensors)) => tensors.count(),
        _ => 0,
    };
    let needs_signal = parts.text.is_none();
    Card {
        name: parts.name.clone(),
        genres: Vec::new(),
        scene: Vec::new(),
        context_width: 0,
        latent_channels: 4,
        factor: FACTOR,
        multiple: parts.unet.1.multiple(),
        max_steps: if needs_signal { super::schedule::MOST_STEPS } else { MOST_STEPS },
        usual_steps: if own { parts.schedule.steps } else { 20 },
        reads_text: true,
        needs_signal,
        words: [parts.words, parts.unet.1.cross],
        weights: parts.unet.0.count() + texts + decoder,
        bytes: (unet::packed_bytes(&parts.unet.0) + size_of::<f32>() * (texts + decoder)) as u64,
    }
}

impl StableDiffusion {
    fn failed(&self, e: impl std::fmt::Display) -> GenerateError {
        GenerateError::Failed { model: self.name.clone(), why: e.to_string() }
    }

    fn check(&self, latent: &Latent) -> std::result::Result<(), GenerateError> {
        let Shape { channels, height, width } = latent.shape;
        let multiple = self.card.multiple;
        let side = |n: usize| n > 0 && n.is_multiple_of(multiple) && n <= LARGEST;
        if channels == 4 && side(height) && side(width) && latent.values.len() == latent.shape.len() {
            return Ok(());
        }
        Err(GenerateError::Shape {
            model: self.name.clone(),
            expected: format!("4 x height x width, both multiples of {multiple} up to {LARGEST}"),
            found: format!("{channels} x {height} x {width}, {} values", latent.values.len()),
        })
    }

    /// Brings LoRAs and text to what is asked for, and the latent of a picture to its end.
    fn paint(&mut self, latent: &Latent, with: &Conditioning, steps: usize) -> Result<Painted> {
        let size = [latent.shape.height, latent.shape.width];
        let text = with.text.as_ref().map_or_else(Cow::default, Cow::Borrowed);
        let guidance = self.guidance(&text);
        let passed_secs = self.last_stamp.as_ref().map_or(0.0, |last| latent.stamp.secs_since(last) as f32);
        self.last_stamp = Some(latent.stamp);
        if self.size.replace(size).is_some_and(|before| before != size) {
            self.engine.forget();
            self.between.forget();
            self.unet.forget();
            self.autoencoders.forget();
        }
        self.rack.follow(&with.way.loras, with.live);
        self.unet.layers_are_of(self.rack.generation());
        let time = Time { glide_secs: with.way.glide_secs, passed_secs, live: with.live };
        self.said.follow(&text, self.rack.voice(), guidance != 1.0, time)?;
        self.said.hear(with.signal.as_ref());

        let start = self.start(latent, with)?;
        let begin = start.as_ref().map_or(Begin::Noise, |(_, begin)| *begin);
        let schedule = self.schedule_of(with.way.sampler, steps, begin);
        let noise = maps(latent.values.to_vec(), 4, size, &self.engine.place.device)?;
        let run = Run::new(Arc::new(schedule), &noise, start.as_ref().map(|(latent, _)| latent), latent.stamp)?;
        let run = if with.way.stream && run.schedule.steps().len() > 1 {
            self.flow(run, size, guidance)?
        } else {
            self.stream.clear();
            self.sequence(run, size, guidance)?
        };
        Ok(Painted { stamp: run.stamp, latent: run.latent })
    }

    /// How much the prompt counts. Without a text model nothing reads it, and there is nothing to measure it against: that
    /// is told once.
    fn guidance(&mut self, text: &Text) -> f32 {
        if !self.card.needs_signal {
            return text.guidance.unwrap_or(self.schedule.guidance);
        }
        let asked = !text.prompt.trim().is_empty() || !text.negative.trim().is_empty();
        if asked && !std::mem::replace(&mut self.told_deaf, true) {
            self.notes.push(format!(
                "{} has no text model, so nothing reads the prompt: what it paints is said by the signal alone",
                self.name
            ));
        }
        1.0
    }

    /// All steps of one picture.
    fn sequence(&mut self, mut run: Run, size: [usize; 2], guidance: f32) -> Result<Run> {
        let ready = self.said.ready(&self.unet, self.rack.generation(), size, guidance, 1)?;
        while !run.is_done() {
            self.passes(size).pass(&mut [&mut run], &ready)?;
        }
        Ok(run)
    }

    /// A step of each picture on its way, this one in the first.
    fn flow(&mut self, run: Run, size: [usize; 2], guidance: f32) -> Result<Run> {
        let generation = self.rack.generation();
        let mut stream = std::mem::take(&mut self.stream);
        let done = stream.push(run, |runs| {
            let ready = self.said.ready(&self.unet, generation, size, guidance, runs.len())?;
            self.passes(size).pass(runs, &ready)
        });
        self.stream = stream;
        match done? {
            Some(run) if run.is_done() => Ok(run),
            _ => candle_core::bail!("the stream lost a picture"),
        }
    }

    /// The latent of the picture to start from, and where that begins: one that was given, or the last one, moved.
    fn start(&mut self, latent: &Latent, with: &Conditioning) -> Result<Option<(Tensor, Begin)>> {
        let size = [latent.shape.height, latent.shape.width];
        let pixels = size.map(|n| FACTOR * n);
        if let Some(start) = &with.start {
            let picture = &start.picture;
            if [picture.height, picture.width] != pixels {
                candle_core::bail!(
                    "the picture to start from is {}x{}, but the latent makes {}x{}",
                    picture.width,
                    picture.height,
                    pixels[1],
                    pixels[0]
                );
            }
            let image = maps(feedback::planes(picture), 3, pixels, &self.engine.place.device)?;
            let encoded = self.autoencoders.encode(with.way.decoder, &image)?;
            return Ok(Some((encoded, Begin::Whole(start.strength))));
        }
        let kept = with.feedback.kept();
        let Some(last) = self.last.take().filter(|last| kept > 0.0 && last.size == size) else { return Ok(None) };
        let begin = Begin::Exact(1.0 - kept);
        match with.feedback.moved(&last.stamp, &latent.stamp) {
            None => Ok(Some((last.latent, begin))),
            Some(moved) => {
                let planes: Vec<f32> = numbers(&last.image)?.into_iter().map(|v| v.clamp(-1.0, 1.0)).collect();
                let planes = moved.apply(&planes, pixels[0], pixels[1]);
                let image = maps(planes, 3, pixels, &self.engine.place.device)?;
                Ok(Some((self.autoencoders.encode(with.way.decoder, &image)?, begin)))
            }
        }
    }

    /// The picture (1, 3, 8 h, 8 w), about -1..1; kept if it is to be fed back.
    fn develop(&mut self, painted: &Painted, latent: &Latent, with: &Conditioning) -> Result<Tensor> {
        self.miss(with.way.decoder);
        let image = self.autoencoders.decode(with.way.decoder, &painted.latent)?;
        self.last = if with.feedback.is_on() {
            let size = [latent.shape.height, latent.shape.width];
            Some(Last { stamp: latent.stamp, size, latent: painted.latent.clone(), image: image.clone() })
        } else {
            None
        };
        Ok(image)
    }

    /// Its bytes. Only they are made where nothing else of the picture is needed.
    fn rgba(
        &mut self,
        painted: &Painted,
        latent: &Latent,
        with: &Conditioning,
        rgba: &mut Vec<u8>,
    ) -> Result<Option<Coming>> {
        if self.engine.place.packs || with.feedback.is_on() {
            let image = self.develop(painted, latent, with)?;
            return self.engine.rgba8(&image, rgba);
        }
        self.miss(with.way.decoder);
        self.last = None;
        let bytes = self.autoencoders.paint(&self.engine, with.way.decoder, &painted.latent)?;
        self.engine.bring(&bytes, rgba)
    }

    /// Tells once that the decoder that is asked for is not there.
    fn miss(&mut self, decoder: Option<DecoderChoice>) {
        let lacks = self.autoencoders.lacks(decoder);
        let missed = lacks.is_some().then_some(decoder).flatten();
        if let Some(what) = lacks.filter(|_| self.missed != missed) {
            self.notes.push(format!("{} {what}", self.name));
        }
        self.missed = missed;
    }
}

impl Model for StableDiffusion {
    fn card(&self) -> &Card {
        &self.card
    }

    fn bytes(&self) -> u64 {
        self.engine.bytes() as u64
    }

    fn spent(&self) -> Vec<(&'static str, f64)> {
        // Layers that are tensors are not timed: their work is only begun when they return.
        if self.engine.place.packs { self.engine.spent() } else { Vec::new() }
    }

    fn runtime(&self) -> Runtime {
        let place = &self.engine.place;
        Runtime {
            device: place.name.to_string(),
            precision: place.precision(),
            instructions: self.engine.set.name().to_owned(),
            threads: self.engine.pool.threads(),
        }
    }

    fn flops(&self, shape: Shape, steps: usize) -> u64 {
        steps.clamp(1, self.card.max_steps) as u64 * self.unet.flops(shape.height, shape.width)
            + self.autoencoders.flops(shape.height, shape.width)
    }

    fn give_up_when(&mut self, flag: Arc<AtomicBool>) {
        self.unet.give_up_when(flag);
    }

    fn notes(&mut self) -> Vec<String> {
        let mut notes = std::mem::take(&mut self.notes);
        notes.extend(self.rack.notes());
        notes.extend(self.said.notes());
        notes
    }

    fn generate(
        &mut self,
        latent: &Latent,
        with: &Conditioning,
        steps: usize,
        picture: &mut Picture,
    ) -> std::result::Result<Timing, GenerateError> {
        let (mut timing, arriving) = self.begin(latent, with, steps, picture)?;
        if let Some(arriving) = arriving {
            let begun = Instant::now();
            arriving.take(&mut picture.rgba).map_err(|why| self.failed(why))?;
            timing.decode_ms += begun.elapsed().as_secs_f32() * 1e3;
        }
        Ok(timing)
    }

    fn begin(
        &mut self,
        latent: &Latent,
        with: &Conditioning,
        steps: usize,
        picture: &mut Picture,
    ) -> std::result::Result<(Timing, Option<Arriving>), GenerateError> {
        self.check(latent)?;
        let device = self.engine.place.device.clone();
        let mark = || Mark::on(&device);
        let mut paint = || {
            let start = mark()?;
            let painted = self.paint(latent, with, steps)?;
            let between = mark()?;
            (picture.stamp, picture.height, picture.width) =
                (painted.stamp, FACTOR * latent.shape.height, FACTOR * latent.shape.width);
            let coming = self.rgba(&painted, latent, with, &mut picture.rgba)?;
            let end = mark()?;
            end.wait()?;
            let timing = Timing { denoise_ms: start.ms_to(&between)?, decode_ms: between.ms_to(&end)? };
            Ok((timing, coming.map(|coming| Arriving::new(move |rgba| coming.take(rgba).map_err(|e| e.to_string())))))
        };
        paint().map_err(|e: candle_core::Error| self.failed(e))
    }

    fn generate_raw(
        &mut self,
        latent: &Latent,
        with: &Conditioning,
        steps: usize,
    ) -> std::result::Result<Raw, GenerateError> {
        self.check(latent)?;
        let made = self.paint(latent, with, steps).and_then(|painted| {
            let image = self.develop(&painted, latent, with)?;
            Ok(Raw { latent: numbers(&painted.latent)?, latent_shape: latent.shape, image: numbers(&image)? })
        });
        made.map_err(|e| self.failed(e))
    }
}
