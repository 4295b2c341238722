//! A laboratory for an hour, by a clock that is set from here: 32 channels at 2 kHz, in blocks that come unevenly, through
//! hand-over, source and intake to the windows. Nothing may be lost, and memory stays level.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::{Duration, Instant};

use super::handover::{Inbox, Layout, Link, handover};
use super::settings::Settings;
use super::source::LiveSource;
use crate::signal::url::Address;
use crate::signal::{self, Description, Flow, HOPS_PER_SEC, Intake, Read, Source, SourceError};

const CHANNELS: usize = 32;
const RATE_HZ: u64 = 2000;
const BLOCK_FRAMES: u64 = 40;

/// Reads at a moment that is set from outside, and checks that what is brought are the frames that were sent, one after
/// the other.
struct Clocked {
    source: LiveSource,
    base: Instant,
    /// Nanoseconds since the base.
    now: Arc<AtomicU64>,
    brought: Arc<AtomicU64>,
}

impl Source for Clocked {
    fn description(&self) -> &Description {
        self.source.description()
    }

    fn read(&mut self, frames: usize, out: &mut Vec<f64>) -> Result<Read, SourceError> {
        let now = self.base + Duration::from_nanos(self.now.load(Ordering::Relaxed));
        let before = out.len();
        let read = self.source.read_at(now, frames, out)?;
        if self.source.flow().is_some_and(|flow| flow.received > 0) {
            for frame in out[before..].as_chunks::<CHANNELS>().0 {
                let n = self.brought.fetch_add(1, Ordering::Relaxed);
                assert_eq!((frame[0], frame[CHANNELS - 1]), (value(n, 0), value(n, CHANNELS - 1)), "frame {n}");
            }
        }
        Ok(read)
    }

    fn flow(&self) -> Option<&Flow> {
        self.source.flow()
    }
}

fn value(frame: u64, channel: usize) -> f64 {
    ((frame * 7 + channel as u64 * 13) % 1000) as f64
}

fn kilobytes_of_this_process() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    text.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse().ok())
}

fn send(link: &Link, base: Instant, first: u64, late_ms: u64) {
    let at =
        base + Duration::from_nanos((first + BLOCK_FRAMES) * 1_000_000_000 / RATE_HZ) + Duration::from_millis(late_ms);
    let values = (first..first + BLOCK_FRAMES).flat_map(|n| (0..CHANNELS).map(move |channel| value(n, channel)));
    link.push(at, None, 0, 0, values.collect());
}

fn soak(secs: u64) {
    let (link, inbox): (Link, Inbox) = handover();
    let names = (0..CHANNELS).map(|channel| (format!("c{channel}"), "uV".to_owned()));
    link.layout(Layout::even(names, RATE_HZ as f64).stated());
    let settings = Settings::read(&Address::parse("lsl://soak").unwrap(), &[]).unwrap();
    let (now, brought) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let source = LiveSource::new(settings, inbox, None);
    let base = Instant::now();
    let clocked = Clocked { source, base, now: Arc::clone(&now), brought: Arc::clone(&brought) };
    let mut intake = Intake::from_source(Box::new(clocked), signal::Settings::default()).unwrap();
    let mut sent = 0;
    let mut early = None;
    for hop in 1..=secs * HOPS_PER_SEC {
        let now_nanos = hop * 1_000_000_000 / HOPS_PER_SEC;
        // Up to 30 ms late, as on a busy network.
        let late_ms = hop * 17 % 31;
        while sent + BLOCK_FRAMES <= (now_nanos.saturating_sub(late_ms * 1_000_000)) * RATE_HZ / 1_000_000_000 {
            send(&link, base, sent, late_ms);
            sent += BLOCK_FRAMES;
        }
        now.store(now_nanos, Ordering::Relaxed);
        intake.advance_to(hop as f64 / HOPS_PER_SEC as f64).unwrap();
        let window = intake.window_at_hop_or_mirrored(hop, 512);
        assert!(hop < 90 || window.is_some(), "no window at hop {hop}");
        if hop == secs * HOPS_PER_SEC / 10 {
            early = kilobytes_of_this_process();
        }
    }
    let flow = intake.flow().unwrap().clone();
    let brought = brought.load(Ordering::Relaxed);
    println!("{secs} s: {sent} frames sent, {brought} brought, {flow:?}");
    assert_eq!((flow.received, flow.lost, flow.overrun), (sent, 0, 0));
    assert_eq!(brought, sent);
    if let (Some(early), Some(late)) = (early, kilobytes_of_this_process()) {
        println!("memory: {early} kB after a tenth, {late} kB at the end");
        assert!(late < early + 16_384, "{early} kB grew to {late} kB");
    }
}

#[test]
fn half_a_minute_of_a_laboratory_goes_through_without_loss() {
    soak(30);
}

/// `cargo test --release --lib -- --ignored --nocapture an_hour_of_a_laboratory`
#[test]
#[ignore = "takes some minutes"]
fn an_hour_of_a_laboratory_goes_through_without_loss_and_memory_stays_level() {
    soak(3600);
}
