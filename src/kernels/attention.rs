//! Softmax attention, a few queries at a time: their scores against all keys stay in the first-level cache, the full
//! matrix of scores never exists.
//!
//! Both products run on the tile of the convolutions: the keys are packed as weights whose outputs are the scores, and
//! the values lie ready as weights whose inputs are the scores.

use super::{
    Activation, Instructions, Pool,
    grid::{Floats, Grid, LANES},
    instructions::on,
    lanes::{Lanes, Task, exp},
    pool::Scattered,
    tile::{Finish, Gather, Segment, To, cut},
};

/// A score that weighs nothing after the softmax.
const NEVER: f32 = -1e30;

/// Attention of `heads` heads of `width` channels each (a multiple of 16), with memory that is reused.
pub struct Attention {
    instructions: Instructions,
    heads: usize,
    width: usize,
    /// `[head][key block][channel][16 keys]`
    keys: Floats,
    /// Terms for the scores: 0, and [`NEVER`] past the last key.
    mask: Floats,
    scale: Floats,
    ones: Floats,
    zeros: Floats,
    /// For each thread: `[key block][query of a tile][16 keys]`
    scores: Floats,
}

impl Attention {
    pub fn new(instructions: Instructions, heads: usize, width: usize) -> Self {
        assert!(width.is_multiple_of(LANES), "channels of a head");
        let scale = Floats::from_slice(&[1.0 / (width as f32).sqrt(); 3 * LANES]);
        let ones = Floats::from_slice(&[1.0; 3 * LANES]);
        let [keys, mask, scores] = std::array::from_fn(|_| Floats::default());
        Self { instructions, heads, width, keys, mask, scale, ones, zeros: Floats::zeros(3 * LANES), scores }
    }

    /// Queries in the first channels of `queries`; keys in the channels of `keys` from `first` on and values after
    /// them. Both grids without border; a key is a pixel. `out` gets `heads * width` channels.
    pub fn run(&mut self, pool: &Pool, queries: &Grid, keys: &Grid, first: usize, out: &mut Grid) {
        let (blocks, head_blocks) = (self.heads * self.width / LANES, self.width / LANES);
        assert!(queries.border == 0 && keys.border == 0, "queries and keys have no border");
        assert!(queries.lanes == LANES && keys.lanes == LANES && out.lanes == LANES, "lanes");
        assert!(first.is_multiple_of(LANES) && keys.blocks >= first / LANES + 2 * blocks, "blocks of keys");
        assert!(queries.blocks >= blocks && out.blocks >= blocks, "blocks of queries");
        assert!((queries.height, queries.width) == (out.height, out.width), "size");
        let count = keys.height * keys.width;
        assert!(count > 0, "at least one key");
        let key_blocks = count.div_ceil(LANES);
        let (for_keys, for_values) =
            (self.instructions.group(key_blocks, LANES), self.instructions.group(head_blocks, LANES));
        let widest = self.instructions.widest(for_keys, LANES).min(self.instructions.widest(for_values, LANES));
        self.prepare(pool, keys, first, key_blocks, widest);

        let to = (Scattered(out.floats_mut().as_mut_ptr()), out.origin(), out.row(), out.plane());
        let scratch = (Scattered(self.scores.as_mut_ptr()), key_blocks * widest * LANES);
        let this = &*self;
        pool.run(self.heads * queries.height, &|piece, thread| {
            let (head, y) = (piece / queries.height, piece % queries.height);
            for (x, pixels) in cut(queries.width, widest) {
                let block = head * head_blocks;
                let tile = Queries {
                    from: &queries.floats()[queries.index(block * LANES, y, x)..],
                    plane: queries.plane(),
                    pixels,
                    scores: scratch.0.at(thread * scratch.1),
                    keys: &this.keys[head * key_blocks * self.width * LANES..],
                    count,
                    values: &keys.floats()[keys.index(first + (blocks + block) * LANES, 0, 0)..],
                    values_plane: keys.plane(),
                    out: to.0.at(to.1 + block * to.3 + y * to.2 + x * LANES),
                    out_plane: to.3,
                    groups: (for_keys, for_values),
                };
                // SAFETY: the asserts above; the scores are this thread's own, and no other piece writes to this head's
                // channels of these pixels.
                unsafe { on!(this.instructions, l => this.tile(l, &tile)) };
            }
        });
    }

    /// Packs the keys and makes room for the scores.
    fn prepare(&mut self, pool: &Pool, keys: &Grid, first: usize, key_blocks: usize, widest: usize) {
        let count = keys.height * keys.width;
        let len = self.heads * key_blocks * self.width * LANES;
        if self.keys.len() != len {
            self.keys = Floats::zeros(len);
        }
        let room = pool.threads() * key_blocks * widest * LANES;
        if self.scores.len() < room {
            self.scores = Floats::zeros(room);
        }
        if self.mask.len() != key_blocks * LANES || self.mask.iter().filter(|m| **m == 0.0).count() != count {
            self.mask = Floats::zeros(key_blocks * LANES);
            self.mask[count..].fill(NEVER);
            self.keys.fill(0.0);
        }
        for (i, packed) in self.keys.chunks_exact_mut(self.width * LANES).enumerate() {
            let (head, block) = (i / key_blocks, i % key_blocks);
            let present = LANES.min(count - block * LANES);
            for part in 0..self.width / LANES {
                let from = keys.index(first + head * self.width + part * LANES, 0, 0) + block * LANES * LANES;
                let from = &keys.floats()[from..from + present * LANES];
                let to = &mut packed[part * LANES * LANES..(part + 1) * LANES * LANES];
                for (key, channels) in from.as_chunks::<LANES>().0.iter().enumerate() {
                    for (channel, value) in channels.iter().enumerate() {
                        to[channel * LANES + key] = *value;
                    }
                }
            }
        }
    }

    /// # Safety
    /// The addresses in `q` must be valid, and nobody else may use its scores and its output.
    #[inline(always)]
    unsafe fn tile<L: Lanes>(&self, l: L, q: &Queries) {
        let (key_blocks, head_blocks) = (q.count.div_ceil(LANES), self.width / LANES);
        let (for_keys, for_values) = q.groups;
        let block_of_scores = q.pixels * LANES;
        let finish = |out: *mut f32, plane: usize, mul: &Floats, add: &[f32]| Finish {
            mul: mul.as_ptr(),
            add: add.as_ptr(),
            to: To::Blocks {
                out,
                blocks: [0, plane, 2 * plane],
                step: LANES,
                before: Activation::None,
                accumulate: false,
                after: Activation::None,
            },
        };
        let channels: Vec<_> =
            (0..head_blocks).map(|b| Segment { offset: (b * q.plane) as isize, len: LANES }).collect();
        for block in (0..key_blocks).step_by(for_keys) {
            let gather = Gather {
                x: q.from.as_ptr(),
                segments: &channels,
                weights: q.keys[block * self.width * LANES..].as_ptr(),
                next_channel: LANES,
                next_block: self.width * LANES,
            };
            let out = q.scores.wrapping_add(block * block_of_scores);
            let finish = finish(out, block_of_scores, &self.scale, &self.mask[block * LANES..]);
            // SAFETY: the caller's promise.
            unsafe { l.tile(for_keys.min(key_blocks - block), q.pixels, LANES, &gather, &finish) };
        }
        l.enter(Softmax { scores: q.scores, blocks: key_blocks, queries: q.pixels });
        let scores: Vec<_> = (0..key_blocks)
            .map(|b| Segment { offset: (b * block_of_scores) as isize, len: LANES.min(q.count - b * LANES) })
            .collect();
        for block in (0..head_blocks).step_by(for_values) {
            let gather = Gather {
                x: q.scores,
                segments: &scores,
                weights: q.values[block * q.values_plane..].as_ptr(),
                next_channel: LANES,
                next_block: q.values_plane,
            };
            let out = q.out.wrapping_add(block * q.out_plane);
            let finish = finish(out, q.out_plane, &self.ones, &self.zeros);
            // SAFETY: the caller's promise.
            unsafe { l.tile(for_values.min(head_blocks - block), q.pixels, LANES, &gather, &finish) };
        }
    }
}

/// A few neighbouring queries of one head, and all that belongs to them.
struct Queries<'a> {
    from: &'a [f32],
    plane: usize,
    pixels: usize,
    scores: *mut f32,
    /// The packed keys of this head, to its last block and on.
    keys: &'a [f32],
    count: usize,
    values: &'a [f32],
    values_plane: usize,
    out: *mut f32,
    out_plane: usize,
    /// Blocks a tile: of keys, and of values.
    groups: (usize, usize),
}

/// Turns each query's scores into weights that add to 1.
struct Softmax {
    scores: *mut f32,
    blocks: usize,
    queries: usize,
}

impl Task for Softmax {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        for query in 0..self.queries {
            let scores = self.scores.wrapping_add(query * LANES);
            let block = self.queries * LANES;
            // SAFETY: `Attention::run` made room for `blocks` blocks of `queries` queries.
            unsafe {
                let mut largest = l.load(scores);
                for b in 1..self.blocks {
                    largest = l.max(largest, l.load(scores.add(b * block)));
                }
                let minus_largest = l.splat(-l.largest(largest));
                let mut sum = l.splat(0.0);
                for b in 0..self.blocks {
                    let weight = exp(l, l.add(l.load(scores.add(b * block)), minus_largest));
                    sum = l.add(sum, weight);
                    l.store(scores.add(b * block), weight);
                }
                let share = l.splat(1.0 / l.sum(sum));
                for b in 0..self.blocks {
                    let at = scores.add(b * block);
                    l.store(at, l.mul(l.load(at), share));
                }
            }
        }
    }
}
