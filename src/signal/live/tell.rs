//! What a live source says to people: one line of state at all times, and a sentence when something happens. A
//! condition that goes on is told when it begins, when it is over, and when its count has grown tenfold.

use std::collections::VecDeque;

use super::flow::Flow;
use super::silence::Then;

const MAX_MESSAGES: usize = 16;
/// Between two updates of the state.
const STATE_EVERY_SECS: f64 = 0.25;

#[derive(Debug)]
pub struct Teller {
    name: String,
    then: Then,
    state: String,
    state_at: f64,
    messages: VecDeque<String>,
    was_stale: bool,
    silent_secs: f64,
    told_lost: u64,
    told_overrun: u64,
    told_malformed: u64,
}

impl Teller {
    pub fn new(name: String, then: Then) -> Self {
        Self {
            name,
            then,
            state: "waiting".into(),
            state_at: f64::NEG_INFINITY,
            messages: VecDeque::new(),
            was_stale: false,
            silent_secs: 0.0,
            told_lost: 0,
            told_overrun: 0,
            told_malformed: 0,
        }
    }

    pub fn say(&mut self, text: String) {
        if self.messages.len() == MAX_MESSAGES {
            self.messages.pop_front();
        }
        self.messages.push_back(text);
    }

    pub fn message(&mut self) -> Option<String> {
        self.messages.pop_front()
    }

    pub fn state(&self) -> &str {
        &self.state
    }

    pub fn wrong_rate(&mut self, declared_hz: f64, measured_hz: f64) {
        self.say(format!(
            "{}: brings {} samples a second, not {}; what is measured counts",
            self.name,
            tidy(measured_hz),
            tidy(declared_hz)
        ));
    }

    pub fn observe(&mut self, now_secs: f64, flow: &Flow, heard: bool, rate_hz: f64) {
        if flow.stale && !self.was_stale {
            self.say(format!("{}: silent for {} s; {}", self.name, tidy(flow.silent_secs), self.then.words()));
        } else if !flow.stale && self.was_stale {
            self.say(format!("{}: is back after {} s", self.name, tidy(self.silent_secs)));
        }
        self.was_stale = flow.stale;
        self.silent_secs = self.silent_secs.max(flow.silent_secs);
        if !flow.stale && flow.silent_secs < 0.1 {
            self.silent_secs = 0.0;
        }
        self.grown(flow);
        if now_secs - self.state_at >= STATE_EVERY_SECS {
            self.state_at = now_secs;
            self.state = state(flow, heard, rate_hz, self.then);
        }
    }

    fn grown(&mut self, flow: &Flow) {
        let mut said = Vec::new();
        for (count, told, what) in [
            (flow.lost, &mut self.told_lost, "samples were lost on the way; they are bridged"),
            (flow.overrun, &mut self.told_overrun, "samples came faster than they are read and were dropped"),
            (flow.malformed, &mut self.told_malformed, "packets or lines are not understood and left out"),
        ] {
            if count > 0 && count >= told.saturating_mul(10).max(1) {
                *told = count;
                said.push(format!("{}: {count} {what}", self.name));
            }
        }
        said.into_iter().for_each(|text| self.say(text));
    }
}

fn state(flow: &Flow, heard: bool, rate_hz: f64, then: Then) -> String {
    if !heard {
        return if flow.status.is_empty() { "waiting for a first sample".into() } else { flow.status.clone() };
    }
    if flow.stale {
        let why = if flow.status.is_empty() { String::new() } else { format!(" ({})", flow.status) };
        return format!("silent for {:.0} s, {}{why}", flow.silent_secs, then.words());
    }
    let mut text = match flow.measured_rate_hz {
        Some(measured_hz) if (measured_hz / rate_hz - 1.0).abs() > 0.02 => {
            format!("{} Hz in, {} Hz out", tidy(measured_hz), tidy(rate_hz))
        }
        _ => format!("{} Hz", tidy(rate_hz)),
    };
    text.push_str(&format!(", jitter {} ms, buffer {} ms", tidy(flow.jitter_ms), tidy(flow.buffer_ms)));
    for (count, what) in [(flow.lost, "lost"), (flow.overrun, "dropped"), (flow.malformed, "not understood")] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text
}

/// Three digits are enough to judge by.
fn tidy(x: f64) -> String {
    let decimals = if x.abs() >= 99.95 || x.fract() == 0.0 {
        0
    } else if x.abs() >= 9.995 {
        1
    } else {
        2
    };
    format!("{x:.decimals$}")
}
