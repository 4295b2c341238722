//! A page of shapes in pixels of 1/300 inch, painted as PNG or written as SVG. Pictures lie under lines and letters.

mod png;
mod svg;

use std::sync::Once;

use plotters::style::{FontDesc, FontFamily, FontStyle, register_font};

use super::colours::Rgb;

/// Of a page that is printed as it is.
pub const DOTS_PER_INCH: f32 = 300.0;
/// The font that the program brings with it, and what may stand for it where a figure is opened without it.
const FONT: &str = "Noto Sans, Helvetica, Arial, sans-serif";
/// What the painter calls the size of a font is the height of its lines, of which the letter M is so much wide.
const LINE_OVER_EM: f32 = 1.362;

/// Where a text begins, along its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Debug, Clone)]
pub struct Text {
    /// On the base line.
    pub at: (f32, f32),
    pub text: String,
    /// Of the em, in pixels.
    pub size: f32,
    pub is_bold: bool,
    pub anchor: Anchor,
    /// Read from below.
    pub is_turned: bool,
    pub colour: Rgb,
}

#[derive(Debug, Clone)]
pub enum Shape {
    Line { points: Vec<(f32, f32)>, width: f32, colour: Rgb },
    Area { points: Vec<(f32, f32)>, colour: Rgb },
    Text(Text),
}

/// Pixels, rows from the top, red green blue.
#[derive(Debug, Clone)]
pub struct Image {
    pub left: f32,
    pub top: f32,
    pub width: f32,
    pub height: f32,
    pub pixels: image::RgbImage,
    /// Pixels are values and stay sharp.
    pub is_data: bool,
}

#[derive(Debug, Default)]
pub struct Page {
    width: f32,
    height: f32,
    pub images: Vec<Image>,
    pub shapes: Vec<Shape>,
}

impl Page {
    pub fn new(width: f32) -> Self {
        Self { width, ..Self::default() }
    }

    pub fn set_height(&mut self, height: f32) {
        self.height = height.ceil();
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width as u32, self.height as u32)
    }

    pub fn line(&mut self, points: Vec<(f32, f32)>, width: f32, colour: Rgb) {
        self.shapes.push(Shape::Line { points, width, colour });
    }

    pub fn area(&mut self, points: Vec<(f32, f32)>, colour: Rgb) {
        self.shapes.push(Shape::Area { points, colour });
    }

    pub fn frame(&mut self, (left, top): (f32, f32), (right, bottom): (f32, f32), width: f32, colour: Rgb) {
        self.line(vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], width, colour);
    }

    pub fn text(&mut self, text: impl Into<String>, at: (f32, f32), size: f32, anchor: Anchor, colour: Rgb) {
        let text = text.into();
        self.shapes.push(Shape::Text(Text { at, text, size, is_bold: false, anchor, is_turned: false, colour }));
    }

    pub fn bold(&mut self, text: impl Into<String>, at: (f32, f32), size: f32, colour: Rgb) {
        let (text, anchor) = (text.into(), Anchor::Start);
        self.shapes.push(Shape::Text(Text { at, text, size, is_bold: true, anchor, is_turned: false, colour }));
    }

    /// Read from below, around the point.
    pub fn turned(&mut self, text: impl Into<String>, at: (f32, f32), size: f32, colour: Rgb) {
        let (text, anchor) = (text.into(), Anchor::Middle);
        self.shapes.push(Shape::Text(Text { at, text, size, is_bold: false, anchor, is_turned: true, colour }));
    }

    pub fn svg(&self) -> String {
        svg::write(self)
    }

    pub fn png(&self) -> anyhow::Result<Vec<u8>> {
        png::paint(self)
    }
}

/// The font at this size of its em.
fn font(size: f32, is_bold: bool) -> FontDesc<'static> {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        for (style, bytes) in [(FontStyle::Normal, notosans::REGULAR_TTF), (FontStyle::Bold, notosans::BOLD_TTF)] {
            if register_font(FONT, style, bytes).is_err() {
                tracing::error!("the font that the program brings with it cannot be read");
            }
        }
    });
    let style = if is_bold { FontStyle::Bold } else { FontStyle::Normal };
    FontDesc::new(FontFamily::Name(FONT), f64::from(size * LINE_OVER_EM), style)
}

/// Pixels that a text takes along its line.
pub fn text_width(text: &str, size: f32, is_bold: bool) -> f32 {
    font(size, is_bold).box_size(text).map_or(0.5 * size * text.chars().count() as f32, |(width, _)| width as f32)
}

/// Broken into lines of this width.
pub fn wrapped(text: &str, size: f32, width: f32) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().map(std::mem::take).unwrap_or_default();
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        let fits = line.is_empty() || text_width(&longer, size, false) <= width;
        if let Some(last) = lines.last_mut() {
            *last = if fits { longer } else { line };
        }
        if !fits {
            lines.push(word.to_owned());
        }
    }
    lines
}
