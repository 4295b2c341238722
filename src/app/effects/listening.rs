//! The thread of `play` that hears the other source: by the real clock, beside the signal thread, so that neither waits
//! for the other's device. What it heard last stands in a slot.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use crossbeam_channel::{Receiver, bounded};

use super::{Effects, Heard};
use crate::signal::HOPS_PER_SEC;

/// Further behind than this, the clock starts anew instead of hurrying after.
const MOST_BEHIND: Duration = Duration::from_secs(1);

/// The running thread. Dropping it ends it.
pub struct Listening {
    heard: Arc<ArcSwapOption<Heard>>,
    words: Arc<ArcSwap<Arc<str>>>,
    messages: Receiver<String>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listening {
    pub fn start(mut effects: Effects) -> std::io::Result<Self> {
        let heard = Arc::new(ArcSwapOption::empty());
        let words = Arc::new(ArcSwap::from_pointee(Arc::from("")));
        let (told, messages) = bounded(16);
        let stop = Arc::new(AtomicBool::new(false));
        let (flag, slot, said) = (Arc::clone(&stop), Arc::clone(&heard), Arc::clone(&words));
        let body = move || {
            let mut due = Instant::now();
            while !flag.load(Ordering::Relaxed) {
                due += Duration::from_nanos(1_000_000_000 / HOPS_PER_SEC);
                let now = Instant::now();
                match due.checked_duration_since(now) {
                    Some(wait) => std::thread::sleep(wait),
                    None if now - due > MOST_BEHIND => due = now,
                    None => {}
                }
                let hop = catch_unwind(AssertUnwindSafe(|| effects.hop())).unwrap_or_else(|_| {
                    effects.fail("the thread of the effects' source stumbled (this is a fault in wavedream)");
                    None
                });
                slot.store(hop.map(Arc::new));
                if !Arc::ptr_eq(&**said.load(), effects.words()) {
                    said.store(Arc::new(Arc::clone(effects.words())));
                }
                for text in effects.messages() {
                    tracing::warn!("{text}");
                    // A full box already tells that something is wrong.
                    drop(told.try_send(text));
                }
            }
        };
        let thread = std::thread::Builder::new().name("effects signal".into()).spawn(body)?;
        Ok(Self { heard, words, messages, stop, thread: Some(thread) })
    }

    /// What it heard last; None while no other source is wanted, or it is not there.
    pub fn heard(&self) -> Option<Arc<Heard>> {
        self.heard.load_full()
    }

    /// The source and how it is, or why it is not there; empty if none is wanted.
    pub fn words(&self) -> Arc<str> {
        Arc::clone(&self.words.load())
    }

    /// What went wrong since the last look.
    pub fn messages(&self) -> impl Iterator<Item = String> {
        self.messages.try_iter()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the thread of the effects' source did not end well");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{app::full_table, app::setup::EFFECTS, control::Origin, diffusion};

    /// Waits for something that happens within a hop or two on a machine with time.
    fn soon(what: impl Fn() -> bool) -> bool {
        let until = Instant::now() + Duration::from_secs(20);
        while !what() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        what()
    }

    #[test]
    fn the_source_that_is_wanted_is_heard_by_the_real_clock_until_it_is_not() {
        let table = full_table(&diffusion::card("box").unwrap());
        let set = |source: &str| drop(table.set_from_text(&format!("{EFFECTS}={source}"), Origin::Osc).unwrap());
        let listening = Listening::start(Effects::new(&table).unwrap()).unwrap();
        assert!(listening.heard().is_none() && listening.words().is_empty());
        set("synth://waves?rate=300");
        assert!(soon(|| listening.heard().is_some() && listening.words().starts_with("synth://waves?rate=300: ")));
        set("synth://wavs");
        assert!(soon(|| listening.heard().is_none() && listening.words().contains("did you mean 'waves'")));
        assert!(listening.messages().any(|text| text.contains("meanwhile")));
        set("");
        assert!(soon(|| listening.words().is_empty()));
    }
}
