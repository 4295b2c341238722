//! The generating threads: always at work on the newest request, always showing the newest picture.
//!
//! Several models may be resident, each on a thread of its own ([`resident`]); one of them plays. Another takes over by
//! a change of a number: from the next request on it paints, and what the one before still makes is not shown. Between
//! the threads and the others stand slots. A request that comes before the last was begun replaces it; a picture
//! replaces the one before. The reader of pictures (the render thread) takes no lock and allocates nothing; pictures that
//! nobody holds any more are painted over. A model that fails or panics is tried again with later requests, while the
//! last good picture stays.

mod courier;
mod record;
mod resident;

pub use record::Stats;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwapOption;

use super::{Card, Conditioning, Model, Picture};
use crate::latent::Latent;
use record::Record;
use resident::Resident;

/// The handle on the generating threads; dropping it ends them after the picture in the making.
pub struct Dreamer {
    shared: Arc<Shared>,
    residents: Mutex<Residents>,
}

struct Residents {
    /// The first one plays.
    models: Vec<Resident>,
    next_serial: u64,
}

/// What a resident model is asked for.
struct Request {
    turn: u64,
    latent: Latent,
    with: Conditioning,
    steps: usize,
}

#[derive(Default)]
struct Shared {
    latest: ArcSwapOption<Picture>,
    /// Counts up with each change of the resident that plays: a picture of another turn is nobody's.
    turn: AtomicU64,
    record: Mutex<Record>,
}

/// A resident model as others see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Inmate {
    pub name: String,
    pub bytes: u64,
    pub plays: bool,
}

/// A resident model that has taken over.
#[derive(Debug, Clone)]
pub struct Playing {
    /// Requests and pictures carry it.
    pub serial: u64,
    pub card: Card,
}

/// The data behind these locks is whole after every statement, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Dreamer {
    /// With one model, which plays.
    pub fn start(name: &str, model: Box<dyn Model>) -> std::io::Result<(Self, Playing)> {
        let dreamer = Self {
            shared: Arc::new(Shared::default()),
            residents: Mutex::new(Residents { models: Vec::new(), next_serial: 1 }),
        };
        dreamer.keep(name, model)?;
        let playing = dreamer.play(name).ok_or_else(|| std::io::Error::other("the model's thread is gone"))?;
        Ok((dreamer, playing))
    }

    /// Takes in a model, ready to play; one that was there by this name goes unless it plays.
    pub fn keep(&self, name: &str, model: Box<dyn Model>) -> std::io::Result<()> {
        let mut residents = lock(&self.residents);
        let serial = residents.next_serial;
        residents.next_serial += 1;
        let resident = Resident::start(name.to_owned(), serial, model, Arc::clone(&self.shared))?;
        let plays = residents.models.first().map(|resident| resident.serial);
        residents.models.retain(|old| old.name != name || Some(old.serial) == plays);
        residents.models.push(resident);
        Ok(())
    }

    /// Lets a resident model take over at once. None if there is none of this name.
    pub fn play(&self, name: &str) -> Option<Playing> {
        let mut residents = lock(&self.residents);
        // The newest of a name.
        let at = residents.models.iter().rposition(|resident| resident.name == name)?;
        let is_first = self.shared.turn.load(Ordering::Relaxed) == 0;
        if at > 0 || is_first {
            residents.models[0].rest();
            residents.models.swap(0, at);
            let mut record = lock(&self.shared.record);
            self.shared.turn.fetch_add(1, Ordering::Relaxed);
            residents.models[0].take_over();
            record.begin(&residents.models[0].card.name);
        }
        let plays = &residents.models[0];
        Some(Playing { serial: plays.serial, card: plays.card.clone() })
    }

    /// Lets go of a model that does not play; its memory is free once the picture in the making is given up.
    pub fn let_go(&self, name: &str) -> bool {
        let mut residents = lock(&self.residents);
        let at = residents.models.iter().skip(1).position(|resident| resident.name == name);
        at.map(|at| drop(residents.models.remove(at + 1))).is_some()
    }

    /// Whether a model of this name is resident.
    pub fn holds(&self, name: &str) -> bool {
        lock(&self.residents).models.iter().any(|resident| resident.name == name)
    }

    /// The one that plays first, then those that rest, the one that was used last before the others.
    pub fn residents(&self) -> Vec<Inmate> {
        let residents = lock(&self.residents);
        let mut order: Vec<&Resident> = residents.models.iter().collect();
        if let Some(rest) = order.get_mut(1..) {
            rest.sort_by_key(|resident| std::cmp::Reverse(resident.used));
        }
        let inmate = |(i, resident): (usize, &&Resident)| Inmate {
            name: resident.name.clone(),
            bytes: resident.bytes,
            plays: i == 0,
        };
        order.iter().enumerate().map(inmate).collect()
    }

    /// Asks for a picture; a request that is still waiting is replaced. One that was made for another model than the one
    /// that plays is nobody's any more.
    pub fn submit(&self, serial: u64, latent: Latent, with: Conditioning, steps: usize) {
        let residents = lock(&self.residents);
        let Some(plays) = residents.models.first().filter(|resident| resident.serial == serial) else { return };
        let turn = self.shared.turn.load(Ordering::Relaxed);
        if plays.ask(Request { turn, latent, with, steps }) {
            lock(&self.shared.record).stats.replaced += 1;
        }
    }

    /// The newest picture. Without a lock: for the render thread.
    pub fn latest(&self) -> Option<Arc<Picture>> {
        self.shared.latest.load_full()
    }

    /// What models have told since the last look; takes a short lock.
    pub fn notes(&self) -> Vec<String> {
        lock(&self.shared.record).take_notes()
    }

    /// Sums up the last pictures; takes a short lock, so for panels and reports and not for each frame.
    pub fn stats(&self) -> Stats {
        lock(&self.shared.record).sum_up()
    }
}

impl Drop for Dreamer {
    fn drop(&mut self) {
        let residents = std::mem::take(&mut lock(&self.residents).models);
        residents.into_iter().for_each(Resident::join);
    }
}

#[cfg(test)]
mod tests;
