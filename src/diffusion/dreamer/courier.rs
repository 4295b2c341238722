//! Pictures whose pixels still come from a device: one thread a model waits for them, while the model begins the next.

use std::{sync::Arc, thread::JoinHandle, time::Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::resident::KEPT;
use crate::diffusion::{Arriving, Picture, Timing};

/// A picture that is painted and not yet here.
pub(super) struct Parcel {
    pub picture: Arc<Picture>,
    pub arriving: Arriving,
    pub turn: u64,
    pub began: Instant,
    pub timing: Timing,
}

impl Parcel {
    /// Waits for the pixels: the picture, and what it took or why they did not come.
    pub fn arrive(self) -> (Arc<Picture>, Result<Timing, String>) {
        let Self { mut picture, arriving, mut timing, .. } = self;
        let begun = Instant::now();
        let came = match Arc::get_mut(&mut picture) {
            Some(picture) => arriving.take(&mut picture.rgba),
            None => Err("a picture was still in use".to_owned()),
        };
        timing.decode_ms += begun.elapsed().as_secs_f32() * 1e3;
        (picture, came.map(|()| timing))
    }
}

/// The handle on the thread that waits for parcels. Dropping it ends the thread after what is under way.
pub(super) struct Courier {
    parcels: Option<Sender<Parcel>>,
    returned: Receiver<Arc<Picture>>,
    thread: Option<JoinHandle<()>>,
}

impl Courier {
    /// `deliver` is given each picture with its turn and when it was begun, and what it took or why its pixels did not come.
    pub fn start(
        deliver: impl Fn(&Arc<Picture>, u64, Instant, Result<Timing, String>) + Send + 'static,
    ) -> std::io::Result<Self> {
        // One under way and one that waits: more would be older than what the model could make anew.
        let (parcels, coming) = bounded::<Parcel>(1);
        let (back, returned) = bounded(KEPT);
        let body = move || {
            for parcel in coming {
                let (turn, began) = (parcel.turn, parcel.began);
                let (picture, made) = parcel.arrive();
                deliver(&picture, turn, began, made);
                // Nobody paints over it where there are enough, or once the model is gone.
                drop(back.try_send(picture));
            }
        };
        let thread = std::thread::Builder::new().name("courier".to_owned()).spawn(body)?;
        Ok(Self { parcels: Some(parcels), returned, thread: Some(thread) })
    }

    /// Waits while the one before has not set out. The parcel comes back where the thread is gone.
    pub fn send(&self, parcel: Parcel) -> Result<(), Parcel> {
        match &self.parcels {
            Some(parcels) => parcels.send(parcel).map_err(|error| error.into_inner()),
            None => Err(parcel),
        }
    }

    /// Pictures that were delivered, for painting over.
    pub fn returned(&self) -> impl Iterator<Item = Arc<Picture>> + '_ {
        self.returned.try_iter()
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.parcels = None;
        if let Some(thread) = self.thread.take() {
            // Its panics would be those of the device's libraries; they end with it.
            let _ = thread.join();
        }
    }
}
