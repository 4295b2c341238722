//! A small fixed pool of threads that spins between the layers of a picture and sleeps between pictures.
//!
//! A picture is fifty parallel regions of a tenth to one millisecond: waking a sleeping thread for each (30 to 60 us)
//! would cost a tenth of the picture. The caller works too; pieces are claimed one by one, so that a thread that the
//! system takes away holds up one piece and not half of the layer.

use std::{
    cell::UnsafeCell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::{JoinHandle, Thread},
    time::{Duration, Instant},
};

use super::floats::Floats;

/// How long a worker looks for the next layer before it sleeps: longer than what runs on one thread between layers.
const SPIN: Duration = Duration::from_micros(200);

type Job = *const (dyn Fn(usize, usize) + Sync);

/// What caller and workers share. `ticket` is `epoch << 32 | pieces << 16 | next piece`.
struct Shared {
    ticket: AtomicU64,
    done: AtomicUsize,
    panicked: AtomicBool,
    stop: AtomicBool,
    job: UnsafeCell<Option<Job>>,
    asleep: Vec<AtomicBool>,
}

// SAFETY: `job` is written by the one caller (behind `Pool::turn`) only while every piece of the last job is done, and
// used by a worker only after it claimed a piece of the job, which is then not done (see `Shared::claim`).
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

/// Threads for kernels. Cloning gives another handle to the same threads; one caller at a time gets them.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    turn: Mutex<u32>,
    /// Memory that a layer needs for a moment, kept for the next one.
    scratch: Mutex<Floats>,
    workers: Vec<Thread>,
    handles: Vec<JoinHandle<()>>,
}

impl Pool {
    /// `threads` threads in all, the caller among them; fewer if the system gives no more.
    pub fn new(threads: usize) -> Self {
        let workers = threads.clamp(1, 64) - 1;
        let shared = Arc::new(Shared {
            ticket: AtomicU64::new(0),
            done: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            job: UnsafeCell::new(None),
            asleep: (0..workers).map(|_| AtomicBool::new(false)).collect(),
        });
        let handles: Vec<_> = (0..workers)
            .map_while(|i| {
                let shared = shared.clone();
                std::thread::Builder::new().name(format!("kernel {}", i + 1)).spawn(move || shared.work(i)).ok()
            })
            .collect();
        let workers = handles.iter().map(|h| h.thread().clone()).collect();
        Self(Arc::new(Inner { shared, turn: Mutex::new(0), scratch: Mutex::default(), workers, handles }))
    }

    pub fn threads(&self) -> usize {
        self.0.workers.len() + 1
    }

    /// At least `len` floats, whatever is in them, until the guard is dropped.
    pub(super) fn scratch(&self, len: usize) -> MutexGuard<'_, Floats> {
        let mut floats = self.0.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        if floats.len() < len {
            // The old memory first, so that both are not there at once.
            *floats = Floats::default();
            *floats = Floats::zeros(len);
        }
        floats
    }

    /// Calls `job(piece, thread)` once for each piece in `0..pieces`, on all threads; returns when all are done.
    ///
    /// A panic in a piece is passed on to the caller once every other piece is done.
    pub fn run(&self, pieces: usize, job: &(dyn Fn(usize, usize) + Sync)) {
        let inner = &*self.0;
        if inner.workers.is_empty() || pieces <= 1 || pieces > 0xffff {
            (0..pieces).for_each(|i| job(i, 0));
            return;
        }
        let mut epoch = inner.turn.lock().unwrap_or_else(PoisonError::into_inner);
        *epoch = epoch.wrapping_add(1);
        let shared = &inner.shared;
        shared.done.store(0, Ordering::Relaxed);
        // SAFETY: only the lifetime is changed; this function does not return before every piece is done, and nobody
        // calls the job but for a piece that is not. No worker reads the cell now: all pieces of the last job are done.
        unsafe { *shared.job.get() = Some(std::mem::transmute::<*const (dyn Fn(usize, usize) + Sync + '_), Job>(job)) };
        shared.ticket.store((u64::from(*epoch) << 32) | ((pieces as u64) << 16), Ordering::SeqCst);
        for (thread, asleep) in inner.workers.iter().zip(&shared.asleep) {
            if asleep.swap(false, Ordering::SeqCst) {
                thread.unpark();
            }
        }
        let mut panic = None;
        while let Some(piece) = shared.claim() {
            let result = catch_unwind(AssertUnwindSafe(|| job(piece, 0)));
            shared.done.fetch_add(1, Ordering::Release);
            panic = panic.or(result.err());
        }
        let mut spins = 0_u32;
        while shared.done.load(Ordering::Acquire) < pieces {
            pause(&mut spins);
        }
        drop(epoch);
        if shared.panicked.swap(false, Ordering::Relaxed) && panic.is_none() {
            panic = Some(Box::new("a kernel panicked on a worker thread"));
        }
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.workers.iter().for_each(Thread::unpark);
        for handle in self.handles.drain(..) {
            // A worker catches the panics of its jobs and has none of its own.
            let _ = handle.join();
        }
    }
}

impl Shared {
    fn open(ticket: u64) -> bool {
        (ticket & 0xffff) < ((ticket >> 16) & 0xffff)
    }

    /// A piece of the current job, if one is left. The exchange fails if another job has begun since the load.
    fn claim(&self) -> Option<usize> {
        let mut ticket = self.ticket.load(Ordering::Acquire);
        while Self::open(ticket) {
            match self.ticket.compare_exchange_weak(ticket, ticket + 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some((ticket & 0xffff) as usize),
                Err(now) => ticket = now,
            }
        }
        None
    }

    fn work(&self, worker: usize) {
        let mut idle = Instant::now();
        let mut spins = 0;
        while !self.stop.load(Ordering::Relaxed) {
            if let Some(piece) = self.claim() {
                // SAFETY: the claimed piece is not done, so the job is the one it was claimed from, and alive.
                let job = unsafe { *self.job.get() };
                if let Some(job) = job {
                    // SAFETY: as above.
                    let result = catch_unwind(AssertUnwindSafe(|| unsafe { (*job)(piece, worker + 1) }));
                    if result.is_err() {
                        self.panicked.store(true, Ordering::Relaxed);
                    }
                }
                self.done.fetch_add(1, Ordering::Release);
                idle = Instant::now();
                spins = 0;
            } else if idle.elapsed() < SPIN {
                pause(&mut spins);
            } else {
                self.sleep(worker);
                idle = Instant::now();
            }
        }
    }

    fn sleep(&self, worker: usize) {
        self.asleep[worker].store(true, Ordering::SeqCst);
        // A job published before the store above is seen here; one published after it finds the flag and wakes us.
        while self.asleep[worker].load(Ordering::SeqCst) && !self.stop.load(Ordering::SeqCst) {
            if Self::open(self.ticket.load(Ordering::SeqCst)) {
                self.asleep[worker].store(false, Ordering::SeqCst);
                return;
            }
            std::thread::park();
        }
    }
}

/// Waits a moment; now and then lets another thread have the core, for the one waited for may need it.
fn pause(spins: &mut u32) {
    *spins = spins.wrapping_add(1);
    if spins.is_multiple_of(64) {
        std::thread::yield_now();
    } else {
        std::hint::spin_loop();
    }
}

/// Cores that have their own arithmetic units: hyper-threads only get into each other's way here.
pub fn physical_cores() -> usize {
    let logical = std::thread::available_parallelism().map_or(1, usize::from);
    let siblings = (0..logical)
        .map_while(|cpu| {
            let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
            std::fs::read_to_string(path).ok()
        })
        .collect::<std::collections::BTreeSet<_>>();
    if siblings.is_empty() { logical } else { siblings.len().min(logical) }
}

/// A place that the pieces of one job write to, each to addresses of its own.
#[derive(Clone, Copy)]
pub(super) struct Scattered(pub *mut f32);

// SAFETY: a pointer alone does nothing; whoever writes through it says why no two pieces write to the same place.
unsafe impl Sync for Scattered {}
// SAFETY: as above.
unsafe impl Send for Scattered {}

impl Scattered {
    pub fn at(&self, offset: usize) -> *mut f32 {
        self.0.wrapping_add(offset)
    }
}
