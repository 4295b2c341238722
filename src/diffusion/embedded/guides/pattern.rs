//! What fills the whole plane: ink rings, arcs and strips of glass, and the two bent lattices of blossoms and cells.

use std::f32::consts::TAU;

use super::{Blur, Cell, Out, near_cells};

/// Guides of [`rings`], of a [`lattice`], and of [`panes`].
pub(super) const RINGS: usize = 9;
pub(super) const LATTICE: usize = 8;
pub(super) const PANES: usize = 3;

/// Cells from centre to centre of the two lattices, and how much the fields bend them, in periods.
const PERIODS: [f32; 2] = [16.0, 8.0];
const BEND: f32 = 0.16;
const PETALS: [f32; 2] = [5.0, 6.0];
const ARMS: [f32; 2] = [5.0, 6.0];
const THICK: [f32; 2] = [1.30, 0.80];
/// Of the largest petal, in periods.
const PETAL_SIZE: f32 = 0.5;
/// Which blur bends each lattice, and which channel of it turns the petals.
const BLUR: [Blur; 2] = [Blur::B8, Blur::B4];
const LEAN: [usize; 2] = [3, 2];

/// Ink rings, and arcs and flow lines of glass, whose phases it gives back.
pub(super) fn rings(cell: &Cell<'_>, out: &mut Out<'_>) -> (f32, f32) {
    let (f, size) = (|channel, blur| cell.field(channel, blur), cell.asked.size);
    let ink = 1.15 * (1.25 * f(0, Blur::B8) + 0.75 * f(1, Blur::B4) + 0.16 * f(2, Blur::B2) + 0.25);
    let r = (cell.x * cell.x + (cell.y + 0.1) * (cell.y + 0.1)).sqrt();
    let arc = 3.3 * r / size + 0.55 * f(0, Blur::B8) + 0.30 * f(1, Blur::B4);
    let flow = 1.25 * f(2, Blur::B4) + 0.8 * f(3, Blur::B8) + 1.1 * cell.x / size;
    out.push_phase(ink);
    out.push_phase(ink / 4.0);
    out.push(r);
    out.push_phase(arc);
    out.push_phase(flow);
    (arc, flow)
}

/// The pane between two arcs and two flow lines: its ring, its shade, and whether it is an accent.
pub(super) fn panes(arc: f32, flow: f32, out: &mut Out<'_>) {
    let (ring, strip) = (arc.floor(), flow.floor());
    out.push(((ring + 0.5) * 0.155).clamp(-1.0, 2.0));
    out.push((strip + 2.0 * ring).rem_euclid(3.0) - 1.0);
    out.push(if (strip + 3.0 * ring).rem_euclid(5.0) == 0.0 { 1.0 } else { 0.0 });
}

/// The place in lattice `k`, the wave of its petals, the distance from the centre, and how far inside a flower and inside a
/// cell with its forked arms.
pub(super) fn lattice(cell: &Cell<'_>, k: usize, out: &mut Out<'_>) {
    let period = PERIODS[k] * cell.asked.size;
    let (uy, ux) = (cell.iy / period - BEND * cell.field(0, BLUR[k]), cell.ix / period - BEND * cell.field(1, BLUR[k]));
    let (vy, vx) = ((uy - uy.round_ties_even()) * period, (ux - ux.round_ties_even()) * period);
    let (a, e) = (cell.field(LEAN[k], BLUR[k]), cell.field(5 - LEAN[k], BLUR[k]));
    let wave = (PETALS[k] * (vy.atan2(vx + 1e-6) + 0.9 * a)).cos();
    let r = (vy * vy + vx * vx).sqrt();
    out.push_phase(uy);
    out.push_phase(ux);
    out.push(wave);
    out.push(r / period);
    let radius = ((e + 0.3).tanh() * 0.22 + 0.78) * (period * PETAL_SIZE);
    out.push(near_cells(((wave * 0.5 + 0.5001).sqrt() * 0.28 + 0.72) * radius - r));
    out.push(near_cells(inside_cell(k, period, e, wave, r)));
}

/// How far inside a cell body or its arms, in cells.
fn inside_cell(k: usize, period: f32, e: f32, wave: f32, r: f32) -> f32 {
    let big = e.tanh() * 0.12 + 0.88;
    let unit = period * (THICK[k] / 12.0);
    let outward = (r / (period * 0.56 * big)).min(2.0);
    let fade = (1.0 - outward).max(0.0);
    let away = wave.clamp(-0.9999, 0.9999).acos() / TAU;
    let fork = 0.13 * ((outward - 0.45) * 2.0).clamp(0.0, 1.0);
    let from_arm = (away - fork).abs() * r * (TAU / ARMS[k]);
    let width = unit * big * (0.50 * fade + 0.85 * (r / (unit * -1.5)).exp());
    (width - from_arm).max(unit * 1.25 * big - r) - 0.4 * (1.0 - fade / 0.12).max(0.0)
}
