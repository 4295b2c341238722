//! network.py's `guides`: sine and cosine of the phases that the training pictures' lines are drawn at.
//!
//! They spare the denoiser the learning of periodic functions of the blurs. Once a step, on the generating thread.

use std::f32::consts::TAU;

use super::names::GUIDES;
use crate::kernels::Grid;

/// Cells from centre to centre of the two bent lattices of blossoms and cell bodies.
const PERIODS: [f32; 2] = [16.0, 8.0];
/// Of a lattice by the fields, in periods.
const BEND: f32 = 0.16;
const PETALS: [f32; 2] = [5.0, 6.0];
/// Which blur bends each lattice, and which channel of it turns the petals.
const BLUR: [usize; 2] = [8, 4];
const LEAN: [usize; 2] = [3, 2];

/// From the round blurs in block 0 and the coordinates at channel `place`, to the channels behind these.
pub(super) fn fill(seen: &mut Grid, place: usize) {
    let (height, width) = (seen.height(), seen.width());
    for row in 0..height {
        let iy = row as f32 - (height as f32 - 1.0) / 2.0;
        for column in 0..width {
            let ix = column as f32 - (width as f32 - 1.0) / 2.0;
            let blur = |channel: usize, sigma: usize| seen.get(4 * sigma.ilog2() as usize + channel, row, column);
            let (y, x) = (seen.get(place, row, column), seen.get(place + 1, row, column));
            let values = of_cell(blur, (y, x), (iy, ix));
            for (i, value) in values.into_iter().enumerate() {
                seen.set(place + 2 + i, row, column, value);
            }
        }
    }
}

fn of_cell(blur: impl Fn(usize, usize) -> f32, (y, x): (f32, f32), (iy, ix): (f32, f32)) -> [f32; GUIDES] {
    let ink = 1.15 * (1.25 * blur(0, 8) + 0.75 * blur(1, 4) + 0.16 * blur(2, 2) + 0.25);
    let r = (x * x + (y + 0.1) * (y + 0.1)).sqrt();
    let arc = 3.3 * r + 0.55 * blur(0, 8) + 0.30 * blur(1, 4);
    let flow = 1.25 * blur(2, 4) + 0.8 * blur(3, 8) + 1.1 * x;
    let mut out = [0.0; GUIDES];
    for (pair, phase) in [(0, ink), (2, ink / 4.0), (5, arc), (7, flow)] {
        (out[pair], out[pair + 1]) = (phase * TAU).sin_cos();
    }
    out[4] = r;
    for k in 0..2 {
        let (period, bent) = (PERIODS[k], |channel| BEND * blur(channel, BLUR[k]));
        let (uy, ux) = (iy / period - bent(0), ix / period - bent(1));
        let (vy, vx) = ((uy - uy.round_ties_even()) * period, (ux - ux.round_ties_even()) * period);
        let at = 9 + 6 * k;
        (out[at], out[at + 1]) = (uy * TAU).sin_cos();
        (out[at + 2], out[at + 3]) = (ux * TAU).sin_cos();
        out[at + 4] = (PETALS[k] * (vy.atan2(vx + 1e-6) + 0.9 * blur(LEAN[k], BLUR[k]))).cos();
        out[at + 5] = (vy * vy + vx * vx).sqrt() / period;
    }
    out
}
