//! CUDA cards: opening one, and the kernels of `cuda/kernels.cu` on it.
//!
//! The source is compiled when a card is opened (NVRTC, a second), for any card from compute capability 8.0 on. Before a
//! kernel is used it is tried on small numbers beside candle's operations on the CPU ([`check`]); one that is wrong, or that
//! cannot be started, is told once and never used again on that card.

mod check;
#[cfg(feature = "cudnn")]
mod conv;
mod each;
mod graph;
mod ops;
mod read;

use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use candle_core::{
    CudaDevice, Device, Result, Tensor,
    cuda::cudarc::{
        driver::{
            CudaContext, CudaStream,
            result::{device as cards_of_driver, mem_pool},
            sys::{CUdevice_attribute, CUevent_flags, CUmemPool_attribute},
        },
        nvrtc::{CompileOptions, compile_ptx_with_opts},
    },
};

pub use candle_core::cuda::cudarc::driver::CudaEvent as Event;
pub use graph::Recordings;
pub use read::Coming;

use each::{GeluGate, Rgba8, Shift};
use ops::{Attend, GroupNorm, LayerNorm};

const SOURCE: &str = include_str!("cuda/kernels.cu");
/// Of the instructions that the source is compiled for; the driver makes those of the card of them.
const ARCHITECTURE: &str = "compute_80";
/// Cards before this one have no bfloat16.
const OLDEST: i32 = 8;

/// Opens a card with a stream of its own: a model is read on one thread and paints on another, and all that it does comes
/// one after the other whoever asks for it.
pub fn open(card: usize) -> Result<(Device, String)> {
    let device = CudaDevice::new_with_stream(card)?;
    // SAFETY: tensors of this device are allocated, used and freed on its one stream alone, in the order in which they are
    // asked for; what is read back is waited for. Events between streams would order nothing more.
    unsafe { device.disable_event_tracking() };
    let name = device.cuda_stream().context().name().map_err(candle_core::Error::wrap)?;
    keep_memory(&device);
    Ok((Device::Cuda(device), name))
}

/// A moment in the work of a card, with its time. Who waits for it sleeps: a show has other things to do on that core.
pub fn event(device: &CudaDevice) -> Result<Event> {
    event_of(&device.cuda_stream())
}

fn event_of(stream: &CudaStream) -> Result<Event> {
    stream.record_event(Some(CUevent_flags::CU_EVENT_BLOCKING_SYNC)).map_err(candle_core::Error::wrap)
}

/// Lets the driver keep memory that is freed for what is allocated next. By itself it gives all of it back whenever the
/// card is waited for, which is with each picture, and takes milliseconds to get it again.
fn keep_memory(device: &CudaDevice) {
    let mut all = u64::MAX;
    let card = device.cuda_stream().context().cu_device();
    // SAFETY: the card is open, its pool is the driver's own, and this attribute is a 64-bit number.
    let kept = unsafe {
        cards_of_driver::get_default_mem_pool(card).and_then(|pool| {
            let threshold = CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
            mem_pool::set_attribute(pool, threshold, std::ptr::from_mut(&mut all).cast())
        })
    };
    if let Err(error) = kept {
        tracing::debug!("the card has no pool of memory: {error}");
    }
}

/// Name and memory in bytes of each card.
pub fn cards() -> Result<Vec<(String, u64)>> {
    let count = CudaContext::device_count().map_err(candle_core::Error::wrap)?;
    let card = |number: i32| {
        let card = cards_of_driver::get(number).map_err(candle_core::Error::wrap)?;
        let name = cards_of_driver::get_name(card).map_err(candle_core::Error::wrap)?;
        // SAFETY: the driver has just given this card.
        let bytes = unsafe { cards_of_driver::total_mem(card) }.map_err(candle_core::Error::wrap)?;
        Ok((name, bytes as u64))
    };
    (0..count).map(card).collect()
}

/// What can fail by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Attention,
    GroupNorm,
    LayerNorm,
    Gate,
    Shift,
    Bytes,
    /// By cuDNN.
    Convolution,
    /// By candle-flash-attn.
    FlashAttention,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Attention,
        Self::GroupNorm,
        Self::LayerNorm,
        Self::Gate,
        Self::Shift,
        Self::Bytes,
        Self::Convolution,
        Self::FlashAttention,
    ];

    /// Whether it is built in.
    fn is_here(self) -> bool {
        match self {
            Self::Convolution => cfg!(feature = "cudnn"),
            Self::FlashAttention => cfg!(feature = "flash-attn"),
            _ => true,
        }
    }

    fn name(self) -> &'static str {
        [
            "attention of our own",
            "group norm of our own",
            "layer norm of our own",
            "the gate of GELU of our own",
            "the sum with a bias of our own",
            "bytes of pixels of our own",
            "convolution of our own",
            "FlashAttention",
        ][self as usize]
    }
}

/// The compiled kernels of a card.
pub struct Kernels {
    ptx: &'static str,
    works: [AtomicBool; Kind::ALL.len()],
    /// None where the card has no second stream.
    reader: Option<read::Reader>,
}

impl fmt::Debug for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernels").field("works", &self.works).finish_non_exhaustive()
    }
}

impl Kernels {
    /// Compiles and tries them; sentences tell which are not used. The error is the beginning of a sentence.
    pub fn compile(device: &CudaDevice) -> std::result::Result<(Self, Vec<String>), String> {
        let major = CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR;
        match device.cuda_stream().context().attribute(major) {
            Ok(capability) if capability >= OLDEST => {}
            Ok(capability) => {
                return Err(format!("the card is of compute capability {capability}, and kernels here need {OLDEST}"));
            }
            Err(error) => return Err(format!("the card does not tell its compute capability ({error})")),
        }
        let mut notes = Vec::new();
        let reader = read::Reader::new(device);
        if let Err(error) = &reader {
            notes.push(format!("pictures are waited for on their way from the card ({})", line(error)));
        }
        let works = std::array::from_fn(|_| AtomicBool::new(true));
        let kernels = Self { ptx: compiled()?, works, reader: reader.ok() };
        let device = Device::Cuda(device.clone());
        for kind in Kind::ALL {
            if !kind.is_here() {
                continue;
            }
            if let Err(why) = check::check(&kernels, kind, &device) {
                kernels.works[kind as usize].store(false, Ordering::Relaxed);
                notes.push(format!("{} is not used on this card: {why}", kind.name()));
            }
        }
        Ok((kernels, notes))
    }

    /// What the kernel makes, if it works; a failure is told, and the last.
    fn made(&self, kind: Kind, make: impl FnOnce() -> Result<Tensor>) -> Option<Tensor> {
        let works = &self.works[kind as usize];
        if !works.load(Ordering::Relaxed) {
            return None;
        }
        match make() {
            Ok(made) => Some(made),
            Err(_) if graph::records_here() => None,
            Err(error) => {
                works.store(false, Ordering::Relaxed);
                let name = kind.name();
                tracing::warn!("{name} failed on the card and is not used any more: {}", line(&error));
                None
            }
        }
    }

    pub fn attend(&self, q: &Tensor, k: &Tensor, v: &Tensor, heads: usize) -> Option<Tensor> {
        self.flash_attend(q, k, v, heads).or_else(|| self.own_attend(q, k, v, heads))
    }

    fn own_attend(&self, q: &Tensor, k: &Tensor, v: &Tensor, heads: usize) -> Option<Tensor> {
        let attend = Attend::fitting(self.ptx, q, k, v, heads)?;
        self.made(Kind::Attention, || q.contiguous()?.apply_op3_no_bwd(&k.contiguous()?, &v.contiguous()?, &attend))
    }

    /// FlashAttention 2 (Dao, arXiv:2307.08691), where it is built in.
    #[cfg(feature = "flash-attn")]
    fn flash_attend(&self, q: &Tensor, k: &Tensor, v: &Tensor, heads: usize) -> Option<Tensor> {
        let (batch, _, channels) = q.dims3().ok()?;
        let width = channels.checked_div(heads)?;
        let fits = matches!(q.dtype(), candle_core::DType::F16 | candle_core::DType::BF16)
            && width.is_multiple_of(8)
            && (8..=256).contains(&width);
        // One text is for all rows.
        let split = |t: &Tensor| {
            let (rows, len, _) = t.dims3()?;
            t.contiguous()?.reshape((rows, len, heads, width))?.broadcast_as((batch, len, heads, width))
        };
        let scale = 1.0 / (width as f32).sqrt();
        let attend = || {
            let made = candle_flash_attn::flash_attn(&split(q)?, &split(k)?, &split(v)?, scale, false)?;
            made.reshape(q.shape())
        };
        if fits { self.made(Kind::FlashAttention, attend) } else { None }
    }

    #[cfg(not(feature = "flash-attn"))]
    fn flash_attend(&self, _: &Tensor, _: &Tensor, _: &Tensor, _: usize) -> Option<Tensor> {
        None
    }

    pub fn group_norm(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        groups: usize,
        epsilon: f32,
        silu: bool,
    ) -> Option<Tensor> {
        let norm = GroupNorm::fitting(self.ptx, x, weight, groups, epsilon, silu)?;
        self.made(Kind::GroupNorm, || x.contiguous()?.apply_op3_no_bwd(weight, bias, &norm))
    }

    pub fn layer_norm(&self, x: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f32) -> Option<Tensor> {
        let norm = LayerNorm::fitting(self.ptx, x, weight, epsilon)?;
        self.made(Kind::LayerNorm, || x.contiguous()?.apply_op3_no_bwd(weight, bias, &norm))
    }

    pub fn gelu_gate(&self, x: &Tensor) -> Option<Tensor> {
        let gate = GeluGate::fitting(self.ptx, x)?;
        self.made(Kind::Gate, || x.contiguous()?.apply_op1_no_bwd(&gate))
    }

    pub fn shift(&self, x: &Tensor, by: &Tensor, area: usize) -> Option<Tensor> {
        let shift = Shift::fitting(self.ptx, x, by, area)?;
        self.made(Kind::Shift, || x.contiguous()?.apply_op2_no_bwd(&by.contiguous()?, &shift))
    }

    /// Only where cuDNN is built in.
    #[cfg(feature = "cudnn")]
    pub fn conv(&self, x: &Tensor, weight: &Tensor, padding: usize, stride: usize) -> Option<Tensor> {
        let conv = conv::Conv::fitting(x, weight, padding, stride)?;
        self.made(Kind::Convolution, || x.contiguous()?.apply_op2_no_bwd(&weight.contiguous()?, &conv))
    }

    #[cfg(not(feature = "cudnn"))]
    pub fn conv(&self, _: &Tensor, _: &Tensor, _: usize, _: usize) -> Option<Tensor> {
        None
    }

    pub fn rgba8(&self, image: &Tensor) -> Option<Tensor> {
        let bytes = Rgba8::fitting(self.ptx, image)?;
        self.made(Kind::Bytes, || image.contiguous()?.apply_op1_no_bwd(&bytes)?.flatten_all())
    }

    /// Lets bytes come from the card.
    pub fn bring(&self, bytes: &Tensor) -> Option<Result<Coming>> {
        self.reader.as_ref().map(|reader| reader.bring(bytes))
    }
}

/// The source in the driver's language; compiled once, for it is the same for all cards.
fn compiled() -> std::result::Result<&'static str, String> {
    static PTX: OnceLock<std::result::Result<String, String>> = OnceLock::new();
    let compile = || {
        let options = CompileOptions {
            arch: Some(ARCHITECTURE),
            options: vec!["--std=c++17".to_owned()],
            name: Some("kernels.cu".to_owned()),
            ..CompileOptions::default()
        };
        let ptx = compile_ptx_with_opts(SOURCE, options);
        ptx.map(|ptx| ptx.to_src()).map_err(|error| format!("the CUDA kernels cannot be compiled ({})", line(&error)))
    };
    PTX.get_or_init(compile).as_ref().map(String::as_str).map_err(String::clone)
}

/// The first line of what a library says.
fn line(error: &impl fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().trim().to_owned()
}
