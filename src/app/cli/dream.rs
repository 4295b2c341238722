//! `wavedream dream …`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{HowArgs, Size, Weighted, values};
use crate::diffusion::sd::DecoderChoice;

#[derive(Debug, Clone, Args)]
pub struct DreamArgs {
    /// The model: a name from `wavedream models list`, or a .safetensors file
    #[arg(short, long, value_name = "MODEL", default_value = "box")]
    pub model: String,
    /// The noise to start from, as `wavedream latent` writes it
    #[arg(long, value_name = "FILE.npy", conflicts_with = "seed")]
    pub latent: Option<PathBuf>,
    /// The number to draw the noise from (0 if neither is given)
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// A genre and its weight, any number of times: --genre ink --genre coral:0.5 (the first one if left out)
    #[arg(long, value_name = "NAME[:WEIGHT]")]
    pub genre: Vec<Weighted>,
    /// A preset, of which the model's settings are taken
    #[arg(short, long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Set a parameter of the model, any number of times: --set /dream/vivid=0.5
    #[arg(long, value_name = "/PATH=VALUE")]
    pub set: Vec<String>,
    /// Width and height of the picture (by the latent, or 512x512)
    #[arg(long, value_name = "WxH")]
    pub size: Option<Size>,
    /// Steps from noise to picture
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub steps: Option<u32>,
    /// What to paint, for a model that reads text
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// What not to paint, for a model that reads text
    #[arg(long, value_name = "TEXT")]
    pub negative: Option<String>,
    /// How closely to follow the text, for a model that reads text
    #[arg(long, value_name = "G", allow_negative_numbers = true)]
    pub guidance: Option<f32>,
    /// The way of the steps, for a model that has a choice
    #[arg(long, value_name = "NAME")]
    pub scheduler: Option<Scheduler>,
    /// The decoder, for a model that has a choice
    #[arg(long, value_name = "NAME")]
    pub decoder: Option<Decoder>,
    #[command(flatten)]
    pub how: HowArgs,
    /// The signal that says what to paint, through the encoder of --encoder or of the model itself (DreamDiffusion);
    /// --set /encoder/amount says how much it counts beside a prompt (all of it if left out)
    #[arg(short, long, value_name = "SOURCE", conflicts_with = "cond")]
    pub source: Option<String>,
    /// The moment of the signal at which the encoder's window ends (the first possible one if left out)
    #[arg(long, value_name = "SECONDS", requires = "source", allow_negative_numbers = true, value_parser = values::moment)]
    pub at: Option<f64>,
    /// Take the samples of --source as they are: no filters, no resampling, no normalisation
    #[arg(long, requires = "source")]
    pub raw_input: bool,
    /// The encoder with a head that reads --source: a .safetensors file, or rat
    #[arg(long, value_name = "ENCODER")]
    pub encoder: Option<String>,
    /// What an encoder said, instead of --source: its tokens (128x1024 of DreamDiffusion's), or words (77x768)
    #[arg(long, value_name = "FILE.npy")]
    pub cond: Option<PathBuf>,
    /// A LoRA file and its strength, for a model that takes them
    #[arg(long, value_name = "FILE[:STRENGTH]")]
    pub lora: Vec<String>,
    /// A learned word for the prompt (textual inversion), any number of times; it is called by the file's name or by NAME
    #[arg(long, value_name = "FILE[:NAME]")]
    pub embedding: Vec<String>,
    /// The noise that the lcm scheduler adds after each step but the last, (steps, 4, h, w)
    #[arg(long, value_name = "FILE.npy")]
    pub noise: Option<PathBuf>,
    /// A picture to start from instead of noise alone, .png, .jpg or .gif
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    /// How far the new picture may go from --image: 0 stays at it, 1 is free of it (0.6 if left out)
    #[arg(long, value_name = "S", requires = "image", value_parser = values::share)]
    pub strength: Option<f32>,
    /// Where the picture goes (dream.png if nothing else is written)
    #[arg(short, long, value_name = "IMAGE.png")]
    pub output: Option<PathBuf>,
    /// Also write the latent and the picture as float32 tensors
    #[arg(long, value_name = "FILE.safetensors")]
    pub raw: Option<PathBuf>,
}

impl Decoder {
    pub fn choice(self) -> DecoderChoice {
        match self {
            Self::Vae => DecoderChoice::Own,
            Self::Taesd => DecoderChoice::Tiny,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scheduler {
    Ddim,
    Euler,
    Lcm,
    Plms,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Decoder {
    Vae,
    Taesd,
}
