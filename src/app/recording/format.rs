//! The file of a recorded show, `.wds`: a head and records, each with its length and sum, only ever appended to.
//!
//! ```text
//! "wavedream show\n"  version u8
//! record: kind u8   length u32   content   CRC-32 of all before it in the record, u32      (little endian)
//! ```
//!
//! | kind | content, compressed with zlib |
//! |---|---|
//! | `H` | JSON [`Head`]: the first record |
//! | `C` | JSON list of [`Event`]s: controls, transitions, models, in the order of their time |
//! | `S` | JSON [`Line`]: a source has been opened |
//! | `B` | frames of a line: line u32, time f64, number of the first frame u64, frames u32, bytes a value u8 (8, or 4 where that loses nothing), then the values with their bytes sorted by place, which compresses better |
//! | `L` | JSON [`Lost`]: what the recorder had no time for, when it grew |
//! | `E` | JSON seconds: the regular end |
//!
//! A reader takes records as long as their sums are right: what a pulled plug tore off at the end is lost, no more.

use std::io::{Read, Write};

use flate2::{Compression, Crc, read::ZlibDecoder, write::ZlibEncoder};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

pub const MAGIC: &[u8; 15] = b"wavedream show\n";
pub const VERSION: u8 = 1;
/// Longer contents are a torn file: a record holds a tenth of a second.
pub const LONGEST_BYTES: u32 = 256 << 20;

/// What was there when the recording began.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Version of the program.
    pub program: String,
    /// Seconds since 1970.
    pub unix_secs: i64,
    pub model: String,
    pub source: String,
    pub preset: String,
    /// Of the stage, in pixels.
    pub size: [u32; 2],
    /// Path and value of every parameter.
    pub start: Vec<(String, Json)>,
    /// Path and offset of what was modulated.
    pub offsets: Vec<(String, f64)>,
    /// File and text of each preset, and of the cues.
    pub files: Vec<(String, String)>,
}

/// Something that happened at a time of the show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub t: f64,
    #[serde(flatten)]
    pub what: Happened,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    /// Path, value, seconds of the glide, who.
    Set(String, Json, f64, String),
    /// Path and offset on the normal scale.
    Offset(String, f64),
    /// Name and seconds.
    Transition(String, f64),
    /// A model has been taken into use.
    Model(String),
    /// A line's hop 0 was at this time of the show.
    HopZero(u32, f64),
}

/// A source that has been opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub t: f64,
    pub line: u32,
    pub name: String,
    pub rate_hz: f64,
    pub live: bool,
    /// Name and unit.
    pub channels: Vec<(String, String)>,
    /// Time of its hop 0; before the start of the show if it was open already.
    pub hop_zero: f64,
}

/// What is not in the file because the recorder was behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Lost {
    pub controls: u64,
    pub blocks: u64,
}

/// Frames of a line.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    pub line: u32,
    pub t: f64,
    /// Number of its first frame since the line was opened.
    pub first: u64,
    pub frames: u32,
    /// Frame after frame.
    pub values: Vec<f64>,
}

/// Why a recorded show cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{file}: cannot be read ({cause}); check the path and its permissions")]
    Unreadable { file: String, cause: std::io::Error },
    #[error("{file}: is not a recorded show; `wavedream play --record FILE.wds` makes one")]
    NotAShow { file: String },
    #[error("{file}: is of version {found}, and this wavedream reads up to {VERSION}: get a newer wavedream")]
    Newer { file: String, found: u8 },
    #[error("{file}: is torn before the show begins: nothing in it can be played; take another recording")]
    TornHead { file: String },
    #[error("{file}: has no signal in it: the recording was stopped before the first sample; take another one")]
    NoSignal { file: String },
    #[error("{file}: cannot be written ({cause}); free some space or choose another place")]
    Unwritable { file: String, cause: std::io::Error },
}

/// A record as it stands in the file.
pub fn record(kind: u8, plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![kind, 0, 0, 0, 0];
    // Fast: on the best level a busy machine would fall behind, for a tenth less.
    let mut encoder = ZlibEncoder::new(&mut bytes, Compression::fast());
    encoder.write_all(plain)?;
    encoder.finish()?;
    let length = u32::try_from(bytes.len() - 5).unwrap_or(u32::MAX);
    bytes[1..5].copy_from_slice(&length.to_le_bytes());
    let mut sum = Crc::new();
    sum.update(&bytes);
    bytes.extend(sum.sum().to_le_bytes());
    Ok(bytes)
}

/// The content of a record; None if it is not what was compressed.
pub fn inflate(content: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    // A record holds a moment: more is a bomb.
    ZlibDecoder::new(content).take(u64::from(LONGEST_BYTES)).read_to_end(&mut plain).ok()?;
    Some(plain)
}

impl Line {
    /// When it is the line that plays: its first frames are read a hop after its hop 0.
    pub fn begins_secs(&self) -> f64 {
        self.hop_zero.max(0.0).min(self.t.max(0.0))
    }
}

impl Block {
    const HEAD_BYTES: usize = 4 + 8 + 8 + 4 + 1;

    pub fn to_bytes(&self) -> Vec<u8> {
        let narrow = self.values.iter().all(|value| f64::from(*value as f32).to_bits() == value.to_bits());
        let width = if narrow { 4 } else { 8 };
        let mut bytes = Vec::with_capacity(Self::HEAD_BYTES + width * self.values.len());
        bytes.extend(self.line.to_le_bytes());
        bytes.extend(self.t.to_le_bytes());
        bytes.extend(self.first.to_le_bytes());
        bytes.extend(self.frames.to_le_bytes());
        bytes.push(width as u8);
        for place in 0..width {
            bytes.extend(self.values.iter().map(|value| match narrow {
                true => (*value as f32).to_le_bytes()[place],
                false => value.to_le_bytes()[place],
            }));
        }
        bytes
    }

    /// Everything but the values.
    pub fn head_from(bytes: &[u8]) -> Option<(Self, usize)> {
        let (line, bytes) = bytes.split_first_chunk::<4>()?;
        let (t, bytes) = bytes.split_first_chunk::<8>()?;
        let (first, bytes) = bytes.split_first_chunk::<8>()?;
        let (frames, bytes) = bytes.split_first_chunk::<4>()?;
        let width = usize::from(*bytes.first()?);
        let block = Self {
            line: u32::from_le_bytes(*line),
            t: f64::from_le_bytes(*t),
            first: u64::from_le_bytes(*first),
            frames: u32::from_le_bytes(*frames),
            values: Vec::new(),
        };
        (block.t.is_finite() && (width == 4 || width == 8)).then_some((block, width))
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (mut block, width) = Self::head_from(bytes)?;
        let sorted = &bytes[Self::HEAD_BYTES..];
        let count = sorted.len() / width;
        let at = |place: usize, n: usize| sorted[place * count + n];
        block.values = (0..count)
            .map(|n| match width {
                4 => f64::from(f32::from_le_bytes([0, 1, 2, 3].map(|place| at(place, n)))),
                _ => f64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|place| at(place, n))),
            })
            .collect();
        (sorted.len() == count * width).then_some(block)
    }
}
