//! A GIF without ffmpeg: a palette a frame by the image crate (NeuQuant).

use std::{
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
    time::Duration,
};

use image::{
    Delay, Frame, RgbaImage,
    codecs::gif::{GifEncoder, Repeat},
};

use super::{FilmError, Sink};

/// 1 is the best palette, 30 the quickest; 10 is the crate's own advice.
const SPEED: i32 = 10;

pub(super) struct Gif {
    path: PathBuf,
    encoder: GifEncoder<BufWriter<File>>,
    size: (u32, u32),
    fps: f64,
    frames: u64,
}

impl Gif {
    pub fn create(path: &Path, size: (u32, u32), fps: f64) -> Result<Self, FilmError> {
        let file = File::create(path).map_err(|error| FilmError::write(path, error))?;
        let mut encoder = GifEncoder::new_with_speed(BufWriter::new(file), SPEED);
        encoder.set_repeat(Repeat::Infinite).map_err(|error| FilmError::write(path, error))?;
        Ok(Self { path: path.to_owned(), encoder, size, fps, frames: 0 })
    }
}

impl Sink for Gif {
    fn frame(&mut self, rgba: &[u8]) -> Result<(), FilmError> {
        // Hundredths of a second: each frame ends at the nearest, so that the film as a whole keeps its length.
        let end = |frame: u64| (frame as f64 * 100.0 / self.fps).round() as u64;
        let hundredths = end(self.frames + 1) - end(self.frames);
        self.frames += 1;
        let Some(image) = RgbaImage::from_raw(self.size.0, self.size.1, rgba.to_vec()) else {
            return Err(FilmError::Frame {
                expected: 4 * self.size.0 as usize * self.size.1 as usize,
                found: rgba.len(),
            });
        };
        let delay = Delay::from_saturating_duration(Duration::from_millis(10 * hundredths));
        self.encoder
            .encode_frame(Frame::from_parts(image, 0, 0, delay))
            .map_err(|error| FilmError::write(&self.path, error))
    }

    /// The encoder writes the end of the file when it is dropped.
    fn finish(self: Box<Self>) -> Result<(), FilmError> {
        Ok(())
    }
}
