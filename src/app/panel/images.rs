//! The pictures in the panel, as textures that are written in place: the dream, the latent, the spectrogram, thumbnails.

use nannou::prelude::egui::{
    Color32, ColorImage, Context, Painter, Rect, TextureHandle, TextureId, TextureOptions, pos2,
};

use super::{spectrogram::Spectrogram, thumbs::Thumbs};
use crate::{app::window::overlay::scope::View, diffusion::Picture, latent::Latent};

/// No more planes of a latent are shown.
pub(super) const MOST_PLANES: usize = 4;
/// Values of unit noise that span the colours.
const PLANE_SPAN: f32 = 3.0;

/// All that is kept on the graphics card for the panel.
#[derive(Default)]
pub(super) struct Images {
    pub scope: View,
    pub spectrogram: Spectrogram,
    pub thumbs: Thumbs,
    picture: Kept,
    planes: Kept,
}

/// A texture and the hop that it was made from.
#[derive(Default)]
struct Kept {
    texture: Option<TextureHandle>,
    hop: Option<u64>,
}

impl Kept {
    fn write(&mut self, context: &Context, hop: u64, options: TextureOptions, image: impl FnOnce() -> ColorImage) {
        if self.hop == Some(hop) && self.texture.is_some() {
            return;
        }
        match &mut self.texture {
            Some(texture) => texture.set(image(), options),
            None => self.texture = Some(context.load_texture("panel", image(), options)),
        }
        self.hop = Some(hop);
    }

    fn id(&self) -> Option<TextureId> {
        self.texture.as_ref().map(TextureHandle::id)
    }
}

impl Images {
    /// The dream's newest picture.
    pub fn picture(&mut self, context: &Context, picture: &Picture) -> Option<TextureId> {
        let size = [picture.width, picture.height];
        if picture.rgba.len() != 4 * size[0] * size[1] || picture.rgba.is_empty() {
            return None;
        }
        self.picture.write(context, picture.stamp.hop, TextureOptions::LINEAR, || {
            ColorImage::from_rgba_premultiplied(size, &picture.rgba)
        });
        self.picture.id()
    }

    /// The planes of the latent side by side in one texture.
    pub fn planes(&mut self, context: &Context, latent: &Latent) -> Option<TextureId> {
        (!latent.shape.is_empty()).then_some(())?;
        self.planes.write(context, latent.stamp.hop, TextureOptions::NEAREST, || planes(latent));
        self.planes.id()
    }
}

/// How many planes of a latent are shown.
pub(super) fn plane_count(latent: &Latent) -> usize {
    latent.shape.channels.min(MOST_PLANES)
}

fn planes(latent: &Latent) -> ColorImage {
    let (shape, count) = (latent.shape, plane_count(latent));
    let plane = shape.width * shape.height;
    let mut pixels = Vec::with_capacity(count * plane);
    for row in 0..shape.height {
        for channel in 0..count {
            let first = channel * plane + row * shape.width;
            let values = (first..first + shape.width).map(|at| latent.values.get(at).copied().unwrap_or(0.0));
            pixels.extend(values.map(|value| heat(0.5 + 0.5 * value / PLANE_SPAN)));
        }
    }
    ColorImage::new([count * shape.width, shape.height], pixels)
}

/// From night over the accent to white, 0..1; even to the eye. What is no number is night.
pub(super) fn heat(level: f32) -> Color32 {
    const STOPS: [[f32; 3]; 5] =
        [[13.0, 16.0, 20.0], [20.0, 58.0, 66.0], [36.0, 128.0, 122.0], [104.0, 226.0, 204.0], [246.0, 252.0, 240.0]];
    let level = if level.is_finite() { level.clamp(0.0, 1.0) } else { 0.0 };
    let at = level * (STOPS.len() - 1) as f32;
    let below = (at as usize).min(STOPS.len() - 2);
    let part = at - below as f32;
    let mix = |i: usize| (STOPS[below][i] * (1.0 - part) + STOPS[below + 1][i] * part).round() as u8;
    Color32::from_rgb(mix(0), mix(1), mix(2))
}

/// The part of a texture from `left` to `right`, 0..1.
pub(super) fn strip(painter: &Painter, texture: TextureId, place: Rect, left: f32, right: f32) {
    let uv = Rect::from_min_max(pos2(left, 0.0), pos2(right, 1.0));
    painter.image(texture, place, uv, Color32::WHITE);
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use super::*;
    use crate::{Stamp, latent::Shape};

    fn latent(values: Vec<f32>) -> Latent {
        Latent {
            stamp: Stamp { hop: 3, signal_secs: 0.1, arrived: Instant::now() },
            shape: Shape { channels: 4, height: 2, width: 3 },
            values: Arc::from(values),
        }
    }

    #[test]
    fn the_planes_stand_side_by_side_in_their_order() {
        let mut values = vec![-9.0; 24];
        // Plane 2, row 1, column 0.
        values[2 * 6 + 3] = 9.0;
        let image = planes(&latent(values));
        assert_eq!(image.size, [12, 2]);
        let white: Vec<usize> = (0..24).filter(|at| image.pixels[*at] == heat(1.0)).collect();
        assert_eq!(white, [12 + 6]);
    }

    #[test]
    fn broken_values_and_too_few_of_them_are_colours_too() {
        assert_eq!(planes(&latent(vec![f32::NAN; 24])).pixels, vec![heat(0.0); 24]);
        assert_eq!(planes(&latent(vec![])).pixels, vec![heat(0.5); 24]);
        assert_eq!(heat(f32::INFINITY), heat(0.0));
        assert_eq!(heat(7.0), heat(1.0));
    }

    #[test]
    fn heat_only_gets_brighter() {
        let light: Vec<u32> =
            (0..=100).map(|i| heat(i as f32 / 100.0)).map(|c| c.r() as u32 + c.g() as u32 + c.b() as u32).collect();
        assert!(light.windows(2).all(|pair| pair[0] <= pair[1]));
    }

    #[test]
    fn a_picture_without_pixels_is_not_drawn() {
        let mut images = Images::default();
        assert_eq!(images.picture(&Context::default(), &Picture::empty()), None);
    }
}
