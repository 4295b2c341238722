//! Relative encoders: seven bits that say how far a knob was turned, in the three ways that are in use.
//!
//! The names are those of Ableton Live's mapping page.

/// How a relative encoder writes a turn to the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoder {
    /// 1 is one step up, 127 one step down.
    TwosComplement,
    /// 65 is one step up, 63 one step down.
    BinaryOffset,
    /// 1 is one step up, 65 one step down.
    SignedBit,
}

impl Encoder {
    pub const NAMES: [&str; 3] = ["twos-complement", "binary-offset", "signed-bit"];

    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::TwosComplement, Self::BinaryOffset, Self::SignedBit];
        Self::NAMES.iter().position(|known| *known == name).map(|at| all[at])
    }

    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// Steps, up or down, that `value` stands for.
    pub fn steps(self, value: u8) -> i32 {
        let value = i32::from(value & 0x7F);
        match self {
            Self::TwosComplement if value >= 64 => value - 128,
            Self::TwosComplement => value,
            Self::BinaryOffset => value - 64,
            Self::SignedBit if value >= 64 => 64 - value,
            Self::SignedBit => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Encoder::*;

    #[test]
    fn a_step_up_and_a_step_down_are_read_in_each_way() {
        for (encoder, up, down, three_down) in
            [(TwosComplement, 1, 127, 125), (BinaryOffset, 65, 63, 61), (SignedBit, 1, 65, 67)]
        {
            assert_eq!([up, down, three_down].map(|v| encoder.steps(v)), [1, -1, -3], "{encoder:?}");
            assert_eq!(super::Encoder::from_name(encoder.name()), Some(encoder));
        }
    }
}
