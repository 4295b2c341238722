//! Two data bytes that make one value of 14 bits, sent in either order.
//!
//! The specification sends the coarse half first, lets the fine half follow alone, and takes a coarse half alone for a
//! fine half of 0. Controllers also do it the other way round, and some never send the fine half. What completes a pair
//! is told by time: the halves of one come within [`TOGETHER_SECS`]. So a fader is never read with the coarse half of
//! one position and the fine half of another, which would show as a jump of a hundredth of its way.

use super::source::MOST_14;

/// The halves of a pair come closer together than this; USB delivers them within one millisecond, a DIN cable in three.
pub const TOGETHER_SECS: f64 = 0.01;

/// The coarse or the fine seven bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    Coarse,
    Fine,
}

/// One pair, between two halves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pair {
    coarse: u8,
    fine: u8,
    /// A half that waits for the other, and since when.
    waiting: Option<(Half, f64)>,
    /// Which half comes first, once that is known.
    first: Option<Half>,
    /// A fine half that was taken for one alone, and when.
    alone: Option<f64>,
    has_fine: bool,
}

impl Pair {
    /// Takes a half. Returns the value, 0..1, if it is whole now.
    pub fn half(&mut self, half: Half, value: u8, now_secs: f64) -> Option<f64> {
        let value = value & 0x7F;
        match half {
            Half::Coarse => self.coarse = value,
            Half::Fine => (self.fine, self.has_fine) = (value, true),
        }
        match self.waiting.take() {
            Some((other, _)) if other != half => {
                self.first = Some(other);
                Some(self.value())
            }
            // The one before came alone, and this one makes it old.
            Some(_) => {
                self.waiting = Some((half, now_secs));
                None
            }
            None if half == Half::Coarse && self.alone.is_some_and(|at| now_secs - at < TOGETHER_SECS) => {
                self.alone = None;
                self.first = Some(Half::Fine);
                Some(self.value())
            }
            None if self.first.is_some_and(|first| first != half) => {
                if half == Half::Fine {
                    self.alone = Some(now_secs);
                }
                Some(self.value())
            }
            None => {
                self.waiting = Some((half, now_secs));
                None
            }
        }
    }

    /// Returns the value, 0..1, if a half has waited too long for the other.
    pub fn flush(&mut self, now_secs: f64) -> Option<f64> {
        let (half, _) = self.waiting.take_if(|(_, since)| now_secs - *since >= TOGETHER_SECS)?;
        if half == Half::Coarse {
            self.fine = 0;
        }
        Some(self.value())
    }

    /// A controller that never sends the fine half reaches the end with the coarse one.
    fn value(&self) -> f64 {
        if self.has_fine {
            f64::from(u16::from(self.coarse) << 7 | u16::from(self.fine)) / f64::from(MOST_14)
        } else {
            f64::from(self.coarse) / 127.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Half::*, *};

    /// Values (as 14 bits) from halves with their times in milliseconds; the clock is looked at after each.
    fn values(halves: &[(Half, u8, u32)]) -> Vec<u16> {
        let mut pair = Pair::default();
        let mut found = Vec::new();
        for (half, value, ms) in halves {
            let now = f64::from(*ms) / 1000.0;
            found.extend(pair.flush(now));
            found.extend(pair.half(*half, *value, now));
        }
        found.extend(pair.flush(1e9));
        found.iter().map(|value| (value * f64::from(MOST_14)).round() as u16).collect()
    }

    #[test]
    fn coarse_then_fine_is_one_value() {
        let sweep = [(Coarse, 1, 0), (Fine, 127, 1), (Coarse, 2, 2), (Fine, 0, 3), (Coarse, 2, 40), (Fine, 9, 41)];
        assert_eq!(values(&sweep), [255, 256, 265]);
    }

    #[test]
    fn fine_then_coarse_is_one_value_too() {
        let sweep = [(Fine, 127, 0), (Coarse, 1, 1), (Fine, 0, 2), (Coarse, 2, 3), (Fine, 9, 40), (Coarse, 2, 41)];
        assert_eq!(values(&sweep), [255, 256, 265]);
    }

    #[test]
    fn a_fine_half_alone_moves_within_the_coarse_one() {
        let halves = [(Coarse, 3, 0), (Fine, 10, 1), (Fine, 11, 30), (Fine, 12, 60)];
        assert_eq!(values(&halves), [3 * 128 + 10, 3 * 128 + 11, 3 * 128 + 12]);
    }

    #[test]
    fn a_coarse_half_alone_is_taken_with_a_fine_half_of_zero() {
        let halves = [(Coarse, 3, 0), (Fine, 10, 1), (Coarse, 5, 30), (Fine, 1, 200)];
        assert_eq!(values(&halves), [3 * 128 + 10, 5 * 128, 5 * 128 + 1]);
    }

    #[test]
    fn a_controller_with_coarse_halves_only_reaches_both_ends() {
        assert_eq!(values(&[(Coarse, 0, 0), (Coarse, 127, 50)]), [0, MOST_14]);
    }

    #[test]
    fn the_order_is_found_again_when_listening_began_in_the_middle() {
        // The first coarse half had its fine one before the listening began.
        let halves = [
            (Coarse, 1, 0),
            (Fine, 20, 2),
            (Coarse, 2, 3),
            (Fine, 30, 100),
            (Coarse, 3, 101),
            (Fine, 40, 200),
            (Coarse, 4, 201),
        ];
        let found = values(&halves);
        assert_eq!(found[found.len() - 2..], [3 * 128 + 30, 4 * 128 + 40]);
        let after = values(&[&halves[..], &[(Fine, 50, 300), (Coarse, 5, 301)]].concat());
        assert_eq!(after.last(), Some(&(5 * 128 + 50)));
    }
}
