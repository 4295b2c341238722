//! What the threads of this room have in common.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use arc_swap::ArcSwapOption;
use crossbeam_channel::{Sender, TrySendError};

use super::{Board, osc::Receiver};
use crate::control::Table;

/// Table, receiver, board, and where we are reached.
#[derive(Debug)]
pub struct Core {
    pub table: Table,
    pub board: Arc<Board>,
    receiver: Mutex<Receiver>,
    told: Sender<String>,
    /// Where OSC is heard, while it is.
    pub osc_at: ArcSwapOption<SocketAddr>,
    /// Where the page is served, while it is.
    pub http_at: ArcSwapOption<SocketAddr>,
}

impl Core {
    pub fn new(table: Table, board: Arc<Board>, receiver: Receiver, told: Sender<String>) -> Self {
        let (osc_at, http_at) = Default::default();
        Self { table, board, receiver: Mutex::new(receiver), told, osc_at, http_at }
    }

    /// The receiver is whole after every message: a panic elsewhere does not spoil it.
    pub fn receiver(&self) -> MutexGuard<'_, Receiver> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is due by the clock, whichever thread calls first.
    pub fn tick(&self, now: Instant) {
        let mut receiver = self.receiver();
        receiver.tick(now);
        let told = receiver.take_told();
        drop(receiver);
        told.into_iter().for_each(|sentence| self.say(sentence));
    }

    /// Tells people.
    pub fn say(&self, sentence: String) {
        // Part of it came from a stranger: nothing that a terminal would obey.
        let sentence = sentence.replace(char::is_control, " ");
        tracing::warn!("{sentence}");
        // A full box already tells that something is wrong.
        if let Err(TrySendError::Disconnected(sentence)) = self.told.try_send(sentence) {
            tracing::debug!("nobody hears: {sentence}");
        }
    }
}
