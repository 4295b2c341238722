//! Rows of numbers that nobody has announced: how many channels they have, what they are called and how many come a
//! second is found out from the first ones, for a second and a half. After that rows of another width are malformed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::flow::likely_rate_hz;
use super::handover::{Beat, Layout, Link};
use super::numbers::Row;

/// How long is listened before it is decided.
const LISTEN: Duration = Duration::from_millis(1500);
/// Rows kept while listening, for their widths and times.
const MAX_ROWS: usize = 1 << 16;
/// Slower than this, rows are resampled by their times instead of counted.
const SLOWEST_EVEN_HZ: f64 = 48.0;
/// What such slow rows become.
const SLOW_OUT_HZ: f64 = 64.0;
/// A stated rate is believed when the measured one is within this part of it.
const BELIEVED: f64 = 0.25;
/// After so many rows of another width in a row the source must have changed: it is listened to anew.
const OTHER_WIDTHS: u32 = 50;

/// Finds out what rows mean, then hands them over.
#[derive(Debug)]
pub struct Discovery {
    stated_rate_hz: Option<f64>,
    /// Rows are paced by who reads them: their times say nothing.
    paced: bool,
    heard: Vec<(Instant, Row)>,
    width: Option<usize>,
    uneven: bool,
    others: u32,
}

impl Discovery {
    pub fn new(stated_rate_hz: Option<f64>) -> Self {
        Self { stated_rate_hz, paced: false, heard: Vec::new(), width: None, uneven: false, others: 0 }
    }

    /// Of a pipe: its rate is stated, and rows come as fast as they are read.
    pub fn paced(rate_hz: f64) -> Self {
        Self { paced: true, ..Self::new(Some(rate_hz)) }
    }

    /// Rows that came together.
    pub fn take(&mut self, at: Instant, rows: impl IntoIterator<Item = Row>, link: &Link) {
        let mut values = Vec::new();
        for row in rows.into_iter().filter(|row| !row.values.is_empty()) {
            let Some(width) = self.width else {
                if self.heard.len() < MAX_ROWS {
                    self.heard.push((at, row));
                }
                continue;
            };
            if row.values.len() != width {
                link.malformed();
                self.others += 1;
                if self.others >= OTHER_WIDTHS {
                    *self = Self { paced: self.paced, ..Self::new(self.stated_rate_hz) };
                }
                continue;
            }
            self.others = 0;
            if self.uneven {
                link.points(at, None, 0, row.values);
            } else {
                values.extend(row.values);
            }
        }
        if !values.is_empty() {
            link.push(at, None, 0, 0, values);
        }
        let waited = self.heard.first().is_some_and(|(first, _)| at.duration_since(*first) >= LISTEN);
        if self.width.is_none() && !self.heard.is_empty() && (self.paced || waited) {
            self.decide(link);
        }
    }

    /// Nothing has come for a while: a source slower than the listening is decided on, too.
    pub fn idle(&mut self, now: Instant, link: &Link) {
        let long_ago = |(first, _): &(Instant, Row)| now.duration_since(*first) >= 2 * LISTEN;
        if self.width.is_none() && self.heard.first().is_some_and(long_ago) {
            self.decide(link);
        }
    }

    fn decide(&mut self, link: &Link) {
        let mut widths: BTreeMap<usize, usize> = BTreeMap::new();
        for (_, row) in &self.heard {
            *widths.entry(row.values.len()).or_default() += 1;
        }
        let Some((&width, _)) = widths.iter().max_by_key(|(_, count)| **count) else { return };
        self.heard.retain(|(_, row)| {
            row.values.len() == width || {
                link.malformed();
                false
            }
        });
        let measured_hz = self.measured_hz();
        let believed = |stated: &f64| self.paced || (measured_hz / stated - 1.0).abs() <= BELIEVED;
        let (rate_hz, beat) = match self.stated_rate_hz {
            Some(stated) if believed(&stated) => (stated, if self.paced { Beat::Paced } else { Beat::Even }),
            Some(stated) => (stated, Beat::Uneven),
            None if measured_hz >= SLOWEST_EVEN_HZ => (likely_rate_hz(measured_hz), Beat::Even),
            None => (SLOW_OUT_HZ, Beat::Uneven),
        };
        let names = self.heard.first().map(|(_, row)| row.names.clone()).unwrap_or_default();
        let named = names.into_iter().enumerate();
        let channels = named.map(|(n, name)| (name.unwrap_or_else(|| format!("channel {n}")), String::new()));
        let mut layout = Layout::even(channels, rate_hz).with_beat(beat);
        layout.rate_is_stated = self.stated_rate_hz.is_some() && beat == Beat::Even;
        link.layout(layout);
        self.width = Some(width);
        self.uneven = beat == Beat::Uneven;
        // What was heard meanwhile: all of it of a pipe, else the last moment, so that nothing plays late.
        let heard = std::mem::take(&mut self.heard);
        if self.paced {
            for (at, row) in heard {
                link.push(at, None, 0, 0, row.values);
            }
        } else if let Some((at, row)) = heard.into_iter().next_back() {
            link.push(at, None, 0, 0, row.values);
        }
    }

    fn measured_hz(&self) -> f64 {
        let (Some((first, _)), Some((last, _))) = (self.heard.first(), self.heard.last()) else { return 0.0 };
        // What came with the first packet was made before it.
        let later = self.heard.iter().filter(|(at, _)| at > first).count();
        let secs = last.duration_since(*first).as_secs_f64();
        if secs > 0.0 { later as f64 / secs } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::handover::handover;
    use super::super::numbers::row;
    use super::*;

    fn found(stated: Option<f64>, sent_hz: f64, per_packet: usize, line: &str) -> Layout {
        let (link, inbox) = handover();
        let mut discovery = Discovery::new(stated);
        let begin = Instant::now();
        for packet in 0..(4.0 * sent_hz) as usize / per_packet {
            let at = begin + Duration::from_secs_f64((packet * per_packet) as f64 / sent_hz);
            let rows = (0..per_packet).map(|_| row(line).unwrap());
            discovery.take(at, rows, &link);
        }
        inbox.layout().unwrap().1.clone()
    }

    #[test]
    fn width_names_and_rate_are_found_out() {
        let layout = found(None, 249.0, 1, "a:1 b:2");
        assert_eq!((layout.rate_hz, layout.beat), (250.0, Beat::Even));
        assert_eq!(layout.channels.iter().map(|channel| channel.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(found(None, 2000.0, 40, "1 2 3").rate_hz, 2000.0);
        assert_eq!(found(None, 1.0, 1, "1").beat, Beat::Uneven);
        let wind = found(Some(50.0), 1.0, 1, "1");
        assert_eq!((wind.rate_hz, wind.beat), (50.0, Beat::Uneven));
        assert_eq!(found(Some(240.0), 250.0, 10, "1").beat, Beat::Even);
    }

    #[test]
    fn a_stray_line_does_not_decide_the_width_and_a_new_one_does_in_time() {
        let (link, inbox) = handover();
        let mut discovery = Discovery::new(None);
        let begin = Instant::now();
        for n in 0..1000u32 {
            let line = if n % 10 == 0 {
                "1"
            } else if n < 600 {
                "1 2 3"
            } else {
                "1 2"
            };
            discovery.take(begin + n * Duration::from_millis(10), row(line), &link);
            if n == 500 {
                assert_eq!(inbox.layout().unwrap().1.channels.len(), 3);
                assert!(inbox.counts().malformed > 10);
            }
        }
        assert_eq!(inbox.layout().unwrap().1.channels.len(), 2);
    }
}
