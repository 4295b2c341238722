//! The denoiser: one Euler step of the rectified flow, from noise towards the picture's latent.

use super::{
    Layer,
    condition::Condition,
    names::{BLOCKS, HEADS, LEVELS, SEEN},
};
use crate::{
    diffusion::weights::Weights,
    kernels::{
        Activation, Affine, Attention, Band, Conv, Conv3, ConvShape, Finish, Grid, Instructions, LayerNorm, Pool, Tap,
        Target,
    },
};

pub(super) struct Denoiser {
    conv_in: Layer,
    blocks: [Block; 6],
    down0: Layer,
    down1: Layer,
    up1: Layer,
    up0: Layer,
    self_attention: AttentionLayers,
    cross_attention: AttentionLayers,
    conv_out: Conv,
    conv_out_bias: Vec<f32>,
    /// Bias and factor of the last convolution, for steps of the length in front.
    stride: (f32, Affine),
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
    along_x: Band,
    along_y: Band,
    half_blurred: Grid,
    /// Block 0: the blurs, width after width; block 1: the latent and the coordinates.
    seen: Grid,
    /// Each level's features and what lies between the two convolutions of a block.
    pub levels: [(Grid, Grid); 3],
    projected: Grid,
}

/// Channels 0..4 of block 1 hold the latent itself.
const LATENT_AT: usize = 16;

impl Buffers {
    pub fn new(set: Instructions, height: usize, width: usize, sigmas: [f64; 4]) -> Self {
        let mut seen = Grid::new(SEEN, height, width);
        let ys = (0..height * width).map(|i| (2 * (i / width) + 1) as f32 / height as f32 - 1.0);
        let aspect = width as f32 / height as f32;
        let xs = (0..height * width).map(|i| ((2 * (i % width) + 1) as f32 / width as f32 - 1.0) * aspect);
        seen.fill_channels(LATENT_AT + 4, &ys.chain(xs).collect::<Vec<_>>());
        let level = |i: usize| {
            let grid = Grid::new(LEVELS[i], height >> i, width >> i);
            (grid.clone(), grid)
        };
        Self {
            along_x: blurs(set, width, sigmas),
            along_y: blurs(set, height, sigmas),
            half_blurred: Grid::borderless(16, height, width),
            seen,
            levels: [level(0), level(1), level(2)],
            projected: Grid::borderless(3 * LEVELS[2], height / 4, width / 4),
        }
    }

    /// Blurs the latent into the first channels of what the denoiser sees, width after width.
    pub fn blur(&mut self, pool: &Pool, latent: &Grid) -> &Grid {
        self.along_x.along_rows_of_four(pool, latent, &mut self.half_blurred);
        self.along_y.along_columns(pool, &self.half_blurred, &mut self.seen);
        &self.seen
    }
}

/// network.py's `blur_matrix` for four widths: mirrored at the border, each row of unit Euclidean length.
fn blurs(set: Instructions, n: usize, sigmas: [f64; 4]) -> Band {
    let matrices = sigmas.map(|sigma| {
        let radius = (3.0 * sigma).ceil() as isize;
        let mut matrix = vec![0.0_f64; n * n];
        for (i, row) in matrix.chunks_exact_mut(n).enumerate() {
            for k in -radius..=radius {
                let j = (i as isize + k).rem_euclid(2 * n as isize) as usize;
                row[j.min(2 * n - 1 - j)] += (-0.5 * (k as f64 / sigma).powi(2)).exp();
            }
            let length = row.iter().map(|v| v * v).sum::<f64>().sqrt();
            row.iter_mut().for_each(|v| *v /= length);
        }
        matrix
    });
    Band::new(set, n, |i, j, lane| matrices[lane / 4][i * n + j] as f32)
}

impl Denoiser {
    pub fn new(weights: &Weights, set: Instructions) -> Self {
        let name = |part: &str| format!("denoiser.{part}");
        // The blurs come first in the kernels' input and after the latent in the network's.
        let channel = |c: usize| match c {
            0..16 => 4 + c,
            16..20 => c - 16,
            _ => c,
        };
        let weight = weights.get("denoiser.conv_in.weight");
        let shape = ConvShape {
            inputs: vec![16, SEEN - 16],
            ..ConvShape::conv3x3(SEEN, LEVELS[0])
        };
        let conv_in = Layer {
            conv: Conv::new(set, shape, |o, t, c| weight[(o * SEEN + channel(c)) * 9 + t]),
            bias: Affine::bias(weights.get("denoiser.conv_in.bias")),
        };
        let block = |i: usize| {
            let layer = |part| Layer::conv3x3(weights, set, &format!("denoiser.{}.{part}", BLOCKS[i].0));
            Block {
                conv1: layer("conv1").conv,
                conv2: layer("conv2"),
            }
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
            conv_out: conv_out(weights, set),
            conv_out_bias: bias.to_vec(),
            stride: (0.0, Affine::bias(&[0.0; 16])),
        }
    }

    /// `x += velocity(x, t) dt` for step `step` of those that `condition` was prepared for.
    pub fn step(
        &mut self,
        pool: &Pool,
        x: &mut Grid,
        buffers: &mut Buffers,
        condition: &Condition,
        step: usize,
        dt: f32,
    ) {
        buffers.blur(pool, x);
        let Buffers {
            seen,
            levels,
            projected,
            ..
        } = buffers;
        let [(a0, b0), (a1, b1), (a2, b2)] = levels;
        let films = &condition.modulation[step];
        seen.fill_from_four(LATENT_AT, x);
        self.conv_in
            .conv
            .run(pool, seen, self.conv_in.finish(), Target::Grid(a0));
        self.blocks[0].run(pool, a0, b0, &films[0], Activation::None);
        self.down0.conv.run(pool, a0, self.down0.finish(), Target::Grid(a1));
        self.blocks[1].run(pool, a1, b1, &films[1], Activation::None);
        self.down1.conv.run(pool, a1, self.down1.finish(), Target::Grid(a2));
        self.blocks[2].run(pool, a2, b2, &films[2], Activation::None);
        self.self_attention.run(pool, a2, b2, projected, None);
        self.cross_attention
            .run(pool, a2, b2, projected, Some(&condition.context));
        self.blocks[3].run(pool, a2, b2, &films[3], Activation::None);
        self.up1
            .conv
            .run(pool, a2, self.up1.finish().accumulate(), Target::Shuffled2(a1));
        self.blocks[4].run(pool, a1, b1, &films[4], Activation::None);
        self.up0
            .conv
            .run(pool, a1, self.up0.finish().accumulate(), Target::Shuffled2(a0));
        self.blocks[5].run(pool, a0, b0, &films[5], Activation::Silu);
        if self.stride.0 != dt {
            let bias = &self.conv_out_bias;
            self.stride.0 = dt;
            self.stride.1.set((0..16).map(|lane| (dt, dt * bias[lane % 4])));
        }
        self.conv_out
            .run(pool, a0, Finish::plain(&self.stride.1).accumulate(), Target::Grid(x));
    }
}

/// The last convolution, to four channels: four neighbouring pixels are computed as one block of sixteen lanes, at
/// places four pixels apart, from the three rows of six pixels that any of them sees.
fn conv_out(weights: &Weights, set: Instructions) -> Conv {
    let weight = weights.get("denoiser.conv_out.weight");
    let inputs = LEVELS[0];
    let taps: Vec<Tap> = (-1..=1).flat_map(|dy| (-1..=4).map(move |dx| Tap { dy, dx })).collect();
    let shape = ConvShape {
        taps: taps.clone(),
        stride: (1, 4),
        ..ConvShape::linear(inputs, 16)
    };
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
        self.conv1.run(
            pool,
            x,
            Finish::plain(film).before(Activation::Silu),
            Target::Grid(between),
        );
        self.conv2.conv.run(
            pool,
            between,
            self.conv2.finish().accumulate().after(after),
            Target::Grid(x),
        );
    }
}

impl AttentionLayers {
    fn new(weights: &Weights, set: Instructions, name: &str, project: &[&str]) -> Self {
        let c = LEVELS[2];
        let get = |part: &str| weights.get(&format!("denoiser.{name}.{part}"));
        let linear = |parts: &[&str]| {
            let weight: Vec<f32> = parts
                .iter()
                .flat_map(|p| get(&format!("{p}.weight")))
                .copied()
                .collect();
            let bias: Vec<f32> = parts.iter().flat_map(|p| get(&format!("{p}.bias"))).copied().collect();
            let conv = Conv::new(set, ConvShape::linear(c, bias.len()), |o, _, i| weight[o * c + i]);
            Layer {
                conv,
                bias: Affine::bias(&bias),
            }
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
        self.project
            .conv
            .run(pool, between, self.project.finish(), Target::Grid(projected));
        let (keys, first) = context.map_or((&*projected, LEVELS[2]), |context| (context, 0));
        self.attention.run(pool, projected, keys, first, between);
        self.out
            .conv
            .run(pool, between, self.out.finish().accumulate(), Target::Grid(x));
    }
}
