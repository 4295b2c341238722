//! Live sources, each fed by a sender that speaks as the real one does.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod audio;
mod intake;
mod lines;
mod lsl;
mod made;
mod nonsense;
mod osc;
mod outlet;
mod recording;
mod zmq;
