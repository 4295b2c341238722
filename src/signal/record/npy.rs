//! A signal as `.npy`: (frames, channels), every sample as it came. What numpy's format has no place for (names, units,
//! rate, date, remarks) stands in a JSON file beside it, `recording.npy.json`, which `wavedream` reads with it.
//!
//! The head has room for any number of frames and is put right once a second or so, after the frames: whenever the power
//! goes, it promises no more than is there. Float32 where that loses nothing (which the first second decides), else
//! float64.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{About, Format, remarks::Remark};

/// Of the head.
const HEAD_BYTES: usize = 128;
/// The remarks of hours of trouble.
const MOST_REMARKS: usize = 10_000;

pub struct Npy {
    path: PathBuf,
    file: File,
    about: About,
    /// Until it is known what numbers they are.
    held: Vec<f64>,
    /// Bytes of a number.
    number: Option<usize>,
    written: u64,
    /// Frames that the head promises.
    promised: u64,
    remarks: Vec<Remark>,
    is_told: bool,
    rounded: u64,
    left_out: u64,
}

impl Npy {
    pub fn create(path: &Path, about: &About) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        let mut npy = Self::into(file, path, about);
        npy.tell_beside()?;
        Ok(npy)
    }

    pub(super) fn into(file: File, path: &Path, about: &About) -> Self {
        Self {
            path: path.to_owned(),
            file,
            about: about.clone(),
            held: Vec::new(),
            number: None,
            written: 0,
            promised: 0,
            remarks: Vec::new(),
            is_told: false,
            rounded: 0,
            left_out: 0,
        }
    }

    fn width(&self) -> usize {
        self.about.channels.len()
    }

    /// Decides what numbers they are, and begins.
    fn begin(&mut self) -> io::Result<()> {
        if self.number.is_none() {
            let is_exact = self.held.iter().all(|x| is_single(*x));
            self.number = Some(if is_exact { 4 } else { 8 });
            self.head()?;
            let held = std::mem::take(&mut self.held);
            self.put(&held)?;
        }
        Ok(())
    }

    fn put(&mut self, frames: &[f64]) -> io::Result<()> {
        let bytes: Vec<u8> = if self.number == Some(4) {
            self.rounded += frames.iter().filter(|x| !is_single(**x)).count() as u64;
            frames.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect()
        } else {
            frames.iter().flat_map(|x| x.to_le_bytes()).collect()
        };
        self.file.write_all(&bytes)?;
        self.written += (frames.len() / self.width()) as u64;
        Ok(())
    }

    /// Promises what is there.
    fn head(&mut self) -> io::Result<()> {
        let number = self.number.unwrap_or(4);
        let (frames, width) = (self.written, self.width());
        let text = format!("{{'descr': '<f{number}', 'fortran_order': False, 'shape': ({frames}, {width}), }}");
        let room = HEAD_BYTES - 10 - 1;
        let head = [b"\x93NUMPY\x01\x00\x76\x00", format!("{text:<room$}\n").as_bytes()].concat();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&head)?;
        self.file.seek(SeekFrom::End(0))?;
        self.promised = frames;
        Ok(())
    }

    /// The file beside it, whole at every moment.
    fn tell_beside(&mut self) -> io::Result<()> {
        if self.is_told {
            return Ok(());
        }
        let about = &self.about;
        let channels: Vec<_> =
            about.channels.iter().map(|channel| json!({ "name": channel.name, "unit": channel.unit })).collect();
        let text = json!({
            "version": 1,
            "source": about.source,
            "begun": about.begun.to_string(),
            "rate_hz": about.rate_hz,
            "channels": channels,
            "annotations": self.remarks,
        });
        let beside = beside(&self.path);
        let part = beside.with_extension("json.part");
        let written = fs::write(&part, format!("{text:#}\n")).and_then(|()| fs::rename(&part, &beside));
        self.is_told = written.is_ok();
        written
    }
}

/// Where names, units, rate, date and remarks of such a file stand.
pub fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".json");
    name.into()
}

/// Whether float32 holds it without loss.
fn is_single(x: f64) -> bool {
    x.is_nan() || f64::from(x as f32) == x
}

impl Format for Npy {
    fn frames(&mut self, frames: &[f64]) -> io::Result<()> {
        if self.number.is_some() {
            return self.put(frames);
        }
        self.held.extend_from_slice(frames);
        if self.held.len() as f64 >= self.about.rate_hz * self.width() as f64 { self.begin() } else { Ok(()) }
    }

    fn remark(&mut self, remark: Remark) {
        if self.remarks.len() == MOST_REMARKS {
            self.left_out += 1;
        } else {
            self.remarks.push(remark);
            self.is_told = false;
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.begin()?;
        self.file.sync_data()?;
        if self.promised != self.written {
            self.head()?;
        }
        self.tell_beside()
    }

    fn finish(&mut self) -> io::Result<Vec<String>> {
        self.sync()?;
        self.file.sync_all()?;
        let mut notes = Vec::new();
        if self.rounded > 0 {
            notes.push(format!("{} samples were rounded to float32", self.rounded));
        }
        if self.left_out > 0 {
            notes.push(format!("{} remarks found no room", self.left_out));
        }
        Ok(notes)
    }
}
