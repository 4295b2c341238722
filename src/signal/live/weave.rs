//! Channels that are sent apart, put together by sample number: frame `n` is made of sample `n` of each channel. A
//! sample that never comes is not a number, and is waited for no longer than the other channels are ahead by a while.

use std::collections::VecDeque;

/// What [`Weave::push`] found about the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Right,
    /// The samples were given up already, or came twice.
    Late,
    /// The sender began to count anew: so does the weave.
    Anew,
}

/// Puts the channels of one sender together.
#[derive(Debug)]
pub struct Weave {
    /// Samples of each channel from `next` on.
    strands: Vec<VecDeque<f64>>,
    next: u64,
    begun: bool,
    /// A channel may lag behind the others by so many samples.
    patience: u64,
    /// Numbers further apart than this mean that the sender began anew.
    jump: u64,
    lost: u64,
}

impl Weave {
    pub fn new(channels: usize, patience: usize, jump: usize) -> Self {
        Self {
            strands: vec![VecDeque::new(); channels],
            next: 0,
            begun: false,
            patience: patience as u64,
            jump: jump as u64,
            lost: 0,
        }
    }

    /// The number after the last sample of a channel.
    fn end(&self, channel: usize) -> u64 {
        self.next + self.strands.get(channel).map_or(0, |strand| strand.len() as u64)
    }

    /// Samples of a channel, the first of which has this number.
    pub fn push(&mut self, channel: usize, first: u64, values: impl ExactSizeIterator<Item = f64>) -> Order {
        if channel >= self.strands.len() || values.len() == 0 {
            return Order::Right;
        }
        let mut order = Order::Right;
        if !self.begun
            || first > self.end(channel).saturating_add(self.jump)
            || first.saturating_add(self.jump) < self.next
        {
            order = if self.begun { Order::Anew } else { Order::Right };
            self.begun = true;
            self.strands.iter_mut().for_each(VecDeque::clear);
            self.next = first;
        }
        let end = self.end(channel);
        let late = end.saturating_sub(first) as usize;
        let strand = &mut self.strands[channel];
        if first > end {
            let gap = (first - end) as usize;
            self.lost += gap as u64;
            strand.extend(std::iter::repeat_n(f64::NAN, gap));
        }
        if late > 0 {
            order = Order::Late;
        }
        strand.extend(values.skip(late));
        order
    }

    /// Appends the frames that are whole, or have been waited for; returns how many.
    pub fn pop(&mut self, out: &mut Vec<f64>) -> usize {
        let shortest = self.strands.iter().map(VecDeque::len).min().unwrap_or(0) as u64;
        let longest = self.strands.iter().map(VecDeque::len).max().unwrap_or(0) as u64;
        let frames = shortest.max(longest.saturating_sub(self.patience)) as usize;
        for _ in 0..frames {
            for strand in &mut self.strands {
                out.push(strand.pop_front().unwrap_or_else(|| {
                    self.lost += 1;
                    f64::NAN
                }));
            }
        }
        self.next += frames as u64;
        frames
    }

    /// Single samples that were missing since the last time this was asked.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(weave: &mut Weave, channel: usize, first: u64, values: &[f64]) -> Order {
        weave.push(channel, first, values.iter().copied())
    }

    #[test]
    fn channels_sent_apart_become_frames_by_number() {
        let mut weave = Weave::new(2, 10, 1000);
        let mut out = Vec::new();
        assert_eq!(push(&mut weave, 0, 500, &[1.0, 2.0, 3.0]), Order::Right);
        assert_eq!(weave.pop(&mut out), 0);
        push(&mut weave, 1, 500, &[10.0, 20.0]);
        assert_eq!(weave.pop(&mut out), 2);
        push(&mut weave, 1, 502, &[30.0]);
        weave.pop(&mut out);
        assert_eq!(out, [1.0, 10.0, 2.0, 20.0, 3.0, 30.0]);
        assert_eq!(weave.take_lost(), 0);
    }

    #[test]
    fn what_never_comes_is_not_a_number_and_is_counted() {
        let mut weave = Weave::new(2, 4, 1000);
        let mut out = Vec::new();
        push(&mut weave, 0, 0, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(weave.pop(&mut out), 2, "waited for no longer than four samples");
        assert!(out[1].is_nan() && out[3].is_nan());
        assert_eq!(push(&mut weave, 1, 0, &[10.0, 20.0, 30.0]), Order::Late);
        push(&mut weave, 1, 5, &[60.0]);
        out.clear();
        assert_eq!(weave.pop(&mut out), 4);
        assert_eq!((out[1], out[7]), (30.0, 60.0));
        assert!(out[3].is_nan() && out[5].is_nan());
        assert_eq!(weave.take_lost(), 4);
    }

    #[test]
    fn a_sender_that_counts_anew_is_followed() {
        let mut weave = Weave::new(1, 4, 1000);
        let mut out = Vec::new();
        push(&mut weave, 0, 1_000_000, &[1.0]);
        weave.pop(&mut out);
        assert_eq!(push(&mut weave, 0, 0, &[2.0]), Order::Anew);
        weave.pop(&mut out);
        assert_eq!(push(&mut weave, 0, 1 << 60, &[3.0]), Order::Anew);
        weave.pop(&mut out);
        assert_eq!(out, [1.0, 2.0, 3.0]);
    }
}
