//! Messages become signals of controls: 14-bit pairs and registered parameters (NRPN, RPN) are put together.
//!
//! Every message is also a signal of its own, so that a map may take controller 6 for a fader although NRPN uses it for
//! data. One assembler a port.

use super::{
    pair::{Half, Pair},
    parse::Message,
    source::Source,
};

/// What a control says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// A value of seven bits, as it came: a position, or the step of a relative encoder.
    Seven(u8),
    /// A position, 0..1, of more than seven bits.
    Fine(f64),
    /// A key or pad went down, with its velocity 1..127.
    Press(u8),
    Release,
    /// So many steps up or down.
    Steps(i32),
}

/// A control and what it says. The channel counts from 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signal {
    pub channel: u8,
    pub source: Source,
    pub reading: Reading,
}

/// Controllers with a fine half.
const PAIRS: usize = 32;

/// The halves that have come so far.
#[derive(Debug)]
pub struct Assembler {
    pairs: Box<[[Pair; PAIRS]; 16]>,
    registered: [Registered; 16],
}

/// The registered parameter that data goes to.
#[derive(Debug, Clone, Copy, Default)]
struct Registered {
    is_nrpn: bool,
    coarse: Option<u8>,
    fine: Option<u8>,
    data: Pair,
}

impl Registered {
    fn select(&mut self, is_nrpn: bool, half: Half, value: u8) {
        if self.is_nrpn != is_nrpn {
            *self = Self { is_nrpn, ..Self::default() };
        }
        let number = match half {
            Half::Coarse => &mut self.coarse,
            Half::Fine => &mut self.fine,
        };
        // Some send both halves before every value: that is no new parameter.
        if number.replace(value) != Some(value) {
            self.data = Pair::default();
        }
    }

    /// None before both halves of a number came, and after 127/127, which means none.
    fn source(&self) -> Option<Source> {
        let (coarse, fine) = (self.coarse?, self.fine?);
        let number = u16::from(coarse) << 7 | u16::from(fine);
        let is_none = coarse == 127 && fine == 127;
        (!is_none).then_some(if self.is_nrpn { Source::Nrpn(number) } else { Source::Rpn(number) })
    }
}

impl Default for Assembler {
    fn default() -> Self {
        Self { pairs: Box::new([[Pair::default(); PAIRS]; 16]), registered: Default::default() }
    }
}

impl Assembler {
    /// Hands each signal of a message to `found`.
    pub fn message(&mut self, channel: u8, message: Message, now_secs: f64, mut found: impl FnMut(Signal)) {
        let channel = channel & 0x0F;
        let mut say = |source, reading| found(Signal { channel, source, reading });
        match message {
            Message::NoteOn { note, velocity } => say(Source::Note(note), Reading::Press(velocity)),
            Message::NoteOff { note } => say(Source::Note(note), Reading::Release),
            Message::KeyPressure { note, value } => say(Source::KeyPressure(note), Reading::Seven(value)),
            Message::Program(number) => {
                say(Source::Program(Some(number)), Reading::Press(127));
                say(Source::Program(None), Reading::Seven(number));
            }
            Message::Pressure(value) => say(Source::Pressure, Reading::Seven(value)),
            Message::Bend(value) => say(Source::Bend, Reading::Fine(bend(value))),
            Message::Cc { number, value } => {
                say(Source::Cc(number), Reading::Seven(value));
                self.controller(channel, number, value, now_secs, say);
            }
        }
    }

    fn controller(&mut self, channel: u8, number: u8, value: u8, now_secs: f64, mut say: impl FnMut(Source, Reading)) {
        let at = usize::from(channel);
        if number < 64 {
            let half = if number < 32 { Half::Coarse } else { Half::Fine };
            let pair = &mut self.pairs[at][usize::from(number % 32)];
            if let Some(position) = pair.half(half, value, now_secs) {
                say(Source::Cc14(number % 32), Reading::Fine(position));
            }
        }
        let registered = &mut self.registered[at];
        match number {
            99 => registered.select(true, Half::Coarse, value),
            98 => registered.select(true, Half::Fine, value),
            101 => registered.select(false, Half::Coarse, value),
            100 => registered.select(false, Half::Fine, value),
            6 | 38 => {
                let half = if number == 6 { Half::Coarse } else { Half::Fine };
                if let Some(source) = registered.source()
                    && let Some(position) = registered.data.half(half, value, now_secs)
                {
                    say(source, Reading::Fine(position));
                }
            }
            96 | 97 => {
                if let Some(source) = registered.source() {
                    say(source, Reading::Steps(if number == 96 { 1 } else { -1 }));
                }
            }
            _ => {}
        }
    }

    /// Hands on what has waited too long for its other half.
    pub fn flush(&mut self, now_secs: f64, mut found: impl FnMut(Signal)) {
        for (channel, pairs) in (0..).zip(self.pairs.iter_mut()) {
            for (number, pair) in (0..).zip(pairs) {
                if let Some(position) = pair.flush(now_secs) {
                    found(Signal { channel, source: Source::Cc14(number), reading: Reading::Fine(position) });
                }
            }
        }
        for (channel, registered) in (0..).zip(&mut self.registered) {
            if let Some(position) = registered.data.flush(now_secs)
                && let Some(source) = registered.source()
            {
                found(Signal { channel, source, reading: Reading::Fine(position) });
            }
        }
    }
}

/// 0..1 with the middle, 8192, at exactly one half.
fn bend(value: u16) -> f64 {
    let from_middle = f64::from(value) - 8192.0;
    0.5 + 0.5 * from_middle / if from_middle < 0.0 { 8192.0 } else { 8191.0 }
}

#[cfg(test)]
mod tests {
    use super::{super::parse::Parsed, super::parse::Parser, *};

    /// The signals of one source from bytes that come 1 ms apart, and those that time brings.
    fn of(wanted: Source, bytes: &[u8]) -> Vec<Reading> {
        let (mut parser, mut assembler) = (Parser::default(), Assembler::default());
        let mut found = Vec::new();
        let mut keep = |signal: Signal| {
            if signal.source == wanted {
                found.push(signal.reading);
            }
        };
        for (at, byte) in bytes.iter().enumerate() {
            if let Some(Parsed::Channel(channel, message)) = parser.byte(*byte) {
                assembler.message(channel, message, at as f64 / 1000.0, &mut keep);
            }
        }
        assembler.flush(1e9, &mut keep);
        found
    }

    fn fine(value: u16) -> Reading {
        Reading::Fine(f64::from(value) / 16383.0)
    }

    #[test]
    fn an_nrpn_takes_both_halves_of_number_and_value() {
        let bytes = [0xB0, 99, 2, 98, 44, 6, 1, 38, 1, 6, 1, 38, 2];
        assert_eq!(of(Source::Nrpn(300), &bytes), [fine(129), fine(130)]);
        assert_eq!(of(Source::Cc(6), &bytes), [Reading::Seven(1); 2], "controller 6 is there too");
    }

    #[test]
    fn an_nrpn_without_a_fine_half_reaches_its_end() {
        assert_eq!(of(Source::Nrpn(1), &[0xB0, 99, 0, 98, 1, 6, 127]), [Reading::Fine(1.0)]);
    }

    #[test]
    fn data_increment_and_decrement_are_steps() {
        let bytes = [0xB3, 101, 0, 100, 5, 96, 0, 96, 0, 97, 0];
        assert_eq!(of(Source::Rpn(5), &bytes), [1, 1, -1].map(Reading::Steps));
    }

    #[test]
    fn data_belongs_to_nobody_before_a_number_and_after_none() {
        assert_eq!(of(Source::Nrpn(0), &[0xB0, 6, 5, 99, 0, 6, 5]), []);
        assert_eq!(of(Source::Rpn(16383), &[0xB0, 101, 127, 100, 127, 6, 5, 96, 0]), []);
        // RPN data does not reach the NRPN that was chosen before.
        assert_eq!(of(Source::Nrpn(129), &[0xB0, 99, 1, 98, 1, 101, 1, 100, 1, 6, 5]), []);
    }

    #[test]
    fn a_program_change_is_a_value_and_a_button() {
        assert_eq!(of(Source::Program(None), &[0xC0, 5]), [Reading::Seven(5)]);
        assert_eq!(of(Source::Program(Some(5)), &[0xC0, 5, 6]), [Reading::Press(127)]);
    }

    #[test]
    fn pitch_bend_rests_at_exactly_one_half() {
        for (bytes, position) in [([0xE0, 0, 0x40], 0.5), ([0xE0, 0, 0], 0.0), ([0xE0, 127, 127], 1.0)] {
            assert_eq!(of(Source::Bend, &bytes), [Reading::Fine(position)]);
        }
    }

    #[test]
    fn notes_and_pressure_keep_their_numbers() {
        let bytes = [0x90, 60, 100, 60, 0, 0xA0, 60, 7, 0xD0, 9];
        assert_eq!(of(Source::Note(60), &bytes), [Reading::Press(100), Reading::Release]);
        assert_eq!(of(Source::KeyPressure(60), &bytes), [Reading::Seven(7)]);
        assert_eq!(of(Source::Pressure, &bytes), [Reading::Seven(9)]);
    }
}
