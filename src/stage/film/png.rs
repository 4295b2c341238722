//! A film as a folder of numbered PNG files.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use image::{
    ExtendedColorType, ImageEncoder,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};

use super::{FilmError, Sink};

pub(super) struct Pngs {
    folder: PathBuf,
    size: (u32, u32),
    number: u64,
    rgb: Vec<u8>,
}

/// The file of a frame; the first has number 1.
pub(super) fn file(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:06}.png"))
}

impl Pngs {
    pub fn create(folder: &Path, size: (u32, u32)) -> Result<Self, FilmError> {
        std::fs::create_dir_all(folder).map_err(|error| FilmError::write(folder, error))?;
        Ok(Self { folder: folder.to_owned(), size, number: 0, rgb: Vec::new() })
    }
}

impl Sink for Pngs {
    fn frame(&mut self, rgba: &[u8]) -> Result<(), FilmError> {
        self.number += 1;
        self.rgb.clear();
        self.rgb.extend(rgba.as_chunks::<4>().0.iter().flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]));
        let path = file(&self.folder, self.number);
        let mut writer = BufWriter::new(File::create(&path).map_err(|error| FilmError::write(&path, error))?);
        PngEncoder::new_with_quality(&mut writer, CompressionType::Fast, FilterType::Adaptive)
            .write_image(&self.rgb, self.size.0, self.size.1, ExtendedColorType::Rgb8)
            .map_err(|error| FilmError::write(&path, error))?;
        writer.flush().map_err(|error| FilmError::write(&path, error))
    }

    /// An older, longer film in the same folder must not run on behind this one.
    fn finish(self: Box<Self>) -> Result<(), FilmError> {
        let mut number = self.number + 1;
        while std::fs::remove_file(file(&self.folder, number)).is_ok() {
            number += 1;
        }
        Ok(())
    }
}
