//! A film of the screen, written beside the show on the thread `film`.
//!
//! The encoder starts there too, so that switching the film on costs the screen nothing. Each shot says which frame of
//! the film it is; for those between, the one before stays, and is counted.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::{FilmError, Pains, ffmpeg, sink};
use crate::stage::capture::{BUFFERS, Camera, Shot};

/// Frames that are repeated for one that is late; of a longer gap the rest is left out, else a machine that is much too
/// slow would write the same picture for ever.
const MOST_REPEATED: u64 = 300;

/// What came of a film of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filmed {
    pub path: PathBuf,
    pub frames: u64,
    /// Of these, frames that show the one before again.
    pub repeated: u64,
    /// Frames that the film lacks altogether.
    pub left_out: u64,
    pub notes: Vec<String>,
}

/// A film of the screen on its way.
#[derive(Debug)]
pub struct ScreenFilm {
    path: PathBuf,
    repeated: Arc<AtomicU64>,
    thread: JoinHandle<Result<Filmed, FilmError>>,
}

impl ScreenFilm {
    /// Whether a film of this name could be made, as far as that can be told before.
    pub fn check(path: &Path) -> Result<(), FilmError> {
        let format = super::Format::of(path)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.is_dir()) {
            return Err(FilmError::NoFolder { path: path.to_owned(), folder: parent.to_owned() });
        }
        match format {
            super::Format::Mp4 | super::Format::Mkv | super::Format::Webm if !ffmpeg::is_there() => {
                Err(FilmError::NoFfmpeg { path: path.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// Starts a film, and the camera that a compositor on this device takes.
    pub fn start(
        path: &Path,
        device: &wgpu::Device,
        (width, height): (u32, u32),
        fps: f64,
    ) -> Result<(Self, Camera), FilmError> {
        // Even sides, as films have them; at most one column and row are missing.
        let size = ((width & !1).max(2), (height & !1).max(2));
        let (shots, taken) = bounded(BUFFERS);
        let (give, free) = bounded(BUFFERS);
        let camera = Camera::new(device, size, fps, shots, (&give, free));
        let repeated = Arc::new(AtomicU64::new(0));
        let (file, count) = (path.to_owned(), Arc::clone(&repeated));
        let thread = std::thread::Builder::new()
            .name("film".to_owned())
            .spawn(move || write(&file, size, fps, &taken, &give, &count))
            .map_err(|error| FilmError::write(path, error))?;
        Ok((Self { path: path.to_owned(), repeated, thread }, camera))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Frames that show the one before again, so far.
    pub fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }

    /// It has been written, or cannot be: [`Self::finish`] does not wait.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until it is written, which it is when its camera is gone and the device is done.
    pub fn finish(self) -> Result<Filmed, FilmError> {
        self.thread.join().unwrap_or(Err(FilmError::Ended))
    }
}

fn write(
    path: &Path,
    size: (u32, u32),
    fps: f64,
    taken: &Receiver<Shot>,
    give: &Sender<wgpu::Buffer>,
    repeated: &AtomicU64,
) -> Result<Filmed, FilmError> {
    let mut notes = Vec::new();
    let mut sink = sink(path, size, fps, Pains::Hasty, &mut notes)?;
    let row = 4 * size.0 as usize;
    let mut rgba: Vec<u8> = Vec::with_capacity(row * size.1 as usize);
    let mut made = Filmed { path: path.to_owned(), frames: 0, repeated: 0, left_out: 0, notes };
    while let Ok(shot) = taken.recv() {
        let missing = shot.number.saturating_sub(made.frames + made.left_out);
        let again = if rgba.is_empty() { 0 } else { missing.min(MOST_REPEATED) };
        made.left_out += missing - again;
        for _ in 0..again {
            sink.frame(&rgba)?;
            repeated.fetch_add(1, Ordering::Relaxed);
        }
        read(&shot, row, &mut rgba);
        // Back before the encoder is asked, which may take its time.
        let _ = give.try_send(shot.buffer);
        sink.frame(&rgba)?;
        made.frames += again + 1;
        made.repeated += again;
    }
    sink.finish()?;
    Ok(made)
}

fn read(shot: &Shot, row: usize, rgba: &mut Vec<u8>) {
    rgba.clear();
    {
        let bytes = shot.buffer.get_mapped_range(..);
        for line in bytes.chunks_exact(shot.row_bytes as usize) {
            rgba.extend_from_slice(&line[..row]);
        }
    }
    shot.buffer.unmap();
}
