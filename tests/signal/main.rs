//! What the signal room promises, seen from outside.

mod bad_input;
mod conditioning;
mod files;
mod intake;
mod made;
mod rat;
mod resampling;
mod spreading;
