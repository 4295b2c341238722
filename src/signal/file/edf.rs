//! EDF, EDF+ and BDF recordings.
//!
//! Formats: Kemp et al. 1992 (doi 10.1016/0013-4694(92)90009-7), Kemp and Olivan 2003 (EDF+, edfplus.info/specs), BioSemi
//! (24-bit samples). Real files break the rules: what can be read is read, and what was odd is said.

mod annotations;
mod header;

use std::path::Path;

use super::recording::{Column, Loaded};
use crate::signal::resample::Resampler;
use crate::signal::url::Address;
use crate::signal::{Channel, SourceError};
use annotations::Remarks;
use header::{Header, Signal};

pub const EDF_MAGIC: &[u8] = b"0       ";
pub const BDF_MAGIC: &[u8] = b"\xffBIOSEMI";

/// Gaps of an interrupted recording (EDF+D) are played as gaps if they are at most so many times its length.
const MAX_GAPS: f64 = 4.0;
/// Two records closer than this part of a sample follow one another.
const GAP_TOLERANCE: f64 = 0.5;

pub fn load(path: &Path, bytes: &[u8], address: &Address) -> Result<Loaded, SourceError> {
    let mut header = Header::parse(bytes).map_err(|what| SourceError::malformed(path, what))?;
    let remarks = Remarks::read(&header, bytes);
    let mut odd = std::mem::take(&mut header.odd);
    odd.extend(remarks.odd.iter().cloned());

    let names: Vec<String> = header.signals.iter().map(|signal| signal.name.clone()).collect();
    let readable: Vec<usize> = (0..names.len()).filter(|index| header.signals[*index].is_data()).collect();
    let readable_names: Vec<String> = readable.iter().map(|index| names[*index].clone()).collect();
    if readable.is_empty() {
        return Err(SourceError::malformed(path, "holds annotations only and no signal; choose another recording"));
    }
    let mut chosen: Vec<usize> = address.channels(&readable_names)?.iter().map(|index| readable[*index]).collect();
    if address.text_of("channels").is_none() && chosen.iter().any(|index| !header.signals[*index].is_trigger()) {
        let before = chosen.len();
        chosen.retain(|index| !header.signals[*index].is_trigger());
        if chosen.len() < before {
            odd.push("the channel Status holds triggers and is left out; name it with channels=Status".to_owned());
        }
    }
    let own_hz = |index: usize| header.signals[index].per_record as f64 / header.record_secs;
    let highest_hz = chosen.iter().map(|index| own_hz(*index)).fold(0.0, f64::max);
    let rate_hz = address.rate_hz()?.unwrap_or(highest_hz);
    if chosen.iter().any(|index| own_hz(*index) != highest_hz) {
        odd.push(format!("its channels differ in rate; all are resampled to {rate_hz} Hz"));
    }

    let gaps = remarks.gaps(&header, GAP_TOLERANCE / highest_hz);
    let gaps_secs: f64 = gaps.iter().map(|(_, secs)| secs).sum();
    let recorded_secs = header.records as f64 * header.record_secs;
    let playable = gaps_secs <= MAX_GAPS * recorded_secs;
    if !gaps.is_empty() {
        odd.push(format!(
            "the recording was interrupted {} times, {gaps_secs:.3} s in all; {}",
            gaps.len(),
            if playable { "the gaps are bridged" } else { "the parts are played without the gaps" }
        ));
    }
    let gaps = if playable { gaps } else { Vec::new() };

    let mut columns = Vec::new();
    let mut recorded = Vec::new();
    let mut channels = Vec::new();
    for index in chosen {
        let signal = &header.signals[index];
        let mut column = digital(&header, signal, bytes);
        if !gaps.is_empty() {
            column = with_gaps(&column, &gaps, signal.per_record, own_hz(index));
        }
        let mut as_recorded = None;
        if own_hz(index) != rate_hz {
            let even = Column::F64(resampled(&column, own_hz(index), rate_hz));
            as_recorded = Some(std::mem::replace(&mut column, even));
        }
        columns.push(column);
        recorded.push(as_recorded);
        channels.push(Channel { name: signal.name.clone(), unit: signal.unit.clone(), rate_hz: own_hz(index) });
    }
    Ok(Loaded { channels, columns, recorded, rate_hz, annotations: remarks.annotations, odd })
}

/// The samples of one signal, out of all records.
fn digital(header: &Header, signal: &Signal, bytes: &[u8]) -> Column {
    let width = header.sample_bytes;
    let mut short = Vec::new();
    let mut long = Vec::new();
    for record in 0..header.records {
        let at = header.data_at + record * header.record_bytes + signal.at_in_record;
        let samples = bytes[at..at + signal.per_record * width].chunks_exact(width);
        if width == 2 {
            short.extend(samples.map(|raw| i16::from_le_bytes([raw[0], raw[1]])));
        } else {
            // Three bytes on top of a zero one, shifted down with their sign.
            long.extend(samples.map(|raw| i32::from_le_bytes([0, raw[0], raw[1], raw[2]]) >> 8));
        }
    }
    let (gain, offset) = (signal.gain, signal.offset);
    if width == 2 { Column::I16 { values: short, gain, offset } } else { Column::I32 { values: long, gain, offset } }
}

/// Puts what is missing (no numbers) before the records that come late; `gaps` are (record, seconds before it).
fn with_gaps(column: &Column, gaps: &[(usize, f64)], per_record: usize, rate_hz: f64) -> Column {
    let mut values = Vec::with_capacity(column.len());
    let mut gaps = gaps.iter().peekable();
    let mut missing_secs = 0.0;
    for index in 0..column.len() {
        while let Some((_, secs)) = gaps.next_if(|(record, _)| record * per_record == index) {
            missing_secs += secs;
            // Counted from the start, so that channels of different rates stay together.
            let due = index + (missing_secs * rate_hz).round() as usize;
            values.resize(due.max(values.len()), f64::NAN);
        }
        values.push(column.at(index));
    }
    Column::F64(values)
}

fn resampled(column: &Column, from_hz: f64, to_hz: f64) -> Vec<f64> {
    let samples: Vec<f64> = (0..column.len()).map(|index| column.at(index)).collect();
    let missing: Vec<bool> = samples.iter().map(|x| !x.is_finite()).collect();
    if !missing.contains(&true) {
        return Resampler::convert(&samples, from_hz, to_hz);
    }
    // A sinc would smear what is missing over its neighbours: hold over it, and take it out again afterwards.
    let mut held = samples;
    let mut last = 0.0;
    for x in &mut held {
        if x.is_finite() { last = *x } else { *x = last }
    }
    let mut out = Resampler::convert(&held, from_hz, to_hz);
    for (index, x) in out.iter_mut().enumerate() {
        let source = (index as f64 * from_hz / to_hz) as usize;
        if missing.get(source) == Some(&true) {
            *x = f64::NAN;
        }
    }
    out
}
