//! The address of one control on a controller: which messages it sends.
//!
//! Written in maps as people say it: `cc 16`, `cc14 0`, `nrpn 300`, `note 36`, `program`, `bend`, `pressure`. Numbers are
//! those on the wire, from 0; channels are counted from 1 where people read them and from 0 in bytes.

use std::{fmt, str::FromStr};

use super::Bytes;

/// What a control sends, without its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    Cc(u8),
    /// A pair of controllers, number and number + 32, that make one value of 14 bits.
    Cc14(u8),
    Nrpn(u16),
    Rpn(u16),
    Note(u8),
    /// A program change: any (its number is the value) or one (a button).
    Program(Option<u8>),
    Bend,
    /// Channel aftertouch.
    Pressure,
    /// Aftertouch of one key.
    KeyPressure(u8),
}

/// A text that names no control.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "“{0}” is not a control: write cc 0 to 127, cc14 0 to 31, nrpn or rpn 0 to 16383, note 0 to 127, program, program 0 \
     to 127, bend, pressure or pressure 0 to 127"
)]
pub struct SourceError(pub String);

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let wrong = || SourceError(text.chars().take(40).collect());
        let mut words = text.split_whitespace();
        let kind = words.next().ok_or_else(wrong)?.to_ascii_lowercase();
        let number: Option<u16> = words.next().map(|word| word.parse().map_err(|_| wrong())).transpose()?;
        if words.next().is_some() {
            return Err(wrong());
        }
        let upto = |most: u16| number.filter(|n| *n <= most).ok_or_else(wrong);
        let seven = |most: u8| upto(most.into()).map(|n| n as u8);
        Ok(match (kind.as_str(), number) {
            ("cc", _) => Self::Cc(seven(127)?),
            ("cc14", _) => Self::Cc14(seven(31)?),
            ("nrpn", _) => Self::Nrpn(upto(MOST_14)?),
            ("rpn", _) => Self::Rpn(upto(MOST_14)?),
            ("note", _) => Self::Note(seven(127)?),
            ("program", None) => Self::Program(None),
            ("program", Some(_)) => Self::Program(Some(seven(127)?)),
            ("bend", None) => Self::Bend,
            ("pressure", None) => Self::Pressure,
            ("pressure", Some(_)) => Self::KeyPressure(seven(127)?),
            _ => return Err(wrong()),
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cc(number) => write!(f, "cc {number}"),
            Self::Cc14(number) => write!(f, "cc14 {number}"),
            Self::Nrpn(number) => write!(f, "nrpn {number}"),
            Self::Rpn(number) => write!(f, "rpn {number}"),
            Self::Note(note) => write!(f, "note {note}"),
            Self::Program(None) => f.write_str("program"),
            Self::Program(Some(number)) => write!(f, "program {number}"),
            Self::Bend => f.write_str("bend"),
            Self::Pressure => f.write_str("pressure"),
            Self::KeyPressure(note) => write!(f, "pressure {note}"),
        }
    }
}

/// The largest value of two data bytes.
pub const MOST_14: u16 = 0x3FFF;

impl Source {
    /// Whether a light or motor can be told something by this message.
    pub fn can_be_sent(self) -> bool {
        !matches!(self, Self::Pressure | Self::KeyPressure(_) | Self::Program(None))
    }

    /// The largest value of a message back.
    pub fn most(self) -> u16 {
        match self {
            Self::Cc14(_) | Self::Nrpn(_) | Self::Rpn(_) | Self::Bend => MOST_14,
            _ => 127,
        }
    }

    /// The message that says `value` on a channel (from 0). Nothing for what cannot be sent.
    pub fn message(self, channel: u8, value: u16) -> Bytes {
        let channel = channel & 0x0F;
        let value = value.min(self.most());
        let (msb, lsb) = ((value >> 7) as u8 & 0x7F, value as u8 & 0x7F);
        let cc = 0xB0 | channel;
        let registered = |select: [u8; 2], number: u16| {
            let (high, low) = ((number >> 7) as u8 & 0x7F, number as u8 & 0x7F);
            Bytes::new(&[cc, select[0], high, cc, select[1], low, cc, 6, msb, cc, 38, lsb])
        };
        match self {
            Self::Cc(number) => Bytes::new(&[cc, number, lsb]),
            Self::Cc14(number) => Bytes::new(&[cc, number, msb, cc, number + 32, lsb]),
            Self::Nrpn(number) => registered([99, 98], number),
            Self::Rpn(number) => registered([101, 100], number),
            Self::Note(note) => Bytes::new(&[0x90 | channel, note, lsb]),
            Self::Program(Some(number)) => Bytes::new(&[0xC0 | channel, number]),
            Self::Bend => Bytes::new(&[0xE0 | channel, lsb, msb]),
            Self::Pressure | Self::KeyPressure(_) | Self::Program(None) => Bytes::new(&[]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_is_read_as_it_is_written() {
        for text in ["cc 0", "cc14 31", "nrpn 16383", "rpn 2", "note 127", "program", "program 5", "bend", "pressure"] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
        assert_eq!("  CC   7 ".parse(), Ok(Source::Cc(7)));
        assert_eq!("pressure 60".parse(), Ok(Source::KeyPressure(60)));
    }

    #[test]
    fn what_is_no_control_is_refused_in_a_sentence() {
        for text in ["", "cc", "cc 128", "cc14 32", "nrpn 16384", "note -1", "bend 3", "knob 3", "cc 1 2"] {
            let error = text.parse::<Source>().unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("cc 0 to 127"), "{error}");
        }
    }

    #[test]
    fn a_value_goes_back_in_the_message_of_its_control() {
        let sent = |source: &str, value| source.parse::<Source>().unwrap().message(2, value).to_vec();
        assert_eq!(sent("cc 7", 100), [0xB2, 7, 100]);
        assert_eq!(sent("cc14 1", 0x1234), [0xB2, 1, 0x24, 0xB2, 33, 0x34]);
        assert_eq!(sent("nrpn 300", 129), [0xB2, 99, 2, 0xB2, 98, 44, 0xB2, 6, 1, 0xB2, 38, 1]);
        assert_eq!(sent("note 36", 3), [0x92, 36, 3]);
        assert_eq!(sent("bend", 0x2000), [0xE2, 0, 0x40]);
        assert_eq!(sent("cc 7", 9999), [0xB2, 7, 127], "more than fits");
    }
}
