//! What is wrong with what arrives, told at a pace that a person can read: one sentence at a time, the rest counted.

use std::time::{Duration, Instant};

/// Between two sentences.
const PAUSE: Duration = Duration::from_secs(2);

/// What is still to be told.
#[derive(Debug, Default)]
pub struct Complaints {
    told_at: Option<Instant>,
    held_back: u64,
    last: String,
}

impl Complaints {
    /// The sentence, if it is time for one.
    pub fn tell(&mut self, sentence: String, now: Instant) -> Option<String> {
        self.last = sentence;
        if self.is_quiet(now) {
            self.told_at = Some(now);
            return Some(self.last.clone());
        }
        self.held_back += 1;
        None
    }

    /// What was held back, once the pause is over.
    pub fn rest(&mut self, now: Instant) -> Option<String> {
        if self.held_back == 0 || !self.is_quiet(now) {
            return None;
        }
        self.told_at = Some(now);
        let more = std::mem::take(&mut self.held_back) - 1;
        Some(if more == 0 { self.last.clone() } else { format!("{} (and {more} more like it)", self.last) })
    }

    /// The newest one, told or not.
    pub fn last(&self) -> &str {
        &self.last
    }

    fn is_quiet(&self, now: Instant) -> bool {
        self.told_at.is_none_or(|at| now.saturating_duration_since(at) >= PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_becomes_one_sentence_and_a_number() {
        let (mut complaints, start) = (Complaints::default(), Instant::now());
        assert_eq!(complaints.tell("first".into(), start).as_deref(), Some("first"));
        for at in 1..100 {
            assert_eq!(complaints.tell(format!("number {at}"), start + Duration::from_millis(at)), None);
        }
        assert_eq!(complaints.rest(start + PAUSE / 2), None);
        assert_eq!(complaints.rest(start + PAUSE).as_deref(), Some("number 99 (and 98 more like it)"));
        assert_eq!(complaints.rest(start + 2 * PAUSE), None);
        assert_eq!(complaints.last(), "number 99");
        assert_eq!(complaints.tell("later".into(), start + 2 * PAUSE).as_deref(), Some("later"));
    }
}
