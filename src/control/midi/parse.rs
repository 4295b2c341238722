//! Bytes become messages: running status, real-time bytes in between, system exclusive skipped.
//!
//! Source: MIDI 1.0 Detailed Specification 4.2, "Data Format". One parser a port; it takes any bytes in any pieces and
//! never fails: data without a status is dropped, a message that is cut short is dropped when the next status comes.

/// A message of a channel, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    NoteOn {
        note: u8,
        velocity: u8,
    },
    NoteOff {
        note: u8,
    },
    KeyPressure {
        note: u8,
        value: u8,
    },
    Cc {
        number: u8,
        value: u8,
    },
    Program(u8),
    Pressure(u8),
    /// 0..=16383, 8192 is the middle.
    Bend(u16),
}

/// What keeps instruments in step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// One of 24 a quarter note.
    Tick,
    /// From the top, with the next tick.
    Start,
    /// From where it stands, with the next tick.
    Continue,
    Stop,
    /// Where to go on from, in sixteenth notes.
    Position(u16),
}

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    Channel(u8, Message),
    Clock(Clock),
}

/// The state between two bytes.
#[derive(Debug, Default)]
pub struct Parser {
    /// The status that data belongs to; 0 while there is none, as within system exclusive.
    status: u8,
    first: Option<u8>,
}

impl Parser {
    /// Takes one byte and returns the message that it completes.
    pub fn byte(&mut self, byte: u8) -> Option<Parsed> {
        match byte {
            // Real time comes between any two bytes and disturbs nothing.
            0xF8..=0xFF => real_time(byte).map(Parsed::Clock),
            // The start of system exclusive, its end, and system common all end running status.
            0xF0..=0xF7 => {
                self.first = None;
                self.status = if byte == 0xF2 { byte } else { 0 };
                None
            }
            0x80..=0xEF => {
                self.first = None;
                self.status = byte;
                None
            }
            data => self.data(data),
        }
    }

    fn data(&mut self, data: u8) -> Option<Parsed> {
        let kind = self.status & 0xF0;
        let alone = kind == 0xC0 || kind == 0xD0;
        let first = match self.first.take() {
            _ if self.status == 0 => return None,
            None if !alone => {
                self.first = Some(data);
                return None;
            }
            first => first.unwrap_or(0),
        };
        let pair = u16::from(first) | u16::from(data) << 7;
        let message = match kind {
            0x80 => Message::NoteOff { note: first },
            // Velocity 0 is how running status says "off".
            0x90 if data == 0 => Message::NoteOff { note: first },
            0x90 => Message::NoteOn { note: first, velocity: data },
            0xA0 => Message::KeyPressure { note: first, value: data },
            0xB0 => Message::Cc { number: first, value: data },
            0xC0 => Message::Program(data),
            0xD0 => Message::Pressure(data),
            0xE0 => Message::Bend(pair),
            _ => {
                // Song position: system common, so it does not run on.
                self.status = 0;
                return Some(Parsed::Clock(Clock::Position(pair)));
            }
        };
        Some(Parsed::Channel(self.status & 0x0F, message))
    }
}

fn real_time(byte: u8) -> Option<Clock> {
    match byte {
        0xF8 => Some(Clock::Tick),
        0xFA => Some(Clock::Start),
        0xFB => Some(Clock::Continue),
        0xFC => Some(Clock::Stop),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(bytes: &[u8]) -> Vec<Parsed> {
        let mut parser = Parser::default();
        bytes.iter().filter_map(|byte| parser.byte(*byte)).collect()
    }

    fn cc(channel: u8, number: u8, value: u8) -> Parsed {
        Parsed::Channel(channel, Message::Cc { number, value })
    }

    #[test]
    fn every_kind_of_message_is_read() {
        let on = Parsed::Channel(1, Message::NoteOn { note: 60, velocity: 100 });
        let off = Parsed::Channel(1, Message::NoteOff { note: 60 });
        assert_eq!(parsed(&[0x91, 60, 100]), [on]);
        assert_eq!(parsed(&[0x81, 60, 64]), [off]);
        assert_eq!(parsed(&[0x91, 60, 0]), [off], "velocity 0 is a release");
        assert_eq!(parsed(&[0xA0, 60, 9]), [Parsed::Channel(0, Message::KeyPressure { note: 60, value: 9 })]);
        assert_eq!(parsed(&[0xBF, 7, 127]), [cc(15, 7, 127)]);
        assert_eq!(parsed(&[0xC2, 5]), [Parsed::Channel(2, Message::Program(5))]);
        assert_eq!(parsed(&[0xD2, 6]), [Parsed::Channel(2, Message::Pressure(6))]);
        assert_eq!(parsed(&[0xE0, 1, 0x40]), [Parsed::Channel(0, Message::Bend(0x2001))]);
    }

    #[test]
    fn a_status_runs_on_until_the_next() {
        assert_eq!(parsed(&[0xB0, 1, 10, 1, 11, 2, 12]), [cc(0, 1, 10), cc(0, 1, 11), cc(0, 2, 12)]);
        let programs: Vec<_> = [3, 4].map(|n| Parsed::Channel(0, Message::Program(n))).into();
        assert_eq!(parsed(&[0xC0, 3, 4]), programs);
    }

    #[test]
    fn real_time_bytes_come_in_between_and_disturb_nothing() {
        let clock = Parsed::Clock;
        assert_eq!(parsed(&[0xB0, 0xF8, 1, 0xFE, 10]), [clock(Clock::Tick), cc(0, 1, 10)]);
        assert_eq!(
            parsed(&[0xFA, 0xF8, 0xFC, 0xFB]),
            [Clock::Start, Clock::Tick, Clock::Stop, Clock::Continue].map(clock)
        );
        assert_eq!(parsed(&[0xF2, 0x10, 0x01]), [clock(Clock::Position(0x90))]);
    }

    #[test]
    fn system_exclusive_is_skipped_whatever_is_in_it() {
        let bytes = [0xF0, 0x7E, 1, 2, 0xF8, 3, 0xF7, 0xB0, 1, 2];
        assert_eq!(parsed(&bytes), [Parsed::Clock(Clock::Tick), cc(0, 1, 2)]);
        // One that never ends is ended by the next status; the data in it belongs to nobody.
        assert_eq!(parsed(&[0xB0, 1, 2, 0xF0, 5, 6, 7, 8, 0x90, 60, 1]).len(), 2);
        assert_eq!(parsed(&[0xB0, 1, 2, 0xF0, 5, 0xF7, 1, 3]), [cc(0, 1, 2)], "it ends running status");
    }

    #[test]
    fn what_is_cut_short_is_dropped_and_the_next_message_is_whole() {
        assert_eq!(parsed(&[0xB0, 1, 0xB0, 2, 3]), [cc(0, 2, 3)]);
        assert_eq!(parsed(&[1, 2, 3, 0xB0, 4, 5]), [cc(0, 4, 5)]);
        assert_eq!(parsed(&[0xE0, 1]), []);
        assert_eq!(parsed(&[0xF2, 1, 0xC0, 9]), [Parsed::Channel(0, Message::Program(9))]);
    }
}
