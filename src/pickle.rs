//! PyTorch's files (.ckpt, .pt, .pth, .bin) read without executing anything.
//!
//! Python's pickle is a program for a small stack machine, which can name any function and call it. This reader knows
//! the instructions that build plain values, writes calls down instead of making them, and understands the few calls
//! that a state dict needs (tensors, parameters, ordered dicts). Everything else is kept as [`Node::Object`], told by
//! name and left alone; instructions that it does not know, and calls that only an attack needs, refuse the file.
//!
//! ```text
//! file ──> archive (zip) or legacy ──> machine ──> arena of nodes ──> tensors by dotted names, read where they lie
//! ```
//!
//! The format: Lib/pickletools.py of Python, torch/serialization.py and torch/_utils.py of PyTorch. candle's reader is
//! not used: it copies what is referred to twice (a few bytes can ask for all memory), panics on short tuples, shifts
//! integers too far, and knows neither protocol 4 nor the format before 2020.

mod archive;
mod checks;
mod legacy;
mod machine;
mod tensors;

pub use machine::{Arena, Id, Node};
pub use tensors::{Stored, Torch};

use std::path::PathBuf;

/// Why a file is not read. Reads as one sentence that begins with the file's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} {what}")]
pub struct PickleError {
    pub path: PathBuf,
    pub what: String,
}

/// Whether a file begins as PyTorch's files do: a zip, or a pickle of protocol 2 to 5.
pub fn is_pickle(first: &[u8]) -> bool {
    matches!(first, [b'P', b'K', 3, 4, ..] | [0x80, 2..=5, ..])
}
