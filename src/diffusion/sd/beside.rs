//! LoRAs beside the weights: what they add to a layer while it plays, y + strength (alpha / rank) up(down x).
//!
//! A packed weight cannot follow a knob; two thin products beside it can, and give what a merged weight gives. A layer
//! without a LoRA pays for one look at an empty slot. Slots are filled by [`super::rack`] between two pictures and read on
//! the generating thread and on the one that encodes prompts. A part knows how many of its slots are filled ([`Filled`]):
//! packed layers that run from map to map look at no slots, so a U-Net goes from tensor to tensor while one is.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicUsize, Ordering},
};

use arc_swap::ArcSwapOption;
use candle_core::{Result, Tensor};

use super::layers::{Conv3, Engine};

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
}

/// A layer's slot; its owner and the rack hold the same one.
#[derive(Clone)]
pub struct Beside {
    shape: Shape,
    added: Arc<ArcSwapOption<Vec<Arc<LowRank>>>>,
    filled: Filled,
}

/// How many slots of a part have something in them; the slots and the part share it.
#[derive(Debug, Clone, Default)]
pub struct Filled(Arc<AtomicUsize>);

impl Filled {
    pub fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
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
    down: Down,
    /// (outputs, rank)
    up: Tensor,
    /// alpha / rank
    factor: f32,
    strength: Strength,
}

enum Down {
    /// (rank, inputs)
    Matrix(Tensor),
    /// Packed for the CPU.
    Conv(Box<Conv3>),
    /// (rank, inputs, 3, 3), and from pixel to pixel
    Plain(Tensor, usize),
}

impl LowRank {
    /// `up` (outputs, rank) and `down` (rank, inputs) or (rank, inputs, 3, 3), by the shape of the layer; brought to the
    /// engine's place.
    pub fn new(
        shape: Shape,
        up: Tensor,
        down: Tensor,
        factor: f32,
        strength: &Strength,
        engine: &Engine,
    ) -> Result<Self> {
        let rank = up.dim(1)?;
        let (up, down) = (engine.place.bring(&up)?, engine.place.bring(&down)?);
        let kernel = |down: &Tensor| {
            let inputs = down.elem_count() / (9 * rank).max(1);
            down.reshape((rank, inputs, 3, 3))
        };
        let down = match shape {
            Shape::Rows | Shape::Pointwise => {
                let inputs = down.elem_count() / rank.max(1);
                Down::Matrix(down.reshape((rank, inputs))?)
            }
            Shape::Conv if engine.place.packs => Down::Conv(Box::new(Conv3::of_weight(&kernel(&down)?, engine)?)),
            Shape::Conv => Down::Plain(kernel(&down)?, 1),
            Shape::Halving => Down::Plain(kernel(&down)?, 2),
        };
        Ok(Self { down, up, factor, strength: strength.clone() })
    }

    fn scale(&self) -> f64 {
        f64::from(self.factor * self.strength.get())
    }

    /// `(rows, inputs)` to `(rows, outputs)`
    fn rows(&self, x: &Tensor) -> Result<Tensor> {
        let Down::Matrix(down) = &self.down else { candle_core::bail!("a LoRA of a convolution lies beside a matrix") };
        (x.to_dtype(down.dtype())?.matmul(&down.t()?)? * self.scale())?.matmul(&self.up.t()?)
    }

    /// `(b, inputs, h, w)` to `(b, outputs, h', w')`
    fn maps(&self, x: &Tensor) -> Result<Tensor> {
        let (b, c, h, w) = x.dims4()?;
        let x = &x.to_dtype(self.up.dtype())?;
        let thin = match &self.down {
            Down::Matrix(down) => down.broadcast_matmul(&x.reshape((b, c, h * w))?)?.reshape((b, (), h, w))?,
            Down::Conv(conv) => conv.forward(x)?,
            Down::Plain(weight, stride) => x.conv2d(weight, 1, *stride, 1, 1)?,
        };
        let (_, rank, h, w) = thin.dims4()?;
        let thin = (thin.reshape((b, rank, h * w))? * self.scale())?;
        self.up.broadcast_matmul(&thin)?.reshape((b, (), h, w))
    }
}

impl Beside {
    /// One of the slots that `filled` counts.
    pub fn new(shape: Shape, filled: &Filled) -> Self {
        Self { shape, added: Arc::default(), filled: filled.clone() }
    }

    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// What lies here from now on; nothing costs nothing.
    pub fn put(&self, added: Vec<Arc<LowRank>>) {
        let (before, after) = (self.is_filled(), !added.is_empty());
        self.added.store(after.then(|| Arc::new(added)));
        match (before, after) {
            (false, true) => self.filled.0.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.filled.0.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
    }

    pub fn is_filled(&self) -> bool {
        self.added.load().is_some()
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
}
