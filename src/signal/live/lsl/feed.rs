//! The feed of an LSL stream, protocol 1.10: a greeting with headers, two samples of a known pattern, then samples: a tag
//! (1: the time is one period after the last; 2: the time follows as float64), and the values in the order of bytes that
//! was agreed on.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::info::{Format, StreamInfo};

const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// What the outlet keeps for us, in seconds.
const OUTLET_KEEPS_SECS: f64 = 30.0;
const MAX_HEADERS: usize = 64;
/// The time of the pattern samples.
const PATTERN_STAMP: f64 = 123_456.789;
/// Even streams: stamps that are ahead by more than this, and by more than so many samples, mean that samples are gone.
const GAP_SECS: f64 = 0.15;
const GAP_SAMPLES: f64 = 4.0;
/// A longer gap is a pause of the sender: its samples were never made.
const MAX_GAP_SECS: f64 = 5.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    pub fn native() -> Self {
        if cfg!(target_endian = "big") { Self::Big } else { Self::Little }
    }

    fn number(self) -> &'static str {
        match self {
            Self::Little => "1234",
            Self::Big => "4321",
        }
    }
}

/// Connects and agrees on the order of bytes: `order` is asked for, what is returned is used. What follows on the stream
/// are samples.
///
/// # Errors
/// What went wrong.
pub fn connect(info: &StreamInfo, order: ByteOrder) -> Result<(TcpStream, ByteOrder), String> {
    let address = SocketAddr::new(info.address, info.data_port);
    let said = |cause: std::io::Error| cause.to_string();
    let stream = TcpStream::connect_timeout(&address, CONNECT_WITHIN).map_err(said)?;
    stream.set_read_timeout(Some(CONNECT_WITHIN)).map_err(said)?;
    stream.set_nodelay(true).map_err(said)?;
    let keeps = (OUTLET_KEEPS_SECS * info.rate_hz).max(1000.0) as u64;
    let request = format!(
        "LSL:streamfeed/110 {}\r\nNative-Byte-Order: {}\r\nEndian-Performance: 0\r\nHas-IEEE754-Floats: 1\r\n\
         Supports-Subnormals: 1\r\nValue-Size: {}\r\nData-Protocol-Version: 110\r\nMax-Buffer-Length: {keeps}\r\n\
         Max-Chunk-Length: 0\r\nHostname: wavedream\r\nSource-Id: {}\r\nSession-Id: default\r\n\r\n",
        info.uid,
        order.number(),
        info.format.size(),
        info.source_id,
    );
    (&stream).write_all(request.as_bytes()).map_err(said)?;
    // One byte at a time, so that nothing of the samples is taken: the headers are short.
    let mut reader = BufReader::with_capacity(1, &stream);
    let mut line = || -> Result<String, String> {
        let mut bytes = Vec::new();
        reader.by_ref().take(4096).read_until(b'\n', &mut bytes).map_err(said)?;
        if bytes.is_empty() {
            return Err("it closed the connection".into());
        }
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    let status = line()?;
    if status.split_whitespace().nth(1) != Some("200") {
        return Err(format!("it answers '{status}'"));
    }
    let mut agreed = ByteOrder::Little;
    for _ in 0..MAX_HEADERS {
        let header = line()?;
        if header.is_empty() {
            return Ok((stream, agreed));
        }
        let Some((key, value)) = header.split_once(':') else { continue };
        match (key.trim().to_ascii_lowercase().as_str(), value.trim()) {
            ("byte-order", "1234" | "0") => agreed = ByteOrder::Little,
            ("byte-order", "4321") => agreed = ByteOrder::Big,
            ("byte-order", other) => return Err(format!("its order of bytes, {other}, is not known")),
            ("data-protocol-version", version) if version != "110" => {
                return Err(format!("it wants to speak version {version} of the protocol, not 110"));
            }
            _ => {}
        }
    }
    Err("its greeting has no end".into())
}

/// Makes samples of bytes, however they are cut.
#[derive(Debug)]
pub struct Decoder {
    format: Format,
    order: ByteOrder,
    channels: usize,
    rate_hz: f64,
    rest: Vec<u8>,
    patterns_left: u32,
    stamp: f64,
    /// Even streams: frames missing before each run of values.
    runs: Vec<(usize, Vec<f64>)>,
    /// Streams without a beat.
    samples: Vec<(f64, Vec<f64>)>,
}

impl Decoder {
    pub fn new(info: &StreamInfo, order: ByteOrder) -> Self {
        Self {
            format: info.format,
            order,
            channels: info.channel_count,
            rate_hz: info.rate_hz,
            rest: Vec::new(),
            patterns_left: 2,
            stamp: f64::NAN,
            runs: Vec::new(),
            samples: Vec::new(),
        }
    }

    pub fn is_even(&self) -> bool {
        self.rate_hz > 0.0
    }

    /// Time of the last sample by the sender's clock.
    pub fn last_stamp(&self) -> Option<f64> {
        self.stamp.is_finite().then_some(self.stamp)
    }

    /// Takes the next bytes of the feed.
    ///
    /// # Errors
    /// They are no samples: nothing that follows can be trusted.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.rest.extend_from_slice(bytes);
        let rest = std::mem::take(&mut self.rest);
        let body = self.channels * self.format.size();
        let mut at = 0;
        while let Some(tag) = rest.get(at) {
            let head = match tag {
                1 => 1,
                2 => 9,
                other => return Err(format!("its feed is broken: tag {other}")),
            };
            let Some(sample) = rest.get(at..at + head + body) else { break };
            let stamp = (head == 9).then(|| self.value(Format::Double64, &sample[1..9]));
            at += head + body;
            if self.patterns_left > 0 {
                self.check_pattern(stamp, &sample[head..])?;
            } else {
                self.sample(stamp, &sample[head..]);
            }
        }
        self.rest = rest;
        self.rest.drain(..at);
        Ok(())
    }

    fn check_pattern(&mut self, stamp: Option<f64>, values: &[u8]) -> Result<(), String> {
        let offset = if self.patterns_left == 2 { 4.0 } else { 2.0 };
        let first = offset
            + match self.format {
                Format::Float32 | Format::Text => 0.0,
                Format::Double64 => 16_777_217.0,
                Format::Int8 => 1.0,
                Format::Int16 => 257.0,
                Format::Int32 => 65_537.0,
                Format::Int64 => 2_147_483_649.0,
            };
        self.patterns_left -= 1;
        if stamp != Some(PATTERN_STAMP) || self.value(self.format, values) != first {
            return Err("its test pattern is wrong: another protocol, or another order of bytes".into());
        }
        Ok(())
    }

    fn sample(&mut self, stamp: Option<f64>, bytes: &[u8]) {
        let size = self.format.size();
        let period = if self.is_even() { 1.0 / self.rate_hz } else { 0.0 };
        let expected = self.stamp + period;
        let stamp = stamp.filter(|stamp| stamp.is_finite()).unwrap_or(expected);
        let ahead = stamp - expected;
        self.stamp = stamp;
        let mut values = Vec::new();
        if self.is_even() {
            let is_gap = ahead > GAP_SECS.max(GAP_SAMPLES * period) && ahead < MAX_GAP_SECS;
            if is_gap || self.runs.is_empty() {
                let missing = if is_gap { (ahead * self.rate_hz).round() as usize } else { 0 };
                self.runs.push((missing, Vec::new()));
            }
            if let Some((_, run)) = self.runs.last_mut() {
                values = std::mem::take(run);
            }
        }
        values.extend(bytes.chunks_exact(size).map(|bytes| value(self.format, self.order, bytes)));
        if self.is_even() {
            if let Some((_, run)) = self.runs.last_mut() {
                *run = values;
            }
        } else {
            self.samples.push((stamp, values));
        }
    }

    fn value(&self, format: Format, bytes: &[u8]) -> f64 {
        value(format, self.order, &bytes[..format.size().min(bytes.len())])
    }

    /// Of an even stream: what came since the last time.
    pub fn take_runs(&mut self) -> Vec<(usize, Vec<f64>)> {
        std::mem::take(&mut self.runs)
    }

    /// Of a stream without a beat: what came since the last time.
    pub fn take_samples(&mut self) -> Vec<(f64, Vec<f64>)> {
        std::mem::take(&mut self.samples)
    }
}

/// A value of as many bytes as its format has; not a number if there are others.
fn value(format: Format, order: ByteOrder, bytes: &[u8]) -> f64 {
    fn ordered<const N: usize>(order: ByteOrder, bytes: &[u8]) -> Option<[u8; N]> {
        let mut bytes: [u8; N] = bytes.try_into().ok()?;
        if order == ByteOrder::Big {
            bytes.reverse();
        }
        Some(bytes)
    }
    let found = match format {
        Format::Float32 => ordered(order, bytes).map(|bytes| f64::from(f32::from_le_bytes(bytes))),
        Format::Double64 => ordered(order, bytes).map(f64::from_le_bytes),
        Format::Int8 => ordered(order, bytes).map(|bytes| f64::from(i8::from_le_bytes(bytes))),
        Format::Int16 => ordered(order, bytes).map(|bytes| f64::from(i16::from_le_bytes(bytes))),
        Format::Int32 => ordered(order, bytes).map(|bytes| f64::from(i32::from_le_bytes(bytes))),
        Format::Int64 => ordered(order, bytes).map(|bytes| i64::from_le_bytes(bytes) as f64),
        Format::Text => None,
    };
    found.unwrap_or(f64::NAN)
}
