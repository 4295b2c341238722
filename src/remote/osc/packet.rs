//! From bytes to OSC, whatever the bytes are.
//!
//! `rosc` reads nested bundles by calling itself and lets go of nested arrays in the same way: a hostile packet can nest
//! thousands deep and overrun the stack. So packets that could are refused before it sees them. Its conversion of time
//! tags subtracts without a look, so that is done here too.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rosc::{OscPacket, OscTime, decoder};

/// The largest datagram of UDP; nothing longer is taken over a WebSocket either.
pub const LARGEST_BYTES: usize = 65_536;
/// More bundles in one packet, or brackets of arrays, than any program sends.
const MOST_BUNDLES: usize = 64;
const MOST_BRACKETS: usize = 1024;
/// Seconds from 1900, where time tags begin, to 1970 (RFC 5905).
const UNIX_EPOCH_SECS: u64 = 2_208_988_800;
/// A bundle that is due later than this comes from a machine whose clock is wrong.
const FARTHEST: Duration = Duration::from_secs(60);

/// Bytes that are not OSC, and why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes that are no OSC ({why})")]
pub struct Malformed {
    bytes: usize,
    why: String,
}

/// Reads a datagram or a WebSocket frame.
pub fn decode(bytes: &[u8]) -> Result<OscPacket, Malformed> {
    let malformed = |why: String| Malformed { bytes: bytes.len(), why };
    let bundles = bytes.windows(8).filter(|window| window == b"#bundle\0").take(MOST_BUNDLES + 1).count();
    let brackets = bytes.iter().filter(|byte| **byte == b'[').count();
    if bytes.len() > LARGEST_BYTES || bundles > MOST_BUNDLES || brackets > MOST_BRACKETS {
        return Err(malformed("too much in one packet".into()));
    }
    decoder::decode_udp(bytes).map(|(_, packet)| packet).map_err(|error| malformed(error.to_string()))
}

/// When the messages of a bundle are to be executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Now,
    At(Instant),
    /// Now, for the clock of the sender cannot be right.
    Never {
        ahead_secs: u64,
    },
}

/// Compares a time tag with the clock; `now` and `wall` are the same moment on two clocks.
pub fn due(tag: OscTime, now: Instant, wall: SystemTime) -> Due {
    let Some(unix_secs) = u64::from(tag.seconds).checked_sub(UNIX_EPOCH_SECS) else {
        // "Immediately" is a second 0 too.
        return Due::Now;
    };
    let nanos = (u64::from(tag.fractional) * 1_000_000_000) >> 32;
    let at = Duration::from_secs(unix_secs) + Duration::from_nanos(nanos);
    match at.checked_sub(wall.duration_since(UNIX_EPOCH).unwrap_or_default()) {
        None | Some(Duration::ZERO) => Due::Now,
        Some(ahead) if ahead > FARTHEST => Due::Never { ahead_secs: ahead.as_secs() },
        Some(ahead) => Due::At(now + ahead),
    }
}

#[cfg(test)]
mod tests {
    use rosc::{OscBundle, OscMessage, encoder};

    use super::*;

    fn message() -> OscPacket {
        OscPacket::Message(OscMessage { addr: "/stage/master".into(), args: vec![0.5f32.into()] })
    }

    #[test]
    fn a_message_and_a_bundle_are_read() {
        let tag = OscTime { seconds: 0, fractional: 1 };
        let bundle = OscPacket::Bundle(OscBundle { timetag: tag, content: vec![message(), message()] });
        for packet in [message(), bundle] {
            assert_eq!(decode(&encoder::encode(&packet).unwrap()).unwrap(), packet);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused_and_nothing_else_happens() {
        let mut state = 1u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        for length in (0..400).chain([65_536, 70_000]) {
            let noise: Vec<u8> = (0..length).map(|_| random()).collect();
            let _ = decode(&noise);
            let _ = decode(&[b"#bundle\0\0\0\0\0\0\0\0\x01", &noise[..]].concat());
            let _ = decode(&[b"/a\0\0,", &noise[..]].concat());
        }
        let whole = encoder::encode(&message()).unwrap();
        for cut in 0..whole.len() {
            assert!(decode(&whole[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn nesting_that_would_overrun_the_stack_is_refused() {
        let mut nested = Vec::new();
        for _ in 0..3_000u32 {
            let inner = std::mem::take(&mut nested);
            let size = u32::try_from(inner.len()).unwrap();
            nested = [b"#bundle\0\0\0\0\0\0\0\0\x01", &size.to_be_bytes()[..], &inner].concat();
        }
        assert!(decode(&nested).unwrap_err().to_string().contains("too much"));
        let arrays = [b"/a\0\0,", "[".repeat(30_000).as_bytes(), "]".repeat(30_000).as_bytes(), b"\0\0\0"].concat();
        assert!(decode(&arrays).is_err());
    }

    #[test]
    fn a_time_tag_is_now_later_or_a_wrong_clock() {
        let (now, wall) = (Instant::now(), UNIX_EPOCH + Duration::from_millis(1_700_000_000_500));
        let tag = |secs: u64, fractional| OscTime { seconds: (UNIX_EPOCH_SECS + secs) as u32, fractional };
        assert_eq!(due(OscTime { seconds: 0, fractional: 1 }, now, wall), Due::Now);
        assert_eq!(due(OscTime { seconds: 5, fractional: 0 }, now, wall), Due::Now);
        assert_eq!(due(tag(1_700_000_000, 0), now, wall), Due::Now);
        assert_eq!(due(tag(1_700_000_000, 1 << 31), now, wall), Due::Now);
        assert_eq!(due(tag(1_700_000_001, 0), now, wall), Due::At(now + Duration::from_millis(500)));
        assert_eq!(due(tag(1_700_003_601, 0), now, wall), Due::Never { ahead_secs: 3600 });
        assert_eq!(due(OscTime { seconds: u32::MAX, fractional: u32::MAX }, now, UNIX_EPOCH), {
            Due::Never { ahead_secs: u64::from(u32::MAX) - UNIX_EPOCH_SECS }
        });
    }
}
