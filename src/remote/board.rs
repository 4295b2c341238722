//! What the control page shows besides parameters: the app puts it here, the page's server takes it from here.
//!
//! Slots, where the latest wins: neither side waits for the other.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::Serialize;

/// A picture to be looked at from afar.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Two pictures with the same number are the same.
    pub number: u64,
    pub width: usize,
    pub height: usize,
    /// Rows from the top, sRGB.
    pub rgba: Vec<u8>,
}

/// Copies the newest picture, unless it is the one of this number. Called while somebody looks, by a thread of the
/// server; must not make the generator wait.
pub type Pictures = Box<dyn Fn(Option<u64>) -> Option<Picture> + Send + Sync>;

/// How the show goes.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Status {
    /// The id of the preset that plays, empty if none does.
    pub preset: String,
    pub preset_name: String,
    pub source: String,
    /// What the source says of itself, or why there is no signal.
    pub source_state: String,
    pub mapping: String,
    pub model: String,
    pub channels: usize,
    /// Channels that are flat, clipped or bridged.
    pub channels_unwell: usize,
    pub pictures_per_s: f32,
    /// Of the screen; 0 where there is none.
    pub frames_per_s: f32,
    pub latency_ms: f32,
    pub presets: Vec<PresetCard>,
    pub notes: Vec<Note>,
}

/// A preset as a button.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PresetCard {
    pub id: String,
    pub name: String,
    pub about: String,
}

/// Something that people should know.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Note {
    pub is_error: bool,
    pub text: String,
    pub age_secs: f32,
}

/// The shared state.
pub struct Board {
    status: ArcSwap<Status>,
    pictures: Pictures,
}

impl Board {
    pub fn new(pictures: Pictures) -> Self {
        Self { status: ArcSwap::default(), pictures }
    }

    /// To be called a few times a second.
    pub fn put(&self, status: Status) {
        self.status.store(Arc::new(status));
    }

    pub fn status(&self) -> Arc<Status> {
        self.status.load_full()
    }

    pub(super) fn picture(&self, unless: Option<u64>) -> Option<Picture> {
        (self.pictures)(unless)
    }
}

impl Default for Board {
    /// Without pictures.
    fn default() -> Self {
        Self::new(Box::new(|_| None))
    }
}

impl std::fmt::Debug for Board {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Board").field("status", &self.status).finish_non_exhaustive()
    }
}
