//! The pool: every piece once, panics passed on, several callers.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[test]
fn every_piece_is_done_once_and_before_run_returns() {
    let pool = Pool::new(4);
    for round in 0..2000 {
        let pieces = round % 37;
        let counts: Vec<_> = (0..pieces).map(|_| AtomicUsize::new(0)).collect();
        pool.run(pieces, &|piece, thread| {
            assert!(thread < 4);
            counts[piece].fetch_add(1, Ordering::Relaxed);
        });
        assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1), "round {round}");
    }
}

#[test]
fn a_pool_that_slept_wakes_for_the_next_job() {
    let pool = Pool::new(2);
    for _ in 0..5 {
        std::thread::sleep(std::time::Duration::from_millis(3));
        let sum = AtomicUsize::new(0);
        pool.run(100, &|piece, _| {
            sum.fetch_add(piece, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 4950);
    }
}

#[test]
fn a_panic_in_a_piece_reaches_the_caller_and_leaves_the_pool_usable() {
    let pool = Pool::new(3);
    for bad in [0, 63] {
        let done = AtomicUsize::new(0);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.run(64, &|piece, _| {
                assert!(piece != bad, "as planned");
                done.fetch_add(1, Ordering::Relaxed);
            });
        }));
        assert!(result.is_err());
        assert_eq!(done.into_inner(), 63);
    }
    pool.run(8, &|_, _| {});
}

#[test]
fn several_callers_share_a_pool_one_after_the_other() {
    let pool = Pool::new(3);
    let sum = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..200 {
                    pool.run(10, &|piece, _| {
                        sum.fetch_add(piece, Ordering::Relaxed);
                    });
                }
            });
        }
    });
    assert_eq!(sum.into_inner(), 3 * 200 * 45);
}
