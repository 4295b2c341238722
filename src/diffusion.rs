//! Models: from noise and conditioning to a picture, and the thread that makes them.

mod arriving;
mod bench;
mod catalogue;
pub mod device;
mod dreamer;
mod embedded;
mod feedback;
pub mod hub;
mod loader;
mod residents;
pub mod sd;
mod weights;

pub use arriving::Arriving;
pub use bench::{Quantiles, Report, bench, cpu_name};
pub use catalogue::{
    Entry, LoadError, Meant, Options, card, find, find_file, folders, list, load, load_with, size_on_disk,
};
pub use dreamer::{Dreamer, Inmate, Playing, Stats};
pub use embedded::{Embedded, Study, Twin};
pub use feedback::{Feedback, Moved, Start};
pub use loader::WarmUp;
pub use residents::{Residents, Turn, Wanted, usual_budget};

use std::sync::{Arc, atomic::AtomicBool};

use serde::Serialize;

use crate::{
    Stamp,
    latent::{Latent, Shape},
};

/// What steers a picture besides its noise.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conditioning {
    /// A weight a genre, in the order of [`Card::genres`]; scaled to sum to 1 by the model.
    pub genres: Vec<f32>,
    /// Calm (-1) to vivid (1).
    pub vivid: f32,
    /// Dark (-1) to bright (1).
    pub bright: f32,
    /// Values in the order of [`Card::scene`], -1..1; 0 is neutral and then says nothing.
    pub scene: Vec<f32>,
    /// Further context tokens, (tokens, [`Card::context_width`]) row by row, from a signal encoder; may be empty.
    pub context: Vec<f32>,
    /// What a signal says in the place of a text, for Stable Diffusion.
    pub signal: Option<SignalWords>,
    /// What is to be seen, for models that read; none is the empty prompt.
    pub text: Option<sd::Text>,
    /// How Stable Diffusion paints; other models have one way.
    pub way: sd::Way,
    /// What stays of the last picture.
    pub feedback: Feedback,
    /// A picture to start from instead of noise alone.
    pub start: Option<Start>,
    /// Pictures do not wait for what takes long (a text that is encoded, a LoRA that is read): it happens on another
    /// thread, and what was there before goes on meanwhile. Otherwise the same requests give the same pictures.
    pub live: bool,
}

/// Words for a U-Net that an encoder made of a signal, in the place of a text's.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalWords {
    /// (words, width) row by row.
    pub values: Arc<[f32]>,
    pub width: usize,
    /// 0 leaves the text alone, 1 leaves only these, straight between.
    pub weight: f32,
}

/// A finished picture. `rgba.len() == 4 * width * height`, rows from the top, sRGB, alpha 255.
#[derive(Debug, Clone)]
pub struct Picture {
    pub stamp: Stamp,
    /// The serial of the resident that painted it; 0 for one that is not resident.
    pub model: u64,
    pub width: usize,
    pub height: usize,
    pub rgba: Vec<u8>,
}

impl Picture {
    /// Without pixels: for [`Model::generate`] to paint into.
    pub fn empty() -> Self {
        Self { stamp: Stamp::start(), model: 0, width: 0, height: 0, rgba: Vec::new() }
    }
}

/// What a model is: its latent shape, its conditioning and its cost.
#[derive(Debug, Clone)]
pub struct Card {
    pub name: String,
    pub genres: Vec<String>,
    pub scene: Vec<String>,
    pub context_width: usize,
    pub latent_channels: usize,
    /// Pixels a latent cell, each way.
    pub factor: usize,
    /// Height and width of the latent must be multiples of this.
    pub multiple: usize,
    pub max_steps: usize,
    /// Steps that it was made for.
    pub usual_steps: usize,
    /// Whether it is told by [`Conditioning::text`] what is to be seen, rather than by genres.
    pub reads_text: bool,
    /// It has no text model: what is to be seen is said by [`Conditioning::signal`] alone.
    pub needs_signal: bool,
    /// Words that stand for a text, and numbers a word; zeros where the model takes none.
    pub words: [usize; 2],
    pub weights: usize,
    /// Memory that it will take, before any picture: about.
    pub bytes: u64,
}

/// How large pictures are wanted, and how wide to how high.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PictureShape {
    pub long_px: usize,
    pub across: f32,
    pub down: f32,
}

impl Default for PictureShape {
    fn default() -> Self {
        Self { long_px: 512, across: 1.0, down: 1.0 }
    }
}

impl PictureShape {
    /// The nearest latent that a model makes.
    pub fn latent(&self, card: &Card) -> Shape {
        let cells = |share: f32| {
            let cells = self.long_px as f32 * share / card.factor as f32;
            ((cells / card.multiple as f32).round().max(1.0) as usize) * card.multiple
        };
        let long = self.across.max(self.down);
        Shape { channels: card.latent_channels, height: cells(self.down / long), width: cells(self.across / long) }
    }
}

/// Milliseconds that one picture took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timing {
    pub denoise_ms: f32,
    pub decode_ms: f32,
}

/// Float32 results before they become bytes, for comparison with other implementations (`dream --raw`).
#[derive(Debug, Clone)]
pub struct Raw {
    /// (channels, h, w), before decoding.
    pub latent: Vec<f32>,
    pub latent_shape: Shape,
    /// (3, H, W), -1..1.
    pub image: Vec<f32>,
}

/// A resident model. Lives on the generating thread.
pub trait Model: Send {
    fn card(&self) -> &Card;
    /// Floating-point operations of a picture of this latent shape.
    fn flops(&self, shape: Shape, steps: usize) -> u64;
    /// Makes the picture that `latent` holds; reuses `picture`'s memory.
    fn generate(
        &mut self,
        latent: &Latent,
        with: &Conditioning,
        steps: usize,
        picture: &mut Picture,
    ) -> Result<Timing, GenerateError>;
    /// As [`Self::generate`], of a model whose pictures come from a device that may begin the next one meanwhile: then the
    /// pixels are those that arrive.
    fn begin(
        &mut self,
        latent: &Latent,
        with: &Conditioning,
        steps: usize,
        picture: &mut Picture,
    ) -> Result<(Timing, Option<Arriving>), GenerateError> {
        self.generate(latent, with, steps, picture).map(|timing| (timing, None))
    }
    fn generate_raw(&mut self, latent: &Latent, with: &Conditioning, steps: usize) -> Result<Raw, GenerateError>;
    /// Memory that it takes while it is resident.
    fn bytes(&self) -> u64 {
        self.card().bytes
    }
    /// While the flag is set nobody waits for the picture in the making: a slow model ends it with an error at its next
    /// chance.
    fn give_up_when(&mut self, _flag: Arc<AtomicBool>) {}
    /// What a person should read and has not been given yet: sentences.
    fn notes(&mut self) -> Vec<String> {
        Vec::new()
    }
    /// Milliseconds that each kind of layer has taken so far, where that is counted.
    fn spent(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }
    /// What it runs on, for reports.
    fn runtime(&self) -> Runtime {
        Runtime::default()
    }
}

/// What a model runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Runtime {
    /// `cpu`, or a GPU by name.
    pub device: String,
    /// Of the numbers that are multiplied.
    pub precision: &'static str,
    /// Of the CPU.
    pub instructions: String,
    pub threads: usize,
}

/// Why a picture could not be made.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    #[error("the model {model} takes latents of {expected}, not {found}")]
    Shape { model: String, expected: String, found: String },
    #[error("the model {model} failed: {why}")]
    Failed { model: String, why: String },
}
