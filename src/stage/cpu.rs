//! The stage without a graphics device: crossfade and fit on the CPU, no effects, every transition a dissolve.
//!
//! For `render` on a machine that has no Vulkan at all, not even in software. Catmull-Rom as on the GPU; where the
//! picture is larger than its place the kernel is stretched over all pixels that fall into it.

use rayon::prelude::*;

use super::{
    FrameClock, Look,
    pace::{Fader, Pace},
};
use crate::diffusion::Picture;

/// Three values a pixel, 0..255.
type Rgb = Vec<f32>;

/// Makes frames of one size. Runs on the thread of whoever renders, rows spread over rayon's.
pub struct Painter {
    size: (u32, u32),
    pace: Pace,
    picture_size: (u32, u32),
    newest: Rgb,
    before: Rgb,
    mixed: Rgb,
    pending: u32,
    arrivals: u64,
    /// The last frame before brightness, and what a transition leads away from.
    seen: Rgb,
    held: Option<(Rgb, f64, f64)>,
    wanted_secs: Option<f64>,
    frozen_secs: f64,
    light: Fader,
}

impl Painter {
    pub fn new(size: (u32, u32)) -> Self {
        Self {
            size,
            pace: Pace::default(),
            picture_size: (0, 0),
            newest: Rgb::new(),
            before: Rgb::new(),
            mixed: Rgb::new(),
            pending: 0,
            arrivals: 0,
            seen: Rgb::new(),
            held: None,
            wanted_secs: None,
            frozen_secs: 0.0,
            light: Fader::new(1.0, 0.2),
        }
    }

    /// A new picture has arrived.
    pub fn show(&mut self, picture: &Picture) {
        if picture.width == 0 || picture.height == 0 || picture.rgba.len() != 4 * picture.width * picture.height {
            return;
        }
        let size = (picture.width as u32, picture.height as u32);
        if self.pending == 0 {
            // What is seen now is what the new picture fades in over.
            std::mem::swap(&mut self.before, &mut self.mixed);
        }
        self.newest.clear();
        self.newest.extend(
            picture.rgba.as_chunks::<4>().0.iter().flat_map(|pixel| [pixel[0], pixel[1], pixel[2]].map(f32::from)),
        );
        if size != self.picture_size || self.before.len() != self.newest.len() {
            self.before.clone_from(&self.newest);
        }
        self.picture_size = size;
        self.pending += 1;
    }

    /// Holds what is on stage now and dissolves from it to the live picture.
    pub fn begin_transition(&mut self, secs: f32) {
        self.wanted_secs = Some(f64::from(secs.max(0.0)));
    }

    /// The frame for this moment, RGBA, rows from the top.
    pub fn frame(&mut self, clock: &FrameClock, look: &Look, rgba: &mut Vec<u8>) {
        let delta_secs = clock.delta_secs.max(0.0);
        let now_secs = clock.time_secs - self.frozen_secs;
        if look.freeze && !self.seen.is_empty() {
            self.frozen_secs += delta_secs;
        } else {
            self.compose(look, now_secs, delta_secs);
        }
        let lit = self.light.toward(if look.blackout { 0.0 } else { 1.0 }, delta_secs);
        let brightness = look.master.clamp(0.0, 1.0) * lit * lit;
        rgba.clear();
        rgba.extend(self.seen.as_chunks::<3>().0.iter().flat_map(|pixel| {
            let byte = |value: f32| (value * brightness).round().clamp(0.0, 255.0) as u8;
            [byte(pixel[0]), byte(pixel[1]), byte(pixel[2]), 255]
        }));
    }

    fn compose(&mut self, look: &Look, now_secs: f64, delta_secs: f64) {
        if let Some(secs) = self.wanted_secs.take() {
            self.held = (secs > 0.0 && !self.seen.is_empty()).then(|| (self.seen.clone(), now_secs - delta_secs, secs));
        }
        if self.pending > 0 {
            self.pace.arrived(now_secs, self.pending);
            self.pending = 0;
            self.arrivals += 1;
        }
        let blend = match self.arrivals > 1 {
            true => self.pace.blend(now_secs, delta_secs, look.crossfade),
            false => 1.0,
        };
        self.mixed.clear();
        self.mixed.extend(self.before.iter().zip(&self.newest).map(|(a, b)| a + (b - a) * blend));
        self.fit(look);
        if let Some((held, start_secs, secs)) = &self.held {
            let along = ((now_secs - start_secs) / secs) as f32;
            if along >= 1.0 {
                self.held = None;
            } else {
                let share = along * along * (3.0 - 2.0 * along);
                for (seen, held) in self.seen.iter_mut().zip(held) {
                    *seen = held + (*seen - held) * share;
                }
            }
        }
    }

    fn fit(&mut self, look: &Look) {
        let (width, height) = (self.size.0 as usize, self.size.1 as usize);
        self.seen.resize(3 * width * height, 0.0);
        if self.mixed.is_empty() {
            self.seen.fill(0.0);
            return;
        }
        let scale = look.fit.picture_from_stage(self.picture_size, self.size);
        let columns = taps(self.size.0, self.picture_size.0, scale[0]);
        let rows = taps(self.size.1, self.picture_size.1, scale[1]);
        let from_width = self.picture_size.0 as usize;
        let mut narrow = vec![0.0f32; 3 * width * self.picture_size.1 as usize];
        narrow.par_chunks_mut(3 * width).zip(self.mixed.par_chunks(3 * from_width)).for_each(|(onto, from)| {
            for (pixel, taps) in onto.as_chunks_mut::<3>().0.iter_mut().zip(&columns) {
                for &(at, weight) in taps {
                    for channel in 0..3 {
                        pixel[channel] += weight * from[3 * at + channel];
                    }
                }
            }
        });
        self.seen.par_chunks_mut(3 * width).zip(&rows).for_each(|(onto, taps)| {
            onto.fill(0.0);
            for &(at, weight) in taps {
                for (value, from) in onto.iter_mut().zip(&narrow[3 * width * at..]) {
                    *value += weight * from;
                }
            }
            for value in onto {
                *value = value.clamp(0.0, 255.0);
            }
        });
    }
}

/// For each of `onto` places the pixels of `from` that it is made of, and their weights; none beyond the edge.
fn taps(onto: u32, from: u32, scale: f32) -> Vec<Vec<(usize, f32)>> {
    let wide = (scale * from as f32 / onto as f32).max(1.0);
    (0..onto)
        .map(|place| {
            let uv = ((place as f32 + 0.5) / onto as f32 - 0.5) * scale + 0.5;
            if !(0.0..=1.0).contains(&uv) {
                return Vec::new();
            }
            let centre = uv * from as f32 - 0.5;
            let first = (centre - 2.0 * wide).ceil() as i64;
            let last = (centre + 2.0 * wide).floor() as i64;
            let mut taps: Vec<(usize, f32)> = (first..=last)
                .map(|at| {
                    let inside = at.clamp(0, i64::from(from) - 1) as usize;
                    (inside, catmull_rom((at as f32 - centre) / wide))
                })
                .collect();
            let sum: f32 = taps.iter().map(|(_, weight)| weight).sum();
            for (_, weight) in &mut taps {
                *weight /= sum;
            }
            taps
        })
        .collect()
}

/// The kernel of E. Catmull and R. Rom, "A class of local interpolating splines" (1974), with tension 1/2.
fn catmull_rom(x: f32) -> f32 {
    let x = x.abs();
    if x < 1.0 {
        1.0 + x * x * (1.5 * x - 2.5)
    } else if x < 2.0 {
        2.0 + x * (-4.0 + x * (2.5 - 0.5 * x))
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{Stamp, stage::Fit};

    fn plain(width: usize, height: usize, value: u8) -> Picture {
        Picture {
            stamp: Stamp { hop: 0, signal_secs: 0.0, arrived: Instant::now() },
            width,
            height,
            rgba: [value, value / 2, 0, 255].repeat(width * height),
            ..Picture::empty()
        }
    }

    #[test]
    fn a_plain_picture_stays_plain_at_every_size_and_fit() {
        for size in [(64, 36), (33, 90), (8, 8)] {
            for fit in [Fit::Crop, Fit::Stretch] {
                let mut painter = Painter::new(size);
                painter.show(&plain(24, 24, 200));
                let mut rgba = Vec::new();
                let look = Look { fit, ..Look::default() };
                painter.frame(&FrameClock::of_film(0, 30.0), &look, &mut rgba);
                assert_eq!(rgba, [200, 100, 0, 255].repeat((size.0 * size.1) as usize));
            }
        }
    }

    #[test]
    fn a_contained_square_leaves_black_sides() {
        let mut painter = Painter::new((40, 20));
        painter.show(&plain(16, 16, 200));
        let mut rgba = Vec::new();
        let look = Look { fit: Fit::Contain, ..Look::default() };
        painter.frame(&FrameClock::of_film(0, 30.0), &look, &mut rgba);
        let row: Vec<u8> = rgba[..160].chunks(4).map(|pixel| pixel[0]).collect();
        assert_eq!(row[..10], [0; 10]);
        assert_eq!(row[10..30], [200; 20]);
        assert_eq!(row[30..], [0; 10]);
    }

    #[test]
    fn pictures_of_ten_a_second_fade_over_three_frames() {
        let mut painter = Painter::new((4, 4));
        let mut rgba = Vec::new();
        let mut seen = Vec::new();
        for frame in 0..24 {
            if frame % 3 == 0 {
                painter.show(&plain(4, 4, if frame % 6 == 0 { 0 } else { 240 }));
            }
            painter.frame(&FrameClock::of_film(frame, 30.0), &Look::default(), &mut rgba);
            seen.push(rgba[0]);
        }
        assert_eq!(seen[18..24], [160, 80, 0, 80, 160, 240]);
    }

    #[test]
    fn a_frozen_frame_stays_and_a_blackout_is_black() {
        let mut painter = Painter::new((4, 4));
        let mut rgba = Vec::new();
        painter.show(&plain(4, 4, 240));
        painter.frame(&FrameClock::of_film(0, 30.0), &Look::default(), &mut rgba);
        let frozen = Look { freeze: true, ..Look::default() };
        painter.show(&plain(4, 4, 10));
        painter.frame(&FrameClock::of_film(1, 30.0), &frozen, &mut rgba);
        assert_eq!(rgba[0], 240);
        let black = Look { blackout: true, ..Look::default() };
        for frame in 2..10 {
            painter.frame(&FrameClock::of_film(frame, 30.0), &black, &mut rgba);
        }
        assert_eq!(rgba, [0, 0, 0, 255].repeat(16));
    }
}
