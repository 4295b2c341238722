//! What can be typed. The names and exit codes are a contract that scripts rely on.

use std::{ffi::OsString, io::IsTerminal, path::PathBuf};

use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind};

mod dream;
mod encoder;
mod models;
mod values;

pub use dream::{Decoder, DreamArgs, Scheduler};
pub use encoder::{
    AlignArgs, AlignTraining, CollectArgs, EmbedArgs, EncoderArgs, EncoderCommand, EvaluateArgs, PretrainArgs,
};
pub use models::{ConvertArgs, FetchArgs, ListArgs, ModelsArgs, ModelsCommand, ShowModelArgs};
pub use values::{Size, Weighted};

use crate::{
    diffusion::device::{DeviceChoice, How, Precision},
    latent::Shape,
    remote::{Listen, Token},
};

const EXAMPLES: &str = "\
Examples:
  wavedream                                         the synthetic brain paints in a window
  wavedream recording.npy?rate=1000 --fullscreen    your recording, 1000 samples a second
  wavedream --source synth://wind --preset coral    wind instead of a brain
  wavedream render session.edf --seconds 60 -o film.mp4
  wavedream osc://0.0.0.0:5000?preset=muse          a headset, over the network
  wavedream inspect session.edf                     what is in a recording, and what is odd about it
  wavedream plot session.edf -o page.png            traces, spectrogram, latents and pictures, as a figure
  wavedream params                                  everything that can be set

A source is a file (.npy .edf .bdf .wav .csv) or a URL: synth://rat, synth://wind, synth://waves, or live:
osc://0.0.0.0:9001/wind  lsl://NAME  udp://0.0.0.0:12345  serial:///dev/ttyUSB0  audio://default
zmq://127.0.0.1:5556  stdin://?rate=1000  (all of them: ?stale=3&then=hold, calm or stand-in)
After the ? of a file come rate, channels, loop, from, to, scale: recording.npy?rate=1000&channels=0-31,40&loop
In most shells, put a source with & in quotes.";

/// A living signal painted by a diffusion model, thirty pictures a second.
#[derive(Debug, Parser)]
#[command(name = "wavedream", version, after_help = EXAMPLES, max_term_width = 110)]
#[command(override_usage = "wavedream [play] [SOURCE] [OPTIONS]\n       wavedream <COMMAND> …")]
pub struct Typed {
    #[command(subcommand)]
    pub command: Command,
    /// Say more about what happens (-vv for even more)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Play in a window (what happens without a command)
    Play(PlayArgs),
    /// Make a film or a folder of pictures
    Render(RenderArgs),
    /// Make one picture from a seed or a latent
    Dream(DreamArgs),
    /// Write the noise that one moment of a signal becomes
    Latent(LatentArgs),
    /// Tell what is in a source and what is odd about it
    Inspect(InspectArgs),
    /// Draw a stretch of a signal and what became of it, as a figure for a paper
    Plot(PlotArgs),
    /// List models, tell about one, fetch one, or convert one
    Models(ModelsArgs),
    /// List what is plugged in: audio inputs, LSL streams, MIDI controllers, displays, graphics adapters
    Devices(DevicesArgs),
    /// Print the reference of everything that can be set
    Params(ParamsArgs),
    /// Measure how fast pictures are made on this machine
    Bench(BenchArgs),
    /// Teach an encoder the signal, and let it steer the picture
    Encoder(EncoderArgs),
}

/// What a show is made of; `play` and `render` have it in common.
#[derive(Debug, Clone, Default, Args)]
pub struct ShowArgs {
    /// The signal: a file or URL, for instance recording.npy?rate=1000 (synth://rat if left out)
    #[arg(value_name = "SOURCE", conflicts_with = "source")]
    positional_source: Option<String>,
    /// The same as SOURCE
    #[arg(short, long, value_name = "SOURCE")]
    source: Option<String>,
    /// Another signal that moves the effects while the first one paints: its pulse, its onsets, what followers follow
    #[arg(long, value_name = "SOURCE")]
    pub effects_source: Option<String>,
    /// Start with this preset: its name, number or file
    #[arg(short, long, value_name = "NAME")]
    pub preset: Option<String>,
    /// A folder with presets of yours
    #[arg(long, value_name = "DIR")]
    pub presets: Option<PathBuf>,
    /// The model that paints: a name from `wavedream models list`, or a .safetensors file
    #[arg(short, long, value_name = "MODEL")]
    pub model: Option<String>,
    #[command(flatten)]
    pub how: HowArgs,
    /// A list of cues that plays by itself, such as presets/cues/evening.toml
    #[arg(long, value_name = "FILE.toml")]
    pub cues: Option<PathBuf>,
    /// Set a parameter, any number of times: --set /dream/vivid=0.5
    #[arg(long, value_name = "/PATH=VALUE")]
    pub set: Vec<String>,
}

impl ShowArgs {
    /// The source, given in either way.
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref().or(self.positional_source.as_deref())
    }
}

#[derive(Debug, Clone, Default, Args)]
pub struct PlayArgs {
    #[command(flatten)]
    pub show: ShowArgs,
    /// Fill the whole screen
    #[arg(short, long)]
    pub fullscreen: bool,
    /// Which screen: its number, counted from 1 from the left, or its name; kept for the next time
    #[arg(long, value_name = "N|NAME")]
    pub display: Option<String>,
    /// Open the panel in a window of its own
    #[arg(long)]
    pub panel: bool,
    /// Record the show, signal and controls: `render --show FILE.wds` makes films of it
    #[arg(long, value_name = "FILE.wds")]
    pub record: Option<PathBuf>,
    /// Record the signal alone, as it comes
    #[arg(long, value_name = "FILE.edf|FILE.npy")]
    pub record_signal: Option<PathBuf>,
    /// Film the screen while it plays
    #[arg(long, value_name = "FILE.mp4")]
    pub film: Option<PathBuf>,
    #[command(flatten)]
    pub remote: RemoteArgs,
}

/// How a model is loaded.
#[derive(Debug, Clone, Default, Args)]
pub struct HowArgs {
    /// Where it computes: auto, cpu, cuda, cuda:1, metal (a GPU where one is built in and answers, if left out)
    #[arg(long, value_name = "DEVICE", value_parser = values::device)]
    pub device: Option<DeviceChoice>,
    /// Its numbers: auto, float32, bfloat16, half (float32 on the CPU and half on GPUs, if left out; the box knows half)
    #[arg(long, value_name = "NAME", value_parser = values::precision)]
    pub precision: Option<Precision>,
}

impl HowArgs {
    /// What was typed, over what was so before.
    pub fn over(&self, how: How) -> How {
        How { device: self.device.unwrap_or(how.device), precision: self.precision.unwrap_or(how.precision) }
    }
}

/// The ways in from other programs and a phone.
#[derive(Debug, Clone, Default, Args)]
pub struct RemoteArgs {
    /// Where OSC is heard: an address and port, or off (127.0.0.1:9000 if left out). OSC has no passwords: beyond this
    /// machine, whoever reaches the port can play
    #[arg(long, value_name = "ADDR", value_parser = values::osc)]
    pub osc: Option<Listen>,
    /// Where the control page and OSCQuery are: an address and port, or off (127.0.0.1:9001 if left out). Beyond this
    /// machine, for instance at 0.0.0.0:9001 for a phone, a token is asked for
    #[arg(long, value_name = "ADDR", value_parser = values::http)]
    pub http: Option<Listen>,
    /// The token for the control page (a new one at each start if left out)
    #[arg(long, value_name = "TOKEN", value_parser = values::token)]
    pub token: Option<Token>,
}

#[derive(Debug, Clone, Args)]
pub struct RenderArgs {
    #[command(flatten)]
    pub show: ShowArgs,
    /// A recorded show (`play --record`), which brings its signal, presets and controls; --set and --model overrule it
    #[arg(long = "show", value_name = "FILE.wds", conflicts_with_all = ["source", "positional_source", "preset", "presets", "cues"])]
    pub recorded: Option<PathBuf>,
    /// Length of the film (the whole recording if left out)
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = values::secs)]
    pub seconds: Option<f64>,
    /// Frames a second
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=240))]
    pub fps: u32,
    /// Start with what earlier shows learned of the source's states (a film starts fresh if left out)
    #[arg(long)]
    pub calibrated: bool,
    /// Width and height of a frame (the model's picture if left out)
    #[arg(long, value_name = "WxH")]
    pub size: Option<Size>,
    /// .mp4, .mkv, .webm, .gif, or a folder for PNG pictures
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub struct LatentArgs {
    /// The signal, for instance recording.npy?rate=1000
    #[arg(short, long, value_name = "SOURCE", default_value = "synth://rat")]
    pub source: String,
    /// The moment at which the window ends (the first possible one if left out)
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = values::moment)]
    pub at: Option<f64>,
    /// flow, paper, gauss, walk or spectral
    #[arg(long, value_name = "NAME", default_value = "flow")]
    pub mapping: String,
    /// Channels, height and width of the noise
    #[arg(long, value_name = "CxHxW", default_value = "4x64x64")]
    pub shape: Shape,
    /// Where the noise goes
    #[arg(short, long, value_name = "FILE.npy")]
    pub output: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub struct InspectArgs {
    /// The source, for instance session.edf
    pub source: String,
    /// How much of it to look at
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = values::secs)]
    pub seconds: Option<f64>,
    /// Tell its states, rhythms and events, and how well they are told where the source knows them (synth://rat)
    #[arg(long)]
    pub state: bool,
    /// What it is taken for with --state: auto, rodent, human or other
    #[arg(long, value_name = "KIND", requires = "state", default_value = "auto", value_parser = clap::builder::PossibleValuesParser::new(crate::state::KIND_NAMES))]
    pub kind: String,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Args)]
pub struct PlotArgs {
    #[command(flatten)]
    pub show: ShowArgs,
    /// Where the figure begins (0 if left out)
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = values::moment)]
    pub from: Option<f64>,
    /// How long it is (30 if left out; of a live source, which is heard first, 10)
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = values::secs)]
    pub seconds: Option<f64>,
    /// A .png of 300 dots an inch, or an .svg
    #[arg(short, long, value_name = "PAGE.png")]
    pub output: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub struct DevicesArgs {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Args)]
pub struct ParamsArgs {
    /// As JSON
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// As tables for documentation
    #[arg(long)]
    pub markdown: bool,
}

#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// The model to measure
    #[arg(short, long, value_name = "MODEL", default_value = "box")]
    pub model: String,
    /// How long to measure
    #[arg(long, value_name = "N", default_value = "10", value_parser = values::secs)]
    pub seconds: f64,
    /// Width and height of the pictures
    #[arg(long, value_name = "WxH", default_value = "512x512")]
    pub size: Size,
    /// Steps from noise to picture
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub steps: u32,
    /// The decoder, for a model that has a choice
    #[arg(long, value_name = "NAME")]
    pub decoder: Option<Decoder>,
    #[command(flatten)]
    pub how: HowArgs,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// What to do with what was typed.
#[derive(Debug)]
pub enum Parsed {
    Run(Box<Typed>),
    /// Help or version.
    Show(String),
    /// A sentence.
    Usage(String),
}

/// Reads the arguments, the program's name first.
pub fn parse(typed: impl IntoIterator<Item = OsString>) -> Parsed {
    let typed = with_play(typed.into_iter().collect());
    let parsed = Typed::command().try_get_matches_from(typed).and_then(|found| Typed::from_arg_matches(&found));
    match parsed {
        Ok(typed) => Parsed::Run(Box::new(typed)),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Parsed::Show(help(&error)),
            _ => Parsed::Usage(sentence(&error.render().to_string())),
        },
    }
}

fn help(error: &clap::Error) -> String {
    let text = error.render();
    if std::io::stdout().is_terminal() { text.ansi().to_string() } else { text.to_string() }
}

/// Without a command, `play` is meant: it goes before everything but the flags that belong to no command. A word that
/// could only be a misspelt command stays, so that it is called one.
fn with_play(mut typed: Vec<OsString>) -> Vec<OsString> {
    let text = |at: usize| typed.get(at).and_then(|word| word.to_str());
    let mut at = 1;
    while text(at).is_some_and(is_verbose) {
        at += 1;
    }
    let commands = Typed::command();
    let known: Vec<_> = commands.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let stays = text(at).is_some_and(|word| {
        let misspelt = !word.contains(['.', '/', ':'])
            && known.iter().any(|name| strsim::damerau_levenshtein(name, word) <= 2)
            && !std::path::Path::new(word).exists();
        ["-h", "--help", "-V", "--version", "help"].contains(&word) || known.iter().any(|name| name == word) || misspelt
    });
    if !stays {
        typed.insert(at.min(typed.len()), "play".into());
    }
    typed
}

fn is_verbose(word: &str) -> bool {
    let short = word.strip_prefix('-').is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c == 'v'));
    short || word == "--verbose"
}

/// clap explains itself in several lines; this keeps what was wrong and the tip.
fn sentence(explained: &str) -> String {
    let lines = explained.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("For more information"));
    let text = lines.collect::<Vec<_>>().join(" ").replace(" tip:", "; tip:");
    let text = text.strip_prefix("error: ").unwrap_or(&text).to_owned();
    format!("{text} (--help shows how)")
}

/// An error and its causes as one line. Some errors tell their cause themselves: it is not told twice.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if said.is_empty() {
            said = cause;
        } else if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}
