//! Numbers of IEEE 754 half precision, as checkpoints keep them.

/// The nearest half, ties to even; infinite where it is beyond [`LARGEST_HALF`].
#[inline(always)]
pub fn f16_from_f32(value: f32) -> u16 {
    let (sign, size) = ((value.to_bits() >> 16 & 0x8000) as u16, value.to_bits() & 0x7fff_ffff);
    sign | if size > 0x7f80_0000 {
        0x7e00
    } else if size >= LARGEST_HALF.to_bits() {
        0x7c00
    } else if size < SMALLEST_NORMAL.to_bits() {
        // Added to a half, a number has as many digits left as a subnormal half has.
        ((f32::from_bits(size) + 0.5).to_bits() - 0.5_f32.to_bits()) as u16
    } else {
        // Half a step up, and a little less where the number is even; a carry goes on into the exponent by itself.
        let odd = size >> 13 & 1;
        ((size + 0xfff + odd - (112 << 23)) >> 13) as u16
    }
}

/// 2^-14, from which on halves have all their digits.
const SMALLEST_NORMAL: f32 = 6.103_515_6e-5;

/// Beyond this a half is infinite: 65504 and half a step.
pub const LARGEST_HALF: f32 = 65_520.0;

/// IEEE 754 half precision: the bits shifted into place and the exponent's bias corrected by a product, which is exact
/// for subnormals too. Infinity and NaN become large numbers by it and are put right.
#[inline(always)]
pub fn f32_from_f16(half: u16) -> f32 {
    let bits = u32::from(half);
    let size = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits(0x7780_0000);
    let special = if bits & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
    f32::from_bits(size.to_bits() | special | (bits & 0x8000) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_comes_back_and_what_lies_between_goes_to_the_nearer() {
        for half in (0..=u16::MAX).filter(|h| h & 0x7c00 != 0x7c00) {
            let value = f32_from_f16(half);
            assert_eq!(f16_from_f32(value), half, "{value}");
            // The middle between two goes to the even one, and what is beyond it to the other.
            let next = f32_from_f16(half + 1);
            if next.is_finite() && next.to_bits() != value.to_bits() {
                let middle = (value + next) / 2.0;
                assert_eq!(f16_from_f32(middle), half + (half & 1), "{middle}");
                assert_eq!(f16_from_f32(f32::from_bits(middle.to_bits() + 1)), half + 1, "{middle}");
                assert_eq!(f16_from_f32(f32::from_bits(middle.to_bits() - 1)), half, "{middle}");
            }
        }
        assert_eq!(f16_from_f32(LARGEST_HALF), 0x7c00);
        assert_eq!(f16_from_f32(f32::from_bits(LARGEST_HALF.to_bits() - 1)), 0x7bff);
        assert_eq!((f16_from_f32(f32::NEG_INFINITY), f16_from_f32(f32::NAN)), (0xfc00, 0x7e00));
    }

    #[test]
    fn every_half_becomes_the_float_of_the_same_value() {
        for half in 0..=u16::MAX {
            let (exponent, fraction) = (i32::from(half >> 10) & 31, f64::from(half & 0x3ff));
            let size = match exponent {
                0 => fraction * 2f64.powi(-24),
                31 if fraction == 0.0 => f64::INFINITY,
                31 => f64::NAN,
                _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
            };
            let (expected, found) = (if half >> 15 == 1 { -size } else { size }, f64::from(f32_from_f16(half)));
            assert!(
                found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan()),
                "{half:#06x}: {found}"
            );
        }
    }
}
