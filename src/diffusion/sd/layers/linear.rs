//! Matrix products: on the CPU packed for the kernels, elsewhere candle's.

use candle_core::{D, Device, Result, Tensor};

use super::{At, Engine, Work, each_row, gelu_gate, shift_maps, shift_rows, tensor_of};
use crate::{
    diffusion::sd::beside::{Beside, Shape as BesideShape},
    kernels::{Activation, Affine, Conv, ConvShape, Element, Finish, Fused, Grid, Makes, Parts, Target},
};

/// A matrix as the kernels have it, with its bias.
struct Packed {
    conv: Conv,
    affine: Affine,
    inputs: Parts,
    outputs: Parts,
    engine: Engine,
}

impl Packed {
    /// `weight` is `(outputs, inputs)`, row by row.
    fn new(at: &At, weight: &[f32], bias: Option<Vec<f32>>, inputs: Parts, outputs: Parts, makes: Makes) -> Self {
        let engine = at.engine.clone();
        let lanes = outputs.channel_of_lanes();
        let width = inputs.channels();
        let gated = makes == Makes::Gate;
        let outputs_of_conv = if gated { 2 * outputs.lanes() } else { outputs.lanes() };
        let shape = ConvShape::linear(width, outputs_of_conv).of_parts(&inputs).of(engine.element).makes(makes);
        let channel = |lane: usize| if gated { Some(lane) } else { lanes[lane] };
        let conv = Conv::new(engine.set, shape, |o, _, i| channel(o).map_or(0.0, |o| weight[o * width + i]));
        let bias = bias.unwrap_or_else(|| vec![0.0; weight.len() / width.max(1)]);
        let affine = if gated {
            Affine::gate(&bias)
        } else {
            Affine::bias(&lanes.iter().map(|c| c.map_or(0.0, |c| bias[c])).collect::<Vec<_>>())
        };
        Self { conv, affine, inputs, outputs, engine }
    }

    fn run(&self, x: &Grid, finish: Finish, target: Target) {
        let engine = &self.engine;
        engine.timed(Work::Product, || {
            engine.read(x, self.conv.element(), |x| self.conv.run(&engine.pool, x, finish, target));
        });
    }

    /// `(…, inputs)` to `(…, outputs)`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let gated = self.conv.outputs() != self.outputs.lanes();
        let finish = Finish::plain(&self.affine);
        self.tokens(x, &self.outputs, |from, to| {
            self.run(from, finish, if gated { Target::Gated(to) } else { Target::Grid(to) });
        })
    }

    /// As [`Self::forward`] of a layer that gates, before the gate: `(…, inputs)` to `(…, 2 * outputs)`, values first.
    fn ungated(&self, x: &Tensor) -> Result<Tensor> {
        let wide = Parts::one(self.conv.outputs());
        let finish = Finish::plain(&self.affine);
        // Its lanes are a block of values, the block of their gates, and so on.
        let y = self.tokens(x, &wide, |from, to| self.run(from, finish, Target::Grid(to)))?;
        let blocks = self.outputs.lanes() / 16;
        y.reshape(((), blocks, 2, 16))?.transpose(1, 2)?.contiguous()?.reshape(y.shape())
    }

    /// Calls `run` from tokens to tokens.
    fn tokens(&self, x: &Tensor, outputs: &Parts, run: impl FnOnce(&Grid, &mut Grid)) -> Result<Tensor> {
        let mut shape = x.dims().to_vec();
        let tokens = x.elem_count() / self.inputs.channels().max(1);
        let mut from = self.engine.tokens(self.inputs.lanes(), [1, tokens], Element::Float32);
        from.fill_tokens(&x.flatten_all()?.to_vec1::<f32>()?, &self.inputs);
        let mut to = self.engine.tokens(outputs.lanes(), [1, tokens], Element::Float32);
        run(&from, &mut to);
        let mut values = vec![0.0; tokens * outputs.channels()];
        to.copy_tokens(&mut values, outputs);
        if let Some(last) = shape.last_mut() {
            *last = outputs.channels();
        }
        Tensor::from_vec(values, shape, &Device::Cpu)
    }
}

enum Kind {
    Packed(Box<Packed>),
    Plain { weight: Tensor, bias: Option<Tensor>, engine: Engine },
}

impl Kind {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (weight, bias, engine) = match self {
            Self::Packed(packed) => return packed.forward(x),
            Self::Plain { weight, bias, engine } => (weight, bias, engine),
        };
        let mut shape = x.dims().to_vec();
        let y = rows_of(x)?.matmul(&weight.t()?)?;
        if let Some(last) = shape.last_mut() {
            *last = weight.dim(0)?;
        }
        match bias {
            Some(bias) => shift_rows(engine, y, bias)?.reshape(shape),
            None => y.reshape(shape),
        }
    }
}

/// `(…, width)` as `(rows, width)`.
fn rows_of(x: &Tensor) -> Result<Tensor> {
    let width = x.dim(D::Minus1)?;
    x.reshape((x.elem_count() / width.max(1), width))
}

/// `y` `(…, outputs)` with what LoRAs add, of `x` `(…, inputs)`.
fn with_loras(beside: &Beside, x: &Tensor, y: Tensor) -> Result<Tensor> {
    if !beside.is_filled() {
        return Ok(y);
    }
    beside.add_rows(&rows_of(x)?, rows_of(&y)?)?.reshape(y.shape())
}

/// `(…, inputs)` to `(…, outputs)`.
pub struct Linear {
    kind: Kind,
    beside: Beside,
}

impl Linear {
    pub fn new(at: &At, inputs: usize, outputs: usize) -> Self {
        Self::of_parts(at, Parts::one(inputs), Parts::one(outputs), true)
    }
    pub fn without_bias(at: &At, inputs: usize, outputs: usize) -> Self {
        Self::of_parts(at, Parts::one(inputs), Parts::one(outputs), false)
    }
    /// As the two above; on maps, inputs and outputs lie in parts that each begin a block.
    pub fn of_parts(at: &At, inputs: Parts, outputs: Parts, bias: bool) -> Self {
        let shape = [outputs.channels(), inputs.channels()];
        let beside = at.beside(BesideShape::Rows);
        if at.packs() {
            let bias = bias.then(|| at.floats("bias", &shape[..1]));
            let weight = at.floats("weight", &shape);
            let packed = Packed::new(at, &weight, bias, inputs, outputs, Makes::Channels);
            return Self { kind: Kind::Packed(Box::new(packed)), beside };
        }
        let bias = bias.then(|| at.get("bias", &shape[..1]));
        let (weight, engine) = (at.get("weight", &shape), at.engine.clone());
        Self { kind: Kind::Plain { weight, bias, engine }, beside }
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        with_loras(&self.beside, x, self.kind.forward(x)?)
    }

    /// From map to map, on the CPU.
    pub fn run(&self, x: &Grid, out: &mut Grid) {
        self.finish(x, |f| f, Target::Grid(out));
    }
    /// As [`Self::run`], added to what `out` holds.
    pub fn add(&self, x: &Grid, out: &mut Grid) {
        self.finish(x, Finish::accumulate, Target::Grid(out));
    }
    /// As [`Self::run`], `plus` added.
    pub fn run_plus(&self, x: &Grid, plus: &Grid, out: &mut Grid) {
        self.finish(x, |f| f.plus(plus), Target::Grid(out));
    }
    fn finish<'a>(&'a self, x: &Grid, with: impl FnOnce(Finish<'a>) -> Finish<'a>, target: Target) {
        match &self.kind {
            Kind::Packed(packed) => packed.run(x, with(Finish::plain(&packed.affine)), target),
            Kind::Plain { .. } => unreachable!("maps are the CPU's"),
        }
    }
}

/// A product to twice the outputs, the first half times the GELU of the second: `(…, inputs)` to `(…, outputs)`.
pub struct Gated(GatedKind);

enum GatedKind {
    /// With the gate at its end.
    Packed(Box<Packed>, Beside),
    Plain(Linear, Fused),
}

impl Gated {
    pub fn new(at: &At, inputs: usize, outputs: usize) -> Self {
        if !at.packs() || !outputs.is_multiple_of(16) {
            let fused = at.engine.place.fused.clone();
            return Self(GatedKind::Plain(Linear::new(at, inputs, 2 * outputs), fused));
        }
        let (weight, bias) = (at.floats("weight", &[2 * outputs, inputs]), at.floats("bias", &[2 * outputs]));
        let packed = Packed::new(at, &weight, Some(bias), Parts::one(inputs), Parts::one(outputs), Makes::Gate);
        Self(GatedKind::Packed(Box::new(packed), at.beside(BesideShape::Rows)))
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match &self.0 {
            GatedKind::Packed(packed, beside) if beside.is_filled() => {
                gelu_gate(&with_loras(beside, x, packed.ungated(x)?)?)
            }
            GatedKind::Packed(packed, _) => packed.forward(x),
            GatedKind::Plain(linear, fused) => {
                let y = linear.forward(x)?;
                fused.gelu_gate(&y).map_or_else(|| gelu_gate(&y), Ok)
            }
        }
    }

    /// From map to map, on the CPU.
    pub fn run(&self, x: &Grid, out: &mut Grid) {
        match &self.0 {
            GatedKind::Packed(packed, _) => packed.run(x, Finish::plain(&packed.affine), Target::Gated(out)),
            GatedKind::Plain(..) => unreachable!("maps are the CPU's, and their channels whole blocks"),
        }
    }
}

/// A 1x1 convolution: `(b, inputs, h, w)` to `(b, outputs, h, w)`.
pub struct Pointwise {
    packed: Vec<Packed>,
    plain: Option<(Tensor, Tensor, Engine)>,
    beside: Beside,
}

impl Pointwise {
    pub fn new(at: &At, inputs: usize, outputs: usize) -> Result<Self> {
        Self::joined(at, &[inputs], outputs)
    }

    /// Of several maps that count as one.
    pub fn joined(at: &At, parts: &[usize], outputs: usize) -> Result<Self> {
        let inputs: usize = parts.iter().sum();
        let beside = at.beside(BesideShape::Pointwise);
        if !at.packs() {
            let weight = at.get("weight", &[outputs, inputs, 1, 1]).reshape((1, outputs, inputs))?;
            let (bias, engine) = (at.get("bias", &[outputs]), at.engine.clone());
            return Ok(Self { packed: Vec::new(), plain: Some((weight, bias, engine)), beside });
        }
        let weight = at.floats("weight", &[outputs, inputs, 1, 1]);
        let mut bias = Some(at.floats("bias", &[outputs]));
        let mut first = 0;
        let part = |part: &usize| {
            let columns: Vec<f32> =
                (0..outputs).flat_map(|o| &weight[o * inputs + first..][..*part]).copied().collect();
            first += part;
            Packed::new(at, &columns, bias.take(), Parts::one(*part), Parts::one(outputs), Makes::Channels)
        };
        Ok(Self { packed: parts.iter().map(part).collect(), plain: None, beside })
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.beside.add_maps(x, self.alone(x)?)
    }

    /// Without LoRAs.
    fn alone(&self, x: &Tensor) -> Result<Tensor> {
        let (b, c, h, w) = x.dims4()?;
        let Some((weight, bias, engine)) = &self.plain else {
            return each_row(x, |row| {
                let Some(first) = self.packed.first() else { candle_core::bail!("a layer without weights") };
                let engine = &first.engine;
                let mut at = 0;
                let mut maps = Vec::new();
                for packed in &self.packed {
                    let part = x.narrow(1, at, packed.inputs.channels())?;
                    maps.push(engine.map_of(&part, row, &packed.inputs)?);
                    at += packed.inputs.channels();
                }
                let mut out = engine.map(first.outputs.lanes(), [h, w], Element::Float32);
                self.run(&maps.iter().map(|m| &**m).collect::<Vec<_>>(), &mut out);
                tensor_of(&out, first.outputs.channels())
            });
        };
        let y = weight.broadcast_matmul(&x.reshape((b, c, h * w))?)?.reshape((b, (), h, w))?;
        shift_maps(engine, y, bias)
    }

    /// From the maps to one, on the CPU.
    pub fn run(&self, inputs: &[&Grid], out: &mut Grid) {
        for (i, (packed, input)) in self.packed.iter().zip(inputs).enumerate() {
            let finish = Finish::plain(&packed.affine).before(Activation::None);
            packed.run(input, if i == 0 { finish } else { finish.accumulate() }, Target::Grid(out));
        }
    }
}
