//! Setting a parameter: which values its kind takes, what becomes of them, and what is said when they do not fit.

use std::{fmt, sync::Arc};

use super::{Kind, Param, Value, param::shown};

/// What became of a value that was set.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// False if it had this value already.
    pub changed: bool,
    pub clamped: Option<Clamped>,
}

/// A number was out of range and the end of the range was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Clamped {
    pub path: String,
    pub asked: f64,
    pub taken: f64,
    pub expected: String,
}

impl fmt::Display for Clamped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, asked, taken, expected } = self;
        write!(f, "{path} takes {expected}: {} instead of {}", shown(*taken), shown(*asked))
    }
}

/// Why a value was not set.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SetError {
    #[error("there is no parameter {path}{}", hint(nearest))]
    Unknown { path: String, nearest: Option<String> },
    #[error("{path} takes {expected}, not {found}")]
    WrongType { path: String, expected: String, found: String },
    #[error("{path} only shows a state and cannot be set")]
    ReadOnly { path: String },
    #[error("“{text}” is not a setting: write /path=value, for instance /dream/vivid=0.5")]
    NotASetting { text: String },
}

fn hint(nearest: &Option<String>) -> String {
    match nearest {
        Some(name) => format!("; did you mean {name}?"),
        None => "; `wavedream params` lists them all".into(),
    }
}

/// A value as its parameter takes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fitting {
    Number {
        taken: f64,
        clamped: Option<Clamped>,
    },
    Text(Arc<str>),
    /// A trigger, and whether it fires: a note-off or a button's release does not.
    Pulse(bool),
}

/// Fits a value to a parameter, without setting it.
pub(super) fn fit(param: &Param, value: &Value) -> Result<Fitting, SetError> {
    let fitting = match &param.kind {
        Kind::Text => match value {
            Value::Text(text) => Some(Fitting::Text(Arc::clone(text))),
            _ => None,
        },
        Kind::Trigger => match value {
            Value::Pulse => Some(Fitting::Pulse(true)),
            Value::Bool(on) => Some(Fitting::Pulse(*on)),
            value => value.as_number().map(|number| Fitting::Pulse(number > 0.0)),
        },
        kind => number_for(kind, value).map(|asked| clamp(param, asked)),
    };
    fitting.ok_or_else(|| SetError::WrongType {
        path: param.path.clone(),
        expected: param.kind.expected(),
        found: value.to_string(),
    })
}

/// Reads a value as this parameter takes it: `on` for a switch, `50` for a choice that has a `50`.
pub(super) fn value_from_text(kind: &Kind, text: &str) -> Value {
    let on = match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Some(true),
        "off" | "false" | "no" | "0" => Some(false),
        _ => None,
    };
    match kind {
        Kind::Bool | Kind::Trigger => on.map_or_else(|| Value::text(text), Value::Bool),
        Kind::Float { .. } | Kind::Int { .. } => text.parse().map_or_else(|_| Value::text(text), Value::Float),
        Kind::Choice(_) | Kind::Text => Value::text(text),
    }
}

fn clamp(param: &Param, asked: f64) -> Fitting {
    let (min, max) = param.kind.range();
    let taken = asked.clamp(min, max);
    let clamped =
        (taken != asked).then(|| Clamped { path: param.path.clone(), asked, taken, expected: param.kind.expected() });
    Fitting::Number { taken, clamped }
}

/// The number that a value means for this kind, before it is clamped.
fn number_for(kind: &Kind, value: &Value) -> Option<f64> {
    let number = value.as_number().filter(|number| number.is_finite());
    let position = |wanted: &str| match kind {
        Kind::Choice(names) => names.iter().position(|name| name.eq_ignore_ascii_case(wanted)).map(|at| at as f64),
        _ => None,
    };
    match (kind, value) {
        (Kind::Float { .. }, _) => number,
        (Kind::Int { .. }, _) => number.map(f64::round),
        (Kind::Bool, Value::Bool(on)) => Some(f64::from(u8::from(*on))),
        (Kind::Bool, _) => number.map(|number| f64::from(u8::from(number >= 0.5))),
        (Kind::Choice(_), Value::Text(name)) => position(name),
        // A choice of numbers (50, 60) is named by its number; any other choice is counted from 0.
        (Kind::Choice(_), _) => number.map(|number| position(&shown(number)).unwrap_or(number.round())),
        _ => None,
    }
}
