//! What the signal says about itself, and what that steers.
//!
//! ```text
//! source's channels, 512 Hz ──> bank ──> band powers ──> ratios ──> arousal, sleep ──┐
//!                                 │                        ^ usual values of this signal
//!                                 ├──> ripples, spindles, bursts ────────────────────┼──> Reading, once a hop
//! lead channel ──> resonators ──> dominant rhythm and its phase ─────────────────────┤
//! first channel ──> pulse: course, level, onset                                      └──> steer: moods, genres, prompts
//! ```
//!
//! Runs on the signal thread, once a hop, allocates nothing once warm. No unit is assumed: everything is measured against
//! what this signal usually does, so that a rat's microvolts and a gale's metres a second both fill the range within a
//! minute. The same samples give the same readings, byte for byte.

mod arousal;
mod bands;
mod bursts;
mod calibration;
mod confusion;
mod kind;
mod meter;
mod powers;
mod pulse;
mod reading;
mod rhythm;
mod ripples;
mod sleep;
mod spindles;
mod steer;
mod usual;

pub use bands::{BAND_NAMES, BANDS};
pub use bursts::{Burst, BurstKind};
pub use calibration::Calibration;
pub use confusion::{Confusion, Detected};
pub use kind::{KIND_NAMES, Kind};
pub use meter::{StateMeter, StateSettings};
pub use pulse::{PULSE_POINTS, Pulse, PulseMeter};
pub use reading::{FEATURES, Reading};
pub use rhythm::Rhythm;
pub use sleep::{Ratios, STATE_NAMES, STATES, State};
pub use steer::{GenreMix, Mood};
