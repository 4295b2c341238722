//! The latent as a small picture: its channels as colours.

use nannou::prelude::egui::{Align2, Color32, ColorImage, Painter, Rect, TextureHandle, TextureOptions, pos2, vec2};

use super::{OverlayData, ink, layout::Layout};
use crate::latent::Latent;

/// The latent on the graphics card; written anew when another hop is shown.
#[derive(Default)]
pub(super) struct Picture {
    texture: Option<TextureHandle>,
    hop: Option<u64>,
}

impl Picture {
    pub fn paint(&mut self, painter: &Painter, layout: &Layout, data: &OverlayData) {
        let unit = layout.unit;
        let inside = ink::panel(painter, layout.latent, unit);
        let Some(latent) = data.latent.as_ref().filter(|latent| latent.shape.width * latent.shape.height > 0) else {
            ink::text(painter, inside.left_top(), Align2::LEFT_TOP, inside.width(), "no latent", 1.1 * unit, ink::DIM);
            return;
        };
        self.write(painter, latent);

        let aspect = latent.shape.width as f32 / latent.shape.height as f32;
        let height = inside.height().min(0.6 * inside.width() / aspect);
        let picture = Rect::from_min_size(inside.min, vec2(aspect * height, height));
        if let Some(texture) = &self.texture {
            let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
            painter.image(texture.id(), picture, whole, Color32::WHITE);
        }
        let left = picture.right() + unit;
        let width = inside.right() - left;
        let mut top = inside.top();
        let shape = latent.shape;
        for (text, size, color) in [
            (data.mapping.clone(), 1.7, ink::BRIGHT),
            (format!("{}×{}×{}", shape.channels, shape.height, shape.width), 1.1, ink::DIM),
            (format!("{:.1} s", latent.stamp.signal_secs), 1.1, ink::DIM),
        ] {
            let line = ink::text(painter, pos2(left, top), Align2::LEFT_TOP, width, text, size * unit, color);
            top = line.bottom() + 0.2 * unit;
        }
    }

    fn write(&mut self, painter: &Painter, latent: &Latent) {
        if self.hop == Some(latent.stamp.hop) && self.texture.is_some() {
            return;
        }
        let image = ColorImage::new([latent.shape.width, latent.shape.height], colors(latent));
        match &mut self.texture {
            Some(texture) => texture.set(image, TextureOptions::NEAREST),
            None => self.texture = Some(painter.ctx().load_texture("latent", image, TextureOptions::NEAREST)),
        }
        self.hop = Some(latent.stamp.hop);
    }
}

/// What a channel adds to red, green and blue: three hues and, for the fourth, light. More channels start over.
const CHANNEL_RGB: [[f32; 3]; 4] = [[0.8, -0.3, -0.3], [-0.3, 0.8, -0.3], [-0.3, -0.3, 0.8], [0.45, 0.45, 0.45]];
/// Three standard deviations of unit noise span the brightness that there is.
const PER_UNIT: f32 = 1.0 / 6.0;

fn colors(latent: &Latent) -> Vec<Color32> {
    let shape = latent.shape;
    let plane = shape.width * shape.height;
    let mut rgb = vec![[0.5_f32; 3]; plane];
    for (channel, values) in latent.values.chunks_exact(plane).take(shape.channels).enumerate() {
        let weights = CHANNEL_RGB[channel % CHANNEL_RGB.len()];
        for (pixel, value) in rgb.iter_mut().zip(values) {
            for (part, weight) in pixel.iter_mut().zip(weights) {
                *part += PER_UNIT * weight * value;
            }
        }
    }
    let byte = |x: f32| (255.0 * x.clamp(0.0, 1.0)).round() as u8;
    rgb.into_iter().map(|[r, g, b]| Color32::from_rgb(byte(r), byte(g), byte(b))).collect()
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use super::*;
    use crate::{Stamp, latent::Shape};

    fn latent(values: Vec<f32>) -> Latent {
        Latent {
            stamp: Stamp { hop: 0, signal_secs: 0.0, arrived: Instant::now() },
            shape: Shape { channels: 4, height: 1, width: 2 },
            values: Arc::from(values),
        }
    }

    #[test]
    fn no_noise_is_grey_and_every_channel_changes_the_colour() {
        let grey = colors(&latent(vec![0.0; 8]));
        assert_eq!(grey, [Color32::from_rgb(128, 128, 128); 2]);
        for channel in 0..4 {
            let mut values = vec![0.0; 8];
            values[2 * channel + 1] = 1.0;
            let changed = colors(&latent(values));
            assert_eq!(changed[0], grey[0], "channel {channel} reached another cell");
            assert_ne!(changed[1], grey[1], "channel {channel} cannot be seen");
        }
    }

    #[test]
    fn the_wildest_values_are_still_colours() {
        let all = colors(&latent(vec![1e9, -1e9, f32::NAN, 3.0, 1e9, 1e9, 0.0, f32::INFINITY]));
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn too_few_values_leave_grey_instead_of_a_panic() {
        assert_eq!(colors(&latent(vec![0.0; 3])).len(), 2);
    }
}
