//! Matrix products: on the CPU packed for the kernels, elsewhere candle's.

use candle_core::{D, Device, Result, Tensor};

use super::{At, Engine, Work, each_row, gelu_gate, shift_maps, shift_rows, tensor_of};
use crate::{
    diffusion::sd::beside::{Added, Beside, Packing, Shape as BesideShape},
    kernels::{Activation, Affine, Conv, ConvShape, Element, Finish, Form, Fused, Grid, Makes, Parts, Target, gate},
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
        engine.holds(conv.bytes());
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

    /// As [`Self::run`], what lies beside the layer added: to sums of float32, which are rounded last.
    fn run_beside(&self, x: &Grid, finish: Finish, added: Option<&Added>, out: &mut Grid) {
        let Some(added) = added else { return self.run(x, finish, Target::Grid(out)) };
        let form = out.form();
        if form.element == Element::Float32 {
            self.run(x, finish, Target::Grid(out));
            return added.add_to(&[x], out);
        }
        let mut sums = self.engine.like(Form { element: Element::Float32, ..form });
        self.run(x, finish, Target::Grid(&mut sums));
        added.add_to(&[x], &mut sums);
        out.fill_halves(&self.engine.pool, &sums, self.engine.set);
    }

    /// As [`Self::run_beside`] of a layer that gates: the gate comes after what is added.
    fn run_gated(&self, x: &Grid, added: Option<&Added>, out: &mut Grid) {
        let finish = Finish::plain(&self.affine);
        let Some(added) = added else { return self.run(x, finish, Target::Gated(out)) };
        let mut wide =
            self.engine.like(Form { channels: self.conv.outputs(), element: Element::Float32, ..out.form() });
        self.run(x, finish, Target::Grid(&mut wide));
        added.add_to(&[x], &mut wide);
        gate(self.engine.set, &self.engine.pool, &wide, out);
    }

    /// The slot of a layer that is this alone.
    fn beside(&self, at: &At) -> Beside {
        let gates = self.conv.outputs() != self.outputs.lanes();
        let outputs = if gates { Parts::one(self.conv.outputs()) } else { self.outputs.clone() };
        let (inputs, element) = (vec![self.inputs.clone()], self.conv.element());
        at.beside(BesideShape::Rows, Some(Packing { inputs, outputs, element, gates }))
    }

    /// Calls `run` from tokens to tokens: `(…, inputs)` to `(…, outputs)`.
    fn tokens(&self, x: &Tensor, run: impl FnOnce(&Grid, &mut Grid)) -> Result<Tensor> {
        let outputs = &self.outputs;
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
        if at.packs() {
            let bias = bias.then(|| at.floats("bias", &shape[..1]));
            let weight = at.floats("weight", &shape);
            let packed = Packed::new(at, &weight, bias, inputs, outputs, Makes::Channels);
            return Self { beside: packed.beside(at), kind: Kind::Packed(Box::new(packed)) };
        }
        let bias = bias.then(|| at.get("bias", &shape[..1]));
        let beside = at.beside(BesideShape::Rows, None);
        let (weight, engine) = (at.get("weight", &shape), at.engine.clone());
        Self { kind: Kind::Plain { weight, bias, engine }, beside }
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (weight, bias, engine) = match &self.kind {
            Kind::Packed(packed) => return packed.tokens(x, |from, to| self.run(from, to)),
            Kind::Plain { weight, bias, engine } => (weight, bias, engine),
        };
        let (mut shape, width) = (x.dims().to_vec(), x.dim(D::Minus1)?);
        let rows = x.reshape((x.elem_count() / width.max(1), width))?;
        let mut y = rows.matmul(&weight.t()?)?;
        if let Some(bias) = bias {
            y = shift_rows(engine, y, bias)?;
        }
        if let Some(last) = shape.last_mut() {
            *last = weight.dim(0)?;
        }
        self.beside.add_rows(&rows, y)?.reshape(shape)
    }

    /// From map to map, on the CPU.
    pub fn run(&self, x: &Grid, out: &mut Grid) {
        self.finish(x, |f| f, out);
    }
    /// As [`Self::run`], added to what `out` holds.
    pub fn add(&self, x: &Grid, out: &mut Grid) {
        self.finish(x, Finish::accumulate, out);
    }
    /// As [`Self::run`], `plus` added.
    pub fn run_plus(&self, x: &Grid, plus: &Grid, out: &mut Grid) {
        self.finish(x, |f| f.plus(plus), out);
    }
    fn finish<'a>(&'a self, x: &Grid, with: impl FnOnce(Finish<'a>) -> Finish<'a>, out: &mut Grid) {
        match &self.kind {
            Kind::Packed(packed) => {
                packed.run_beside(x, with(Finish::plain(&packed.affine)), self.beside.packed().as_ref(), out);
            }
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
        let beside = packed.beside(at);
        Self(GatedKind::Packed(Box::new(packed), beside))
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match &self.0 {
            GatedKind::Packed(packed, _) => packed.tokens(x, |from, to| self.run(from, to)),
            GatedKind::Plain(linear, fused) => {
                let y = linear.forward(x)?;
                fused.gelu_gate(&y).map_or_else(|| gelu_gate(&y), Ok)
            }
        }
    }

    /// From map to map, on the CPU.
    pub fn run(&self, x: &Grid, out: &mut Grid) {
        match &self.0 {
            GatedKind::Packed(packed, beside) => packed.run_gated(x, beside.packed().as_ref(), out),
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
        if !at.packs() {
            let weight = at.get("weight", &[outputs, inputs, 1, 1]).reshape((1, outputs, inputs))?;
            let (bias, engine) = (at.get("bias", &[outputs]), at.engine.clone());
            let beside = at.beside(BesideShape::Pointwise, None);
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
        let packed: Vec<Packed> = parts.iter().map(part).collect();
        let (inputs, outputs) = (packed.iter().map(|p| p.inputs.clone()).collect(), Parts::one(outputs));
        let packing = Packing { inputs, outputs, element: at.engine.element, gates: false };
        Ok(Self { packed, plain: None, beside: at.beside(BesideShape::Pointwise, Some(packing)) })
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
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
        self.beside.add_maps(x, shift_maps(engine, y, bias)?)
    }

    /// From the maps to one, on the CPU.
    pub fn run(&self, inputs: &[&Grid], out: &mut Grid) {
        for (i, (packed, input)) in self.packed.iter().zip(inputs).enumerate() {
            let finish = Finish::plain(&packed.affine).before(Activation::None);
            packed.run(input, if i == 0 { finish } else { finish.accumulate() }, Target::Grid(out));
        }
        if let Some(added) = self.beside.packed() {
            added.add_to(inputs, out);
        }
    }
}
