//! A signal as EDF+ (Kemp and Olivan 2003, edfplus.info/specs), record after record.
//!
//! The number of records is open (-1) until the file ends, as the standard has it: what is on disk can be read at any
//! moment. The ranges of the channels are not known beforehand, so the file begins with those of its first record; when
//! a channel needs a wider one, the file is written anew beside itself and put in its own place (see [`super::range`]).

mod head;

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::{
    About, Format,
    range::{Range, Watch},
    remarks::{Remark, Waiting},
};
use head::Head;

/// Bytes of the remarks in a record.
const REMARK_BYTES: usize = 120;
/// A longer file is not written anew: that would take longer than samples may wait.
const REWRITE_BYTES: u64 = 1 << 30;
/// Remarks that are left over at the end get so many records of their own, at most.
const LAST_RECORDS: usize = 100;

pub struct Edf {
    path: PathBuf,
    file: File,
    head: Head,
    /// None before the first record.
    ranges: Option<Vec<Range>>,
    watches: Vec<Watch>,
    /// Frames of the record that is being filled.
    pending: Vec<f64>,
    /// Of each channel, for what is missing.
    last: Vec<f64>,
    waiting: Waiting,
    records: u64,
    /// Samples of each channel that lay outside its range.
    cut: Vec<u64>,
    is_cutting: bool,
}

impl Edf {
    pub fn create(path: &Path, about: &About) -> io::Result<Self> {
        let width = about.channels.len();
        let head = Head::new(about, REMARK_BYTES);
        let file = OpenOptions::new().write(true).read(true).create_new(true).open(path)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            pending: Vec::with_capacity(head.frames_a_record * width),
            head,
            ranges: None,
            watches: std::iter::repeat_with(Watch::default).take(width).collect(),
            last: vec![0.0; width],
            waiting: Waiting::default(),
            records: 0,
            cut: vec![0; width],
            is_cutting: false,
        })
    }

    /// Writes the pending frames as a record.
    fn record(&mut self) -> io::Result<()> {
        let width = self.last.len();
        for (channel, watch) in self.watches.iter_mut().enumerate() {
            watch.see(self.pending.iter().skip(channel).step_by(width).copied());
        }
        self.fit()?;
        let Some(ranges) = &self.ranges else { return Ok(()) };
        let mut bytes = Vec::with_capacity(self.head.record_bytes());
        let mut cutting = false;
        for (channel, range) in ranges.iter().enumerate() {
            for x in self.pending.iter().skip(channel).step_by(width) {
                if x.is_finite() {
                    self.last[channel] = *x;
                    if !range.holds(*x) {
                        self.cut[channel] += 1;
                        cutting = true;
                    }
                }
                bytes.extend(range.digital(self.last[channel]).to_le_bytes());
            }
        }
        let begins_secs = self.records as f64 * self.head.record_secs();
        if cutting && !self.is_cutting {
            let text = "bad: beyond the range of the file".to_owned();
            self.waiting.push(Remark { onset_secs: begins_secs, duration_secs: Some(self.head.record_secs()), text });
        }
        self.is_cutting = cutting;
        bytes.extend(self.waiting.record(self.head.fraction_secs, begins_secs, REMARK_BYTES));
        self.file.write_all(&bytes)?;
        self.records += 1;
        self.pending.clear();
        Ok(())
    }

    /// Sees to it that the ranges hold what is pending.
    fn fit(&mut self) -> io::Result<()> {
        let is_first = self.ranges.is_none();
        let now = |channel: usize| self.ranges.as_ref().map(|ranges| &ranges[channel]);
        let wider: Vec<Option<Range>> =
            self.watches.iter().enumerate().map(|(channel, watch)| watch.wider(now(channel))).collect();
        if wider.iter().all(Option::is_none) {
            return Ok(());
        }
        let old = self.ranges.clone().unwrap_or_else(|| vec![Range::whole(); wider.len()]);
        let new: Vec<Range> =
            wider.into_iter().zip(&old).map(|(new, old)| new.unwrap_or_else(|| old.clone())).collect();
        if is_first {
            self.file.write_all(&self.head.bytes(&new, -1))?;
        } else if self.file.metadata()?.len() > REWRITE_BYTES || self.rewrite(&old, &new).is_err() {
            // Too much to copy, or no room for it: what leaves the range is cut off, and told.
            return Ok(());
        }
        self.ranges = Some(new);
        Ok(())
    }

    /// The same samples in other ranges, in a file beside this one that then takes its place.
    fn rewrite(&mut self, old: &[Range], new: &[Range]) -> io::Result<()> {
        let beside = self.path.with_extension("edf.part");
        let mut to = OpenOptions::new().write(true).read(true).create(true).truncate(true).open(&beside)?;
        let copied = self.copy(&mut to, old, new).and_then(|()| to.sync_all());
        let placed = copied.and_then(|()| std::fs::rename(&beside, &self.path));
        if let Err(error) = placed {
            drop(std::fs::remove_file(&beside));
            self.file.seek(SeekFrom::End(0))?;
            return Err(error);
        }
        self.file = to;
        Ok(())
    }

    fn copy(&mut self, to: &mut File, old: &[Range], new: &[Range]) -> io::Result<()> {
        to.write_all(&self.head.bytes(new, -1))?;
        self.file.seek(SeekFrom::Start(self.head.len() as u64))?;
        let mut record = vec![0; self.head.record_bytes()];
        for _ in 0..self.records {
            self.file.read_exact(&mut record)?;
            let samples = record.chunks_exact_mut(2 * self.head.frames_a_record);
            for ((samples, old), new) in samples.zip(old).zip(new).filter(|((_, old), new)| old != new) {
                for raw in samples.as_chunks_mut::<2>().0 {
                    *raw = new.digital(old.physical(i16::from_le_bytes(*raw))).to_le_bytes();
                }
            }
            to.write_all(&record)?;
        }
        Ok(())
    }

    fn notes(&self) -> Vec<String> {
        let cut: u64 = self.cut.iter().sum();
        let mut notes = Vec::new();
        if cut > 0 {
            let channels = self.cut.iter().filter(|cut| **cut > 0).count();
            notes.push(format!(
                "{cut} samples of {channels} channels lay beyond the range of the file and were cut off"
            ));
        }
        if self.waiting.left_out > 0 {
            notes.push(format!("{} remarks found no room", self.waiting.left_out));
        }
        notes
    }
}

impl Format for Edf {
    fn frames(&mut self, frames: &[f64]) -> io::Result<()> {
        let full = self.head.frames_a_record * self.last.len();
        let mut rest = frames;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(full - self.pending.len()));
            self.pending.extend_from_slice(now);
            rest = later;
            if self.pending.len() == full {
                self.record()?;
            }
        }
        Ok(())
    }

    fn remark(&mut self, remark: Remark) {
        self.waiting.push(remark);
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn finish(&mut self) -> io::Result<Vec<String>> {
        let width = self.last.len();
        let full = self.head.frames_a_record * width;
        // The last record is filled up with what came last; then, if need be, records that hold the remarks left over.
        for _ in 0..LAST_RECORDS {
            if self.pending.is_empty() && self.waiting.is_empty() && self.ranges.is_some() {
                break;
            }
            let at_secs = self.records as f64 * self.head.record_secs()
                + (self.pending.len() / width) as f64 / self.head.rate_hz();
            let left_secs = (full - self.pending.len()) as f64 / width as f64 / self.head.rate_hz();
            if left_secs > 0.0 {
                let text = "bad: after the end".to_owned();
                self.waiting.push(Remark { onset_secs: at_secs, duration_secs: Some(left_secs), text });
            }
            self.pending.resize(full, f64::NAN);
            self.record()?;
        }
        self.file.seek(SeekFrom::Start(head::RECORDS_AT))?;
        self.file.write_all(head::records_field(self.records as i64).as_bytes())?;
        self.file.sync_all()?;
        Ok(self.notes())
    }
}
