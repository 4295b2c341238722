//! lines.py's `guides`: where each cell lies to the lines that pictures are composed of.
//!
//! Sine and cosine of phases, and limited distances from ridges, curtains, shores and petals: they spare the denoiser the
//! learning of periodic and steep functions of the blurs. Once a picture, row by row on the pool, sixteen cells at a time.

mod landscape;
mod pattern;

use super::{
    condition::tame,
    names::{DENSITY, HORIZON, WHOLE},
};
use crate::{
    diffusion::Conditioning,
    kernels::{Formulas, Grid, Instructions, Number, Pool, Row, Sixteen},
};

/// In this order: rings and arcs, two lattices, aurora, mountains, surf, panes.
pub(super) const GUIDES: usize =
    pattern::RINGS + 2 * pattern::LATTICE + landscape::AURORA + landscape::MOUNTAINS + landscape::SURF + pattern::PANES;
/// Cells: how far from a line its distance is told.
const EDGE: f32 = 2.5;
/// Blurs of the latent, four channels each.
const BLURS: usize = 28;
/// Cells at a time.
const AT_ONCE: usize = 16;

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

/// A cell, or sixteen: blurs and place.
struct Cell<'a, N> {
    asked: &'a Asked,
    blurs: [N; BLURS],
    /// From the middle, y from -1 to 1, and both in cells.
    y: N,
    x: N,
    iy: f32,
    ix: N,
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

impl<N: Number> Cell<'_, N> {
    #[inline(always)]
    fn field(&self, channel: usize, blur: Blur) -> N {
        self.blurs[4 * blur as usize + channel]
    }

    /// A distance in units of y, limited: -1 and 1 are [`EDGE`] cells away.
    #[inline(always)]
    fn near(&self, distance: N) -> N {
        near_cells(distance * (1.0 / self.asked.cell))
    }
}

#[inline(always)]
fn near_cells<N: Number>(distance: N) -> N {
    (distance * (1.0 / EDGE)).within(-1.0, 1.0)
}

/// Takes one guide after the other.
struct Out<N> {
    values: [N; GUIDES],
    at: usize,
}

impl<N: Number> Out<N> {
    #[inline(always)]
    fn push(&mut self, value: N) {
        self.values[self.at] = value;
        self.at += 1;
    }

    /// Sine and cosine of a phase in turns.
    #[inline(always)]
    fn push_phase(&mut self, turns: N) {
        let (sin, cos) = turns.wave();
        self.push(sin);
        self.push(cos);
    }
}

/// From the blurs in the first two blocks and the coordinates at channel `place`, to the channels behind these.
pub(super) fn fill(set: Instructions, pool: &Pool, seen: &mut Grid, place: usize, asked: &Asked) {
    let middle = |n: usize| (n as f32 - 1.0) / 2.0;
    let (middle_y, middle_x) = (middle(seen.height()), middle(seen.width()));
    seen.each_row(pool, |row, cells| {
        set.compute(OfRow { cells, place, asked, iy: row as f32 - middle_y, middle_x });
    });
}

/// The guides of a row.
struct OfRow<'a, 'b> {
    cells: &'a mut Row<'b>,
    place: usize,
    asked: &'a Asked,
    iy: f32,
    middle_x: f32,
}

impl Formulas for OfRow<'_, '_> {
    #[inline(always)]
    fn run<S: Sixteen>(self, s: S) {
        let Self { cells, place, asked, iy, middle_x } = self;
        for column in (0..cells.width()).step_by(AT_ONCE) {
            // Loops, not closures: those might become calls, which the instructions do not cross.
            let mut blurs = [s.all(0.0); BLURS];
            for (i, blur) in blurs.iter_mut().enumerate() {
                *blur = s.read(&cells.read(i, column));
            }
            let cell = Cell {
                asked,
                blurs,
                y: s.read(&cells.read(place, column)),
                x: s.read(&cells.read(place + 1, column)),
                iy,
                ix: s.read(&std::array::from_fn(|i| (column + i) as f32 - middle_x)),
            };
            let mut out = Out { values: [s.all(0.0); GUIDES], at: 0 };
            let (arc, flow) = pattern::rings(&cell, &mut out);
            pattern::lattice(&cell, 0, &mut out);
            pattern::lattice(&cell, 1, &mut out);
            landscape::aurora(&cell, &mut out);
            landscape::mountains(&cell, &mut out);
            landscape::surf(&cell, &mut out);
            pattern::panes(arc, flow, &mut out);
            let mut values = [0.0; AT_ONCE];
            for (i, value) in out.values.iter().enumerate() {
                s.write(*value, &mut values);
                cells.write(place + 2 + i, column, &values);
            }
        }
    }
}
