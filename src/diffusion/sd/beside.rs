//! LoRAs beside the weights: what they add to a layer while it plays, y + strength (alpha / rank) up(down x).
//!
//! A packed weight cannot follow a knob; two thin products beside it can, and give what a merged weight gives. A layer
//! without a LoRA pays for one look at an empty slot. Slots are filled by [`super::rack`] between two pictures and read on
//! the generating thread and on the one that encodes prompts. Packed layers add in place, from map to map ([`packed`]);
//! those of other devices add tensors.

mod packed;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use arc_swap::{ArcSwapOption, Guard};
use candle_core::{Result, Tensor};

use super::layers::Engine;
use crate::kernels::Grid;

pub use packed::Packing;

/// What a layer does with its input, and so what a LoRA's first half does beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A matrix over the last dimension.
    Rows,
    /// A 1x1 convolution.
    Pointwise,
    /// A 3x3 convolution with a border of zeros.
    Conv,
    /// As `Conv`, halving the map.
    Halving,
    /// As `Conv`, of a map that is doubled first.
    Doubling,
}

/// A layer's slot; its owner and the rack hold the same one.
#[derive(Clone)]
pub struct Beside {
    shape: Shape,
    /// Of packed layers.
    packing: Option<Arc<Packing>>,
    added: Arc<ArcSwapOption<Vec<Arc<LowRank>>>>,
}

/// The strength of a LoRA that plays; one for all of its layers.
#[derive(Debug, Clone, Default)]
pub struct Strength(Arc<AtomicU32>);

impl Strength {
    pub fn set(&self, strength: f32) {
        self.0.store(strength.to_bits(), Ordering::Relaxed);
    }
    pub fn get(&self) -> f32 {
        f32::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// What one LoRA adds to one layer.
pub struct LowRank {
    halves: Halves,
    /// alpha / rank
    factor: f32,
    strength: Strength,
}

enum Halves {
    Packed(Box<packed::Halves>),
    /// `down` (rank, inputs) or (rank, inputs, 3, 3), from pixel to pixel by the stride; `up` (outputs, rank).
    Plain {
        down: Tensor,
        stride: usize,
        up: Tensor,
    },
}

impl LowRank {
    /// What is added to the layer of this slot: `up` (outputs, rank), and `down` (rank, inputs) or (rank, inputs, 3, 3).
    /// Brought to the engine's place.
    pub fn new(
        beside: &Beside,
        up: Tensor,
        down: &Tensor,
        factor: f32,
        strength: &Strength,
        engine: &Engine,
    ) -> Result<Self> {
        let rank = up.dim(1)?;
        let taps = if beside.shape.is_matrix() { 1 } else { 9 };
        let inputs = down.elem_count() / (taps * rank).max(1);
        let halves = match &beside.packing {
            Some(packing) => {
                let (up, down) = (up.flatten_all()?.to_vec1()?, down.flatten_all()?.to_vec1()?);
                Halves::Packed(Box::new(packed::Halves::new(beside.shape, packing, rank, &up, &down, engine)?))
            }
            None => {
                let (up, down) = (engine.place.bring(&up)?, engine.place.bring(down)?);
                let stride = if beside.shape == Shape::Halving { 2 } else { 1 };
                let down = if taps == 1 { down.reshape((rank, inputs))? } else { down.reshape((rank, inputs, 3, 3))? };
                Halves::Plain { down, stride, up }
            }
        };
        Ok(Self { halves, factor, strength: strength.clone() })
    }

    fn scale(&self) -> f32 {
        self.factor * self.strength.get()
    }

    /// `(rows, inputs)` to `(rows, outputs)`
    fn rows(&self, x: &Tensor) -> Result<Tensor> {
        let Halves::Plain { down, up, .. } = &self.halves else { candle_core::bail!("{UNLIKE}") };
        (x.to_dtype(down.dtype())?.matmul(&down.t()?)? * f64::from(self.scale()))?.matmul(&up.t()?)
    }

    /// `(b, inputs, h, w)` to `(b, outputs, h', w')`
    fn maps(&self, x: &Tensor) -> Result<Tensor> {
        let Halves::Plain { down, stride, up } = &self.halves else { candle_core::bail!("{UNLIKE}") };
        let (b, c, h, w) = x.dims4()?;
        let x = &x.to_dtype(up.dtype())?;
        let thin = match down.dims() {
            [_, _] => down.broadcast_matmul(&x.reshape((b, c, h * w))?)?.reshape((b, (), h, w))?,
            _ => x.conv2d(down, 1, *stride, 1, 1)?,
        };
        let (_, rank, h, w) = thin.dims4()?;
        let thin = (thin.reshape((b, rank, h * w))? * f64::from(self.scale()))?;
        up.broadcast_matmul(&thin)?.reshape((b, (), h, w))
    }
}

const UNLIKE: &str = "a LoRA was made ready for another device than the layer's";

impl Shape {
    fn is_matrix(self) -> bool {
        matches!(self, Self::Rows | Self::Pointwise)
    }
}

impl Beside {
    /// `packing`: the layer's weights are packed, so.
    pub fn new(shape: Shape, packing: Option<Packing>) -> Self {
        Self { shape, packing: packing.map(Arc::new), added: Arc::default() }
    }

    /// What lies here from now on; nothing costs nothing.
    pub fn put(&self, added: Vec<Arc<LowRank>>) {
        self.added.store((!added.is_empty()).then(|| Arc::new(added)));
    }

    /// `y` with what is added, of `x` `(rows, inputs)`.
    pub fn add_rows(&self, x: &Tensor, y: Tensor) -> Result<Tensor> {
        self.add(y, |low_rank| low_rank.rows(x))
    }

    /// `y` with what is added, of `x` `(b, inputs, h, w)`.
    pub fn add_maps(&self, x: &Tensor, y: Tensor) -> Result<Tensor> {
        self.add(y, |low_rank| low_rank.maps(x))
    }

    fn add(&self, mut y: Tensor, of: impl Fn(&LowRank) -> Result<Tensor>) -> Result<Tensor> {
        let Some(added) = &*self.added.load() else { return Ok(y) };
        for low_rank in added.iter() {
            // What knows the timestep is float32 whatever a LoRA is.
            let added = of(low_rank)?.to_dtype(y.dtype())?;
            y = (y + added)?;
        }
        Ok(y)
    }

    /// What lies beside a packed layer now, if anything.
    pub fn packed(&self) -> Option<Added> {
        let added = self.added.load();
        added.is_some().then_some(Added(added))
    }
}

/// What lies beside a packed layer, for as long as the layer is computed.
pub struct Added(Guard<Option<Arc<Vec<Arc<LowRank>>>>>);

impl Added {
    /// Adds to the layer's results in float32, of the maps that it reads.
    pub fn add_to(&self, inputs: &[&Grid], out: &mut Grid) {
        for low_rank in self.0.iter().flat_map(|added| added.iter()) {
            if let Halves::Packed(halves) = &low_rank.halves {
                halves.add_to(low_rank.scale(), inputs, out);
            }
        }
    }
}
