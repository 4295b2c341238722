//! The pictures of `collect` on the stage, while the signal is recorded on a thread of its own.
//!
//! A mark begins when its picture is handed over; the window shows it with its next frame, so at most a frame later.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, Sender, bounded};
use image::RgbaImage;

use crate::{
    app::window::{self, Frame, Gpu, StageApp, WindowOptions},
    diffusion::Picture,
    stage::{Compositor, Fit, FrameClock, Look, ShaderLibrary, SignalTrace},
};

/// Where the recording puts what shall be seen.
#[derive(Clone)]
pub struct Screen(Arc<Mutex<Next>>);

#[derive(Default)]
enum Next {
    #[default]
    AsItIs,
    Dark,
    Picture(Picture),
}

impl Screen {
    pub fn show(&self, image: &RgbaImage) {
        let (width, height) = (image.width() as usize, image.height() as usize);
        self.put(Next::Picture(Picture { width, height, rgba: image.as_raw().clone(), ..Picture::empty() }));
    }
    pub fn dark(&self) {
        self.put(Next::Dark);
    }
    fn put(&self, next: Next) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }
}

/// Opens the window and runs `session` beside it, from the first frame on, until either ends.
pub fn run(fullscreen: bool, stop: &Arc<AtomicBool>, session: impl FnOnce(&Screen) -> Result<()> + Send) -> Result<()> {
    let screen = Screen(Arc::default());
    let (up, is_up) = bounded(1);
    let title = "wavedream: look at the pictures".into();
    let options = WindowOptions { title, fullscreen, stop: Arc::clone(stop), ..WindowOptions::default() };
    let slides = Slides {
        screen: screen.clone(),
        compositor: None,
        look: Look { fit: Fit::Contain, crossfade: 0.0, blackout: true, ..Look::default() },
        trace: SignalTrace::default(),
        up: Some(up),
        stop: Arc::clone(stop),
    };
    std::thread::scope(|scope| {
        let beside = std::thread::Builder::new().name("collect".into());
        let body = || record(&is_up, &screen, stop, session);
        let recording = beside.spawn_scoped(scope, body).context("no thread for the recording")?;
        let shown = window::run(slides, options);
        stop.store(true, Ordering::Relaxed);
        let recorded = recording.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the recording stumbled")));
        match (shown, recorded) {
            (Err(error), Ok(None)) => {
                Err(anyhow::Error::new(error).context("pictures are shown on the stage; --terminal shows them there"))
            }
            (_, recorded) => recorded.map(|_| ()),
        }
    })
}

/// None if the window never came up.
fn record(
    is_up: &Receiver<()>,
    screen: &Screen,
    stop: &AtomicBool,
    session: impl FnOnce(&Screen) -> Result<()>,
) -> Result<Option<()>> {
    if is_up.recv().is_err() {
        return Ok(None);
    }
    let done = session(screen).map(Some);
    stop.store(true, Ordering::Relaxed);
    done
}

struct Slides {
    screen: Screen,
    compositor: Option<Compositor>,
    look: Look,
    trace: SignalTrace,
    /// Until the first frame.
    up: Option<Sender<()>>,
    stop: Arc<AtomicBool>,
}

impl StageApp for Slides {
    fn start(&mut self, gpu: &Gpu) -> Result<()> {
        let size = (gpu.size_px[0], gpu.size_px[1]);
        let (device, queue) = (gpu.device.clone(), gpu.queue.clone());
        self.compositor = Some(Compositor::new(device, queue, size, gpu.format, ShaderLibrary::builtin())?);
        Ok(())
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        let Some(compositor) = &mut self.compositor else { return };
        let size = (frame.size_px[0], frame.size_px[1]);
        if compositor.size() != size
            && let Err(error) = compositor.resize(size)
        {
            tracing::warn!("{error}");
            return;
        }
        match std::mem::take(&mut *self.screen.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            Next::AsItIs => {}
            Next::Dark => self.look.blackout = true,
            Next::Picture(picture) => {
                compositor.show(&picture);
                self.look.blackout = false;
            }
        }
        let (delta_secs, number) = (frame.delta_secs, frame.number);
        let clock = FrameClock { time_secs: number as f64 * delta_secs, delta_secs, frame: number };
        compositor.frame(frame.target, &clock, &self.look, &self.trace);
        if let Some(up) = self.up.take() {
            // Nobody waits any more if the recording has ended.
            let _ = up.send(());
        }
    }

    fn closing(&mut self) {
        self.up = None;
        self.stop.store(true, Ordering::Relaxed);
    }
}
