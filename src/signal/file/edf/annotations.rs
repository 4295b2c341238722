//! Time-stamped annotation lists of EDF+ and BDF+: `+onset[\x15duration]\x14text\x14text\x14\0`. The first list of a
//! record has an empty text and says when the record began.

use super::header::Header;
use crate::signal::Annotation;

#[derive(Debug, Default)]
pub struct Remarks {
    /// From the start of the first record.
    pub annotations: Vec<Annotation>,
    /// When each record began, where its lists say so.
    starts: Vec<Option<f64>>,
    pub odd: Vec<String>,
}

struct List {
    onset_secs: f64,
    duration_secs: Option<f64>,
    texts: Vec<String>,
}

impl Remarks {
    pub fn read(header: &Header, bytes: &[u8]) -> Self {
        let mut remarks = Self::default();
        let mut broken = 0usize;
        let sources: Vec<_> = header.signals.iter().filter(|signal| signal.is_annotations).collect();
        for record in 0..header.records {
            let mut start = None;
            for (order, signal) in sources.iter().enumerate() {
                let at = header.data_at + record * header.record_bytes + signal.at_in_record;
                let area = &bytes[at..at + signal.per_record * header.sample_bytes];
                for (position, raw) in area.split(|byte| *byte == 0).filter(|raw| !raw.is_empty()).enumerate() {
                    match list(raw) {
                        Some(list) => {
                            if order == 0 && position == 0 && list.texts.first().is_none_or(String::is_empty) {
                                start = Some(list.onset_secs);
                            }
                            let texts = list.texts.into_iter().filter(|text| !text.is_empty());
                            remarks.annotations.extend(texts.map(|text| Annotation {
                                onset_secs: list.onset_secs,
                                duration_secs: list.duration_secs,
                                text,
                            }));
                        }
                        None => broken += 1,
                    }
                }
            }
            remarks.starts.push(start);
        }
        if let Some(first) = remarks.starts.first().copied().flatten().filter(|first| *first != 0.0) {
            remarks.annotations.iter_mut().for_each(|annotation| annotation.onset_secs -= first);
            remarks.starts.iter_mut().flatten().for_each(|start| *start -= first);
        }
        if broken > 0 {
            remarks.odd.push(format!("{broken} of its annotations cannot be read and are left out"));
        }
        remarks
    }

    /// The records that begin late in an interrupted recording: (record, seconds missing before it).
    pub fn gaps(&self, header: &Header, tolerance_secs: f64) -> Vec<(usize, f64)> {
        if !header.interrupted {
            return Vec::new();
        }
        let mut missing_secs = 0.0;
        let mut gaps = Vec::new();
        for (record, start) in self.starts.iter().enumerate() {
            let Some(start) = start else { continue };
            let late = start - record as f64 * header.record_secs - missing_secs;
            if late > tolerance_secs {
                gaps.push((record, late));
                missing_secs += late;
            }
        }
        gaps
    }
}

fn list(raw: &[u8]) -> Option<List> {
    let mut parts = raw.split(|byte| *byte == 0x14);
    let mut times = parts.next()?.split(|byte| *byte == 0x15);
    let onset_secs = seconds(times.next()?)?;
    let duration_secs = match times.next() {
        Some(text) => seconds(text),
        None => None,
    };
    let mut texts: Vec<String> = parts.map(|text| String::from_utf8_lossy(text).trim().to_owned()).collect();
    // After the last separator there is nothing.
    texts.pop();
    Some(List { onset_secs, duration_secs, texts })
}

fn seconds(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.trim().parse::<f64>().ok().filter(|secs| secs.is_finite() && secs.abs() < 1e12)
}
