//! Windows drawn from recordings, and what of each is hidden. The end of each recording is kept for the test, a window
//! apart from what is learnt.

use candle_core::{Device, Result, Tensor};

use super::Plan;
use crate::{
    encoder::{EncoderError, Shape, recording::Recording},
    signal::Random,
};

/// First samples at which windows of a recording may begin: to learn from, and to test on.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub learnt: std::ops::Range<usize>,
    pub tested: std::ops::Range<usize>,
}

/// # Errors
/// A recording is too short for a window to learn from and one to test on.
pub fn parts(recordings: &[Recording], plan: &Plan) -> std::result::Result<Vec<Part>, EncoderError> {
    let window = plan.shape.window;
    recordings
        .iter()
        .map(|recording| {
            let samples = recording.samples();
            let cut = ((samples as f64) * (1.0 - plan.held_out)).round() as usize;
            if cut < window + 1 || samples < cut + window + 1 {
                let least = (window as f64 + 2.0) / plan.shape.rate_hz / plan.held_out.min(1.0 - plan.held_out).max(1e-3);
                return Err(EncoderError::Message(format!(
                    "{}: {:.1} s are too short to learn from and to be tested on; it takes {least:.1} s, or a smaller --window",
                    recording.name,
                    recording.secs(),
                )));
            }
            Ok(Part { learnt: 0..cut - window, tested: cut..samples - window })
        })
        .collect()
}

/// Windows with most of their patches hidden.
#[derive(Debug, Clone)]
pub struct Batch {
    /// (b, visible, patch values), samples channel by channel.
    pub visible: Vec<f32>,
    /// (b, hidden, patch values)
    pub hidden: Vec<f32>,
    /// Number of each patch, from 0: visible ones, then hidden ones, window by window.
    pub order: Vec<Vec<usize>>,
    pub seen: usize,
}

impl Batch {
    pub fn draw(recordings: &[Recording], parts: &[Part], plan: &Plan, count: usize, random: &mut Random) -> Self {
        let total: usize = parts.iter().map(|part| part.learnt.len()).sum();
        let windows = (0..count).map(|_| {
            let mut at = (random.unit() * total as f64) as usize;
            let found = recordings.iter().zip(parts).find(|(_, part)| {
                let here = at < part.learnt.len();
                at = if here { at } else { at - part.learnt.len() };
                here
            });
            found.map_or_else(Vec::new, |(recording, part)| recording.window(&plan.shape, part.learnt.start + at))
        });
        let windows: Vec<Vec<f32>> = windows.filter(|window| !window.is_empty()).collect();
        Self::of(&windows, &plan.shape, plan.masked, random)
    }

    /// Hides a random share of each window's patches.
    pub fn of(windows: &[Vec<f32>], shape: &Shape, masked: f64, random: &mut Random) -> Self {
        let tokens = shape.tokens();
        let seen = ((tokens as f64 * (1.0 - masked)).round() as usize).clamp(1, tokens.saturating_sub(1).max(1));
        let mut batch = Self { visible: Vec::new(), hidden: Vec::new(), order: Vec::new(), seen };
        for window in windows {
            let mut order: Vec<usize> = (0..tokens).collect();
            for i in (1..tokens).rev() {
                order.swap(i, (random.unit() * (i + 1) as f64) as usize);
            }
            for (place, patch) in order.iter().enumerate() {
                let into = if place < seen { &mut batch.visible } else { &mut batch.hidden };
                for channel in window.chunks_exact(shape.window) {
                    into.extend_from_slice(&channel[patch * shape.patch..(patch + 1) * shape.patch]);
                }
            }
            batch.order.push(order);
        }
        batch
    }

    pub fn visible(&self, shape: &Shape, device: &Device) -> Result<Tensor> {
        Tensor::from_slice(&self.visible, (self.order.len(), self.seen, shape.patch_values()), device)
    }

    pub fn hidden(&self, shape: &Shape, device: &Device) -> Result<Tensor> {
        let hidden = shape.tokens() - self.seen;
        Tensor::from_slice(&self.hidden, (self.order.len(), hidden, shape.patch_values()), device)
    }

    /// Rows of the positions (0 is the class slot) of visible or hidden patches, window by window.
    pub fn rows(&self, hidden: bool, device: &Device) -> Result<Tensor> {
        let of = |order: &Vec<usize>| if hidden { order[self.seen..].to_vec() } else { order[..self.seen].to_vec() };
        let rows: Vec<u32> = self.order.iter().flat_map(of).map(|patch| patch as u32 + 1).collect();
        let count = rows.len();
        Tensor::from_vec(rows, count, device)
    }
}

/// Windows to test on, the same in every run of a plan, evenly over the kept parts; each a batch of one.
pub fn held_out(recordings: &[Recording], parts: &[Part], plan: &Plan, count: usize) -> Vec<(Vec<f32>, Batch)> {
    let total: usize = parts.iter().map(|part| part.tested.len()).sum();
    let mut random = Random::new(plan.seed ^ 0x7465_7374);
    let mut tests = Vec::with_capacity(count);
    for n in 0..count {
        // Spread over the parts in an order in which each first few are spread as well.
        let mut at = (n * 7919 % count.max(1)) * total / count.max(1);
        for (recording, part) in recordings.iter().zip(parts) {
            if at < part.tested.len() {
                let window = recording.window(&plan.shape, part.tested.start + at);
                let batch = Batch::of(std::slice::from_ref(&window), &plan.shape, plan.masked, &mut random);
                tests.push((window, batch));
                break;
            }
            at -= part.tested.len();
        }
    }
    tests
}
