//! A signal into a file as it comes: EDF+ for the laboratory's programs, `.npy` for numpy.
//!
//! Samples are written as the source brings them, before any conditioning. What is missing (no number) keeps its place:
//! `.npy` holds NaN there, EDF+ the value before, and both a remark with onset and length whose text begins with `bad`,
//! which MNE leaves out of what it averages. Whatever moment the power goes, the file on disk can be read up to the last
//! second or so. Lives on the thread that writes; knows nothing of clocks: the moment of the first sample is given.

mod edf;
mod gaps;
mod npy;
mod range;
mod remarks;

use std::path::{Path, PathBuf};

use jiff::civil::DateTime;

use super::Channel;
use gaps::Gaps;
pub(super) use npy::beside;
use remarks::Remark;

/// Endings of files that can be written.
pub const ENDINGS: [&str; 2] = ["edf", "npy"];

/// What is recorded.
#[derive(Debug, Clone)]
pub struct About {
    /// The source, as it was asked for.
    pub source: String,
    pub channels: Vec<Channel>,
    pub rate_hz: f64,
    /// The clock on the wall at the first sample.
    pub begun: DateTime,
}

/// Why a signal is not recorded any further.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("{file}: the signal cannot be recorded ({cause}); {kept}, free some space or choose another place")]
    Unwritable { file: String, cause: std::io::Error, kept: &'static str },
    #[error("{file}: a signal is recorded into .edf or .npy; give the file one of these endings")]
    Ending { file: String },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    pub path: PathBuf,
    pub secs: f64,
    pub channels: usize,
    /// What is not as it came, a sentence each.
    pub notes: Vec<String>,
}

/// One kind of file.
trait Format: Send {
    /// Whole frames, one after the other; what is no number is missing.
    fn frames(&mut self, frames: &[f64]) -> std::io::Result<()>;
    fn remark(&mut self, remark: Remark);
    /// Makes sure that what came is on the disk and can be read.
    fn sync(&mut self) -> std::io::Result<()>;
    /// Ends the file; what is not as it came, a sentence each.
    fn finish(&mut self) -> std::io::Result<Vec<String>>;
}

/// A file that is being written.
pub struct SignalFile {
    path: PathBuf,
    about: About,
    format: Box<dyn Format>,
    gaps: Gaps,
    frames: u64,
}

impl SignalFile {
    /// Begins a file of the kind that its ending says. One that is there is never written over.
    ///
    /// # Errors
    /// Another ending, or a place that cannot be written.
    pub fn create(path: &Path, about: About) -> Result<Self, RecordError> {
        let created = match ending(path).as_deref() {
            Some("edf") => edf::Edf::create(path, &about).map(|file| Box::new(file) as Box<dyn Format>),
            Some("npy") => npy::Npy::create(path, &about).map(|file| Box::new(file) as Box<dyn Format>),
            _ => return Err(RecordError::Ending { file: path.display().to_string() }),
        };
        let format = created.map_err(|cause| unwritable(path, cause, "nothing of it is on the disk"))?;
        let names = about.channels.iter().map(|channel| channel.name.clone()).collect();
        Ok(Self { path: path.to_owned(), gaps: Gaps::new(names), about, format, frames: 0 })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// From the first sample on.
    pub fn secs(&self) -> f64 {
        self.frames as f64 / self.about.rate_hz
    }

    /// Whether frames of such channels can go on in this file.
    pub fn fits(&self, channels: &[Channel], rate_hz: f64) -> bool {
        self.about.rate_hz == rate_hz && self.about.channels == channels
    }

    /// Whole frames, one after the other; what is no number is missing.
    pub fn frames(&mut self, frames: &[f64]) -> Result<(), RecordError> {
        for frame in frames.chunks_exact(self.about.channels.len().max(1)) {
            for remark in self.gaps.follow(self.secs(), frame) {
                self.format.remark(remark);
            }
            self.frames += 1;
        }
        self.format.frames(frames).map_err(|cause| self.unwritable(cause))
    }

    /// So many frames never came.
    pub fn missing(&mut self, frames: u64) -> Result<(), RecordError> {
        let width = self.about.channels.len();
        // A block at a time: hours may be missing.
        let block = vec![f64::NAN; width * frames.min(4096) as usize];
        let mut left = frames;
        while left > 0 {
            let now = left.min(4096);
            self.frames(&block[..width * now as usize])?;
            left -= now;
        }
        Ok(())
    }

    /// Something that happened now.
    pub fn remark(&mut self, text: &str) {
        self.format.remark(Remark { onset_secs: self.secs(), duration_secs: None, text: text.to_owned() });
    }

    pub fn sync(&mut self) -> Result<(), RecordError> {
        self.format.sync().map_err(|cause| self.unwritable(cause))
    }

    /// Ends the file.
    pub fn finish(mut self) -> Result<Made, RecordError> {
        for remark in self.gaps.end(self.secs()) {
            self.format.remark(remark);
        }
        let notes = self.format.finish().map_err(|cause| self.unwritable(cause))?;
        Ok(Made { secs: self.secs(), channels: self.about.channels.len(), path: self.path, notes })
    }

    fn unwritable(&self, cause: std::io::Error) -> RecordError {
        unwritable(&self.path, cause, "what came before is in it")
    }
}

/// The ending of a file in small letters.
pub fn ending(path: &Path) -> Option<String> {
    path.extension().map(|ending| ending.to_string_lossy().to_lowercase())
}

fn unwritable(path: &Path, cause: std::io::Error, kept: &'static str) -> RecordError {
    RecordError::Unwritable { file: path.display().to_string(), cause, kept }
}

#[cfg(test)]
mod tests;
