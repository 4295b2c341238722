//! Films: frames to .mp4, .mkv, .webm, .gif or a folder of PNG.
//!
//! [`Film::push`] copies a frame into a buffer that is used again and hands it to the thread `film`, which compresses
//! and writes. At most [`AHEAD`] frames wait; then `push` waits too. Whatever happens between two pushes, `finish` (or
//! dropping the film) leaves a file that plays: ffmpeg runs in a process group of its own, so that the terminal's
//! Ctrl-C does not reach it, and ends its file when its input ends.

mod ffmpeg;
mod gif;
mod png;
mod screen;

pub use screen::{Filmed, ScreenFilm};

use std::{
    path::{Path, PathBuf},
    thread::JoinHandle,
};

use crossbeam_channel::{Receiver, Sender, bounded};

/// Frames that wait for the film thread.
const AHEAD: usize = 4;

/// What a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Mp4,
    Mkv,
    Webm,
    Gif,
    /// Files 000001.png, 000002.png and so on.
    Folder,
}

impl Format {
    /// By the path's ending; a path without one, ending in a slash, or of a folder that is there, is a folder.
    pub fn of(path: &Path) -> Result<Self, FilmError> {
        let text = path.to_string_lossy();
        if text.ends_with(['/', std::path::MAIN_SEPARATOR]) || path.is_dir() {
            return Ok(Self::Folder);
        }
        let Some(ending) = path.extension() else {
            return Ok(Self::Folder);
        };
        match ending.to_string_lossy().to_lowercase().as_str() {
            "mp4" => Ok(Self::Mp4),
            "mkv" => Ok(Self::Mkv),
            "webm" => Ok(Self::Webm),
            "gif" => Ok(Self::Gif),
            other => Err(FilmError::Ending { path: path.to_owned(), ending: other.to_owned() }),
        }
    }
}

/// Writes the frames of one film. Lives on the film thread.
trait Sink: Send {
    fn frame(&mut self, rgba: &[u8]) -> Result<(), FilmError>;
    fn finish(self: Box<Self>) -> Result<(), FilmError>;
}

/// How much time an encoder takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pains {
    /// As much as it needs: the frames wait for it.
    Fine,
    /// Little: it works beside a show.
    Hasty,
}

/// What writes the frames of a film; `notes` are what is different from what was asked for.
fn sink(
    path: &Path,
    size: (u32, u32),
    fps: f64,
    pains: Pains,
    notes: &mut Vec<String>,
) -> Result<Box<dyn Sink>, FilmError> {
    let format = Format::of(path)?;
    let (width, height) = size;
    let least = if matches!(format, Format::Gif | Format::Folder) { 1 } else { 2 };
    if width < least || height < least {
        return Err(FilmError::Size { width, height });
    }
    if !(fps.is_finite() && fps > 0.0 && fps <= 1000.0) {
        return Err(FilmError::Rate { fps });
    }
    if let Some(parent) = path.parent().filter(|_| format != Format::Folder)
        && !parent.as_os_str().is_empty()
        && !parent.is_dir()
    {
        return Err(FilmError::NoFolder { path: path.to_owned(), folder: parent.to_owned() });
    }
    Ok(match format {
        Format::Folder => Box::new(png::Pngs::create(path, size)?),
        Format::Gif if !ffmpeg::is_there() => Box::new(gif::Gif::create(path, size, fps)?),
        _ => Box::new(ffmpeg::Ffmpeg::start(path, format, size, fps, pains, notes)?),
    })
}

/// What came of a film.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    pub path: PathBuf,
    pub frames: u64,
    /// Size of the file, or of all frames in the folder.
    pub bytes: u64,
}

/// A film on its way.
#[derive(Debug)]
pub struct Film {
    path: PathBuf,
    size: (u32, u32),
    notes: Vec<String>,
    frames: u64,
    full: Option<Sender<Vec<u8>>>,
    empty: Receiver<Vec<u8>>,
    worker: Option<JoinHandle<Result<(), FilmError>>>,
}

impl Film {
    /// Starts a film of `size` pixels and `fps` frames a second. The path's ending says what is written.
    pub fn create(path: &Path, size: (u32, u32), fps: f64) -> Result<Self, FilmError> {
        let mut notes = Vec::new();
        let sink = sink(path, size, fps, Pains::Fine, &mut notes)?;
        let (full, frames) = bounded::<Vec<u8>>(AHEAD);
        let (used, empty) = bounded(AHEAD + 2);
        let worker = std::thread::Builder::new()
            .name("film".to_owned())
            .spawn(move || write(sink, &frames, &used))
            .map_err(|error| FilmError::write(path, error))?;
        Ok(Self { path: path.to_owned(), size, notes, frames: 0, full: Some(full), empty, worker: Some(worker) })
    }

    /// What is different from what was asked for, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Adds a frame: RGBA, rows from the top. Waits while the film thread is behind.
    pub fn push(&mut self, rgba: &[u8]) -> Result<(), FilmError> {
        let expected = 4 * self.size.0 as usize * self.size.1 as usize;
        if rgba.len() != expected {
            return Err(FilmError::Frame { expected, found: rgba.len() });
        }
        let mut buffer = self.empty.try_recv().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(rgba);
        if self.full.as_ref().is_none_or(|full| full.send(buffer).is_err()) {
            // The film thread has ended: it says why.
            return Err(self.end().err().unwrap_or(FilmError::Ended));
        }
        self.frames += 1;
        Ok(())
    }

    /// Writes what is still waiting and closes the film.
    pub fn finish(mut self) -> Result<Made, FilmError> {
        self.end()?;
        Ok(Made { path: self.path.clone(), frames: self.frames, bytes: bytes(&self.path, self.frames) })
    }

    fn end(&mut self) -> Result<(), FilmError> {
        self.full = None;
        match self.worker.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(FilmError::Ended),
        }
    }
}

impl Drop for Film {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!("{error}");
        }
    }
}

fn write(mut sink: Box<dyn Sink>, frames: &Receiver<Vec<u8>>, used: &Sender<Vec<u8>>) -> Result<(), FilmError> {
    while let Ok(frame) = frames.recv() {
        sink.frame(&frame)?;
        let _ = used.try_send(frame);
    }
    sink.finish()
}

fn bytes(path: &Path, frames: u64) -> u64 {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    if path.is_dir() { (1..=frames).map(|number| size(&png::file(path, number))).sum() } else { size(path) }
}

/// Why a film cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum FilmError {
    #[error("{}: .{ending} is not a film that can be written: use .mp4, .mkv, .webm, .gif, or a folder for PNG files", path.display())]
    Ending { path: PathBuf, ending: String },
    #[error("{}: the folder {} does not exist", path.display(), folder.display())]
    NoFolder { path: PathBuf, folder: PathBuf },
    #[error("a film cannot have {width}x{height} pixels")]
    Size { width: u32, height: u32 },
    #[error("a film cannot have {fps} frames a second: use more than 0 and at most 1000")]
    Rate { fps: f64 },
    #[error("a frame of {found} bytes was given where {expected} were expected")]
    Frame { expected: usize, found: usize },
    #[error(
        "{}: ffmpeg is needed for .mp4, .mkv and .webm and was not found: install it (on Debian: apt install ffmpeg), \
         or write .gif or a folder of PNG files", path.display()
    )]
    NoFfmpeg { path: PathBuf },
    #[error("{}: this ffmpeg can encode none of {wanted}: install a full ffmpeg, or write a folder of PNG files", path.display())]
    NoEncoder { path: PathBuf, wanted: String },
    #[error("{}: ffmpeg failed: {last}", path.display())]
    Ffmpeg { path: PathBuf, last: String },
    #[error("{}: {why}", path.display())]
    Write { path: PathBuf, why: String },
    #[error("the film thread has ended")]
    Ended,
}

impl FilmError {
    fn write(path: &Path, error: impl std::fmt::Display) -> Self {
        Self::Write { path: path.to_owned(), why: error.to_string() }
    }
}

#[cfg(test)]
mod tests;
