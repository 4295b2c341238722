//! The JSON that the OpenBCI GUI sends over UDP: `{"type":"timeSeriesRaw","data":[[channel 0..],[channel 1..]]}`, and
//! `{"type":"eeg","data":[one value a channel]}` of its older versions. A port may carry several types: one is taken.

use serde::Deserialize;

use crate::signal::live::numbers::Row;

/// Types whose rows are samples of the electrodes.
const SAMPLES: [&str; 4] = ["timeSeriesRaw", "timeSeriesFilt", "timeSeriesFiltered", "eeg"];
/// Types of which a packet is one row, whatever its nesting.
const SINGLE: [&str; 4] = ["bandPower", "averageBandPower", "focus", "marker"];
const MAX_CHANNELS: usize = 1024;

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type")]
    kind: String,
    data: Data,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Data {
    /// A list a channel.
    Lists(Vec<Vec<Option<f64>>>),
    Flat(Vec<Option<f64>>),
    One(f64),
}

/// Which of the types on a port is taken.
#[derive(Debug)]
pub struct Choice {
    wanted: Option<String>,
    /// What came first, or better than that.
    taken: Option<String>,
}

/// What became of a message.
#[derive(Debug, PartialEq)]
pub enum Taken {
    Rows(Vec<Row>),
    /// Well formed, but not what is wanted.
    Other,
    /// Samples of electrodes, where something else was taken before: that is over.
    Better(Vec<Row>),
    Malformed,
}

impl Choice {
    /// `wanted` is a type; without one the samples of the electrodes are taken, and anything else until they come.
    pub fn new(wanted: Option<&str>) -> Self {
        Self { wanted: wanted.map(str::to_owned), taken: None }
    }

    pub fn take(&mut self, line: &str) -> Taken {
        let Ok(message) = serde_json::from_str::<Message>(line) else { return Taken::Malformed };
        if let Some(wanted) = &self.wanted {
            return if *wanted == message.kind { taken(message) } else { Taken::Other };
        }
        let is_samples = |kind: &str| SAMPLES.contains(&kind);
        match &self.taken {
            Some(kind) if *kind == message.kind => taken(message),
            Some(kind) if is_samples(kind) || !is_samples(&message.kind) => Taken::Other,
            before => {
                let is_first = before.is_none();
                let kind = message.kind.clone();
                match taken(message) {
                    Taken::Rows(rows) => {
                        self.taken = Some(kind);
                        if is_first { Taken::Rows(rows) } else { Taken::Better(rows) }
                    }
                    other => other,
                }
            }
        }
    }
}

fn taken(message: Message) -> Taken {
    let value = |x: &Option<f64>| x.unwrap_or(f64::NAN);
    let row = |values: Vec<f64>| Row { names: vec![None; values.len()], values };
    let rows = match &message.data {
        Data::One(x) => vec![row(vec![*x])],
        Data::Flat(values) => vec![row(values.iter().map(value).collect())],
        Data::Lists(lists) if SINGLE.contains(&message.kind.as_str()) => {
            vec![row(lists.iter().flatten().map(value).collect())]
        }
        Data::Lists(lists) => {
            let count = lists.first().map_or(0, Vec::len);
            if lists.iter().any(|list| list.len() != count) {
                return Taken::Malformed;
            }
            (0..count).map(|n| row(lists.iter().map(|list| value(&list[n])).collect())).collect()
        }
    };
    let width = rows.first().map_or(0, |row| row.values.len());
    if width == 0 || width > MAX_CHANNELS { Taken::Malformed } else { Taken::Rows(rows) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(taken: Taken) -> Vec<Vec<f64>> {
        match taken {
            Taken::Rows(rows) | Taken::Better(rows) => rows.into_iter().map(|row| row.values).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn lists_of_channels_become_rows_of_samples() {
        let mut choice = Choice::new(None);
        let taken = choice.take(r#"{"type":"timeSeriesRaw","data":[[1,2,3],[4,5,6]]}"#);
        assert_eq!(values(taken), [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]);
        let taken = Choice::new(None).take(r#"{"type":"eeg","data":[1.5,2]}"#);
        assert_eq!(values(taken), [[1.5, 2.0]]);
        let taken = Choice::new(Some("bandPower")).take(r#"{"type":"bandPower","data":[[1,2],[3,4]]}"#);
        assert_eq!(values(taken), [[1.0, 2.0, 3.0, 4.0]]);
    }

    #[test]
    fn samples_are_preferred_to_what_else_is_on_the_port() {
        let mut choice = Choice::new(None);
        assert!(matches!(choice.take(r#"{"type":"focus","data":0.5}"#), Taken::Rows(_)));
        assert!(matches!(choice.take(r#"{"type":"timeSeriesFilt","data":[[1],[2]]}"#), Taken::Better(_)));
        assert_eq!(choice.take(r#"{"type":"focus","data":0.5}"#), Taken::Other);
        assert_eq!(choice.take(r#"{"type":"timeSeriesRaw","data":[[1],[2]]}"#), Taken::Other);
    }

    #[test]
    fn what_is_no_such_message_is_malformed() {
        for line in
            ["{", "{}", r#"{"type":"eeg"}"#, r#"{"type":"eeg","data":[]}"#, r#"{"type":"x","data":[[1],[2,3]]}"#]
        {
            assert_eq!(Choice::new(None).take(line), Taken::Malformed, "{line}");
        }
    }
}
