//! Where a layer's results go, with sizes compared once a call.

use super::{Element, Form, Grid, LANES, Makes, Plus, Target};

/// Addresses of a target; origin, row, step and blocks count its numbers.
pub(in crate::kernels) enum Out {
    Blocks {
        out: *mut f32,
        /// What is added, and what it is.
        plus: (*const f32, Element),
        origin: usize,
        row: usize,
        step: usize,
        blocks: Vec<usize>,
        element: Element,
    },
    Gated {
        out: *mut f32,
        origin: usize,
        row: usize,
        plane: usize,
        element: Element,
    },
    Bytes {
        at: *mut u8,
        row_bytes: usize,
    },
}

// SAFETY: the pieces of a layer write to places that no other piece touches; whoever makes it borrows the target for its
// life.
unsafe impl Sync for Out {}

impl Out {
    /// Checks that the target has room for `blocks` blocks at `height` x `width` places, and that `plus` is like it.
    pub fn new(target: Target, plus: Plus, blocks: usize, height: usize, width: usize, makes: Makes) -> Self {
        let added = |grid: &mut Grid| match plus {
            Plus::Nothing => (std::ptr::null(), Element::Float32),
            Plus::Itself => (grid.words_mut().as_ptr(), grid.element),
            Plus::Grid(other) => {
                let like = Form { element: grid.element, ..other.form() };
                assert!(like == grid.form(), "what is added is like the target");
                (other.words().as_ptr(), other.element)
            }
        };
        match target {
            Target::Grid(grid) => {
                assert!(grid.height == height && grid.width * grid.lanes == width * LANES, "size of the target");
                assert!(grid.blocks >= blocks, "blocks of the target");
                let plus = added(grid);
                let blocks = (0..blocks).map(|b| b * grid.plane()).collect();
                let (origin, row, element) = (grid.origin(), grid.row(), grid.element);
                Self::Blocks { out: grid.words_mut().as_mut_ptr(), plus, origin, row, step: LANES, blocks, element }
            }
            Target::Shuffled2(grid) => {
                assert!(blocks == 4 * grid.blocks, "blocks of the target");
                let (row, plane) = (grid.row(), grid.plane());
                let offset = |b: usize| {
                    let quarter = b / grid.blocks;
                    b % grid.blocks * plane + quarter / 2 * row + quarter % 2 * LANES
                };
                let blocks = (0..blocks).map(offset).collect();
                let plus = added(grid);
                Self::doubled(grid, height, width, blocks, plus)
            }
            Target::Quarter(grid, quarter) => {
                assert!(grid.blocks >= blocks && quarter < 4, "blocks of the target");
                let (row, plane) = (grid.row(), grid.plane());
                let offset = |b: usize| b * plane + quarter / 2 * row + quarter % 2 * LANES;
                let blocks = (0..blocks).map(offset).collect();
                let plus = added(grid);
                Self::doubled(grid, height, width, blocks, plus)
            }
            Target::Gated(grid) => {
                assert!(makes == Makes::Gate && matches!(plus, Plus::Nothing), "a layer that gates");
                assert!((grid.height, grid.width, grid.lanes) == (height, width, LANES), "size of the target");
                assert!(2 * grid.blocks >= blocks, "blocks of the target");
                let (origin, row, plane, element) = (grid.origin(), grid.row(), grid.plane(), grid.element);
                Self::Gated { out: grid.words_mut().as_mut_ptr(), origin, row, plane, element }
            }
            Target::Bytes(bytes) => {
                assert!(makes == Makes::Paint && blocks == 3, "a layer that paints");
                assert_eq!(bytes.len(), 4 * 16 * height * width, "size of the picture");
                Self::Bytes { at: bytes.as_mut_ptr(), row_bytes: 16 * width }
            }
        }
    }

    /// A target of twice the size, whose pixels are reached by the offsets of the blocks.
    fn doubled(grid: &mut Grid, height: usize, width: usize, blocks: Vec<usize>, plus: (*const f32, Element)) -> Self {
        assert!(grid.height == 2 * height && grid.width == 2 * width, "size of the target");
        assert!(grid.lanes == LANES, "lanes of the target");
        let (origin, row) = (grid.origin(), 2 * grid.row());
        let out = grid.floats_mut().as_mut_ptr();
        Self::Blocks { out, plus, origin, row, step: 2 * LANES, blocks, element: Element::Float32 }
    }
}
