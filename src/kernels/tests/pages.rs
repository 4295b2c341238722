//! Kernels read and write nothing past the end of their memory: it ends where a page begins that may not be touched.

use std::{cell::Cell, ptr::NonNull};

use memmap2::MmapMut;

use super::*;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

const PAGE: usize = 4096;

unsafe extern "C" {
    fn mprotect(at: *mut std::ffi::c_void, len: usize, access: std::ffi::c_int) -> std::ffi::c_int;
}

/// Memory whose last byte is the last one before a page without access, while a test on this thread asks for it.
pub fn guarded(bytes: usize) -> Option<(MmapMut, NonNull<u8>)> {
    if !GUARDED.get() {
        return None;
    }
    let pages = bytes.div_ceil(PAGE) * PAGE;
    let mut map = MmapMut::map_anon(pages + PAGE).unwrap();
    let end = map[pages..].as_mut_ptr();
    // SAFETY: a whole page of the map above; only the kernels under test could touch it, which they must not.
    assert_eq!(unsafe { mprotect(end.cast(), PAGE, 0) }, 0);
    let start = NonNull::new(map[pages - bytes..].as_mut_ptr())?;
    Some((map, start))
}

/// On this thread alone, so that all memory of the kernels is guarded.
fn each_set(test: impl Fn(Instructions, &Pool, &mut Random) + Sync) {
    let pool = Pool::new(1);
    for (i, set) in Instructions::present().into_iter().enumerate() {
        // A thread of its own: its scratch memory begins empty.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                GUARDED.set(true);
                test(set, &pool, &mut Random::new(77 + i as u64));
            });
        });
    }
}

fn grid(r: &mut Random, set: Instructions, pool: &Pool, form: Form) -> Grid {
    let mut floats = Grid::of(Form { element: Element::Float32, ..form });
    floats.fill_from(&r.values(form.channels * form.height * form.width));
    if form.element == Element::Float32 {
        return floats;
    }
    let mut halves = Grid::of(form);
    halves.fill_halves(pool, &floats, set);
    halves
}

#[test]
fn convolutions_stay_inside_their_memory() {
    each_set(|set, pool, r| {
        for round in 0..36 {
            let element = elements(set)[round % elements(set).len()];
            let (i, o, h, w) = (r.whole(1, 50), r.whole(1, 50), r.whole(1, 6), r.whole(1, 31));
            let from = grid(r, set, pool, Form { channels: i, height: h, width: w, border: 1, element });
            let shape = match round / 3 % 3 {
                0 => ConvShape::conv3x3(i, o),
                1 => ConvShape::halving3x3(i, o, round % 2 == 1),
                _ => ConvShape::linear(i, o),
            };
            let (height, width) = (h / shape.stride.0, w / shape.stride.1);
            let conv = Conv::new(set, shape.of(element), |_, _, _| 1.0);
            let affine = Affine::bias(&vec![0.0; o]);
            for element in elements(set) {
                let mut to = Grid::of(Form { channels: o, height, width, border: r.whole(0, 1), element });
                conv.run(pool, &from, Finish::plain(&affine), Target::Grid(&mut to));
            }
        }
        // Deep enough for sums that wait.
        let from =
            grid(r, set, pool, Form { channels: 272, height: 2, width: 9, border: 1, element: Element::Float32 });
        let conv = Conv::new(set, ConvShape::conv3x3(272, 48), |_, _, _| 1.0);
        let mut to = Grid::new(48, 2, 9);
        conv.run(pool, &from, Finish::plain(&Affine::bias(&[0.0; 48])), Target::Grid(&mut to));
    });
}

#[test]
fn winograds_transforms_stay_inside_their_memory() {
    each_set(|set, pool, r| {
        for (i, o, element) in [
            (16, 32, Element::Float32),
            (48, 48, Element::Float16),
            (176, 160, Element::Float32),
            (176, 160, Element::Float16),
        ] {
            if !set.has(element) {
                continue;
            }
            let (h, w) = (r.whole(1, 9), r.whole(1, 17));
            let from =
                grid(r, set, pool, Form { channels: i, height: h, width: w, border: 1, element: Element::Float32 });
            for tiles in [Tiles::Two, Tiles::Four] {
                let conv = Winograd::new(set, tiles, element, [i, o], false, |_, _, _| 1.0);
                let affine = Affine::bias(&vec![0.0; o]);
                let (mut to, mut twice) = (Grid::new(o, h, w), Grid::new(o, 2 * h, 2 * w));
                conv.run(pool, &from, Finish::plain(&affine), Target::Grid(&mut to));
                conv.run_doubled(pool, &from, Finish::plain(&affine), Target::Grid(&mut twice));
            }
        }
    });
}

#[test]
fn attention_norms_and_gates_stay_inside_their_memory() {
    each_set(|set, pool, r| {
        for round in 0..8 {
            let element = elements(set)[round % elements(set).len()];
            let (n, m) = (r.whole(1, 40), r.whole(1, 600));
            let mut tokens =
                |channels, n, element| grid(r, set, pool, Form { channels, height: 1, width: n, border: 0, element });
            let (queries, keys) = (tokens(64, n, element), tokens(128, m, element));
            let mut packed = Keys::default();
            packed.pack(set, pool, (&keys, 0), (&keys, 64), 2, 32);
            let mut out = tokens(64, n, element);
            attend(set, pool, &queries, &packed, 32, &mut out);

            let (x, mut y) = (tokens(64, n, Element::Float32), tokens(64, n, element));
            LayerNorm::new(set, &[1.0; 64], &[0.0; 64]).run(pool, &x, &mut y);
            GroupNorm::new(set, &[64], 4, 1e-5, vec![1.0; 64], vec![0.0; 64]).run(pool, &[&x], true, &mut y);
            let gate = Conv::new(set, ConvShape::linear(64, 64).makes(Makes::Gate).of(element), |_, _, _| 1.0);
            let mut half = tokens(32, n, element);
            gate.run(pool, &y, Finish::plain(&Affine::gate(&[0.0; 64])), Target::Gated(&mut half));
        }
    });
}
