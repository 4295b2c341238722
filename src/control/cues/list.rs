//! What one cue is.

use crate::control::Value;

/// When a cue comes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    /// So many seconds from the start of the list.
    At(f64),
    /// So many seconds since the cue before.
    After(f64),
    /// So many beats since the cue before.
    Beats(f64),
    /// When somebody says so.
    Go,
}

/// A step of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Cue {
    pub name: String,
    pub preset: Option<String>,
    pub when: When,
    /// How long it takes to arrive; None for the preset's own time.
    pub secs: Option<f64>,
    pub transition: Option<String>,
    /// Path, value and line of what is set beside the preset.
    pub set: Vec<(String, Value, usize)>,
    /// In its file, for messages.
    pub line: usize,
}
