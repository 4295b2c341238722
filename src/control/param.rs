//! What a parameter is: its declaration, the values it takes, and the two scales it can be moved on.
//!
//! A number has its own scale (Hz, seconds) and a normal one, 0..1 over its range along its [`Curve`]. Controllers,
//! glides and modulation work on the normal scale, so that a knob turns evenly over a frequency too.

use std::{fmt, sync::Arc};

/// A value on its way into or out of the table.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Float(f64),
    Int(i64),
    Bool(bool),
    /// A text, or the name of a choice.
    Text(Arc<str>),
    /// Fires a trigger.
    Pulse,
}

impl Value {
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::Text(text.as_ref().into())
    }

    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            Self::Int(number) => Some(*number as f64),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(number) => f.write_str(&shown(*number)),
            Self::Int(number) => write!(f, "{number}"),
            Self::Bool(on) => f.write_str(if *on { "on" } else { "off" }),
            Self::Text(text) => write!(f, "“{text}”"),
            Self::Pulse => f.write_str("(fires)"),
        }
    }
}

/// A number as a person writes it: at most six digits after the point.
pub fn shown(number: f64) -> String {
    let rounded = (number * 1e6).round() / 1e6;
    // Minus zero would print its sign.
    format!("{}", if rounded == 0.0 { 0.0 } else { rounded })
}

/// How the normal scale 0..1 runs over a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    Linear,
    /// Equal ratios for equal turns; only for ranges that start above 0.
    Log,
}

/// The type and range of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Float { min: f64, max: f64, curve: Curve },
    Int { min: i64, max: i64 },
    Bool,
    Choice(Arc<[Arc<str>]>),
    Text,
    Trigger,
}

impl Kind {
    /// What may be written for this kind, to end the sentence "it takes …".
    pub fn expected(&self) -> String {
        match self {
            Self::Float { min, max, .. } => format!("a number from {} to {}", shown(*min), shown(*max)),
            Self::Int { min, max } => format!("a whole number from {min} to {max}"),
            Self::Bool => "on or off".into(),
            Self::Choice(names) => format!("one of {}", names.join(", ")),
            Self::Text => "a text".into(),
            Self::Trigger => "a pulse (1)".into(),
        }
    }

    pub fn is_number(&self) -> bool {
        matches!(self, Self::Float { .. } | Self::Int { .. })
    }

    /// The range of a number; 0..1 for what is not one.
    pub(super) fn range(&self) -> (f64, f64) {
        match self {
            Self::Float { min, max, .. } => (*min, *max),
            Self::Int { min, max } => (*min as f64, *max as f64),
            Self::Choice(names) => (0.0, names.len().saturating_sub(1) as f64),
            _ => (0.0, 1.0),
        }
    }

    /// 0..1 from a value on the parameter's own scale.
    pub fn normal_from_value(&self, value: f64) -> f64 {
        let (min, max) = self.range();
        if max <= min {
            return 0.0;
        }
        let normal = match self {
            Self::Float { curve: Curve::Log, .. } if min > 0.0 => (value.max(min) / min).ln() / (max / min).ln(),
            _ => (value - min) / (max - min),
        };
        normal.clamp(0.0, 1.0)
    }

    /// A value on the parameter's own scale from 0..1; whole for every kind but `Float`.
    pub fn value_from_normal(&self, normal: f64) -> f64 {
        let (min, max) = self.range();
        let normal = normal.clamp(0.0, 1.0);
        match self {
            Self::Float { curve: Curve::Log, .. } if min > 0.0 => (min * (max / min).powf(normal)).clamp(min, max),
            Self::Float { .. } => (min + normal * (max - min)).clamp(min, max),
            _ => (min + normal * (max - min)).round(),
        }
    }
}

/// Who moved a parameter last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Origin {
    /// Nobody yet: the default.
    Start,
    CommandLine,
    Preset,
    Key,
    Panel,
    /// The program itself, for instance to keep a value within a new range.
    Program,
    /// A list of cues.
    Cue,
    /// Taken back, or taken back again.
    Undo,
    Midi,
    /// A message of OSC over UDP.
    Osc,
    /// The control page, or another program over the same WebSocket.
    Web,
}

impl Origin {
    pub(super) fn from_bits(bits: u32) -> Self {
        match bits {
            1 => Self::CommandLine,
            2 => Self::Preset,
            3 => Self::Key,
            4 => Self::Panel,
            5 => Self::Program,
            6 => Self::Cue,
            7 => Self::Undo,
            8 => Self::Midi,
            9 => Self::Osc,
            10 => Self::Web,
            _ => Self::Start,
        }
    }
}

/// What the recall of a preset does to a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recall {
    /// Part of the look: a preset that does not name it brings the default back.
    Look,
    /// Part of the set-up (the screen, the electrodes, the speed of the machine): only a preset that names it moves it.
    Setup,
    /// Belongs to the moment (blackout): presets do not hold it.
    Never,
}

/// The declaration of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    pub path: String,
    pub kind: Kind,
    pub default: Value,
    /// "Hz", "s"; empty for a bare number.
    pub unit: String,
    /// One sentence.
    pub about: String,
    pub recall: Recall,
    /// Shows a state of the program, which alone writes it.
    pub read_only: bool,
    /// Moves with the signal: recordings of the show leave it out, for the signal brings it back.
    pub measured: bool,
}

impl Param {
    fn new(path: impl Into<String>, kind: Kind, default: Value) -> Self {
        let (unit, about) = (String::new(), String::new());
        Self { path: path.into(), kind, default, unit, about, recall: Recall::Look, read_only: false, measured: false }
    }

    pub fn float(path: impl Into<String>, min: f64, max: f64, default: f64) -> Self {
        Self::new(path, Kind::Float { min, max, curve: Curve::Linear }, Value::Float(default))
    }

    pub fn int(path: impl Into<String>, min: i64, max: i64, default: i64) -> Self {
        Self::new(path, Kind::Int { min, max }, Value::Int(default))
    }

    pub fn bool(path: impl Into<String>, default: bool) -> Self {
        Self::new(path, Kind::Bool, Value::Bool(default))
    }

    /// The default is the first of the names; see [`Param::starting_at`].
    pub fn choice<S: AsRef<str>>(path: impl Into<String>, names: impl IntoIterator<Item = S>) -> Self {
        let names: Arc<[Arc<str>]> = names.into_iter().map(|name| Arc::from(name.as_ref())).collect();
        let default = Value::Text(names.first().cloned().unwrap_or_else(|| "".into()));
        Self::new(path, Kind::Choice(names), default)
    }

    pub fn text(path: impl Into<String>, default: &str) -> Self {
        Self::new(path, Kind::Text, Value::text(default))
    }

    pub fn trigger(path: impl Into<String>) -> Self {
        Self { recall: Recall::Never, ..Self::new(path, Kind::Trigger, Value::Pulse) }
    }

    pub fn about(mut self, about: impl Into<String>) -> Self {
        self.about = about.into();
        self
    }

    pub fn unit(mut self, unit: impl Into<String>) -> Self {
        self.unit = unit.into();
        self
    }

    /// Moves evenly in ratios instead of differences.
    pub fn log(mut self) -> Self {
        if let Kind::Float { curve, .. } = &mut self.kind {
            *curve = Curve::Log;
        }
        self
    }

    /// Another default for a choice.
    pub fn starting_at(mut self, name: &str) -> Self {
        self.default = Value::text(name);
        self
    }

    pub fn setup(mut self) -> Self {
        self.recall = Recall::Setup;
        self
    }

    pub fn never_recalled(mut self) -> Self {
        self.recall = Recall::Never;
        self
    }

    /// Only shows a state: nobody but the program writes it, and presets do not hold it.
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self.never_recalled()
    }

    /// Only shows what is measured of the signal: as [`Self::read_only`], and not part of recordings either.
    pub fn measured(mut self) -> Self {
        self.measured = true;
        self.read_only()
    }

    /// Where it stands in lists: the path without its last part, `dream/genre` for `/dream/genre/ink`.
    pub fn group(&self) -> &str {
        let path = self.path.trim_start_matches('/');
        path.rsplit_once('/').map_or(path, |(group, _)| group)
    }

    /// The number that stands for the default; 0 for a text or trigger.
    pub(super) fn default_number(&self) -> f64 {
        match (&self.kind, &self.default) {
            (Kind::Choice(names), Value::Text(name)) => names.iter().position(|n| n == name).unwrap_or(0) as f64,
            (_, Value::Bool(on)) => f64::from(u8::from(*on)),
            (kind, value) => {
                let (min, max) = kind.range();
                value.as_number().unwrap_or(0.0).clamp(min, max)
            }
        }
    }
}
