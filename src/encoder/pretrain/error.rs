//! How well hidden patches are told, beside two yardsticks that have learnt nothing: the mean of what is visible, and a
//! straight line from the visible sample before the gap to the one after it.

use candle_core::{Device, Result};

use super::{batch::Batch, decoder::Masked};
use crate::encoder::Shape;

/// Windows that are shown.
const TRACES: usize = 6;

/// Mean squared error on the hidden samples of held-out windows, whose channels have unit deviation.
#[derive(Debug, Clone, Default)]
pub struct HeldOut {
    pub model: f32,
    pub mean: f32,
    pub linear: f32,
    pub windows: usize,
    pub traces: Vec<Trace>,
}

impl HeldOut {
    /// Whether the encoder has learnt anything worth having.
    pub fn beats_both(&self) -> bool {
        self.model < self.mean && self.model < self.linear
    }
}

/// One channel of a held-out window.
#[derive(Debug, Clone)]
pub struct Trace {
    pub channel: usize,
    pub truth: Vec<f32>,
    pub guessed: Vec<f32>,
    pub linear: Vec<f32>,
    /// Whether each sample was hidden.
    pub hidden: Vec<bool>,
}

pub fn measure(model: &Masked, tests: &[(Vec<f32>, Batch)], shape: &Shape, device: &Device) -> Result<HeldOut> {
    let mut sums = [0.0_f64; 3];
    let mut count = 0_usize;
    let mut traces = Vec::new();
    for (n, (window, batch)) in tests.iter().enumerate() {
        let guess = model.guess(batch, device)?.flatten_all()?.to_vec1::<f32>()?;
        let Some(order) = batch.order.first() else { continue };
        for channel in 0..shape.channels {
            let truth = &window[channel * shape.window..(channel + 1) * shape.window];
            let mut hidden = vec![false; shape.window];
            let mut guessed = truth.to_vec();
            for (row, patch) in order[batch.seen..].iter().enumerate() {
                let values = &guess[row * shape.patch_values() + channel * shape.patch..][..shape.patch];
                guessed[patch * shape.patch..(patch + 1) * shape.patch].copy_from_slice(values);
                hidden[patch * shape.patch..(patch + 1) * shape.patch].fill(true);
            }
            let visible: Vec<f32> = truth.iter().zip(&hidden).filter(|(_, h)| !**h).map(|(x, _)| *x).collect();
            let mean = visible.iter().sum::<f32>() / visible.len().max(1) as f32;
            let linear = across_gaps(truth, &hidden);
            for (at, x) in truth.iter().enumerate().filter(|(at, _)| hidden[*at]) {
                for (sum, guess) in sums.iter_mut().zip([guessed[at], mean, linear[at]]) {
                    *sum += f64::from(guess - x).powi(2);
                }
                count += 1;
            }
            if n < TRACES && channel == n * shape.channels / TRACES {
                traces.push(Trace { channel, truth: truth.to_vec(), guessed, linear, hidden });
            }
        }
    }
    let [model, mean, linear] = sums.map(|sum| (sum / count.max(1) as f64) as f32);
    Ok(HeldOut { model, mean, linear, windows: tests.len(), traces })
}

/// Straight lines over what is hidden; level at the ends.
pub fn across_gaps(truth: &[f32], hidden: &[bool]) -> Vec<f32> {
    let mut out = truth.to_vec();
    let mut at = 0;
    while at < out.len() {
        if !hidden[at] {
            at += 1;
            continue;
        }
        let end = (at..out.len()).find(|n| !hidden[*n]).unwrap_or(out.len());
        let before = at.checked_sub(1).map(|n| truth[n]);
        let after = truth.get(end).copied();
        for (n, value) in out[at..end].iter_mut().enumerate() {
            let share = (n + 1) as f32 / (end + 1 - at) as f32;
            *value = match (before, after) {
                (Some(a), Some(b)) => a + share * (b - a),
                (Some(level), None) | (None, Some(level)) => level,
                (None, None) => 0.0,
            };
        }
        at = end;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_crossed_straight_and_ends_are_level() {
        let truth = [9.0, 2.0, 9.0, 9.0, 9.0, 6.0, 9.0];
        let hidden = [true, false, true, true, true, false, true];
        assert_eq!(across_gaps(&truth, &hidden), [2.0, 2.0, 3.0, 4.0, 5.0, 6.0, 6.0]);
    }
}
