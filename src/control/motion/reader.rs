//! The beat as other threads read it: the position at any moment, from the last frame's and the tempo. Never waits.

use std::{sync::Arc, time::Instant};

use arc_swap::ArcSwap;

use super::Beat;

/// A frame that is later than this has stopped: the beat stands too.
const MOST_AHEAD_SECS: f64 = 0.5;

#[derive(Debug, Clone, Copy)]
struct Published {
    position: f64,
    bpm: f64,
    at: Instant,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct BeatReader(Arc<ArcSwap<Published>>);

impl Default for BeatReader {
    fn default() -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Published { position: 0.0, bpm: 0.0, at: Instant::now() })))
    }
}

impl BeatReader {
    pub(super) fn publish(&self, beat: &Beat) {
        self.0.store(Arc::new(Published { position: beat.position(), bpm: beat.bpm(), at: Instant::now() }));
    }

    /// Beats since the start, at a moment after the last frame.
    pub fn position_at(&self, at: Instant) -> f64 {
        let last = self.0.load();
        let ahead_secs = at.saturating_duration_since(last.at).as_secs_f64().min(MOST_AHEAD_SECS);
        last.position + ahead_secs * last.bpm / 60.0
    }
}
