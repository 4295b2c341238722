//! 3x3 convolutions: on the CPU packed for the kernels, elsewhere candle's.

use candle_core::{Result, Tensor};

use super::{At, Engine, MapSize, Work, each_row, shift_maps, tensor_of};
use crate::{
    diffusion::sd::beside::{Beside, Packing, Shape as BesideShape},
    kernels::{
        self, Activation, Affine, Conv, ConvShape, Element, Finish, Grid, Instructions, Parts, Pool, Tap, Target,
        Tiles, Winograd,
    },
};

/// Weights and bias as candle has them.
struct Plain {
    weight: Tensor,
    bias: Option<Tensor>,
    engine: Engine,
}

impl Plain {
    fn new(at: &At, inputs: usize, outputs: usize, bias: bool) -> Self {
        let bias = bias.then(|| at.get("bias", &[outputs]));
        Self { weight: at.get("weight", &[outputs, inputs, 3, 3]), bias, engine: at.engine.clone() }
    }
    fn forward(&self, x: &Tensor, padding: usize, stride: usize) -> Result<Tensor> {
        let y = match self.engine.place.fused.conv(x, &self.weight, padding, stride) {
            Some(y) => y,
            None => x.conv2d(&self.weight, padding, stride, 1, 1)?,
        };
        match &self.bias {
            Some(bias) => shift_maps(&self.engine, y, bias),
            None => Ok(y),
        }
    }
}

/// What the packed ones have in common.
struct Packed<C> {
    conv: C,
    affine: Affine,
    inputs: Parts,
    outputs: usize,
    engine: Engine,
}

/// Packed weights.
trait Packs {
    fn bytes(&self) -> usize;
    /// What the layer likes to read.
    fn element(&self) -> Element;
}

impl Packs for kernels::Conv3 {
    fn bytes(&self) -> usize {
        self.bytes()
    }
    fn element(&self) -> Element {
        self.element()
    }
}

impl Packs for Conv {
    fn bytes(&self) -> usize {
        self.bytes()
    }
    fn element(&self) -> Element {
        self.element()
    }
}

impl Packs for Doubled {
    fn bytes(&self) -> usize {
        match self {
            Self::Winograd(conv) => conv.bytes(),
            Self::Quarters(quarters) => quarters.0.iter().map(Conv::bytes).sum(),
        }
    }
    fn element(&self) -> Element {
        match self {
            Self::Winograd(conv) => conv.element(),
            Self::Quarters(quarters) => quarters.element(),
        }
    }
}

impl<C: Packs> Packed<C> {
    fn new(at: &At, inputs: Parts, outputs: usize, bias: bool, pack: impl FnOnce(&Engine, &[f32]) -> C) -> Self {
        let weight = at.floats("weight", &[outputs, inputs.channels(), 3, 3]);
        let bias = if bias { at.floats("bias", &[outputs]) } else { vec![0.0; outputs] };
        let engine = at.engine.clone();
        let conv = pack(&engine, &weight);
        engine.holds(conv.bytes());
        Self { conv, affine: Affine::bias(&bias), inputs, outputs, engine }
    }

    /// Row by row, to maps `times` the size, `over` it.
    fn forward(&self, x: &Tensor, [times, over]: [usize; 2], run: impl Fn(&Grid, &mut Grid)) -> Result<Tensor> {
        let (_, _, h, w) = x.dims4()?;
        each_row(x, |row| {
            let from = self.engine.map_of(x, row, &self.inputs)?;
            let mut to = self.engine.map(self.outputs, [h * times / over, w * times / over], Element::Float32);
            run(&from, &mut to);
            tensor_of(&to, self.outputs)
        })
    }
}

enum Kind<C> {
    Packed(Box<Packed<C>>),
    Plain(Box<Plain>),
}

impl<C: Packs> Kind<C> {
    fn new(
        at: &At,
        inputs: Parts,
        outputs: usize,
        bias: bool,
        pack: impl FnOnce(&Engine, &[f32]) -> C,
    ) -> Result<Self> {
        if at.packs() {
            return Ok(Self::Packed(Box::new(Packed::new(at, inputs, outputs, bias, pack))));
        }
        Ok(Self::Plain(Box::new(Plain::new(at, inputs.channels(), outputs, bias))))
    }
    fn packed(&self) -> &Packed<C> {
        match self {
            Self::Packed(packed) => packed,
            Self::Plain(_) => unreachable!("maps are the CPU's"),
        }
    }
    fn element(&self) -> Element {
        match self {
            Self::Packed(packed) => packed.conv.element(),
            Self::Plain(_) => Element::Float32,
        }
    }
    /// The layer's slot.
    fn beside(&self, at: &At, shape: BesideShape) -> Beside {
        let packing = |packed: &Packed<C>| Packing {
            inputs: vec![packed.inputs.clone()],
            outputs: Parts::one(packed.outputs),
            element: packed.conv.element(),
            gates: false,
        };
        at.beside(
            shape,
            match self {
                Self::Packed(packed) => Some(packing(packed)),
                Self::Plain(_) => None,
            },
        )
    }
}

/// Adds what lies beside a layer, of its only input.
fn add_beside(beside: &Beside, x: &Grid, out: &mut Grid) {
    if let Some(added) = beside.packed() {
        added.add_to(&[x], out);
    }
}

/// What a convolution of this shape reads and multiplies best.
fn element_of(at: &At, shape: &ConvShape) -> Element {
    match at.engine.element {
        Element::Bfloat16
            if at.maps != MapSize::Coarse && shape.fits_winograd() && shape.outputs <= WINOGRAD_BEATS_BFLOAT16 =>
        {
            Element::Float32
        }
        element => element,
    }
}

/// Channels of output up to which Winograd's way in float32 beats the direct one in bfloat16, as it does where the maps
/// are large.
const WINOGRAD_BEATS_BFLOAT16: usize = 640;

/// What follows a convolution on maps.
#[derive(Clone, Copy, Default)]
pub struct After<'a> {
    /// Numbers that are added to the bias: the timestep's.
    pub shift: Option<&'a [f32]>,
    /// A map that is added.
    pub plus: Option<&'a Grid>,
    /// What the output holds is added.
    pub accumulate: bool,
    pub relu: bool,
}

/// A 3x3 convolution with a border of zeros: `(b, inputs, h, w)` to `(b, outputs, h, w)`.
pub struct Conv3 {
    kind: Kind<kernels::Conv3>,
    beside: Beside,
}

impl Conv3 {
    pub fn new(at: &At, inputs: usize, outputs: usize) -> Result<Self> {
        Self::joined(at, &[inputs], outputs)
    }
    /// Of a map whose channels lie in parts that each begin a block.
    pub fn joined(at: &At, parts: &[usize], outputs: usize) -> Result<Self> {
        let inputs = Parts::of(parts);
        let channels = inputs.channels();
        let shape = ConvShape::conv3x3(channels, outputs).of_parts(&inputs);
        // Layers at the ends are small, and what they read is not rounded.
        let small = channels < 16 || outputs < 16;
        let element = if small { Element::Float32 } else { element_of(at, &shape) };
        let shape = shape.of(element);
        let pack = |engine: &Engine, w: &[f32]| {
            kernels::Conv3::of(engine.set, shape, Some(at.maps.tiles()), |o, t, c| w[(o * channels + c) * 9 + t])
        };
        let kind = Kind::new(at, inputs, outputs, true, pack)?;
        Ok(Self { beside: kind.beside(at, BesideShape::Conv), kind })
    }
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match &self.kind {
            Kind::Packed(packed) => packed.forward(x, [1, 1], |x, out| self.run(x, After::default(), out)),
            Kind::Plain(plain) => self.beside.add_maps(x, plain.forward(x, 1, 1)?),
        }
    }
    /// What it likes to read.
    pub fn element(&self) -> Element {
        self.kind.element()
    }
    /// From map to map, on the CPU. LoRAs are added last: none lies beside a layer with an activation.
    pub fn run(&self, x: &Grid, after: After, out: &mut Grid) {
        let Packed { conv, affine, engine, .. } = self.kind.packed();
        let mut shifted;
        let mut affine = affine;
        if let Some(shift) = after.shift {
            shifted = affine.clone();
            shifted.terms_mut().iter_mut().zip(shift).for_each(|(a, s)| *a += s);
            affine = &shifted;
        }
        let mut finish = Finish::plain(affine);
        if let Some(plus) = after.plus {
            finish = finish.plus(plus);
        }
        if after.accumulate {
            finish = finish.accumulate();
        }
        if after.relu {
            finish = finish.after(Activation::Relu);
        }
        engine.timed(Work::Convolution, || {
            engine.read(x, conv.element_of(x), |x| conv.run(&engine.pool, x, finish, Target::Grid(out)));
        });
        add_beside(&self.beside, x, out);
    }
}

/// A 3x3 convolution that halves the map. `before`: a row and column of zeros before it (U-Net, TAESD) or, as the KL
/// encoder has it, after it.
pub struct Down {
    kind: Kind<Conv>,
    /// Of one that has its zeros before it.
    beside: Option<Beside>,
}

impl Down {
    pub fn new(at: &At, inputs: usize, outputs: usize, bias: bool, before: bool) -> Result<Self> {
        let shape = ConvShape::halving3x3(inputs, outputs, before).of(at.engine.element);
        let pack = |engine: &Engine, w: &[f32]| Conv::new(engine.set, shape, |o, t, c| w[(o * inputs + c) * 9 + t]);
        let kind = Kind::new(at, Parts::one(inputs), outputs, bias, pack)?;
        Ok(Self { beside: before.then(|| kind.beside(at, BesideShape::Halving)), kind })
    }
    /// What it likes to read.
    pub fn element(&self) -> Element {
        self.kind.element()
    }
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match (&self.kind, &self.beside) {
            (Kind::Packed(packed), _) => packed.forward(x, [1, 2], |x, out| self.run(x, out)),
            (Kind::Plain(plain), Some(beside)) => beside.add_maps(x, plain.forward(x, 1, 2)?),
            (Kind::Plain(plain), None) => plain.forward(&x.pad_with_zeros(2, 0, 1)?.pad_with_zeros(3, 0, 1)?, 0, 2),
        }
    }
    /// From map to map, on the CPU.
    pub fn run(&self, x: &Grid, out: &mut Grid) {
        let Packed { conv, affine, engine, .. } = self.kind.packed();
        let finish = Finish::plain(affine);
        engine.timed(Work::Convolution, || {
            engine.read(x, conv.element(), |x| conv.run(&engine.pool, x, finish, Target::Grid(out)));
        });
        if let Some(beside) = &self.beside {
            add_beside(beside, x, out);
        }
    }
}

/// Nearest up-sampling to twice the size, and a 3x3 convolution; the larger map never exists.
pub struct Double {
    kind: Kind<Doubled>,
    beside: Beside,
}

/// The ways of the packed layer.
enum Doubled {
    Winograd(Winograd),
    Quarters(Quarters),
}

/// Each of the 2 x 2 pixels that come from one sees only 2 x 2 pixels of the smaller map, some of them through several
/// taps: four 2x2 convolutions of the smaller map, four ninths of the work.
pub struct Quarters(Box<[Conv; 4]>);

impl Doubled {
    fn element_of(&self, map: &Grid) -> Element {
        match self {
            Self::Winograd(conv) => conv.element_of(map),
            Self::Quarters(quarters) => quarters.element(),
        }
    }
}

impl Quarters {
    /// `w` is (outputs, inputs, 3, 3).
    pub fn new(set: Instructions, shape: &ConvShape, inputs: usize, w: &[f32]) -> Self {
        Self(Box::new(std::array::from_fn(|quarter| {
            let (y, x) = (quarter / 2, quarter % 2);
            // The smaller map's pixel that a tap of the larger one sees, from the pixel's own.
            let seen = |place: usize, tap: usize| (place + tap).div_ceil(2) as isize - 1;
            let near = |place: usize| [seen(place, 0), seen(place, 2)];
            let taps: Vec<Tap> = near(y).into_iter().flat_map(|dy| near(x).map(|dx| Tap { dy, dx })).collect();
            let shape = ConvShape { taps: taps.clone(), ..shape.clone() };
            Conv::new(set, shape, |o, t, c| {
                let here = |tap: &usize| seen(y, tap / 3) == taps[t].dy && seen(x, tap % 3) == taps[t].dx;
                (0..9).filter(here).map(|tap| w[(o * inputs + c) * 9 + tap]).sum()
            })
        })))
    }
    pub fn element(&self) -> Element {
        self.0[0].element()
    }
    pub fn run(&self, pool: &Pool, x: &Grid, finish: Finish, out: &mut Grid) {
        for (quarter, conv) in self.0.iter().enumerate() {
            conv.run(pool, x, finish, Target::Quarter(out, quarter));
        }
    }
}

impl Double {
    pub fn new(at: &At, inputs: usize, outputs: usize, bias: bool) -> Result<Self> {
        let shape = ConvShape::conv3x3(inputs, outputs);
        let element = element_of(at, &shape);
        let shape = shape.of(element);
        let pack = |engine: &Engine, w: &[f32]| {
            if at.maps == MapSize::Coarse || !shape.fits_winograd() {
                return Doubled::Quarters(Quarters::new(engine.set, &shape, inputs, w));
            }
            let weight = |o: usize, t: usize, c: usize| w[(o * inputs + c) * 9 + t];
            Doubled::Winograd(Winograd::new(engine.set, Tiles::Four, element, [inputs, outputs], false, weight))
        };
        let kind = Kind::new(at, Parts::one(inputs), outputs, bias, pack)?;
        Ok(Self { beside: kind.beside(at, BesideShape::Doubling), kind })
    }
    /// What it likes to read.
    pub fn element(&self) -> Element {
        self.kind.element()
    }
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match &self.kind {
            Kind::Packed(packed) => packed.forward(x, [2, 1], |x, out| self.run(x, out)),
            Kind::Plain(plain) => {
                let (_, _, h, w) = x.dims4()?;
                let x = x.upsample_nearest2d(2 * h, 2 * w)?;
                self.beside.add_maps(&x, plain.forward(&x, 1, 1)?)
            }
        }
    }
    /// From map to map, on the CPU.
    pub fn run(&self, x: &Grid, out: &mut Grid) {
        let Packed { conv, affine, engine, .. } = self.kind.packed();
        let finish = Finish::plain(affine);
        engine.timed(Work::Convolution, || {
            engine.read(x, conv.element_of(x), |x| match conv {
                Doubled::Winograd(conv) => conv.run_doubled(&engine.pool, x, finish, Target::Grid(out)),
                Doubled::Quarters(quarters) => quarters.run(&engine.pool, x, finish, out),
            });
        });
        add_beside(&self.beside, x, out);
    }
}
