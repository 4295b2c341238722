//! Small pictures for the presets: the last one seen while a preset played.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use nannou::prelude::egui::{Color32, ColorImage, Context, TextureHandle, TextureId, TextureOptions};

use super::data::PanelData;
use crate::diffusion::Picture;

/// Of a thumbnail, in pixels: the shape of a tile's upper part.
const SIZE: [usize; 2] = [144, 96];
/// After a recall the picture is still on its way from the preset before.
const ARRIVED: Duration = Duration::from_millis(2500);
const AGAIN: Duration = Duration::from_secs(4);

/// The thumbnails, by the id of their preset.
#[derive(Default)]
pub struct Thumbs {
    textures: HashMap<String, TextureHandle>,
    playing: String,
    /// When the thumbnail of the playing preset is due.
    due: Option<Instant>,
}

impl Thumbs {
    /// Takes the picture of now for the preset that plays, when it has come to rest.
    pub fn follow(&mut self, context: &Context, now: Instant, data: &PanelData) {
        let Some(preset) = data.playing.and_then(|at| data.presets.get(at)) else { return };
        if self.playing != preset.id {
            self.playing.clone_from(&preset.id);
            self.due = Some(now + ARRIVED);
        }
        if self.due.is_some_and(|due| now < due) {
            return;
        }
        let Some(picture) = data.picture.as_ref().filter(|picture| picture.width * picture.height > 0) else { return };
        self.due = Some(now + AGAIN);
        let image = shrunk(picture, SIZE);
        match self.textures.get_mut(&preset.id) {
            Some(texture) => texture.set(image, TextureOptions::LINEAR),
            None => {
                let texture = context.load_texture("thumbnail", image, TextureOptions::LINEAR);
                self.textures.insert(preset.id.clone(), texture);
            }
        }
    }

    pub fn of(&self, id: &str) -> Option<TextureId> {
        self.textures.get(id).map(TextureHandle::id)
    }
}

/// The middle of a picture in another size: each pixel the mean of those that it covers.
pub fn shrunk(picture: &Picture, [width, height]: [usize; 2]) -> ColorImage {
    let scale = (picture.width as f32 / width as f32).min(picture.height as f32 / height as f32);
    let left = 0.5 * (picture.width as f32 - scale * width as f32);
    let top = 0.5 * (picture.height as f32 - scale * height as f32);
    // From the first to the last pixel that one of ours covers, at least one.
    let span = |from: f32, at: usize, end: usize| {
        let first = ((from + scale * at as f32) as usize).min(end - 1);
        let last = ((from + scale * (at + 1) as f32) as usize).clamp(first + 1, end);
        first..last
    };
    let mut pixels = Vec::with_capacity(width * height);
    for y in 0..height {
        for x in 0..width {
            let (mut sum, mut count) = ([0_u32; 3], 0);
            for row in span(top, y, picture.height) {
                for column in span(left, x, picture.width) {
                    let at = 4 * (row * picture.width + column);
                    let Some(rgb) = picture.rgba.get(at..at + 3) else { continue };
                    sum.iter_mut().zip(rgb).for_each(|(sum, part)| *sum += u32::from(*part));
                    count += 1;
                }
            }
            let [r, g, b] = sum.map(|sum| (sum / count.max(1)) as u8);
            pixels.push(Color32::from_rgb(r, g, b));
        }
    }
    ColorImage::new([width, height], pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: usize, height: usize, color: impl Fn(usize, usize) -> [u8; 3]) -> Picture {
        let mut picture = Picture::empty();
        (picture.width, picture.height) = (width, height);
        for y in 0..height {
            for x in 0..width {
                let [r, g, b] = color(x, y);
                picture.rgba.extend([r, g, b, 255]);
            }
        }
        picture
    }

    #[test]
    fn the_middle_is_taken_and_averaged() {
        // Left half black, right half white, with red margins above and below that a wide thumbnail cuts off.
        let picture = picture(64, 64, |x, y| match (x, y) {
            (_, 0..=7 | 56..=63) => [255, 0, 0],
            (0..=31, _) => [0, 0, 0],
            _ => [255, 255, 255],
        });
        let image = shrunk(&picture, [4, 2]);
        let white: Vec<u8> = image.pixels.iter().map(|pixel| pixel.g()).collect();
        assert_eq!(white, [0, 0, 255, 255, 0, 0, 255, 255]);
        let red = image.pixels[0].r();
        assert_eq!(red, 0);
        // All of it: half of the three quarters between the margins is white.
        let whole = shrunk(&picture, [1, 1]).pixels[0];
        assert!(whole.g().abs_diff(96) <= 1, "{whole:?}");
    }

    #[test]
    fn a_picture_smaller_than_the_thumbnail_or_cut_short_is_no_fault() {
        assert_eq!(shrunk(&picture(1, 1, |_, _| [9, 9, 9]), [5, 4]).pixels, vec![Color32::from_rgb(9, 9, 9); 20]);
        let mut cut = picture(8, 8, |_, _| [9, 9, 9]);
        cut.rgba.truncate(40);
        assert_eq!(shrunk(&cut, [4, 4]).pixels.len(), 16);
    }

    #[test]
    fn a_preset_gets_its_picture_once_it_has_arrived() {
        use super::super::data::PresetTile;
        let (context, start, mut thumbs) = (Context::default(), Instant::now(), Thumbs::default());
        let mut data = PanelData {
            presets: ["ink", "coral"].map(|id| PresetTile { id: id.into(), ..Default::default() }).into(),
            playing: Some(0),
            picture: Some(picture(4, 4, |_, _| [1, 2, 3]).into()),
            ..Default::default()
        };
        thumbs.follow(&context, start, &data);
        assert_eq!(thumbs.of("ink"), None);
        thumbs.follow(&context, start + ARRIVED, &data);
        assert!(thumbs.of("ink").is_some());
        data.playing = Some(1);
        thumbs.follow(&context, start + ARRIVED, &data);
        assert_eq!(thumbs.of("coral"), None);
    }
}
