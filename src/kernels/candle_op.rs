//! The 3x3 convolution as a candle operation that holds its packed weights.
//!
//! For models that are candle graphs. It pays for two changes of layout, so a model of one's own is better written on
//! [`Grid`]s from end to end; it is still many times faster than candle's own convolution on the CPU.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Tensor};

use super::{Affine, Conv3, Finish, Grid, Instructions, Pool, Target};

/// A 3x3 convolution with stride 1 and a border of zeros: `(batch, c_in, h, w)` to `(batch, c_out, h, w)`, float32.
pub struct Conv3x3 {
    conv: Conv3,
    affine: Affine,
    inputs: usize,
    outputs: usize,
    pool: Pool,
    /// The maps of the last call, for a next one of the same size.
    grids: Mutex<Option<(Grid, Grid)>>,
}

impl Conv3x3 {
    /// Packs `weight` `(c_out, c_in, 3, 3)` and `bias` `(c_out)`.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>, pool: &Pool) -> Result<Self> {
        let (outputs, inputs, 3, 3) = weight.dims4()? else {
            return Err(Error::Msg(format!("a 3x3 filter was expected, not {:?}", weight.shape())));
        };
        let w = weight.to_dtype(candle_core::DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        let bias = match bias {
            Some(bias) => bias.to_dtype(candle_core::DType::F32)?.to_vec1::<f32>()?,
            None => vec![0.0; outputs],
        };
        if bias.len() != outputs {
            return Err(Error::Msg(format!("{} biases for {outputs} channels", bias.len())));
        }
        let conv = Conv3::new(Instructions::best(), inputs, outputs, false, |o, t, c| w[(o * inputs + c) * 9 + t]);
        Ok(Self { conv, affine: Affine::bias(&bias), inputs, outputs, pool: pool.clone(), grids: Mutex::new(None) })
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.contiguous()?.apply_op1_no_bwd(self)
    }
}

impl CustomOp1 for Conv3x3 {
    fn name(&self) -> &'static str {
        "conv3x3"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, channels, height, width) = layout.shape().dims4()?;
        let (CpuStorage::F32(values), Some((from, to))) = (storage, layout.contiguous_offsets()) else {
            return Err(Error::Msg("conv3x3 takes contiguous float32".into()));
        };
        if channels != self.inputs || height * width == 0 {
            let expected = self.inputs;
            return Err(Error::Msg(format!("conv3x3 takes (batch, {expected}, h, w), not {:?}", layout.shape())));
        }
        let mut grids = self.grids.lock().unwrap_or_else(PoisonError::into_inner);
        let (input, output) = match &mut *grids {
            Some(both) if (both.0.height(), both.0.width()) == (height, width) => both,
            other => other.insert((Grid::new(self.inputs, height, width), Grid::new(self.outputs, height, width))),
        };
        let mut out = vec![0.0; batch * self.outputs * height * width];
        let pictures = values[from..to].chunks_exact(self.inputs * height * width);
        for (x, y) in pictures.zip(out.chunks_exact_mut(self.outputs * height * width)) {
            input.fill_from(x);
            self.conv.run(&self.pool, input, Finish::plain(&self.affine), Target::Grid(output));
            output.copy_to(y);
        }
        Ok((CpuStorage::F32(out), (batch, self.outputs, height, width).into()))
    }
}
