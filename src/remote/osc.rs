//! OSC: messages from other programs set the table, values go out to those who subscribed.
//!
//! ```text
//! UDP ──────┐                    ┌─ a path of the table, or a pattern ──> Table::set
//!           ├─> packet ──> Receiver ─ /wavedream/... ──> answers to the sender
//! WebSocket ┘   (late)           └─ anything else ──> Learn: what it is bound to, or counted as unknown
//! ```
//!
//! The receiver is one for all ways in, behind a lock that is held for the length of a packet: only the threads of this
//! room ever take it.

mod complaints;
mod late;
mod learn;
mod packet;
mod pattern;
mod receiver;
mod service;
mod subscribers;
mod udp;
pub mod values;

use std::net::SocketAddr;

pub use learn::{BindingReport, LearnReport};
pub use packet::LARGEST_BYTES;
pub use receiver::{Answer, Counts, Reading, Receiver};
pub use udp::Udp;

use crate::control::Origin;

/// Who a message is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    pub address: SocketAddr,
    /// By which way it came.
    pub origin: Origin,
}
