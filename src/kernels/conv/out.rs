//! Where a layer's results go, with sizes compared once a call.

use super::{Grid, LANES, Makes, Plus, Target};

/// Addresses of a target; origin, row, step and blocks count its numbers.
pub(in crate::kernels) enum Out {
    Blocks { out: *mut f32, plus: *const f32, origin: usize, row: usize, step: usize, blocks: Vec<usize>, halves: bool },
    Gated { out: *mut f32, origin: usize, row: usize, plane: usize, halves: bool },
    Bytes { at: *mut u8, row_bytes: usize },
}

// SAFETY: the pieces of a layer write to places that no other piece touches; whoever makes it borrows the target for its
// life.
unsafe impl Sync for Out {}

impl Out {
    /// Checks that the target has room for `blocks` blocks at `height` x `width` places, and that `plus` is like it.
    pub fn new(target: Target, plus: Plus, blocks: usize, height: usize, width: usize, makes: Makes) -> Self {
        let added = |grid: &mut Grid| match plus {
            Plus::Nothing => std::ptr::null(),
            Plus::Itself => grid.floats_mut().as_ptr(),
            Plus::Grid(other) => {
                assert!(other.form() == grid.form(), "what is added is like the target");
                other.floats().as_ptr()
            }
        };
        match target {
            Target::Grid(grid) => {
                assert!(grid.height == height && grid.width * grid.lanes == width * LANES, "size of the target");
                assert!(grid.blocks >= blocks, "blocks of the target");
                let plus = added(grid);
                let blocks = (0..blocks).map(|b| b * grid.plane()).collect();
                let (origin, row, halves) = (grid.origin(), grid.row(), grid.is_half());
                assert!(!halves || plus.is_null(), "nothing is added to bfloat16");
                Self::Blocks { out: grid.words_mut().as_mut_ptr(), plus, origin, row, step: LANES, blocks, halves }
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
                let (origin, row, plane, halves) = (grid.origin(), grid.row(), grid.plane(), grid.is_half());
                Self::Gated { out: grid.words_mut().as_mut_ptr(), origin, row, plane, halves }
            }
            Target::Bytes(bytes) => {
                assert!(makes == Makes::Paint && blocks == 3, "a layer that paints");
                assert_eq!(bytes.len(), 4 * 16 * height * width, "size of the picture");
                Self::Bytes { at: bytes.as_mut_ptr(), row_bytes: 16 * width }
            }
        }
    }

    /// A target of twice the size, whose pixels are reached by the offsets of the blocks.
    fn doubled(grid: &mut Grid, height: usize, width: usize, blocks: Vec<usize>, plus: *const f32) -> Self {
        assert!(grid.height == 2 * height && grid.width == 2 * width, "size of the target");
        assert!(grid.lanes == LANES, "lanes of the target");
        let (origin, row) = (grid.origin(), 2 * grid.row());
        Self::Blocks { out: grid.floats_mut().as_mut_ptr(), plus, origin, row, step: 2 * LANES, blocks, halves: false }
    }
}
