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

use super::{
    Request, Shared,
    courier::{Courier, Parcel},
    lock,
};
use crate::diffusion::{Card, Model, Picture, Timing};

/// Pause after a failure, so that a broken model fills neither the log nor the cores.
const BACK_OFF: Duration = Duration::from_millis(250);
/// Pictures kept for painting over: one in the slot, two on the stage, one in the making, one on its way, one to spare.
pub(super) const KEPT: usize = 6;

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
        let body = move || Inbox::work(&its, model, serial, &shared);
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
    fn work(inbox: &Arc<Self>, mut model: Box<dyn Model>, serial: u64, shared: &Arc<Shared>) {
        let mut pictures: Vec<Arc<Picture>> = Vec::new();
        // For models whose pictures come from a device.
        let mut courier: Option<Courier> = None;
        while let Some(request) = inbox.next() {
            pictures.extend(courier.iter().flat_map(Courier::returned));
            pictures.truncate(KEPT);
            let mut picture = unused(&mut pictures);
            let began = Instant::now();
            let result = catch_unwind(AssertUnwindSafe(|| {
                let Some(canvas) = Arc::get_mut(&mut picture) else {
                    return Err("a picture was still in use".to_owned());
                };
                let made = model.begin(&request.latent, &request.with, request.steps, canvas);
                canvas.model = serial;
                made.map_err(|e| e.to_string())
            }));
            let result = result.unwrap_or_else(|panic| Err(format!("the model panicked: {}", message(&*panic))));
            lock(&shared.record).note(model.notes());
            let made = match result {
                Ok((timing, Some(arriving))) => {
                    let parcel = Parcel { picture, arriving, turn: request.turn, began, timing };
                    match inbox.set_out(&mut courier, parcel, shared) {
                        Ok(()) => continue,
                        Err((back, made)) => {
                            picture = back;
                            made
                        }
                    }
                }
                Ok((timing, None)) => Ok(timing),
                Err(why) => Err(why),
            };
            if !inbox.show(shared, &picture, request.turn, began, made) {
                std::thread::sleep(BACK_OFF);
            }
            pictures.push(picture);
        }
    }

    /// Sends a picture on its way; where there can be no thread for it, it is waited for here and given back.
    fn set_out(
        self: &Arc<Self>,
        courier: &mut Option<Courier>,
        parcel: Parcel,
        shared: &Arc<Shared>,
    ) -> Result<(), (Arc<Picture>, Result<Timing, String>)> {
        if courier.is_none() {
            let (inbox, shared) = (Arc::clone(self), Arc::clone(shared));
            let started = Courier::start(move |picture, turn, began, made| {
                inbox.show(&shared, picture, turn, began, made);
            });
            *courier = started.ok();
        }
        let sent = match courier {
            Some(courier) => courier.send(parcel),
            None => Err(parcel),
        };
        sent.map_err(|parcel| {
            *courier = None;
            parcel.arrive()
        })
    }

    /// Shows a picture, or tells why there is none, if the model still plays. False: there is none.
    fn show(
        &self,
        shared: &Shared,
        picture: &Arc<Picture>,
        turn: u64,
        began: Instant,
        made: Result<Timing, String>,
    ) -> bool {
        // Under the lock: whoever takes over after it is not overtaken by this picture.
        let mut record = lock(&shared.record);
        let plays = shared.turn.load(Ordering::Relaxed) == turn && !self.give_up.load(Ordering::Relaxed);
        match made {
            Ok(timing) if plays => {
                shared.latest.store(Some(picture.clone()));
                record.succeeded(began, timing);
            }
            Err(why) if plays => {
                record.failed(why);
                return false;
            }
            _ => {}
        }
        true
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
