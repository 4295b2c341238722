//! The box as a teacher: what a state looks like, as latents of known noise; and how far a steered picture is from it.

use std::{path::Path, sync::Arc};

use candle_core::{Device, Result, Tensor};
use image::DynamicImage;

use super::{Label, genres_of};
use crate::{
    Stamp,
    diffusion::{Card, Conditioning, Embedded, Model, Picture, Study, Twin, sd::Vision},
    encoder::{
        EncoderError,
        head::{Said, Targets},
        pairs::State,
    },
    latent::{Latent, Shape, noise},
    signal::Random,
};

/// Cells a side: small pictures teach as much and cost a sixteenth.
const SIDE: usize = 16;
/// Noises that each state is painted from.
const NOISES: usize = 24;
/// Cells a side of a feature.
const FEATURE_SIDE: usize = 4;

/// One noise, and the latent that a state makes of it.
pub struct Lesson {
    study: Study,
    /// What CLIP's image model sees; without one the latent, coarse, less the mean of all lessons.
    pub feature: Vec<f32>,
}

/// The box, painting and differentiable.
pub struct Painter {
    model: Embedded,
    easel: Easel,
}

/// What every thread of a training may look at.
pub struct Easel {
    twin: Twin,
    card: Card,
    /// Scene values that are steered.
    scene: Vec<String>,
    device: Device,
}

impl Painter {
    pub fn new() -> std::result::Result<Self, EncoderError> {
        let device = Device::Cpu;
        let model = Embedded::in_the_box().map_err(|what| EncoderError::File { path: "box".into(), what })?;
        let easel = Easel { twin: Twin::new(&device)?, card: model.card().clone(), scene: Vec::new(), device };
        Ok(Self { model, easel })
    }

    pub fn card(&self) -> &Card {
        &self.easel.card
    }

    pub fn easel(&self) -> &Easel {
        &self.easel
    }

    /// Scene values that any of the states names, in the order of the box.
    pub fn scene_names<'a>(&self, states: impl Iterator<Item = &'a State> + Clone) -> Vec<String> {
        let named = |name: &&String| states.clone().any(|state| state.scene.contains_key(*name));
        self.card().scene.iter().filter(named).cloned().collect()
    }

    pub fn targets(&self) -> Targets {
        let card = self.card();
        Targets { genres: card.genres.clone(), scene: self.easel.scene.clone(), context_width: card.context_width }
    }

    /// What the box is asked with for a state.
    pub fn conditioning(&self, label: &Label, scene: &[String]) -> Conditioning {
        let value = |name: &String| scene.iter().position(|s| s == name).map_or(0.0, |at| label.scene[at]);
        Conditioning {
            genres: label.genres.clone(),
            vivid: label.mood[0],
            bright: label.mood[1],
            scene: self.card().scene.iter().map(value).collect(),
            ..Conditioning::default()
        }
    }

    /// Paints every state from many noises; a state with a picture has that picture's latent instead. `vision` looks at
    /// the pictures where it is given.
    pub fn lessons(
        &mut self,
        labels: &[Label],
        scene: &[String],
        seed: u64,
        vision: Option<&Vision>,
    ) -> std::result::Result<Vec<Vec<Lesson>>, EncoderError> {
        self.easel.scene = scene.to_vec();
        let failed = |e: crate::diffusion::GenerateError| EncoderError::Message(e.to_string());
        let mut all = Vec::with_capacity(labels.len());
        for label in labels {
            let with = self.conditioning(label, scene);
            let picture = match &label.picture {
                Some(path) => Some(self.model.encode(&small(path)?).map_err(failed)?),
                None => None,
            };
            let seen = match (vision, &label.picture) {
                (Some(vision), Some(path)) => Some(vision.see(&open(path)?)?),
                _ => None,
            };
            // Many pictures need fewer noises each.
            let count = if labels.len() > 16 { 2 } else { NOISES };
            let mut lessons = Vec::with_capacity(count);
            for n in 0..count {
                let its_seed = seed ^ ((n as u64) << 32);
                let mut study = self.model.study(&drawn(its_seed), &with).map_err(failed)?;
                if let Some(picture) = &picture {
                    study.latent.clone_from(picture);
                }
                let feature = match (vision, &seen) {
                    (None, _) => feature(&study.latent),
                    (Some(_), Some(seen)) => seen.clone(),
                    (Some(vision), None) => vision.see(&shown(&self.paint(its_seed, SIDE, &with)?)?)?,
                };
                lessons.push(Lesson { feature, study });
            }
            all.push(lessons);
        }
        // The published loss is the cosine to what CLIP sees as it is.
        if vision.is_none() {
            centre(&mut all);
        }
        Ok(all)
    }

    /// A picture of 8 x `cells` a side from a noise.
    pub fn paint(
        &mut self,
        seed: u64,
        cells: usize,
        with: &Conditioning,
    ) -> std::result::Result<Picture, EncoderError> {
        let mut picture = Picture::empty();
        let failed = |e: crate::diffusion::GenerateError| EncoderError::Message(e.to_string());
        self.model.generate(&drawn_at(seed, cells), with, 1, &mut picture).map_err(failed)?;
        Ok(picture)
    }
}

impl Easel {
    /// Squared errors of what is painted: steered in every way, and under a genre of chance with the tokens alone.
    pub fn losses(&self, said: &Said, lessons: &[&Lesson], random: &mut Random) -> Result<(Tensor, Tensor)> {
        let studies: Vec<&Study> = lessons.iter().map(|lesson| &lesson.study).collect();
        let (seen, moments, wanted) = self.twin.studies(&studies, SIDE, SIDE)?;
        let sight = (&seen, &moments);
        let error = |found: Tensor| (found - &wanted)?.sqr()?.mean_all();
        let context = match self.scene.is_empty() {
            true => said.context.clone(),
            false => Tensor::cat(&[&self.scene_tokens(&said.scene)?, &said.context], 1)?,
        };
        let steered = error(self.twin.estimate(sight, &genres_of(said)?, &said.mood, &context)?)?;
        let genres = self.card.genres.len();
        let mut chance = vec![0.0_f32; genres * lessons.len()];
        for row in chance.chunks_exact_mut(genres) {
            row[(random.unit() * genres as f64) as usize] = 1.0;
        }
        let chance = Tensor::from_vec(chance, (lessons.len(), genres), &self.device)?;
        let no_mood = Tensor::zeros((lessons.len(), 2), candle_core::DType::F32, &self.device)?;
        let tokens = error(self.twin.estimate(sight, &chance, &no_mood, &said.context)?)?;
        Ok((steered, tokens))
    }

    /// The scene's tokens as the box makes them: those that are not steered are absent, which is zero.
    fn scene_tokens(&self, said: &Tensor) -> Result<Tensor> {
        let batch = said.dim(0)?;
        let names = &self.card.scene;
        let zero = Tensor::zeros((batch, 1), candle_core::DType::F32, &self.device)?;
        let place = |name: &String| self.scene.iter().position(|s| s == name);
        let columns: Vec<Tensor> = names
            .iter()
            .map(|name| place(name).map_or(Ok(zero.clone()), |at| said.narrow(1, at, 1)))
            .collect::<Result<_>>()?;
        let present: Vec<f32> = names.iter().map(|name| f32::from(u8::from(place(name).is_some()))).collect();
        let present = Tensor::from_vec(present, (1, names.len(), 1), &self.device)?;
        self.twin.scene_tokens(&Tensor::cat(&columns, 1)?)?.broadcast_mul(&present)
    }

    /// Mean squared error of the lessons when nothing is steered: an even mix of genres, no mood.
    pub fn unsteered(&self, lessons: &[Vec<Lesson>]) -> Result<f32> {
        let some: Vec<&Study> = lessons.iter().filter_map(|of| of.first()).map(|lesson| &lesson.study).collect();
        let (seen, moments, wanted) = self.twin.studies(&some, SIDE, SIDE)?;
        let genres = self.card.genres.len();
        let even =
            Tensor::from_vec(vec![1.0 / genres as f32; genres * some.len()], (some.len(), genres), &self.device)?;
        let mood = Tensor::zeros((some.len(), 2), candle_core::DType::F32, &self.device)?;
        let absent = Tensor::zeros((some.len(), 1, self.card.context_width), candle_core::DType::F32, &self.device)?;
        let found = self.twin.estimate((&seen, &moments), &even, &mood, &absent)?;
        (found - wanted)?.sqr()?.mean_all()?.to_scalar()
    }
}

fn drawn(seed: u64) -> Latent {
    drawn_at(seed, SIDE)
}

fn drawn_at(seed: u64, cells: usize) -> Latent {
    let shape = Shape { channels: 4, height: cells, width: cells };
    let values: Vec<f32> = (0..shape.len() as u64).map(|at| noise::normal(seed, at) as f32).collect();
    Latent { stamp: Stamp::start(), shape, values: Arc::from(values) }
}

fn open(path: &Path) -> std::result::Result<DynamicImage, EncoderError> {
    let refuse = |what: String| EncoderError::File { path: path.into(), what };
    let bytes = std::fs::read(path).map_err(|cause| EncoderError::Read { path: path.into(), cause })?;
    image::load_from_memory(&bytes).map_err(|e| refuse(format!("is no picture that can be read ({e})")))
}

/// What was painted, for other eyes.
fn shown(picture: &Picture) -> std::result::Result<DynamicImage, EncoderError> {
    let (width, height) = (picture.width as u32, picture.height as u32);
    let picture = image::RgbaImage::from_raw(width, height, picture.rgba.clone());
    picture.map(DynamicImage::ImageRgba8).ok_or_else(|| EncoderError::Message("the box painted half a picture".into()))
}

/// A picture from a file, cut to a square of the lessons' size.
fn small(path: &Path) -> std::result::Result<Picture, EncoderError> {
    let side = (8 * SIDE) as u32;
    let small = open(path)?.resize_to_fill(side, side, image::imageops::FilterType::Triangle).to_rgba8();
    Ok(Picture { width: 8 * SIDE, height: 8 * SIDE, rgba: small.into_raw(), ..Picture::empty() })
}

/// Means over coarse cells of each channel.
fn feature(latent: &[f32]) -> Vec<f32> {
    let step = SIDE / FEATURE_SIDE;
    let mut coarse = vec![0.0; 4 * FEATURE_SIDE * FEATURE_SIDE];
    for (n, value) in latent.iter().enumerate() {
        let (channel, y, x) = (n / (SIDE * SIDE), n / SIDE % SIDE, n % SIDE);
        coarse[(channel * FEATURE_SIDE + y / step) * FEATURE_SIDE + x / step] += value / (step * step) as f32;
    }
    coarse
}

/// Takes the mean of all features from each.
fn centre(lessons: &mut [Vec<Lesson>]) {
    let count = lessons.iter().map(Vec::len).sum::<usize>().max(1) as f32;
    let width = lessons.first().and_then(|of| of.first()).map_or(0, |lesson| lesson.feature.len());
    let mut mean = vec![0.0; width];
    for lesson in lessons.iter().flatten() {
        mean.iter_mut().zip(&lesson.feature).for_each(|(sum, x)| *sum += x / count);
    }
    for lesson in lessons.iter_mut().flatten() {
        lesson.feature.iter_mut().zip(&mean).for_each(|(x, mean)| *x -= mean);
    }
}
