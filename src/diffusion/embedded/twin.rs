//! The box's first step once more, in operations that candle can differentiate: for training what conditions it.
//!
//! The kernels paint; this only teaches. It computes what network.py's `Denoiser.forward` does at t = 0, channels last,
//! convolutions as one product over nine shifted copies (candle's own way back through a convolution is many times
//! slower), with gradients to genres, mood and context tokens. Weights are constants: nothing in the box is trained.

use candle_core::{Device, Result, Tensor};

use super::{
    Embedded, LATENT, WEIGHTS, Way,
    denoiser::{self, Study},
    names::{BLOCKS, CONDITION, CONTEXT, HEADS, LEVELS, SEEN, TIME},
};
use crate::{
    diffusion::{Conditioning, GenerateError, Model, device::Precision, weights::Weights},
    kernels::{Instructions, Pool, physical_cores},
    latent::Latent,
};

/// PyTorch's default.
const EPSILON: f64 = 1e-5;

impl Embedded {
    /// The model in the box itself, on all physical cores.
    ///
    /// # Errors
    /// The end of a sentence: what is wrong with the box's weights.
    pub fn in_the_box() -> std::result::Result<Self, String> {
        Self::new(
            &Weights::parse(WEIGHTS)?,
            Way::of(Instructions::best(), Precision::Auto),
            &Pool::new(physical_cores()),
        )
    }

    /// What the denoiser sees of a latent in its first step, and the picture's latent that it makes of it.
    ///
    /// # Errors
    /// A latent or conditioning that the box does not take.
    pub fn study(&mut self, latent: &Latent, with: &Conditioning) -> std::result::Result<Study, GenerateError> {
        let painted = self.generate_raw(latent, with, 1)?;
        let Some(canvas) = &mut self.canvas else {
            return Err(self.failed("no canvas".to_owned()));
        };
        canvas.latent.fill_from(&latent.values);
        let moments = denoiser::whole(&canvas.latent);
        Ok(Study { seen: canvas.denoiser.seen_by_network(), moments, latent: painted.latent })
    }
}

/// The box's first step on candle's tensors.
pub struct Twin {
    device: Device,
    genre: Tensor,
    gate: Tensor,
    mood: Tensor,
    whole: Tensor,
    /// What time adds at its start.
    time: Tensor,
    cond: Dense,
    null: Tensor,
    scene_name: Tensor,
    scene_value: Tensor,
    conv_in: Dense,
    blocks: Vec<Block>,
    down: [Dense; 2],
    up: [Dense; 2],
    self_attention: Attention,
    cross_attention: Attention,
    conv_out: Dense,
}

/// `x W + b`, W (inputs, outputs); for a 3x3 convolution the inputs are nine shifted copies.
struct Dense {
    weight: Tensor,
    bias: Tensor,
}

struct Block {
    conv1: Dense,
    conv2: Dense,
    film: Dense,
}

struct Attention {
    norm: (Tensor, Tensor),
    q: Dense,
    kv: Dense,
    out: Dense,
}

/// Finds tensors of the box.
struct Tensors<'a> {
    weights: &'a Weights,
    device: &'a Device,
}

impl Tensors<'_> {
    fn get(&self, name: &str, dims: &[usize]) -> Result<Tensor> {
        Tensor::from_slice(self.weights.get(&format!("denoiser.{name}")), dims, self.device)
    }
    fn matrix(&self, name: &str, inputs: usize, outputs: usize) -> Result<Tensor> {
        self.get(&format!("{name}.weight"), &[outputs, inputs])?.t()?.contiguous()
    }
    fn dense(&self, name: &str, inputs: usize, outputs: usize) -> Result<Dense> {
        Ok(Dense { weight: self.matrix(name, inputs, outputs)?, bias: self.get(&format!("{name}.bias"), &[outputs])? })
    }
    fn conv(&self, name: &str, inputs: usize, outputs: usize) -> Result<Dense> {
        let weight = self.get(&format!("{name}.weight"), &[outputs, inputs, 3, 3])?;
        let weight = weight.permute((2, 3, 1, 0))?.contiguous()?.reshape((9 * inputs, outputs))?;
        Ok(Dense { weight, bias: self.get(&format!("{name}.bias"), &[outputs])? })
    }
    fn attention(&self, name: &str, context: usize) -> Result<Attention> {
        let c = LEVELS[2];
        let norm = |part: &str| self.get(&format!("{name}.norm.{part}"), &[c]);
        Ok(Attention {
            norm: (norm("weight")?, norm("bias")?),
            q: self.dense(&format!("{name}.q"), c, c)?,
            kv: self.dense(&format!("{name}.kv"), context, 2 * c)?,
            out: self.dense(&format!("{name}.out"), c, c)?,
        })
    }
}

impl Dense {
    /// (.., inputs) -> (.., outputs)
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut dims = x.dims().to_vec();
        let (inputs, outputs) = self.weight.dims2()?;
        let y = x.contiguous()?.reshape(((), inputs))?.matmul(&self.weight)?.broadcast_add(&self.bias)?;
        if let Some(last) = dims.last_mut() {
            *last = outputs;
        }
        y.reshape(dims)
    }

    /// (b, h, w, inputs) -> (b, h, w, outputs)
    fn convolve(&self, x: &Tensor) -> Result<Tensor> {
        let (_, height, width, _) = x.dims4()?;
        let padded = x.pad_with_zeros(1, 1, 1)?.pad_with_zeros(2, 1, 1)?;
        let shifted: Vec<Tensor> =
            (0..9).map(|tap| padded.narrow(1, tap / 3, height)?.narrow(2, tap % 3, width)).collect::<Result<_>>()?;
        self.forward(&Tensor::cat(&shifted, 3)?)
    }
}

impl Block {
    fn new(from: &Tensors, name: &str, c: usize) -> Result<Self> {
        Ok(Self {
            conv1: from.conv(&format!("{name}.conv1"), c, c)?,
            conv2: from.conv(&format!("{name}.conv2"), c, c)?,
            film: from.dense(&format!("{name}.film"), CONDITION, 2 * c)?,
        })
    }

    fn forward(&self, x: &Tensor, e: &Tensor) -> Result<Tensor> {
        let film = self.film.forward(e)?.unsqueeze(1)?.unsqueeze(1)?;
        let c = film.dim(3)? / 2;
        let scale = (film.narrow(3, 0, c)? + 1.0)?;
        let between = self.conv1.convolve(x)?.broadcast_mul(&scale)?.broadcast_add(&film.narrow(3, c, c)?)?;
        x + self.conv2.convolve(&between.silu()?)?
    }
}

impl Attention {
    /// Over the cells (b, h, w, c) themselves, or over the context (b, n, width).
    fn forward(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let (batch, height, width, c) = x.dims4()?;
        let cells = x.reshape((batch, height * width, c))?;
        let centred = cells.broadcast_sub(&cells.mean_keepdim(2)?)?;
        let deviation = (centred.sqr()?.mean_keepdim(2)? + EPSILON)?.sqrt()?;
        let y = centred.broadcast_div(&deviation)?.broadcast_mul(&self.norm.0)?.broadcast_add(&self.norm.1)?;
        let both = self.kv.forward(context.unwrap_or(&y))?;
        let heads = |t: Tensor| -> Result<Tensor> {
            let n = t.dim(1)?;
            t.reshape((batch, n, HEADS, c / HEADS))?.transpose(1, 2)?.contiguous()
        };
        let (q, k) = (heads(self.q.forward(&y)?)?, heads(both.narrow(2, 0, c)?.contiguous()?)?);
        let v = heads(both.narrow(2, c, c)?.contiguous()?)?;
        let scores = (q.matmul(&k.transpose(2, 3)?.contiguous()?)? / ((c / HEADS) as f64).sqrt())?;
        let raised = scores.broadcast_sub(&scores.max_keepdim(3)?.detach())?.exp()?;
        let shares = raised.broadcast_div(&raised.sum_keepdim(3)?)?;
        let mixed = shares.matmul(&v)?.transpose(1, 2)?.contiguous()?.reshape((batch, height, width, c))?;
        x + self.out.forward(&mixed)?
    }
}

/// (b, h, w, c) -> (b, h/2, w/2, 4c)
fn unshuffle(x: &Tensor) -> Result<Tensor> {
    let (b, h, w, c) = x.dims4()?;
    x.reshape(&[b, h / 2, 2, w / 2, 2, c])?.permute(vec![0, 1, 3, 5, 2, 4])?.contiguous()?.reshape((
        b,
        h / 2,
        w / 2,
        4 * c,
    ))
}

/// (b, h, w, 4c) -> (b, 2h, 2w, c)
fn shuffle(x: &Tensor) -> Result<Tensor> {
    let (b, h, w, c) = x.dims4()?;
    x.reshape(&[b, h, w, c / 4, 2, 2])?.permute(vec![0, 1, 4, 2, 5, 3])?.contiguous()?.reshape((b, 2 * h, 2 * w, c / 4))
}

impl Twin {
    /// Of the model in the box.
    ///
    /// # Errors
    /// Weights that do not fit together.
    pub fn new(device: &Device) -> Result<Self> {
        let weights = Weights::parse(WEIGHTS).map_err(candle_core::Error::Msg)?;
        let from = Tensors { weights: &weights, device };
        let [c0, c1, c2] = LEVELS;
        let genres = weights.get("denoiser.genre.weight").len() / CONDITION;
        let scene = weights.get("denoiser.scene_name").len() / CONTEXT;
        let start: Vec<f32> = (0..TIME).map(|k| if k < TIME / 2 { 1.0 } else { 0.0 }).collect();
        let time = from.dense("time", TIME, CONDITION)?.forward(&Tensor::from_vec(start, (1, TIME), device)?)?;
        Ok(Self {
            genre: from.matrix("genre", genres, CONDITION)?,
            gate: from.matrix("gate", genres, SEEN)?,
            mood: from.matrix("mood", 2, CONDITION)?,
            whole: from.matrix("whole", 3 * LATENT, CONDITION)?,
            time,
            cond: from.dense("cond", CONDITION, CONDITION)?,
            null: from.get("null", &[1, 1, CONTEXT])?,
            scene_name: from.get("scene_name", &[1, scene, CONTEXT])?,
            scene_value: from.get("scene_value", &[1, scene, CONTEXT])?,
            conv_in: from.conv("conv_in", SEEN, c0)?,
            blocks: BLOCKS.iter().map(|(name, c)| Block::new(&from, name, *c)).collect::<Result<_>>()?,
            down: [from.dense("down0", 4 * c0, c1)?, from.dense("down1", 4 * c1, c2)?],
            up: [from.dense("up0", c1, 4 * c0)?, from.dense("up1", c2, 4 * c1)?],
            self_attention: from.attention("self_attention", c2)?,
            cross_attention: from.attention("cross_attention", CONTEXT)?,
            conv_out: from.conv("conv_out", c0, LATENT)?,
            device: device.clone(),
        })
    }

    /// Studies of latents of one size, as tensors: (b, h, w, seen), their moments, and the latents (b, h, w, 4).
    pub fn studies(&self, studies: &[&Study], height: usize, width: usize) -> Result<(Tensor, Tensor, Tensor)> {
        let planes = |of: fn(&Study) -> &[f32], channels: usize| {
            let all: Vec<f32> = studies.iter().flat_map(|study| of(study).iter().copied()).collect();
            let planar = Tensor::from_vec(all, (studies.len(), channels, height, width), &self.device)?;
            planar.permute((0, 2, 3, 1))?.contiguous()
        };
        let moments: Vec<f32> = studies.iter().flat_map(|study| study.moments).collect();
        let moments = Tensor::from_vec(moments, (studies.len(), 3 * LATENT), &self.device)?;
        Ok((planes(|s| &s.seen, SEEN)?, moments, planes(|s| &s.latent, LATENT)?))
    }

    /// Tokens of the scene's values (b, scene), all of them said.
    pub fn scene_tokens(&self, values: &Tensor) -> Result<Tensor> {
        values.unsqueeze(2)?.broadcast_mul(&self.scene_value)?.broadcast_add(&self.scene_name)
    }

    /// The picture's latent (b, h, w, 4) after one step: genres (b, genres) add to 1, mood (b, 2), context (b, n, 64).
    pub fn estimate(
        &self,
        (seen, moments): (&Tensor, &Tensor),
        genres: &Tensor,
        mood: &Tensor,
        context: &Tensor,
    ) -> Result<Tensor> {
        let batch = seen.dim(0)?;
        let e = (genres.matmul(&self.genre)? + mood.matmul(&self.mood)? + moments.matmul(&self.whole)?)?;
        let e = self.cond.forward(&e.broadcast_add(&self.time)?.silu()?)?.silu()?;
        let null = self.null.broadcast_as((batch, 1, CONTEXT))?.contiguous()?;
        let tokens = Tensor::cat(&[&null, context], 1)?;
        let gate = genres.matmul(&self.gate)?.unsqueeze(1)?.unsqueeze(1)?;
        let block = |n: usize, x: &Tensor| self.blocks[n].forward(x, &e);
        let s0 = block(0, &self.conv_in.convolve(&seen.broadcast_mul(&gate)?)?)?;
        let s1 = block(1, &self.down[0].forward(&unshuffle(&s0)?)?)?;
        let m = block(2, &self.down[1].forward(&unshuffle(&s1)?)?)?;
        let m = self.cross_attention.forward(&self.self_attention.forward(&m, None)?, Some(&tokens))?;
        let m = block(3, &m)?;
        let s1 = block(4, &(s1 + shuffle(&self.up[1].forward(&m)?)?)?)?;
        let s0 = block(5, &(s0 + shuffle(&self.up[0].forward(&s1)?)?)?)?.silu()?;
        self.conv_out.convolve(&s0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        Stamp,
        latent::{Shape, noise},
    };

    #[test]
    fn the_twin_makes_the_latent_that_the_kernels_make() {
        let shape = Shape { channels: 4, height: 16, width: 16 };
        let values: Vec<f32> = (0..shape.len() as u64).map(|at| noise::normal(9, at) as f32).collect();
        let latent = Latent { stamp: Stamp::start(), shape, values: Arc::from(values) };
        let context: Vec<f32> = (0..2 * CONTEXT as u64).map(|at| noise::normal(5, at) as f32).collect();
        let mut genres = vec![0.0; 8];
        (genres[2], genres[5]) = (0.7, 0.3);
        let with = Conditioning {
            genres: genres.clone(),
            vivid: 0.4,
            bright: -0.6,
            scene: vec![0.5, -0.5, 0.1, 0.1],
            context: context.clone(),
            ..Conditioning::default()
        };
        let study = Embedded::in_the_box().unwrap().study(&latent, &with).unwrap();
        let device = Device::Cpu;
        let twin = Twin::new(&device).unwrap();
        let (seen, moments, expected) = twin.studies(&[&study], 16, 16).unwrap();
        let row = |values: &[f32]| Tensor::from_slice(values, (1, values.len()), &device).unwrap();
        let scene = twin.scene_tokens(&row(&with.scene)).unwrap();
        let own = Tensor::from_vec(context, (1, 2, CONTEXT), &device).unwrap();
        let tokens = Tensor::cat(&[scene, own], 1).unwrap();
        let found = twin.estimate((&seen, &moments), &row(&genres), &row(&[0.4, -0.6]), &tokens).unwrap();
        let error = (found - expected).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(error < 2e-3, "{error}");
    }
}
