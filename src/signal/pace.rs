//! Where the hops of a live source end: its samples come by the sender's clock and in lumps, hops by this machine's.
//!
//! A hop ends as far behind the newest sample as the lumps need, and no further: when the samples are not there yet the
//! end falls back, and when more than enough have waited for a second it catches up, faster than time but without a
//! jump. So clocks may drift, packets may come in bursts and the machine may sleep; no sample is bent for it.

use super::{HOPS_PER_SEC, MAPPING_RATE_HZ};

/// How long samples must have waited before the end catches up.
const WATCH_HOPS: u32 = HOPS_PER_SEC as u32;
/// Left waiting in any case.
const SPARE: u64 = 6;
/// Samples more in one hop while catching up.
const STEP: u64 = 8;
/// Further behind than this it jumps: after a pause of the machine nothing moves faster for minutes.
const JUMP: u64 = MAPPING_RATE_HZ;

#[derive(Debug, Clone)]
pub struct Pace {
    /// Added to the end by this machine's clock.
    shift: i64,
    begun: bool,
    least: u64,
    hops: u32,
    catch_up: u64,
    last_end: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { shift: 0, begun: false, least: u64::MAX, hops: 0, catch_up: 0, last_end: 0 }
    }
}

impl Pace {
    /// The end of a hop that by this machine's clock ends before sample `hop_end`, when `total` samples are there.
    pub fn end(&mut self, hop_end: u64, total: u64) -> u64 {
        let latest = total as i64 - hop_end as i64;
        if !self.begun {
            self.begun = total > 0;
            self.shift = latest;
        }
        let step = self.catch_up.min(STEP);
        self.catch_up -= step;
        self.shift = (self.shift + step as i64).min(latest);
        let mut end = (hop_end as i64 + self.shift).max(0) as u64;
        let waiting = total - end;
        if waiting > JUMP {
            end = total - SPARE;
            self.shift = end as i64 - hop_end as i64;
            self.catch_up = 0;
        }
        self.watch(waiting.min(JUMP));
        // Never back: a mapping may count on it.
        self.last_end = end.max(self.last_end).min(total);
        self.last_end
    }

    fn watch(&mut self, waiting: u64) {
        self.least = self.least.min(waiting);
        self.hops += 1;
        if self.hops >= WATCH_HOPS {
            self.catch_up = self.least.saturating_sub(SPARE);
            (self.least, self.hops) = (u64::MAX, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop_end(hop: u64) -> u64 {
        hop * MAPPING_RATE_HZ / HOPS_PER_SEC
    }

    /// Ends of so many hops when `total(secs)` samples are there.
    fn ends(hops: u64, total: impl Fn(f64) -> u64) -> Vec<(u64, u64)> {
        let mut pace = Pace::default();
        (1..=hops)
            .map(|hop| {
                let there = total(hop as f64 / HOPS_PER_SEC as f64);
                (pace.end(hop_end(hop), there), there)
            })
            .collect()
    }

    #[test]
    fn lumps_become_even_steps_close_behind_the_newest_sample() {
        // Twelve samples every 23.4 ms, so that hops find now one lump, now two.
        let ends = ends(3000, |secs| (secs * 512.0 / 12.0) as u64 * 12);
        for pair in ends[60..].windows(2) {
            let step = pair[1].0 - pair[0].0;
            assert!((17..=18).contains(&step) || pair[1].0 == pair[1].1, "{step}");
            assert!(pair[1].1 - pair[1].0 <= 30);
        }
    }

    #[test]
    fn a_clock_that_drifts_is_followed_for_an_hour() {
        for drift in [-300e-6, 300e-6] {
            let ends = ends(108_000, |secs| (secs * 512.0 * (1.0 + drift)) as u64);
            assert!(ends[100..].iter().all(|(end, total)| total - end <= 24));
        }
    }

    #[test]
    fn after_a_burst_it_catches_up_without_a_jump_and_after_a_long_sleep_with_one() {
        let late = |secs: f64| if (5.0..5.5).contains(&secs) { 2560 } else { (secs * 512.0) as u64 };
        let after = ends(600, late);
        assert!(after.windows(2).all(|pair| pair[1].0 >= pair[0].0 && pair[1].0 - pair[0].0 <= 18 + STEP));
        assert!(after[400].1 - after[400].0 < 20);
        let slept = |secs: f64| ((secs + if secs > 5.0 { 60.0 } else { 0.0 }) * 512.0) as u64;
        let after = ends(600, slept);
        assert!(after[151].1 - after[151].0 < 20);
    }
}
