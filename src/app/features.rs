//! What the signal says of itself, by the names under which envelope followers find it.

use crate::state::Pulse;

/// The names, in the order of [`features`].
pub const FEATURES: [&str; 3] = ["level", "onset", "wave"];

/// Each feature with its value, 0..1.
pub fn features(pulse: &Pulse) -> [(&'static str, f32); FEATURES.len()] {
    // The newest sample; followers take its size.
    let wave = pulse.points.last().copied().unwrap_or_default();
    let values = [pulse.level, pulse.onset, wave];
    std::array::from_fn(|at| (FEATURES[at], values[at]))
}
