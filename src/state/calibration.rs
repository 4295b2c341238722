//! What was learned of a signal, to start with the next time: the usual values of its ratios. Plain numbers; the app
//! keeps them in a file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::usual::KEPT;

/// How many quantiles are kept of each ratio.
pub const QUANTILES: usize = KEPT.len();

/// The calibration of one source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Signal that it was learned from.
    pub learned_secs: f64,
    pub kind: String,
    /// Quantiles 0.1, 0.25, 0.5, 0.75 and 0.9 of each ratio (natural logarithms), by name.
    pub usual: BTreeMap<String, [f64; QUANTILES]>,
}

impl Calibration {
    /// Finite and rising, as quantiles are.
    pub fn is_sound(&self) -> bool {
        let sound = |kept: &[f64; QUANTILES]| kept.iter().all(|q| q.is_finite()) && kept.is_sorted();
        self.learned_secs.is_finite() && self.usual.values().all(sound)
    }
}
