//! Work of a thousand small kernels on a GPU, recorded once and started at once.
//!
//! Starting a kernel costs the CPU some microseconds, so that a fast card waits for the CPU between the small layers of a
//! U-Net. On CUDA such work becomes a graph ([`super::cuda`]); elsewhere, and where a card refuses, it is done as it stands.

use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use candle_core::{Device, Result, Tensor};

/// While something is recorded, what other threads ask of the same device would become a part of it.
static ALONE: RwLock<()> = RwLock::new(());

/// Keeps recordings away from what a thread that does not paint asks of a device, until it is dropped.
pub fn apart_from_recordings() -> RwLockReadGuard<'static, ()> {
    ALONE.read().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
pub(super) fn alone() -> RwLockWriteGuard<'static, ()> {
    ALONE.write().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Recordings of a part of a model.
#[derive(Default)]
pub struct Recordings {
    #[cfg(feature = "cuda")]
    cuda: Option<super::cuda::Recordings>,
}

#[cfg_attr(not(feature = "cuda"), allow(unused_variables))]
impl Recordings {
    pub fn on(device: &Device) -> Self {
        #[cfg(feature = "cuda")]
        if let Device::Cuda(card) = device {
            return Self { cuda: super::cuda::Recordings::on(card) };
        }
        Self::default()
    }

    /// What `work` makes of `inputs`. All that it depends on besides, and that may change, must show in `form`: for the
    /// same form, and inputs of the same shapes, it does the same. It must not wait for the device, nor bring anything of
    /// more than 4 kB there.
    pub fn play(&self, form: u64, inputs: &[&Tensor], work: impl Fn(&[&Tensor]) -> Result<Tensor>) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if let Some(cuda) = &self.cuda {
            return cuda.play(form, inputs, work);
        }
        work(inputs)
    }

    /// Lets go of all of them, when pictures of another size come.
    pub fn forget(&self) {
        #[cfg(feature = "cuda")]
        if let Some(cuda) = &self.cuda {
            cuda.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_card_the_work_is_done_each_time() {
        let recordings = Recordings::on(&Device::Cpu);
        let one = Tensor::new(&[1.0_f32], &Device::Cpu).unwrap();
        for times in 1..5 {
            let x = (&one * f64::from(times)).unwrap();
            let y = recordings.play(0, &[&x, &one], |inputs| inputs[0] + inputs[1]).unwrap();
            assert_eq!(y.to_vec1::<f32>().unwrap(), [times as f32 + 1.0]);
        }
        let refused = recordings.play(0, &[&one], |_| candle_core::bail!("told so"));
        assert!(refused.unwrap_err().to_string().contains("told so"));
    }
}
