//! The thread "encoder": one window in, one steering out, the latest of each. What comes while it works replaces what
//! waits; nothing queues.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
    time::Instant,
};

use arc_swap::ArcSwapOption;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::{Shape, feed, head::Steering, steerer::Steerer};

/// Samples that are to be encoded: frame after frame, with their channels and rate.
pub struct Job {
    pub frames: Vec<f64>,
    pub channels: usize,
    pub rate_hz: f64,
}

impl Job {
    /// What a steerer makes of it.
    pub fn run(&self, steerer: &Steerer) -> Result<Steering, String> {
        let window = feed::window(steerer.shape(), &self.frames, self.channels, self.rate_hz);
        steerer.steer(&window).map_err(|error| error.to_string())
    }
}

/// What the thread has made last.
#[derive(Debug, Clone)]
pub struct Made {
    pub steering: Result<Steering, String>,
    pub took_ms: f32,
}

/// The running thread. Dropping it ends it after the window it works on.
pub struct Worker {
    shape: Shape,
    jobs: Option<Sender<Job>>,
    made: Arc<ArcSwapOption<Made>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// # Errors
    /// The system has no thread to give.
    pub fn start(steerer: Steerer) -> std::io::Result<Self> {
        let (jobs, wanted): (Sender<Job>, Receiver<Job>) = bounded(1);
        let made = Arc::new(ArcSwapOption::empty());
        let shape = steerer.shape().clone();
        let out = Arc::clone(&made);
        let body = move || {
            for job in wanted {
                let begun = Instant::now();
                let stumbled = || Err("the encoder stumbled (this is a fault in wavedream)".to_owned());
                let steering = catch_unwind(AssertUnwindSafe(|| job.run(&steerer))).unwrap_or_else(|_| stumbled());
                out.store(Some(Arc::new(Made { steering, took_ms: begun.elapsed().as_secs_f32() * 1e3 })));
            }
        };
        let thread = std::thread::Builder::new().name("encoder".into()).spawn(body)?;
        Ok(Self { shape, jobs: Some(jobs), made, thread: Some(thread) })
    }

    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Asks for a window to be encoded; false while the one before is still waiting.
    pub fn submit(&self, job: Job) -> bool {
        match self.jobs.as_ref().map(|jobs| jobs.try_send(job)) {
            Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) | None => false,
            Some(Ok(())) => true,
        }
    }

    /// The newest steering, once.
    pub fn take(&self) -> Option<Arc<Made>> {
        self.made.swap(None)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the encoder's thread did not end well");
        }
    }
}
