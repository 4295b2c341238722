//! The U-Net: noise, timestep and text to the noise (or velocity) that is in it.
//!
//! After diffusers' UNet2DConditionModel, with what a live program needs besides: every row of a batch has a timestep of
//! its own (a stream of pictures in one pass), the angles of the timesteps are float32 whatever the weights are, and what
//! depends on the text alone (keys and values of the cross-attention, SDXL's added embedding) is computed once a prompt.

mod blocks;
mod branch;
mod memory;
mod time;
mod transformer;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use candle_core::{DType, Result, Tensor};

use super::{
    known::Known,
    layers::{After, At, Conv3, Engine, GroupNorm, Linear, each_row, silu, tensor_of},
};
use crate::kernels::{Element, Keys, Parts, Recordings};
use blocks::{Level, Middle, Side};
use branch::Branch;

pub use blocks::Resnet;
pub use memory::packed_bytes;
pub use time::{guidance_features, sinusoids};

/// SDXL's embedding of pooled text and picture size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// Sinusoids for each of the six numbers.
    pub time_width: usize,
    /// Pooled text and six times the above.
    pub inputs: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnetConfig {
    pub inputs: usize,
    pub outputs: usize,
    /// Of each level, finest first.
    pub channels: Vec<usize>,
    /// Resnets a level on the way down; one more on the way up.
    pub layers: usize,
    /// Transformer blocks after each resnet of a level; 0 is a level without attention.
    pub depth: Vec<usize>,
    pub mid_depth: usize,
    /// Width of the text.
    pub cross: usize,
    /// Attention heads of each level.
    pub heads: Vec<usize>,
    pub groups: usize,
    pub added: Option<Added>,
    /// Width of the embedded guidance of models distilled with guidance (LCM).
    pub guidance_width: Option<usize>,
}

impl UnetConfig {
    /// Whether a U-Net can be built so; the error is the end of a sentence that begins with the file's name.
    pub fn check(&self) -> std::result::Result<(), String> {
        let levels = self.channels.len();
        // The kernels have channels in blocks of 16.
        let fits = |(c, h): (&usize, &usize)| {
            *c > 0 && *h > 0 && c.is_multiple_of(16) && c.is_multiple_of(*h) && c.is_multiple_of(self.groups.max(1))
        };
        let whole = levels > 0
            && self.depth.len() == levels
            && self.heads.len() == levels
            && self.groups > 0
            && self.cross > 0
            && (1..=16).contains(&self.layers)
            && self.channels.iter().zip(&self.heads).all(fits);
        if whole && self.inputs == 4 && self.outputs == 4 {
            return Ok(());
        }
        Err(format!(
            "has a U-Net that cannot be built ({} to {} channels, levels of {:?} with {:?} heads, {} groups, text {} wide)",
            self.inputs, self.outputs, self.channels, self.heads, self.groups, self.cross
        ))
    }

    /// Takes what shapes do not tell from the configuration of a model that has the same shapes.
    pub fn adopt(&mut self, known: &Self) {
        let same = (&self.channels, &self.depth, self.layers, self.cross, self.mid_depth)
            == (&known.channels, &known.depth, known.layers, known.cross, known.mid_depth);
        if same {
            self.heads.clone_from(&known.heads);
            self.groups = known.groups;
        }
    }

    /// The latent's sides must be multiples of this: it is halved between levels.
    pub fn multiple(&self) -> usize {
        1 << (self.channels.len() - 1)
    }

    fn time_width(&self) -> usize {
        4 * self.channels.first().copied().unwrap_or(0)
    }
}

/// What the U-Net is told besides the timestep, made ready; a row for each text of a batch, or one for all.
#[derive(Clone)]
pub struct Prepared {
    /// Of each cross-attention.
    words: Vec<Words>,
    /// What joins the embedded timestep: SDXL's added embedding, DreamDiffusion's branch; (rows, 4 x channels).
    added: Option<Tensor>,
}

/// Keys and values of a cross-attention.
#[derive(Clone)]
enum Words {
    /// (rows, words, channels) each.
    Tensors(Tensor, Tensor),
    /// For the CPU's kernels, row by row.
    Packed(Vec<Arc<Keys>>),
}

impl Prepared {
    /// Keys and values where they are tensors.
    fn tensors(&self) -> Vec<&Tensor> {
        fn each(words: &Words) -> [Option<&Tensor>; 2] {
            match words {
                Words::Tensors(keys, values) => [Some(keys), Some(values)],
                Words::Packed(_) => [None, None],
            }
        }
        self.words.iter().flat_map(each).flatten().collect()
    }

    /// Of keys and values as [`Self::tensors`] gives them; what joined the timestep has joined it.
    fn of_tensors(tensors: &[&Tensor]) -> Self {
        let words = tensors.as_chunks::<2>().0.iter();
        Self {
            words: words.map(|[keys, values]| Words::Tensors((*keys).clone(), (*values).clone())).collect(),
            added: None,
        }
    }

    /// For so many pictures in one pass: each row as often, one after the other. One row is for all as it is.
    pub(super) fn spread(self, pictures: usize) -> Result<Self> {
        let words = self.words.into_iter().map(|words| words.spread(pictures)).collect::<Result<_>>()?;
        Ok(Self { words, added: self.added.map(|added| spread(added, pictures)).transpose()? })
    }
}

impl Words {
    fn spread(self, pictures: usize) -> Result<Self> {
        match self {
            Self::Tensors(keys, values) => Ok(Self::Tensors(spread(keys, pictures)?, spread(values, pictures)?)),
            Self::Packed(rows) if rows.len() == 1 => Ok(Self::Packed(rows)),
            Self::Packed(rows) => {
                let each = |row: Arc<Keys>| std::iter::repeat_n(row, pictures);
                Ok(Self::Packed(rows.into_iter().flat_map(each).collect()))
            }
        }
    }
}

fn spread(t: Tensor, pictures: usize) -> Result<Tensor> {
    let rows = t.dim(0)?;
    if rows == 1 || pictures == 1 {
        return Ok(t);
    }
    let each: Vec<Tensor> = (0..rows * pictures).map(|i| t.narrow(0, i / pictures, 1)).collect::<Result<_>>()?;
    Tensor::cat(&each, 0)
}

/// What is done before and after a pass of the U-Net, as one work with it.
pub struct Around<'a> {
    /// Tells it from other such work.
    pub form: u64,
    /// What it is done with.
    pub with: &'a [&'a Tensor],
    /// Latents to the rows that the U-Net sees.
    pub before: &'a Before<'a>,
    /// Latents and the U-Net's answer to what is wanted.
    pub after: &'a Then<'a>,
}

type Before<'a> = dyn Fn(&Tensor, &[&Tensor]) -> Result<Tensor> + 'a;
type Then<'a> = dyn Fn(&Tensor, Tensor, &[&Tensor]) -> Result<Tensor> + 'a;

impl Around<'_> {
    /// The pass alone.
    pub const NOTHING: Self =
        Self { form: ALONE, with: &[], before: &|x, _| Ok(x.clone()), after: &|_, answer, _| Ok(answer) };
}

/// A form that no other work has.
const ALONE: u64 = 0xff;

/// Embedded timesteps and what joins them, as the layers take them, for so many rows.
fn told(time: &Tensor, added: Option<&Tensor>, rows: usize) -> Result<Tensor> {
    let time = added.map_or_else(|| Ok(time.clone()), |added| time.broadcast_add(added))?;
    let time = silu(&time)?;
    if time.dim(0)? == rows { Ok(time) } else { time.broadcast_as((rows, time.dim(1)?))?.contiguous() }
}

pub struct Unet {
    engine: Engine,
    config: UnetConfig,
    conv_in: Conv3,
    time: [Linear; 2],
    guidance: Option<Linear>,
    added: Option<[Linear; 2]>,
    branch: Option<Branch>,
    down: Vec<Level>,
    middle: Middle,
    up: Vec<Level>,
    norm_out: GroupNorm,
    conv_out: Conv3,
    /// Nobody waits for the pass any more.
    give_up: Option<Arc<AtomicBool>>,
    recordings: Recordings,
    /// How often LoRAs have changed what the layers do.
    generation: u64,
    times: Known<TimeKey>,
}

/// Embedded timesteps that are kept: as many as the longest run has steps, of 5 kB each.
const KEPT_TIMES: usize = 256;

/// What an embedded timestep depends on.
#[derive(PartialEq, Eq)]
struct TimeKey {
    timesteps: Vec<u32>,
    /// Only of models that it is distilled into.
    guidance: Option<u32>,
    generation: u64,
}

impl Unet {
    pub fn new(at: &At, config: UnetConfig) -> Result<Self> {
        let (channels, width) = (&config.channels, config.time_width());
        let base = channels[0];
        let mut slots = 0;
        // What knows the timestep is small and always float32.
        let exact = at.engine.exact();
        let time = at.on(&exact).at("time_embedding");
        let added = config.added.as_ref().map(|a| {
            let at = at.on(&exact).at("add_embedding");
            [Linear::new(&at.at("linear_1"), a.inputs, width), Linear::new(&at.at("linear_2"), width, width)]
        });
        let branch = Branch::new(at, config.cross, width)?;
        let mut down = Vec::new();
        for level in 0..channels.len() {
            down.push(Level::new(&at.at(format!("down_blocks.{level}")), &config, level, Side::Down, &mut slots)?);
        }
        let middle = Middle::new(&at.at("mid_block"), &config, &mut slots)?;
        let mut up = Vec::new();
        for i in 0..channels.len() {
            up.push(Level::new(
                &at.at(format!("up_blocks.{i}")),
                &config,
                channels.len() - 1 - i,
                Side::Up,
                &mut slots,
            )?);
        }
        Ok(Self {
            engine: at.engine.clone(),
            give_up: None,
            recordings: Recordings::on(&at.engine.place.device),
            generation: 0,
            times: Known::new(KEPT_TIMES),
            conv_in: Conv3::new(&at.at("conv_in"), config.inputs, base)?,
            time: [Linear::new(&time.at("linear_1"), base, width), Linear::new(&time.at("linear_2"), width, width)],
            guidance: config.guidance_width.map(|w| Linear::without_bias(&time.at("cond_proj"), w, base)),
            added,
            branch,
            down,
            middle,
            up,
            norm_out: GroupNorm::new(&at.at("conv_norm_out"), base, config.groups, 1e-5),
            conv_out: Conv3::new(&at.at("conv_out"), base, config.outputs)?,
            config,
        })
    }

    /// How many words DreamDiffusion's branch takes, where there is one.
    pub fn words_of_branch(&self) -> Option<usize> {
        self.branch.as_ref().map(|branch| branch.words)
    }

    pub fn config(&self) -> &UnetConfig {
        &self.config
    }

    /// Whether it goes from map to map, as packed layers do on the CPU.
    fn takes_maps(&self) -> bool {
        self.engine.place.packs
    }

    /// Makes a text ready: `text` (rows, words, cross); for SDXL also the pooled text (rows, width) and the six numbers of
    /// the picture's size. It is ready until a LoRA comes, goes or changes.
    pub fn prepare(&self, text: &Tensor, pooled: Option<(&Tensor, [f32; 6])>) -> Result<Prepared> {
        let place = &self.engine.place;
        let text = &if place.packs { text.clone() } else { place.bring(text)? };
        let mut words = Vec::new();
        let down = self.down.iter().flat_map(Level::transformers);
        let up = self.up.iter().flat_map(Level::transformers);
        for transformer in down.chain([self.middle.transformer()]).chain(up) {
            transformer.prepare(text, self.takes_maps(), &mut words)?;
        }
        let added = match (&self.added, &self.config.added, pooled) {
            (Some([first, second]), Some(config), Some((pooled, numbers))) => {
                let (rows, pooled) = (pooled.dim(0)?, place.exact().bring(pooled)?);
                let angles =
                    sinusoids(&numbers, config.time_width, pooled.device())?.reshape((1, 6 * config.time_width))?;
                let both =
                    Tensor::cat(&[&pooled, &angles.broadcast_as((rows, 6 * config.time_width))?.contiguous()?], 1)?;
                Some(second.forward(&silu(&first.forward(&both)?)?)?)
            }
            _ => self.branch.as_ref().map(|branch| branch.forward(text)).transpose()?,
        };
        Ok(Prepared { words, added })
    }

    /// While the flag is set a pass ends with an error at its next level.
    pub fn give_up_when(&mut self, flag: Arc<AtomicBool>) {
        self.give_up = Some(flag);
    }

    /// Is told whenever LoRAs have changed: what was recorded before is of other layers.
    pub fn layers_are_of(&mut self, generation: u64) {
        self.generation = generation;
    }

    /// Lets go of what is kept for pictures of this size.
    pub fn forget(&self) {
        self.recordings.forget();
    }

    fn is_wanted(&self) -> Result<()> {
        match &self.give_up {
            Some(flag) if flag.load(Ordering::Relaxed) => candle_core::bail!("given up"),
            _ => Ok(()),
        }
    }

    /// `x` (rows, 4, h, w) and what is done before, with a timestep for each row that comes of it, and what is done after
    /// that, to float32. `guidance` is that of models distilled with it.
    pub fn forward(
        &self,
        x: &Tensor,
        timesteps: &[f32],
        with: &Prepared,
        guidance: Option<f32>,
        around: &Around,
    ) -> Result<Tensor> {
        let time = self.time_of(timesteps, guidance.unwrap_or(1.0))?;
        let (added, numbers) = (usize::from(with.added.is_some()), around.with.len());
        let inputs = [x, &time].into_iter().chain(&with.added).chain(around.with.iter().copied()).chain(with.tensors());
        let work = |inputs: &[&Tensor]| {
            let [x, time, rest @ ..] = inputs else { candle_core::bail!("the U-Net was given too little") };
            let (added, rest) = rest.split_at(added);
            let (numbers, words) = rest.split_at(numbers);
            let x_in = (around.before)(x, numbers)?;
            let time = told(time, added.first().copied(), x_in.dim(0)?)?;
            let answer = if self.takes_maps() {
                each_row(&x_in, |row| self.run(&x_in, row, &time.narrow(0, row, 1)?, with))?
            } else {
                self.pass(&x_in, &time, &Prepared::of_tensors(words))?
            };
            (around.after)(x, answer, numbers)
        };
        let inputs: Vec<&Tensor> = inputs.collect();
        if self.takes_maps() { work(&inputs) } else { self.recordings.play(self.form(around.form), &inputs, work) }
    }

    /// What a recording depends on besides its inputs.
    fn form(&self, around: u64) -> u64 {
        self.generation << 8 | around
    }

    /// The embedded timesteps (rows, width), computed once.
    fn time_of(&self, timesteps: &[f32], guidance: f32) -> Result<Tensor> {
        let key = TimeKey {
            timesteps: timesteps.iter().map(|t| t.to_bits()).collect(),
            guidance: self.guidance.as_ref().map(|_| guidance.to_bits()),
            generation: self.generation,
        };
        self.times.get(key, || {
            let device = &self.engine.place.device;
            let mut time = sinusoids(timesteps, self.config.channels[0], device)?;
            if let (Some(project), Some(width)) = (&self.guidance, self.config.guidance_width) {
                let features = guidance_features(guidance, width, device)?;
                time = time.broadcast_add(&project.forward(&features)?)?;
            }
            let [first, second] = &self.time;
            second.forward(&silu(&first.forward(&time)?)?)
        })
    }

    /// All rows in one pass, as tensors; `time` (rows, width).
    fn pass(&self, x: &Tensor, time: &Tensor, with: &Prepared) -> Result<Tensor> {
        let mut x = self.conv_in.forward(&self.engine.place.bring(x)?)?;
        let mut kept = vec![x.clone()];
        for level in &self.down {
            self.is_wanted()?;
            x = level.down(x, time, with, &mut kept)?;
        }
        x = self.middle.forward(x, time, with)?;
        for level in &self.up {
            self.is_wanted()?;
            x = level.up(x, time, with, &mut kept)?;
        }
        self.conv_out.forward(&self.norm_out.forward_silu(&x)?)?.to_dtype(DType::F32)
    }

    /// One row on the CPU, from map to map; `time` (1, width) is that row's.
    fn run(&self, x: &Tensor, row: usize, time: &Tensor, with: &Prepared) -> Result<Tensor> {
        let (_, _, h, w) = x.dims4()?;
        let (size, base) = ([h, w], self.config.channels[0]);
        let first = self.engine.map_of(x, row, &Parts::one(self.config.inputs))?;
        let mut begin = self.engine.map(base, size, Element::Float32);
        self.conv_in.run(&first, After::default(), &mut begin);
        let mut kept = vec![begin];
        for level in &self.down {
            self.is_wanted()?;
            level.run_down(time, with, row, &mut kept)?;
        }
        let Some(last) = kept.last() else { candle_core::bail!("the U-Net kept too few maps") };
        let mut x = self.middle.run(last, time, with, row)?;
        for level in &self.up {
            self.is_wanted()?;
            x = level.run_up(x, time, with, row, &mut kept)?;
        }
        let mut normed = self.engine.map(base, size, self.conv_out.element());
        self.norm_out.run(&[&x], true, &mut normed);
        let mut out = self.engine.map(self.config.outputs, size, Element::Float32);
        self.conv_out.run(&normed, After::default(), &mut out);
        tensor_of(&out, self.config.outputs)
    }

    /// Multiplications and additions of a pass over one row, two operations each.
    pub fn flops(&self, height: usize, width: usize) -> u64 {
        let c = &self.config;
        let (mut macs, mut area) = (0_u64, (height * width) as u64);
        let levels = c.channels.len();
        let conv = |a: usize, b: usize, area: u64| 9 * (a * b) as u64 * area;
        macs += conv(c.inputs, c.channels[0], area) + conv(c.channels[0], c.outputs, area);
        for level in 0..levels {
            let to = c.channels[level];
            let from = c.channels[level.saturating_sub(1)];
            let below = c.channels[(level + 1).min(levels - 1)];
            let resnet = |from: usize| {
                conv(from, to, area) + conv(to, to, area) + if from == to { 0 } else { (from * to) as u64 * area }
            };
            for layer in 0..c.layers {
                macs += resnet(if layer == 0 { from } else { to });
            }
            for layer in 0..=c.layers {
                let skip = if layer == c.layers { from } else { to };
                macs += resnet(skip + if layer == 0 { below } else { to });
            }
            let attentions = (2 * c.layers + 1) as u64;
            macs += attentions * transformer::macs(to, c.depth[level], area);
            if level + 1 < levels {
                macs += conv(to, to, area / 4) + conv(below, below, area);
            } else {
                macs += 4 * conv(to, to, area) + transformer::macs(to, c.mid_depth, area);
            }
            area /= 4;
        }
        2 * macs
    }
}
