//! Activations in blocks of 16 channels with a border of zeros.

use std::marker::PhantomData;

use super::{
    floats::{Floats, LANES},
    lanes::{LARGEST, bfloat16_of},
    pool::{Pool, Scattered},
};
use crate::half::f16_from_f32;

/// What the numbers of a [`Grid`] and of the weights that meet them are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Element {
    #[default]
    Float32,
    /// Only what products read: sums are always float32.
    Bfloat16,
    /// The same of IEEE 754 half precision: numbers beyond 65504 become that. Some sums are float16 for a while where the
    /// instructions have no others.
    Float16,
}

impl Element {
    pub const ALL: [Self; 3] = [Self::Float32, Self::Bfloat16, Self::Float16];

    /// Whether two of them are a float's width.
    pub(super) fn is_half(self) -> bool {
        self != Self::Float32
    }
    /// As many floats as are as wide as a block.
    pub(super) fn words(self) -> usize {
        if self.is_half() { LANES / 2 } else { LANES }
    }
    /// The nearest half of these, the even one of two.
    pub(super) fn half_of(self, x: f32) -> u16 {
        match self {
            Self::Bfloat16 => bfloat16_of(x),
            _ => f16_from_f32(x.clamp(-LARGEST, LARGEST)),
        }
    }
}

/// Pixels between the blocks of a large map without a border, beside their own: maps are powers of two, and without it a
/// pixel's channels would all fall on the same few lines of the caches.
const SKEW: usize = 33;
/// Pixels of a map from which on it is skewed.
const SKEWED_FROM: usize = 256;

/// What a [`Grid`] is like, for maps that are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Form {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    /// Pixels of zeros around: 1 for what a convolution reads, 0 for tokens.
    pub border: usize,
    pub element: Element,
}

/// A map of `blocks * lanes` channels: `[blocks][height + 2 border][width + 2 border][lanes]`.
///
/// `lanes` is 16, or 4 for the latent itself. The border is zero from the start and nothing ever writes to it.
#[derive(Clone)]
pub struct Grid {
    data: Floats,
    pub(super) blocks: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) border: usize,
    pub(super) lanes: usize,
    pub(super) element: Element,
}

impl Grid {
    /// `channels` rounded up to blocks of 16, with a border of one pixel.
    pub fn new(channels: usize, height: usize, width: usize) -> Self {
        Self::of(Form { channels, height, width, border: 1, element: Element::Float32 })
    }
    /// As [`Grid::new`] without a border, for what no convolution reads.
    pub fn borderless(channels: usize, height: usize, width: usize) -> Self {
        Self::of(Form { channels, height, width, border: 0, element: Element::Float32 })
    }
    /// `channels` rounded up to blocks of 16.
    pub fn of(form: Form) -> Self {
        let Form { channels, height, width, border, element } = form;
        Self::with(channels.div_ceil(LANES), height, width, border, LANES, element)
    }
    /// Four channels, pixel after pixel, with a border of one pixel.
    pub fn of_four(height: usize, width: usize) -> Self {
        Self::with(1, height, width, 1, 4, Element::Float32)
    }
    fn with(blocks: usize, height: usize, width: usize, border: usize, lanes: usize, element: Element) -> Self {
        let mut grid = Self { data: Floats::default(), blocks, height, width, border, lanes, element };
        let numbers = blocks * grid.plane();
        grid.data = Floats::zeros(if element.is_half() { numbers / 2 } else { numbers });
        grid
    }
    pub fn form(&self) -> Form {
        let Self { blocks, height, width, border, lanes, element, .. } = *self;
        Form { channels: blocks * lanes, height, width, border, element }
    }
    /// The same pixels in other rows; only without a border.
    ///
    /// # Panics
    /// If there is a border, or the pixels are not as many.
    pub fn rearranged(&mut self, height: usize, width: usize) {
        assert!(self.border == 0 && height * width == self.height * self.width, "pixels of a map without a border");
        (self.height, self.width) = (height, width);
    }
    pub fn height(&self) -> usize {
        self.height
    }
    pub fn width(&self) -> usize {
        self.width
    }
    /// Groups of [`LANES`] channels.
    pub(super) fn blocks(&self) -> usize {
        self.blocks
    }
    /// Numbers from a row to the next.
    pub(super) fn row(&self) -> usize {
        (self.width + 2 * self.border) * self.lanes
    }
    /// Numbers from a block to the next.
    pub(super) fn plane(&self) -> usize {
        let skewed = self.border == 0 && self.height * self.width >= SKEWED_FROM;
        (self.height + 2 * self.border) * self.row() + if skewed { SKEW * self.lanes } else { 0 }
    }
    /// Index of channel 0 of the first pixel inside the border.
    pub(super) fn origin(&self) -> usize {
        self.border * (self.row() + self.lanes)
    }
    /// Index of a channel of a pixel.
    pub fn index(&self, channel: usize, y: usize, x: usize) -> usize {
        let (block, lane) = (channel / self.lanes, channel % self.lanes);
        self.origin() + block * self.plane() + y * self.row() + x * self.lanes + lane
    }
    /// All numbers of a map of float32.
    pub(super) fn floats(&self) -> &[f32] {
        assert!(self.element == Element::Float32, "a map of float32");
        &self.data
    }
    pub(super) fn floats_mut(&mut self) -> &mut [f32] {
        assert!(self.element == Element::Float32, "a map of float32");
        &mut self.data
    }
    /// The memory of either element: two halves are in the place of a float.
    pub(super) fn words(&self) -> &[f32] {
        &self.data
    }
    pub(super) fn words_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }
    pub(super) fn is_half(&self) -> bool {
        self.element.is_half()
    }
    /// Copies `(channels, height, width)` in.
    pub fn fill_from(&mut self, planar: &[f32]) {
        self.fill_channels(0, planar);
    }
    /// Copies `(channels, height, width)` in, to the channels from `first` on.
    pub fn fill_channels(&mut self, first: usize, planar: &[f32]) {
        let (height, width) = (self.height, self.width);
        for (i, row) in planar.chunks_exact(width.max(1)).enumerate() {
            let start = self.index(first + i / height, i % height, 0);
            let lanes = self.lanes;
            let out = self.data[start..].iter_mut().step_by(lanes);
            out.zip(row).for_each(|(o, v)| *o = *v);
        }
    }
    /// Copies a grid of four lanes in, to the four channels from `first` on (in one block).
    pub fn fill_from_four(&mut self, first: usize, four: &Grid) {
        for y in 0..self.height.min(four.height) {
            let (to, from) = (self.index(first, y, 0), four.index(0, y, 0));
            let lanes = self.lanes;
            let pixels = four.data[from..from + 4 * four.width].as_chunks::<4>().0.iter();
            for (pixel, out) in pixels.zip(self.data[to..].chunks_mut(lanes)) {
                out[..4].copy_from_slice(pixel);
            }
        }
    }
    /// Writes zeros to the four channels from `first` on (in one block).
    pub fn clear_four(&mut self, first: usize) {
        for y in 0..self.height {
            let to = self.index(first, y, 0);
            let (lanes, end) = (self.lanes, to + (self.width - 1) * self.lanes + 4);
            self.data[to..end].chunks_mut(lanes).for_each(|pixel| pixel[..4].fill(0.0));
        }
    }
    /// Gives each row to `job`, on all threads.
    pub fn each_row(&mut self, pool: &Pool, job: impl Fn(usize, &mut Row<'_>) + Sync) {
        let Self { blocks, height, width, lanes, .. } = *self;
        let (origin, row, plane) = (self.origin(), self.row(), self.plane());
        let start = Scattered(self.data.as_mut_ptr());
        pool.run(height, &|y, _| {
            let start = start.at(origin + y * row);
            job(y, &mut Row { start, plane, channels: blocks * lanes, width, lanes, grid: PhantomData });
        });
    }
    /// Rounds a map of float32 into one of halves of the same size, border and all.
    pub fn fill_halves(&mut self, pool: &Pool, floats: &Grid, instructions: super::Instructions) {
        assert!(self.is_half() && (self.blocks, self.plane()) == (floats.blocks, floats.plane()), "maps of one size");
        let (from, plane) = (floats.floats(), self.plane());
        let to = Scattered(self.data.as_mut_ptr());
        pool.run(self.blocks, &|block, _| {
            let from = &from[block * plane..(block + 1) * plane];
            // SAFETY: a plane is whole blocks of 16 numbers, and this piece's own.
            let to = unsafe { std::slice::from_raw_parts_mut(to.at(block * plane / 2), plane / 2) };
            instructions.enter(super::floats::Narrow { from, to, element: self.element });
        });
    }
    /// Keeps the first `blocks` blocks within -limit..limit.
    pub fn limit(&mut self, blocks: usize, limit: f32) {
        let end = blocks.min(self.blocks) * self.plane();
        self.data[..end].iter_mut().for_each(|v| *v = v.clamp(-limit, limit));
    }
    pub fn set(&mut self, channel: usize, y: usize, x: usize, value: f32) {
        let at = self.index(channel, y, x);
        self.data[at] = value;
    }
    pub fn get(&self, channel: usize, y: usize, x: usize) -> f32 {
        self.data[self.index(channel, y, x)]
    }
    /// Copies the first channels out as `(channels, height, width)`.
    pub fn copy_to(&self, planar: &mut [f32]) {
        for (i, row) in planar.chunks_exact_mut(self.width.max(1)).enumerate() {
            let start = self.index(i / self.height, i % self.height, 0);
            let values = self.data[start..].iter().step_by(self.lanes);
            row.iter_mut().zip(values).for_each(|(o, v)| *o = *v);
        }
    }
}

/// One row of a [`Grid`], all its channels.
pub struct Row<'a> {
    start: *mut f32,
    plane: usize,
    channels: usize,
    width: usize,
    lanes: usize,
    grid: PhantomData<&'a mut f32>,
}

impl Row<'_> {
    pub fn width(&self) -> usize {
        self.width
    }
    fn at(&self, channel: usize, x: usize) -> *mut f32 {
        assert!(channel < self.channels && x < self.width, "place in a row");
        self.start.wrapping_add(channel / self.lanes * self.plane + x * self.lanes + channel % self.lanes)
    }
    pub fn get(&self, channel: usize, x: usize) -> f32 {
        // SAFETY: `at` keeps inside the row, which is inside the grid; `Grid::each_row` gives a row to one thread only.
        unsafe { *self.at(channel, x) }
    }
    pub fn set(&mut self, channel: usize, x: usize, value: f32) {
        // SAFETY: as in `get`.
        unsafe { *self.at(channel, x) = value }
    }
    /// A channel of the pixels from `x` on, as many as there are up to sixteen; the last one again in the places left.
    #[inline(always)]
    pub fn read(&self, channel: usize, x: usize) -> [f32; 16] {
        let (first, last) = (self.at(channel, x), (self.width - 1 - x).min(15));
        // SAFETY: as in `get`; none is behind the last pixel of the row.
        std::array::from_fn(|i| unsafe { *first.add(i.min(last) * self.lanes) })
    }
    /// The other way round: what has no pixel is left out.
    #[inline(always)]
    pub fn write(&mut self, channel: usize, x: usize, values: &[f32; 16]) {
        let first = self.at(channel, x);
        for (i, value) in values.iter().enumerate().take(self.width - x) {
            // SAFETY: as in `read`.
            unsafe { *first.add(i * self.lanes) = *value }
        }
    }
}
