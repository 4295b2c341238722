//! The program: command line, wiring, windows.
#[cfg(feature = "window")]
pub mod window;
