//! The KL autoencoder: latents of 4 channels to pictures eight times as large, and back.
//!
//! After diffusers' AutoencoderKL. On the CPU it always computes in float32; elsewhere in the numbers of its engine, which
//! are float32 where half precision would overflow (SDXL's).

mod tiny;

use candle_core::{DType, Result, Tensor};

use super::{
    layers::{After, At, Conv3, Double, Down, Engine, GroupNorm, Linear, Pointwise, attend, each_row, tensor_of},
    unet::Resnet,
};
use crate::kernels::{Element, Grid, Map, Parts};

pub use tiny::Tiny;

/// The norms of the autoencoder divide by more than this.
const EPSILON: f32 = 1e-6;
const LATENT: usize = 4;

#[derive(Debug, Clone, PartialEq)]
pub struct VaeConfig {
    /// Of each level, finest first.
    pub channels: Vec<usize>,
    pub layers: usize,
    pub groups: usize,
    /// What latents are multiplied with after the encoder and divided by before the decoder.
    pub scaling: f32,
    pub shift: f32,
    /// Whether there are 1x1 convolutions around the latent.
    pub quant: bool,
}

impl VaeConfig {
    pub fn check(&self) -> std::result::Result<(), String> {
        let fits = |c: &usize| *c > 0 && self.groups > 0 && c.is_multiple_of(self.groups);
        if self.channels.iter().all(fits)
            && self.channels.len() == 4
            && (1..=16).contains(&self.layers)
            && self.scaling > 0.0
        {
            return Ok(());
        }
        Err(format!("has a decoder that cannot be built (levels of {:?}, {} groups)", self.channels, self.groups))
    }

    /// Takes what shapes do not tell from the configuration of a decoder that has the same shapes.
    pub fn adopt(&mut self, known: &Self) {
        if (&self.channels, self.layers) == (&known.channels, known.layers) {
            (self.groups, self.scaling, self.shift) = (known.groups, known.scaling, known.shift);
        }
    }
}

/// Resnet, attention over all pixels, resnet.
struct Middle {
    resnets: [Resnet; 2],
    norm: GroupNorm,
    queries: Linear,
    keys: Linear,
    values: Linear,
    out: Linear,
    channels: usize,
    engine: Engine,
}

impl Middle {
    fn new(at: &At, c: usize, groups: usize) -> Result<Self> {
        let attention = at.at("attentions.0");
        let linear = |name: &str| Linear::new(&attention.at(name), c, c);
        let resnet = |i: usize| Resnet::new(&at.at(format!("resnets.{i}")), c, c, groups, EPSILON, None);
        Ok(Self {
            resnets: [resnet(0)?, resnet(1)?],
            norm: GroupNorm::new(&attention.at("group_norm"), c, groups, EPSILON),
            queries: linear("to_q"),
            keys: linear("to_k"),
            values: linear("to_v"),
            out: linear("to_out.0"),
            channels: c,
            engine: at.engine.clone(),
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.resnets[0].forward(x, None)?;
        let (b, c, h, w) = x.dims4()?;
        let tokens = self.norm.forward(&x)?.reshape((b, c, h * w))?.transpose(1, 2)?.contiguous()?;
        let [q, k, v] = [&self.queries, &self.keys, &self.values].map(|l| l.forward(&tokens));
        let y = self.out.forward(&attend(&self.engine, &q?, &k?, &v?, 1)?)?;
        let x = (y.transpose(1, 2)?.reshape((b, c, h, w))? + x)?;
        self.resnets[1].forward(&x, None)
    }

    /// As [`Self::forward`] on the CPU, of one picture.
    fn run(&self, x: &Grid) -> Result<Map> {
        let (engine, c, size) = (&self.engine, self.channels, [x.height(), x.width()]);
        let x = self.resnets[0].run(&[x], None)?;
        let memory = || engine.tokens(c, size, Element::Float32);
        let [mut normed, mut queries, mut keys, mut values] = [memory(), memory(), memory(), memory()];
        self.norm.run(&[&x], false, &mut normed);
        self.queries.run(&normed, &mut queries);
        self.keys.run(&normed, &mut keys);
        self.values.run(&normed, &mut values);
        engine.attend([&queries, &keys, &values], 1, c, &mut normed);
        let mut out = engine.map(c, size, Element::Float32);
        self.out.run_plus(&normed, &x, &mut out);
        self.resnets[1].run(&[&out], None)
    }
}

pub struct Decoder {
    config: VaeConfig,
    quant: Option<Pointwise>,
    conv_in: Conv3,
    middle: Middle,
    levels: Vec<(Vec<Resnet>, Option<Double>)>,
    norm_out: GroupNorm,
    conv_out: Conv3,
    engine: Engine,
}

impl Decoder {
    pub fn new(root: &At, config: &VaeConfig) -> Result<Self> {
        let at = root.at("decoder");
        let VaeConfig { channels, layers, groups, .. } = config;
        let last = channels.len() - 1;
        let mut levels = Vec::new();
        for i in 0..=last {
            let at = at.at(format!("up_blocks.{i}"));
            let to = channels[last - i];
            let from = channels[(last + 1 - i).min(last)];
            let mut resnets = Vec::new();
            for j in 0..=*layers {
                resnets.push(Resnet::new(
                    &at.at(format!("resnets.{j}")),
                    if j == 0 { from } else { to },
                    to,
                    *groups,
                    EPSILON,
                    None,
                )?);
            }
            let up = (i < last).then(|| Double::new(&at.at("upsamplers.0.conv"), to, to, true)).transpose()?;
            levels.push((resnets, up));
        }
        Ok(Self {
            quant: config.quant.then(|| Pointwise::new(&root.at("post_quant_conv"), LATENT, LATENT)).transpose()?,
            conv_in: Conv3::new(&at.at("conv_in"), LATENT, channels[last])?,
            middle: Middle::new(&at.at("mid_block"), channels[last], *groups)?,
            levels,
            norm_out: GroupNorm::new(&at.at("conv_norm_out"), channels[0], *groups, EPSILON),
            conv_out: Conv3::new(&at.at("conv_out"), channels[0], 3)?,
            engine: at.engine.clone(),
            config: config.clone(),
        })
    }

    /// `(b, 4, h, w)` as the U-Net has it to `(b, 3, 8 h, 8 w)`, about -1..1.
    pub fn forward(&self, latent: &Tensor) -> Result<Tensor> {
        let mut x = ((latent / f64::from(self.config.scaling))? + f64::from(self.config.shift))?;
        x = self.engine.place.bring(&x)?;
        if let Some(quant) = &self.quant {
            x = quant.forward(&x)?;
        }
        if self.engine.place.packs {
            return each_row(&x, |row| self.run(&*self.engine.map_of(&x, row, &Parts::one(LATENT))?));
        }
        x = self.middle.forward(&self.conv_in.forward(&x)?)?;
        for (resnets, up) in &self.levels {
            for resnet in resnets {
                x = resnet.forward(&x, None)?;
            }
            if let Some(double) = up {
                x = double.forward(&x)?;
            }
        }
        self.conv_out.forward(&self.norm_out.forward_silu(&x)?)?.to_dtype(DType::F32)
    }

    /// One picture on the CPU, from map to map.
    fn run(&self, latent: &Grid) -> Result<Tensor> {
        let (engine, channels) = (&self.engine, &self.config.channels);
        let last = channels.len() - 1;
        let size = |x: &Grid| [x.height(), x.width()];
        let mut x = engine.map(channels[last], size(latent), Element::Float32);
        self.conv_in.run(latent, After::default(), &mut x);
        x = self.middle.run(&x)?;
        for (i, (resnets, up)) in self.levels.iter().enumerate() {
            for resnet in resnets {
                x = resnet.run(&[&x], None)?;
            }
            if let Some(double) = up {
                let mut y = engine.map(channels[last - i], size(&x).map(|n| 2 * n), Element::Float32);
                double.run(&x, &mut y);
                x = y;
            }
        }
        let mut normed = engine.map(channels[0], size(&x), Element::Float32);
        self.norm_out.run(&[&x], true, &mut normed);
        let mut out = engine.map(3, size(&x), Element::Float32);
        self.conv_out.run(&normed, After::default(), &mut out);
        tensor_of(&out, 3)
    }

    /// Multiplications and additions for a latent, two operations each.
    pub fn flops(&self, height: usize, width: usize) -> u64 {
        let VaeConfig { channels, layers, .. } = &self.config;
        let last = channels.len() - 1;
        let conv = |a: usize, b: usize, area: u64| 9 * (a * b) as u64 * area;
        let mut area = (height * width) as u64;
        let deep = channels[last] as u64;
        let mut macs = conv(4, channels[last], area) + 4 * conv(channels[last], channels[last], area);
        macs += 4 * deep * deep * area + 2 * deep * area * area;
        for i in 0..=last {
            let (to, from) = (channels[last - i], channels[(last + 1 - i).min(last)]);
            macs += conv(from, to, area) + (2 * *layers as u64 + 1) * conv(to, to, area);
            if i < last {
                area *= 4;
                macs += conv(to, to, area);
            }
        }
        2 * (macs + conv(channels[0], 3, area))
    }
}

pub struct Encoder {
    config: VaeConfig,
    conv_in: Conv3,
    levels: Vec<(Vec<Resnet>, Option<Down>)>,
    middle: Middle,
    norm_out: GroupNorm,
    conv_out: Conv3,
    quant: Option<Pointwise>,
    engine: Engine,
}

impl Encoder {
    pub fn new(root: &At, config: &VaeConfig) -> Result<Self> {
        let at = root.at("encoder");
        let VaeConfig { channels, layers, groups, .. } = config;
        let last = channels.len() - 1;
        let mut levels = Vec::new();
        for i in 0..=last {
            let at = at.at(format!("down_blocks.{i}"));
            let (to, from) = (channels[i], channels[i.saturating_sub(1)]);
            let mut resnets = Vec::new();
            for j in 0..*layers {
                resnets.push(Resnet::new(
                    &at.at(format!("resnets.{j}")),
                    if j == 0 { from } else { to },
                    to,
                    *groups,
                    EPSILON,
                    None,
                )?);
            }
            let down = (i < last).then(|| Down::new(&at.at("downsamplers.0.conv"), to, to, true, false)).transpose()?;
            levels.push((resnets, down));
        }
        Ok(Self {
            conv_in: Conv3::new(&at.at("conv_in"), 3, channels[0])?,
            levels,
            middle: Middle::new(&at.at("mid_block"), channels[last], *groups)?,
            norm_out: GroupNorm::new(&at.at("conv_norm_out"), channels[last], *groups, EPSILON),
            conv_out: Conv3::new(&at.at("conv_out"), channels[last], 2 * LATENT)?,
            quant: config.quant.then(|| Pointwise::new(&root.at("quant_conv"), 2 * LATENT, 2 * LATENT)).transpose()?,
            engine: at.engine.clone(),
            config: config.clone(),
        })
    }

    /// The mean of the latents that a picture `(b, 3, 8 h, 8 w)` may have, before scaling: `(b, 4, h, w)`.
    pub fn mean(&self, picture: &Tensor) -> Result<Tensor> {
        let mut x = if self.engine.place.packs {
            each_row(picture, |row| self.run(&*self.engine.map_of(picture, row, &Parts::one(3))?))?
        } else {
            let mut x = self.conv_in.forward(&self.engine.place.bring(picture)?)?;
            for (resnets, down) in &self.levels {
                for resnet in resnets {
                    x = resnet.forward(&x, None)?;
                }
                if let Some(down) = down {
                    x = down.forward(&x)?;
                }
            }
            self.conv_out.forward(&self.norm_out.forward_silu(&self.middle.forward(&x)?)?)?
        };
        if let Some(quant) = &self.quant {
            x = quant.forward(&x)?;
        }
        x.narrow(1, 0, LATENT)?.contiguous()?.to_dtype(DType::F32)
    }

    /// One picture on the CPU, from map to map.
    fn run(&self, picture: &Grid) -> Result<Tensor> {
        let (engine, channels) = (&self.engine, &self.config.channels);
        let size = |x: &Grid| [x.height(), x.width()];
        let mut x = engine.map(channels[0], size(picture), Element::Float32);
        self.conv_in.run(picture, After::default(), &mut x);
        for ((resnets, down), channels) in self.levels.iter().zip(channels) {
            for resnet in resnets {
                x = resnet.run(&[&x], None)?;
            }
            if let Some(down) = down {
                let mut y = engine.map(*channels, size(&x).map(|n| n / 2), Element::Float32);
                down.run(&x, &mut y);
                x = y;
            }
        }
        x = self.middle.run(&x)?;
        let mut normed = engine.map(channels[channels.len() - 1], size(&x), Element::Float32);
        self.norm_out.run(&[&x], true, &mut normed);
        let mut out = engine.map(2 * LATENT, size(&x), Element::Float32);
        self.conv_out.run(&normed, After::default(), &mut out);
        tensor_of(&out, 2 * LATENT)
    }

    /// As the U-Net has it.
    pub fn forward(&self, picture: &Tensor) -> Result<Tensor> {
        (self.mean(picture)? - f64::from(self.config.shift))? * f64::from(self.config.scaling)
    }
}
