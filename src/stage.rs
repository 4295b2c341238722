//! The stage: pictures become frames. Crossfade, transitions, effects on wgpu; films.
//!
//! ```text
//! picture ──> live ───────> effects ─────────> transition ─────> output ──> window, film
//!   show()    mix of the    in the order of    from what was     master,
//!             last two,     their files        held when         blackout,
//!             fitted                           begin_transition  8 bits
//! ```
//!
//! [`Compositor`] works on any wgpu device, with or without a window; [`Headless`] brings a device of its own and
//! reads frames back; [`cpu`] is the same without effects for machines that have no graphics at all; [`Offscreen`] is
//! whichever of the two is to be had. [`film`] writes what they make.
//!
//! Everything here is told the time and never looks at a clock: the same pictures, times and looks give the same
//! frames on the same machine. Nothing here reads the table of parameters: `app` fills a [`Look`].

pub mod cpu;
pub mod film;

mod capture;
mod compositor;
mod declaration;
mod effects;
mod fit;
mod gpu;
mod headless;
mod library;
mod live;
mod offscreen;
mod pace;
mod programs;
mod pyramid;
mod watch;
mod wgsl;

pub use capture::{Camera, Shot};
pub use compositor::Compositor;
pub use declaration::{Declaration, Kind, Param, ParamKind};
pub use fit::{Fill, Fit};
pub use gpu::Precision;
pub use headless::Headless;
pub use library::ShaderLibrary;
pub use offscreen::Offscreen;

/// The moment that a frame is for: the real clock in `play`, a virtual one in `render`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FrameClock {
    pub time_secs: f64,
    /// Since the frame before.
    pub delta_secs: f64,
    pub frame: u64,
}

impl FrameClock {
    /// The clock of a film: frame `frame` of `fps` a second.
    pub fn of_film(frame: u64, fps: f64) -> Self {
        Self { time_secs: frame as f64 / fps, delta_secs: 1.0 / fps, frame }
    }
}

/// How the stage shall look in this frame. Plain values: `app` fills them from the table of parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    pub fit: Fit,
    pub fill: Fill,
    /// Length of the fade between two pictures, as a share of the measured time between them; 0 cuts.
    pub crossfade: f32,
    /// Brightness, 0..1.
    pub master: f32,
    pub blackout: bool,
    /// Holds the frame as it is; brightness and blackout still act.
    pub freeze: bool,
    /// Run in the order that their files declare, whatever their order here.
    pub effects: Vec<Use>,
    /// Settings of transitions, whether they are running or not; `amount` is not looked at.
    pub transitions: Vec<Use>,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            fit: Fit::Crop,
            fill: Fill::Black,
            crossfade: 1.0,
            master: 1.0,
            blackout: false,
            freeze: false,
            effects: Vec::new(),
            transitions: Vec::new(),
        }
    }
}

/// An effect or transition and its settings; what is not named has the default that its file declares.
#[derive(Debug, Clone, PartialEq)]
pub struct Use {
    pub name: String,
    /// 0 does not run the effect at all, 1 is the whole of it.
    pub amount: f32,
    pub params: Vec<(String, f32)>,
}

impl Use {
    pub fn new(name: &str, amount: f32, params: &[(&str, f32)]) -> Self {
        Self {
            name: name.to_owned(),
            amount,
            params: params.iter().map(|&(name, value)| (name.to_owned(), value)).collect(),
        }
    }
}

/// Points of the signal that shaders see.
pub const TRACE_POINTS: usize = 512;

/// The recent signal as shaders see it.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalTrace {
    /// Oldest first, scaled to -1..1.
    pub points: [f32; TRACE_POINTS],
    /// How strong the signal is, 0..1.
    pub level: f32,
    /// Jumps to 1 at an onset and falls back.
    pub onset: f32,
}

impl Default for SignalTrace {
    fn default() -> Self {
        Self { points: [0.0; TRACE_POINTS], level: 0.0, onset: 0.0 }
    }
}

/// Why there is no stage, or why it cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    #[error(
        "no graphics adapter was found, not even a software one: install a Vulkan driver (on Debian: \
         apt install mesa-vulkan-drivers)"
    )]
    NoAdapter,
    #[error("the graphics adapter {adapter} gives no device: {why}")]
    Device { adapter: String, why: String },
    #[error("a stage of {width}x{height} pixels is not possible on this device: each side must lie in 1..={limit}")]
    Size { width: u32, height: u32, limit: u32 },
    #[error("a picture of {width}x{height} pixels in {bytes} bytes cannot be shown")]
    Picture { width: usize, height: usize, bytes: usize },
    #[error("the graphics device refused {what}: {why}")]
    Refused { what: String, why: String },
    #[error("a frame could not be read back from the graphics device: {0}")]
    ReadBack(String),
}
