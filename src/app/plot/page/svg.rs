//! The page as SVG 1.1: lines, areas and letters stay what they are, pictures are embedded as PNG.

use std::fmt::Write as _;

use image::{ImageEncoder, codecs::png::PngEncoder};

use super::{Anchor, DOTS_PER_INCH, FONT, Image, Page, Rgb, Shape, Text};

pub fn write(page: &Page) -> String {
    let (width, height) = page.size();
    let inches = |length: u32| length as f32 / DOTS_PER_INCH;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"{:.3}in\" \
         height=\"{:.3}in\" viewBox=\"0 0 {width} {height}\" font-family=\"{FONT}\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n",
        inches(width),
        inches(height),
    );
    for image in &page.images {
        out.push_str(&embedded(image));
    }
    for shape in &page.shapes {
        out.push_str(&match shape {
            Shape::Line { points, width, colour } => format!(
                "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\" stroke-linejoin=\"round\" points=\"{}\"/>\n",
                hex(*colour),
                list(points)
            ),
            Shape::Area { points, colour } => format!("<polygon fill=\"{}\" points=\"{}\"/>\n", hex(*colour), list(points)),
            Shape::Text(text) => letters(text),
        });
    }
    out.push_str("</svg>\n");
    out
}

fn letters(text: &Text) -> String {
    let (x, y) = text.at;
    let anchor = match text.anchor {
        Anchor::Start => "start",
        Anchor::Middle => "middle",
        Anchor::End => "end",
    };
    let turn = if text.is_turned { format!(" transform=\"rotate(-90 {x:.1} {y:.1})\"") } else { String::new() };
    let bold = if text.is_bold { " font-weight=\"bold\"" } else { "" };
    format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{:.1}\" text-anchor=\"{anchor}\" fill=\"{}\"{bold}{turn}>{}</text>\n",
        text.size,
        hex(text.colour),
        escaped(&text.text)
    )
}

fn embedded(image: &Image) -> String {
    let mut bytes = Vec::new();
    let (width, height) = image.pixels.dimensions();
    let written = PngEncoder::new(&mut bytes).write_image(&image.pixels, width, height, image::ExtendedColorType::Rgb8);
    if written.is_err() {
        return String::new();
    }
    let sharp = if image.is_data { " image-rendering=\"pixelated\"" } else { "" };
    format!(
        "<image x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" preserveAspectRatio=\"none\"{sharp} \
         xlink:href=\"data:image/png;base64,{}\"/>\n",
        image.left,
        image.top,
        image.width,
        image.height,
        base64(&bytes)
    )
}

fn list(points: &[(f32, f32)]) -> String {
    points.iter().fold(String::new(), |mut out, (x, y)| {
        // Writing to a string does not fail.
        let _ = write!(out, "{x:.1},{y:.1} ");
        out
    })
}

fn hex([red, green, blue]: Rgb) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// RFC 4648.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let number = three.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = char::from(LETTERS[(number >> (18 - 6 * place) & 63) as usize]);
            out.push(if place > three.len() { '=' } else { letter });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        for (text, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(text.as_bytes()), coded);
        }
    }

    #[test]
    fn what_xml_reads_otherwise_is_escaped() {
        let mut page = Page::new(100.0);
        page.set_height(50.0);
        page.text("a<b & c", (1.0, 2.0), 10.0, Anchor::Start, [0; 3]);
        let text = write(&page);
        assert!(text.contains("a&lt;b &amp; c</text>") && text.ends_with("</svg>\n"), "{text}");
    }
}
