//! A foreign address that moves a parameter.

use std::{fmt, time::Instant};

use rosc::OscType;

use super::{BindingReport, values};
use crate::control::{Handle, Kind, Origin, Table, Value, shown};

/// One argument of an address, its range, and what it moves.
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    pub address: String,
    /// Counted from 0; none for messages without.
    pub argument: Option<usize>,
    pub path: String,
    /// What the ends of the parameter's range are at the sender.
    pub from: f64,
    pub to: f64,
    /// While it is new: the values that came, and until when they widen the range.
    new: Option<New>,
    /// For triggers, which fire when a control comes up and not while it is up.
    is_up: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct New {
    until: Instant,
    min: f64,
    max: f64,
    is_whole: bool,
}

impl Binding {
    pub fn new(address: &str, argument: Option<usize>, path: &str, widens_until: Instant) -> Self {
        let new = New { until: widens_until, min: 0.0, max: 0.0, is_whole: true };
        Self { new: Some(new), ..Self::read(address, argument, path, 0.0, 1.0) }
    }

    /// As a file says it.
    pub fn read(address: &str, argument: Option<usize>, path: &str, from: f64, to: f64) -> Self {
        Self { address: address.into(), argument, path: path.into(), from, to, new: None, is_up: false }
    }

    pub fn is_widening(&self, now: Instant) -> bool {
        self.new.as_ref().is_some_and(|new| now < new.until)
    }

    /// Takes a value into account for the range.
    pub fn widen(&mut self, value: f64) {
        let Some(new) = &mut self.new else { return };
        (new.min, new.max) = (new.min.min(value), new.max.max(value));
        new.is_whole &= value.fract() == 0.0;
        (self.from, self.to) = match (new.min, new.max) {
            (min, max) if min >= 0.0 && max <= 1.0 => (0.0, 1.0),
            (min, max) if min >= -1.0 && max <= 1.0 => (-1.0, 1.0),
            (min, max) if min >= 0.0 && max <= 127.0 && new.is_whole => (0.0, 127.0),
            ends => ends,
        };
    }

    /// Moves the parameter, or says why not.
    pub fn play(
        &mut self,
        table: &Table,
        handle: &Handle,
        args: &[OscType],
        origin: Origin,
        now: Instant,
    ) -> Result<(), String> {
        let kind = handle.param().kind.clone();
        let arg = match self.argument {
            Some(at) => args.get(at).ok_or_else(|| format!("{} has no argument {}", self.address, at + 1))?,
            None => &OscType::Inf,
        };
        let wrong = || format!("{} moves {} and cannot with {}", self.address, self.path, values::shown_arg(arg));
        let value = match (&kind, values::value_of(arg).ok_or_else(wrong)?) {
            (Kind::Bool, Value::Pulse) => Value::Bool(!handle.is_on()),
            (Kind::Trigger, Value::Pulse) => Value::Pulse,
            (Kind::Text | Kind::Choice(_), Value::Text(text)) => Value::Text(text),
            (kind, _) => {
                let number = values::number_of(arg).ok_or_else(wrong)?;
                if self.is_widening(now) {
                    self.widen(number);
                } else {
                    self.new = None;
                }
                let normal = self.normal(number);
                let was_up = std::mem::replace(&mut self.is_up, normal >= 0.5);
                match kind {
                    Kind::Trigger => Value::Bool(self.is_up && !was_up),
                    Kind::Bool => Value::Bool(self.is_up),
                    Kind::Text => Value::text(shown(number)),
                    kind => Value::Float(kind.value_from_normal(normal)),
                }
            }
        };
        table.set(&self.path, value, origin).map(|_| ()).map_err(|error| error.to_string())
    }

    /// 0..1 over the sender's range; a range that runs backwards is an inverted control.
    fn normal(&self, value: f64) -> f64 {
        let way = self.to - self.from;
        if way == 0.0 { 0.0 } else { ((value - self.from) / way).clamp(0.0, 1.0) }
    }

    pub fn report(&self) -> BindingReport {
        BindingReport {
            address: self.address.clone(),
            argument: self.argument.map(|at| at + 1),
            parameter: self.path.clone(),
            from: self.from,
            to: self.to,
        }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, argument, path, .. } = self;
        match argument {
            Some(0) | None => write!(f, "{address} moves {path}"),
            Some(at) => write!(f, "argument {} of {address} moves {path}", at + 1),
        }
    }
}
