//! Reads a recorded show: everything but the samples, which stay in the file until they are played.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::{Crc, read::ZlibDecoder};
use serde::de::DeserializeOwned;

use super::format::{Block, Event, Fault, Head, LONGEST_BYTES, Line, Lost, MAGIC, VERSION, inflate};

/// A recorded show.
#[derive(Debug, Clone)]
pub struct Show {
    pub path: PathBuf,
    pub head: Head,
    /// In the order of their time.
    pub events: Vec<Event>,
    pub lines: Vec<Heard>,
    pub secs: f64,
    pub lost: Lost,
    /// A sentence, if the file ends before the show did.
    pub torn: Option<String>,
}

/// A line of signal and where its frames are.
#[derive(Debug, Clone)]
pub struct Heard {
    pub line: Line,
    pub blocks: Vec<BlockAt>,
}

/// A block in the file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockAt {
    pub offset: u64,
    pub bytes: u32,
    pub t: f64,
    pub first: u64,
    pub frames: u32,
}

impl Show {
    /// Reads a file up to its end, or to where it is torn.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let name = || path.display().to_string();
        let unreadable = |cause| Fault::Unreadable { file: name(), cause };
        let file = File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        let mut input = BufReader::new(file);
        let mut start = [0; MAGIC.len() + 1];
        if input.read_exact(&mut start).is_err() || !start.starts_with(MAGIC) {
            return Err(Fault::NotAShow { file: name() });
        }
        match start[MAGIC.len()] {
            VERSION => {}
            found if found > VERSION => return Err(Fault::Newer { file: name(), found }),
            _ => return Err(Fault::NotAShow { file: name() }),
        }
        let mut records = Records { input, at: start.len() as u64, size };
        let head = match records.next() {
            Some((b'H', content)) => parsed(&content),
            _ => None,
        };
        let head = head.ok_or_else(|| Fault::TornHead { file: name() })?;
        let (events, lines) = (Vec::new(), Vec::new());
        let mut show =
            Self { path: path.to_owned(), head, events, lines, secs: 0.0, lost: Lost::default(), torn: None };
        let mut ended = false;
        while let Some((kind, content)) = records.next() {
            let at = records.at - 4 - content.len() as u64;
            match show.take(kind, &content, at) {
                Some(end) => ended |= end,
                // Its sum is right, so it was written so: by another program.
                None => break,
            }
        }
        show.events.sort_by(|a, b| a.t.total_cmp(&b.t));
        if !ended {
            show.torn =
                Some(format!("{}: ends in the middle, after {:.1} s; what is there is played", name(), show.secs));
        }
        if show.lines.iter().all(|heard| heard.blocks.is_empty()) {
            return Err(Fault::NoSignal { file: name() });
        }
        Ok(show)
    }

    /// Takes a record up: true for the regular end, None for what cannot be understood.
    fn take(&mut self, kind: u8, content: &[u8], at: u64) -> Option<bool> {
        match kind {
            b'C' => {
                let events: Vec<Event> = parsed(content)?;
                let last = events.iter().map(|event| event.t).filter(|t| t.is_finite()).fold(0.0, f64::max);
                self.secs = self.secs.max(last);
                self.events.extend(events.into_iter().filter(|event| event.t.is_finite()));
            }
            b'S' => {
                let line: Line = parsed(content)?;
                let sound = line.rate_hz.is_finite() && line.rate_hz > 0.0 && !line.channels.is_empty();
                (sound && line.hop_zero.is_finite() && line.t.is_finite()).then_some(())?;
                self.lines.push(Heard { line, blocks: Vec::new() });
            }
            b'B' => {
                let mut start = [0; 25];
                ZlibDecoder::new(content).read_exact(&mut start).ok()?;
                let (block, _) = Block::head_from(&start)?;
                self.secs = self.secs.max(block.t);
                let place = BlockAt {
                    offset: at,
                    bytes: content.len() as u32,
                    t: block.t,
                    first: block.first,
                    frames: block.frames,
                };
                // A block whose line was lost cannot be played.
                if let Some(heard) = self.lines.iter_mut().rev().find(|heard| heard.line.line == block.line) {
                    heard.blocks.push(place);
                }
            }
            b'L' => self.lost = parsed(content)?,
            b'E' => {
                let secs: f64 = parsed(content)?;
                self.secs = self.secs.max(secs);
                return Some(true);
            }
            // Of a later program; what is not understood is passed over.
            _ => {}
        }
        Some(false)
    }
}

fn parsed<T: DeserializeOwned>(content: &[u8]) -> Option<T> {
    serde_json::from_slice(&inflate(content)?).ok()
}

/// The records of a file, as long as they are whole.
struct Records {
    input: BufReader<File>,
    at: u64,
    size: u64,
}

impl Records {
    fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut start = [0; 5];
        self.input.read_exact(&mut start).ok()?;
        let length = u32::from_le_bytes([start[1], start[2], start[3], start[4]]);
        let end = self.at + 5 + u64::from(length) + 4;
        (length <= LONGEST_BYTES && end <= self.size).then_some(())?;
        let mut content = vec![0; length as usize];
        self.input.read_exact(&mut content).ok()?;
        let mut said = [0; 4];
        self.input.read_exact(&mut said).ok()?;
        let mut sum = Crc::new();
        sum.update(&start);
        sum.update(&content);
        (sum.sum() == u32::from_le_bytes(said)).then_some(())?;
        self.at = end;
        Some((start[0], content))
    }
}
