//! What a card has made, brought back while it is at the next picture.
//!
//! The bytes go through memory that the system may not move (pinned), on a stream of their own: the copy waits for the
//! picture, and the next picture does not wait for the copy.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{
    CudaDevice, Device, Error, Result, Storage, Tensor,
    cuda::cudarc::driver::{CudaEvent, CudaStream, PinnedHostSlice},
};

/// Brings bytes back from one card.
pub struct Reader {
    stream: Arc<CudaStream>,
    free: Free,
}

type Free = Arc<Mutex<Vec<Slot>>>;

/// Memory for one picture on its way.
struct Slot {
    bytes: PinnedHostSlice<u8>,
    /// When the last copy is there. The event that cudarc keeps with the memory is never recorded, for that goes with the
    /// tracking of events, which devices here are opened without.
    there: Option<CudaEvent>,
    /// What is copied from, kept until the slot is used again: it is freed on the thread that paints, as all memory of the
    /// card is.
    from: Option<Tensor>,
}

/// Bytes on their way.
pub struct Coming {
    slot: Option<Slot>,
    free: Free,
}

impl Reader {
    pub fn new(device: &CudaDevice) -> Result<Self> {
        let stream = device.cuda_stream().context().new_stream().map_err(Error::wrap)?;
        Ok(Self { stream, free: Free::default() })
    }

    /// Lets bytes that lie together come, once all that was asked of their card so far is done.
    pub fn bring(&self, bytes: &Tensor) -> Result<Coming> {
        let Device::Cuda(device) = bytes.device() else { candle_core::bail!("bytes are brought from a card") };
        let len = bytes.elem_count();
        let mut slot = match self.slot(len) {
            Some(slot) => slot,
            None => {
                let context = device.cuda_stream().context().clone();
                // SAFETY: nobody reads it before it is written.
                let pinned = unsafe { context.alloc_pinned_with_flags::<u8>(len, 0) };
                Slot { bytes: pinned.map_err(Error::wrap)?, there: None, from: None }
            }
        };
        // The last copy out of it is over, so what it was from may be freed.
        slot.wait()?;
        slot.from = Some(bytes.clone());
        {
            let (storage, layout) = bytes.storage_and_layout();
            let Storage::Cuda(storage) = &*storage else { candle_core::bail!("bytes are brought from a card") };
            let from = super::ops::contiguous(storage.as_cuda_slice::<u8>()?, layout)?;
            self.stream.join(&device.cuda_stream()).map_err(Error::wrap)?;
            self.stream.memcpy_dtoh(&from, &mut slot.bytes).map_err(Error::wrap)?;
            slot.there = Some(super::event_of(&self.stream)?);
        }
        Ok(Coming { slot: Some(slot), free: Arc::clone(&self.free) })
    }

    /// Memory of this size that is free; of another size it is of no more use.
    fn slot(&self, len: usize) -> Option<Slot> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.retain(|slot| slot.bytes.len() == len);
        free.pop()
    }
}

impl Slot {
    fn wait(&self) -> Result<()> {
        self.there.as_ref().map_or(Ok(()), |there| there.synchronize().map_err(Error::wrap))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Err(error) = self.wait() {
            tracing::debug!("a picture did not come from the card: {error}");
        }
    }
}

impl Coming {
    /// Waits for them.
    pub fn take(self, into: &mut Vec<u8>) -> Result<()> {
        let Some(slot) = &self.slot else { return Ok(()) };
        slot.wait()?;
        let bytes = slot.bytes.as_slice().map_err(Error::wrap)?;
        into.clear();
        into.extend_from_slice(bytes);
        Ok(())
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.free.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
        }
    }
}
