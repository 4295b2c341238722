//! Values back to lights, rings and motor faders.
//!
//! Sent when what is to be seen differs from what was sent last, by whatever way the parameter moved; never to a control
//! that is being moved, and a ring or motor at most [`MOST_A_SEC`] times a second.

use super::{
    assemble::Reading,
    binding::{Binding, position_of},
    bytes::Bytes,
    map::{Light, Show, Way},
};
use crate::control::{Handle, Kind, Value, setting::value_from_text};

/// A hand that rests on a fader longer than this lets the motor go on; shorter, and it would be pulled away.
pub const HOLD_SECS: f64 = 0.25;
/// Faster than the eye and a motor follow, slow enough for a DIN cable with a dozen faders (1000 messages a second).
const MOST_A_SEC: f64 = 30.0;
/// How long a light shows that a trigger has fired.
const FLASH_SECS: f64 = 0.15;

/// What one control shows.
#[derive(Debug, Default)]
pub struct Lamp {
    sent: Option<u16>,
    sent_secs: Option<f64>,
    pulses: Option<u64>,
    flash_until_secs: f64,
}

impl Lamp {
    /// It is to be sent again, for nobody knows what it shows.
    pub fn forget(&mut self) {
        self.sent = None;
    }

    fn is_due(&self, now_secs: f64) -> bool {
        self.sent_secs.is_none_or(|sent| now_secs - sent >= 1.0 / MOST_A_SEC)
    }
}

impl Binding {
    /// The control says itself where it is: that is what it shows.
    pub fn shows(&mut self, reading: Reading) {
        if let Some(Light { show: Show::Position { from, to }, follow: true, .. }) = self.control.light
            && matches!(reading, Reading::Seven(_) | Reading::Fine(_))
        {
            self.lamp.sent = Some(between(from, to, position_of(reading)));
        }
    }

    /// The message that brings the light up to date; None if it is, or may not be touched now. `plays` tells whether a
    /// preset, by any of its names, is the one that plays.
    pub fn light(&mut self, now_secs: f64, plays: &dyn Fn(&str) -> bool) -> Option<Bytes> {
        let light = self.control.light?;
        let kind = self.handle.as_ref().map(|handle| handle.param().kind.clone());
        let (value, place) = match (&self.handle.clone(), &kind, light.show) {
            (Some(handle), Some(kind), Show::Position { from, to }) => {
                let moved = matches!(self.way(kind), Way::Position) && now_secs - self.moved_secs < HOLD_SECS;
                if self.lamp.sent.is_some() && (moved || !self.lamp.is_due(now_secs)) {
                    return None;
                }
                let place = self.place(handle, kind);
                (between(from, to, place), Some(place))
            }
            (Some(handle), Some(kind), Show::Switch { off, on }) => {
                (if self.is_lit(handle, kind, now_secs, plays) { on } else { off }, None)
            }
            (_, _, Show::Position { from, .. }) => (from, None),
            (_, _, Show::Switch { off, .. }) => (off, None),
        };
        if self.lamp.sent == Some(value) {
            return None;
        }
        self.lamp.sent = Some(value);
        self.lamp.sent_secs = Some(now_secs);
        if let Some(place) = place.filter(|_| light.follow) {
            self.was_brought_to(place);
        }
        Some(self.message(light, value))
    }

    /// The message that darkens the light when the program ends. A motor stays where it is.
    pub fn dark(&self) -> Option<Bytes> {
        let light = self.control.light?;
        match light.show {
            Show::Switch { .. } => Some(self.message(light, 0)),
            Show::Position { .. } => None,
        }
    }

    fn message(&self, light: Light, value: u16) -> Bytes {
        let channel = light.channel.or(self.control.channel).unwrap_or(0);
        light.send.unwrap_or(self.control.source).message(channel, value)
    }

    fn is_lit(&mut self, handle: &Handle, kind: &Kind, now_secs: f64, plays: &dyn Fn(&str) -> bool) -> bool {
        match (kind, self.way(kind)) {
            (Kind::Trigger, _) => {
                let pulses = handle.pulses();
                if self.lamp.pulses.replace(pulses).is_some_and(|before| before != pulses) {
                    self.lamp.flash_until_secs = now_secs + FLASH_SECS;
                }
                now_secs < self.lamp.flash_until_secs
            }
            (_, Way::Set(wanted)) if handle.path() == "/preset" => plays(&wanted),
            (Kind::Text | Kind::Choice(_), Way::Set(wanted)) => handle.text().eq_ignore_ascii_case(&wanted),
            (_, Way::Set(wanted)) => match value_from_text(kind, &wanted) {
                Value::Bool(on) => on == (handle.base() >= 0.5),
                value => value.as_number() == Some(handle.base()),
            },
            (Kind::Bool, _) | (_, Way::Gate | Way::Toggle | Way::Trigger) => self.place(handle, kind) > 0.5,
            _ => handle.value() != handle.param().default,
        }
    }
}

fn between(from: u16, to: u16, position: f64) -> u16 {
    let (from, to) = (f64::from(from), f64::from(to));
    (from + position.clamp(0.0, 1.0) * (to - from)).round() as u16
}
