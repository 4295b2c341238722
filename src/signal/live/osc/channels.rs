//! Which channels the messages of unknown sensors are: each number of each address that matches, in the order of the
//! addresses, as found in the first second and a half. An address without numbers is an event, and so is what `events=`
//! names: a channel that rises when it comes and decays.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rosc::address::{Matcher, OscAddress};

use super::packet::Message;
use crate::signal::Channel;
use crate::signal::live::flow::likely_rate_hz;
use crate::signal::live::handover::{Beat, Layout, Link};

const LISTEN: Duration = Duration::from_millis(1500);
const MAX_CHANNELS: usize = 512;
const MAX_ADDRESSES: usize = 512;
/// Frames a second when nothing is said: at least so many, or as many as come.
const SLOWEST_HZ: f64 = 64.0;
const FASTEST_HZ: f64 = 20_000.0;
/// Newcomers that are told of.
const MAX_TOLD: usize = 8;

/// What was heard of an address while listening.
#[derive(Debug, Clone, Copy)]
struct Heard {
    values: usize,
    count: u32,
    first: Instant,
    last: Instant,
}

/// The channels of an address.
#[derive(Debug, Clone, Copy)]
struct Place {
    first_channel: usize,
    width: usize,
    is_event: bool,
}

/// Finds the channels, then hands over their values.
pub struct Channels {
    patterns: Vec<(String, Option<Matcher>)>,
    events: Vec<String>,
    rate_hz: Option<f64>,
    decay_secs: f64,
    unit: &'static str,
    heard: BTreeMap<Vec<Part>, (String, Heard)>,
    begun: Option<Instant>,
    places: Option<BTreeMap<String, Place>>,
    told: BTreeSet<String>,
}

/// A piece of an address; pieces compare so that ch2 comes before ch10.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Text(String),
}

impl Channels {
    /// The pattern that is no OSC address is the error. An empty one, or `/`, is everything.
    pub fn new(
        patterns: &[&str],
        events: &str,
        rate_hz: Option<f64>,
        decay_secs: f64,
        unit: &'static str,
    ) -> Result<Self, String> {
        let mut known = Vec::new();
        for pattern in patterns {
            let pattern = pattern.trim_end_matches('/');
            let is_plain = !pattern.contains(['*', '?', '[', '{']);
            if !pattern.is_empty() && !pattern.starts_with('/') {
                return Err(pattern.to_owned());
            }
            let matcher = if is_plain { None } else { Some(Matcher::new(pattern).map_err(|_| pattern.to_owned())?) };
            known.push((pattern.to_owned(), matcher));
        }
        let events: Vec<String> =
            events.split(',').map(str::trim).filter(|event| !event.is_empty()).map(str::to_owned).collect();
        if let Some(event) = events.iter().find(|event| !event.starts_with('/')) {
            return Err(event.clone());
        }
        Ok(Self {
            patterns: known,
            events,
            rate_hz,
            decay_secs,
            unit,
            heard: BTreeMap::new(),
            begun: None,
            places: None,
            told: BTreeSet::new(),
        })
    }

    /// A plain address is meant with all that is under it.
    fn matches(&self, address: &str) -> bool {
        self.events.iter().any(|event| event == address)
            || self.patterns.iter().any(|(pattern, matcher)| match matcher {
                None => {
                    address.strip_prefix(pattern.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                }
                Some(matcher) => {
                    OscAddress::new(address.to_owned()).is_ok_and(|address| matcher.match_address(&address))
                }
            })
    }

    pub fn take(&mut self, message: &Message, at: Instant, link: &Link) {
        let Some(places) = &self.places else {
            if self.matches(&message.address) {
                self.listen(message, at);
                self.idle(at, link);
            }
            return;
        };
        let Some(place) = places.get(&message.address) else {
            if self.told.len() < MAX_TOLD && !self.told.contains(&message.address) && self.matches(&message.address) {
                link.say(format!("osc: {} began to come too late; open the source anew to have it", message.address));
                self.told.insert(message.address.clone());
            }
            return;
        };
        let mut values = message.values.clone();
        if place.is_event {
            values.truncate(1);
            if values.is_empty() {
                values.push(1.0);
            }
        } else if values.len() < place.width {
            return link.malformed();
        }
        values.truncate(place.width);
        link.points(at, message.sender_secs, place.first_channel, values);
    }

    fn listen(&mut self, message: &Message, at: Instant) {
        self.begun.get_or_insert(at);
        let key = parts(&message.address);
        if self.heard.len() >= MAX_ADDRESSES && !self.heard.contains_key(&key) {
            return;
        }
        let new = Heard { values: 0, count: 0, first: at, last: at };
        let (_, heard) = self.heard.entry(key).or_insert_with(|| (message.address.clone(), new));
        heard.values = heard.values.max(message.values.len());
        heard.count += 1;
        heard.last = at;
    }

    /// Decides, when it has been listened for long enough.
    pub fn idle(&mut self, now: Instant, link: &Link) {
        if self.places.is_none() && self.begun.is_some_and(|begun| now.duration_since(begun) >= LISTEN) {
            self.decide(link);
        }
    }

    fn decide(&mut self, link: &Link) {
        let (mut channels, mut pulses, mut places) = (Vec::new(), Vec::new(), BTreeMap::new());
        let fastest_hz = self.heard.values().map(|(_, heard)| rate_hz(heard)).fold(0.0, f64::max);
        let usual_hz = || if fastest_hz > SLOWEST_HZ { likely_rate_hz(fastest_hz.min(FASTEST_HZ)) } else { SLOWEST_HZ };
        let rate_hz = self.rate_hz.unwrap_or_else(usual_hz);
        let named = self.events.iter().map(|event| (event.clone(), 0));
        let found = self.heard.values().map(|(address, heard)| (address.clone(), heard.values));
        let found = found.filter(|(address, _)| !self.events.contains(address));
        for (address, values) in found.chain(named) {
            let is_event = values == 0;
            let width = values.max(1);
            if channels.len() + width > MAX_CHANNELS {
                link.say(format!("osc: more than {MAX_CHANNELS} numbers come; {address} and what follows is left out"));
                break;
            }
            places.insert(address.clone(), Place { first_channel: channels.len(), width, is_event });
            for n in 0..width {
                let name = if width == 1 { address.clone() } else { format!("{address}:{n}") };
                let unit = if is_event { "" } else { self.unit };
                channels.push(Channel { name, unit: unit.to_owned(), rate_hz });
                pulses.push(is_event.then_some(self.decay_secs));
            }
        }
        link.layout(Layout { channels, pulses, rate_hz, rate_is_stated: false, beat: Beat::Uneven, odd: Vec::new() });
        self.places = Some(places);
        self.heard.clear();
    }
}

fn rate_hz(heard: &Heard) -> f64 {
    let secs = heard.last.duration_since(heard.first).as_secs_f64();
    if secs > 0.0 { f64::from(heard.count - 1) / secs } else { 0.0 }
}

fn parts(address: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = address;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let taken = if digits > 0 { digits } else { rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len()) };
        let (piece, after) = rest.split_at(taken);
        parts.push(piece.parse().map_or_else(|_| Part::Text(piece.to_owned()), Part::Number));
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::live::handover::handover;

    fn message(address: &str, values: &[f64]) -> Message {
        Message { address: address.into(), values: values.to_vec(), floats: values.to_vec(), sender_secs: None }
    }

    #[test]
    fn each_number_of_each_matching_address_is_a_channel_in_natural_order() {
        let (link, inbox) = handover();
        let mut channels = Channels::new(&["/s/*/v"], "/jaw", None, 0.5, "").unwrap();
        let begin = Instant::now();
        for n in 0..200u32 {
            let at = begin + n * Duration::from_millis(10);
            for address in ["/s/10/v", "/s/2/v", "/t/2/v"] {
                channels.take(&message(address, &[1.0, 2.0]), at, &link);
            }
            if n % 50 == 0 {
                channels.take(&message("/s/blink/v", &[]), at, &link);
            }
        }
        let layout = &inbox.layout().unwrap().1;
        let names: Vec<_> = layout.channels.iter().map(|channel| channel.name.as_str()).collect();
        assert_eq!(names, ["/s/2/v:0", "/s/2/v:1", "/s/10/v:0", "/s/10/v:1", "/s/blink/v", "/jaw"]);
        assert_eq!(layout.pulses, [None, None, None, None, Some(0.5), Some(0.5)]);
        assert_eq!(layout.rate_hz, 100.0);
    }

    #[test]
    fn a_plain_address_is_meant_with_all_that_is_under_it() {
        let channels = Channels::new(&["/wind"], "", None, 0.5, "").unwrap();
        assert!(channels.matches("/wind") && channels.matches("/wind/speed"));
        assert!(!channels.matches("/windy") && !channels.matches("/a/wind"));
        assert!(Channels::new(&[""], "", None, 0.5, "").unwrap().matches("/anything/at/all"));
        assert!(Channels::new(&["/s/[1-/x"], "", None, 0.5, "").is_err());
    }
}
