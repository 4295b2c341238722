//! What is done to each number by itself, as operations of candle: gates, sums with a bias, bytes.

use candle_core::{
    CpuStorage, CudaDevice, CudaStorage, CustomOp1, CustomOp2, D, DType, Layout, Result, Shape, Tensor,
    cuda::{
        CudaStorageSlice, WrapErr,
        cudarc::driver::{CudaSlice, DeviceRepr, PushKernelArg},
    },
};

use super::ops::{MODULE, contiguous, launch_of, not_here, type_name};

const EACH_THREADS: u32 = 256;

/// Blocks of threads that take four numbers each.
fn blocks_of(fours: usize) -> (u32, u32, u32) {
    (fours.div_ceil(EACH_THREADS as usize) as u32, 1, 1)
}

/// The first half of each row times the GELU of the second.
pub struct GeluGate<'a> {
    ptx: &'a str,
    kernel: String,
    /// Of what comes out.
    width: usize,
}

impl<'a> GeluGate<'a> {
    /// None for rows whose half is no multiple of four.
    pub fn fitting(ptx: &'a str, x: &Tensor) -> Option<Self> {
        let width = x.dim(D::Minus1).ok()? / 2;
        let fits =
            width > 0 && width.is_multiple_of(4) && x.dim(D::Minus1).ok()? == 2 * width && x.elem_count() < 1 << 31;
        let kernel = format!("gelu_gate_{}", type_name(x.dtype())?);
        fits.then_some(Self { ptx, kernel, width })
    }

    fn run<T: DeviceRepr>(&self, device: &CudaDevice, x: &CudaSlice<T>, layout: &Layout) -> Result<CudaSlice<T>> {
        let x = contiguous(x, layout)?;
        let made = layout.shape().elem_count() / 2;
        // SAFETY: the kernel writes all of it.
        let mut out = unsafe { device.alloc::<T>(made)? };
        let (width, count) = (self.width as i32, (made / 4) as i64);
        let function = device.get_or_load_custom_func(&self.kernel, MODULE, self.ptx)?;
        let mut launch = function.builder();
        launch.arg(&x).arg(&mut out).arg(&width).arg(&count);
        // SAFETY: `count` times four numbers are half of the view, which is whole rows of twice the width.
        unsafe { launch.launch(launch_of(blocks_of(made / 4), EACH_THREADS)) }.w()?;
        Ok(out)
    }
}

impl CustomOp1 for GeluGate<'_> {
    fn name(&self) -> &'static str {
        "gelu_gate"
    }
    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        not_here(self.name())
    }
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let device = x.device.clone();
        let slice = match &x.slice {
            CudaStorageSlice::F32(x) => CudaStorageSlice::F32(self.run(&device, x, layout)?),
            CudaStorageSlice::F16(x) => CudaStorageSlice::F16(self.run(&device, x, layout)?),
            CudaStorageSlice::BF16(x) => CudaStorageSlice::BF16(self.run(&device, x, layout)?),
            _ => candle_core::bail!("{} takes floating-point numbers", self.name()),
        };
        let mut dims = layout.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = self.width;
        }
        Ok((CudaStorage { slice, device }, Shape::from(dims)))
    }
}

/// A bias added.
pub struct Shift<'a> {
    ptx: &'a str,
    kernel: String,
    area: usize,
}

impl<'a> Shift<'a> {
    /// None where four numbers that lie together are of different rows.
    pub fn fitting(ptx: &'a str, x: &Tensor, by: &Tensor, area: usize) -> Option<Self> {
        let (count, shifts) = (x.elem_count(), by.elem_count());
        let fours = if area == 1 { shifts.is_multiple_of(4) } else { area.is_multiple_of(4) };
        let whole = shifts > 0 && area > 0 && count.is_multiple_of(shifts * area) && count > 0 && count < 1 << 31;
        let kernel = format!("shift_{}", type_name(x.dtype())?);
        (fours && whole && by.dtype() == x.dtype()).then_some(Self { ptx, kernel, area })
    }

    fn run<T: DeviceRepr>(
        &self,
        device: &CudaDevice,
        [x, by]: [&CudaSlice<T>; 2],
        [of_x, of_by]: [&Layout; 2],
    ) -> Result<CudaSlice<T>> {
        let (x, by) = (contiguous(x, of_x)?, contiguous(by, of_by)?);
        let made = of_x.shape().elem_count();
        // SAFETY: the kernel writes all of it.
        let mut out = unsafe { device.alloc::<T>(made)? };
        let (area, shifts, count) = (self.area as i32, of_by.shape().elem_count() as i32, (made / 4) as i64);
        let function = device.get_or_load_custom_func(&self.kernel, MODULE, self.ptx)?;
        let mut launch = function.builder();
        launch.arg(&x).arg(&by).arg(&mut out).arg(&area).arg(&shifts).arg(&count);
        // SAFETY: `count` times four numbers are the view; the number of a shift is taken modulo how many there are.
        unsafe { launch.launch(launch_of(blocks_of(made / 4), EACH_THREADS)) }.w()?;
        Ok(out)
    }
}

impl CustomOp2 for Shift<'_> {
    fn name(&self) -> &'static str {
        "shift"
    }
    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        not_here(self.name())
    }
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        of_x: &Layout,
        by: &CudaStorage,
        of_by: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (device, layouts) = (x.device.clone(), [of_x, of_by]);
        let slice = match (&x.slice, &by.slice) {
            (CudaStorageSlice::F32(x), CudaStorageSlice::F32(by)) => {
                CudaStorageSlice::F32(self.run(&device, [x, by], layouts)?)
            }
            (CudaStorageSlice::F16(x), CudaStorageSlice::F16(by)) => {
                CudaStorageSlice::F16(self.run(&device, [x, by], layouts)?)
            }
            (CudaStorageSlice::BF16(x), CudaStorageSlice::BF16(by)) => {
                CudaStorageSlice::BF16(self.run(&device, [x, by], layouts)?)
            }
            _ => candle_core::bail!("{} takes tensors of one type", self.name()),
        };
        Ok((CudaStorage { slice, device }, of_x.shape().clone()))
    }
}

/// Planes to bytes.
pub struct Rgba8<'a> {
    ptx: &'a str,
    area: usize,
}

impl<'a> Rgba8<'a> {
    /// None for what is not one picture of float32.
    pub fn fitting(ptx: &'a str, image: &Tensor) -> Option<Self> {
        let (rows, planes, h, w) = image.dims4().ok()?;
        let fits = rows == 1 && planes == 3 && image.dtype() == DType::F32 && h * w > 0 && h * w < 1 << 29;
        fits.then_some(Self { ptx, area: h * w })
    }
}

impl CustomOp1 for Rgba8<'_> {
    fn name(&self) -> &'static str {
        "rgba8"
    }
    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        not_here(self.name())
    }
    fn cuda_fwd(&self, image: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let device = image.device.clone();
        let x = contiguous(image.as_cuda_slice::<f32>()?, layout)?;
        // SAFETY: the kernel writes all of it; allocations begin at multiples of 256 bytes, so four bytes are one number.
        let mut out = unsafe { device.alloc::<u8>(4 * self.area)? };
        let area = self.area as i32;
        let function = device.get_or_load_custom_func("rgba8", MODULE, self.ptx)?;
        let mut launch = function.builder();
        launch.arg(&x).arg(&mut out).arg(&area);
        // SAFETY: three planes of `area` numbers are the view, four bytes each pixel what is written.
        unsafe { launch.launch(launch_of(((self.area as u32).div_ceil(EACH_THREADS), 1, 1), EACH_THREADS)) }.w()?;
        Ok((CudaStorage { slice: CudaStorageSlice::U8(out), device }, Shape::from(4 * self.area)))
    }
}
