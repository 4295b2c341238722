//! What has a horizon: curtains of light over ridges and a lake, ridge behind ridge, a shore with its crests.

use super::{Blur, Cell, Number, Out};

/// Guides of [`aurora`], [`mountains`] and [`surf`].
pub(super) const AURORA: usize = 11;
pub(super) const MOUNTAINS: usize = RIDGES + 5;
pub(super) const SURF: usize = CRESTS.len() + 3;

const RIDGES: usize = 6;
/// Places of the crests, in swells from the shore.
const CRESTS: [f32; 4] = [0.05, 0.95, 1.95, 3.1];

/// Height above the water, above the feet of three curtains, and the two ridges with their mirror.
#[inline(always)]
pub(super) fn aurora<N: Number>(cell: &Cell<'_, N>, out: &mut Out<N>) {
    let asked = cell.asked;
    let up = -cell.y + (0.42 + 0.22 * asked.horizon + 0.06 * asked.whole(2, 0));
    out.push(up.within(-1.0, 1.5));
    out.push(cell.near(up));
    let feet = [foot(cell, up, 0, 0.50), foot(cell, up, 2, 0.80), foot(cell, up, 3, 1.15)];
    for d in &feet {
        out.push(cell.near(*d));
    }
    for d in &feet {
        out.push((d.at_most(4.0) * (1.0 / -0.30)).exp() * d.is_positive());
    }
    let ridges = [ridge(cell, 3, 0.23), ridge(cell, 2, 0.10)];
    for ridge in &ridges {
        out.push(cell.near(*ridge - up));
    }
    out.push(cell.near(ridges[0].larger(ridges[1]) * 0.8 + up));
}

/// Height above a curtain's foot.
#[inline(always)]
fn foot<N: Number>(cell: &Cell<'_, N>, up: N, ch: usize, base: f32) -> N {
    up - base - cell.field(ch, Blur::B8) * (0.22 * cell.asked.swing) - cell.field(ch, Blur::B4) * 0.05
}

/// Height of a ridge before the lake.
#[inline(always)]
fn ridge<N: Number>(cell: &Cell<'_, N>, ch: usize, base: f32) -> N {
    let tall = cell.field(ch, Blur::Tall4x8).abs() * 1.9 + cell.field(ch, Blur::Tall2x4).abs() * 0.9;
    let crags = tall + cell.field(ch, Blur::B1).abs() * 0.25;
    (cell.field(ch, Blur::B8) * 2.6 - crags) * cell.asked.cell + base
}

/// How far below each of the ridges, then of the nearest one the depth and its crags, the sun, and the sky line.
#[inline(always)]
pub(super) fn mountains<N: Number>(cell: &Cell<'_, N>, out: &mut Out<N>) {
    let asked = cell.asked;
    let top = -0.22 + 0.28 * asked.horizon + 0.08 * asked.whole(1, 0);
    let sun_x = 0.62 * asked.whole(2, 1).tanh() * asked.aspect;
    let sun_y = top - 0.30 + 0.14 * asked.whole(3, 2).tanh();
    let peak = 0.55 * asked.whole(3, 1).tanh() * asked.aspect;
    let (mut depth, mut crags) = (cell.y * 0.0, cell.y * 0.0);
    for k in 0..RIDGES {
        let t = k as f32 / (RIDGES - 1) as f32;
        let base = top + 0.10 + 1.05 * (k as f32 / RIDGES as f32).powf(1.15);
        let (ch, other) = (k % 4, (k + 2) % 4);
        let crag =
            cell.field(other, Blur::Tall2x4).abs() * (1.0 - 0.3 * t) + cell.field(ch, Blur::Tall1x4).abs() * 0.30;
        let height = cell.field(ch, Blur::B8) * 3.2 - cell.field(other, Blur::Tall4x8).abs() * 2.4 - crag;
        let mut ridge = (height * (asked.cell * (1.25 - 0.4 * t) * asked.swing / 0.45)).tanh() * 0.45;
        if k == 1 {
            ridge = ridge + ((cell.x - peak).abs() * -3.2).exp() * 0.52;
        }
        let below = cell.y - base + ridge;
        (depth, crags) = (below.either(below, depth), below.either(crag, crags));
        out.push(cell.near(below));
    }
    let (x, y) = (cell.x - sun_x, cell.y - sun_y);
    let sun = (x * x + y * y).sqrt();
    out.push(depth.within(0.0, 0.8));
    out.push(crags.at_most(4.0) * 0.5);
    out.push(cell.near(-sun + 0.12));
    out.push((sun * -3.2).exp());
    out.push((cell.y - top).within(-1.5, 1.5));
}

/// How far out at sea, how far behind each crest, and the foam behind the nearest one.
#[inline(always)]
pub(super) fn surf<N: Number>(cell: &Cell<'_, N>, out: &mut Out<N>) {
    let asked = cell.asked;
    let (sin, cos) = (0.5 * asked.whole(3, 1).tanh()).sin_cos();
    let shore = 0.38 + 0.3 * asked.horizon + 0.10 * asked.whole(0, 0);
    let swell = cell.field(0, Blur::B8) * 2.4 + cell.field(1, Blur::B4) * 0.9;
    let off = swell * (asked.cell * asked.swing) - cell.y * cos - cell.x * sin + shore;
    out.push(off.within(-1.0, 1.5));
    out.push(cell.near(off));
    let phase = off * (1.0 / (0.34 * asked.size)) + cell.field(0, Blur::B4) * 0.22;
    let mut foam = off * 0.0;
    for (k, at) in CRESTS.into_iter().enumerate() {
        let behind = phase - at - cell.field((k + 1) % 4, Blur::B4) * 0.16;
        out.push(cell.near(behind * (0.34 * asked.size)));
        foam = foam.larger((behind.at_most(4.0) * -(5.0 + k as f32)).exp() * behind.is_positive());
    }
    out.push(foam);
}
