//! TAESD: a tiny autoencoder (Ollin Boer Bohan) that takes a fifteenth of the KL decoder's time.
//!
//! Its latents are those of the U-Net, unscaled; pictures are 0..1 inside and -1..1 outside, as diffusers has it.

use candle_core::{DType, Result, Tensor};

use crate::{
    diffusion::sd::{
        files::Tensors,
        layers::{After, At, Conv3, Double, Down, Engine, each_row, tensor_of},
    },
    kernels::{Element, Form, Grid, Map, Parts},
};

/// Three convolutions and the input added, ReLU after each.
struct Block([Conv3; 3]);

impl Block {
    fn new(at: &At, c: usize) -> Result<Self> {
        let conv = |i: usize| Conv3::new(&at.at(format!("conv.{i}")), c, c);
        Ok(Self([conv(0)?, conv(2)?, conv(4)?]))
    }
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.0[1].forward(&self.0[0].forward(x)?.relu()?)?.relu()?;
        (self.0[2].forward(&y)? + x)?.relu()
    }
    /// As [`Self::forward`] on the CPU, of one picture, to a map of `makes`.
    fn run(&self, engine: &Engine, x: &Grid, makes: Element) -> Map {
        let relu = After { relu: true, ..After::default() };
        let like = |element| engine.like(Form { element, ..x.form() });
        let [mut y, mut z] = [(); 2].map(|()| like(x.form().element));
        self.0[0].run(x, relu, &mut z);
        self.0[1].run(&z, relu, &mut y);
        let mut out = if makes == x.form().element { z } else { like(makes) };
        self.0[2].run(&y, After { plus: Some(x), ..relu }, &mut out);
        out
    }
}

enum Layer {
    Conv(Conv3),
    ConvRelu(Conv3),
    Block(Block),
    Double(Double),
    Halve(Down),
}

impl Layer {
    fn element(&self) -> Element {
        match self {
            Self::Conv(conv) | Self::ConvRelu(conv) => conv.element(),
            Self::Block(block) => block.0[0].element(),
            Self::Double(double) => double.element(),
            Self::Halve(down) => down.element(),
        }
    }
}

fn run(layers: &[Layer], x: &Tensor) -> Result<Tensor> {
    let mut x = x.clone();
    for layer in layers {
        x = match layer {
            Layer::Conv(conv) => conv.forward(&x)?,
            Layer::ConvRelu(conv) => conv.forward(&x)?.relu()?,
            Layer::Block(block) => block.forward(&x)?,
            Layer::Double(double) => double.forward(&x)?,
            Layer::Halve(down) => down.forward(&x)?,
        };
    }
    Ok(x)
}

/// As [`run`] on the CPU, of one picture: from map to map, `outputs` channels at the end.
fn run_maps(layers: &[Layer], engine: &Engine, x: Map, width: usize, outputs: usize) -> Map {
    // Each map is as the layer after it likes to read it.
    let element = |i: usize| layers.get(i + 1).map_or(Element::Float32, Layer::element);
    let mut x = x;
    for (i, layer) in layers.iter().enumerate() {
        let channels = if i + 1 == layers.len() { outputs } else { width };
        let map = |x: &Grid, times: usize, over: usize| {
            engine.map(channels, [x.height() * times / over, x.width() * times / over], element(i))
        };
        let relu = matches!(layer, Layer::ConvRelu(_));
        x = match layer {
            Layer::Conv(conv) | Layer::ConvRelu(conv) => {
                let mut y = map(&x, 1, 1);
                conv.run(&x, After { relu, ..After::default() }, &mut y);
                y
            }
            Layer::Block(block) => block.run(engine, &x, element(i)),
            Layer::Double(double) => {
                let mut y = map(&x, 2, 1);
                double.run(&x, &mut y);
                y
            }
            Layer::Halve(down) => {
                let mut y = map(&x, 1, 2);
                down.run(&x, &mut y);
                y
            }
        };
    }
    x
}

pub struct Tiny {
    engine: Engine,
    decoder: Vec<Layer>,
    /// Files of the decoder alone are common.
    encoder: Option<Vec<Layer>>,
    width: usize,
}

impl Tiny {
    pub fn new(at: &At, tensors: &Tensors) -> Result<Self> {
        let width = tensors.size("decoder.layers.0.weight", 0);
        let decoder = at.at("decoder.layers");
        let conv = |i: usize| decoder.at(i);
        let mut layers = vec![Layer::ConvRelu(Conv3::new(&conv(0), 4, width)?)];
        for first in [2, 7, 12] {
            for i in 0..3 {
                layers.push(Layer::Block(Block::new(&conv(first + i), width)?));
            }
            layers.push(Layer::Double(Double::new(&conv(first + 4), width, width, false)?));
        }
        layers.push(Layer::Block(Block::new(&conv(17), width)?));
        layers.push(Layer::Conv(Conv3::new(&conv(18), width, 3)?));
        let encoder = if tensors.has("encoder.layers.0.weight") {
            Some(Self::encoder(&at.at("encoder.layers"), width)?)
        } else {
            None
        };
        Ok(Self { engine: at.engine.clone(), decoder: layers, encoder, width })
    }

    fn encoder(at: &At, width: usize) -> Result<Vec<Layer>> {
        let mut layers =
            vec![Layer::Conv(Conv3::new(&at.at(0), 3, width)?), Layer::Block(Block::new(&at.at(1), width)?)];
        for first in [2, 6, 10] {
            layers.push(Layer::Halve(Down::new(&at.at(first), width, width, false, true)?));
            for i in 1..4 {
                layers.push(Layer::Block(Block::new(&at.at(first + i), width)?));
            }
        }
        layers.push(Layer::Conv(Conv3::new(&at.at(14), width, 4)?));
        Ok(layers)
    }

    /// `(b, 4, h, w)` to `(b, 3, 8 h, 8 w)`, about -1..1.
    pub fn decode(&self, latent: &Tensor) -> Result<Tensor> {
        let squashed = ((latent / 3.0)?.tanh()? * 3.0)?;
        if self.engine.place.packs {
            let images = each_row(&squashed, |row| {
                let x = self.engine.map_of(&squashed, row, &Parts::one(4))?;
                tensor_of(&run_maps(&self.decoder, &self.engine, x, self.width, 3), 3)
            });
            return (images? * 2.0)? - 1.0;
        }
        (run(&self.decoder, &self.engine.place.bring(&squashed)?)?.to_dtype(DType::F32)? * 2.0)? - 1.0
    }

    /// Whether the file had an encoder.
    pub fn encodes(&self) -> bool {
        self.encoder.is_some()
    }

    /// `(b, 3, 8 h, 8 w)`, -1..1, to `(b, 4, h, w)`.
    pub fn encode(&self, picture: &Tensor) -> Result<Tensor> {
        let Some(encoder) = &self.encoder else { candle_core::bail!("TAESD came without its encoder") };
        let x = ((picture + 1.0)? * 0.5)?;
        if !self.engine.place.packs {
            return run(encoder, &self.engine.place.bring(&x)?)?.to_dtype(DType::F32);
        }
        each_row(&x, |row| {
            let x = self.engine.map_of(&x, row, &Parts::one(3))?;
            tensor_of(&run_maps(encoder, &self.engine, x, self.width, 4), 4)
        })
    }

    pub fn flops(&self, height: usize, width: usize) -> u64 {
        let (area, c) = ((height * width) as u64, self.width as u64);
        let convs: u64 = (0..4).map(|level| (if level == 3 { 3 } else { 9 } * area) << (2 * level)).sum::<u64>()
            + (area << 2)
            + (area << 4)
            + (area << 6);
        2 * 9 * (c * c * convs + 4 * c * area + 3 * c * (area << 6))
    }
}
