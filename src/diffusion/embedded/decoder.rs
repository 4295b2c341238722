//! The decoder: from a latent to a picture, written as bytes by its last convolution.

use super::{
    Layer, Residual, Way, denoiser,
    names::{DECODER, LEVELS},
};
use crate::{
    diffusion::weights::Weights,
    kernels::{Activation, Affine, Conv, Conv3, ConvShape, Finish, Grid, Pool, Target},
};

pub(super) struct Decoder {
    conv_in: Layer,
    features: Layer,
    features_bias: Vec<f32>,
    res0: Residual,
    res1: Residual,
    up: Layer,
    res2: Residual,
    res3: Residual,
    conv_out: Conv3,
    /// To -1..1, and to 0..255 with an ordered dither of one level.
    as_floats: Affine,
    as_bytes: Affine,
}

/// Activations at a quarter of the picture's size; those at an eighth are the denoiser's.
pub(super) struct Buffers {
    features: Grid,
    between: Grid,
}

pub(super) enum Output<'a> {
    /// RGBA
    Bytes(&'a mut [u8]),
    /// `(3, 8 height, 8 width)`, -1..1 and a little beyond
    Floats(&'a mut [f32]),
}

/// Bayer's 4 x 4 matrix: thresholds that are spread evenly over any neighbourhood, so that a smooth gradient of one
/// level over twenty pixels, as skies have, does not end in contours.
const BAYER: [u8; 16] = [0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5];

impl Buffers {
    pub fn new(height: usize, width: usize) -> Self {
        let features = Grid::new(DECODER[1], 2 * height, 2 * width);
        Self { between: features.clone(), features }
    }
}

impl Decoder {
    pub fn new(weights: &Weights, way: Way) -> Self {
        let ([c0, c1], set) = (DECODER, way.set);
        let weight = weights.get("decoder.conv_in.weight");
        let shape = ConvShape { lanes: 4, ..ConvShape::conv3x3(4, c0) };
        let conv_in = Layer {
            conv: Conv::new(set, shape, |o, t, c| weight[(o * 4 + c) * 9 + t]),
            bias: Affine::bias(weights.get("decoder.conv_in.bias")),
        };
        let weight = weights.get("decoder.features.weight");
        let features = Layer {
            conv: Conv::new(set, ConvShape::linear(LEVELS[0], c0), |o, _, c| weight[o * LEVELS[0] + c]),
            bias: Affine::bias(weights.get("decoder.features.bias")),
        };
        let weight = weights.get("decoder.conv_out.weight");
        let bias = weights.get("decoder.conv_out.bias");
        let dithered = bias.iter().zip(BAYER.iter().cycle());
        let dithered: Vec<f32> = dithered.map(|(b, d)| b * 127.5 + 127.5 + (f32::from(*d) - 7.5) / 16.0).collect();
        Self {
            conv_in,
            features,
            features_bias: weights.get("decoder.features.bias").to_vec(),
            res0: Residual::new(weights, way, "decoder.res0"),
            res1: Residual::new(weights, way, "decoder.res1"),
            up: Layer::up(weights, set, "decoder.up"),
            res2: Residual::new(weights, way, "decoder.res2"),
            res3: Residual::new(weights, way, "decoder.res3"),
            conv_out: Conv3::new(set, way.element, [c1, 48], true, |o, t, c| weight[(o * c1 + c) * 9 + t]),
            as_floats: Affine::bias(bias),
            as_bytes: Affine::new(&[127.5; 48], &dithered),
        }
    }

    /// Decodes `latent`, knowing the features that the denoiser made it of; they are lost, for it lends its buffers.
    /// `share`: how much they count, 1 if the latent is all of the denoiser's making.
    pub fn run(
        &self,
        pool: &Pool,
        latent: &Grid,
        share: f32,
        lent: &mut denoiser::Buffers,
        own: &mut Buffers,
        output: Output,
    ) {
        let (b, a) = &mut lent.levels[0];
        let Buffers { features, between } = own;
        if share < 1.0 {
            let shared: Vec<f32> = self.features_bias.iter().map(|bias| share * bias).collect();
            let shared = Affine::new(&vec![share; shared.len()], &shared);
            self.features.conv.run(pool, b, Finish::plain(&shared), Target::Grid(a));
        } else {
            self.features.conv.run(pool, b, self.features.finish(), Target::Grid(a));
        }
        self.conv_in.conv.run(pool, latent, self.conv_in.finish().accumulate(), Target::Grid(a));
        self.res0.run(pool, a, b, Activation::None);
        self.res1.run(pool, a, b, Activation::Relu);
        self.up.conv.run(pool, a, self.up.finish().before(Activation::Relu), Target::Shuffled2(features));
        self.res2.run(pool, features, between, Activation::None);
        self.res3.run(pool, features, between, Activation::None);
        match output {
            Output::Bytes(rgba) => {
                self.conv_out.run(pool, features, Finish::plain(&self.as_bytes), Target::Bytes(rgba));
            }
            Output::Floats(image) => {
                let mut blocks = Grid::new(48, features.height(), features.width());
                self.conv_out.run(pool, features, Finish::plain(&self.as_floats), Target::Grid(&mut blocks));
                let (height, width) = (4 * features.height(), 4 * features.width());
                for (i, value) in image.iter_mut().enumerate() {
                    let (c, y, x) = (i / (height * width), i / width % height, i % width);
                    *value = blocks.get(16 * c + y % 4 * 4 + x % 4, y / 4, x / 4);
                }
            }
        }
    }
}
