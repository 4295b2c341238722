//! Learning: a parameter is chosen, a control is moved, and they belong together.
//!
//! Everything that comes while a parameter waits is observed and moves nothing. Once the hand rests (or has moved long
//! enough) the observation tells which control it was and of which kind: see [`kind`]. Only a relative encoder that was
//! turned one way leaves a doubt; it is given some time to be turned back.

use super::{assemble::Signal, ports::DeviceId, source::Source};

pub(super) mod kind;

pub use kind::Found;

/// A hand that pauses this long has shown what it wanted.
const QUIET_SECS: f64 = 0.35;
/// One that goes on is understood after this time.
const ENOUGH_SECS: f64 = 1.5;
/// A press without a release, or a single value, is taken as it is after this time.
const ALONE_SECS: f64 = 1.0;
/// How long a doubt is left open, to be turned back.
const DOUBT_SECS: f64 = 4.0;
/// Nobody touches anything: the learning ends.
const PATIENCE_SECS: f64 = 30.0;
/// More than any hand sends in [`DOUBT_SECS`]; what comes on top is not kept.
const MOST_SEEN: usize = 2000;

/// What is being observed.
#[derive(Debug, Default)]
pub struct Learn {
    path: Option<String>,
    began_secs: f64,
    seen: Vec<Seen>,
}

/// A signal, of whom and when.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub device: DeviceId,
    pub signal: Signal,
    pub secs: f64,
}

/// What the observation has come to.
#[derive(Debug, PartialEq)]
pub enum Progress {
    Waiting,
    /// Nobody moved anything for a long time.
    GivenUp,
    Found(DeviceId, Found),
}

impl Learn {
    pub fn begin(&mut self, path: &str, now_secs: f64) {
        *self = Self { path: Some(path.into()), began_secs: now_secs, seen: Vec::new() };
    }

    pub fn cancel(&mut self) {
        *self = Self::default();
    }

    /// The parameter that waits for a control.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    pub fn hear(&mut self, device: DeviceId, signal: Signal, now_secs: f64) {
        if self.seen.len() < MOST_SEEN {
            self.seen.push(Seen { device, signal, secs: now_secs });
        }
    }

    /// What is known by now. A find ends the learning.
    pub fn decide(&mut self, now_secs: f64) -> Progress {
        if self.path.is_none() {
            return Progress::Waiting;
        }
        let (Some(first), Some(last)) = (self.seen.first(), self.seen.last()) else {
            if now_secs - self.began_secs > PATIENCE_SECS {
                self.cancel();
                return Progress::GivenUp;
            }
            return Progress::Waiting;
        };
        let (since_first, quiet) = (now_secs - first.secs, now_secs - last.secs);
        if quiet < QUIET_SECS && since_first < ENOUGH_SECS {
            return Progress::Waiting;
        }
        let device = first.device;
        let of_device: Vec<Seen> = self.seen.iter().filter(|seen| seen.device == device).copied().collect();
        let Some((found, sure)) = kind::find(&of_device) else {
            // A touch too short to tell: begin anew with the next.
            if quiet > ALONE_SECS {
                self.seen.clear();
            }
            return Progress::Waiting;
        };
        let patience = match sure {
            kind::Sure::Yes => 0.0,
            kind::Sure::WhenAlone => ALONE_SECS,
            kind::Sure::AfterDoubt => DOUBT_SECS,
        };
        let waited = if sure == kind::Sure::AfterDoubt { since_first } else { quiet };
        if waited < patience {
            return Progress::Waiting;
        }
        self.cancel();
        Progress::Found(device, found)
    }

    /// True while an encoder should be turned back, so that its kind is known.
    pub fn is_in_doubt(&self) -> bool {
        let first = self.seen.first().map(|seen| seen.device);
        let of_device: Vec<Seen> = self.seen.iter().filter(|seen| Some(seen.device) == first).copied().collect();
        matches!(kind::find(&of_device), Some((_, kind::Sure::AfterDoubt)))
    }
}

/// Whether two sources are (in part) the same messages.
pub fn overlap(a: Source, b: Source) -> bool {
    let covers = |pair: Source, single: Source| match (pair, single) {
        (Source::Cc14(pair), Source::Cc(single)) => single == pair || single == pair + 32,
        _ => false,
    };
    a == b || covers(a, b) || covers(b, a)
}

#[cfg(test)]
mod tests;
