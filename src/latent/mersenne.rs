//! The Mersenne Twister as numpy's `RandomState` uses it, for the one permutation of [`super::paper`].
//!
//! Source: Matsumoto and Nishimura, "Mersenne Twister", ACM TOMACS 8 (1998); seeding by one integer as in their 2002
//! revision. `shuffle` is numpy's legacy one: Fisher-Yates from the end, each index drawn by masked rejection.

const WORDS: usize = 624;
const SHIFT: usize = 397;

/// MT19937.
pub struct Mersenne {
    state: [u32; WORDS],
    next: usize,
}

impl Mersenne {
    /// As `numpy.random.RandomState(seed)`.
    pub fn new(seed: u32) -> Self {
        let mut state = [seed; WORDS];
        for i in 1..WORDS {
            let before = state[i - 1];
            state[i] = (before ^ (before >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        Self { state, next: WORDS }
    }

    fn twist(&mut self) {
        for i in 0..WORDS {
            let joined = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % WORDS] & 0x7fff_ffff);
            let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + SHIFT) % WORDS] ^ (joined >> 1) ^ odd;
        }
        self.next = 0;
    }

    pub fn next_u32(&mut self) -> u32 {
        if self.next == WORDS {
            self.twist();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// Uniform in `0..=most`.
    fn up_to(&mut self, most: u32) -> u32 {
        let mask = u32::MAX.checked_shr(most.leading_zeros()).unwrap_or(0);
        loop {
            let drawn = self.next_u32() & mask;
            if drawn <= most {
                return drawn;
            }
        }
    }
}

/// `p = numpy.arange(len); numpy.random.RandomState(seed).shuffle(p)`.
pub fn permutation(seed: u32, len: usize) -> Vec<u32> {
    let mut random = Mersenne::new(seed);
    let mut order: Vec<u32> = (0..len as u32).collect();
    for i in (1..len).rev() {
        order.swap(i, random.up_to(i as u32) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_gives_the_published_numbers() {
        // First outputs for the seed 5489, as in the authors' reference output for std::mt19937's default seed.
        let mut random = Mersenne::new(5489);
        assert_eq!(random.next_u32(), 3_499_211_612);
        let ten_thousandth = (1..10_000).map(|_| random.next_u32()).last();
        assert_eq!(ten_thousandth, Some(4_123_659_995));
    }

    #[test]
    fn the_permutation_of_the_paper_starts_as_numpys() {
        let order = permutation(34, 16_384);
        assert_eq!(order[..8], [12761, 6084, 13331, 2824, 6573, 12457, 8931, 3129]);
    }

    #[test]
    fn a_permutation_holds_each_index_once() {
        for len in [0, 1, 2, 33, 4096] {
            let mut order = permutation(34, len);
            order.sort_unstable();
            assert!(order.iter().enumerate().all(|(i, &value)| i == value as usize) && order.len() == len);
        }
    }
}
