//! What has a horizon: curtains of light over ridges and a lake, ridge behind ridge, a shore with its crests.

use super::{Blur, Cell, Out};

/// Guides of [`aurora`], [`mountains`] and [`surf`].
pub(super) const AURORA: usize = 11;
pub(super) const MOUNTAINS: usize = RIDGES + 5;
pub(super) const SURF: usize = CRESTS.len() + 3;

const RIDGES: usize = 6;
/// Places of the crests, in swells from the shore.
const CRESTS: [f32; 4] = [0.05, 0.95, 1.95, 3.1];

/// Height above the water, above the feet of three curtains, and the two ridges with their mirror.
pub(super) fn aurora(cell: &Cell<'_>, out: &mut Out<'_>) {
    let (f, asked) = (|channel, blur| cell.field(channel, blur), cell.asked);
    let up = 0.42 + 0.22 * asked.horizon + 0.06 * asked.whole(2, 0) - cell.y;
    out.push(up.clamp(-1.0, 1.5));
    out.push(cell.near(up));
    let feet = [(0, 0.50), (2, 0.80), (3, 1.15)]
        .map(|(ch, base)| up - base - 0.22 * asked.swing * f(ch, Blur::B8) - 0.05 * f(ch, Blur::B4));
    feet.iter().for_each(|d| out.push(cell.near(*d)));
    feet.iter().for_each(|d| out.push(if *d > 0.0 { (d.min(4.0) / -0.30).exp() } else { 0.0 }));
    let ridges = [(3, 0.23), (2, 0.10)].map(|(ch, base)| {
        let crags = 1.9 * f(ch, Blur::Tall4x8).abs() + 0.9 * f(ch, Blur::Tall2x4).abs() + 0.25 * f(ch, Blur::B1).abs();
        base + asked.cell * (2.6 * f(ch, Blur::B8) - crags)
    });
    ridges.iter().for_each(|ridge| out.push(cell.near(ridge - up)));
    out.push(cell.near(ridges[0].max(ridges[1]) * 0.8 + up));
}

/// How far below each of the ridges, then of the nearest one the depth and its crags, the sun, and the sky line.
pub(super) fn mountains(cell: &Cell<'_>, out: &mut Out<'_>) {
    let (f, asked) = (|channel, blur| cell.field(channel, blur), cell.asked);
    let top = -0.22 + 0.28 * asked.horizon + 0.08 * asked.whole(1, 0);
    let sun_x = 0.62 * asked.whole(2, 1).tanh() * asked.aspect;
    let sun_y = top - 0.30 + 0.14 * asked.whole(3, 2).tanh();
    let peak = 0.55 * asked.whole(3, 1).tanh() * asked.aspect;
    let (mut depth, mut crags) = (0.0, 0.0);
    for k in 0..RIDGES {
        let t = k as f32 / (RIDGES - 1) as f32;
        let base = top + 0.10 + 1.05 * (k as f32 / RIDGES as f32).powf(1.15);
        let (ch, other) = (k % 4, (k + 2) % 4);
        let crag = f(other, Blur::Tall2x4).abs() * (1.0 - 0.3 * t) + 0.30 * f(ch, Blur::Tall1x4).abs();
        let height = 3.2 * f(ch, Blur::B8) - 2.4 * f(other, Blur::Tall4x8).abs() - crag;
        let mut ridge = (height * (asked.cell * (1.25 - 0.4 * t) * asked.swing) / 0.45).tanh() * 0.45;
        if k == 1 {
            ridge += 0.52 * ((cell.x - peak).abs() * -3.2).exp();
        }
        let below = cell.y - base + ridge;
        if below > 0.0 {
            (depth, crags) = (below, crag);
        }
        out.push(cell.near(below));
    }
    let sun = ((cell.x - sun_x) * (cell.x - sun_x) + (cell.y - sun_y) * (cell.y - sun_y)).sqrt();
    out.push(depth.clamp(0.0, 0.8));
    out.push(crags.min(4.0) / 2.0);
    out.push(cell.near(0.12 - sun));
    out.push((sun * -3.2).exp());
    out.push((cell.y - top).clamp(-1.5, 1.5));
}

/// How far out at sea, how far behind each crest, and the foam behind the nearest one.
pub(super) fn surf(cell: &Cell<'_>, out: &mut Out<'_>) {
    let (f, asked) = (|channel, blur| cell.field(channel, blur), cell.asked);
    let (sin, cos) = (0.5 * asked.whole(3, 1).tanh()).sin_cos();
    let shore = 0.38 + 0.3 * asked.horizon + 0.10 * asked.whole(0, 0);
    let swell = 2.4 * f(0, Blur::B8) + 0.9 * f(1, Blur::B4);
    let off = shore - cell.y * cos - cell.x * sin + asked.cell * asked.swing * swell;
    out.push(off.clamp(-1.0, 1.5));
    out.push(cell.near(off));
    let phase = off / (0.34 * asked.size) + 0.22 * f(0, Blur::B4);
    let mut foam = 0.0_f32;
    for (k, at) in CRESTS.into_iter().enumerate() {
        let behind = phase - at - 0.16 * f((k + 1) % 4, Blur::B4);
        out.push(cell.near(behind * 0.34 * asked.size));
        if behind > 0.0 {
            foam = foam.max((behind.min(4.0) * -(5.0 + k as f32)).exp());
        }
    }
    out.push(foam);
}
