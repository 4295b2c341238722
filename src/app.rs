//! The program: command line, wiring, windows.

pub mod cli;
pub mod commands;

/// What was typed cannot be meant: the program ends with exit code 2 instead of 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);
