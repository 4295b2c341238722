//! A model and the thread that it lives on: it waits for requests and paints the newest.
//!
//! Each resident model has a thread of its own, so that the one that takes over need not wait for a picture that the
//! other still makes. Only the pictures of the one that plays are shown.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{Request, Shared, lock};
use crate::diffusion::{Card, Model, Picture};

/// Pause after a failure, so that a broken model fills neither the log nor the cores.
const BACK_OFF: Duration = Duration::from_millis(250);
/// Pictures kept for painting over: one in the slot, two on the stage, one in the making, one to spare.
pub(super) const KEPT: usize = 5;

/// The handle on a model's thread. Dropping it ends the thread after the picture in the making, without waiting for it.
pub(super) struct Resident {
    /// By which it was asked for.
    pub name: String,
    pub card: Card,
    pub bytes: u64,
    /// Counts up: no two residents of a run have the same.
    pub serial: u64,
    /// When it last began or ceased to play.
    pub used: Instant,
    inbox: Arc<Inbox>,
    thread: Option<JoinHandle<()>>,
}

/// Between the askers and the thread.
#[derive(Default)]
struct Inbox {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    /// Set while the model does not play: a picture in the making is worth nothing any more.
    give_up: Arc<AtomicBool>,
}

#[derive(Default)]
struct Waiting {
    request: Option<Request>,
    stop: bool,
}

impl Resident {
    /// Starts the thread.
    pub fn start(name: String, serial: u64, mut model: Box<dyn Model>, shared: Arc<Shared>) -> std::io::Result<Self> {
        let inbox = Arc::new(Inbox::default());
        inbox.give_up.store(true, Ordering::Relaxed);
        model.give_up_when(Arc::clone(&inbox.give_up));
        let (card, bytes) = (model.card().clone(), model.bytes());
        let its = Arc::clone(&inbox);
        let body = move || its.work(model, serial, &shared);
        let thread = std::thread::Builder::new().name("dreamer".to_owned()).spawn(body)?;
        Ok(Self { name, card, bytes, serial, used: Instant::now(), inbox, thread: Some(thread) })
    }

    /// Whether a request that was still waiting was replaced.
    pub fn ask(&self, request: Request) -> bool {
        let replaced = lock(&self.inbox.waiting).request.replace(request);
        self.inbox.arrived.notify_one();
        replaced.is_some()
    }

    /// From now on its pictures are shown.
    pub fn take_over(&mut self) {
        self.used = Instant::now();
        self.inbox.give_up.store(false, Ordering::Relaxed);
    }

    /// From now on they are not.
    pub fn rest(&mut self) {
        self.used = Instant::now();
        self.inbox.give_up.store(true, Ordering::Relaxed);
        lock(&self.inbox.waiting).request = None;
    }

    /// Ends the thread and waits until it has let go of its model.
    pub fn join(mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            // Its panics are those of the model and caught there.
            let _ = thread.join();
        }
    }

    fn stop(&self) {
        lock(&self.inbox.waiting).stop = true;
        self.inbox.give_up.store(true, Ordering::Relaxed);
        self.inbox.arrived.notify_one();
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Inbox {
    fn work(&self, mut model: Box<dyn Model>, serial: u64, shared: &Shared) {
        let mut pictures: Vec<Arc<Picture>> = Vec::new();
        while let Some(request) = self.next() {
            let mut picture = unused(&mut pictures);
            let began = Instant::now();
            let result = catch_unwind(AssertUnwindSafe(|| {
                let Some(canvas) = Arc::get_mut(&mut picture) else {
                    return Err("a picture was still in use".to_owned());
                };
                let made = model.generate(&request.latent, &request.with, request.steps, canvas);
                canvas.model = serial;
                made.map_err(|e| e.to_string())
            }));
            let result = result.unwrap_or_else(|panic| Err(format!("the model panicked: {}", message(&*panic))));
            let notes = model.notes();
            // Under the lock: whoever takes over after it is not overtaken by this picture.
            let mut record = lock(&shared.record);
            record.note(notes);
            let plays = shared.turn.load(Ordering::Relaxed) == request.turn && !self.give_up.load(Ordering::Relaxed);
            match result {
                Ok(timing) if plays => {
                    shared.latest.store(Some(picture.clone()));
                    record.succeeded(began, timing);
                }
                Err(why) if plays => {
                    record.failed(why);
                    drop(record);
                    std::thread::sleep(BACK_OFF);
                }
                _ => drop(record),
            }
            pictures.push(picture);
            pictures.truncate(KEPT);
        }
    }

    /// Waits for a request and takes it. None: it is over.
    fn next(&self) -> Option<Request> {
        let mut waiting = lock(&self.waiting);
        loop {
            if waiting.stop {
                return None;
            }
            if let Some(request) = waiting.request.take() {
                return Some(request);
            }
            waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A picture that nobody else holds, the one longest out of use first.
fn unused(pictures: &mut Vec<Arc<Picture>>) -> Arc<Picture> {
    match pictures.iter_mut().position(|p| Arc::get_mut(p).is_some()) {
        Some(i) => pictures.remove(i),
        None => Arc::new(Picture::empty()),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}
