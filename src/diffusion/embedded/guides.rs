//! lines.py's `guides`: where each cell lies to the lines that pictures are composed of.
//!
//! Sine and cosine of phases, and limited distances from ridges, curtains, shores and petals: they spare the denoiser the
//! learning of periodic and steep functions of the blurs. Once a picture, row by row on the pool.

mod landscape;
mod pattern;

use super::{
    condition::tame,
    names::{DENSITY, HORIZON, WHOLE},
};
use crate::{
    diffusion::Conditioning,
    kernels::{Grid, Pool},
};

/// In this order: rings and arcs, two lattices, aurora, mountains, surf, panes.
pub(super) const GUIDES: usize =
    pattern::RINGS + 2 * pattern::LATTICE + landscape::AURORA + landscape::MOUNTAINS + landscape::SURF + pattern::PANES;
/// Cells: how far from a line its distance is told.
const EDGE: f32 = 2.5;
/// Blurs of the latent, four channels each.
const BLURS: usize = 28;

/// What is the same in the whole picture.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    /// Factor of the width of every blur and lattice, from the density.
    pub size: f32,
    pub moments: [f32; WHOLE],
    horizon: f32,
    /// Amplitude of structure, from the mood.
    swing: f32,
    /// A cell's share of y, and width over height.
    cell: f32,
    aspect: f32,
}

impl Asked {
    pub fn new(with: &Conditioning, moments: [f32; WHOLE], height: usize, width: usize) -> Self {
        let scene = |i: usize| with.scene.get(i).copied().map_or(0.0, tame);
        let density = scene(DENSITY);
        Self {
            size: 1.0 - density * if density > 0.0 { 0.25 } else { 0.35 },
            moments,
            horizon: scene(HORIZON),
            swing: 1.0 + 0.15 * tame(with.vivid),
            cell: 2.0 / height as f32,
            aspect: width as f32 / height as f32,
        }
    }

    /// 0 the mean of a channel, 1 its moment across, 2 its moment down.
    fn whole(&self, channel: usize, kind: usize) -> f32 {
        self.moments[3 * channel + kind]
    }
}

/// One cell: its blurs and its place.
struct Cell<'a> {
    asked: &'a Asked,
    blurs: [f32; BLURS],
    /// From the middle, y from -1 to 1, and both in cells.
    y: f32,
    x: f32,
    iy: f32,
    ix: f32,
}

/// Blurs by their widths in cells, across and down.
#[derive(Clone, Copy)]
enum Blur {
    B1,
    B2,
    B4,
    B8,
    Tall1x4,
    Tall2x4,
    Tall4x8,
}

impl Cell<'_> {
    fn field(&self, channel: usize, blur: Blur) -> f32 {
        self.blurs[4 * blur as usize + channel]
    }

    /// A distance in units of y, limited: -1 and 1 are [`EDGE`] cells away.
    fn near(&self, distance: f32) -> f32 {
        near_cells(distance / self.asked.cell)
    }
}

fn near_cells(distance: f32) -> f32 {
    (distance / EDGE).clamp(-1.0, 1.0)
}

/// Writes one guide after the other.
struct Out<'a> {
    values: &'a mut [f32; GUIDES],
    at: usize,
}

impl Out<'_> {
    fn push(&mut self, value: f32) {
        self.values[self.at] = value;
        self.at += 1;
    }

    /// Sine and cosine of a phase in turns.
    fn push_phase(&mut self, turns: f32) {
        let (sin, cos) = (turns * std::f32::consts::TAU).sin_cos();
        self.push(sin);
        self.push(cos);
    }
}

/// From the blurs in the first two blocks and the coordinates at channel `place`, to the channels behind these.
pub(super) fn fill(pool: &Pool, seen: &mut Grid, place: usize, asked: &Asked) {
    let middle = |n: usize| (n as f32 - 1.0) / 2.0;
    let (middle_y, middle_x) = (middle(seen.height()), middle(seen.width()));
    seen.each_row(pool, |row, cells| {
        for column in 0..cells.width() {
            let cell = Cell {
                asked,
                blurs: std::array::from_fn(|i| cells.get(i, column)),
                y: cells.get(place, column),
                x: cells.get(place + 1, column),
                iy: row as f32 - middle_y,
                ix: column as f32 - middle_x,
            };
            let mut values = [0.0; GUIDES];
            let mut out = Out { values: &mut values, at: 0 };
            let (arc, flow) = pattern::rings(&cell, &mut out);
            pattern::lattice(&cell, 0, &mut out);
            pattern::lattice(&cell, 1, &mut out);
            landscape::aurora(&cell, &mut out);
            landscape::mountains(&cell, &mut out);
            landscape::surf(&cell, &mut out);
            pattern::panes(arc, flow, &mut out);
            for (i, value) in values.into_iter().enumerate() {
                cells.set(place + 2 + i, column, value);
            }
        }
    });
}
