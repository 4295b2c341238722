//! What a recording hears of the table: each setting as it happens, and who made it.
//!
//! Called by whoever sets a parameter, under the table's writer lock, so that the order is that of the settings. A
//! recorder that is behind loses changes, which are counted; nobody who sets something ever waits for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use crossbeam_channel::Sender;

use super::{Origin, Value};

/// One setting of one parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub at: Instant,
    pub path: String,
    pub what: What,
    pub origin: Origin,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Set to a value, over so many seconds.
    Set { value: Value, secs: f64 },
    /// What modulates it added this on the normal scale.
    Offset(f64),
}

/// Where the table tells its changes.
#[derive(Debug, Clone)]
pub struct Tap {
    changes: Sender<Change>,
    missed: Arc<AtomicU64>,
}

impl Tap {
    /// `missed` counts what the channel had no room for.
    pub fn new(changes: Sender<Change>, missed: Arc<AtomicU64>) -> Self {
        Self { changes, missed }
    }

    pub(super) fn tell(&self, path: &str, what: What, origin: Origin) {
        let change = Change { at: Instant::now(), path: path.to_owned(), what, origin };
        if self.changes.try_send(change).is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}
