//! Tokens, row by row as tensors have them, in and out of maps.

use super::{floats::LANES, grid::Grid};

/// Channels in parts that each begin a block: heads, or maps that count as one. One part is the usual case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts(Vec<usize>);

impl Parts {
    pub fn one(channels: usize) -> Self {
        Self(vec![channels])
    }
    pub fn of(parts: &[usize]) -> Self {
        Self(parts.to_vec())
    }
    pub fn each(&self) -> &[usize] {
        &self.0
    }
    pub fn channels(&self) -> usize {
        self.0.iter().sum()
    }
    /// Channels with what fills up the last block of each part.
    pub fn lanes(&self) -> usize {
        self.0.iter().map(|p| p.next_multiple_of(LANES)).sum()
    }
    /// The channel of each lane; none for a lane that only fills up.
    pub fn channel_of_lanes(&self) -> Vec<Option<usize>> {
        let mut channel = 0..;
        let part = |p: &usize| (0..p.next_multiple_of(LANES)).map(|i| i < *p).collect::<Vec<_>>();
        self.0.iter().flat_map(part).map(|used| if used { channel.next() } else { None }).collect()
    }
    /// First lane, first channel and channels of each block.
    fn blocks(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let (mut lane, mut channel) = (0, 0);
        self.0.iter().flat_map(move |part| {
            let here = (lane, channel);
            lane += part.next_multiple_of(LANES);
            channel += part;
            (0..*part).step_by(LANES).map(move |i| (here.0 + i, here.1 + i, LANES.min(part - i)))
        })
    }
}

impl Grid {
    /// Copies `(tokens, channels)` in; a token is a pixel, row after row.
    pub fn fill_tokens(&mut self, values: &[f32], parts: &Parts) {
        let (channels, width) = (parts.channels(), self.width());
        for (lane, first, used) in parts.blocks() {
            for (i, token) in values.chunks_exact(channels.max(1)).enumerate() {
                let at = self.index(lane, i / width, i % width);
                self.floats_mut()[at..at + used].copy_from_slice(&token[first..first + used]);
            }
        }
    }
    /// Copies the tokens out as `(tokens, channels)`.
    pub fn copy_tokens(&self, values: &mut [f32], parts: &Parts) {
        let (channels, width) = (parts.channels(), self.width());
        for (lane, first, used) in parts.blocks() {
            for (i, token) in values.chunks_exact_mut(channels.max(1)).enumerate() {
                let at = self.index(lane, i / width, i % width);
                token[first..first + used].copy_from_slice(&self.floats()[at..at + used]);
            }
        }
    }
}
