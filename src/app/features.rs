//! What the signal says of itself, by the names under which envelope followers find it.

use crate::state::{FEATURES, Pulse, Reading};

/// The names, in the order of [`features`].
pub fn names() -> [&'static str; FEATURES.len()] {
    FEATURES.map(|(name, _)| name)
}

/// Each feature with its value, 0..1; the wave is -1..1, and followers take its size.
pub fn features(pulse: &Pulse, reading: &Reading) -> [(&'static str, f32); FEATURES.len()] {
    reading.features(pulse)
}
