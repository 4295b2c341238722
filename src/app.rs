//! The program: command line, wiring, windows.

mod calibrations;
pub mod cli;
pub mod commands;
mod device;
mod dials;
mod ear;
mod effects;
mod encoder_line;
mod features;
mod line;
#[cfg(feature = "window")]
mod live;
#[cfg(feature = "window")]
pub mod panel;
#[cfg(feature = "window")]
pub mod play;
pub mod plot;
pub mod recording;
#[cfg(feature = "window")]
mod remote;
pub mod render;
mod setup;
mod spares;
mod state_board;
mod steering;
#[cfg(any(feature = "window", test))]
mod vitals;
#[cfg(feature = "window")]
pub mod window;

pub use setup::full_table;

use crate::{
    stage::{SignalTrace, TRACE_POINTS},
    state::Pulse,
};

/// What was typed cannot be meant: the program ends with exit code 2 instead of 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// The pulse of the signal as shaders see it.
fn trace_from_pulse(pulse: &Pulse, trace: &mut SignalTrace) {
    let shown = pulse.points.len().min(TRACE_POINTS);
    trace.points[TRACE_POINTS - shown..].copy_from_slice(&pulse.points[pulse.points.len() - shown..]);
    trace.level = pulse.level;
    trace.onset = pulse.onset;
}
