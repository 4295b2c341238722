//! A picture fed in: the last one, moved, or one that was given.
//!
//! The network goes straight from noise to an estimate of the picture's latent, so that is where a picture comes in: it is
//! encoded and mixed into the estimate. What was fed in has no features for the decoder, so those of the noise count as
//! much as the noise does. A further step of the network on the mixture was tried and left out: it costs a pass, and on
//! films of ink and of mountains it left more seams than it mended.
//!
//! Decoding and encoding are not quite each other's inverse: some stripes and colours come back stronger than they were, and
//! thirty times a second that is a runaway (green and magenta, within four seconds). What the way there and back does to
//! the unmoved picture is therefore known each time, moved along, and taken off again. Where something has grown all the same,
//! as it may in fast movements, it is told by its roughness: there less stays than elsewhere.

use super::{Embedded, FACTOR, LATENT};
use crate::{
    Stamp,
    diffusion::{Conditioning, GenerateError},
    kernels::Grid,
    latent::Latent,
};

/// A picture that may be fed back.
pub(super) struct Last {
    stamp: Stamp,
    /// Of the latent.
    size: [usize; 2],
    /// (4, h, w)
    latent: Vec<f32>,
    /// (3, 8 h, 8 w), -1..1
    image: Vec<f32>,
}

/// The latent of what is fed in, and how much of it stays.
pub(super) struct Fed {
    latent: Vec<f32>,
    pub kept: f32,
    /// It comes from the picture before, and the next one will from this.
    circles: bool,
}

/// How much rougher than the estimate's mean a place may be before less of it stays. In 19 of 20 places of a picture that is
/// not fed back it is below 2.1.
const ROUGH: f32 = 2.0;

impl Fed {
    /// Brings the estimate that the noise gave towards what is fed in.
    pub fn mix_into(&self, estimate: &mut Grid) {
        let mut values = vec![0.0; self.latent.len()];
        estimate.copy_to(&mut values);
        let (height, width) = (estimate.height(), estimate.width());
        let area = height * width;
        let mut kept = vec![self.kept; area];
        if self.circles && area > 0 {
            let usual = roughness(&values, height, width).iter().sum::<f32>() / area as f32;
            let rough = roughness(&self.latent, height, width);
            kept.iter_mut().zip(rough).for_each(|(kept, rough)| *kept *= (ROUGH * usual / rough.max(1e-6)).min(1.0));
        }
        for (values, fed) in values.chunks_exact_mut(area.max(1)).zip(self.latent.chunks_exact(area.max(1))) {
            values.iter_mut().zip(fed).zip(&kept).for_each(|((e, fed), kept)| *e += kept * (fed - *e));
        }
        estimate.fill_from(&values);
    }
}

/// Of each place, how much its neighbourhood differs from cell to cell: squared, over all channels of `(4, h, w)`.
fn roughness(latent: &[f32], height: usize, width: usize) -> Vec<f32> {
    let area = height * width;
    let mut squares = vec![0.0; area];
    for plane in latent.chunks_exact(area) {
        let smooth = mean_around(plane, height, width, 1);
        squares.iter_mut().zip(plane.iter().zip(smooth)).for_each(|(sum, (v, smooth))| *sum += (v - smooth).powi(2));
    }
    mean_around(&squares, height, width, 2)
}

/// Means over squares of `2 reach + 1` cells; beyond the border the last cell again.
fn mean_around(plane: &[f32], height: usize, width: usize, reach: isize) -> Vec<f32> {
    let share = 1.0 / (2 * reach + 1) as f32;
    let along = |n: usize, at: usize, value: &dyn Fn(usize) -> f32| {
        (-reach..=reach).map(|d| value(at.saturating_add_signed(d).min(n - 1))).sum::<f32>() * share
    };
    let across: Vec<f32> =
        (0..height * width).map(|i| along(width, i % width, &|x| plane[i / width * width + x])).collect();
    (0..height * width).map(|i| along(height, i / width, &|y| across[y * width + i % width])).collect()
}

impl Embedded {
    /// What is fed into the picture of this noise; none costs nothing.
    pub(super) fn fed(&mut self, latent: &Latent, with: &Conditioning) -> Result<Option<Fed>, GenerateError> {
        let size = [latent.shape.height, latent.shape.width];
        let pixels = size.map(|n| FACTOR * n);
        if let Some(start) = &with.start {
            let picture = &start.picture;
            if [picture.height, picture.width] != pixels {
                return Err(self.failed(format!(
                    "the picture to start from is {}x{}, but the latent makes {}x{}",
                    picture.width, picture.height, pixels[1], pixels[0]
                )));
            }
            let kept = 1.0 - start.strength.clamp(0.0, 1.0);
            return Ok(Some(Fed { latent: self.encode(picture)?, kept, circles: false }));
        }
        let kept = with.feedback.kept();
        let Some(last) = self.last.take().filter(|last| kept > 0.0 && last.size == size) else { return Ok(None) };
        let latent = match with.feedback.moved(&last.stamp, &latent.stamp) {
            None => last.latent,
            Some(moved) => {
                let encode = |image: &[f32]| self.encoder.run(&self.pool, image, pixels[0], pixels[1]);
                let back = encode(&last.image);
                let strayed: Vec<f32> = back.iter().zip(&last.latent).map(|(back, was)| back - was).collect();
                let strayed = moved.apply(&strayed, size[0], size[1]);
                let mut latent = encode(&moved.apply(&last.image, pixels[0], pixels[1]));
                latent.iter_mut().zip(&strayed).for_each(|(latent, strayed)| *latent -= strayed);
                latent
            }
        };
        Ok(Some(Fed { latent, kept, circles: true }))
    }

    /// Keeps the picture that was just made, if it is to be fed back.
    pub(super) fn remember(&mut self, latent: &Latent, with: &Conditioning, image: impl FnOnce() -> Vec<f32>) {
        self.last = None;
        if let (true, Some(canvas)) = (with.feedback.is_on(), &self.canvas) {
            let mut values = vec![0.0; LATENT * canvas.height * canvas.width];
            canvas.latent.copy_to(&mut values);
            let size = [canvas.height, canvas.width];
            self.last = Some(Last { stamp: latent.stamp, size, latent: values, image: image() });
        }
    }
}
