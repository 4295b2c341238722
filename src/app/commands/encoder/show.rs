//! A picture in a terminal: two pixels a character, in true colour. Any terminal of the last ten years shows it.

use std::io::IsTerminal;

use image::{DynamicImage, RgbaImage, imageops::FilterType};

/// Characters across and pixels down.
const WIDTH: u32 = 96;
const HEIGHT: u32 = 96;

/// Shows it where there is a terminal.
pub fn picture(picture: &RgbaImage) {
    if std::io::stdout().is_terminal() {
        let small = DynamicImage::from(picture.clone()).resize(WIDTH, HEIGHT, FilterType::Triangle);
        print!("{}", text(&small.to_rgb8()));
    }
}

/// A cleared screen.
pub fn nothing() {
    if std::io::stdout().is_terminal() {
        print!("\x1b[2J\x1b[H");
    }
}

/// From the upper left of a cleared screen: each character's upper half is one pixel, its lower half the next.
fn text(picture: &image::RgbImage) -> String {
    let mut text = String::from("\x1b[2J\x1b[H");
    for y in (0..picture.height().saturating_sub(1)).step_by(2) {
        for x in 0..picture.width() {
            let ([r, g, b], [s, h, c]) = (picture.get_pixel(x, y).0, picture.get_pixel(x, y + 1).0);
            text += &format!("\x1b[38;2;{r};{g};{b}m\x1b[48;2;{s};{h};{c}m\u{2580}");
        }
        text.push_str("\x1b[0m\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_rows_of_pixels_are_one_line_in_their_colours() {
        let picture = image::RgbImage::from_fn(2, 2, |x, y| image::Rgb([x as u8 + 10, y as u8 + 20, 30]));
        let text = text(&picture);
        assert_eq!(text.lines().count(), 1);
        assert!(text.contains("38;2;11;20;30m\x1b[48;2;11;21;30m\u{2580}"), "{text:?}");
    }
}
