//! Matrix products: on the CPU packed for the kernels, elsewhere candle's.

use candle_core::{D, Device, Result, Tensor};

use super::{At, Engine, Work, each_row, gelu_gate, tensor_of};
use crate::kernels::{Activation, Affine, Conv, ConvShape, Element, Finish, Grid, Makes, Parts, Target};

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
        let mut shape = x.dims().to_vec();
        let tokens = x.elem_count() / self.inputs.channels().max(1);
        let mut from = self.engine.tokens(self.inputs.lanes(), [1, tokens], Element::Float32);
        from.fill_tokens(&x.flatten_all()?.to_vec1::<f32>()?, &self.inputs);
        let mut to = self.engine.tokens(self.outputs.lanes(), [1, tokens], Element::Float32);
        let finish = Finish::plain(&self.affine);
        if self.conv.outputs() == self.outputs.lanes() {
            self.run(&from, finish, Target::Grid(&mut to));
        } else {
            self.run(&from, finish, Target::Gated(&mut to));
        }
        let mut values = vec![0.0; tokens * self.outputs.channels()];
        to.copy_tokens(&mut values, &self.outputs);
        if let Some(last) = shape.last_mut() {
            *last = self.outputs.channels();
        }
        Tensor::from_vec(values, shape, &Device::Cpu)
    }
}

enum Kind {
    Packed(Box<Packed>),
    Plain { weight: Tensor, bias: Option<Tensor> },
}

/// `(…, inputs)` to `(…, outputs)`.
pub struct Linear(Kind);

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
        if at.tensors.device().is_cpu() {
            let bias = bias.then(|| at.floats("bias", &shape[..1]));
            let weight = at.floats("weight", &shape);
            return Self(Kind::Packed(Box::new(Packed::new(at, &weight, bias, inputs, outputs, Makes::Channels))));
        }
        let bias = bias.then(|| at.get("bias", &shape[..1]));
        Self(Kind::Plain { weight: at.get("weight", &shape), bias })
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = match &self.0 {
            Kind::Packed(packed) => return packed.forward(x),
            Kind::Plain { weight, bias } => (weight, bias),
        };
        let inputs = x.dim(D::Minus1)?;
        let mut shape = x.dims().to_vec();
        let rows = x.elem_count() / inputs;
        let y = x.reshape((rows, inputs))?.matmul(&weight.t()?)?;
        if let Some(last) = shape.last_mut() {
            *last = weight.dim(0)?;
        }
        match bias {
            Some(bias) => y.broadcast_add(bias)?.reshape(shape),
            None => y.reshape(shape),
        }
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
        match &self.0 {
            Kind::Packed(packed) => packed.run(x, with(Finish::plain(&packed.affine)), target),
            Kind::Plain { .. } => unreachable!("maps are the CPU's"),
        }
    }
}

/// A product to twice the outputs, the first half times the GELU of the second: `(…, inputs)` to `(…, outputs)`.
pub struct Gated {
    packed: Option<Box<Packed>>,
    plain: Option<Linear>,
}

impl Gated {
    pub fn new(at: &At, inputs: usize, outputs: usize) -> Self {
        if !at.tensors.device().is_cpu() || !outputs.is_multiple_of(16) {
            return Self { packed: None, plain: Some(Linear::new(at, inputs, 2 * outputs)) };
        }
        let (weight, bias) = (at.floats("weight", &[2 * outputs, inputs]), at.floats("bias", &[2 * outputs]));
        let packed = Packed::new(at, &weight, Some(bias), Parts::one(inputs), Parts::one(outputs), Makes::Gate);
        Self { packed: Some(Box::new(packed)), plain: None }
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match (&self.packed, &self.plain) {
            (Some(packed), _) => packed.forward(x),
            (None, Some(linear)) => gelu_gate(&linear.forward(x)?),
            (None, None) => unreachable!("one of both"),
        }
    }

    /// From map to map, on the CPU.
    pub fn run(&self, x: &Grid, out: &mut Grid) {
        match &self.packed {
            Some(packed) => packed.run(x, Finish::plain(&packed.affine), Target::Gated(out)),
            None => unreachable!("maps are the CPU's, and their channels whole blocks"),
        }
    }
}

/// A 1x1 convolution: `(b, inputs, h, w)` to `(b, outputs, h, w)`.
pub struct Pointwise {
    packed: Vec<Packed>,
    plain: Option<(Tensor, Tensor)>,
}

impl Pointwise {
    pub fn new(at: &At, inputs: usize, outputs: usize) -> Result<Self> {
        Self::joined(at, &[inputs], outputs)
    }

    /// Of several maps that count as one.
    pub fn joined(at: &At, parts: &[usize], outputs: usize) -> Result<Self> {
        let inputs: usize = parts.iter().sum();
        if !at.tensors.device().is_cpu() {
            let weight = at.get("weight", &[outputs, inputs, 1, 1]).reshape((1, outputs, inputs))?;
            let bias = at.get("bias", &[outputs]).reshape((1, outputs, 1))?;
            return Ok(Self { packed: Vec::new(), plain: Some((weight, bias)) });
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
        Ok(Self { packed: parts.iter().map(part).collect(), plain: None })
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (b, c, h, w) = x.dims4()?;
        let Some((weight, bias)) = &self.plain else {
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
        let y = weight.broadcast_matmul(&x.reshape((b, c, h * w))?)?.broadcast_add(bias)?;
        let outputs = y.dim(1)?;
        y.reshape((b, outputs, h, w))
    }

    /// From the maps to one, on the CPU.
    pub fn run(&self, inputs: &[&Grid], out: &mut Grid) {
        for (i, (packed, input)) in self.packed.iter().zip(inputs).enumerate() {
            let finish = Finish::plain(&packed.affine).before(Activation::None);
            packed.run(input, if i == 0 { finish } else { finish.accumulate() }, Target::Grid(out));
        }
    }
}
