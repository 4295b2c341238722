//! The hand-over from a receiving thread to the signal thread: bounded, and when it is full the oldest goes and is
//! counted. Neither end waits for the other (but for [`Link::wait_for_room`], which pipes ask for).
//!
//! What the frames mean is a [`Layout`] in a slot of its own, so that it cannot be pushed out: each arrival carries the
//! number of its layout.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::signal::Channel;

/// Arrivals that wait at most, and values in them: 16 MB.
const MAX_ARRIVALS: usize = 16_384;
const MAX_VALUES: usize = 2 << 20;
const MAX_MESSAGES: usize = 16;

/// How the channels of a source come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Beat {
    /// Whole frames, one after the other, at about the rate: they pass untouched.
    Even,
    /// As [`Self::Even`], but they may come faster (a pipe): they are released at the rate.
    Paced,
    /// Some channels now, others then: resampled by their times.
    Uneven,
}

/// What a receiving thread found out about its source.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    pub channels: Vec<Channel>,
    /// Channels that rise at an event and decay with this time constant.
    pub pulses: Vec<Option<f64>>,
    pub rate_hz: f64,
    /// The sender says its rate: the clocks can be compared.
    pub rate_is_stated: bool,
    pub beat: Beat,
    /// What was strange about it, a sentence each.
    pub odd: Vec<String>,
}

impl Layout {
    /// Even frames of channels that all have this rate.
    pub fn even(names: impl IntoIterator<Item = (String, String)>, rate_hz: f64) -> Self {
        let channels: Vec<Channel> = names.into_iter().map(|(name, unit)| Channel { name, unit, rate_hz }).collect();
        let pulses = vec![None; channels.len()];
        Self { channels, pulses, rate_hz, rate_is_stated: false, beat: Beat::Even, odd: Vec::new() }
    }

    pub fn stated(mut self) -> Self {
        self.rate_is_stated = true;
        self
    }

    pub fn with_beat(mut self, beat: Beat) -> Self {
        self.beat = beat;
        self
    }
}

/// What came at one moment.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub layout: u64,
    pub at: Instant,
    /// The sender's clock at the first value, where it tells.
    pub sender_secs: Option<f64>,
    /// Uneven beats: the channel of the first value.
    pub first_channel: usize,
    /// Even beats: frames that are missing before these.
    pub missing_frames: usize,
    pub values: Vec<f64>,
}

/// What both ends look at.
#[derive(Debug, Default)]
struct Shared {
    waiting_values: AtomicUsize,
    /// Arrivals count as frames of this many values.
    width: AtomicUsize,
    overrun: AtomicU64,
    malformed: AtomicU64,
    lost: AtomicU64,
    reconnects: AtomicU64,
    /// `f64` bits; not a number while unknown.
    drift_ppm: AtomicU64,
    transit_ms: AtomicU64,
    stop: AtomicBool,
    over: AtomicBool,
    layout: ArcSwapOption<(u64, Layout)>,
    status: ArcSwap<String>,
}

/// The receiving thread's end.
#[derive(Debug, Clone)]
pub struct Link {
    arrivals: Sender<Arrival>,
    /// The other end of the same queue: what is oldest is taken out here when it is full.
    oldest: Receiver<Arrival>,
    messages: Sender<String>,
    shared: Arc<Shared>,
}

/// The signal thread's end.
#[derive(Debug)]
pub struct Inbox {
    arrivals: Receiver<Arrival>,
    messages: Receiver<String>,
    shared: Arc<Shared>,
}

/// Counts so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub lost: u64,
    pub overrun: u64,
    pub malformed: u64,
    pub reconnects: u64,
}

pub fn handover() -> (Link, Inbox) {
    let (arrivals, fetched) = bounded(MAX_ARRIVALS);
    let (messages, heard) = bounded(MAX_MESSAGES);
    let shared = Arc::new(Shared::default());
    shared.drift_ppm.store(f64::NAN.to_bits(), Ordering::Relaxed);
    shared.transit_ms.store(f64::NAN.to_bits(), Ordering::Relaxed);
    let link = Link { arrivals, oldest: fetched.clone(), messages, shared: Arc::clone(&shared) };
    (link, Inbox { arrivals: fetched, messages: heard, shared })
}

impl Link {
    /// From now on the values mean this.
    pub fn layout(&self, layout: Layout) {
        let number = self
            .shared
            .layout
            .load()
            .as_ref()
            .map_or(1, |current| if current.1 == layout { current.0 } else { current.0 + 1 });
        self.shared.width.store(layout.channels.len().max(1), Ordering::Relaxed);
        self.shared.layout.store(Some(Arc::new((number, layout))));
    }

    fn layout_number(&self) -> u64 {
        self.shared.layout.load().as_ref().map_or(0, |current| current.0)
    }

    /// Whole frames of an even beat, that came now.
    pub fn frames(&self, values: Vec<f64>, missing_frames: usize) {
        self.push(Instant::now(), None, 0, missing_frames, values);
    }

    /// Values from `first_channel` on of an uneven beat, that came at this moment.
    pub fn points(&self, at: Instant, sender_secs: Option<f64>, first_channel: usize, values: Vec<f64>) {
        self.push(at, sender_secs, first_channel, 0, values);
    }

    pub fn push(
        &self,
        at: Instant,
        sender_secs: Option<f64>,
        first_channel: usize,
        missing_frames: usize,
        values: Vec<f64>,
    ) {
        let layout = self.layout_number();
        self.lose(missing_frames as u64);
        self.shared.waiting_values.fetch_add(values.len(), Ordering::Relaxed);
        let mut arrival = Arrival { layout, at, sender_secs, first_channel, missing_frames, values };
        while self.shared.waiting_values.load(Ordering::Relaxed) > MAX_VALUES {
            if !self.drop_oldest() {
                break;
            }
        }
        loop {
            match self.arrivals.try_send(arrival) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => return,
                Err(TrySendError::Full(back)) => {
                    arrival = back;
                    self.drop_oldest();
                }
            }
        }
    }

    fn drop_oldest(&self) -> bool {
        let Ok(dropped) = self.oldest.try_recv() else { return false };
        self.shared.waiting_values.fetch_sub(dropped.values.len(), Ordering::Relaxed);
        let frames = dropped.values.len() / self.shared.width.load(Ordering::Relaxed).max(1);
        self.shared.overrun.fetch_add(frames.max(1) as u64, Ordering::Relaxed);
        true
    }

    /// Waits until less than so many values wait, or the source is closed.
    pub fn wait_for_room(&self, values: usize) {
        while self.shared.waiting_values.load(Ordering::Relaxed) > values && !self.stopped() {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Something a person should read. A full box already tells that something is wrong.
    pub fn say(&self, text: String) {
        if let Err(TrySendError::Full(text)) = self.messages.try_send(text) {
            tracing::warn!("{text}");
        }
    }

    /// Connected to what, or why not.
    pub fn status(&self, text: impl Into<String>) {
        self.shared.status.store(Arc::new(text.into()));
    }

    pub fn malformed(&self) {
        self.shared.malformed.fetch_add(1, Ordering::Relaxed);
    }

    pub fn lose(&self, frames: u64) {
        self.shared.lost.fetch_add(frames, Ordering::Relaxed);
    }

    pub fn reconnected(&self) {
        self.shared.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    pub fn drift_ppm(&self, ppm: f64) {
        self.shared.drift_ppm.store(ppm.to_bits(), Ordering::Relaxed);
    }

    pub fn transit_ms(&self, ms: f64) {
        self.shared.transit_ms.store(ms.to_bits(), Ordering::Relaxed);
    }

    /// There will be nothing more.
    pub fn over(&self) {
        self.shared.over.store(true, Ordering::Release);
    }

    /// Nobody wants more.
    pub fn stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }

    /// Sleeps for so long, or until nobody wants more.
    pub fn pause(&self, length: Duration) {
        let until = Instant::now() + length;
        while !self.stopped() {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return };
            std::thread::sleep(left.min(Duration::from_millis(20)));
        }
    }
}

impl Inbox {
    pub fn next(&self) -> Option<Arrival> {
        let arrival = self.arrivals.try_recv().ok()?;
        self.shared.waiting_values.fetch_sub(arrival.values.len(), Ordering::Relaxed);
        Some(arrival)
    }

    /// The newest layout and its number.
    pub fn layout(&self) -> Option<Arc<(u64, Layout)>> {
        self.shared.layout.load_full()
    }

    pub fn message(&self) -> Option<String> {
        self.messages.try_recv().ok()
    }

    /// The sender is over and all that it sent was fetched.
    pub fn is_over(&self) -> bool {
        self.shared.over.load(Ordering::Acquire) && self.arrivals.is_empty()
    }

    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    pub fn status(&self) -> Arc<String> {
        self.shared.status.load_full()
    }

    pub fn counts(&self) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            lost: get(&self.shared.lost),
            overrun: get(&self.shared.overrun),
            malformed: get(&self.shared.malformed),
            reconnects: get(&self.shared.reconnects),
        }
    }

    pub fn drift_ppm(&self) -> Option<f64> {
        Some(f64::from_bits(self.shared.drift_ppm.load(Ordering::Relaxed))).filter(|ppm| ppm.is_finite())
    }

    pub fn transit_ms(&self) -> Option<f64> {
        Some(f64::from_bits(self.shared.transit_ms.load(Ordering::Relaxed))).filter(|ms| ms.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_channels() -> Layout {
        Layout::even([("a".into(), String::new()), ("b".into(), String::new())], 100.0)
    }

    #[test]
    fn when_nobody_fetches_the_oldest_goes_and_is_counted() {
        let (link, inbox) = handover();
        link.layout(two_channels());
        let block = 1000;
        let sent = 3 * MAX_VALUES / (2 * block);
        for n in 0..sent {
            link.frames(vec![n as f64; 2 * block], 0);
        }
        let mut fetched = Vec::new();
        while let Some(arrival) = inbox.next() {
            fetched.push(arrival.values[0] as usize);
        }
        assert!(fetched.len() * 2 * block <= MAX_VALUES + 2 * block);
        assert_eq!(fetched.last(), Some(&(sent - 1)), "the newest is there");
        assert!(fetched.windows(2).all(|pair| pair[1] == pair[0] + 1), "and all since the oldest kept");
        assert_eq!(inbox.counts().overrun as usize, (sent - fetched.len()) * block);
    }

    #[test]
    fn a_layout_is_never_pushed_out_and_the_same_again_is_no_change() {
        let (link, inbox) = handover();
        link.layout(two_channels());
        link.frames(vec![0.0; 2], 0);
        link.layout(two_channels());
        assert_eq!(inbox.layout().unwrap().0, 1);
        let mut other = two_channels();
        other.rate_hz = 50.0;
        link.layout(other);
        link.frames(vec![0.0; 2], 0);
        assert_eq!(inbox.next().unwrap().layout, 1);
        assert_eq!(inbox.next().unwrap().layout, 2);
        assert_eq!(inbox.layout().unwrap().1.rate_hz, 50.0);
    }
}
