//! As [`super::paper`], but whitened and rank-Gaussianised: exactly the distribution that a diffusion model expects.
//!
//! The last second of whitened frames ([`super::whiten`]) is ranked, each rank replaced by its normal quantile, and the
//! paper's permutation spreads it. Each picture is as good as noise can make it; but a whitened signal shares nothing with
//! itself a hop later, so the pictures of a film have nothing in common. `memory_secs` keeps a part of the last latent
//! (on the sphere, so it stays white and normal); 0 is the plain mapping.

use super::{Follow, Fresh, Mapping, Shape, frames, frames_from, mersenne, noise, standard::Frame, whiten::Whiten};
use crate::signal::{HOPS_PER_SEC, WINDOW_CHANNELS, Window};

/// See the module.
#[derive(Default)]
pub struct Gauss {
    follow: Follow,
    whiten: Whiten,
    /// The last frames, whitened, oldest first; `frames * 32` values.
    white: Vec<f32>,
    order: Vec<u32>,
    /// Normal quantile of each rank.
    quantiles: Vec<f32>,
    /// (value as ordered bits, slot), sorted each hop.
    ranked: Vec<u64>,
    normal: Vec<f32>,
    last: Vec<f32>,
    memory_secs: f32,
}

impl Gauss {
    fn size_for(&mut self, slots: usize) {
        self.order = mersenne::permutation(super::paper::SEED, slots);
        self.white = vec![0.0; slots];
        self.normal = vec![0.0; slots];
        self.quantiles = vec![0.0; slots];
        let mut near = -4.0;
        for (rank, quantile) in self.quantiles.iter_mut().enumerate() {
            near = noise::normal_quantile((rank as f64 + 0.5) / slots as f64, near);
            *quantile = near as f32;
        }
    }

    fn take_in(&mut self, number: u64, raw: &Frame) {
        let mut white = Frame::default();
        self.whiten.push(number, raw, &mut white);
        self.white.copy_within(WINDOW_CHANNELS.., 0);
        let newest = self.white.len() - WINDOW_CHANNELS;
        self.white[newest..].iter_mut().zip(white).for_each(|(kept, new)| *kept = new as f32);
    }
}

impl Mapping for Gauss {
    fn name(&self) -> &'static str {
        "gauss"
    }

    fn samples(&self, shape: Shape) -> usize {
        shape.samples_to_fill()
    }

    fn map(&mut self, window: &Window, shape: Shape, out: &mut [f32]) {
        let slots = shape.samples_to_fill() * WINDOW_CHANNELS;
        if self.white.len() != slots {
            self.size_for(slots);
            self.reset();
        }
        match self.follow.window(window) {
            Fresh::From(frame) => frames_from(window, frame).for_each(|(number, raw)| self.take_in(number, raw)),
            Fresh::Restart => {
                self.whiten = Whiten::begin(window.first_sample, frames(window));
                frames_from(window, 0).for_each(|(number, raw)| self.take_in(number, raw));
                self.last.clear();
            }
        }

        self.ranked.clear();
        self.ranked.extend(self.white.iter().enumerate().map(|(slot, v)| u64::from(ordered(*v)) << 32 | slot as u64));
        self.ranked.sort_unstable();
        for (quantile, key) in self.quantiles.iter().zip(&self.ranked) {
            self.normal[(key & 0xffff_ffff) as usize] = *quantile;
        }
        for (cell, &slot) in out.iter_mut().zip(&self.order) {
            *cell = self.normal[slot as usize];
        }

        if self.last.len() == out.len() && self.memory_secs > 0.0 {
            let kept = (-1.0 / (HOPS_PER_SEC as f32 * self.memory_secs)).exp();
            let new = (1.0 - kept * kept).sqrt();
            out.iter_mut().zip(&self.last).for_each(|(cell, last)| *cell = new * *cell + kept * last);
            noise::to_unit_rms(out);
        }
        self.last.clear();
        self.last.extend_from_slice(out);
    }

    fn reset(&mut self) {
        self.follow = Follow::default();
    }

    fn set(&mut self, knob: &str, value: f32) -> bool {
        if knob == "memory_secs" && value.is_finite() {
            self.memory_secs = value.clamp(0.0, 60.0);
        }
        knob == "memory_secs"
    }
}

/// Bits that sort as the values do.
fn ordered(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits >> 31 == 0 { bits | 0x8000_0000 } else { !bits }
}
