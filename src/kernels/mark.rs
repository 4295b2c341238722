//! Moments in the work of a device, so that its times can be told without waiting in between.

use std::time::Instant;

use candle_core::{Device, Result};

/// When a device had done what it was asked for so far.
pub enum Mark {
    At(Instant),
    #[cfg(feature = "cuda")]
    Card(super::cuda::Event),
}

impl Mark {
    /// On CUDA the device comes to it in its own time; others are waited for.
    pub fn on(device: &Device) -> Result<Self> {
        #[cfg(feature = "cuda")]
        if let Device::Cuda(card) = device {
            return super::cuda::event(card).map(Self::Card);
        }
        if !device.is_cpu() {
            device.synchronize()?;
        }
        Ok(Self::At(Instant::now()))
    }

    /// Waits until the device has come to it.
    pub fn wait(&self) -> Result<()> {
        match self {
            Self::At(_) => Ok(()),
            #[cfg(feature = "cuda")]
            Self::Card(event) => event.synchronize().map_err(candle_core::Error::wrap),
        }
    }

    /// Milliseconds to a later mark of the same device; waits for both.
    pub fn ms_to(&self, later: &Self) -> Result<f32> {
        match (self, later) {
            (Self::At(from), Self::At(to)) => Ok(to.saturating_duration_since(*from).as_secs_f32() * 1e3),
            #[cfg(feature = "cuda")]
            (Self::Card(from), Self::Card(to)) => from.elapsed_ms(to).map_err(candle_core::Error::wrap),
            #[cfg(feature = "cuda")]
            _ => candle_core::bail!("marks of two devices"),
        }
    }
}
