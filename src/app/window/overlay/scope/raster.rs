//! Signal traces drawn into an image, column by column, with soft edges.

use nannou::prelude::egui::{Color32, ColorImage};

/// One trace in an image. Lengths in pixels.
pub(super) struct Line<'a> {
    /// Oldest first; the line spans the whole width of the image.
    pub samples: &'a [f32],
    pub middle: f32,
    /// What `amplitude` above the mean reaches.
    pub half_height: f32,
    pub amplitude: f32,
    pub thickness: f32,
    pub color: Color32,
}

/// A transparent image that lines are drawn into, the later over the earlier.
pub(super) struct Raster {
    size: [usize; 2],
    pixels: Vec<Color32>,
}

impl Raster {
    pub fn new(size: [usize; 2]) -> Self {
        Self { size, pixels: vec![Color32::TRANSPARENT; size[0] * size[1]] }
    }

    pub fn into_image(self) -> ColorImage {
        ColorImage::new(self.size, self.pixels)
    }

    /// Draws a trace; samples that are not finite lie on the mean.
    ///
    /// A column is filled from the lowest to the highest point that the line has in it, so no spike is lost however many
    /// samples share a column.
    pub fn line(&mut self, line: &Line<'_>) {
        let [width, _] = self.size;
        let samples = line.samples;
        if samples.len() < 2 {
            return;
        }
        let mean = mean(samples);
        let y = |sample: f32| {
            let known = line.amplitude > 0.0 && sample.is_finite();
            let deviation = if known { (sample - mean) / line.amplitude } else { 0.0 };
            line.middle - line.half_height * deviation.clamp(-1.5, 1.5)
        };
        let last = samples.len() - 1;
        let between = |at: f32| {
            let before = (at as usize).min(last - 1);
            let part = at - before as f32;
            y(samples[before]) * (1.0 - part) + y(samples[before + 1]) * part
        };
        let per_column = last as f32 / width as f32;
        let mut left = between(0.0);
        for column in 0..width {
            let from = column as f32 * per_column;
            let to = ((column + 1) as f32 * per_column).min(last as f32);
            let right = between(to);
            let (mut top, mut bottom) = (left.min(right), left.max(right));
            for sample in samples.iter().take(to as usize + 1).skip(from.ceil() as usize) {
                let y = y(*sample);
                top = top.min(y);
                bottom = bottom.max(y);
            }
            self.fill(column, top - 0.5 * line.thickness, bottom + 0.5 * line.thickness, line.color);
            left = right;
        }
    }

    /// Fills a column from `top` to `bottom`; pixels that are covered in part take that part of the colour.
    fn fill(&mut self, column: usize, top: f32, bottom: f32, color: Color32) {
        let [width, height] = self.size;
        let from = top.floor().max(0.0) as usize;
        let to = (bottom.ceil().max(0.0) as usize).min(height);
        for row in from..to {
            let covered = (bottom.min((row + 1) as f32) - top.max(row as f32)).clamp(0.0, 1.0);
            let pixel = &mut self.pixels[row * width + column];
            *pixel = color.gamma_multiply(covered) + pixel.gamma_multiply(1.0 - covered);
        }
    }
}

fn mean(samples: &[f32]) -> f32 {
    let (count, sum) = samples.iter().filter(|x| x.is_finite()).fold((0.0_f32, 0.0), |(n, sum), x| (n + 1.0, sum + x));
    if count > 0.0 { sum / count } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [usize; 2] = [200, 100];

    /// The image of a line around row 50 whose amplitude is 20 rows.
    fn drawn(samples: &[f32], amplitude: f32) -> ColorImage {
        let mut raster = Raster::new(SIZE);
        raster.line(&Line {
            samples,
            middle: 50.0,
            half_height: 20.0,
            amplitude,
            thickness: 2.0,
            color: Color32::WHITE,
        });
        raster.into_image()
    }

    fn rows_of(image: &ColorImage, column: usize) -> Vec<usize> {
        (0..SIZE[1]).filter(|row| image.pixels[row * SIZE[0] + column].a() > 127).collect()
    }

    #[test]
    fn a_spike_of_one_sample_is_drawn_however_many_samples_there_are() {
        let mut samples = vec![0.0; 20_000];
        samples[12_345] = 1.0;
        let rows = rows_of(&drawn(&samples, 1.0), 123);
        assert_eq!((rows[0], rows[rows.len() - 1]), (29, 50));
        assert_eq!(rows_of(&drawn(&samples, 1.0), 10), [49, 50]);
    }

    #[test]
    fn a_line_has_no_gaps_whether_samples_are_dense_or_sparse() {
        for n in [2, 7, 200, 201, 5000] {
            let samples: Vec<f32> = (0..n).map(|i| (i as f32 * 40.0 / n as f32).sin()).collect();
            let image = drawn(&samples, 1.0);
            let mut previous = rows_of(&image, 0);
            for column in 1..SIZE[0] {
                let rows = rows_of(&image, column);
                assert!(!rows.is_empty(), "{n}: column {column} is empty");
                assert!(rows[0] <= previous[previous.len() - 1] + 1 && previous[0] <= rows[rows.len() - 1] + 1, "{n}");
                previous = rows;
            }
        }
    }

    #[test]
    fn flat_and_broken_signals_are_straight_lines_in_the_middle() {
        for (samples, amplitude) in [(vec![5.0; 300], 0.0), (vec![f32::NAN; 300], 0.0), (vec![f32::NAN; 300], 1.0)] {
            let image = drawn(&samples, amplitude);
            for column in 0..SIZE[0] {
                assert_eq!(rows_of(&image, column), [49, 50]);
            }
        }
        for too_few in [&[][..], &[1.0]] {
            assert!(drawn(too_few, 1.0).pixels.iter().all(|pixel| *pixel == Color32::TRANSPARENT));
        }
    }

    #[test]
    fn what_leaves_the_image_is_cut_off() {
        let mut raster = Raster::new([10, 10]);
        for middle in [-30.0, 5.0, 300.0] {
            raster.line(&Line {
                samples: &[-1e30, 1e30, f32::INFINITY, 0.0],
                middle,
                half_height: 20.0,
                amplitude: 1e-20,
                thickness: 1.0,
                color: Color32::RED,
            });
        }
        assert!(raster.into_image().pixels.contains(&Color32::RED));
    }

    #[test]
    fn a_pixel_covered_by_half_is_half_as_bright() {
        let mut raster = Raster::new([1, 4]);
        raster.fill(0, 0.5, 2.0, Color32::WHITE);
        let alpha: Vec<u8> = raster.into_image().pixels.iter().map(|pixel| pixel.a()).collect();
        assert!((i32::from(alpha[0]) - 128).abs() <= 1);
        assert_eq!(alpha[1..], [255, 0, 0]);
    }
}
