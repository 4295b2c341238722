//! Group norm over one map or over several that count as one, with SiLU where it is asked for.
//!
//! It reads the maps of a U-Net's skip connections where they are and writes one for the convolution after it: nothing is
//! ever copied together. Sums are of float32 within a row and of float64 over rows, in an order that does not depend on
//! the number of threads.

use std::sync::Mutex;

use super::{
    Element, Instructions, Pool,
    floats::{Floats, LANES},
    grid::Grid,
    lanes::{Lanes, Task, silu},
    pool::Scattered,
};

/// Rows that a piece sums up.
const ROWS: usize = 16;

/// Each group of channels to mean 0 and variance 1, then weight and bias by channel.
pub struct GroupNorm {
    set: Instructions,
    /// Channels of each map.
    parts: Vec<usize>,
    groups: usize,
    epsilon: f32,
    weight: Vec<f32>,
    bias: Vec<f32>,
    /// Factor and term of each lane, for the map at hand.
    affine: Mutex<(Floats, Floats)>,
}

impl GroupNorm {
    /// `weight` and `bias` have a number for each channel of all `parts`, which are split into `groups` evenly.
    pub fn new(
        set: Instructions,
        parts: &[usize],
        groups: usize,
        epsilon: f32,
        weight: Vec<f32>,
        bias: Vec<f32>,
    ) -> Self {
        let channels: usize = parts.iter().sum();
        assert!(weight.len() == channels && bias.len() == channels, "channels of a group norm");
        assert!(groups > 0 && channels.is_multiple_of(groups), "groups of a group norm");
        let lanes = parts.iter().map(|p| p.next_multiple_of(LANES)).sum();
        let affine = Mutex::new((Floats::zeros(lanes), Floats::zeros(lanes)));
        Self { set, parts: parts.to_vec(), groups, epsilon, weight, bias, affine }
    }

    /// The blocks of all maps one after the other: map and block in it.
    fn blocks(&self) -> Vec<(usize, usize)> {
        let blocks = |(part, channels): (usize, &usize)| (0..channels.div_ceil(LANES)).map(move |block| (part, block));
        self.parts.iter().enumerate().flat_map(blocks).collect()
    }

    /// Of all maps together to `out`, which may have another border and another element.
    pub fn run(&self, pool: &Pool, inputs: &[&Grid], with_silu: bool, out: &mut Grid) {
        let blocks = self.blocks();
        let (height, width) = (out.height, out.width);
        assert!(inputs.len() == self.parts.len() && out.blocks >= blocks.len(), "maps of a group norm");
        for (input, channels) in inputs.iter().zip(&self.parts) {
            assert!((input.height, input.width) == (height, width), "size");
            assert!(input.blocks >= channels.div_ceil(LANES) && input.lanes == LANES && out.lanes == LANES, "blocks");
        }
        let mut affine = self.affine.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.measure(pool, inputs, &blocks, &mut affine);
        let (mul, add) = &*affine;
        let parts = height.div_ceil(ROWS);
        let (origin, row, plane, element) = (out.origin(), out.row(), out.plane(), out.element);
        let to = Scattered(out.words_mut().as_mut_ptr());
        pool.run(blocks.len() * parts, &|piece, _| {
            let (n, part) = (piece / parts, piece % parts);
            let (map, block) = blocks[n];
            let input = inputs[map];
            for y in part * ROWS..((part + 1) * ROWS).min(height) {
                self.set.enter(Apply {
                    from: &input.floats()[input.index(block * LANES, y, 0)..][..width * LANES],
                    to: to.at(0),
                    at: origin + n * plane + y * row,
                    element,
                    silu: with_silu,
                    mul: &mul[n * LANES..(n + 1) * LANES],
                    add: &add[n * LANES..(n + 1) * LANES],
                });
            }
        });
    }

    /// Factor and term of each lane.
    fn measure(&self, pool: &Pool, inputs: &[&Grid], blocks: &[(usize, usize)], affine: &mut (Floats, Floats)) {
        let (height, width) = (inputs[0].height, inputs[0].width);
        let parts = height.div_ceil(ROWS);
        let slots: Vec<Mutex<[[f64; LANES]; 2]>> = (0..blocks.len() * parts).map(|_| Mutex::default()).collect();
        pool.run(slots.len(), &|piece, _| {
            let ((map, block), part) = (blocks[piece / parts], piece % parts);
            let input = inputs[map];
            let mut sums = [[0.0; LANES]; 2];
            for y in part * ROWS..((part + 1) * ROWS).min(height) {
                let row = &input.floats()[input.index(block * LANES, y, 0)..][..width * LANES];
                let of_row = self.set.enter(Measure { row });
                for (all, row) in sums.iter_mut().flatten().zip(of_row.iter().flatten()) {
                    *all += f64::from(*row);
                }
            }
            *slots[piece].lock().unwrap_or_else(std::sync::PoisonError::into_inner) = sums;
        });
        let of_group = self.weight.len() / self.groups;
        let mut groups = vec![(0.0, 0.0); self.groups];
        let mut channels = Vec::with_capacity(self.weight.len());
        let mut first = 0;
        for (n, (map, block)) in blocks.iter().enumerate() {
            let used = LANES.min(self.parts[*map] - block * LANES);
            for lane in 0..used {
                let group: &mut (f64, f64) = &mut groups[(first + lane) / of_group];
                for slot in &slots[n * parts..(n + 1) * parts] {
                    let sums = slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    group.0 += sums[0][lane];
                    group.1 += sums[1][lane];
                }
                channels.push((n * LANES + lane, first + lane));
            }
            first += used;
        }
        let count = (of_group * height * width).max(1) as f64;
        for (lane, channel) in channels {
            let (sum, squares) = groups[channel / of_group];
            let mean = sum / count;
            let inverse = 1.0 / (squares / count - mean * mean + f64::from(self.epsilon)).sqrt();
            let factor = inverse * f64::from(self.weight[channel]);
            affine.0[lane] = factor as f32;
            affine.1[lane] = (f64::from(self.bias[channel]) - mean * factor) as f32;
        }
    }
}

/// Sums and sums of squares of a row, lane by lane.
struct Measure<'a> {
    row: &'a [f32],
}

impl Task for Measure<'_> {
    type Out = [[f32; LANES]; 2];

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) -> Self::Out {
        let (mut sums, mut squares) = ([l.splat(0.0); 2], [l.splat(0.0); 2]);
        for (i, pixel) in self.row.as_chunks::<LANES>().0.iter().enumerate() {
            // SAFETY: a pixel is sixteen floats.
            let x = unsafe { l.load(pixel.as_ptr()) };
            sums[i % 2] = l.add(sums[i % 2], x);
            squares[i % 2] = l.fma(x, x, squares[i % 2]);
        }
        let mut out = [[0.0; LANES]; 2];
        // SAFETY: sixteen floats each.
        unsafe {
            l.store(out[0].as_mut_ptr(), l.add(sums[0], sums[1]));
            l.store(out[1].as_mut_ptr(), l.add(squares[0], squares[1]));
        }
        out
    }
}

struct Apply<'a> {
    from: &'a [f32],
    to: *mut f32,
    at: usize,
    element: Element,
    silu: bool,
    mul: &'a [f32],
    add: &'a [f32],
}

impl Task for Apply<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        // SAFETY: `GroupNorm::run` has compared the maps; no other piece writes to this row of this block.
        unsafe {
            let (mul, add) = (l.load(self.mul.as_ptr()), l.load(self.add.as_ptr()));
            for (i, pixel) in self.from.as_chunks::<LANES>().0.iter().enumerate() {
                let mut y = l.fma(l.load(pixel.as_ptr()), mul, add);
                if self.silu {
                    y = silu(l, y);
                }
                let at = self.at + i * LANES;
                l.put(self.element, self.to, at, y);
            }
        }
    }
}
