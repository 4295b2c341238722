//! Stable Diffusion 1.x, 2.x and XL, with Turbo and LCM models: from unit-variance noise and a text to a picture.
//!
//! ```text
//! text ──> words ──> CLIP ──> prepared keys and values ─┐
//! noise ──> schedule ──> U-Net (1..50 times) <──────────┘ ──> decoder ──> picture
//! ```
//!
//! Lives on the generating thread. A checkpoint is a diffusers folder or one file ([`files`]). LoRAs are added to its
//! weights while they are read, or lie beside them while it plays ([`rack`]); sampler, decoder, steps, guidance, LoRAs and
//! texts ([`said`]) are others from one picture to the next.
//!
//! U-Net and autoencoders are at a [`Place`]: the CPU, where their layers run on this program's kernels, or a GPU, where they
//! are candle's tensors and nothing comes back before the picture's bytes. Text models are the CPU's always: a text is read
//! once, on a thread of its own, and the GPU's memory is for pictures. SDXL's own decoder overflows in half precision and
//! is float32 where that was asked for.

mod autoencoders;
mod beside;
mod config;
mod files;
mod known;
mod layers;
mod model;
mod rack;
mod reader;
mod run;
mod said;
mod schedule;
mod text;
mod unet;
mod vae;
mod vision;

use std::{path::Path, sync::Arc};

use candle_core::{DType, Device, Result, Tensor};

use crate::{
    Stamp,
    diffusion::device::{DeviceChoice, Place, Precision},
    kernels::{Element, Instructions, Pool},
};

pub use config::Family;
pub use files::{About, Conversion, EmbeddingUse, LoraUse, Refusal, Sort, about, convert, holds_encoder, is_ours};
pub use reader::Embedded;
pub use schedule::{Begin, Past, Prediction, Sampler, Schedule, ScheduleConfig, Spacing, Step};
pub use text::{Blend, Tokens, blends};
pub use unet::Prepared;
pub use vision::Vision;

use autoencoders::Autoencoders;
use files::{Lora, Parts};
use layers::{At, Engine};
use rack::Rack;
use reader::Reader;
use run::{Between, Passes, Run, Stream};
use said::{Said, Time};
use unet::{Around, Unet};

/// Pixels a latent cell, each way.
const FACTOR: usize = 8;

/// Which autoencoder makes the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
    /// Merged into the weights; [`Way::loras`] are not.
    pub loras: Vec<LoraUse>,
    /// Besides those in `embeddings/` beside the checkpoint and in the folders of models.
    pub embeddings: Vec<EmbeddingUse>,
    /// Where it computes.
    pub device: DeviceChoice,
    /// On the CPU of the U-Net's products alone; sums, norms, text and autoencoder are float32 there always.
    pub precision: Precision,
    /// LCM's noise between steps, (steps, 4, h, w); none: noise of a fixed seed.
    pub noise: Option<Vec<f32>>,
}

/// How a picture is painted; each may be another from picture to picture. The default is as the checkpoint was loaded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Way {
    pub sampler: Option<Sampler>,
    pub decoder: Option<DecoderChoice>,
    /// Beside the weights, with strengths that may move.
    pub loras: Vec<LoraUse>,
    /// How long a changed text takes to be the one that paints.
    pub glide_secs: f32,
    /// The steps of consecutive pictures in one pass: a picture comes out of every pass, as many passes later.
    pub stream: bool,
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

/// A checkpoint ready to run.
pub struct StableDiffusion {
    engine: Engine,
    name: String,
    family: Family,
    zeros_for_empty: bool,
    unet: Unet,
    reader: Arc<Reader>,
    autoencoders: Autoencoders,
    schedule: ScheduleConfig,
    settings: Settings,
    rack: Rack,
    said: Said,
    stream: Stream,
    between: Between,
    /// The picture before, kept while it is fed back.
    last: Option<model::Last>,
    last_stamp: Option<Stamp>,
    /// (h, w) of the latent before.
    size: Option<[usize; 2]>,
    notes: Vec<String>,
    /// The decoder that was missed, so that it is told once.
    missed: Option<DecoderChoice>,
    /// That nothing reads a prompt was told.
    told_deaf: bool,
    card: crate::diffusion::Card,
}

impl StableDiffusion {
    /// Opens, checks and packs a checkpoint: seconds for a large one.
    pub fn load(path: &Path, settings: Settings, pool: &Pool) -> std::result::Result<Self, Refusal> {
        let mut parts = files::open(path)?;
        for used in &settings.loras {
            Lora::open(&used.path)?.apply(&mut parts, used.strength)?;
        }
        let unheard = |why| Refusal::new(path, format!("cannot be played as asked: {why}"));
        let found = Place::find(settings.device, settings.precision).map_err(unheard)?;
        let mut model = Self::build(parts, settings, found.place, pool)?;
        model.notes.extend(found.notes);
        Ok(model)
    }

    /// What the text model of a checkpoint says of some prompts, (words, numbers) each, without making the rest ready.
    pub fn words_of(path: &Path, prompts: &[&str], pool: &Pool) -> std::result::Result<Vec<Tensor>, Refusal> {
        let parts = files::open(path)?;
        let engine = Engine::new(pool, Instructions::best(), Place::cpu());
        let reader = Reader::new(&parts, &[], &engine)?;
        if reader.clip.is_none() {
            return Err(Refusal::new(
                path,
                "has no text model, so it says nothing of a prompt; give an ordinary checkpoint",
            ));
        }
        let failed = |e: candle_core::Error| Refusal::new(path, format!("cannot read a prompt: {e}"));
        prompts
            .iter()
            .map(|prompt| reader.embed(prompt, Blend::Linear)?.words.squeeze(0))
            .collect::<Result<_>>()
            .map_err(failed)
    }

    /// What a checkpoint is, without making it ready to run.
    pub fn read_card(path: &Path) -> std::result::Result<crate::diffusion::Card, Refusal> {
        Ok(model::card(&files::open(path)?, &Settings::default()))
    }

    fn build(parts: Parts, settings: Settings, place: Place, pool: &Pool) -> std::result::Result<Self, Refusal> {
        let path = parts.path.clone();
        let failed = |e: candle_core::Error| Refusal::new(&path, format!("cannot be built: {e}"));
        let engine = Engine::new(pool, Instructions::best(), place);
        if engine.place.packs && engine.element != Element::Float32 && !engine.element_pays() {
            let faster = if engine.set.has(Element::Float16) { "half" } else { "float32" };
            tracing::warn!(
                "this processor multiplies float32 faster than {}: --precision {faster} is the faster one",
                engine.place.precision()
            );
        }
        let reading = engine.on_cpu();
        let (tensors, config) = &parts.unet;
        let unet = Unet::new(&At::root(tensors, &engine), config.clone()).map_err(failed)?;
        tensors.check("unet", &path)?;
        if let Some(words) = unet.words_of_branch().filter(|words| *words != parts.words) {
            let what =
                format!("does not fit together: {} words come to its U-Net, whose branch takes {words}", parts.words);
            return Err(Refusal::new(&path, what));
        }
        let autoencoders = Autoencoders::new(&parts, &settings, &engine)?;
        let card = model::card(&parts, &settings);
        let reader = Arc::new(Reader::new(&parts, &settings.embeddings, &reading)?);
        Ok(Self {
            rack: Rack::new(&parts, [if engine.place.packs { engine.exact() } else { engine.clone() }, reading]),
            said: Said::new(reader.clone(), parts.zeros_for_empty),
            name: parts.name,
            family: parts.family,
            zeros_for_empty: parts.zeros_for_empty,
            unet,
            reader,
            autoencoders,
            schedule: parts.schedule,
            between: Between::new(settings.noise.clone()),
            settings,
            stream: Stream::default(),
            last: None,
            last_stamp: None,
            size: None,
            notes: Vec::new(),
            missed: None,
            told_deaf: false,
            card,
            engine,
        })
    }

    pub fn family(&self) -> Family {
        self.family
    }

    pub fn schedule_config(&self) -> &ScheduleConfig {
        &self.schedule
    }

    /// All steps of a run from noise, of the sampler that it was loaded with.
    pub fn schedule(&self, steps: usize) -> Schedule {
        self.schedule_of(None, steps, Begin::Noise)
    }

    fn schedule_of(&self, sampler: Option<Sampler>, steps: usize, begin: Begin) -> Schedule {
        let sampler = sampler.or(self.settings.sampler).unwrap_or(self.schedule.sampler);
        Schedule::beginning(&self.schedule, sampler, steps, begin)
    }

    /// The numbers of a prompt's words as the text models see them.
    pub fn tokens(&self, prompt: &str) -> Vec<Tokens> {
        self.reader.tokens(prompt)
    }

    /// A prompt's vectors; blends and weights of words are resolved.
    pub fn embed(&self, prompt: &str, blend: Blend) -> Result<Embedded> {
        self.reader.embed(prompt, blend)
    }

    /// The U-Net's answer for each row of `x` (rows, 4, h, w), at a timestep of its own, all with the same text.
    pub fn answer(&self, x: &Tensor, timesteps: &[f32], with: &Prepared, guidance: Option<f32>) -> Result<Tensor> {
        self.unet.forward(x, timesteps, with, guidance, &Around::NOTHING)
    }

    /// Makes vectors ready for [`Self::answer`], for pictures of `height` x `width` latent cells.
    pub fn ready(&self, with: &Embedded, size: [usize; 2]) -> Result<Prepared> {
        self.unet.prepare(&with.words, with.pooled.as_ref().map(|p| (p, said::micro(size))))
    }

    /// From noise `(1, 4, h, w)` of unit variance to the latent of a picture. `after` sees the latent after each step.
    pub fn denoise(
        &self,
        noise: &Tensor,
        text: &Text,
        steps: usize,
        after: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<Vec<f32>> {
        self.denoise_from(noise, None, text, steps, after)
    }

    /// As [`Self::denoise`], from a picture's latent `(1, 4, h, w)` and how far from it the new one may go, 0..1.
    pub fn denoise_from(
        &self,
        noise: &Tensor,
        start: Option<(&Tensor, f32)>,
        text: &Text,
        steps: usize,
        after: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<Vec<f32>> {
        let (_, _, h, w) = noise.dims4()?;
        let guidance = text.guidance.unwrap_or(self.schedule.guidance);
        let mut said = Said::new(self.reader.clone(), self.zeros_for_empty);
        said.follow(text, Vec::new(), guidance != 1.0, Time::default())?;
        let ready = said.ready(&self.unet, 0, [h, w], guidance, 1)?;
        let begin = start.map_or(Begin::Noise, |(_, strength)| Begin::Whole(strength));
        let schedule = Arc::new(self.schedule_of(None, steps, begin));
        let place = self.engine.place.exact();
        let picture = start.map(|(latent, _)| place.bring(latent)).transpose()?;
        let mut run = Run::new(schedule, &place.bring(noise)?, picture.as_ref(), Stamp::start())?;
        let passes = self.passes([h, w]);
        let mut i = 0;
        while !run.is_done() {
            passes.pass(&mut [&mut run], &ready)?;
            after(i, &numbers(&run.latent)?);
            i += 1;
        }
        numbers(&run.latent)
    }

    fn passes(&self, size: [usize; 2]) -> Passes<'_> {
        Passes { unet: &self.unet, size, between: &self.between, place: &self.engine.place }
    }

    /// Where it computes.
    pub fn place(&self) -> &Place {
        &self.engine.place
    }

    /// A latent `(b, 4, h, w)` to a picture `(b, 3, 8 h, 8 w)`, about -1..1.
    pub fn decode(&self, latent: &Tensor) -> Result<Tensor> {
        self.autoencoders.decode(None, latent)
    }

    /// A picture `(b, 3, 8 h, 8 w)`, -1..1, to its latent `(b, 4, h, w)` as the U-Net has it.
    pub fn encode(&self, picture: &Tensor) -> Result<Tensor> {
        self.autoencoders.encode(None, picture)
    }
}

fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()
}

fn maps(values: Vec<f32>, channels: usize, [height, width]: [usize; 2], device: &Device) -> Result<Tensor> {
    Tensor::from_vec(values, (1, channels, height, width), device)
}
