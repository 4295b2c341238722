//! The outlet's clock against this machine's: questions by UDP whose answers carry the outlet's time, as NTP has them.
//! Of each round the quickest answer counts. Lives on a thread of its own, so that the times of arrival are exact.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::info::StreamInfo;
use crate::signal::live::flow::Line;
use crate::signal::live::handover::Link;

const QUESTIONS: u32 = 6;
const ANSWER_WITHIN: Duration = Duration::from_millis(100);
const ROUND_EVERY: Duration = Duration::from_secs(3);
/// The drift is the slope over this long, and noise before so long.
const DRIFT_SECS: f64 = 120.0;
const DRIFT_FROM_SECS: f64 = 20.0;

/// The comparison of the clocks. Dropping it ends its thread.
#[derive(Debug)]
pub struct Clock {
    epoch: Instant,
    /// `f64` bits of the outlet's time minus the seconds since `epoch`; not a number while unknown.
    offset: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Clock {
    /// A clock that cannot be compared stays unknown.
    pub fn start(info: &StreamInfo, link: Link) -> Self {
        let offset = Arc::new(AtomicU64::new(f64::NAN.to_bits()));
        let stop = Arc::new(AtomicBool::new(false));
        let epoch = Instant::now();
        let comparison = Comparison {
            service: SocketAddr::new(info.address, info.service_port),
            epoch,
            offset: Arc::clone(&offset),
            stop: Arc::clone(&stop),
            link,
        };
        let body = move || {
            if let Err(cause) = comparison.run() {
                tracing::debug!("the clock of an LSL stream cannot be compared: {cause}");
            }
        };
        let thread = if info.service_port == 0 {
            None
        } else {
            std::thread::Builder::new().name("lsl clock".into()).spawn(body).ok()
        };
        Self { epoch, offset, stop, thread }
    }

    /// How old a sample of this stamp was when it arrived.
    pub fn age_secs(&self, stamp: f64, arrived: Instant) -> Option<f64> {
        let offset = f64::from_bits(self.offset.load(Ordering::Relaxed));
        let arrived = arrived.checked_duration_since(self.epoch)?.as_secs_f64();
        Some(arrived + offset - stamp).filter(|age| age.is_finite())
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the LSL clock did not end well");
        }
    }
}

struct Comparison {
    service: SocketAddr,
    epoch: Instant,
    offset: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    link: Link,
}

impl Comparison {
    fn run(&self) -> std::io::Result<()> {
        let socket = UdpSocket::bind(("0.0.0.0", 0))?;
        socket.connect(self.service)?;
        let mut drift = Line::new(DRIFT_SECS);
        let mut first = f64::NAN;
        let mut round = 0u32;
        while !self.stop.load(Ordering::Relaxed) {
            round = round.wrapping_add(1);
            if let Some(offset) = self.round(&socket, round) {
                self.offset.store(offset.to_bits(), Ordering::Relaxed);
                let now = self.epoch.elapsed().as_secs_f64();
                first = if first.is_finite() { first } else { now };
                drift.push(now, offset);
                if let Some(slope) = drift.slope().filter(|_| now - first > DRIFT_FROM_SECS) {
                    self.link.drift_ppm(1e6 * slope);
                }
            }
            let begun = Instant::now();
            while begun.elapsed() < ROUND_EVERY && !self.stop.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    /// The offset of the quickest answer.
    fn round(&self, socket: &UdpSocket, round: u32) -> Option<f64> {
        let mut quickest: Option<(f64, f64)> = None;
        let mut buffer = [0; 512];
        for _ in 0..QUESTIONS {
            let asked = self.epoch.elapsed().as_secs_f64();
            let question = format!("LSL:timedata\r\n{round} {asked:.9}\r\n");
            socket.send(question.as_bytes()).ok()?;
            let until = Instant::now() + ANSWER_WITHIN;
            while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
                socket.set_read_timeout(Some(left)).ok()?;
                let Ok(length) = socket.recv(&mut buffer) else { continue };
                let answered = self.epoch.elapsed().as_secs_f64();
                let Some((trip, offset)) = answer(&buffer[..length], round, asked, answered) else { continue };
                if quickest.is_none_or(|(best, _)| trip < best) {
                    quickest = Some((trip, offset));
                }
                break;
            }
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
        }
        quickest.map(|(_, offset)| offset)
    }
}

/// (Time on the way, offset) of an answer ` round t0 t1 t2` to the question asked at t0.
fn answer(bytes: &[u8], round: u32, asked: f64, answered: f64) -> Option<(f64, f64)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut words = text.split_whitespace();
    if words.next()?.parse::<u32>().ok()? != round {
        return None;
    }
    let mut time = || words.next()?.parse::<f64>().ok().filter(|time| time.is_finite());
    let (t0, t1, t2) = (time()?, time()?, time()?);
    if (t0 - asked).abs() > 1e-6 {
        return None;
    }
    Some(((answered - asked) - (t2 - t1), ((t1 - asked) + (t2 - answered)) / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_is_that_of_a_symmetric_way() {
        let (trip, offset) = answer(b" 3 10.0 1000.002 1000.003", 3, 10.0, 10.005).unwrap();
        assert!((trip - 0.004).abs() < 1e-9 && (offset - 990.0).abs() < 1e-9);
        assert_eq!(answer(b" 2 10.0 1 1", 3, 10.0, 10.1), None);
        assert_eq!(answer(b"\xff", 3, 10.0, 10.1), None);
    }
}
