//! The generating thread: it always works on the newest request and always shows the newest picture.
//!
//! Between it and the others stand two slots. A request that comes before the last was begun replaces it; a picture
//! replaces the one before. The reader of pictures (the render thread) takes no lock and allocates nothing; pictures that
//! nobody holds any more are painted over. A model that fails or panics is tried again with later requests, while the
//! last good picture stays.

use std::{
    any::Any,
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;

use super::{Conditioning, Model, Picture, Quantiles, Timing};
use crate::latent::Latent;

/// Pause after a failure, so that a broken model fills neither the log nor the cores.
const BACK_OFF: Duration = Duration::from_millis(250);
/// Pictures that rate and quantiles are taken from: ten seconds at full rate.
const REMEMBERED: usize = 300;
/// The rate is that of the last seconds.
const RATE_OVER: Duration = Duration::from_secs(3);
/// Notes of the model that nobody has read yet; what comes beyond is in the log alone.
const MOST_NOTES: usize = 16;
/// Pictures kept for painting over: one in the slot, two on the stage, one in the making, one to spare.
const KEPT: usize = 5;

/// What the generating thread has done so far.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    pub model: String,
    pub pictures: u64,
    /// Pictures a second over the last seconds; 0 before the second picture.
    pub pictures_per_s: f32,
    /// Requests that a newer one replaced before they were begun.
    pub replaced: u64,
    pub failures: u64,
    /// Why the last request failed; none once one has succeeded.
    pub error: Option<String>,
    pub picture: Quantiles,
    pub denoise: Quantiles,
    pub decode: Quantiles,
}

/// The handle on the generating thread; dropping it ends the thread after the picture in the making.
pub struct Dreamer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Request {
    latent: Latent,
    with: Conditioning,
    steps: usize,
}

#[derive(Default)]
struct Inbox {
    request: Option<Request>,
    model: Option<Box<dyn Model>>,
    stop: bool,
}

#[derive(Default)]
struct Shared {
    inbox: Mutex<Inbox>,
    arrived: Condvar,
    latest: ArcSwapOption<Picture>,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    stats: Stats,
    notes: Vec<String>,
    finished: VecDeque<(Instant, f32, Timing)>,
}

/// The data behind these locks is whole after every statement, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Dreamer {
    pub fn start(model: Box<dyn Model>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        lock(&shared.record).stats.model.clone_from(&model.card().name);
        let its = shared.clone();
        let thread = std::thread::Builder::new().name("dreamer".to_owned()).spawn(move || its.work(model))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Asks for a picture; a request that is still waiting is replaced.
    pub fn submit(&self, latent: Latent, with: Conditioning, steps: usize) {
        let replaced = lock(&self.shared.inbox).request.replace(Request { latent, with, steps });
        self.shared.arrived.notify_one();
        if replaced.is_some() {
            lock(&self.shared.record).stats.replaced += 1;
        }
    }

    /// Uses another model from the next picture on. The old one is dropped on a thread of its own.
    pub fn switch(&self, model: Box<dyn Model>) {
        let unused = lock(&self.shared.inbox).model.replace(model);
        self.shared.arrived.notify_one();
        drop_elsewhere(unused);
    }

    /// The newest picture. Without a lock: for the render thread.
    pub fn latest(&self) -> Option<Arc<Picture>> {
        self.shared.latest.load_full()
    }

    /// What the model has told since the last look; takes a short lock.
    pub fn notes(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.shared.record).notes)
    }

    /// Sums up the last pictures; takes a short lock, so for panels and reports and not for each frame.
    pub fn stats(&self) -> Stats {
        lock(&self.shared.record).sum_up()
    }
}

impl Drop for Dreamer {
    fn drop(&mut self) {
        lock(&self.shared.inbox).stop = true;
        self.shared.arrived.notify_one();
        if let Some(thread) = self.thread.take() {
            // Its panics are those of the model and caught there.
            let _ = thread.join();
        }
    }
}

fn drop_elsewhere(model: Option<Box<dyn Model>>) {
    if let Some(model) = model {
        // Without a thread to be had it is dropped right here.
        let _ = std::thread::Builder::new().name("model drop".to_owned()).spawn(move || drop(model));
    }
}

impl Shared {
    fn work(&self, mut model: Box<dyn Model>) {
        let mut pictures: Vec<Arc<Picture>> = Vec::new();
        while let Some(request) = self.next(&mut model) {
            let mut picture = unused(&mut pictures, &request.latent);
            let began = Instant::now();
            let result = catch_unwind(AssertUnwindSafe(|| {
                let Some(canvas) = Arc::get_mut(&mut picture) else {
                    return Err("a picture was still in use".to_owned());
                };
                model.generate(&request.latent, &request.with, request.steps, canvas).map_err(|e| e.to_string())
            }));
            let notes = model.notes();
            if !notes.is_empty() {
                lock(&self.record).note(notes);
            }
            let result = result.unwrap_or_else(|panic| Err(format!("the model panicked: {}", message(&*panic))));
            match result {
                Ok(timing) => {
                    self.latest.store(Some(picture.clone()));
                    lock(&self.record).succeeded(began, timing);
                }
                Err(why) => {
                    let mut record = lock(&self.record);
                    if record.stats.error.as_ref() != Some(&why) {
                        tracing::error!("{why}");
                    }
                    record.stats.failures += 1;
                    record.stats.error = Some(why);
                    drop(record);
                    std::thread::sleep(BACK_OFF);
                }
            }
            pictures.push(picture);
            pictures.truncate(KEPT);
        }
    }

    /// Waits for a request and takes it; takes a new model on the way. None: it is over.
    fn next(&self, model: &mut Box<dyn Model>) -> Option<Request> {
        let mut inbox = lock(&self.inbox);
        loop {
            if inbox.stop {
                return None;
            }
            if let Some(new) = inbox.model.take() {
                lock(&self.record).stats.model.clone_from(&new.card().name);
                drop_elsewhere(Some(std::mem::replace(model, new)));
            }
            if let Some(request) = inbox.request.take() {
                return Some(request);
            }
            inbox = self.arrived.wait(inbox).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A picture that nobody else holds, the one longest out of use first.
fn unused(pictures: &mut Vec<Arc<Picture>>, latent: &Latent) -> Arc<Picture> {
    match pictures.iter_mut().position(|p| Arc::get_mut(p).is_some()) {
        Some(i) => pictures.remove(i),
        None => Arc::new(Picture { stamp: latent.stamp, width: 0, height: 0, rgba: Vec::new() }),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}

impl Record {
    fn note(&mut self, notes: Vec<String>) {
        for note in notes {
            tracing::warn!("{note}");
            if self.notes.len() < MOST_NOTES {
                self.notes.push(note);
            }
        }
    }

    fn succeeded(&mut self, began: Instant, timing: Timing) {
        let now = Instant::now();
        self.stats.pictures += 1;
        self.stats.error = None;
        if self.finished.len() == REMEMBERED {
            self.finished.pop_front();
        }
        self.finished.push_back((now, (now - began).as_secs_f32() * 1e3, timing));
    }

    fn sum_up(&self) -> Stats {
        let quantiles =
            |value: fn(&(Instant, f32, Timing)) -> f32| Quantiles::of(self.finished.iter().map(value).collect());
        let now = Instant::now();
        let recent: Vec<_> = self.finished.iter().map(|f| f.0).filter(|at| now - *at < RATE_OVER).collect();
        let pictures_per_s = match recent[..] {
            [first, .., last] => {
                // Between pictures the mean interval counts; after the last one a longer silence lowers the rate.
                let mean = (last - first) / (recent.len() - 1) as u32;
                let silence = (now - last).saturating_sub(2 * mean);
                (recent.len() - 1) as f32 / (last - first + silence).as_secs_f32().max(1e-6)
            }
            _ => 0.0,
        };
        Stats {
            pictures_per_s,
            picture: quantiles(|f| f.1),
            denoise: quantiles(|f| f.2.denoise_ms),
            decode: quantiles(|f| f.2.decode_ms),
            ..self.stats.clone()
        }
    }
}

#[cfg(test)]
mod tests;
