//! The map of one controller: which control moves which parameter, and how the controller shows it.
//!
//! A TOML file that a person can write, one a controller:
//! ```toml
//! version = 1
//! name = "Two knobs and a pad"
//! ports = ["Two Knobs"]                # part of the port's name; the longest that fits wins
//! channel = 1                          # of every control that names none; left out: any
//! greet = ["F0 00 20 F7"]              # sent when it is plugged in; may be left out
//!
//! [lights]
//! ring = { from = 0, to = 127, follow = true }
//! pad = { on = 1, off = 0 }
//!
//! [[control]]
//! source = "cc 1"
//! name = "knob 1"
//! target = "/dream/vivid"
//! light = "ring"
//!
//! [[control]]
//! source = "note 36"
//! target = "/preset"
//! value = "coral"
//! light = "pad"
//! ```
//! A control without a target is one that can be learned: its light and its way are known.

use std::path::Path;

use super::{bytes::Bytes, encoder::Encoder, source::Source};

mod read;
mod write;

pub(super) use read::STEP;

/// The newest version of the format that this program reads.
const VERSION: i64 = 1;

/// A controller and its controls.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// The file's name without its ending: how it is overridden.
    pub id: String,
    /// Where it was read from, for messages.
    pub file: String,
    pub name: String,
    pub about: String,
    /// Parts of the names of its ports, in lower case; `*` fits all.
    pub ports: Vec<String>,
    /// Sent when it is plugged in.
    pub greet: Vec<Bytes>,
    pub controls: Vec<Control>,
}

/// One knob, fader, button or pad.
#[derive(Debug, Clone, PartialEq)]
pub struct Control {
    pub source: Source,
    /// From 0; None listens to all.
    pub channel: Option<u8>,
    /// As it is written on the controller; may be empty.
    pub name: String,
    /// The path of the parameter that it moves.
    pub target: Option<String>,
    pub way: Way,
    /// Both ends, in the parameter's unit.
    pub range: Option<(f64, f64)>,
    pub invert: bool,
    pub curve: Shape,
    pub smooth_secs: f64,
    pub takeover: Takeover,
    pub light: Option<Light>,
    /// In the file, for messages; 0 if it was learned.
    pub line: usize,
}

/// What a control does to its parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Way {
    /// A button for notes and single programs, else a position.
    Auto,
    /// Its position is the parameter's place in the range.
    Position,
    /// A button; what it does follows from the parameter's kind.
    Button,
    /// Steps of an endless encoder, each so far on the normal scale (a whole value for what has values).
    Relative { encoder: Encoder, step: f64 },
    /// The upper end of the range while it is held, the lower one else.
    Gate,
    /// From one end of the range to the other at each press.
    Toggle,
    /// Fires at each press.
    Trigger,
    /// The harder the press, the higher.
    Velocity,
    /// To the next value, or the one before, around the end, at each press.
    Step(i32),
    /// Sets this value at each press.
    Set(String),
}

/// How a position 0..1 runs over the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    #[default]
    Linear,
    /// Fine at the low end.
    Slow,
    /// Fine at the high end.
    Fast,
    /// Fine at both ends.
    Ess,
}

/// What happens when a control and its parameter are not at the same place. The words are Ableton Live's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Takeover {
    /// The control does nothing until it passes the parameter's value.
    #[default]
    PickUp,
    /// The parameter moves in proportion to the ways that are left, until both are at the same place.
    Scale,
    /// The parameter jumps.
    None,
}

/// How a controller shows a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Light {
    /// None: by the message of the control itself.
    pub send: Option<Source>,
    /// From 0; None: the control's own, or the first.
    pub channel: Option<u8>,
    pub show: Show,
    /// The control itself takes this position (a motor fader, an encoder that counts): nothing is left to take over.
    pub follow: bool,
}

/// The values that are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Show {
    Switch { off: u16, on: u16 },
    Position { from: u16, to: u16 },
}

impl Shape {
    const NAMES: [&str; 4] = ["linear", "slow", "fast", "s"];
    const ALL: [Self; 4] = [Self::Linear, Self::Slow, Self::Fast, Self::Ess];

    /// Where a control at `position` puts its parameter.
    pub fn apply(self, position: f64) -> f64 {
        let x = position.clamp(0.0, 1.0);
        match self {
            Self::Linear => x,
            Self::Slow => x * x,
            Self::Fast => x.sqrt(),
            Self::Ess => x * x * (3.0 - 2.0 * x),
        }
    }

    /// The position that leads there.
    pub fn invert(self, shaped: f64) -> f64 {
        let y = shaped.clamp(0.0, 1.0);
        match self {
            Self::Linear => y,
            Self::Slow => y.sqrt(),
            Self::Fast => y * y,
            // The root of the cubic in 0..1, by its trigonometric form.
            Self::Ess => 0.5 - ((1.0 - 2.0 * y).asin() / 3.0).sin(),
        }
    }
}

impl Takeover {
    const NAMES: [&str; 3] = ["pick-up", "scale", "none"];
    const ALL: [Self; 3] = [Self::PickUp, Self::Scale, Self::None];
}

impl Control {
    /// A control about which nothing but its messages is known.
    pub fn new(source: Source, channel: Option<u8>) -> Self {
        Self {
            source,
            channel,
            name: String::new(),
            target: None,
            way: Way::Auto,
            range: None,
            invert: false,
            curve: Shape::default(),
            smooth_secs: 0.0,
            takeover: Takeover::default(),
            light: None,
            line: 0,
        }
    }

    pub fn hears(&self, source: Source, channel: u8) -> bool {
        self.source == source && self.channel.is_none_or(|own| own == channel)
    }

    /// As people call it: `fader 3 (cc 2)`.
    pub fn shown(&self) -> String {
        match (self.name.as_str(), self.channel) {
            ("", None) => self.source.to_string(),
            ("", Some(channel)) => format!("{} on channel {}", self.source, channel + 1),
            (name, _) => format!("{name} ({})", self.source),
        }
    }
}

impl Map {
    /// An empty map for a port that no map knows.
    pub fn for_port(port: &str) -> Self {
        let id = slug(port);
        Self {
            file: format!("{id}.toml"),
            id,
            name: port.into(),
            about: String::new(),
            ports: vec![port.to_lowercase()],
            greet: Vec::new(),
            controls: Vec::new(),
        }
    }

    /// Whether a person wrote or learned it; shipped maps have a bare name for a file.
    pub fn is_users(&self) -> bool {
        Path::new(&self.file).components().count() > 1
    }

    /// How well it fits a port: the length of the longest part of its name, None if it does not fit.
    pub fn fit(&self, port: &str) -> Option<usize> {
        let port = port.to_lowercase();
        let fits = |part: &&String| part.as_str() == "*" || port.contains(part.as_str());
        self.ports.iter().filter(fits).map(|part| if part == "*" { 0 } else { part.len() }).max()
    }
}

/// A file name of a port's name: letters and digits, small, with dashes.
fn slug(port: &str) -> String {
    let words: Vec<String> = port
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    if words.is_empty() { "controller".into() } else { words.join("-") }
}

#[cfg(test)]
mod tests;
