//! Softmax attention without the matrix of scores: a few queries against some hundred keys at a time.
//!
//! Scores of a tile of queries against a chunk of keys stay in the first-level cache. Each query keeps its largest score
//! and the sum of its weights so far; when a chunk brings a larger score, what was summed is scaled down (Dao et al.,
//! arXiv:2205.14135). Both products run on the tile of the convolutions: the keys are packed as weights whose outputs
//! are the scores, and the values as weights whose inputs are the scores.

mod keys;
mod short;
mod softmax;

use std::cell::RefCell;

use super::{
    Element, Instructions, Pool,
    floats::{Floats, LANES},
    grid::Grid,
    instructions::on,
    lanes::Lanes,
    pool::Scattered,
    tile::{Ahead, Finish, Gather, Segment, To, cut},
};

pub use keys::Keys;
use keys::TOGETHER;
use short::ShortSoftmax;
use softmax::{Divide, SoFar, Softmax};

/// Blocks of keys that a tile of queries meets at a time: 28 kB of scores.
const CHUNK: usize = 32;
/// Tiles of queries that share a chunk of keys while it is in the second-level cache.
const TILES: usize = 8;
/// The most queries of a tile on any instruction set.
const WIDEST: usize = 14;

thread_local! {
    /// Scores, weights and sums of the queries that this thread is at.
    static SCRATCH: RefCell<Floats> = RefCell::default();
}

/// Attention of `heads` heads of `width` channels each (a multiple of 16), with memory that is reused.
pub struct Attention {
    instructions: Instructions,
    heads: usize,
    width: usize,
    keys: Keys,
}

impl Attention {
    pub fn new(instructions: Instructions, heads: usize, width: usize) -> Self {
        Self { instructions, heads, width, keys: Keys::default() }
    }

    /// Queries in the first channels of `queries`; keys in the channels of `keys` from `first` on and values after
    /// them. Both grids without border; a key is a pixel. `out` gets `heads * width` channels.
    pub fn run(&mut self, pool: &Pool, queries: &Grid, keys: &Grid, first: usize, out: &mut Grid) {
        let channels = self.heads * self.width;
        self.keys.pack(self.instructions, pool, (keys, first), (keys, first + channels), self.heads, self.width);
        attend(self.instructions, pool, queries, &self.keys, self.width, out);
    }
}

/// Attends with queries in the first channels of `queries`, a map without border, to `out`, which gets all channels of
/// the heads. Scores are divided by the square root of `width`, the width of a head without what fills up its blocks.
pub fn attend(set: Instructions, pool: &Pool, queries: &Grid, keys: &Keys, width: usize, out: &mut Grid) {
    let blocks = keys.heads * keys.head_blocks;
    assert!(queries.border == 0 && queries.lanes == LANES && out.lanes == LANES, "queries have no border");
    assert!(queries.blocks >= blocks && out.blocks >= blocks, "blocks of queries");
    assert!((queries.height, queries.width) == (out.height, out.width), "size");
    assert!(queries.element == keys.element && keys.count > 0, "keys like the queries");
    // Queries go on from row to row; so does an output without border.
    let (rows, columns) =
        if out.border == 0 { (1, queries.height * queries.width) } else { (queries.height, queries.width) };
    let group = set.group(2, LANES);
    let widest = set.widest(group, LANES).min(WIDEST);
    let scale = keys.shrunk.recip() * std::f32::consts::LOG2_E / (width.max(1) as f32).sqrt();
    let (origin, row, plane, element) = (out.origin(), out.row(), out.plane(), out.element);
    let to = Scattered(out.words_mut().as_mut_ptr());
    let call = Call { set, queries, keys, group, widest, scale: [scale; 2 * LANES], to, plane, element };
    let tiles = columns.div_ceil(widest);
    let shares = tiles.div_ceil(TILES);
    pool.run(keys.heads * rows * shares, &|piece, _| {
        let (head, y, share) = (piece / shares / rows, piece / shares % rows, piece % shares);
        let tiles: Vec<Tile> = cut(columns, widest)
            .skip(share * tiles / shares)
            .take((share + 1) * tiles / shares - share * tiles / shares)
            .map(|(x, queries)| Tile { first: y * columns + x, queries, out: origin + y * row + x * LANES })
            .collect();
        SCRATCH.with_borrow_mut(|scratch| call.piece(scratch, head, &tiles));
    });
}

/// A few neighbouring queries, and where in the output's first block they go.
struct Tile {
    first: usize,
    queries: usize,
    out: usize,
}

struct Call<'a> {
    set: Instructions,
    queries: &'a Grid,
    keys: &'a Keys,
    group: usize,
    widest: usize,
    scale: [f32; 2 * LANES],
    to: Scattered,
    plane: usize,
    /// Of the output.
    element: Element,
}

impl Call<'_> {
    fn piece(&self, scratch: &mut Floats, head: usize, tiles: &[Tile]) {
        let block = self.widest * LANES;
        let (of_scores, of_sums) = (CHUNK * block, self.keys.head_blocks * block);
        let needed = 2 * of_scores + tiles.len() * (of_sums + 2 * LANES);
        if scratch.len() < needed {
            *scratch = Floats::zeros(needed);
        }
        let (scores, rest) = scratch.split_at_mut(of_scores);
        let (weights, rest) = rest.split_at_mut(of_scores);
        let (sums, states) = rest.split_at_mut(tiles.len() * of_sums);
        for first in (0..self.keys.blocks).step_by(CHUNK) {
            let chunk = first..(first + CHUNK).min(self.keys.blocks);
            for (i, tile) in tiles.iter().enumerate() {
                let sums = &mut sums[i * of_sums..][..self.keys.head_blocks * tile.queries * LANES];
                let state = &mut states[i * 2 * LANES..(i + 1) * 2 * LANES];
                // SAFETY: `attend` has compared the grids; the scratch has room for a chunk and a tile.
                unsafe { on!(self.set, l => self.scores(l, head, chunk.clone(), tile, scores)) };
                let (blocks, is_half) = (chunk.len(), self.queries.is_half());
                let so_far = SoFar { queries: tile.queries, begins: first == 0, sums: &mut *sums, state: &mut *state };
                // Weights of float32 and short ones are written over the scores.
                let apart = is_half && !self.keys.short;
                if self.keys.short {
                    let last = chunk.end == self.keys.blocks && !self.keys.count.is_multiple_of(TOGETHER);
                    let bounds = last.then_some(&self.keys.mask[..LANES]);
                    let (groups, scale) = (blocks / 2, self.scale[0]);
                    self.set.enter(ShortSoftmax { scores, bounds, scale, groups, so_far });
                } else {
                    let weights = apart.then_some(&mut *weights);
                    self.set.enter(Softmax { scores, weights, element: self.queries.element, blocks, so_far });
                }
                let weights = if apart { &*weights } else { &*scores };
                // SAFETY: as above.
                unsafe { on!(self.set, l => self.values(l, head, chunk.clone(), tile, weights, sums)) };
            }
        }
        for (i, tile) in tiles.iter().enumerate() {
            self.set.enter(Divide {
                sums: &sums[i * of_sums..(i + 1) * of_sums],
                state: &states[i * 2 * LANES..(i + 1) * 2 * LANES],
                blocks: self.keys.head_blocks,
                queries: tile.queries,
                to: self.to.at(0),
                at: head * self.keys.head_blocks * self.plane + tile.out,
                plane: self.plane,
                element: self.element,
            });
        }
    }

    /// Floats of a block of channels of one token.
    fn words(&self) -> usize {
        self.queries.element.words()
    }

    /// # Safety
    /// `scores` has room for the chunk, the tile is inside the queries.
    #[inline(always)]
    unsafe fn scores<L: Lanes>(
        &self,
        l: L,
        head: usize,
        chunk: std::ops::Range<usize>,
        tile: &Tile,
        scores: &mut [f32],
    ) {
        let (words, keys) = (self.words(), self.keys);
        let plane = self.queries.plane() / LANES * words;
        let segments: Vec<_> =
            (0..keys.head_blocks).map(|b| Segment { offset: (b * plane) as isize, len: words }).collect();
        let from = &self.queries.words()[head * keys.head_blocks * plane + tile.first * words..];
        let block = tile.queries * LANES;
        let of_key_block = keys.head_blocks * words * LANES;
        for first in chunk.clone().step_by(self.group) {
            let blocks = self.group.min(chunk.end - first);
            let gather = Gather {
                x: from.as_ptr(),
                segments: &segments,
                weights: keys.keys[(head * keys.blocks + first) * of_key_block..].as_ptr(),
                next_channel: LANES,
                next_block: of_key_block,
                start: std::ptr::null(),
                ahead: Ahead::NOTHING,
            };
            let to = if keys.short {
                To::Pairs { at: scores[(first - chunk.start) / 2 * block..].as_mut_ptr() }
            } else {
                let out = scores[(first - chunk.start) * block..].as_mut_ptr();
                To::plain(out, [0, block, 2 * block], LANES, Element::Float32)
            };
            let finish = Finish { mul: self.scale.as_ptr(), add: keys.mask[first * LANES..].as_ptr(), to };
            // SAFETY: the caller's promise.
            unsafe { l.tile(self.queries.element, blocks, tile.queries, words, &gather, &finish) };
        }
    }

    /// # Safety
    /// `weights` and `sums` are those of the chunk and the tile.
    #[inline(always)]
    unsafe fn values<L: Lanes>(
        &self,
        l: L,
        head: usize,
        chunk: std::ops::Range<usize>,
        tile: &Tile,
        weights: &[f32],
        sums: &mut [f32],
    ) {
        let (words, keys) = (self.words(), self.keys);
        // Weights that lie together: those of one block of keys, or of two.
        let (together, len) = if keys.short { (2, LANES) } else { (1, words) };
        let mut segments = [Segment { offset: 0, len }; CHUNK];
        for (b, segment) in segments.iter_mut().enumerate() {
            segment.offset = (b * tile.queries * len) as isize;
        }
        // From a key, or a pair of them, to the next.
        let next_channel = keys.head_blocks * LANES;
        let values = &keys.values[(head * keys.blocks + chunk.start) * words * next_channel..];
        for first in (0..keys.head_blocks).step_by(self.group) {
            let blocks = self.group.min(keys.head_blocks - first);
            let at = sums[first * tile.queries * LANES..].as_mut_ptr();
            let gather = Gather {
                x: weights.as_ptr(),
                segments: &segments[..chunk.len() / together],
                weights: values[first * LANES..].as_ptr(),
                next_channel,
                next_block: LANES,
                start: if chunk.start == 0 { std::ptr::null() } else { at },
                ahead: Ahead::NOTHING,
            };
            let finish = Finish { mul: self.scale.as_ptr(), add: self.scale.as_ptr(), to: To::Sums { at } };
            // SAFETY: the caller's promise.
            unsafe { l.tile(self.queries.element, blocks, tile.queries, len, &gather, &finish) };
        }
    }
}
