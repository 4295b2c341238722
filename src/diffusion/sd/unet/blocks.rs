//! Levels of the U-Net: resnets that know the timestep, attention after each, and the change of size between levels.

use candle_core::{Result, Tensor};

use super::{Prepared, UnetConfig, transformer::Transformer};
use crate::{
    diffusion::sd::layers::{
        After, At, Conv3, Double, Down, Engine, GroupNorm, Linear, MapSize, Pointwise, add_into, shift_maps,
    },
    kernels::{Element, Grid, Map},
};

/// Two convolutions with norms, the timestep added between them, and the input added at the end.
pub struct Resnet {
    norm_1: GroupNorm,
    conv_1: Conv3,
    time: Option<Linear>,
    norm_2: GroupNorm,
    conv_2: Conv3,
    shortcut: Option<Pointwise>,
    /// Of the first norm's output.
    lanes: usize,
    outputs: usize,
    engine: Engine,
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
        Self::joined(at, &[inputs], outputs, groups, epsilon, time_width)
    }

    /// Of several maps that count as one.
    pub fn joined(
        at: &At,
        parts: &[usize],
        outputs: usize,
        groups: usize,
        epsilon: f32,
        time_width: Option<usize>,
    ) -> Result<Self> {
        let inputs: usize = parts.iter().sum();
        let shortcut =
            (inputs != outputs).then(|| Pointwise::joined(&at.at("conv_shortcut"), parts, outputs)).transpose()?;
        let exact = at.engine.exact();
        let time = |w| Linear::new(&at.on(&exact).at("time_emb_proj"), w, outputs);
        Ok(Self {
            norm_1: GroupNorm::joined(&at.at("norm1"), parts, groups, epsilon),
            conv_1: Conv3::joined(&at.at("conv1"), parts, outputs)?,
            time: time_width.map(time),
            lanes: parts.iter().map(|p| p.next_multiple_of(16)).sum(),
            outputs,
            engine: at.engine.clone(),
            norm_2: GroupNorm::new(&at.at("norm2"), outputs, groups, epsilon),
            conv_2: Conv3::new(&at.at("conv2"), outputs, outputs)?,
            shortcut,
        })
    }

    /// `time` is the embedded timestep after its SiLU, (b, width).
    pub fn forward(&self, x: &Tensor, time: Option<&Tensor>) -> Result<Tensor> {
        let mut y = self.conv_1.forward(&self.norm_1.forward_silu(x)?)?;
        if let (Some(project), Some(time)) = (&self.time, time) {
            let added = project.forward(time)?.to_dtype(y.dtype())?;
            y = shift_maps(&self.engine, y, &added)?;
        }
        let y = self.conv_2.forward(&self.norm_2.forward_silu_into(y)?)?;
        match &self.shortcut {
            Some(shortcut) => add_into(y, &shortcut.forward(x)?),
            None => add_into(y, x),
        }
    }

    /// As [`Self::forward`] on the CPU, of one picture, whose map may be in parts.
    pub fn run(&self, inputs: &[&Grid], time: Option<&Tensor>) -> Result<Map> {
        let Some(first) = inputs.first() else { candle_core::bail!("a block takes a map") };
        let (engine, size) = (&self.engine, [first.height(), first.width()]);
        let shift = match (&self.time, time) {
            (Some(project), Some(time)) => Some(project.forward(time)?.flatten_all()?.to_vec1::<f32>()?),
            _ => None,
        };
        let mut normed = engine.map(self.lanes, size, self.conv_1.element());
        self.norm_1.run(inputs, true, &mut normed);
        let mut between = engine.map(self.outputs, size, Element::Float32);
        self.conv_1.run(&normed, After { shift: shift.as_deref(), ..After::default() }, &mut between);
        drop(normed);
        let mut normed = engine.map(self.outputs, size, self.conv_2.element());
        self.norm_2.run(&[&between], true, &mut normed);
        drop(between);
        let mut out = engine.map(self.outputs, size, Element::Float32);
        match &self.shortcut {
            Some(shortcut) => {
                shortcut.run(inputs, &mut out);
                self.conv_2.run(&normed, After { accumulate: true, ..After::default() }, &mut out);
            }
            None => self.conv_2.run(&normed, After { plus: Some(first), ..After::default() }, &mut out),
        }
        Ok(out)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Down,
    Up,
}

enum Resize {
    Down(Down),
    Up(Double),
    Same,
}

pub struct Level {
    resnets: Vec<Resnet>,
    attentions: Vec<Transformer>,
    resize: Resize,
    channels: usize,
    engine: Engine,
}

impl Level {
    pub fn new(at: &At, config: &UnetConfig, level: usize, side: Side, slots: &mut usize) -> Result<Self> {
        let UnetConfig { channels, layers, groups, cross, .. } = config;
        let last = channels.len() - 1;
        let at = &at.of_maps(MapSize::of_level(level, channels.len()));
        let to = channels[level];
        let above = channels[level.saturating_sub(1)];
        let below = channels[(level + 1).min(last)];
        let count = if side == Side::Down { *layers } else { layers + 1 };
        let mut resnets = Vec::new();
        for i in 0..count {
            let parts = match side {
                Side::Down if i == 0 => vec![above],
                Side::Down => vec![to],
                // What was kept on the way down comes back in reverse: the last one is from the level above.
                Side::Up => vec![if i == 0 { below } else { to }, if i == count - 1 { above } else { to }],
            };
            resnets.push(Resnet::joined(
                &at.at(format!("resnets.{i}")),
                &parts,
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
            Side::Up if level > 0 => Resize::Up(Double::new(&at.at("upsamplers.0.conv"), to, to, true)?),
            _ => Resize::Same,
        };
        Ok(Self { attentions: attentions.collect(), resnets, resize, channels: to, engine: at.engine.clone() })
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
        if let Resize::Up(double) = &self.resize {
            x = double.forward(&x)?;
        }
        Ok(x)
    }

    fn run_layer(&self, i: usize, inputs: &[&Grid], time: &Tensor, with: &Prepared, row: usize) -> Result<Map> {
        let x = self.resnets[i].run(inputs, Some(time))?;
        match self.attentions.get(i) {
            Some(attention) => attention.run(&x, with, row),
            None => Ok(x),
        }
    }

    /// As [`Self::down`] on the CPU, of one picture; the last map that is kept goes on.
    pub fn run_down(&self, time: &Tensor, with: &Prepared, row: usize, kept: &mut Vec<Map>) -> Result<()> {
        for i in 0..self.resnets.len() {
            let Some(x) = kept.last() else { candle_core::bail!("the U-Net kept too few maps") };
            let y = self.run_layer(i, &[x], time, with, row)?;
            kept.push(y);
        }
        if let (Resize::Down(down), Some(x)) = (&self.resize, kept.last()) {
            let mut y = self.engine.map(self.channels, [x.height() / 2, x.width() / 2], Element::Float32);
            down.run(x, &mut y);
            kept.push(y);
        }
        Ok(())
    }

    /// As [`Self::up`] on the CPU, of one picture.
    pub fn run_up(&self, mut x: Map, time: &Tensor, with: &Prepared, row: usize, kept: &mut Vec<Map>) -> Result<Map> {
        for i in 0..self.resnets.len() {
            let Some(skip) = kept.pop() else { candle_core::bail!("the U-Net kept too few maps") };
            x = self.run_layer(i, &[&x, &skip], time, with, row)?;
        }
        if let Resize::Up(double) = &self.resize {
            let mut y = self.engine.map(self.channels, [2 * x.height(), 2 * x.width()], Element::Float32);
            double.run(&x, &mut y);
            x = y;
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
        let at = &at.of_maps(MapSize::of_level(last, config.channels.len()));
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

    /// As [`Self::forward`] on the CPU, of one picture.
    pub fn run(&self, x: &Grid, time: &Tensor, with: &Prepared, row: usize) -> Result<Map> {
        let x = self.resnets[0].run(&[x], Some(time))?;
        let x = self.attention.run(&x, with, row)?;
        self.resnets[1].run(&[&x], Some(time))
    }
}
