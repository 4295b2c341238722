//! What can be typed after `wavedream encoder`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::values;

#[derive(Debug, Clone, Args)]
pub struct EncoderArgs {
    #[command(subcommand)]
    pub command: EncoderCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub enum EncoderCommand {
    /// Train an encoder on recordings, by hiding most of the signal and asking for it
    Pretrain(PretrainArgs),
    /// Write the tokens that an encoder makes of one moment of a signal
    Embed(EmbedArgs),
    /// Record pairs of a signal and what somebody saw, heard or was in
    Collect(CollectArgs),
    /// Train what steers the picture on such pairs
    Align(AlignArgs),
    /// Measure how well the steering follows the states of the synthetic rat
    Evaluate(EvaluateArgs),
}

#[derive(Debug, Clone, Args)]
pub struct PretrainArgs {
    /// Recordings or other sources, any number: the last part of each is kept for the test
    #[arg(value_name = "SOURCE", required = true)]
    pub sources: Vec<String>,
    /// Where the encoder goes; its loss curve and traces go beside it
    #[arg(short, long, value_name = "ENCODER.safetensors")]
    pub output: PathBuf,
    /// Channels that the encoder sees: other sources are tiled or cropped to so many
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub channels: usize,
    /// Samples of each channel that it sees
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub window: usize,
    /// Samples a second that it sees
    #[arg(long, value_name = "HZ", default_value_t = 256.0)]
    pub rate: f64,
    /// Samples that become one token
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub patch: usize,
    /// Numbers a token
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub width: usize,
    /// Blocks
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub depth: usize,
    /// Heads of each attention
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub heads: usize,
    /// Share of the patches that are hidden
    #[arg(long, value_name = "SHARE", default_value_t = 0.75)]
    pub masked: f64,
    /// Steps of training
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub steps: usize,
    /// Windows a step
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub batch: usize,
    /// Largest step of the weights (AdamW)
    #[arg(long, value_name = "RATE", default_value_t = 1e-3)]
    pub learning_rate: f64,
    /// How much of each source to learn from (all of a recording, ten minutes of what has no end)
    #[arg(long, value_name = "N", value_parser = values::secs)]
    pub seconds: Option<f64>,
    /// Share of each recording, at its end, that is kept for the test
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    pub held_out: f64,
    /// The number that chance is drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

#[derive(Debug, Clone, Args)]
pub struct EmbedArgs {
    /// The encoder: a .safetensors file, or a checkpoint of DreamDiffusion
    #[arg(short, long, value_name = "ENCODER")]
    pub encoder: PathBuf,
    /// The signal, for instance recording.npy?rate=1000
    #[arg(short, long, value_name = "SOURCE", default_value = "synth://rat")]
    pub source: String,
    /// The moment at which the window ends (the first possible one if left out)
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = values::moment)]
    pub at: Option<f64>,
    /// Take the samples as they are: no filters, no resampling, no normalisation
    #[arg(long)]
    pub raw_input: bool,
    /// Where the tokens go: (tokens, width), float32
    #[arg(short, long, value_name = "TOKENS.npy")]
    pub output: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub struct CollectArgs {
    /// The signal: a live source, or the synthetic rat
    #[arg(short, long, value_name = "SOURCE", default_value = "synth://rat")]
    pub source: String,
    /// The states and what each of them looks like (those of the rat if left out)
    #[arg(long, value_name = "STATES.toml")]
    pub states: Option<PathBuf>,
    /// Show the pictures of a folder one after the other, instead of marking states
    #[arg(long, value_name = "DIR", conflicts_with = "states")]
    pub pictures: Option<PathBuf>,
    /// How long each picture is shown
    #[arg(long, value_name = "N", default_value = "4", value_parser = values::secs)]
    pub each: f64,
    /// How long it is dark before each picture
    #[arg(long, value_name = "N", value_parser = values::secs)]
    pub pause: Option<f64>,
    /// The number that the order of the pictures is drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Show the pictures over the whole screen
    #[arg(long, requires = "pictures")]
    pub fullscreen: bool,
    /// Show the pictures in the terminal instead of a window
    #[arg(long, requires = "pictures", conflicts_with = "fullscreen")]
    pub terminal: bool,
    /// Take the marks from the source, which knows its own states (the synthetic rat does)
    #[arg(long, conflicts_with = "pictures")]
    pub from_states: bool,
    /// How long to record
    #[arg(long, value_name = "N", value_parser = values::secs)]
    pub seconds: Option<f64>,
    /// A new folder for the signal and its marks
    #[arg(short, long, value_name = "FOLDER")]
    pub output: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub struct AlignArgs {
    /// Folders that `wavedream encoder collect` made, any number
    #[arg(long, value_name = "FOLDER", required = true)]
    pub pairs: Vec<PathBuf>,
    /// The encoder: a .safetensors file, or `rat`, which comes with the program
    #[arg(short, long, value_name = "ENCODER", default_value = "rat")]
    pub encoder: String,
    /// Make a head of words for Stable Diffusion, in the place of a prompt: they are learnt from what this checkpoint's
    /// text model says of each state's prompt (prompt = "…" in pairs.toml)
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["clip", "flow", "cosine"])]
    pub words_of: Option<String>,
    /// Where encoder and head go together: what /encoder/file takes
    #[arg(short, long, value_name = "HEAD.safetensors")]
    pub output: PathBuf,
    #[command(flatten)]
    pub training: AlignTraining,
}

/// How a head is trained.
#[derive(Debug, Clone, Args)]
pub struct AlignTraining {
    /// Steps of training
    #[arg(long, value_name = "N", default_value_t = 400)]
    pub steps: usize,
    /// Windows a step
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub batch: usize,
    /// Blocks of the encoder, counted from its end, that are trained along with the head
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub blocks: usize,
    /// Largest step of the weights (AdamW)
    #[arg(long, value_name = "RATE", default_value_t = 1e-3)]
    pub learning_rate: f64,
    /// Weight of the diffusion loss, through the model in the box; 0 leaves it out, which is faster
    #[arg(long, value_name = "WEIGHT", default_value_t = 1.0)]
    pub flow: f64,
    /// A CLIP image model (a folder with config.json and .safetensors) that looks at the pictures for the cosine; the
    /// encoder of the model in the box if left out
    #[arg(long, value_name = "FOLDER")]
    pub clip: Option<PathBuf>,
    /// Weight of the cosine to the features of the picture; 0 leaves it out
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.3)]
    pub cosine: f64,
    /// The number that chance is drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

#[derive(Debug, Clone, Args)]
pub struct EvaluateArgs {
    /// The pre-trained encoder: a .safetensors file, or `rat`, which comes with the program
    #[arg(short, long, value_name = "ENCODER", default_value = "rat")]
    pub encoder: String,
    /// A head that is trained already, tested as it is; one is trained if left out
    #[arg(long, value_name = "HEAD.safetensors")]
    pub head: Option<PathBuf>,
    /// Where the figure goes: pictures along time over the true and the steered states
    #[arg(short, long, value_name = "FIGURE.png", default_value = "encoder-evaluation.png")]
    pub output: PathBuf,
    /// Seconds of the rat to train on, and as many to test on
    #[arg(long, value_name = "N", default_value = "600", value_parser = values::secs)]
    pub seconds: f64,
    /// Seed of the rat that is trained on
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub train_seed: u64,
    /// Seed of the rat that is tested on
    #[arg(long, value_name = "N", default_value_t = 1001)]
    pub test_seed: u64,
    /// Heads trained with the states shuffled: their mean is chance, each alone is not
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(0..=50))]
    pub shuffles: u64,
    #[command(flatten)]
    pub training: AlignTraining,
}
