//! The micro-kernel: a tile of V blocks of 16 channels and P pixels, kept in registers over all segments.
//!
//! For each input channel of each segment: V loads of weights, P inputs spread over all lanes, V x P fused
//! multiply-adds. The pixels of the input are a constant number of floats apart (16: the blocked layout; 32 and 64:
//! strides of two and four pixels; 4: the latent), so that each input is one displacement from one pointer.
//!
//! Halves go the same way, two channels at a time: a pair of them is a float's width, the weights of a pair lie
//! together, and a multiply-add becomes a product of pairs ([`Lanes::dot_bfloat16`]). All offsets and lengths then count
//! pairs. Products of float16 are summed in float16 where that is the fast way, so few at a time that little is lost.

use std::{marker::PhantomData, mem::MaybeUninit};

use super::{
    grid::Element,
    lanes::{Lanes, Task, gelu, silu},
};

/// Input channels that lie together: up to 16, at one tap of the filter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    /// Floats from the pixel to the first of them.
    pub offset: isize,
    pub len: usize,
}

/// Where a tile's products come from.
pub(super) struct Gather<'a> {
    /// The first pixel.
    pub x: *const f32,
    pub segments: &'a [Segment],
    /// Sixteen weights a block for the first input channel.
    pub weights: *const f32,
    /// Floats from an input channel's weights to the next one's.
    pub next_channel: usize,
    /// Floats from a block's weights to the next one's.
    pub next_block: usize,
    /// Sums so far, `[block][pixel][16]` as [`To::Sums`] leaves them; null for none.
    pub start: *const f32,
    pub ahead: Ahead,
}

/// Weights that come next, asked for while these are multiplied. Those of a large layer come from memory, and whoever
/// waits for them there does not multiply.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead {
    from: *const f32,
    /// Cache lines at each segment.
    lines: usize,
}

impl Ahead {
    pub const NOTHING: Self = Self { from: std::ptr::null(), lines: 0 };

    /// What one of `tiles` tiles of `segments` segments asks for, so that all of them ask for the `len` floats at `from`. A
    /// layer of `of` floats that is small enough asks for nothing.
    pub fn share(of: usize, (from, len): (*const f32, usize), segments: usize, (tile, tiles): (usize, usize)) -> Self {
        if of < FAR {
            return Self::NOTHING;
        }
        let lines = len.div_ceil(LINE).div_ceil((segments * tiles).max(1));
        let first = tile * segments * lines * LINE;
        if first < len { Self { from: from.wrapping_add(first), lines } } else { Self::NOTHING }
    }
}

/// Floats of weights from which on they do not stay in 2 MB of second-level cache.
const FAR: usize = 300 << 10;
/// Floats in a cache line.
const LINE: usize = 16;

/// The non-linearity at the end of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    #[default]
    None,
    Relu,
    Silu,
}

impl Activation {
    #[inline(always)]
    pub(super) fn of<L: Lanes>(self, l: L, v: L::V) -> L::V {
        match self {
            Self::None => v,
            Self::Relu => l.max(v, l.splat(0.0)),
            Self::Silu => silu(l, v),
        }
    }
}

/// What becomes of a tile's sums s: `y = s * mul + add`, and then as `to` says.
pub(super) struct Finish {
    /// Sixteen a block.
    pub mul: *const f32,
    pub add: *const f32,
    pub to: To,
}

pub(super) enum To {
    /// `out = after(before(y) + plus)`
    Blocks {
        out: *mut f32,
        /// Numbers from `out` to each block's first pixel.
        blocks: [usize; 3],
        /// Numbers from a pixel to the next.
        step: usize,
        before: Activation,
        /// What is added, laid out as the output; null for nothing. And what it is.
        plus: *const f32,
        plus_element: Element,
        after: Activation,
        /// What `out` holds.
        element: Element,
    },
    /// Of two blocks, one: the first times the GELU of the second.
    Gated { out: *mut f32, step: usize, element: Element },
    /// The sums as they are, `[block][pixel][16]`, for [`Gather::start`].
    Sums { at: *mut f32 },
    /// Of two blocks of sums of float16, few enough that none need be widened: `[pixel][16][block]`.
    Pairs { at: *mut f32 },
    /// Three blocks are the red, green and blue of 4 x 4 pixels, 0..=255; pixel p's go 16 bytes further right.
    Bytes { at: *mut u8, row_bytes: usize },
}

impl To {
    /// Blocks with nothing before, besides or after.
    pub fn plain(out: *mut f32, blocks: [usize; 3], step: usize, element: Element) -> Self {
        let none = Activation::None;
        let (plus, plus_element) = (std::ptr::null(), Element::Float32);
        Self::Blocks { out, blocks, step, before: none, plus, plus_element, after: none, element }
    }
}

/// How numbers of an element are multiplied.
pub(super) trait Product {
    /// Whether two of them are a float's width.
    const PAIRS: bool = true;
    /// Whether sums are float16, and must be widened from time to time.
    const SHORT: bool = false;
    /// A sum and one product more.
    fn of<L: Lanes>(l: L, input: L::V, weight: L::V, sum: L::V) -> L::V;
}

pub(super) struct OfFloat32;
pub(super) struct OfBfloat16;
pub(super) struct OfFloat16;

impl Product for OfFloat32 {
    const PAIRS: bool = false;
    #[inline(always)]
    fn of<L: Lanes>(l: L, input: L::V, weight: L::V, sum: L::V) -> L::V {
        l.fma(input, weight, sum)
    }
}

impl Product for OfBfloat16 {
    #[inline(always)]
    fn of<L: Lanes>(l: L, input: L::V, weight: L::V, sum: L::V) -> L::V {
        l.dot_bfloat16(input, weight, sum)
    }
}

impl Product for OfFloat16 {
    const SHORT: bool = true;
    #[inline(always)]
    fn of<L: Lanes>(l: L, input: L::V, weight: L::V, sum: L::V) -> L::V {
        l.fma_float16(input, weight, sum)
    }
}

/// Products of pairs that are summed up in float16 one after the other.
const SHORT: usize = 64;
/// Such sums that are added up in float16 before their sum is widened: few, as each addition rounds what has grown.
const ADDED: usize = 7;

pub(super) struct Tile<'a, const V: usize, const P: usize, const STEP: usize, M> {
    pub gather: &'a Gather<'a>,
    pub finish: &'a Finish,
    pub product: PhantomData<M>,
}

/// Sums on their way from registers to the end of the layer.
#[repr(align(64))]
struct Sums<const V: usize, const P: usize>([[MaybeUninit<[f32; 16]>; P]; V]);

impl<const V: usize, const P: usize> Sums<V, P> {
    #[inline(always)]
    fn new() -> Self {
        Self([[MaybeUninit::uninit(); P]; V])
    }

    #[inline(always)]
    fn keep<L: Lanes>(&mut self, l: L, acc: &[[L::V; P]; V]) {
        for v in 0..V {
            for p in 0..P {
                // SAFETY: sixteen floats.
                unsafe { l.store(self.0[v][p].as_mut_ptr().cast(), acc[v][p]) };
            }
        }
    }
}

impl<const V: usize, const P: usize, const STEP: usize, M: Product> Task for Tile<'_, V, P, STEP, M> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        // SAFETY: whoever calls `Lanes::tile` promises that every address of this tile is valid.
        unsafe {
            let acc = self.multiply(l);
            let none = Activation::None;
            match self.finish.to {
                To::Sums { at } => {
                    for v in 0..V {
                        for p in 0..P {
                            l.store(at.add((v * P + p) * 16), acc[v][p]);
                        }
                    }
                }
                To::Pairs { at } if M::SHORT && V == 2 => {
                    for p in 0..P {
                        l.store(at.add(p * 16), l.pair_of_sums(acc[0][p], acc[V - 1][p]));
                    }
                }
                // The plainest end goes from the registers into memory.
                To::Blocks { out, blocks, step, before, plus, after, element, .. }
                    if plus.is_null() && before == none && after == none =>
                {
                    // An element that is known here is not asked for at each pixel.
                    match element {
                        Element::Float32 => self.put(l, &acc, Element::Float32, out, blocks, step),
                        Element::Float16 => self.put(l, &acc, Element::Float16, out, blocks, step),
                        Element::Bfloat16 => self.put(l, &acc, Element::Bfloat16, out, blocks, step),
                    }
                }
                _ => {
                    let mut sums = Sums::new();
                    sums.keep(l, &acc);
                    self.finish(l, &sums);
                }
            }
        }
    }
}

impl<const V: usize, const P: usize, const STEP: usize, M: Product> Tile<'_, V, P, STEP, M> {
    /// # Safety
    /// As [`Lanes::tile`].
    #[inline(always)]
    unsafe fn multiply<L: Lanes>(&self, l: L) -> [[L::V; P]; V] {
        let g = self.gather;
        let mut acc = [[l.splat(0.0); P]; V];
        // Sums so far that are not in the registers.
        let mut before = g.start;
        if !M::SHORT {
            // SAFETY: the caller promises sums for V blocks and P pixels.
            unsafe { self.add(l, &mut acc, before) };
        }
        let (mut wide, mut sums) = (Sums::new(), Sums::new());
        // Products in the registers, and sums of them that are added up in `sums`.
        let (mut short, mut added) = (0, 0);
        let widens = M::SHORT && !matches!(self.finish.to, To::Pairs { .. });
        let (mut w, mut ahead) = (g.weights, g.ahead.from);
        // A line holds a pixel's sixteen floats, or two pixels' halves.
        let line = if M::PAIRS { 2 * STEP } else { STEP };
        for (i, segment) in g.segments.iter().enumerate() {
            if widens && short >= SHORT {
                // SAFETY: there is room for as many sums; `before` is as above.
                unsafe {
                    if added > 0 {
                        self.add_float16(l, &mut acc, &sums);
                    }
                    if added < ADDED {
                        sums.keep(l, &acc);
                        added += 1;
                    } else {
                        self.widen(l, &mut acc, before);
                        wide.keep(l, &acc);
                        (before, added) = (wide.0.as_ptr().cast(), 0);
                    }
                }
                acc = [[l.splat(0.0); P]; V];
                short = 0;
            }
            short += segment.len;
            for _ in 0..g.ahead.lines {
                l.prefetch_later(ahead);
                ahead = ahead.wrapping_add(LINE);
            }
            let mut x = g.x.wrapping_offset(segment.offset);
            // The next segment's pixels are a plane away, where no prefetcher of the hardware looks.
            let next = g.segments.get(i + 1).map_or(x, |s| g.x.wrapping_offset(s.offset));
            for c in 0..segment.len {
                l.prefetch(next.wrapping_add(c * line));
                // SAFETY: the caller promises V blocks of weights and P pixels at every channel of every segment.
                unsafe {
                    let mut weights = [l.splat(0.0); V];
                    for v in 0..V {
                        weights[v] = l.load(w.add(v * g.next_block));
                    }
                    for p in 0..P {
                        let input = l.splat(*x.add(p * STEP));
                        for v in 0..V {
                            acc[v][p] = M::of(l, input, weights[v], acc[v][p]);
                        }
                    }
                }
                x = x.wrapping_add(1);
                w = w.wrapping_add(g.next_channel);
            }
        }
        if widens {
            // SAFETY: as above.
            unsafe {
                if added > 0 {
                    self.add_float16(l, &mut acc, &sums);
                }
                self.widen(l, &mut acc, before);
            }
        }
        acc
    }

    /// Adds the sums that lie at `from`, if it is not null.
    ///
    /// # Safety
    /// There are V x P of them.
    #[inline(always)]
    unsafe fn add<L: Lanes>(&self, l: L, acc: &mut [[L::V; P]; V], from: *const f32) {
        if from.is_null() {
            return;
        }
        for v in 0..V {
            for p in 0..P {
                // SAFETY: the caller's promise.
                acc[v][p] = l.add(acc[v][p], unsafe { l.load(from.add((v * P + p) * 16)) });
            }
        }
    }

    /// Adds sums of float16 to sums of float16.
    ///
    /// # Safety
    /// `to` has been written.
    #[inline(always)]
    unsafe fn add_float16<L: Lanes>(&self, l: L, acc: &mut [[L::V; P]; V], to: &Sums<V, P>) {
        for v in 0..V {
            for p in 0..P {
                // SAFETY: the caller's promise.
                acc[v][p] = l.add_float16(acc[v][p], unsafe { l.load(to.0[v][p].as_ptr().cast()) });
            }
        }
    }

    /// Sums of float16 to sums of float32, added to those that lie at `from`.
    ///
    /// # Safety
    /// As [`Self::add`].
    #[inline(always)]
    unsafe fn widen<L: Lanes>(&self, l: L, acc: &mut [[L::V; P]; V], from: *const f32) {
        for v in 0..V {
            for p in 0..P {
                acc[v][p] = l.sum_of_float16(acc[v][p]);
            }
        }
        // SAFETY: the caller's promise.
        unsafe { self.add(l, acc, from) };
    }

    /// Sums, times factors and plus terms, to `out`: see [`To::Blocks`].
    ///
    /// # Safety
    /// As [`Lanes::tile`].
    #[inline(always)]
    unsafe fn put<L: Lanes>(
        &self,
        l: L,
        acc: &[[L::V; P]; V],
        element: Element,
        out: *mut f32,
        blocks: [usize; 3],
        step: usize,
    ) {
        for v in 0..V {
            // SAFETY: the caller promises sixteen factors and terms a block, and P pixels of V blocks at the output.
            unsafe {
                let (mul, add) = (l.load(self.finish.mul.add(16 * v)), l.load(self.finish.add.add(16 * v)));
                for p in 0..P {
                    l.put(element, out, blocks[v] + p * step, l.fma(acc[v][p], mul, add));
                }
            }
        }
    }

    // A method and not a closure: only what is surely inlined is compiled with the instructions.
    #[inline(always)]
    unsafe fn value<L: Lanes>(&self, l: L, sums: &Sums<V, P>, v: usize, p: usize) -> L::V {
        // SAFETY: the caller of `Lanes::tile` promises sixteen factors and terms a block.
        unsafe {
            let (mul, add) = (l.load(self.finish.mul.add(16 * v)), l.load(self.finish.add.add(16 * v)));
            l.fma(l.load(sums.0[v][p].as_ptr().cast()), mul, add)
        }
    }

    /// # Safety
    /// As [`Lanes::tile`].
    #[inline(always)]
    unsafe fn finish<L: Lanes>(&self, l: L, sums: &Sums<V, P>) {
        let f = self.finish;
        // SAFETY: the caller promises P pixels of V blocks at the output.
        unsafe {
            match f.to {
                To::Blocks { out, blocks, step, before, plus, plus_element, after, element } => {
                    for v in 0..V {
                        for p in 0..P {
                            let at = blocks[v] + p * step;
                            let mut y = before.of(l, self.value(l, sums, v, p));
                            if !plus.is_null() {
                                y = l.add(y, l.get(plus_element, plus, at));
                            }
                            l.put(element, out, at, after.of(l, y));
                        }
                    }
                }
                To::Gated { out, step, element } if V == 2 => {
                    for p in 0..P {
                        let y = l.mul(self.value(l, sums, 0, p), gelu(l, self.value(l, sums, 1, p)));
                        l.put(element, out, p * step, y);
                    }
                }
                To::Bytes { at, row_bytes } if V == 3 => {
                    let (black, white) = (l.splat(0.0), l.splat(255.0));
                    for p in 0..P {
                        let mut rgb = [black; 3];
                        for v in 0..V.min(3) {
                            rgb[v] = l.min(l.max(self.value(l, sums, v, p), black), white);
                        }
                        l.paint(at.add(16 * p), row_bytes, rgb);
                    }
                }
                // Bytes are asked for with three blocks only, and gates with two: see `Conv::new`. Sums are written above, and
                // so are pairs, of two blocks of float16: see `attend`.
                To::Bytes { .. } | To::Gated { .. } | To::Sums { .. } | To::Pairs { .. } => {}
            }
        }
    }
}

/// The tiles that an instruction set has: `group, step: each number of pixels;`.
macro_rules! tiles {
    ($lanes:expr, $product:ident, $shape:expr, $gather:expr, $finish:expr; $($group:literal, $step:literal: $($pixels:literal)*;)*) => {
        match $shape {
            $($(($group, $pixels, $step) => $lanes.enter($crate::kernels::tile::Tile::<$group, $pixels, $step, _> {
                gather: $gather,
                finish: $finish,
                product: std::marker::PhantomData::<$crate::kernels::tile::$product>,
            }),)*)*
            (group, pixels, step) => unreachable!("no tile of {group} blocks and {pixels} pixels {step} apart"),
        }
    };
}
pub(super) use tiles;

/// Cuts a row into the fewest tiles of at most `widest` pixels, all of nearly the same width: (first, pixels) each.
pub(super) fn cut(width: usize, widest: usize) -> impl Iterator<Item = (usize, usize)> {
    let tiles = width.div_ceil(widest);
    (0..tiles).map(move |i| {
        let (first, next) = (i * width / tiles, (i + 1) * width / tiles);
        (first, next - first)
    })
}
