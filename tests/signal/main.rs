//! What the signal room promises, seen from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::new_ret_no_self,
    reason = "a test that cannot go on shall stop"
)]

mod bad_input;
mod conditioning;
mod files;
mod intake;
mod made;
mod rat;
mod resampling;
mod spreading;
