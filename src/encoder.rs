//! The signal learns to steer: an encoder trained on the signal itself by masking, and a head that turns what it sees
//! into what a picture is asked with. Steering, not mind reading.
//!
//! ```text
//! channels of the source ──> feed ──> Encoder ──> tokens ──> Head ──> Steering: context tokens, genres, mood, scene
//! (conditioned, 512 Hz)     window    (blocks)    (n, width)
//! ```
//!
//! The encoder is that of DreamDiffusion (Bai et al. 2023, arXiv 2306.16934), in its size or smaller, computed by
//! candle. [`pretrain`] trains one on recordings, [`align`] a head on pairs of a signal and a state or picture.
//! Nothing here reads parameters or touches a real-time thread; `app` runs it on a thread of its own.

pub mod align;
pub mod evaluate;
pub mod feed;
pub mod figure;
mod files;
pub mod head;
pub mod layers;
pub mod mappers;
mod net;
pub mod pairs;
mod position;
pub mod pretrain;
pub mod recording;
mod shape;
pub mod steerer;
#[cfg(test)]
mod tests;
pub mod train;
pub mod worker;

pub use files::{Store, load, save};
pub use net::Net;
pub use shape::Shape;

use std::path::PathBuf;

use crate::signal::SourceError;

/// Why an encoder cannot be loaded, trained or asked. Each message names the file and the way out.
#[derive(Debug, thiserror::Error)]
pub enum EncoderError {
    #[error("{path}: cannot be read ({cause}); check the path")]
    Read { path: PathBuf, cause: std::io::Error },
    #[error("{path}: cannot be written ({cause}); check the folder and its space")]
    Write { path: PathBuf, cause: std::io::Error },
    /// `what` ends the sentence that the file's name begins.
    #[error("{path} {what}")]
    File { path: PathBuf, what: String },
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("the encoder cannot be computed: {0}")]
    Tensor(#[from] candle_core::Error),
    #[error("{0}")]
    Message(String),
}
