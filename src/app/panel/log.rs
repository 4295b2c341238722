//! What the program has told: the messages of the show, with level and age. Lives on the window's thread.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::app::window::{Level, Message};

/// Enough to scroll back through an evening's troubles, little enough to copy for each look.
const KEPT: usize = 100;
/// The same sentence again within this time is counted and not repeated.
const SAME: Duration = Duration::from_secs(20);

/// The last messages.
#[derive(Debug, Default)]
pub struct Log {
    entries: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    level: Level,
    text: String,
    times: usize,
}

impl Log {
    pub fn say(&mut self, now: Instant, level: Level, text: String) {
        let same = self.entries.iter_mut().rev().take(4).find(|entry| entry.text == text && entry.level == level);
        if let Some(entry) = same.filter(|entry| now.saturating_duration_since(entry.at) < SAME) {
            entry.at = now;
            entry.times += 1;
            return;
        }
        self.entries.push_back(Entry { at: now, level, text, times: 1 });
        if self.entries.len() > KEPT {
            self.entries.pop_front();
        }
    }

    /// The messages of the last `within`, the newest last.
    pub fn since(&self, now: Instant, within: Duration) -> impl Iterator<Item = Message> {
        let age = move |entry: &Entry| now.saturating_duration_since(entry.at);
        self.entries.iter().filter(move |entry| age(entry) <= within).map(move |entry| Message {
            level: entry.level,
            text: if entry.times > 1 { format!("{} ({} times)", entry.text, entry.times) } else { entry.text.clone() },
            age_secs: age(entry).as_secs_f32(),
        })
    }

    pub fn all(&self, now: Instant) -> impl Iterator<Item = Message> {
        self.since(now, Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_that_comes_again_is_counted_and_a_later_one_stands_for_itself() {
        let (start, mut log) = (Instant::now(), Log::default());
        for secs in [0, 1, 2, 60] {
            log.say(start + Duration::from_secs(secs), Level::Warning, "the source is gone".into());
        }
        let told: Vec<_> = log.all(start + Duration::from_secs(61)).map(|m| (m.text, m.age_secs)).collect();
        assert_eq!(told, [("the source is gone (3 times)".to_owned(), 59.0), ("the source is gone".to_owned(), 1.0)]);
    }

    #[test]
    fn two_sentences_in_turn_do_not_fill_the_log() {
        let (start, mut log) = (Instant::now(), Log::default());
        for i in 0..50 {
            log.say(start + Duration::from_millis(i), Level::Error, format!("fault {}", i % 2));
        }
        assert_eq!(log.all(start + Duration::from_secs(1)).count(), 2);
    }

    #[test]
    fn the_oldest_go_and_the_young_can_be_had_alone() {
        let (start, mut log) = (Instant::now(), Log::default());
        for i in 0..500_u32 {
            log.say(start + Duration::from_secs(u64::from(i)), Level::Info, format!("message {i}"));
        }
        let now = start + Duration::from_secs(499);
        assert_eq!(log.all(now).count(), KEPT);
        let young: Vec<_> = log.since(now, Duration::from_secs(2)).map(|message| message.text).collect();
        assert_eq!(young, ["message 497", "message 498", "message 499"]);
    }
}
