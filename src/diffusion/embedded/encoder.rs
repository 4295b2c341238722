//! The encoder: from a picture back to a latent, for pictures that are fed back.

use super::{FACTOR, LATENT, Layer, Residual, Way, names::ENCODER};
use crate::{
    diffusion::weights::Weights,
    kernels::{Activation, Conv3, Grid, Pool, Target},
};

pub(super) struct Encoder {
    conv_in: Layer<Conv3>,
    res0: Residual,
    down: Layer,
    res1: Residual,
    res2: Residual,
    conv_out: Layer<Conv3>,
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Encoder {
    pub fn new(weights: &Weights, way: Way) -> Self {
        Self {
            conv_in: Layer::conv3x3(weights, way, "encoder.conv_in"),
            res0: Residual::new(weights, way, "encoder.res0"),
            down: Layer::down(weights, way.set, "encoder.down"),
            res1: Residual::new(weights, way, "encoder.res1"),
            res2: Residual::new(weights, way, "encoder.res2"),
            conv_out: Layer::conv3x3(weights, way, "encoder.conv_out"),
            mean: weights.get("encoder.mean").to_vec(),
            std: weights.get("encoder.std").to_vec(),
        }
    }

    /// `(3, height, width)` in -1..1, both multiples of 8, to `(4, height / 8, width / 8)`.
    pub fn run(&self, pool: &Pool, image: &[f32], height: usize, width: usize) -> Vec<f32> {
        let (h, w) = (height / 4, width / 4);
        let mut unshuffled = vec![0.0; image.len()];
        for (i, value) in unshuffled.iter_mut().enumerate() {
            let (channel, y, x) = (i / (h * w), i / w % h, i % w);
            let (c, dy, dx) = (channel / 16, channel % 16 / 4, channel % 4);
            *value = image[(c * height + 4 * y + dy) * width + 4 * x + dx];
        }
        let mut seen = Grid::new(48, h, w);
        seen.fill_from(&unshuffled);
        let mut a = Grid::new(ENCODER[0], h, w);
        let mut b = a.clone();
        self.conv_in.conv.run(pool, &seen, self.conv_in.finish(), Target::Grid(&mut a));
        self.res0.run(pool, &mut a, &mut b, Activation::Relu);
        let mut c = Grid::new(ENCODER[1], height / FACTOR, width / FACTOR);
        let mut d = c.clone();
        self.down.conv.run(pool, &a, self.down.finish(), Target::Grid(&mut c));
        self.res1.run(pool, &mut c, &mut d, Activation::None);
        self.res2.run(pool, &mut c, &mut d, Activation::None);
        let mut cells = Grid::new(LATENT, c.height(), c.width());
        self.conv_out.conv.run(pool, &c, self.conv_out.finish(), Target::Grid(&mut cells));
        let mut latent = vec![0.0; LATENT * c.height() * c.width()];
        cells.copy_to(&mut latent);
        let each = latent.chunks_exact_mut(c.height() * c.width());
        for ((channel, mean), std) in each.zip(&self.mean).zip(&self.std) {
            channel.iter_mut().for_each(|v| *v = (*v - mean) / std);
        }
        latent
    }
}
