//! A show on file: what came in and what was done, from which the film can be made again.
//!
//! ```text
//! table ──> Tap ─────────┐ bounded
//! signal ─> SignalTap ───┤ channels ──> Recorder (thread "show") ──> show.wds ──> Replay ──> render
//! stage ──> transitions ─┘
//!
//! signal ─> SignalTap ───> SignalRecorder (thread "signal file") ──> session.edf or session.npy
//! ```
//!
//! What is recorded is the signal before any conditioning and each setting of each parameter, with their times; not
//! pictures. So the film can have another size, model or number of steps than the stage had.

mod deck;
mod format;
mod reader;
mod recorder;
mod replay;
mod signal_deck;
mod signal_file;
mod signal_tap;
mod source;

pub use deck::{Deck, Facts, Files};
pub use format::{Fault, Head};
pub use reader::Show;
pub use recorder::{Recorded, Recorder};
pub use replay::{Replay, Turn};
pub use signal_deck::SignalDeck;
pub use signal_file::SignalRecorder;
pub use signal_tap::SignalTap;

#[cfg(test)]
mod signal_tests;
#[cfg(test)]
mod tests;
