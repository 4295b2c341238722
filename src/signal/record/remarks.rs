//! Remarks that wait to be written, and their form in EDF+ (time-stamped annotation lists, edfplus.info/specs).

use std::collections::VecDeque;

/// More than a person reads; what comes beyond is counted.
const MOST_WAITING: usize = 1000;

/// Something to be known of a moment or a stretch of a recording.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Remark {
    pub onset_secs: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_secs: Option<f64>,
    pub text: String,
}

/// First come, first written.
#[derive(Debug, Default)]
pub struct Waiting {
    remarks: VecDeque<Remark>,
    pub left_out: u64,
}

impl Waiting {
    pub fn push(&mut self, remark: Remark) {
        if self.remarks.len() == MOST_WAITING {
            self.left_out += 1;
        } else {
            self.remarks.push_back(remark);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.remarks.is_empty()
    }

    /// The lists of one record: when it begins, counted from the second in which the file begins, then as many remarks
    /// as there is room for.
    pub fn record(&mut self, first_secs: f64, begins_secs: f64, bytes: usize) -> Vec<u8> {
        let mut out = format!("{}\x14\x14\0", stamp(first_secs + begins_secs)).into_bytes();
        while let Some(remark) = self.remarks.front() {
            let list = list(remark, first_secs, bytes - out.len().min(bytes));
            match list {
                Some(list) => out.extend(list),
                // An empty record has room for any remark, cut to fit.
                None => break,
            }
            self.remarks.pop_front();
        }
        out.resize(bytes, 0);
        out
    }
}

/// `+onset[\x15duration]\x14text\x14\0`, its text cut to fit; None where not even its beginning would.
fn list(remark: &Remark, first_secs: f64, room: usize) -> Option<Vec<u8>> {
    const LEAST_TEXT: usize = 24;
    let mut out = stamp(first_secs + remark.onset_secs).into_bytes();
    if let Some(secs) = remark.duration_secs {
        out.push(0x15);
        out.extend(seconds(secs).into_bytes());
    }
    out.push(0x14);
    let text: String = remark.text.chars().filter(|c| !c.is_control()).collect();
    let left = room.checked_sub(out.len() + 2)?;
    if left < text.len().min(LEAST_TEXT) {
        return None;
    }
    let end = (0..=left.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    out.extend(&text.as_bytes()[..end]);
    out.extend([0x14, 0]);
    Some(out)
}

/// With its sign, as onsets must have.
fn stamp(secs: f64) -> String {
    format!("+{}", seconds(secs.max(0.0)))
}

/// To a tenth of a millisecond, without needless zeros.
fn seconds(secs: f64) -> String {
    let text = format!("{secs:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_begins_with_its_time_and_takes_what_has_room() {
        let mut waiting = Waiting::default();
        waiting.push(Remark { onset_secs: 1.5, duration_secs: Some(0.25), text: "bad: missing".into() });
        waiting.push(Remark { onset_secs: 2.0, duration_secs: None, text: "ä".repeat(60) });
        let first = waiting.record(0.125, 1.0, 60);
        assert!(first.starts_with(b"+1.125\x14\x14\0+1.625\x150.25\x14bad: missing\x14\0"));
        assert!(first.len() == 60 && !waiting.is_empty());
        let second = waiting.record(0.125, 2.0, 60);
        assert!(waiting.is_empty());
        let text = String::from_utf8(second).unwrap();
        assert!(text.starts_with("+2.125\u{14}\u{14}\0+2.125\u{14}ä"), "whole letters only: {text:?}");
    }
}
