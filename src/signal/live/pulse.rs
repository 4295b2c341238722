//! Messages that only come when something happens (a blink) as a channel: it rises at the event and decays.

use std::collections::VecDeque;

/// Events that lie ahead of what is played.
const MAX_AHEAD: usize = 64;

/// One channel of events.
#[derive(Debug, Clone)]
pub struct Pulse {
    decay_secs: f64,
    ahead: VecDeque<(f64, f64)>,
    level: f64,
    at: f64,
}

impl Pulse {
    pub fn new(decay_secs: f64) -> Self {
        Self { decay_secs, ahead: VecDeque::new(), level: 0.0, at: f64::NAN }
    }

    /// Something of this size happened; a size of 0 or none is an event that ends, and none begins.
    pub fn push(&mut self, time: f64, size: f64) {
        if size.is_finite() && size != 0.0 && self.ahead.len() < MAX_AHEAD {
            self.ahead.push_back((time, size));
        }
    }

    /// The level at a time that never goes back.
    pub fn at(&mut self, time: f64) -> f64 {
        while let Some((event, size)) = self.ahead.front().copied().filter(|(event, _)| *event <= time) {
            self.ahead.pop_front();
            self.decay_to(event);
            // Events on top of each other do not pile up.
            self.level = if size.abs() > self.level.abs() { size } else { self.level };
        }
        self.decay_to(time);
        self.level
    }

    fn decay_to(&mut self, time: f64) {
        if self.at.is_finite() && time > self.at {
            self.level *= (-(time - self.at) / self.decay_secs).exp();
        }
        if !self.at.is_finite() || time > self.at {
            self.at = time;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_rises_at_once_and_decays() {
        let mut pulse = Pulse::new(0.5);
        assert_eq!(pulse.at(0.0), 0.0);
        pulse.push(1.0, 1.0);
        assert_eq!(pulse.at(0.9), 0.0);
        assert_eq!(pulse.at(1.0), 1.0);
        assert!((pulse.at(1.5) - (-1f64).exp()).abs() < 1e-12);
        pulse.push(1.6, 0.0);
        assert!(pulse.at(5.0) < 1e-3);
    }
}
