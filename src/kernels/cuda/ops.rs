//! Attention and norms as operations of candle: what each needs of its tensors, and how it is started.
//!
//! All of them take contiguous tensors of one type, and each allocates what it gives on the stream of the device.

use candle_core::{
    CpuStorage, CudaDevice, CudaStorage, CustomOp3, D, DType, Layout, Result, Shape, Tensor,
    cuda::{
        CudaStorageSlice, WrapErr,
        cudarc::driver::{CudaSlice, CudaView, DeviceRepr, LaunchConfig, PushKernelArg},
    },
};

pub(super) const MODULE: &str = "wavedream";
/// Channels of a head that the attention is compiled for.
const WIDTHS: [usize; 4] = [48, 64, 80, 160];
/// As kernels.cu has them.
const QUERIES: u32 = 64;
const ATTENTION_THREADS: u32 = 128;
const NORM_THREADS: u32 = 512;
const ROW_THREADS: u32 = 128;
/// Blocks of a launch in y and z.
const MOST_BLOCKS: usize = 65_535;

/// The end of a kernel's name, for types that there are kernels of.
pub(super) fn type_name(dtype: DType) -> Option<&'static str> {
    match dtype {
        DType::F32 => Some("f32"),
        DType::F16 => Some("f16"),
        DType::BF16 => Some("bf16"),
        _ => None,
    }
}

pub(super) fn contiguous<'a, T>(slice: &'a CudaSlice<T>, layout: &Layout) -> Result<CudaView<'a, T>> {
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(slice.slice(from..to)),
        None => candle_core::bail!("a CUDA kernel takes contiguous tensors"),
    }
}

pub(super) fn launch_of(blocks: (u32, u32, u32), threads: u32) -> LaunchConfig {
    LaunchConfig { grid_dim: blocks, block_dim: (threads, 1, 1), shared_mem_bytes: 0 }
}

/// Calls a method with the slices of three storages of the same type, and wraps what it gives.
macro_rules! of_three {
    ($self:ident . $run:ident, $a:ident, $b:ident, $c:ident, $layouts:expr) => {{
        let device = $a.device.clone();
        let slice = match (&$a.slice, &$b.slice, &$c.slice) {
            (CudaStorageSlice::F32(a), CudaStorageSlice::F32(b), CudaStorageSlice::F32(c)) => {
                CudaStorageSlice::F32($self.$run(&device, [a, b, c], $layouts)?)
            }
            (CudaStorageSlice::F16(a), CudaStorageSlice::F16(b), CudaStorageSlice::F16(c)) => {
                CudaStorageSlice::F16($self.$run(&device, [a, b, c], $layouts)?)
            }
            (CudaStorageSlice::BF16(a), CudaStorageSlice::BF16(b), CudaStorageSlice::BF16(c)) => {
                CudaStorageSlice::BF16($self.$run(&device, [a, b, c], $layouts)?)
            }
            _ => candle_core::bail!("{} takes tensors of one type", $self.name()),
        };
        CudaStorage { slice, device }
    }};
}

/// Only cards run these.
pub(super) fn not_here<T>(name: &str) -> Result<T> {
    candle_core::bail!("{name} is a kernel of CUDA")
}

/// Attention without the full score matrix.
pub struct Attend<'a> {
    ptx: &'a str,
    kernel: String,
    batch: usize,
    n: usize,
    m: usize,
    channels: usize,
    heads: usize,
    one_text: bool,
}

impl<'a> Attend<'a> {
    /// None for numbers that are no halves and heads that are too wide or odd.
    pub fn fitting(ptx: &'a str, q: &Tensor, k: &Tensor, v: &Tensor, heads: usize) -> Option<Self> {
        let (batch, n, channels) = q.dims3().ok()?;
        let (texts, m, _) = k.dims3().ok()?;
        let width = channels.checked_div(heads)?;
        let compiled = WIDTHS.into_iter().find(|compiled| width <= *compiled)?;
        let halves = matches!(q.dtype(), DType::F16 | DType::BF16) && [k, v].iter().all(|t| t.dtype() == q.dtype());
        let whole = channels == width * heads && width.is_multiple_of(8) && width > 0 && n > 0 && m > 0;
        let alike = k.dims() == v.dims() && k.dim(2).ok()? == channels && (texts == batch || texts == 1);
        if !(halves && whole && alike && batch <= MOST_BLOCKS && heads <= MOST_BLOCKS && n.max(m) < 1 << 24) {
            return None;
        }
        let kernel = format!("attend_{}_{compiled}", type_name(q.dtype())?);
        Some(Self { ptx, kernel, batch, n, m, channels, heads, one_text: texts == 1 && batch > 1 })
    }

    fn run<T: DeviceRepr>(
        &self,
        device: &CudaDevice,
        [q, k, v]: [&CudaSlice<T>; 3],
        layouts: [&Layout; 3],
    ) -> Result<CudaSlice<T>> {
        let (q, k, v) = (contiguous(q, layouts[0])?, contiguous(k, layouts[1])?, contiguous(v, layouts[2])?);
        if layouts.iter().any(|layout| !layout.start_offset().is_multiple_of(8)) {
            candle_core::bail!("attention takes tensors whose rows begin at multiples of 16 bytes");
        }
        // SAFETY: the kernel writes all of it.
        let mut out = unsafe { device.alloc::<T>(self.batch * self.n * self.channels)? };
        let width = self.channels / self.heads;
        let [n, m, c, d] = [self.n, self.m, self.channels, width].map(|number| number as i32);
        let (one_text, scale) = (i32::from(self.one_text), std::f32::consts::LOG2_E / (width as f32).sqrt());
        let function = device.get_or_load_custom_func(&self.kernel, MODULE, self.ptx)?;
        let mut launch = function.builder();
        launch.arg(&q).arg(&k).arg(&v).arg(&mut out);
        launch.arg(&n).arg(&m).arg(&c).arg(&d).arg(&one_text).arg(&scale);
        let blocks = ((self.n as u32).div_ceil(QUERIES), self.heads as u32, self.batch as u32);
        // SAFETY: the views hold (batch, n, c) and (batch or 1, m, c) numbers, which `fitting` compared; the kernel reads and
        // writes within them.
        unsafe { launch.launch(launch_of(blocks, ATTENTION_THREADS)) }.w()?;
        Ok(out)
    }
}

impl CustomOp3 for Attend<'_> {
    fn name(&self) -> &'static str {
        "attend"
    }
    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        not_here(self.name())
    }
    fn cuda_fwd(
        &self,
        q: &CudaStorage,
        of_q: &Layout,
        k: &CudaStorage,
        of_k: &Layout,
        v: &CudaStorage,
        of_v: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Ok((of_three!(self.run, q, k, v, [of_q, of_k, of_v]), of_q.shape().clone()))
    }
}

/// Group norm, with SiLU where that is asked.
pub struct GroupNorm<'a> {
    ptx: &'a str,
    kernel: String,
    groups: usize,
    area: usize,
    epsilon: f32,
    silu: bool,
}

impl<'a> GroupNorm<'a> {
    /// None for maps whose area is no multiple of four.
    pub fn fitting(ptx: &'a str, x: &Tensor, weight: &Tensor, groups: usize, epsilon: f32, silu: bool) -> Option<Self> {
        let (_, channels, h, w) = x.dims4().ok()?;
        let fits = (h * w).is_multiple_of(4)
            && h * w > 0
            && groups > 0
            && channels.is_multiple_of(groups)
            && weight.dims() == [channels]
            && weight.dtype() == x.dtype()
            && x.elem_count() < 1 << 31;
        let kernel = format!("group_norm_{}", type_name(x.dtype())?);
        fits.then_some(Self { ptx, kernel, groups, area: h * w, epsilon, silu })
    }

    fn run<T: DeviceRepr>(
        &self,
        device: &CudaDevice,
        [x, weight, bias]: [&CudaSlice<T>; 3],
        layouts: [&Layout; 3],
    ) -> Result<CudaSlice<T>> {
        let count = layouts[0].shape().elem_count();
        let (x, weight, bias) =
            (contiguous(x, layouts[0])?, contiguous(weight, layouts[1])?, contiguous(bias, layouts[2])?);
        let rows = layouts[0].dims()[0];
        let blocks = rows * self.groups;
        // SAFETY: the kernel writes all of it.
        let mut out = unsafe { device.alloc::<T>(count)? };
        let [groups, len, area] = [self.groups, count / blocks.max(1), self.area].map(|number| number as i32);
        let silu = i32::from(self.silu);
        let function = device.get_or_load_custom_func(&self.kernel, MODULE, self.ptx)?;
        let mut launch = function.builder();
        launch.arg(&x).arg(&weight).arg(&bias).arg(&mut out);
        launch.arg(&groups).arg(&len).arg(&area).arg(&self.epsilon).arg(&silu);
        // SAFETY: `len` numbers for each block make up the view, and there is a weight for each of its channels.
        unsafe { launch.launch(launch_of((blocks as u32, 1, 1), NORM_THREADS)) }.w()?;
        Ok(out)
    }
}

impl CustomOp3 for GroupNorm<'_> {
    fn name(&self) -> &'static str {
        "group_norm"
    }
    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        not_here(self.name())
    }
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        of_x: &Layout,
        weight: &CudaStorage,
        of_weight: &Layout,
        bias: &CudaStorage,
        of_bias: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Ok((of_three!(self.run, x, weight, bias, [of_x, of_weight, of_bias]), of_x.shape().clone()))
    }
}

/// Layer norm over the last dimension.
pub struct LayerNorm<'a> {
    ptx: &'a str,
    kernel: String,
    epsilon: f32,
}

impl<'a> LayerNorm<'a> {
    /// None for rows whose width is no multiple of four.
    pub fn fitting(ptx: &'a str, x: &Tensor, weight: &Tensor, epsilon: f32) -> Option<Self> {
        let width = x.dim(D::Minus1).ok()?;
        let fits = width > 0
            && width.is_multiple_of(4)
            && weight.dims() == [width]
            && weight.dtype() == x.dtype()
            && x.elem_count() < 1 << 31;
        let kernel = format!("layer_norm_{}", type_name(x.dtype())?);
        fits.then_some(Self { ptx, kernel, epsilon })
    }

    fn run<T: DeviceRepr>(
        &self,
        device: &CudaDevice,
        [x, weight, bias]: [&CudaSlice<T>; 3],
        layouts: [&Layout; 3],
    ) -> Result<CudaSlice<T>> {
        let count = layouts[0].shape().elem_count();
        let (x, weight, bias) =
            (contiguous(x, layouts[0])?, contiguous(weight, layouts[1])?, contiguous(bias, layouts[2])?);
        let width = layouts[1].shape().elem_count();
        // SAFETY: the kernel writes all of it.
        let mut out = unsafe { device.alloc::<T>(count)? };
        let across = width as i32;
        let function = device.get_or_load_custom_func(&self.kernel, MODULE, self.ptx)?;
        let mut launch = function.builder();
        launch.arg(&x).arg(&weight).arg(&bias).arg(&mut out).arg(&across).arg(&self.epsilon);
        // SAFETY: a block for each row of the view, with a weight for each of its numbers.
        unsafe { launch.launch(launch_of(((count / width) as u32, 1, 1), ROW_THREADS)) }.w()?;
        Ok(out)
    }
}

impl CustomOp3 for LayerNorm<'_> {
    fn name(&self) -> &'static str {
        "layer_norm"
    }
    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        not_here(self.name())
    }
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        of_x: &Layout,
        weight: &CudaStorage,
        of_weight: &Layout,
        bias: &CudaStorage,
        of_bias: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Ok((of_three!(self.run, x, weight, bias, [of_x, of_weight, of_bias]), of_x.shape().clone()))
    }
}
