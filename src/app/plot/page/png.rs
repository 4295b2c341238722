//! The page as PNG: painted twice as large by plotters and brought down, which makes every edge smooth; 300 dots an inch
//! are written into the file.

use anyhow::{Result, anyhow};
use flate2::Crc;
use image::{ImageEncoder, RgbImage, codecs::png::PngEncoder, imageops};
use plotters::{
    backend::{BitMapBackend, DrawingBackend},
    coord::Shift,
    drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea},
    element::{PathElement, Polygon},
    style::{
        Color, FontTransform, IntoTextStyle, RGBColor,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::{Anchor, DOTS_PER_INCH, Page, Rgb, Shape, Text, font};

/// Painted so many times as large.
const FINER: u32 = 2;

pub fn paint(page: &Page) -> Result<Vec<u8>> {
    let (width, height) = page.size();
    let (wide, high) = (width * FINER, height * FINER);
    let mut canvas = RgbImage::from_pixel(wide, high, image::Rgb([255; 3]));
    let scale = |x: f32| x * FINER as f32;
    for picture in &page.images {
        let size = |length: f32| scale(length).round().max(1.0) as u32;
        let filter = if picture.is_data { imageops::FilterType::Nearest } else { imageops::FilterType::CatmullRom };
        let resized = imageops::resize(&picture.pixels, size(picture.width), size(picture.height), filter);
        imageops::replace(&mut canvas, &resized, scale(picture.left).round() as i64, scale(picture.top).round() as i64);
    }
    let mut bytes = canvas.into_raw();
    let area = BitMapBackend::with_buffer(&mut bytes, (wide, high)).into_drawing_area();
    let dots = |(x, y): &(f32, f32)| (scale(*x).round() as i32, scale(*y).round() as i32);
    for shape in &page.shapes {
        let painted = match shape {
            Shape::Line { points, width, colour } => {
                let style = ink(*colour).stroke_width(scale(*width).round().max(1.0) as u32);
                // Piece by piece: where a trace turns back on itself, a joint would stick out.
                let mut pieces = points.windows(2).map(|pair| [dots(&pair[0]), dots(&pair[1])]).filter(|[a, b]| a != b);
                pieces.try_for_each(|piece| area.draw(&PathElement::new(piece.to_vec(), style)))
            }
            Shape::Area { points, colour } => {
                area.draw(&Polygon::new(points.iter().map(dots).collect::<Vec<_>>(), ink(*colour).filled()))
            }
            Shape::Text(text) => letters(&area, text),
        };
        painted.map_err(|error| anyhow!("the figure cannot be painted: {error}"))?;
    }
    drop(area);
    let large = RgbImage::from_raw(wide, high, bytes).unwrap_or_default();
    let small = imageops::resize(&large, width, height, imageops::FilterType::Triangle);
    encode(&small)
}

fn ink([red, green, blue]: Rgb) -> RGBColor {
    RGBColor(red, green, blue)
}

fn letters<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    text: &Text,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let scale = FINER as f32;
    let turn = if text.is_turned { FontTransform::Rotate270 } else { FontTransform::None };
    let described = font(text.size * scale, text.is_bold).transform(turn);
    let line = described.get_size() as f32;
    let side = match text.anchor {
        Anchor::Start => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::End => HPos::Right,
    };
    let colour = ink(text.colour);
    let style = described.into_text_style(area).color(&colour).pos(Pos::new(side, VPos::Top));
    // What is given is the base line; the painter begins half a line above it.
    let (x, y) = (text.at.0 * scale, text.at.1 * scale);
    let (x, y) = if text.is_turned { (x - 0.5 * line, y) } else { (x, y - 0.5 * line) };
    area.draw_text(&text.text, &style, (x.round() as i32, y.round() as i32))
}

fn encode(image: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes).write_image(image, image.width(), image.height(), image::ExtendedColorType::Rgb8)?;
    // After signature (8 bytes) and head (25): dots a metre, both ways.
    let dots = (DOTS_PER_INCH / 0.0254).round() as u32;
    let mut chunk = b"pHYs".to_vec();
    chunk.extend([dots.to_be_bytes(), dots.to_be_bytes()].concat());
    chunk.push(1);
    let mut sum = Crc::new();
    sum.update(&chunk);
    let whole = [&9u32.to_be_bytes()[..], &chunk, &sum.sum().to_be_bytes()].concat();
    bytes.splice(33..33, whole);
    Ok(bytes)
}
