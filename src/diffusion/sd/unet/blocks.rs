//! Levels of the U-Net: resnets that know the timestep, attention after each, and the change of size between levels.

use candle_core::{Result, Tensor};

use super::{Prepared, UnetConfig, transformer::Transformer};
use crate::diffusion::sd::layers::{At, Conv3, Down, GroupNorm, Linear, Pointwise, add_into};

/// Two convolutions with norms, the timestep added between them, and the input added at the end.
pub struct Resnet {
    norm_1: GroupNorm,
    conv_1: Conv3,
    time: Option<Linear>,
    norm_2: GroupNorm,
    conv_2: Conv3,
    shortcut: Option<Pointwise>,
}

impl Resnet {
    /// `time_width` of none is the decoder's, which knows no timestep.
    pub fn new(
        at: &At,
        inputs: usize,
        outputs: usize,
        groups: usize,
        epsilon: f32,
        time_width: Option<usize>,
    ) -> Result<Self> {
        let shortcut =
            (inputs != outputs).then(|| Pointwise::new(&at.at("conv_shortcut"), inputs, outputs)).transpose()?;
        Ok(Self {
            norm_1: GroupNorm::new(&at.at("norm1"), inputs, groups, epsilon),
            conv_1: Conv3::new(&at.at("conv1"), inputs, outputs)?,
            time: time_width.map(|w| Linear::new(&at.at("time_emb_proj"), w, outputs)),
            norm_2: GroupNorm::new(&at.at("norm2"), outputs, groups, epsilon),
            conv_2: Conv3::new(&at.at("conv2"), outputs, outputs)?,
            shortcut,
        })
    }

    /// `time` is the embedded timestep after its SiLU, (b, width).
    pub fn forward(&self, x: &Tensor, time: Option<&Tensor>) -> Result<Tensor> {
        let mut y = self.conv_1.forward(&self.norm_1.forward_silu(x)?)?;
        if let (Some(project), Some(time)) = (&self.time, time) {
            let added = project.forward(time)?;
            let (b, c) = added.dims2()?;
            y = y.broadcast_add(&added.reshape((b, c, 1, 1))?)?;
        }
        let y = self.conv_2.forward(&self.norm_2.forward_silu_into(y)?)?;
        match &self.shortcut {
            Some(shortcut) => add_into(y, &shortcut.forward(x)?),
            None => add_into(y, x),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Down,
    Up,
}

#[expect(clippy::large_enum_variant, reason = "few and long-lived: a box would only add a step")]
enum Resize {
    Down(Down),
    Up(Conv3),
    Same,
}

pub struct Level {
    resnets: Vec<Resnet>,
    attentions: Vec<Transformer>,
    resize: Resize,
}

impl Level {
    pub fn new(at: &At, config: &UnetConfig, level: usize, side: Side, slots: &mut usize) -> Result<Self> {
        let UnetConfig { channels, layers, groups, cross, .. } = config;
        let last = channels.len() - 1;
        let to = channels[level];
        let above = channels[level.saturating_sub(1)];
        let below = channels[(level + 1).min(last)];
        let count = if side == Side::Down { *layers } else { layers + 1 };
        let mut resnets = Vec::new();
        for i in 0..count {
            let inputs = match side {
                Side::Down if i == 0 => above,
                Side::Down => to,
                // What was kept on the way down comes back in reverse: the last one is from the level above.
                Side::Up => (if i == 0 { below } else { to }) + if i == count - 1 { above } else { to },
            };
            resnets.push(Resnet::new(
                &at.at(format!("resnets.{i}")),
                inputs,
                to,
                *groups,
                1e-5,
                Some(config.time_width()),
            )?);
        }
        let depth = config.depth[level];
        let attentions = (0..if depth == 0 { 0 } else { count }).map(|i| {
            Transformer::new(&at.at(format!("attentions.{i}")), to, config.heads[level], depth, *cross, *groups, slots)
        });
        let resize = match side {
            Side::Down if level < last => Resize::Down(Down::new(&at.at("downsamplers.0.conv"), to, to, true, true)?),
            Side::Up if level > 0 => Resize::Up(Conv3::new(&at.at("upsamplers.0.conv"), to, to)?),
            _ => Resize::Same,
        };
        Ok(Self { attentions: attentions.collect(), resnets, resize })
    }

    pub fn transformers(&self) -> impl Iterator<Item = &Transformer> {
        self.attentions.iter()
    }

    fn layer(&self, i: usize, x: &Tensor, time: &Tensor, with: &Prepared) -> Result<Tensor> {
        let x = self.resnets[i].forward(x, Some(time))?;
        self.attentions.get(i).map_or(Ok(x.clone()), |a| a.forward(&x, with))
    }

    /// The way down; each map is kept for the way up.
    pub fn down(&self, mut x: Tensor, time: &Tensor, with: &Prepared, kept: &mut Vec<Tensor>) -> Result<Tensor> {
        for i in 0..self.resnets.len() {
            x = self.layer(i, &x, time, with)?;
            kept.push(x.clone());
        }
        if let Resize::Down(down) = &self.resize {
            x = down.forward(&x)?;
            kept.push(x.clone());
        }
        Ok(x)
    }

    pub fn up(&self, mut x: Tensor, time: &Tensor, with: &Prepared, kept: &mut Vec<Tensor>) -> Result<Tensor> {
        for i in 0..self.resnets.len() {
            let Some(skip) = kept.pop() else { candle_core::bail!("the U-Net kept too few maps") };
            x = self.layer(i, &Tensor::cat(&[&x, &skip], 1)?, time, with)?;
        }
        if let Resize::Up(conv) = &self.resize {
            let (_, _, h, w) = x.dims4()?;
            x = conv.forward(&x.upsample_nearest2d(2 * h, 2 * w)?)?;
        }
        Ok(x)
    }
}

/// The coarsest level: resnet, attention, resnet.
pub struct Middle {
    resnets: [Resnet; 2],
    attention: Transformer,
}

impl Middle {
    pub fn new(at: &At, config: &UnetConfig, slots: &mut usize) -> Result<Self> {
        let last = config.channels.len() - 1;
        let c = config.channels[last];
        let resnet = |i: usize| {
            Resnet::new(&at.at(format!("resnets.{i}")), c, c, config.groups, 1e-5, Some(config.time_width()))
        };
        let (heads, depth) = (config.heads[last], config.mid_depth);
        Ok(Self {
            resnets: [resnet(0)?, resnet(1)?],
            attention: Transformer::new(&at.at("attentions.0"), c, heads, depth, config.cross, config.groups, slots),
        })
    }
    pub fn transformer(&self) -> &Transformer {
        &self.attention
    }
    pub fn forward(&self, x: Tensor, time: &Tensor, with: &Prepared) -> Result<Tensor> {
        let x = self.resnets[0].forward(&x, Some(time))?;
        let x = self.attention.forward(&x, with)?;
        self.resnets[1].forward(&x, Some(time))
    }
}
