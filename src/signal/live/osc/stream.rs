//! Even streams of samples over OSC, by the presets: a frame a message (Muse, Neurosity), or some samples of one channel
//! a message (OpenBCI), which are put together turn by turn.

use std::time::{Duration, Instant};

use rosc::address::{Matcher, OscAddress};

use super::DECAY_SECS;
use super::packet::Message;
use super::preset::{Even, Form, Preset};
use crate::signal::live::handover::{Layout, Link};
use crate::signal::live::pulse::Pulse;
use crate::signal::live::weave::Weave;

/// How long the channels of an OpenBCI board are listened for.
const LISTEN: Duration = Duration::from_millis(1000);
const MAX_CHANNELS: usize = 256;
/// Seconds by which one channel may lag behind the others.
const PATIENCE_SECS: f64 = 0.2;

/// The stream of one device.
pub struct Stream {
    even: Even,
    unit: &'static str,
    rate_hz: f64,
    pattern: Option<Matcher>,
    width: usize,
    pulses: Vec<Pulse>,
    frames: u64,
    values: Vec<f64>,
    begun: Option<Instant>,
    /// Of a message a channel: the address that is taken, and the greatest channel so far.
    prefix: Option<&'static str>,
    prefixes: Vec<&'static str>,
    weave: Option<Weave>,
    last_channel: Option<usize>,
    turn_samples: u64,
}

impl Stream {
    /// None for a preset without an even stream. `wanted` chooses among several (`raw`, `filtered`).
    pub fn new(preset: &Preset, rate_hz: Option<f64>, wanted: Option<&str>) -> Option<Self> {
        let even = preset.stream?;
        let (pattern, prefixes) = match even.form {
            Form::Frame(pattern) => (Matcher::new(pattern).ok(), Vec::new()),
            Form::Channel(prefixes) => {
                let chosen = prefixes.iter().filter(|prefix| wanted.is_none_or(|wanted| prefix.contains(wanted)));
                (None, chosen.copied().collect())
            }
        };
        Some(Self {
            rate_hz: rate_hz.unwrap_or(even.rate_hz),
            unit: preset.unit,
            pattern,
            width: even.names.len(),
            pulses: even.events.iter().map(|_| Pulse::new(DECAY_SECS)).collect(),
            even,
            frames: 0,
            values: Vec::new(),
            begun: None,
            prefix: None,
            prefixes,
            weave: None,
            last_channel: None,
            turn_samples: 0,
        })
    }

    pub fn take(&mut self, message: &Message, link: &Link) {
        if let Some(event) = self.even.events.iter().position(|(address, _)| *address == message.address) {
            let size = message.values.first().copied().unwrap_or(1.0);
            self.pulses[event].push(self.frames as f64 / self.rate_hz, size);
            return;
        }
        match &self.pattern {
            Some(pattern) => {
                let Ok(address) = OscAddress::new(message.address.clone()) else { return link.malformed() };
                if pattern.match_address(&address) {
                    self.frame(message, link);
                }
            }
            None => self.samples(message, link),
        }
    }

    fn frame(&mut self, message: &Message, link: &Link) {
        // Some senders send whole numbers.
        let values = if message.floats.len() >= self.width { &message.floats } else { &message.values };
        if values.len() < self.width {
            return link.malformed();
        }
        self.values.extend(&values[..self.width]);
        let time = self.frames as f64 / self.rate_hz;
        self.values.extend(self.pulses.iter_mut().map(|pulse| pulse.at(time)));
        self.frames += 1;
    }

    fn samples(&mut self, message: &Message, link: &Link) {
        let Some(prefix) = self.prefixes.iter().find(|prefix| message.address.starts_with(**prefix)) else { return };
        if *self.prefix.get_or_insert(prefix) != *prefix {
            return;
        }
        let channel = message.address[prefix.len()..].parse::<usize>().ok().filter(|channel| *channel < MAX_CHANNELS);
        let Some(channel) = channel else { return link.malformed() };
        match &mut self.weave {
            None => self.width = self.width.max(channel + 1),
            Some(weave) => {
                // A board sends its channels in turn: when the turn begins again, so do the next samples.
                if self.last_channel.is_none_or(|last| channel <= last) {
                    self.frames += self.turn_samples;
                    self.turn_samples = 0;
                }
                // Before the first whole turn it is not known which samples belong together.
                if self.last_channel.is_some() || channel == 0 {
                    self.last_channel = Some(channel);
                    self.turn_samples = self.turn_samples.max(message.values.len() as u64);
                    weave.push(channel, self.frames, message.values.iter().copied());
                }
            }
        }
    }

    /// After each packet: what is whole goes on.
    pub fn hand_over(&mut self, at: Instant, link: &Link) {
        if let Some(weave) = &mut self.weave {
            weave.pop(&mut self.values);
            link.lose(weave.take_lost().div_ceil(self.width.max(1) as u64));
        } else if self.pattern.is_none() && self.width > 0 {
            let begun = *self.begun.get_or_insert(at);
            if at.duration_since(begun) >= LISTEN {
                let second = self.rate_hz as usize;
                self.weave = Some(Weave::new(self.width, (PATIENCE_SECS * self.rate_hz) as usize, 10 * second));
                self.announce(link);
            }
        } else if self.begun.is_none() && !self.values.is_empty() {
            self.begun = Some(at);
            self.announce(link);
        }
        if !self.values.is_empty() {
            link.push(at, None, 0, 0, std::mem::take(&mut self.values));
        }
    }

    fn announce(&self, link: &Link) {
        let name = |n: usize| self.even.names.get(n).map_or_else(|| format!("ch{n}"), |name| (*name).to_owned());
        let samples = (0..self.width).map(|n| (name(n), self.unit.to_owned()));
        let events = self.even.events.iter().map(|(_, name)| ((*name).to_owned(), String::new()));
        link.layout(Layout::even(samples.chain(events), self.rate_hz).stated());
    }
}
