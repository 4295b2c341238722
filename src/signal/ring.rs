//! The recent past of a signal: frames of a fixed width, numbered since its start.

/// The last `capacity` frames of a stream. Frame `n` keeps its number for ever; old frames are overwritten.
#[derive(Debug, Clone)]
pub struct Ring {
    width: usize,
    capacity: u64,
    values: Vec<f64>,
    total: u64,
}

impl Ring {
    pub fn new(width: usize, capacity: usize) -> Self {
        Self { width, capacity: capacity as u64, values: vec![0.0; width * capacity], total: 0 }
    }

    /// Frames pushed since the start.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Number of the oldest frame that is still there.
    pub fn oldest(&self) -> u64 {
        self.total.saturating_sub(self.capacity)
    }

    pub fn push(&mut self, frame: &[f64]) {
        debug_assert_eq!(frame.len(), self.width);
        let at = (self.total % self.capacity) as usize * self.width;
        self.values[at..at + self.width].copy_from_slice(frame);
        self.total += 1;
    }

    pub fn frame(&self, number: u64) -> Option<&[f64]> {
        if number < self.oldest() || number >= self.total {
            return None;
        }
        let at = (number % self.capacity) as usize * self.width;
        Some(&self.values[at..at + self.width])
    }

    /// `count` frames from `first` on, frame after frame; None unless all of them are there.
    pub fn span(&self, first: u64, count: usize) -> Option<Vec<f64>> {
        if first < self.oldest() || first + count as u64 > self.total {
            return None;
        }
        let mut out = Vec::with_capacity(count * self.width);
        for number in first..first + count as u64 {
            out.extend_from_slice(self.frame(number)?);
        }
        Some(out)
    }
}

/// Reflects a frame number at both ends of `0..len`, as often as needed: -1 is 1, `len` is `len - 2`.
pub fn reflect(number: i64, len: u64) -> u64 {
    if len < 2 {
        return 0;
    }
    let period = 2 * (len as i64 - 1);
    let folded = number.rem_euclid(period);
    folded.min(period - folded) as u64
}
