//! Bundles whose time has not come yet. Bounded: a sender that schedules without end is told no.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    time::Instant,
};

use rosc::OscPacket;

use super::Sender;

/// Packets that wait at most.
pub const MOST_WAITING: usize = 1024;

/// What waits, the next one due first; of two that are due together the one that came first.
#[derive(Debug, Default)]
pub struct Late {
    heap: BinaryHeap<Reverse<Waiting>>,
    packets: usize,
    arrivals: u64,
}

#[derive(Debug)]
struct Waiting {
    at: Instant,
    arrival: u64,
    from: Sender,
    content: Vec<OscPacket>,
}

impl Late {
    /// False if too much waits already.
    pub fn push(&mut self, at: Instant, content: Vec<OscPacket>, from: Sender) -> bool {
        // An empty bundle takes a place too.
        let packets = content.len().max(1);
        if self.packets + packets > MOST_WAITING {
            return false;
        }
        self.packets += packets;
        self.arrivals += 1;
        self.heap.push(Reverse(Waiting { at, arrival: self.arrivals, from, content }));
        true
    }

    pub fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(waiting)| waiting.at)
    }

    /// The next bundle that is due, and who sent it.
    pub fn pop(&mut self, now: Instant) -> Option<(Vec<OscPacket>, Sender)> {
        if self.next_at()? > now {
            return None;
        }
        let Reverse(waiting) = self.heap.pop()?;
        self.packets -= waiting.content.len().max(1);
        Some((waiting.content, waiting.from))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.arrival).cmp(&(other.at, other.arrival))
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rosc::OscMessage;

    use super::*;
    use crate::control::Origin;

    fn content(name: &str) -> Vec<OscPacket> {
        vec![OscPacket::Message(OscMessage { addr: name.into(), args: Vec::new() })]
    }

    fn sender() -> Sender {
        Sender { address: ([127, 0, 0, 1], 1).into(), origin: Origin::Osc }
    }

    #[test]
    fn what_is_due_first_comes_first_and_nothing_comes_early() {
        let (mut late, now) = (Late::default(), Instant::now());
        for (name, ms) in [("/c", 30), ("/a", 10), ("/b", 10)] {
            assert!(late.push(now + Duration::from_millis(ms), content(name), sender()));
        }
        assert_eq!(late.next_at(), Some(now + Duration::from_millis(10)));
        assert!(late.pop(now).is_none());
        let at = now + Duration::from_millis(20);
        assert_eq!(late.pop(at).unwrap().0, content("/a"));
        assert_eq!(late.pop(at).unwrap().0, content("/b"));
        assert!(late.pop(at).is_none());
        assert_eq!(late.pop(now + Duration::from_millis(30)).unwrap().0, content("/c"));
    }

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let (mut late, now) = (Late::default(), Instant::now());
        for _ in 0..MOST_WAITING {
            assert!(late.push(now, content("/a"), sender()));
        }
        assert!(!late.push(now, content("/a"), sender()));
        assert!(late.pop(now).is_some());
        assert!(late.push(now, Vec::new(), sender()));
        assert!(!late.push(now, Vec::new(), sender()));
    }
}
