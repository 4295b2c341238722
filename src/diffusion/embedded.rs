//! The model in the box: models/training/network.py on the kernels, with its weights in the program.
//!
//! Lives on the generating thread and on the workers of its pool. Activations never leave the kernels' layout; memory is
//! allocated when a latent of a new size comes and reused from picture to picture; what depends on the conditioning
//! alone (the sum of genre, mood and time at each step, keys and values of the context) is computed when it changes.

mod condition;
mod decoder;
mod denoiser;
mod encoder;
mod fed;
mod guides;
mod names;
mod twin;

#[cfg(test)]
mod tests;

use std::time::Instant;

pub use denoiser::Study;
pub use twin::Twin;

use condition::Condition;
use decoder::Decoder;
use denoiser::Denoiser;
use encoder::Encoder;
use guides::Asked;

use super::{
    Card, Conditioning, GenerateError, Model, Picture, Raw, Runtime, Timing, device::Precision, feedback,
    weights::Weights,
};
use crate::{
    kernels::{Activation, Affine, Conv, Conv3, ConvShape, Element, Finish, Grid, Instructions, Pool, Target},
    latent::{Latent, Shape},
};

/// models/box/box.safetensors, so that the program alone paints.
pub(super) static WEIGHTS: &[u8] = include_bytes!("../../models/box/box.safetensors");

/// Channels of a latent, and pixels a cell each way: those of Stable Diffusion.
const LATENT: usize = 4;
const FACTOR: usize = 8;
/// The coarsest level has one cell for 4 x 4 of the latent.
const MULTIPLE: usize = 4;
const MAX_STEPS: usize = 4;
/// Cells a side, so that a mistaken size is an error and not the end of the machine's memory.
const LARGEST: usize = 512;

/// The model in the box, ready to paint.
pub struct Embedded {
    card: Card,
    pool: Pool,
    way: Way,
    condition: Condition,
    denoiser: Denoiser,
    decoder: Decoder,
    encoder: Encoder,
    sigmas: [f64; 4],
    canvas: Option<Canvas>,
    /// The picture before, kept while it is fed back.
    last: Option<fed::Last>,
}

/// All activations for latents of one size.
struct Canvas {
    height: usize,
    width: usize,
    /// The noise, then estimate after estimate of the picture's latent.
    latent: Grid,
    /// How much of it is of the denoiser's making rather than of a picture that was fed in.
    made: f32,
    denoiser: denoiser::Buffers,
    decoder: decoder::Buffers,
}

/// A convolution of the network with its bias.
struct Layer<C = Conv> {
    conv: C,
    bias: Affine,
}

/// What layers are packed for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub set: Instructions,
    /// What 3x3 convolutions multiply.
    pub element: Element,
}

impl Way {
    /// Half precision where it is wanted and the processor has it: the box has no other choice.
    pub fn of(set: Instructions, precision: Precision) -> Self {
        let halves = precision == Precision::Half && set.has(Element::Float16);
        Self { set, element: if halves { Element::Float16 } else { Element::Float32 } }
    }
    fn exact(self) -> Self {
        Self { element: Element::Float32, ..self }
    }
}

impl Layer<Conv3> {
    /// A 3x3 convolution by the names of network.py.
    fn conv3x3(weights: &Weights, way: Way, name: &str) -> Self {
        let (weight, bias) = (weights.get(&format!("{name}.weight")), weights.get(&format!("{name}.bias")));
        let inputs = weight.len() / (9 * bias.len()).max(1);
        let sides = [inputs, bias.len()];
        let conv = Conv3::new(way.set, way.element, sides, false, |o, t, c| weight[(o * inputs + c) * 9 + t]);
        Self { conv, bias: Affine::bias(bias) }
    }
}

impl Layer {
    /// Pixel-unshuffle by 2 and a 1x1 convolution.
    fn down(weights: &Weights, set: Instructions, name: &str) -> Self {
        let (weight, bias) = (weights.get(&format!("{name}.weight")), weights.get(&format!("{name}.bias")));
        let inputs = weight.len() / (4 * bias.len()).max(1);
        let shape = ConvShape::down2(inputs, bias.len());
        Self { conv: Conv::new(set, shape, |o, t, c| weight[(o * inputs + c) * 4 + t]), bias: Affine::bias(bias) }
    }
    /// A 1x1 convolution and pixel-shuffle by 2.
    fn up(weights: &Weights, set: Instructions, name: &str) -> Self {
        let (weight, bias) = (weights.get(&format!("{name}.weight")), weights.get(&format!("{name}.bias")));
        let (outputs, inputs) = (bias.len() / 4, weight.len() / bias.len().max(1));
        let place = |lane: usize| lane % outputs * 4 + lane / outputs;
        let conv = Conv::new(set, ConvShape::linear(inputs, 4 * outputs), |o, _, c| weight[place(o) * inputs + c]);
        let bias: Vec<f32> = (0..bias.len()).map(|lane| bias[place(lane)]).collect();
        Self { conv, bias: Affine::bias(&bias) }
    }
}

impl<C> Layer<C> {
    fn finish(&self) -> Finish<'_> {
        Finish::plain(&self.bias)
    }
}

/// `x + conv2(relu(conv1(x)))`, in place, and what comes after.
struct Residual {
    conv1: Layer<Conv3>,
    conv2: Layer<Conv3>,
}

impl Residual {
    fn new(weights: &Weights, way: Way, name: &str) -> Self {
        let layer = |part| Layer::conv3x3(weights, way, &format!("{name}.{part}"));
        Self { conv1: layer("conv1"), conv2: layer("conv2") }
    }
    fn run(&self, pool: &Pool, x: &mut Grid, between: &mut Grid, after: Activation) {
        let first = self.conv1.finish().before(Activation::Relu);
        self.conv1.conv.run(pool, x, first, Target::Grid(between));
        self.conv2.conv.run(pool, between, self.conv2.finish().accumulate().after(after), Target::Grid(x));
    }
}

impl Embedded {
    /// Packs the weights; the error is the end of a sentence that begins with the file's name.
    pub(super) fn new(weights: &Weights, way: Way, pool: &Pool) -> Result<Self, String> {
        let head = names::Head::check(weights)?;
        Ok(Self {
            pool: pool.clone(),
            way,
            condition: Condition::new(weights, head.genres.len(), head.scene.len(), way.set, pool),
            denoiser: Denoiser::new(weights, way),
            decoder: Decoder::new(weights, way),
            // What is fed back goes round many times.
            encoder: Encoder::new(weights, way.exact()),
            sigmas: head.sigmas,
            card: head.card(weights),
            canvas: None,
            last: None,
        })
    }

    pub(super) fn read_card(weights: &Weights) -> Result<Card, String> {
        Ok(names::Head::check(weights)?.card(weights))
    }

    /// The latent `(4, height / 8, width / 8)` of a picture: the way back from what the decoder makes.
    pub fn encode(&self, picture: &Picture) -> Result<Vec<f32>, GenerateError> {
        let (height, width) = (picture.height, picture.width);
        let fits = [height, width].iter().all(|n| *n > 0 && n.is_multiple_of(FACTOR))
            && picture.rgba.len() == 4 * height * width;
        if !fits {
            return Err(self.failed(format!("a picture of {width}x{height} cannot be encoded")));
        }
        Ok(self.encoder.run(&self.pool, &feedback::planes(picture), height, width))
    }

    fn failed(&self, why: String) -> GenerateError {
        GenerateError::Failed { model: self.card.name.clone(), why }
    }

    /// Makes the canvas fit the latent, prepares the conditioning, and goes from noise to the latent of the picture.
    fn denoise(&mut self, latent: &Latent, with: &Conditioning, steps: usize) -> Result<(), GenerateError> {
        let Shape { channels, height, width } = latent.shape;
        let side = |n: usize| n > 0 && n.is_multiple_of(MULTIPLE) && n <= LARGEST;
        if channels != LATENT || !side(height) || !side(width) || latent.values.len() != latent.shape.len() {
            return Err(GenerateError::Shape {
                model: self.card.name.clone(),
                expected: format!("{LATENT} x height x width, both multiples of {MULTIPLE} up to {LARGEST}"),
                found: format!("{channels} x {height} x {width}, {} values", latent.values.len()),
            });
        }
        let steps = steps.clamp(1, MAX_STEPS);
        let fed = self.fed(latent, with)?;
        self.condition.prepare(&self.pool, with, steps).map_err(|why| self.failed(why))?;
        let (set, pool, denoiser) = (self.way.set, &self.pool, &mut self.denoiser);
        let fits = |c: &Canvas| (c.height, c.width) == (height, width);
        let canvas = match self.canvas.take().filter(fits) {
            Some(canvas) => canvas,
            None => Canvas {
                height,
                width,
                latent: Grid::of_four(height, width),
                made: 1.0,
                denoiser: denoiser::Buffers::new(set, height, width, self.sigmas),
                decoder: decoder::Buffers::new(height, width),
            },
        };
        let canvas = self.canvas.insert(canvas);
        canvas.latent.fill_from(&latent.values);
        let asked = Asked::new(with, denoiser::whole(&canvas.latent), height, width);
        canvas.denoiser.see(pool, &canvas.latent, &asked);
        for step in 0..steps {
            let Canvas { latent, denoiser: buffers, .. } = canvas;
            denoiser.step(pool, latent, buffers, &mut self.condition, step, &asked.moments);
        }
        canvas.made = 1.0;
        if let Some(fed) = fed {
            canvas.made = 1.0 - fed.kept;
            fed.mix_into(&mut canvas.latent);
        }
        Ok(())
    }
}

impl Model for Embedded {
    fn card(&self) -> &Card {
        &self.card
    }

    /// Convolutions and linear layers, two operations a multiplication and addition, as network.py counts them.
    fn flops(&self, shape: Shape, steps: usize) -> u64 {
        names::flops(shape, steps.clamp(1, MAX_STEPS), self.card.genres.len())
    }

    fn runtime(&self) -> Runtime {
        Runtime {
            device: "cpu".to_owned(),
            precision: if self.way.element == Element::Float16 { "half" } else { "float32" },
            instructions: self.way.set.name().to_owned(),
            threads: self.pool.threads(),
        }
    }

    fn generate(
        &mut self,
        latent: &Latent,
        with: &Conditioning,
        steps: usize,
        picture: &mut Picture,
    ) -> Result<Timing, GenerateError> {
        let start = Instant::now();
        self.denoise(latent, with, steps)?;
        let denoised = Instant::now();
        let Some(canvas) = &mut self.canvas else {
            return Err(self.failed("no canvas".to_owned()));
        };
        (picture.stamp, picture.height, picture.width) = (latent.stamp, FACTOR * canvas.height, FACTOR * canvas.width);
        picture.rgba.resize(4 * picture.height * picture.width, 0);
        let Canvas { latent: cells, made, denoiser, decoder, .. } = canvas;
        self.decoder.run(&self.pool, cells, *made, denoiser, decoder, decoder::Output::Bytes(&mut picture.rgba));
        self.remember(latent, with, || feedback::planes(picture));
        let ms = |from: Instant, to: Instant| (to - from).as_secs_f32() * 1e3;
        Ok(Timing { denoise_ms: ms(start, denoised), decode_ms: ms(denoised, Instant::now()) })
    }

    fn generate_raw(&mut self, latent: &Latent, with: &Conditioning, steps: usize) -> Result<Raw, GenerateError> {
        self.denoise(latent, with, steps)?;
        let Some(canvas) = &mut self.canvas else {
            return Err(self.failed("no canvas".to_owned()));
        };
        let mut values = vec![0.0; latent.shape.len()];
        canvas.latent.copy_to(&mut values);
        let mut image = vec![0.0; 3 * FACTOR * FACTOR * canvas.height * canvas.width];
        let Canvas { latent: cells, made, denoiser, decoder, .. } = canvas;
        self.decoder.run(&self.pool, cells, *made, denoiser, decoder, decoder::Output::Floats(&mut image));
        self.remember(latent, with, || image.iter().map(|v| v.clamp(-1.0, 1.0)).collect());
        Ok(Raw { latent: values, latent_shape: latent.shape, image })
    }
}
