//! The last picture as the start of the next one: how much of it stays, and how it moves in between.
//!
//! Runs on the generating thread. Movement is given by the second and counted in signal time, so that it looks the same
//! at any rate of pictures, and a film moves as the show did: a movement is the solution of its differential equation
//! over the time that has passed, not a sum of small steps. Moving pictures are sampled with Catmull-Rom splines: what
//! is moved thirty times a second goes soft with straight lines between pixels.

use std::{
    f64::consts::{LN_2, TAU},
    sync::Arc,
};

use rayon::prelude::*;

use super::Picture;
use crate::Stamp;

/// Longer than this between two pictures, the last one is another scene.
const LONGEST_SECS: f64 = 20.0;

/// What stays of the last picture, and its movement. The default is nothing, and costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Feedback {
    /// How much of the last picture stays, 0..1.
    pub strength: f32,
    /// Doublings of its size a second; below 0 it shrinks.
    pub zoom: f32,
    /// To the right, in widths of the picture a second.
    pub pan_x: f32,
    /// Upwards, in heights of the picture a second.
    pub pan_y: f32,
    /// Turns a minute, clockwise.
    pub rotate: f32,
}

/// A picture to start from, and how far from it the new one may go: 0 stays at it, 1 is free of it.
#[derive(Debug, Clone)]
pub struct Start {
    pub picture: Arc<Picture>,
    pub strength: f32,
}

impl PartialEq for Start {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.picture, &other.picture) && self.strength == other.strength
    }
}

impl Feedback {
    pub fn is_on(&self) -> bool {
        self.strength > 0.0
    }

    /// How much of the last picture stays, made safe.
    pub fn kept(&self) -> f32 {
        if self.strength.is_finite() { self.strength.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// The movement between two moments; none if there is none.
    pub fn moved(&self, from: &Stamp, to: &Stamp) -> Option<Moved> {
        let secs = to.secs_since(from);
        let still = [self.zoom, self.pan_x, self.pan_y, self.rotate].iter().all(|v| *v == 0.0);
        if still || secs <= 0.0 || secs > LONGEST_SECS {
            return None;
        }
        let safe = |value: f32| if value.is_finite() { f64::from(value) } else { 0.0 };
        // Growth and turn a second, as one complex number; a place p moves by rate p + pan.
        let (grows, turns) = (safe(self.zoom) * LN_2, safe(self.rotate) * TAU / 60.0);
        let scale = (grows * secs).clamp(-3.0, 3.0).exp();
        let turn = turns * secs;
        // (e^(rate secs) - 1) / rate: what a pan of 1 a second has come to, for it grows and turns on its way.
        let length = grows * grows + turns * turns;
        let (re, im) = (scale * turn.cos() - 1.0, scale * turn.sin());
        let far = if length * secs * secs < 1e-12 {
            [secs, 0.0]
        } else {
            [(re * grows + im * turns) / length, (im * grows - re * turns) / length]
        };
        Some(Moved { scale, turn, far, right: safe(self.pan_x), up: safe(self.pan_y) })
    }
}

/// A movement that has a beginning and an end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moved {
    scale: f64,
    /// Radians, clockwise.
    turn: f64,
    /// Seconds that the pan counts, along itself and across.
    far: [f64; 2],
    /// Widths and heights a second.
    right: f64,
    up: f64,
}

impl Moved {
    /// Moves planes `(channels, height, width)`. What comes in over the border is the picture mirrored.
    pub fn apply(&self, values: &[f32], height: usize, width: usize) -> Vec<f32> {
        let mut out = vec![0.0; values.len()];
        if height == 0 || width == 0 {
            return out;
        }
        let (h, w) = (height as f64, width as f64);
        let (sin, cos) = self.turn.sin_cos();
        let (pan_x, pan_y) = (self.right * w, -self.up * h);
        let shift_x = pan_x * self.far[0] - pan_y * self.far[1];
        let shift_y = pan_x * self.far[1] + pan_y * self.far[0];
        let plane = height * width;
        out.par_chunks_mut(width).enumerate().with_min_len(8).for_each(|(row, out)| {
            let (channel, y) = (row / height, row % height);
            let values = &values[channel * plane..(channel + 1) * plane];
            // From where a pixel comes: the way back of shift, turn and growth about the middle.
            let down = y as f64 + 0.5 - h / 2.0 - shift_y;
            for (x, out) in out.iter_mut().enumerate() {
                let across = x as f64 + 0.5 - w / 2.0 - shift_x;
                let from_x = (across * cos + down * sin) / self.scale + w / 2.0 - 0.5;
                let from_y = (down * cos - across * sin) / self.scale + h / 2.0 - 0.5;
                *out = sample(values, height, width, from_y, from_x);
            }
        });
        out
    }
}

/// The weights of four neighbours for a place `t` of the way between the middle two.
fn spline(t: f32) -> [f32; 4] {
    let (t2, t3) = (t * t, t * t * t);
    [0.5 * (-t3 + 2.0 * t2 - t), 0.5 * (3.0 * t3 - 5.0 * t2 + 2.0), 0.5 * (-3.0 * t3 + 4.0 * t2 + t), 0.5 * (t3 - t2)]
}

/// A place beyond the border, mirrored back.
fn mirrored(i: i64, n: usize) -> usize {
    let n = n as i64;
    let i = i.rem_euclid(2 * n);
    (if i < n { i } else { 2 * n - 1 - i }) as usize
}

fn sample(values: &[f32], height: usize, width: usize, y: f64, x: f64) -> f32 {
    let (top, left) = (y.floor(), x.floor());
    let (down, across) = (spline((y - top) as f32), spline((x - left) as f32));
    let (top, left) = (top as i64 - 1, left as i64 - 1);
    let mut sum = 0.0;
    if top >= 0 && left >= 0 && top as usize + 4 <= height && left as usize + 4 <= width {
        for (row, weight) in values[top as usize * width + left as usize..].chunks(width).zip(&down) {
            sum += weight * row.iter().zip(&across).map(|(v, w)| v * w).sum::<f32>();
        }
        return sum;
    }
    let columns: [usize; 4] = std::array::from_fn(|i| mirrored(left + i as i64, width));
    for (i, weight) in down.iter().enumerate() {
        let row = &values[mirrored(top + i as i64, height) * width..][..width];
        sum += weight * columns.iter().zip(&across).map(|(c, w)| row[*c] * w).sum::<f32>();
    }
    sum
}

/// The picture as planes `(3, height, width)`, -1..1.
pub(super) fn planes(picture: &Picture) -> Vec<f32> {
    (0..3).flat_map(|c| picture.rgba.iter().skip(c).step_by(4).map(|v| f32::from(*v) / 127.5 - 1.0)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn stamp(hop: u64) -> Stamp {
        Stamp { hop, signal_secs: hop as f64 / 30.0, arrived: Instant::now() }
    }

    /// A soft spot at a place of a map.
    fn spot(height: usize, width: usize, y: f64, x: f64) -> Vec<f32> {
        let at = |i: usize| {
            let (dy, dx) = ((i / width) as f64 + 0.5 - y, (i % width) as f64 + 0.5 - x);
            (-(dy * dy + dx * dx) / 8.0).exp() as f32
        };
        (0..height * width).map(at).collect()
    }

    fn brightest(values: &[f32], width: usize) -> (f64, f64) {
        let sum: f64 = values.iter().map(|v| f64::from(*v)).sum();
        let mean =
            |f: &dyn Fn(usize) -> f64| values.iter().enumerate().map(|(i, v)| f64::from(*v) * f(i)).sum::<f64>() / sum;
        (mean(&|i| (i / width) as f64 + 0.5), mean(&|i| (i % width) as f64 + 0.5))
    }

    #[test]
    fn a_second_moves_as_far_in_one_step_as_in_thirty() {
        let feedback = Feedback { strength: 0.5, zoom: 0.4, pan_x: 0.1, pan_y: 0.05, rotate: 4.0 };
        let start = spot(64, 48, 30.0, 28.0);
        let at_once = feedback.moved(&stamp(0), &stamp(30)).unwrap().apply(&start, 64, 48);
        let mut bit_by_bit = start;
        for hop in 0..30 {
            bit_by_bit = feedback.moved(&stamp(hop), &stamp(hop + 1)).unwrap().apply(&bit_by_bit, 64, 48);
        }
        let (a, b) = (brightest(&at_once, 48), brightest(&bit_by_bit, 48));
        assert!((a.0 - b.0).abs() < 0.3 && (a.1 - b.1).abs() < 0.3, "{a:?} {b:?}");
    }

    #[test]
    fn each_movement_goes_where_its_name_says() {
        let start = spot(64, 64, 32.0, 40.0);
        let place =
            |feedback: Feedback| brightest(&feedback.moved(&stamp(0), &stamp(30)).unwrap().apply(&start, 64, 64), 64);
        let near = |found: (f64, f64), y: f64, x: f64| {
            assert!((found.0 - y).abs() < 0.3 && (found.1 - x).abs() < 0.3, "{found:?}");
        };
        near(place(Feedback { zoom: 1.0, ..Feedback::default() }), 32.0, 48.0);
        near(place(Feedback { pan_x: 0.125, ..Feedback::default() }), 32.0, 48.0);
        near(place(Feedback { pan_y: 0.125, ..Feedback::default() }), 24.0, 40.0);
        // A quarter of a turn, clockwise.
        near(place(Feedback { rotate: 15.0, ..Feedback::default() }), 40.0, 32.0);
    }

    #[test]
    fn nothing_moves_without_time_without_movement_and_after_a_long_pause() {
        let feedback = Feedback { strength: 1.0, zoom: 1.0, ..Feedback::default() };
        assert_eq!(feedback.moved(&stamp(5), &stamp(5)), None);
        assert_eq!(feedback.moved(&stamp(9), &stamp(5)), None, "the source began anew");
        assert_eq!(feedback.moved(&stamp(0), &stamp(30_000)), None);
        assert_eq!(Feedback { zoom: 0.0, ..feedback }.moved(&stamp(0), &stamp(5)), None);
        let broken = Feedback { zoom: f32::NAN, strength: f32::NAN, ..feedback };
        assert_eq!(broken.kept(), 0.0);
        let moved = broken.moved(&stamp(0), &stamp(5)).unwrap().apply(&spot(8, 8, 4.0, 4.0), 8, 8);
        assert!(moved.iter().all(|v| v.is_finite()));
    }
}
