//! A recording in memory, whatever file it came from, as a source: from, to, loop, scale, channels.

use std::path::Path;

use crate::signal::url::Address;
use crate::signal::{Annotation, Channel, Description, Read, Source, SourceError};

/// The samples of one channel, kept in the width that the file has them in.
#[derive(Debug, Clone)]
pub enum Column {
    I16 { values: Vec<i16>, gain: f64, offset: f64 },
    I32 { values: Vec<i32>, gain: f64, offset: f64 },
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Column {
    pub fn len(&self) -> usize {
        match self {
            Self::I16 { values, .. } => values.len(),
            Self::I32 { values, .. } => values.len(),
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    pub fn at(&self, index: usize) -> f64 {
        match self {
            Self::I16 { values, gain, offset } => f64::from(values[index]) * gain + offset,
            Self::I32 { values, gain, offset } => f64::from(values[index]) * gain + offset,
            Self::F32(values) => f64::from(values[index]),
            Self::F64(values) => values[index],
        }
    }
}

/// What a parser makes of a file.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub channels: Vec<Channel>,
    /// One a channel, all of one length and rate.
    pub columns: Vec<Column>,
    /// Of each channel that had to be resampled, what the file has. Empty where no channel was.
    pub recorded: Vec<Option<Column>>,
    pub rate_hz: f64,
    pub annotations: Vec<Annotation>,
    pub odd: Vec<String>,
}

impl Loaded {
    /// Keeps the channels that the key `channels` asks for.
    pub fn choose(mut self, address: &Address) -> Result<Self, SourceError> {
        let names: Vec<String> = self.channels.iter().map(|channel| channel.name.clone()).collect();
        let chosen = address.channels(&names)?;
        self.columns = chosen.iter().map(|index| self.columns[*index].clone()).collect();
        self.channels = chosen.iter().map(|index| self.channels[*index].clone()).collect();
        Ok(self)
    }
}

/// Plays a part of a recording, once or for ever.
#[derive(Debug)]
pub struct Recording {
    description: Description,
    columns: Vec<Column>,
    recorded: Vec<Option<Column>>,
    scale: f64,
    from: usize,
    to: usize,
    at: usize,
    looped: bool,
}

impl Recording {
    pub fn new(path: &Path, loaded: Loaded, address: &Address) -> Result<Self, SourceError> {
        let Loaded { channels, columns, recorded, rate_hz, mut annotations, odd } = loaded;
        let frames = columns.iter().map(Column::len).min().unwrap_or(0);
        let length_secs = frames as f64 / rate_hz;
        if frames == 0 {
            return Err(SourceError::malformed(path, "holds no samples; record it again"));
        }
        let seconds = |key| address.number(key, 0.0..=1e9, "seconds");
        let (from_secs, to_secs) = (seconds("from")?.unwrap_or(0.0), seconds("to")?.unwrap_or(length_secs));
        let from = (from_secs * rate_hz).round() as usize;
        let to = ((to_secs * rate_hz).round() as usize).min(frames);
        if from >= to {
            let key = if address.text_of("from").is_some() { "from" } else { "to" };
            let expected = format!("the recording is {length_secs:.3} s long, and 'from' must lie before 'to'");
            return Err(address.bad(key, &expected));
        }
        let looped = address.flag("loop")?;
        for annotation in &mut annotations {
            annotation.onset_secs -= from as f64 / rate_hz;
        }
        let played_secs = (to - from) as f64 / rate_hz;
        annotations.retain(|annotation| (0.0..=played_secs).contains(&annotation.onset_secs));
        annotations.sort_by(|a, b| a.onset_secs.total_cmp(&b.onset_secs));
        let description = Description {
            name: path.display().to_string(),
            channels,
            rate_hz,
            duration_secs: (!looped).then_some(played_secs),
            odd,
            annotations,
            live: false,
        };
        Ok(Self { description, columns, recorded, scale: address.scale()?, from, to, at: from, looped })
    }
}

impl Source for Recording {
    fn description(&self) -> &Description {
        &self.description
    }

    fn recorded(&self, channel: usize) -> Option<Box<dyn Iterator<Item = f64> + '_>> {
        let column = self.recorded.get(channel)?.as_ref()?;
        let per_frame = self.description.channels.get(channel)?.rate_hz / self.description.rate_hz;
        let at = |frame: usize| ((frame as f64 * per_frame).round() as usize).min(column.len());
        Some(Box::new((at(self.from)..at(self.to)).map(|index| column.at(index) * self.scale)))
    }

    fn read(&mut self, frames: usize, out: &mut Vec<f64>) -> Result<Read, SourceError> {
        if self.at == self.to && self.looped {
            self.at = self.from;
        }
        let count = frames.min(self.to - self.at);
        if count == 0 && frames > 0 {
            return Ok(Read::End);
        }
        out.reserve(count * self.columns.len());
        for index in self.at..self.at + count {
            // Without a scale the samples are those of the file, bit for bit.
            out.extend(self.columns.iter().map(|column| {
                let x = column.at(index);
                if self.scale == 1.0 { x } else { x * self.scale }
            }));
        }
        self.at += count;
        Ok(Read::Frames(count))
    }
}
