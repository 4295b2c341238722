//! What fills the whole plane: ink rings, arcs and strips of glass, and the two bent lattices of blossoms and cells.

use std::f32::consts::TAU;

use super::{Blur, Cell, Number, Out, near_cells};

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
#[inline(always)]
pub(super) fn rings<N: Number>(cell: &Cell<'_, N>, out: &mut Out<N>) -> (N, N) {
    let size = cell.asked.size;
    let ink = (cell.field(0, Blur::B8) * 1.25 + cell.field(1, Blur::B4) * 0.75 + cell.field(2, Blur::B2) * 0.16 + 0.25)
        * 1.15;
    let low = cell.y + 0.1;
    let r = (cell.x * cell.x + low * low).sqrt();
    let arc = r * (3.3 / size) + cell.field(0, Blur::B8) * 0.55 + cell.field(1, Blur::B4) * 0.30;
    let flow = cell.field(2, Blur::B4) * 1.25 + cell.field(3, Blur::B8) * 0.8 + cell.x * (1.1 / size);
    out.push_phase(ink);
    out.push_phase(ink * 0.25);
    out.push(r);
    out.push_phase(arc);
    out.push_phase(flow);
    (arc, flow)
}

/// The pane between two arcs and two flow lines: its ring, its shade, and whether it is an accent.
#[inline(always)]
pub(super) fn panes<N: Number>(arc: N, flow: N, out: &mut Out<N>) {
    let (ring, strip) = (arc.floor(), flow.floor());
    out.push(((ring + 0.5) * 0.155).within(-1.0, 2.0));
    out.push((strip + ring * 2.0).modulo(3.0) - 1.0);
    out.push(-(strip + ring * 3.0).modulo(5.0).at_most(1.0) + 1.0);
}

/// The place in lattice `k`, the wave of its petals, the distance from the centre, and how far inside a flower and inside a
/// cell with its forked arms.
#[inline(always)]
pub(super) fn lattice<N: Number>(cell: &Cell<'_, N>, k: usize, out: &mut Out<N>) {
    let period = PERIODS[k] * cell.asked.size;
    let uy = -(cell.field(0, BLUR[k]) * BEND) + cell.iy / period;
    let ux = cell.ix * (1.0 / period) - cell.field(1, BLUR[k]) * BEND;
    let (vy, vx) = ((uy - uy.round()) * period, (ux - ux.round()) * period);
    let (a, e) = (cell.field(LEAN[k], BLUR[k]), cell.field(5 - LEAN[k], BLUR[k]));
    let wave = ((vy.angle(vx + 1e-6) + a * 0.9) * PETALS[k]).cos();
    let r = (vy * vy + vx * vx).sqrt();
    out.push_phase(uy);
    out.push_phase(ux);
    out.push(wave);
    out.push(r * (1.0 / period));
    let radius = ((e + 0.3).tanh() * 0.22 + 0.78) * (period * PETAL_SIZE);
    out.push(near_cells(((wave * 0.5 + 0.5001).sqrt() * 0.28 + 0.72) * radius - r));
    out.push(near_cells(inside_cell(k, period, e, wave, r)));
}

/// How far inside a cell body or its arms, in cells.
#[inline(always)]
fn inside_cell<N: Number>(k: usize, period: f32, e: N, wave: N, r: N) -> N {
    let big = e.tanh() * 0.12 + 0.88;
    let unit = period * (THICK[k] / 12.0);
    let outward = (r * (big * (period * 0.56)).recip()).at_most(2.0);
    let fade = (-outward + 1.0).at_least(0.0);
    let away = wave.within(-0.9999, 0.9999).acos() * (1.0 / TAU);
    let fork = ((outward - 0.45) * 2.0).within(0.0, 1.0) * 0.13;
    let from_arm = (away - fork).abs() * r * (TAU / ARMS[k]);
    let width = big * (fade * 0.50 + (r * (1.0 / (unit * -1.5))).exp() * 0.85) * unit;
    (width - from_arm).larger(big * (unit * 1.25) - r) - (-(fade * (1.0 / 0.12)) + 1.0).at_least(0.0) * 0.4
}
