//! Convolutions by cuDNN, with what is the same for each picture kept: descriptors, algorithm, size of the workspace.
//!
//! candle makes all of these anew for each convolution, clears the workspace, and lets products of halves be summed as
//! halves without asking for tensor cores. Here sums are float32 and tensor cores are asked for. Handles of cuDNN belong to
//! the thread that made them, so each thread that paints keeps its own.

use std::{
    any::{Any, TypeId},
    cell::RefCell,
    collections::{HashMap, hash_map::Entry},
    rc::Rc,
    sync::Arc,
};

use candle_core::{
    CpuStorage, CudaDevice, CudaStorage, CustomOp2, DType, Error, Layout, Result, Shape, Tensor, WithDType,
    cuda::{
        CudaStorageSlice, DeviceId,
        cudarc::{
            cudnn::{
                ConvDescriptor, ConvForward, Cudnn, CudnnDataType, FilterDescriptor, TensorDescriptor,
                sys::{cudnnConvolutionFwdAlgo_t, cudnnConvolutionMode_t, cudnnMathType_t, cudnnTensorFormat_t},
            },
            driver::{CudaSlice, DeviceRepr},
        },
    },
};

use super::ops::{contiguous, not_here};

/// Plans of a thread for one card; more are of pictures of other sizes, long gone.
const MOST_PLANS: usize = 1024;

thread_local! {
    static KEPT: RefCell<HashMap<DeviceId, Kept>> = RefCell::default();
}

struct Kept {
    cudnn: Arc<Cudnn>,
    plans: HashMap<Form, Rc<dyn Any>>,
}

/// What a plan is made for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Form {
    of: TypeId,
    x: [i32; 4],
    weight: [i32; 4],
    padding: i32,
    stride: i32,
}

impl Form {
    fn out(&self) -> [i32; 4] {
        let side = |n: i32, k: i32| (n + 2 * self.padding - k) / self.stride + 1;
        [self.x[0], self.weight[0], side(self.x[2], self.weight[2]), side(self.x[3], self.weight[3])]
    }
}

struct Plan<T> {
    conv: ConvDescriptor<f32>,
    x: TensorDescriptor<T>,
    weight: FilterDescriptor<T>,
    out: TensorDescriptor<T>,
    algorithm: cudnnConvolutionFwdAlgo_t,
    workspace_bytes: usize,
}

impl<T: CudnnDataType> Plan<T> {
    fn new(cudnn: &Arc<Cudnn>, form: &Form) -> Result<Self> {
        let planes = cudnnTensorFormat_t::CUDNN_TENSOR_NCHW;
        let slides = cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION;
        let mut conv =
            cudnn.create_conv2d::<f32>([form.padding; 2], [form.stride; 2], [1; 2], slides).map_err(Error::wrap)?;
        let math = if form.of == TypeId::of::<f32>() {
            cudnnMathType_t::CUDNN_DEFAULT_MATH
        } else {
            cudnnMathType_t::CUDNN_TENSOR_OP_MATH
        };
        conv.set_math_type(math).map_err(Error::wrap)?;
        let x = cudnn.create_4d_tensor::<T>(planes, form.x).map_err(Error::wrap)?;
        let weight = cudnn.create_4d_filter::<T>(planes, form.weight).map_err(Error::wrap)?;
        let out = cudnn.create_4d_tensor::<T>(planes, form.out()).map_err(Error::wrap)?;
        let forward = ConvForward { conv: &conv, x: &x, w: &weight, y: &out };
        let algorithm = forward.pick_algorithm().map_err(Error::wrap)?;
        let workspace_bytes = forward.get_workspace_size(algorithm).map_err(Error::wrap)?;
        Ok(Self { conv, x, weight, out, algorithm, workspace_bytes })
    }
}

/// The plan of a form on this thread.
fn plan<T: CudnnDataType + 'static>(device: &CudaDevice, form: Form) -> Result<Rc<Plan<T>>> {
    KEPT.with_borrow_mut(|kept| {
        let Kept { cudnn, plans } = match kept.entry(device.id()) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(free) => {
                let cudnn = Cudnn::new(device.cuda_stream()).map_err(Error::wrap)?;
                free.insert(Kept { cudnn, plans: HashMap::new() })
            }
        };
        if let Some(plan) = plans.get(&form).cloned().and_then(|plan| plan.downcast::<Plan<T>>().ok()) {
            return Ok(plan);
        }
        if plans.len() >= MOST_PLANS {
            plans.clear();
        }
        let plan = Rc::new(Plan::<T>::new(cudnn, &form)?);
        plans.insert(form, plan.clone());
        Ok(plan)
    })
}

/// `(b, inputs, h, w)` with a weight `(outputs, inputs, k, k)`.
pub struct Conv {
    padding: usize,
    stride: usize,
}

impl Conv {
    /// None for types that are no numbers of a model.
    pub fn fitting(x: &Tensor, weight: &Tensor, padding: usize, stride: usize) -> Option<Self> {
        let ((_, inputs, h, w), (_, reads, across, down)) = (x.dims4().ok()?, weight.dims4().ok()?);
        let numbers = matches!(x.dtype(), DType::F32 | DType::F16 | DType::BF16) && weight.dtype() == x.dtype();
        let fits = inputs == reads && h + 2 * padding >= across && w + 2 * padding >= down && stride > 0;
        (numbers && fits && x.elem_count() < 1 << 31).then_some(Self { padding, stride })
    }

    fn run<T: DeviceRepr + WithDType + CudnnDataType + 'static>(
        &self,
        device: &CudaDevice,
        [x, weight]: [&CudaSlice<T>; 2],
        [of_x, of_weight]: [&Layout; 2],
    ) -> Result<(CudaSlice<T>, Shape)> {
        let sides = |layout: &Layout| {
            let (a, b, c, d) = layout.shape().dims4()?;
            Result::Ok([a, b, c, d].map(|side| side as i32))
        };
        let (padding, stride) = (self.padding as i32, self.stride as i32);
        let form = Form { of: TypeId::of::<T>(), x: sides(of_x)?, weight: sides(of_weight)?, padding, stride };
        let (x, weight) = (contiguous(x, of_x)?, contiguous(weight, of_weight)?);
        let plan = plan::<T>(device, form)?;
        let shape = Shape::from(form.out().map(|side| side as usize).to_vec());
        // SAFETY: cuDNN writes all of the result, and nothing of the workspace is read before it is written.
        let (mut out, mut workspace) =
            unsafe { (device.alloc::<T>(shape.elem_count())?, device.alloc::<u8>(plan.workspace_bytes.max(1))?) };
        let forward = ConvForward { conv: &plan.conv, x: &plan.x, w: &plan.weight, y: &plan.out };
        let (one, nothing) = (T::from_f64(1.0), T::from_f64(0.0));
        // SAFETY: the descriptors are of the views' own shapes and type, and contiguous as these are.
        unsafe { forward.launch(plan.algorithm, Some(&mut workspace), (one, nothing), &x, &weight, &mut out) }
            .map_err(Error::wrap)?;
        Ok((out, shape))
    }
}

impl CustomOp2 for Conv {
    fn name(&self) -> &'static str {
        "conv"
    }
    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        not_here(self.name())
    }
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        of_x: &Layout,
        weight: &CudaStorage,
        of_weight: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (device, layouts) = (x.device.clone(), [of_x, of_weight]);
        let (slice, shape) = match (&x.slice, &weight.slice) {
            (CudaStorageSlice::F32(x), CudaStorageSlice::F32(weight)) => {
                let (out, shape) = self.run(&device, [x, weight], layouts)?;
                (CudaStorageSlice::F32(out), shape)
            }
            (CudaStorageSlice::F16(x), CudaStorageSlice::F16(weight)) => {
                let (out, shape) = self.run(&device, [x, weight], layouts)?;
                (CudaStorageSlice::F16(out), shape)
            }
            (CudaStorageSlice::BF16(x), CudaStorageSlice::BF16(weight)) => {
                let (out, shape) = self.run(&device, [x, weight], layouts)?;
                (CudaStorageSlice::BF16(out), shape)
            }
            _ => candle_core::bail!("{} takes tensors of one type", self.name()),
        };
        Ok((CudaStorage { slice, device }, shape))
    }
}
