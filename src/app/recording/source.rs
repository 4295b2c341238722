//! The recorded signal as a source: the same frames, one after the other.
//!
//! A file or synthetic signal was read as fast as it was wanted: its frames are numbered, and only a block that the
//! recorder lost leaves a gap. A live one came when it came: where it stayed away there is a gap in its time too. Gaps
//! are frames that are not a number, which the conditioner bridges as it does any missing sample.

use std::{
    fs::File,
    io::{Read as _, Seek, SeekFrom},
    path::Path,
};

use super::{
    format::{Block, Line, inflate},
    reader::{BlockAt, Heard},
};
use crate::signal::{Channel, Description, Read, Source, SourceError};

/// A live signal that comes this much later than it should has been away.
const AWAY_SECS: f64 = 0.25;
/// Shorter recordings do not tell the rate of a device better than the device does.
const MEASURED_SECS: f64 = 60.0;
/// A measured rate further off than this is a signal with gaps and not a device with a clock of its own.
const MOST_OFF: f64 = 0.02;
/// Longer gaps than this are no gaps: the file is not to be believed.
const LONGEST_GAP_SECS: f64 = 3600.0;

/// Plays one line of a recorded show.
pub struct Replayed {
    description: Description,
    file: File,
    name: String,
    /// Each block and the number of its first frame in what is played.
    blocks: Vec<(u64, BlockAt)>,
    next: usize,
    /// Played so far.
    at: u64,
    /// Frames of the block that is being played.
    values: Vec<f64>,
    used: usize,
}

impl Replayed {
    /// Gives the source and the time of the show at which its first frame was.
    pub fn open(path: &Path, heard: &Heard) -> Result<(Self, f64), SourceError> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|cause| SourceError::Unreadable { path: name.clone(), cause })?;
        let line = &heard.line;
        let rate_hz = if line.live { measured_rate(line, &heard.blocks) } else { line.rate_hz };
        let (blocks, start_secs) = places(line, &heard.blocks, rate_hz);
        let frames = blocks.last().map_or(0, |(at, block)| at + u64::from(block.frames));
        let channel = |(name, unit): &(String, String)| Channel { name: name.clone(), unit: unit.clone(), rate_hz };
        let description = Description {
            name: line.name.clone(),
            channels: line.channels.iter().map(channel).collect(),
            rate_hz,
            duration_secs: Some(frames as f64 / rate_hz),
            ..Description::default()
        };
        Ok((Self { description, file, name, blocks, next: 0, at: 0, values: Vec::new(), used: 0 }, start_secs))
    }

    fn load(&mut self, block: BlockAt) -> Result<Block, SourceError> {
        let torn = |what: &str| SourceError::Malformed { path: self.name.clone(), what: what.to_owned() };
        let mut content = vec![0; block.bytes as usize];
        let read = self.file.seek(SeekFrom::Start(block.offset)).and_then(|_| self.file.read_exact(&mut content));
        read.map_err(|cause| SourceError::Unreadable { path: self.name.clone(), cause })?;
        let frames = block.frames as usize * self.description.channels.len();
        inflate(&content)
            .and_then(|bytes| Block::from_bytes(&bytes))
            .filter(|block| block.values.len() == frames)
            .ok_or_else(|| torn("has changed while it was played; leave it until the film is made"))
    }
}

/// The rate at which a live signal really came.
fn measured_rate(line: &Line, blocks: &[BlockAt]) -> f64 {
    let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else { return line.rate_hz };
    let secs = last.t - first.t;
    let frames = (last.first + u64::from(last.frames)).saturating_sub(first.first + u64::from(first.frames));
    let rate_hz = frames as f64 / secs;
    let believed = secs >= MEASURED_SECS && (rate_hz / line.rate_hz - 1.0).abs() <= MOST_OFF;
    if believed { rate_hz } else { line.rate_hz }
}

/// Where each block stands in what is played, and the time of the show of the first frame.
fn places(line: &Line, blocks: &[BlockAt], rate_hz: f64) -> (Vec<(u64, BlockAt)>, f64) {
    let Some(first) = blocks.first() else { return (Vec::new(), line.hop_zero) };
    let mut placed: Vec<(u64, BlockAt)> = Vec::with_capacity(blocks.len());
    // A live frame counts from when it came; any other from the hop that it was read for.
    let start_secs = match line.live {
        true => first.t - f64::from(first.frames) / rate_hz,
        false => line.hop_zero + first.first as f64 / rate_hz,
    };
    let mut end = 0;
    for block in blocks {
        let mut at = block.first.saturating_sub(first.first).max(end);
        if line.live {
            let came = ((block.t - start_secs) * rate_hz).round() as u64;
            let due = came.saturating_sub(u64::from(block.frames));
            at = if due as f64 > end as f64 + AWAY_SECS * rate_hz { due } else { end };
        }
        if (at - end) as f64 > LONGEST_GAP_SECS * rate_hz {
            break;
        }
        placed.push((at, *block));
        end = at + u64::from(block.frames);
    }
    (placed, start_secs)
}

impl Source for Replayed {
    fn description(&self) -> &Description {
        &self.description
    }

    fn read(&mut self, frames: usize, out: &mut Vec<f64>) -> Result<Read, SourceError> {
        let width = self.description.channels.len();
        let mut left = frames;
        while left > 0 {
            if self.used < self.values.len() {
                let take = (left * width).min(self.values.len() - self.used);
                out.extend_from_slice(&self.values[self.used..self.used + take]);
                self.used += take;
                self.at += (take / width) as u64;
                left -= take / width;
                continue;
            }
            let Some((at, block)) = self.blocks.get(self.next).copied() else { break };
            if at > self.at {
                let gap = (at - self.at).min(left as u64);
                out.resize(out.len() + gap as usize * width, f64::NAN);
                self.at += gap;
                left -= gap as usize;
                continue;
            }
            self.values = self.load(block)?.values;
            self.used = 0;
            self.next += 1;
        }
        Ok(if left == frames && frames > 0 { Read::End } else { Read::Frames(frames - left) })
    }
}
