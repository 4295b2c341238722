//! The picture file that a picture starts from (`dream --image`).

use std::path::Path;

use anyhow::{Context, Result};
use image::{DynamicImage, imageops::FilterType};

use crate::{
    diffusion::{Card, Picture},
    latent::Shape,
};

pub fn open(file: &Path) -> Result<DynamicImage> {
    let why = || format!("{} cannot be read as a picture; give a .png, .jpg or .gif", file.display());
    image::ImageReader::open(file)
        .with_context(why)?
        .with_guessed_format()
        .with_context(why)?
        .decode()
        .with_context(why)
}

/// The latent of a picture of about its size.
pub fn shape(image: &DynamicImage, card: &Card) -> Shape {
    let unit = card.factor * card.multiple;
    let cells = |px: u32| (px as usize / unit).max(1) * card.multiple;
    Shape { channels: card.latent_channels, height: cells(image.height()), width: cells(image.width()) }
}

/// The picture in the size that the latent makes; what does not fit its shape is cut off evenly.
pub fn fitted(image: &DynamicImage, shape: Shape, card: &Card) -> Picture {
    let (width, height) = (card.factor * shape.width, card.factor * shape.height);
    let rgba = if (image.width() as usize, image.height() as usize) == (width, height) {
        image.to_rgba8()
    } else {
        image.resize_to_fill(width as u32, height as u32, FilterType::CatmullRom).to_rgba8()
    };
    Picture { width, height, rgba: rgba.into_raw(), ..Picture::empty() }
}
