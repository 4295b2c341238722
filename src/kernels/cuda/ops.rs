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

/// An operation of candle on three tensors of one type, by its `run`, to the shape of the first.
macro_rules! op_of_three {
    ($op:ident, $name:literal) => {
        impl CustomOp3 for $op<'_> {
            fn name(&self) -> &'static str {
                $name
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
                not_here($name)
            }
            fn cuda_fwd(
                &self,
                a: &CudaStorage,
                of_a: &Layout,
                b: &CudaStorage,
                of_b: &Layout,
                c: &CudaStorage,
                of_c: &Layout,
            ) -> Result<(CudaStorage, Shape)> {
                use CudaStorageSlice::{BF16, F16, F32};
                let (device, layouts) = (a.device.clone(), [of_a, of_b, of_c]);
                let slice = match (&a.slice, &b.slice, &c.slice) {
                    (F32(a), F32(b), F32(c)) => F32(self.run(&device, [a, b, c], layouts)?),
                    (F16(a), F16(b), F16(c)) => F16(self.run(&device, [a, b, c], layouts)?),
                    (BF16(a), BF16(b), BF16(c)) => BF16(self.run(&device, [a, b, c], layouts)?),
                    _ => candle_core::bail!("{} takes tensors of one type", $name),
                };
                Ok((CudaStorage { slice, device }, of_a.shape().clone()))
            }
        }
    };
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

op_of_three!(Attend, "attend");

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

op_of_three!(GroupNorm, "group_norm");

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

op_of_three!(LayerNorm, "layer_norm");
