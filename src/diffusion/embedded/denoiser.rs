//! The denoiser: from noise to an estimate of the picture's latent, and from noise and estimate to a better one.
//!
//! What it sees of the noise (blurs, guides) is made once a picture, on the pool.

use super::{
    Layer, Way,
    condition::Condition,
    guides::{self, Asked, GUIDES},
    names::{BLOCKS, HEADS, LEVELS, SEEN, TALL, WHOLE},
};
use crate::{
    diffusion::weights::Weights,
    kernels::{
        Activation, Affine, Attention, Band, Conv, Conv3, ConvShape, Finish, Grid, Instructions, LayerNorm, Pool, Tap,
        Target,
    },
};

pub(super) struct Denoiser {
    conv_in: Gated,
    blocks: [Block; 6],
    down0: Layer,
    down1: Layer,
    up1: Layer,
    up0: Layer,
    self_attention: AttentionLayers,
    cross_attention: AttentionLayers,
    conv_out: Layer,
    /// The end of the last convolution in further steps.
    mend: Affine,
}

/// `x + conv2(silu(film(conv1(x))))`, in place.
struct Block {
    conv1: Conv3,
    conv2: Layer<Conv3>,
}

struct AttentionLayers {
    norm: LayerNorm,
    /// Queries alone, or queries, keys and values.
    project: Layer,
    attention: Attention,
    out: Layer,
}

/// Activations of the three levels.
pub(super) struct Buffers {
    set: Instructions,
    sigmas: [f64; 4],
    /// Across and down, of the round blurs and of the tall ones, and the factor of their widths.
    blurs: [(Band, Band); 2],
    size: f32,
    half_blurred: Grid,
    /// Block 0: the round blurs, width after width; block 1: the tall ones and the noise; then where a cell is, the guides,
    /// and the estimate.
    seen: Grid,
    /// Each level's features and what lies between the two convolutions of a block.
    pub levels: [(Grid, Grid); 3],
    projected: Grid,
}

/// Channels of [`Buffers::seen`]: after the tall blurs comes the noise, then the coordinates, the guides, the estimate.
const NOISE_AT: usize = 16 + 4 * TALL.len();
pub(super) const PLACE_AT: usize = NOISE_AT + 4;
const ESTIMATE_AT: usize = PLACE_AT + 2 + GUIDES;
/// Of what the layers give, added to the estimate in a further step.
const MEND: f32 = 0.5;
/// Of a blur: of an even area it would reach 60.
const BLUR_LIMIT: f32 = 4.0;

/// What the denoiser has seen in its first step and made of it, in the order of network.py.
#[derive(Debug, Clone)]
pub struct Study {
    /// (seen, h, w): the noise, its blurs, the place, the guides, and no estimate.
    pub seen: Vec<f32>,
    pub moments: [f32; WHOLE],
    /// (4, h, w): the picture's latent.
    pub latent: Vec<f32>,
}

impl Buffers {
    /// What was seen last, its channels in the order of network.py, the estimate still empty.
    pub fn seen_by_network(&self) -> Vec<f32> {
        let cells = self.seen.height() * self.seen.width();
        let mut planes = vec![0.0; SEEN * cells];
        self.seen.copy_to(&mut planes);
        planes[ESTIMATE_AT * cells..].fill(0.0);
        // The noise comes first there, and after its blurs here.
        planes[..PLACE_AT * cells].rotate_right(4 * cells);
        planes
    }

    pub fn new(set: Instructions, height: usize, width: usize, sigmas: [f64; 4]) -> Self {
        let mut seen = Grid::new(SEEN, height, width);
        let ys = (0..height * width).map(|i| (2 * (i / width) + 1) as f32 / height as f32 - 1.0);
        let aspect = width as f32 / height as f32;
        let xs = (0..height * width).map(|i| ((2 * (i % width) + 1) as f32 / width as f32 - 1.0) * aspect);
        seen.fill_channels(PLACE_AT, &ys.chain(xs).collect::<Vec<_>>());
        let level = |i: usize| {
            let grid = Grid::new(LEVELS[i], height >> i, width >> i);
            (grid.clone(), grid)
        };
        Self {
            blurs: both_blurs(set, height, width, sigmas, 1.0),
            set,
            sigmas,
            size: 1.0,
            half_blurred: Grid::borderless(16, height, width),
            seen,
            levels: [level(0), level(1), level(2)],
            projected: Grid::borderless(3 * LEVELS[2], height / 4, width / 4),
        }
    }

    /// All that the denoiser sees of this noise, in every step.
    pub fn see(&mut self, pool: &Pool, noise: &Grid, asked: &Asked) -> &Grid {
        if self.size != asked.size {
            self.size = asked.size;
            let (height, width) = (noise.height(), noise.width());
            self.blurs = both_blurs(self.set, height, width, self.sigmas, f64::from(asked.size));
        }
        for (block, (across, down)) in self.blurs.iter().enumerate() {
            across.along_rows_of_four(pool, noise, &mut self.half_blurred);
            down.along_columns(pool, &self.half_blurred, &mut self.seen, block);
        }
        self.seen.limit(2, BLUR_LIMIT);
        self.seen.fill_from_four(NOISE_AT, noise);
        guides::fill(self.set, pool, &mut self.seen, PLACE_AT, asked);
        &self.seen
    }
}

/// Across and down, of the round blurs and of the tall ones, `size` times as wide.
fn both_blurs(set: Instructions, height: usize, width: usize, sigmas: [f64; 4], size: f64) -> [(Band, Band); 2] {
    // A band has four widths: the last one of the tall blurs is not used, the noise is written over it.
    let [a, b, c] = TALL;
    let (across, down) = ([a.0, b.0, c.0, c.0], [a.1, b.1, c.1, c.1]);
    let blurs = |n, sigmas: [f64; 4]| blurs(set, n, sigmas.map(|sigma| sigma * size));
    [(blurs(width, sigmas), blurs(height, sigmas)), (blurs(width, across), blurs(height, down))]
}

/// network.py's `whole`: of each channel the mean and the moments across and down, each a unit normal for unit noise,
/// limited because those of an even area grow large.
pub(super) fn whole(x: &Grid) -> [f32; WHOLE] {
    let (height, width) = (x.height(), x.width());
    let ramp = |i: usize, n: usize| 2.0 * i as f32 / (n as f32 - 1.0) - 1.0;
    let length = |n: usize| (0..n).map(|i| ramp(i, n).powi(2)).sum::<f32>().sqrt();
    let (h, w) = (height as f32, width as f32);
    std::array::from_fn(|i| {
        let (channel, kind) = (i / 3, i % 3);
        let line = |y: usize| (0..width).map(move |x_| (x_, x.get(channel, y, x_)));
        let moment = match kind {
            0 => (0..height).flat_map(line).map(|(_, v)| v).sum::<f32>() / (h * w).sqrt(),
            1 => {
                (0..height).flat_map(line).map(|(at, v)| v * ramp(at, width)).sum::<f32>() / (h.sqrt() * length(width))
            }
            _ => {
                let of_row = |y| line(y).map(|(_, v)| v).sum::<f32>() * ramp(y, height);
                (0..height).map(of_row).sum::<f32>() / (w.sqrt() * length(height))
            }
        };
        moment.clamp(-3.0, 3.0)
    })
}

/// network.py's `rows` for four widths: mirrored at the border, each row of unit Euclidean length.
fn blurs(set: Instructions, n: usize, sigmas: [f64; 4]) -> Band {
    let matrices = sigmas.map(|sigma| {
        // Zero where it is under a millionth of the middle, so that the band ends.
        let bell = |k: usize| if k as f64 > 5.3 * sigma { 0.0 } else { (-0.5 * (k as f64 / sigma).powi(2)).exp() };
        let bell: Vec<f64> = (0..=3 * n).map(bell).collect();
        let mut matrix = vec![0.0_f64; n * n];
        for (i, row) in matrix.chunks_exact_mut(n).enumerate() {
            for (j, weight) in row.iter_mut().enumerate() {
                // Itself, its two mirror images, and theirs.
                let images = [i.abs_diff(j), i + j + 1, 2 * n - 1 - j - i, j + 2 * n - i, i + 2 * n - j];
                *weight = images.iter().map(|k| bell[*k]).sum();
            }
            let length = row.iter().map(|v| v * v).sum::<f64>().sqrt();
            row.iter_mut().for_each(|v| *v /= length);
        }
        matrix
    });
    Band::new(set, n, |i, j, lane| matrices[lane / 4][i * n + j] as f32)
}

impl Denoiser {
    pub fn new(weights: &Weights, way: Way) -> Self {
        let (set, name) = (way.set, |part: &str| format!("denoiser.{part}"));
        let weight = weights.get("denoiser.conv_in.weight").to_vec();
        let conv_in = Gated::new(set, weight, weights.get("denoiser.conv_in.bias"));
        let block = |i: usize| {
            let layer = |part| Layer::conv3x3(weights, way, &format!("denoiser.{}.{part}", BLOCKS[i].0));
            Block { conv1: layer("conv1").conv, conv2: layer("conv2") }
        };
        let bias = weights.get("denoiser.conv_out.bias");
        Self {
            conv_in,
            blocks: std::array::from_fn(block),
            down0: Layer::down(weights, set, &name("down0")),
            down1: Layer::down(weights, set, &name("down1")),
            up1: Layer::up(weights, set, &name("up1")),
            up0: Layer::up(weights, set, &name("up0")),
            self_attention: AttentionLayers::new(weights, set, "self_attention", &["q", "kv"]),
            cross_attention: AttentionLayers::new(weights, set, "cross_attention", &["q"]),
            conv_out: Layer { conv: conv_out(weights, set), bias: Affine::bias(&bias.repeat(4)) },
            mend: Affine::new(&[MEND; 16], &bias.repeat(4).iter().map(|b| MEND * b).collect::<Vec<_>>()),
        }
    }

    /// One step on what [`Buffers::see`] has seen: `estimate` becomes a better one, or in step 0 the first.
    pub fn step(
        &mut self,
        pool: &Pool,
        estimate: &mut Grid,
        buffers: &mut Buffers,
        condition: &mut Condition,
        step: usize,
        moments: &[f32; WHOLE],
    ) {
        let Buffers { seen, levels, projected, .. } = buffers;
        let [(a0, b0), (a1, b1), (a2, b2)] = levels;
        condition.modulate(step, moments);
        if step == 0 {
            seen.clear_four(ESTIMATE_AT);
        } else {
            seen.fill_from_four(ESTIMATE_AT, estimate);
        }
        let films = &condition.modulation;
        self.conv_in.open(&condition.gate);
        self.conv_in.layer.conv.run(pool, seen, self.conv_in.layer.finish(), Target::Grid(a0));
        self.blocks[0].run(pool, a0, b0, &films[0], Activation::None);
        self.down0.conv.run(pool, a0, self.down0.finish(), Target::Grid(a1));
        self.blocks[1].run(pool, a1, b1, &films[1], Activation::None);
        self.down1.conv.run(pool, a1, self.down1.finish(), Target::Grid(a2));
        self.blocks[2].run(pool, a2, b2, &films[2], Activation::None);
        self.self_attention.run(pool, a2, b2, projected, None);
        self.cross_attention.run(pool, a2, b2, projected, Some(&condition.context));
        self.blocks[3].run(pool, a2, b2, &films[3], Activation::None);
        self.up1.conv.run(pool, a2, self.up1.finish().accumulate(), Target::Shuffled2(a1));
        self.blocks[4].run(pool, a1, b1, &films[4], Activation::None);
        self.up0.conv.run(pool, a1, self.up0.finish().accumulate(), Target::Shuffled2(a0));
        self.blocks[5].run(pool, a0, b0, &films[5], Activation::Silu);
        let finish = if step == 0 { self.conv_out.finish() } else { Finish::plain(&self.mend).accumulate() };
        self.conv_out.conv.run(pool, a0, finish, Target::Grid(estimate));
    }
}

/// The first convolution. Each genre looks at its own channels: their factors are multiplied into the packed weights when
/// the genres change.
struct Gated {
    set: Instructions,
    weight: Vec<f32>,
    gate: Vec<f32>,
    layer: Layer,
}

impl Gated {
    fn new(set: Instructions, weight: Vec<f32>, bias: &[f32]) -> Self {
        let gate = vec![1.0; SEEN];
        let layer = Layer { conv: Self::pack(set, &weight, &gate), bias: Affine::bias(bias) };
        Self { set, weight, gate, layer }
    }

    fn open(&mut self, gate: &[f32]) {
        if self.gate != gate {
            self.gate.clear();
            self.gate.extend_from_slice(gate);
            self.layer.conv = Self::pack(self.set, &self.weight, gate);
        }
    }

    fn pack(set: Instructions, weight: &[f32], gate: &[f32]) -> Conv {
        // The blurs come first in the kernels' input and after the noise in the network's.
        let channel = |c: usize| match c {
            0..NOISE_AT => 4 + c,
            NOISE_AT..PLACE_AT => c - NOISE_AT,
            _ => c,
        };
        Conv::new(set, ConvShape::conv3x3(SEEN, LEVELS[0]), |o, t, c| {
            weight[(o * SEEN + channel(c)) * 9 + t] * gate[channel(c)]
        })
    }
}

/// The last convolution, to four channels: four neighbouring pixels are computed as one block of sixteen lanes, at
/// places four pixels apart, from the three rows of six pixels that any of them sees.
fn conv_out(weights: &Weights, set: Instructions) -> Conv {
    let weight = weights.get("denoiser.conv_out.weight");
    let inputs = LEVELS[0];
    let taps: Vec<Tap> = (-1..=1).flat_map(|dy| (-1..=4).map(move |dx| Tap { dy, dx })).collect();
    let shape = ConvShape { taps: taps.clone(), stride: (1, 4), ..ConvShape::linear(inputs, 16) };
    Conv::new(set, shape, |lane, tap, c| {
        let (pixel, channel) = (lane / 4, lane % 4);
        let dx = taps[tap].dx - pixel as isize;
        if !(-1..=1).contains(&dx) {
            return 0.0;
        }
        let t = (taps[tap].dy + 1) * 3 + dx + 1;
        weight[(channel * inputs + c) * 9 + t as usize]
    })
}

impl Block {
    fn run(&self, pool: &Pool, x: &mut Grid, between: &mut Grid, film: &Affine, after: Activation) {
        self.conv1.run(pool, x, Finish::plain(film).before(Activation::Silu), Target::Grid(between));
        self.conv2.conv.run(pool, between, self.conv2.finish().accumulate().after(after), Target::Grid(x));
    }
}

impl AttentionLayers {
    fn new(weights: &Weights, set: Instructions, name: &str, project: &[&str]) -> Self {
        let c = LEVELS[2];
        let get = |part: &str| weights.get(&format!("denoiser.{name}.{part}"));
        let linear = |parts: &[&str]| {
            let weight: Vec<f32> = parts.iter().flat_map(|p| get(&format!("{p}.weight"))).copied().collect();
            let bias: Vec<f32> = parts.iter().flat_map(|p| get(&format!("{p}.bias"))).copied().collect();
            let conv = Conv::new(set, ConvShape::linear(c, bias.len()), |o, _, i| weight[o * c + i]);
            Layer { conv, bias: Affine::bias(&bias) }
        };
        Self {
            norm: LayerNorm::new(set, get("norm.weight"), get("norm.bias")),
            project: linear(project),
            attention: Attention::new(set, HEADS, c / HEADS),
            out: linear(&["out"]),
        }
    }

    /// `x + out(attention(norm(x)))`, in place; over its own cells, or over the context.
    fn run(&mut self, pool: &Pool, x: &mut Grid, between: &mut Grid, projected: &mut Grid, context: Option<&Grid>) {
        self.norm.run(pool, x, between);
        self.project.conv.run(pool, between, self.project.finish(), Target::Grid(projected));
        let (keys, first) = context.map_or((&*projected, LEVELS[2]), |context| (context, 0));
        self.attention.run(pool, projected, keys, first, between);
        self.out.conv.run(pool, between, self.out.finish().accumulate(), Target::Grid(x));
    }
}
