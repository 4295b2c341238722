//! `.wav` through hound: whole numbers of 8 to 32 bits and floats, scaled to -1..1.

use std::io::Cursor;
use std::path::Path;

use hound::{SampleFormat, WavReader};

use super::recording::{Column, Loaded};
use crate::signal::url::Address;
use crate::signal::{Channel, SourceError};

pub fn load(path: &Path, bytes: &[u8], address: &Address) -> Result<Loaded, SourceError> {
    let refused = |cause: hound::Error| {
        let what = match cause {
            hound::Error::IoError(_) => "is cut off; copy it again".to_owned(),
            hound::Error::FormatError(what) => format!("is not a .wav file that can be read ({what}); export it anew"),
            hound::Error::Unsupported => {
                "is a .wav of a kind that is not read (compressed, or of an unusual width); export it as PCM".to_owned()
            }
            other => format!("cannot be read as .wav ({other}); export it as PCM"),
        };
        SourceError::malformed(path, what)
    };
    let mut reader = WavReader::new(Cursor::new(bytes)).map_err(refused)?;
    let spec = reader.spec();
    let width = usize::from(spec.channels);
    if width == 0 || spec.sample_rate == 0 || spec.bits_per_sample == 0 {
        return Err(SourceError::malformed(path, "states no channels, no rate or no bits; export it anew"));
    }
    let mut odd = Vec::new();
    let stated_hz = f64::from(spec.sample_rate);
    let rate_hz = address.rate_hz()?.unwrap_or(stated_hz);
    if rate_hz != stated_hz {
        odd.push(format!("it states {stated_hz} Hz and is read at {rate_hz} Hz as asked"));
    }
    let per_channel = (reader.len() as usize).min(bytes.len()) / width;
    let columns = match spec.sample_format {
        SampleFormat::Float => {
            let mut columns = vec![Vec::with_capacity(per_channel); width];
            for (index, sample) in reader.samples::<f32>().enumerate() {
                columns[index % width].push(sample.map_err(refused)?);
            }
            columns.into_iter().map(Column::F32).collect()
        }
        SampleFormat::Int => {
            let mut columns = vec![Vec::with_capacity(per_channel); width];
            for (index, sample) in reader.samples::<i32>().enumerate() {
                columns[index % width].push(sample.map_err(refused)?);
            }
            let gain = 0.5f64.powi(i32::from(spec.bits_per_sample) - 1);
            columns.into_iter().map(|values| Column::I32 { values, gain, offset: 0.0 }).collect()
        }
    };
    let name = |channel: usize| match (width, channel) {
        (2, 0) => "left".to_owned(),
        (2, _) => "right".to_owned(),
        _ => format!("ch{channel}"),
    };
    let channels = (0..width).map(|channel| Channel { name: name(channel), unit: String::new(), rate_hz }).collect();
    Loaded { channels, columns, recorded: Vec::new(), rate_hz, annotations: Vec::new(), odd }.choose(address)
}
