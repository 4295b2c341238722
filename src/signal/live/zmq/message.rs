//! A message of Open Ephys' ZMQ Interface: an envelope (`DATA`), a header in JSON, and the samples of one channel as
//! little-endian float32.

use serde::Deserialize;

const MAX_SAMPLES: usize = 1 << 20;
const MAX_RATE_HZ: f64 = 1e6;

#[derive(Deserialize)]
struct Header {
    #[serde(rename = "type")]
    kind: String,
    content: Option<Content>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    stream: String,
    channel_num: u64,
    channel_name: Option<String>,
    num_samples: usize,
    sample_num: u64,
    sample_rate: f64,
}

/// Some samples of one channel.
#[derive(Debug, PartialEq)]
pub struct Data<'a> {
    pub stream: String,
    pub channel: u64,
    pub name: String,
    pub first_sample: u64,
    pub rate_hz: f64,
    bytes: &'a [[u8; 4]],
}

impl Data<'_> {
    pub fn samples(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.bytes.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes)))
    }
}

/// What a message is.
#[derive(Debug, PartialEq)]
pub enum Parsed<'a> {
    Data(Data<'a>),
    /// Events and spikes.
    Other,
    Malformed,
}

pub fn parse<'a>(frames: &[&'a [u8]]) -> Parsed<'a> {
    let [_, header, rest @ ..] = frames else { return Parsed::Malformed };
    let Ok(header) = serde_json::from_slice::<Header>(header) else { return Parsed::Malformed };
    if header.kind != "data" {
        return Parsed::Other;
    }
    let (Some(content), [body, ..]) = (header.content, rest) else { return Parsed::Malformed };
    let (bytes, over) = body.as_chunks::<4>();
    let rate_hz = content.sample_rate;
    let sound = rate_hz.is_finite() && rate_hz > 0.0 && rate_hz <= MAX_RATE_HZ;
    if !sound || !over.is_empty() || bytes.len() != content.num_samples || bytes.len() > MAX_SAMPLES {
        return Parsed::Malformed;
    }
    Parsed::Data(Data {
        stream: content.stream,
        channel: content.channel_num,
        name: content.channel_name.unwrap_or_else(|| format!("CH{}", content.channel_num)),
        first_sample: content.sample_num,
        rate_hz,
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] =
        br#"{"message_num":1,"type":"data","content":{"stream":"A","channel_num":3,"channel_name":"CH4",
        "num_samples":2,"sample_num":500,"sample_rate":30000.0},"data_size":8,"timestamp":1}"#;

    #[test]
    fn three_frames_are_the_samples_of_a_channel() {
        let body = [1f32.to_le_bytes(), (-2.5f32).to_le_bytes()].concat();
        let Parsed::Data(data) = parse(&[b"DATA\0", HEADER, &body]) else { panic!("no data") };
        assert_eq!((data.stream.as_str(), data.channel, data.name.as_str()), ("A", 3, "CH4"));
        assert_eq!((data.first_sample, data.rate_hz), (500, 30_000.0));
        assert_eq!(data.samples().collect::<Vec<_>>(), [1.0, -2.5]);
    }

    #[test]
    fn what_is_no_such_message_is_malformed_or_something_else() {
        let body = [0; 8];
        assert_eq!(parse(&[b"DATA"]), Parsed::Malformed);
        assert_eq!(parse(&[b"DATA", b"{", &body]), Parsed::Malformed);
        assert_eq!(parse(&[b"DATA", HEADER, &body[..7]]), Parsed::Malformed);
        assert_eq!(parse(&[b"DATA", HEADER, &body[..4]]), Parsed::Malformed);
        assert_eq!(parse(&[b"EVENT", br#"{"type":"event"}"#, &body]), Parsed::Other);
    }
}
