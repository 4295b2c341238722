//! The stage window: nannou on bevy, with our own compositor drawing into the screen's texture.
//!
//! ```text
//! main world                          render world
//! keys ──> WindowState ──> tick        StageGraph, once a displayed frame:
//!                                        StageApp::frame ──> the surface's texture
//!                                        overlay, while it is up ──> the same texture
//! ```
//!
//! Bevy gives each camera a schedule of its own. Ours ([`graph`]) holds one system, which hands the surface's texture
//! view to [`StageApp::frame`]: no copy, no pass in between, no round trip through the CPU. The overlay is egui's shapes
//! drawn by a small renderer of ours ([`overlay`]) onto the same view.
//!
//! Everything runs on the thread that called [`run`] (the main thread, which macOS demands): bevy's pipelined rendering
//! is off and its schedules are single-threaded, because the model needs the cores more than a hundred small systems do.
//!
//! The panel ([`super::panel`]) stands in a second window with a camera of its own, or over the stage; it is drawn by
//! the overlay's renderer too ([`panel_window`]).

mod awake;
mod displays;
mod graph;
mod keys;
mod listing;
mod open;
pub mod overlay;
mod pace;
mod panel_window;
mod place;
mod remembered;
mod stand;
#[cfg(test)]
mod stand_in;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

pub use displays::DisplayChoice;
pub use keys::{Key, KeyHelp, KeyPress, Modifiers, WINDOW_KEYS};
pub use listing::{Listed, list as list_displays};
pub use overlay::{
    Health, Level, Message, OverlayData,
    scope::{Scope, Trace},
};
pub use pace::Pace;

use bevy::prelude::Resource;

use super::panel::{Move, PanelData};

/// What of bevy, wgpu and winit is worth a line in our log; to be added to the filter of the tracing subscriber.
pub const LOG_FILTER: &str = "bevy=warn,bevy_egui=error,wgpu=error,naga=warn,winit=error,accesskit=error";

/// What plays in the window. Every method is called by the thread that called [`run`], one at a time.
pub trait StageApp: Send + 'static {
    /// The graphics device is there: before the first frame, and again after a lost device.
    /// An error closes the window and is what [`run`] returns.
    fn start(&mut self, gpu: &Gpu) -> anyhow::Result<()>;

    /// Draws one displayed frame: every pixel of `frame.target`, in command buffers of its own, submitted here.
    /// Real time: takes no lock that another thread holds for long, writes no log.
    fn frame(&mut self, frame: &Frame<'_>);

    /// Once before each frame: what the window is doing, and what the app wants of it.
    fn tick(&mut self, _window: &mut WindowState) {}

    /// A key that is not one of [`WINDOW_KEYS`].
    fn key(&mut self, _press: KeyPress) {}

    /// The keys that [`StageApp::key`] knows, for the help page.
    fn keys(&self) -> Vec<KeyHelp> {
        Vec::new()
    }

    /// Fills in what the overlay shows; called after [`StageApp::frame`] while it is up, on a software renderer not
    /// for every frame. `data` is kept from call to call.
    fn overlay(&mut self, _data: &mut OverlayData) {}

    /// Fills in what the panel shows; called while it is open, at most 30 times a second. `data` is kept from call to
    /// call.
    fn panel(&mut self, _data: &mut PanelData) {}

    /// What a person did in the panel, in order.
    fn panel_moves(&mut self, _moves: &[Move]) {}

    /// Something about the window that people should know: a display that is gone.
    fn told(&mut self, _level: Level, _text: String) {}

    /// The window is closed, or could not be opened; nothing is called after this.
    fn closing(&mut self) {}
}

/// The graphics device that the window draws with.
#[derive(Debug, Clone)]
pub struct Gpu {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    /// Of [`Frame::target`]; an sRGB format, so shaders write linear light.
    pub format: wgpu::TextureFormat,
    pub size_px: [u32; 2],
    pub adapter: wgpu::AdapterInfo,
}

impl Gpu {
    /// Whether pixels are computed on the CPU, which the model needs too.
    pub fn is_software(&self) -> bool {
        self.adapter.device_type == wgpu::DeviceType::Cpu
    }
}

/// One displayed frame to be drawn.
#[derive(Debug)]
pub struct Frame<'a> {
    pub target: &'a wgpu::TextureView,
    /// Of the target now: changes when the window is resized.
    pub size_px: [u32; 2],
    pub now: Instant,
    /// Since the previous frame; 0 for the first.
    pub delta_secs: f64,
    pub number: u64,
}

/// What the window shows. [`StageApp::tick`] may change the fields that say so.
#[derive(Debug, Clone, PartialEq, Default, Resource)]
pub struct WindowState {
    /// May be changed.
    pub fullscreen: bool,
    /// May be changed.
    pub overlay: bool,
    /// The page of keys. May be changed.
    pub help: bool,
    /// Where the panel is. May be changed.
    pub panel: PanelPlace,
    /// May be changed.
    pub title: String,
    /// Set to move the stage to the next display.
    pub wants_next_display: bool,
    /// Set to close the window.
    pub quit: bool,
    /// Frames a second that reach the screen, and the slowest of the last second.
    pub pace: Pace,
}

/// Where the panel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PanelPlace {
    #[default]
    Closed,
    OwnWindow,
    /// For machines with one screen.
    OverStage,
}

impl PanelPlace {
    /// As `/stage/panel` names it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::OwnWindow => "window",
            Self::OverStage => "stage",
        }
    }

    /// Closed for what is no place.
    pub fn from_word(word: &str) -> Self {
        [Self::OwnWindow, Self::OverStage].into_iter().find(|place| place.word() == word).unwrap_or_default()
    }
}

/// How the window opens.
#[derive(Debug, Clone)]
pub struct WindowOptions {
    pub title: String,
    /// Of the window while it is not fullscreen, in logical pixels.
    pub size: [u32; 2],
    pub fullscreen: bool,
    /// None for the one that was chosen last time, if any was.
    pub display: Option<DisplayChoice>,
    /// Open the panel in a window of its own.
    pub panel: bool,
    /// Show the overlay from the start.
    pub overlay: bool,
    /// At most this many frames a second; None for the display's own rate, or 30 on a software renderer.
    pub max_fps: Option<f64>,
    /// Set by a signal handler: the window closes within a frame.
    pub stop: Arc<AtomicBool>,
}

impl Default for WindowOptions {
    fn default() -> Self {
        Self {
            title: "wavedream".into(),
            size: [1280, 720],
            fullscreen: false,
            display: None,
            panel: false,
            overlay: false,
            max_fps: None,
            stop: Arc::default(),
        }
    }
}

/// Why there is no window, or no longer one.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    #[error("cannot open a window: {0}; `wavedream render` makes films without a display")]
    NoDisplay(String),
    #[error(
        "cannot draw in a window: {0}; install a Vulkan driver (Debian: mesa-vulkan-drivers), \
         or use `wavedream render`, which needs no graphics adapter"
    )]
    NoAdapter(String),
    #[error("there is no display {asked}: this machine has {found}")]
    NoSuchDisplay { asked: DisplayChoice, found: String },
    #[error("the window failed: {0}")]
    Failed(String),
    #[error(transparent)]
    Stage(anyhow::Error),
}

/// Opens the window and plays `stage` in it until it is closed. To be called by the main thread, once a process.
///
/// # Errors
/// One sentence with the way out: no display, no adapter, no such display, or what [`StageApp::start`] said.
pub fn run(stage: impl StageApp, options: WindowOptions) -> Result<(), WindowError> {
    let shared = Shared::new(Box::new(stage), options.stop.clone());
    let outcome = open::open(shared.clone(), options).and_then(open::play);
    let mut inner = shared.lock();
    inner.stage.closing();
    match inner.error.take() {
        Some(error) => Err(error),
        None => outcome,
    }
}

/// The stage app as both of bevy's worlds hold it. Never contended: both run on one thread.
#[derive(Resource, Clone)]
struct Shared {
    inner: Arc<Mutex<Inner>>,
    stop: Arc<AtomicBool>,
}

struct Inner {
    stage: Box<dyn StageApp>,
    /// What [`StageApp::start`] was last called with.
    gpu: Option<Gpu>,
    pace: pace::Meter,
    /// [`WindowState`] as of the last tick.
    shows: WindowState,
    overlay: overlay::Overlay,
    panel: panel_window::Host,
    error: Option<WindowError>,
}

impl Shared {
    fn new(stage: Box<dyn StageApp>, stop: Arc<AtomicBool>) -> Self {
        let inner = Inner {
            stage,
            gpu: None,
            pace: pace::Meter::default(),
            shows: WindowState::default(),
            overlay: overlay::Overlay::default(),
            panel: panel_window::Host::default(),
            error: None,
        };
        Self { inner: Arc::new(Mutex::new(inner)), stop }
    }

    /// A panic in the stage app does not end the show, so its poison is ignored.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells people something about the window.
    fn tell(&self, level: Level, text: String) {
        tracing::info!("{text}");
        self.lock().stage.told(level, text);
    }

    /// Ends the show with an error that [`run`] returns.
    fn fail(&self, error: WindowError) {
        self.lock().error.get_or_insert(error);
        self.stop.store(true, Ordering::Relaxed);
    }
}
