//! What an LSL stream says about itself, in a few known elements of XML. Nothing else of XML is needed, so nothing else
//! is read.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Longer descriptions are cut off.
const MAX_INFO_BYTES: usize = 4 << 20;
const MAX_CHANNELS: usize = 4096;
const FULL_INFO_WITHIN: Duration = Duration::from_secs(2);

/// How the values of a stream are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Float32,
    Double64,
    Int8,
    Int16,
    Int32,
    Int64,
    Text,
}

impl Format {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "float32" => Self::Float32,
            "double64" => Self::Double64,
            "int8" => Self::Int8,
            "int16" => Self::Int16,
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "string" => Self::Text,
            _ => return None,
        })
    }

    /// Bytes of a value.
    pub fn size(self) -> usize {
        match self {
            Self::Int8 | Self::Text => 1,
            Self::Int16 => 2,
            Self::Float32 | Self::Int32 => 4,
            Self::Double64 | Self::Int64 => 8,
        }
    }

    pub fn is_number(self) -> bool {
        self != Self::Text
    }
}

/// A stream on the network.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamInfo {
    pub name: String,
    pub kind: String,
    pub channel_count: usize,
    /// 0 for a stream without a beat.
    pub rate_hz: f64,
    pub format: Format,
    pub source_id: String,
    pub uid: String,
    pub hostname: String,
    pub address: IpAddr,
    pub data_port: u16,
    pub service_port: u16,
    /// Names and units, where the full description was read.
    pub labels: Vec<(String, String)>,
}

impl StreamInfo {
    /// From its XML, as sent from `address`; None if anything needed is missing or cannot be meant.
    pub fn parse(xml: &str, address: IpAddr) -> Option<Self> {
        let head = xml.split("<desc").next()?;
        let text = |name: &str| element(head, name).unwrap_or_default();
        let channel_count = text("channel_count").parse().ok().filter(|count| (1..=MAX_CHANNELS).contains(count))?;
        let rate_hz = text("nominal_srate").parse::<f64>().ok()?;
        Some(Self {
            name: text("name"),
            kind: text("type"),
            channel_count,
            rate_hz: if rate_hz.is_finite() && rate_hz > 0.0 && rate_hz <= 1e6 { rate_hz } else { 0.0 },
            format: Format::named(&text("channel_format"))?,
            source_id: text("source_id"),
            uid: Some(text("uid")).filter(|uid| !uid.is_empty() && !uid.contains(['\r', '\n']))?,
            hostname: text("hostname"),
            address,
            data_port: text("v4data_port").parse().ok().filter(|port| *port > 0)?,
            service_port: text("v4service_port").parse().unwrap_or(0),
            labels: labels(xml),
        })
    }

    /// Name and unit of each channel.
    pub fn channels(&self) -> Vec<(String, String)> {
        (0..self.channel_count)
            .map(|n| self.labels.get(n).cloned().unwrap_or_else(|| (format!("channel {n}"), String::new())))
            .collect()
    }

    /// The URL that opens it.
    pub fn url(&self) -> String {
        format!("lsl://{}", self.name.replace('%', "%25").replace('?', "%3F").replace(' ', "%20"))
    }
}

/// Asks the outlet for the description with the names of the channels.
pub fn full(info: &StreamInfo) -> std::io::Result<StreamInfo> {
    let address = SocketAddr::new(info.address, info.data_port);
    let mut stream = TcpStream::connect_timeout(&address, FULL_INFO_WITHIN)?;
    stream.set_read_timeout(Some(FULL_INFO_WITHIN))?;
    stream.write_all(b"LSL:fullinfo\r\n")?;
    let begun = Instant::now();
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    while bytes.len() < MAX_INFO_BYTES && begun.elapsed() < FULL_INFO_WITHIN {
        match stream.read(&mut buffer)? {
            0 => break,
            length => bytes.extend_from_slice(&buffer[..length]),
        }
        if bytes.trim_ascii_end().ends_with(b"</info>") {
            break;
        }
    }
    let xml = String::from_utf8_lossy(&bytes);
    Ok(StreamInfo { labels: labels(&xml), ..info.clone() })
}

fn labels(xml: &str) -> Vec<(String, String)> {
    let Some((_, rest)) = xml.split_once("<channels>") else { return Vec::new() };
    let list = rest.split("</channels>").next().unwrap_or(rest);
    let channels = list.split("<channel>").skip(1).take(MAX_CHANNELS).map(|channel| {
        let unit = element(channel, "unit").unwrap_or_default();
        let unit = if unit.eq_ignore_ascii_case("microvolts") { "uV".to_owned() } else { unit };
        (element(channel, "label").unwrap_or_default(), unit)
    });
    let channels: Vec<(String, String)> = channels.collect();
    // Half of the names are no help.
    if channels.iter().any(|(label, _)| label.is_empty()) { Vec::new() } else { channels }
}

/// The text of the first element of this name.
fn element(xml: &str, name: &str) -> Option<String> {
    let open = format!("<{name}>");
    let start = xml.find(&open)? + open.len();
    let length = xml[start..].find('<')?;
    Some(unescaped(xml[start..start + length].trim()))
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(';').unwrap_or(0);
        let known = match &rest[..end] {
            "&lt" => Some('<'),
            "&gt" => Some('>'),
            "&amp" => Some('&'),
            "&quot" => Some('"'),
            "&apos" => Some('\''),
            other => other.strip_prefix("&#").and_then(|code| code.parse().ok()).and_then(char::from_u32),
        };
        plain.push(known.unwrap_or('&'));
        rest = &rest[if known.is_some() { end + 1 } else { 1 }..];
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &str = "<?xml version=\"1.0\"?>\n<info>\n\t<name>a &amp; b</name>\n\t<type>EEG</type>\n\
        <channel_count>2</channel_count><channel_format>float32</channel_format><source_id />\n\
        <nominal_srate>250.0</nominal_srate><uid>u-1</uid><hostname>lab</hostname><v4data_port>16573</v4data_port>\n\
        <v4service_port>16574</v4service_port><desc><channels><channel><label>C3</label><unit>microvolts</unit>\
        </channel><channel><label>C4</label></channel></channels></desc></info>";

    #[test]
    fn a_stream_is_read_from_its_xml() {
        let info = StreamInfo::parse(XML, [127, 0, 0, 1].into()).unwrap();
        assert_eq!((info.name.as_str(), info.rate_hz, info.format), ("a & b", 250.0, Format::Float32));
        assert_eq!((info.data_port, info.service_port, info.source_id.as_str()), (16573, 16574, ""));
        assert_eq!(info.channels()[0], ("C3".to_owned(), "uV".to_owned()));
        assert_eq!(info.url(), "lsl://a%20&%20b");
    }

    #[test]
    fn truncated_or_strange_xml_is_no_stream_and_no_panic() {
        for length in (0..XML.len()).filter(|length| XML.is_char_boundary(*length)) {
            let _ = StreamInfo::parse(&XML[..length], [127, 0, 0, 1].into());
        }
        for (from, to) in [("<channel_count>2", "<channel_count>9999999999"), ("float32", "float33"), ("u-1", "")] {
            assert_eq!(StreamInfo::parse(&XML.replace(from, to), [127, 0, 0, 1].into()), None, "{to}");
        }
    }
}
