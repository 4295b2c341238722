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
/// Even streams: stamps that are ahead by more than this, and by more than so many samples, mean that samples are gone...
const GAP_SECS: f64 = 0.15;
const GAP_SAMPLES: f64 = 4.0;
/// ...if they stay ahead over so much of the stream: a sender that was held up between measuring and stamping comes back.
const STAYS_SECS: f64 = 0.25;
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
    /// Even streams: the stamps have jumped ahead, and it is not known yet whether samples are gone.
    doubt: Option<Doubt>,
    /// Streams without a beat.
    samples: Vec<(f64, Vec<f64>)>,
}

/// What came since the stamps have jumped ahead.
#[derive(Debug)]
struct Doubt {
    /// Where the next sample would stand without a jump.
    expected: f64,
    /// How far ahead they were at least.
    ahead_secs: f64,
    frames: usize,
    values: Vec<f64>,
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
            doubt: None,
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
        let (format, order) = (self.format, self.order);
        let values = bytes.chunks_exact(size).map(|bytes| value(format, order, bytes));
        if !self.is_even() {
            self.samples.push((stamp, values.collect()));
            return;
        }
        if self.doubt.is_none() && ahead > self.least_gap_secs() && ahead < MAX_GAP_SECS {
            self.doubt = Some(Doubt { expected, ahead_secs: ahead, frames: 0, values: Vec::new() });
        }
        let Some(doubt) = &mut self.doubt else {
            if self.runs.is_empty() {
                self.runs.push((0, Vec::new()));
            }
            if let Some((_, run)) = self.runs.last_mut() {
                run.extend(values);
            }
            return;
        };
        doubt.values.extend(values);
        doubt.frames += 1;
        doubt.ahead_secs = doubt.ahead_secs.min(stamp - doubt.expected);
        doubt.expected += period;
        let (ahead_secs, frames) = (doubt.ahead_secs, doubt.frames);
        let is_back = ahead_secs <= self.least_gap_secs();
        if is_back || frames as f64 * period >= STAYS_SECS {
            let missing = if is_back { 0 } else { (ahead_secs * self.rate_hz).round() as usize };
            self.runs.extend(self.doubt.take().map(|doubt| (missing, doubt.values)));
        }
    }

    fn least_gap_secs(&self) -> f64 {
        GAP_SECS.max(GAP_SAMPLES / self.rate_hz)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder(rate_hz: f64) -> Decoder {
        Decoder {
            format: Format::Float32,
            order: ByteOrder::Little,
            channels: 1,
            rate_hz,
            rest: Vec::new(),
            patterns_left: 0,
            stamp: f64::NAN,
            runs: Vec::new(),
            doubt: None,
            samples: Vec::new(),
        }
    }

    /// Chunks of so many samples, each stamped at its last one as liblsl does.
    fn runs_of(chunks: &[(usize, f64)]) -> Vec<(usize, usize)> {
        let mut decoder = decoder(1000.0);
        let mut all = Vec::new();
        for &(count, end) in chunks {
            for n in 0..count {
                let mut bytes = vec![if n == 0 { 2 } else { 1 }];
                if n == 0 {
                    bytes.extend((end - (count - 1) as f64 / 1000.0).to_le_bytes());
                }
                bytes.extend(1f32.to_le_bytes());
                decoder.push(&bytes).unwrap();
            }
            all.extend(decoder.take_runs().into_iter().map(|(missing, values)| (missing, values.len())));
        }
        all
    }

    #[test]
    fn stamps_that_jump_and_come_back_are_a_busy_sender_and_no_loss() {
        // The third chunk was measured in time and stamped 0.4 s late; the fourth brings what waited meanwhile.
        let runs = runs_of(&[(100, 0.1), (100, 0.2), (100, 0.7), (420, 0.72), (100, 0.82)]);
        assert_eq!(runs.iter().map(|run| run.0).sum::<usize>(), 0, "{runs:?}");
        assert_eq!(runs.iter().map(|run| run.1).sum::<usize>(), 820, "{runs:?}");
    }

    #[test]
    fn stamps_that_stay_ahead_mean_that_samples_are_gone() {
        let runs = runs_of(&[(100, 0.1), (100, 0.7), (100, 0.8), (100, 0.9), (100, 1.0)]);
        assert_eq!(runs, [(0, 100), (500, 300), (0, 100)]);
    }
}
