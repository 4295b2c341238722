//! A foreign address: what it sent lately, so that it can be recognised and its range guessed.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use rosc::OscType;

use crate::remote::osc::values;

/// What arrives this often within [`STREAM_OVER`] streams by itself.
const STREAM_MESSAGES: usize = 8;
const STREAM_OVER: Duration = Duration::from_millis(1200);
/// Arguments that are looked at.
const MOST_ARGS: usize = 16;

#[derive(Debug)]
pub struct Foreign {
    pub address: String,
    /// Address and last arguments, as a person reads them.
    pub line: String,
    messages: u64,
    /// The newest last, [`STREAM_MESSAGES`] at most.
    arrivals: VecDeque<Instant>,
    args: Vec<Option<Span>>,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    last: f64,
    min: f64,
    max: f64,
}

impl Foreign {
    pub fn new(address: &str) -> Self {
        let arrivals = VecDeque::with_capacity(STREAM_MESSAGES);
        Self { address: address.into(), line: address.into(), messages: 0, arrivals, args: Vec::new() }
    }

    pub fn heard(&mut self, args: &[OscType], now: Instant) {
        self.messages += 1;
        if self.arrivals.len() == STREAM_MESSAGES {
            self.arrivals.pop_front();
        }
        self.arrivals.push_back(now);
        let args = &args[..args.len().min(MOST_ARGS)];
        self.args.resize(self.args.len().max(args.len()), None);
        for (known, value) in self.args.iter_mut().zip(args.iter().map(values::number_of)) {
            if let Some(value) = value {
                let before = known.unwrap_or(Span { last: value, min: value, max: value });
                *known = Some(Span { last: value, min: before.min.min(value), max: before.max.max(value) });
            }
        }
        let shown: Vec<_> = args.iter().map(values::shown_arg).collect();
        self.line = format!("{} {}", self.address, shown.join(" ")).trim_end().to_owned();
    }

    /// Whether it is being sent all the time.
    pub fn streams(&self, now: Instant) -> bool {
        self.arrivals.len() == STREAM_MESSAGES
            && self.arrivals.front().is_some_and(|first| now.saturating_duration_since(*first) < STREAM_OVER)
    }

    /// How far an argument has moved since the last message, in ways that it has gone so far.
    pub fn change(&self, at: usize, value: f64) -> f64 {
        let Some(Some(span)) = self.args.get(at) else { return 0.0 };
        let way = span.max.max(value) - span.min.min(value);
        if way > 0.0 { (value - span.last).abs() / way } else { 0.0 }
    }

    /// The least and the greatest value of an argument.
    pub fn span(&self, argument: Option<usize>) -> Vec<f64> {
        let span = argument.and_then(|at| *self.args.get(at)?);
        span.map_or_else(Vec::new, |span| vec![span.min, span.max])
    }

    pub fn shown(&self, now: Instant) -> String {
        let age_secs = self.arrivals.back().map_or(0, |at| now.saturating_duration_since(*at).as_secs());
        let times = if self.messages == 1 { String::new() } else { format!(" ({} times)", self.messages) };
        format!("{}{times}, {age_secs} s ago", self.line)
    }
}
