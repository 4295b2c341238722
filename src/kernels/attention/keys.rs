//! Keys and values, packed as the weights of attention's two products.

use crate::kernels::{
    Element, Instructions, Pool,
    floats::{Floats, LANES},
    grid::Grid,
    lanes::LARGEST,
    pool::Scattered,
};

/// A score that weighs nothing after the softmax.
const NEVER: f32 = -1e30;
/// Pairs of channels of a head up to which scores are summed in float16 from end to end.
const SHORT: usize = 96;
/// Keys whose scores lie together, two and two: a key and the one sixteen further on.
pub(super) const TOGETHER: usize = 2 * LANES;

/// An eighth of each of a pair of float16, so that sums of their products stay in its range: those of Stable Diffusion 2
/// do not otherwise. What is below 0.0005 becomes 0.
fn eighths(pair: f32) -> f32 {
    const EIGHTH: u32 = 3 << 10;
    let of = |half: u32| if half & 0x7c00 > EIGHTH { half - EIGHTH } else { half & 0x8000 };
    f32::from_bits(of(pair.to_bits() & 0xffff) | of(pair.to_bits() >> 16) << 16)
}

/// Keys and values of some heads, ready for [`super::attend`]; those of a prompt are packed once.
#[derive(Default)]
pub struct Keys {
    pub(super) heads: usize,
    /// Blocks of channels of a head.
    pub(super) head_blocks: usize,
    pub(super) count: usize,
    /// Blocks of keys; an even number for scores of float16.
    pub(super) blocks: usize,
    pub(super) element: Element,
    /// Whether scores stay float16; then a pair of values is that of keys [`LANES`] apart.
    pub(super) short: bool,
    /// `[head][key block][channel][16 keys]`, or of halves `[head][key block][channel pair][16 keys][2]`
    pub(super) keys: Floats,
    /// `[head][key][channel]`, or of halves `[head][key pair][channel][2]`; zeros past the last key.
    pub(super) values: Floats,
    /// What `keys` were multiplied by.
    pub(super) shrunk: f32,
    /// Terms for the scores: 0, and [`NEVER`] past the last key. Scores of float16 have bounds, those of the last
    /// [`TOGETHER`] keys: the largest, and the least past the last key.
    pub(super) mask: Floats,
}

impl Keys {
    /// Packs `heads` heads of `width` channels (a multiple of 16) from two maps without border, each from its channel on.
    pub fn pack(
        &mut self,
        set: Instructions,
        pool: &Pool,
        (keys, first_key): (&Grid, usize),
        (values, first_value): (&Grid, usize),
        heads: usize,
        width: usize,
    ) {
        assert!(width > 0 && width.is_multiple_of(LANES), "channels of a head");
        for (grid, first) in [(keys, first_key), (values, first_value)] {
            assert!(grid.border == 0 && grid.lanes == LANES && first.is_multiple_of(LANES), "keys have no border");
            assert!(grid.blocks >= first / LANES + heads * width / LANES, "blocks of keys");
            assert!(grid.element == keys.element && grid.height * grid.width == keys.height * keys.width, "keys alike");
        }
        let short = keys.element == Element::Float16 && set.has_softmax_of_float16() && width / 2 <= SHORT;
        self.make_room(keys.height * keys.width, heads, width, keys.element, short);
        let (half, count, head_blocks) = (keys.is_half(), self.count, self.head_blocks);
        let words = keys.element.words();
        let (to_keys, to_values) = (Scattered(self.keys.as_mut_ptr()), Scattered(self.values.as_mut_ptr()));
        let of_head = self.blocks * words * width;
        let shrink = keys.element == Element::Float16;
        self.shrunk = if shrink { 0.125 } else { 1.0 };
        pool.run(heads * head_blocks, &|piece, _| {
            let (head, block) = (piece / head_blocks, piece % head_blocks);
            let plane = |grid: &Grid, first: usize| {
                let plane = grid.plane() / LANES * words;
                (first / LANES + piece) * plane
            };
            let from_keys = &keys.words()[plane(keys, first_key)..][..count * words];
            let from_values = &values.words()[plane(values, first_value)..][..count * words];
            for (n, keys) in from_keys.chunks(LANES * words).enumerate() {
                let at = head * of_head + (n * head_blocks + block) * words * LANES;
                // SAFETY: `make_room` made the memory for all heads, blocks and keys, and no other piece writes to this
                // block of channels.
                let to = unsafe { std::slice::from_raw_parts_mut(to_keys.at(at), words * LANES) };
                for (key, numbers) in keys.chunks_exact(words).enumerate() {
                    let places = to[key..].iter_mut().step_by(LANES);
                    if shrink {
                        numbers.iter().zip(places).for_each(|(pair, to)| *to = eighths(*pair));
                    } else {
                        numbers.iter().zip(places).for_each(|(number, to)| *to = *number);
                    }
                }
            }
            if !half {
                for (key, numbers) in from_values.as_chunks::<LANES>().0.iter().enumerate() {
                    // SAFETY: as above.
                    let to = unsafe {
                        std::slice::from_raw_parts_mut(
                            to_values.at(head * of_head + key * width + block * LANES),
                            LANES,
                        )
                    };
                    to.copy_from_slice(numbers);
                }
                return;
            }
            for pair in 0..if short { self.blocks * LANES / 2 } else { count.div_ceil(2) } {
                let to = head * of_head + pair * width + block * LANES;
                let (first, second) = if short {
                    let first = pair / LANES * TOGETHER + pair % LANES;
                    (first, first + LANES)
                } else {
                    (2 * pair, 2 * pair + 1)
                };
                for channel in 0..LANES {
                    let bits = |key: usize| {
                        let word = from_values.get(key * words + channel / 2).map_or(0, |w| w.to_bits());
                        word >> (16 * (channel % 2)) & 0xffff
                    };
                    let value = f32::from_bits(bits(first) | bits(second) << 16);
                    // SAFETY: as above.
                    unsafe { *to_values.at(to + channel) = value };
                }
            }
        });
    }

    fn make_room(&mut self, count: usize, heads: usize, width: usize, element: Element, short: bool) {
        let words = element.words();
        let blocks = if short { 2 * count.div_ceil(TOGETHER) } else { count.div_ceil(LANES) };
        let like = (self.heads, self.head_blocks, self.count, self.element, self.short);
        if like == (heads, width / LANES, count, element, short) {
            return;
        }
        let len = heads * blocks * words * width;
        let (keys, values) = (Floats::zeros(len), Floats::zeros(len));
        // A group of blocks reads its terms together.
        let mut mask = Floats::zeros((blocks + 2) * LANES);
        if short {
            let bound = |place: usize| {
                let there = blocks * LANES - TOGETHER + place < count;
                u32::from(element.half_of(if there { LARGEST } else { -LARGEST }))
            };
            for (i, pair) in mask[..LANES].iter_mut().enumerate() {
                *pair = f32::from_bits(bound(i) | bound(i + LANES) << 16);
            }
        } else {
            mask[count..].fill(NEVER);
        }
        let head_blocks = width / LANES;
        *self = Self { heads, head_blocks, count, blocks, element, short, keys, values, mask, shrunk: 1.0 };
    }
}
