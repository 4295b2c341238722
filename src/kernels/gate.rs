//! The gate of a gated layer by itself: where something is added between the product and the gate, it cannot be at the
//! product's end.

use super::{
    Element, Instructions, Pool,
    floats::LANES,
    grid::Grid,
    lanes::{Lanes, Task, gelu},
    pool::Scattered,
};

/// Values times the GELU of their gates. `wide` holds blocks of values, each with the block of its gates behind it, as a
/// layer that makes [`super::Makes::Gate`] leaves them; `out` is of any element.
///
/// # Panics
/// If the maps do not fit each other: a mistake of the program, not of its input.
pub fn gate(set: Instructions, pool: &Pool, wide: &Grid, out: &mut Grid) {
    assert!(wide.lanes == LANES && out.lanes == LANES && wide.blocks == 2 * out.blocks, "blocks of values and gates");
    assert!((wide.height, wide.width) == (out.height, out.width), "size");
    let (height, pixels, element) = (out.height, out.width, out.element);
    let (plane, row, origin) = (out.plane(), out.row(), out.origin());
    let to = Scattered(out.words_mut().as_mut_ptr());
    let from = wide.floats();
    pool.run(wide.blocks / 2 * height, &|piece, _| {
        let (block, y) = (piece / height, piece % height);
        let values = wide.origin() + 2 * block * wide.plane() + y * wide.row();
        let row = Row {
            values: &from[values..][..pixels * LANES],
            gates: &from[values + wide.plane()..][..pixels * LANES],
            to: to.at(0),
            at: origin + block * plane + y * row,
            element,
        };
        set.enter(row);
    });
}

struct Row<'a> {
    values: &'a [f32],
    gates: &'a [f32],
    to: *mut f32,
    /// Numbers from there to the first pixel.
    at: usize,
    element: Element,
}

impl Task for Row<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let pairs = self.values.as_chunks::<LANES>().0.iter().zip(self.gates.as_chunks::<LANES>().0);
        for (i, (value, gate)) in pairs.enumerate() {
            let at = self.at + i * LANES;
            // SAFETY: the chunks are sixteen floats; `gate` has compared the maps, and the row is this piece's own.
            unsafe {
                let y = l.mul(l.load(value.as_ptr()), gelu(l, l.load(gate.as_ptr())));
                l.put(self.element, self.to, at, y);
            }
        }
    }
}
