//! wavedream: a living signal is the noise from which a diffusion model makes its pictures, thirty a second, on stage.
//!
//! ```text
//! source ──> ring ──> window ──> latent ──> diffusion ──> picture ──> stage ──> screen / film
//! (thread)   60 s      1 s, hop   4x64x64    (thread)      RGBA8      wgpu
//!                      1/30 s     or as the                latest     crossfade,
//!                                 model asks               wins       effects
//! every knob, key, preset and command-line setting ──> one table of parameters ──> read by all of the above
//! ```
//!
//! One direction, no way back. Each room below knows only what stands to its left; `control` knows parameters only;
//! `app` wires the rooms together. Nothing in `signal`..`control` needs a window.

pub mod app;
pub mod control;
pub mod diffusion;
pub mod encoder;
pub mod half;
pub mod kernels;
pub mod latent;
pub mod pickle;
pub mod remote;
pub mod signal;
pub mod stage;
pub mod state;

use std::time::Instant;

/// Which moment of the signal something was made from; travels with window, latent and picture.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// Number of the hop: the window ends at `hop / 30` seconds of signal time.
    pub hop: u64,
    /// Signal time of the newest sample in the window.
    pub signal_secs: f64,
    /// When the newest sample reached the program: the start of the latency from sample to picture.
    pub arrived: Instant,
}

impl Stamp {
    /// Before the first hop.
    pub fn start() -> Self {
        Self { hop: 0, signal_secs: 0.0, arrived: Instant::now() }
    }

    /// Signal time since an earlier moment; 0 if the signal has begun anew since.
    pub fn secs_since(&self, earlier: &Self) -> f64 {
        self.hop.saturating_sub(earlier.hop) as f64 / signal::HOPS_PER_SEC as f64
    }
}
