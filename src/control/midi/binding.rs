//! A control at work: what it says moves its parameter.
//!
//! Runs on the main thread. Positions are 0..1 along the control's way; the parameter's normal scale follows from them
//! by direction, curve and range, and back, for take-over and lights.

use super::{
    assemble::Reading,
    lamp::Lamp,
    map::{Control, Takeover, Way},
    source::Source,
    takeover,
};
use crate::control::{Handle, Kind, Origin, SetError, Table, Value};

/// A press of a step button moves a number this far along its way.
const STEP: f64 = 0.05;
/// Nearer to its goal than this, what is smoothed has arrived.
const ARRIVED: f64 = 1e-4;

/// One control of a map and the parameter that it moves.
#[derive(Debug)]
pub struct Binding {
    pub control: Control,
    pub lamp: Lamp,
    pub(super) handle: Option<Handle>,
    takeover: takeover::State,
    /// The parameter's change counter after the control's own last move.
    own: u64,
    /// Where smoothing leads, on the normal scale.
    goal: Option<f64>,
    is_down: bool,
    last: Option<f64>,
    /// When it was last moved by hand.
    pub(super) moved_secs: f64,
}

impl Binding {
    pub fn new(control: Control, table: &Table) -> Self {
        let mut binding = Self {
            control,
            lamp: Lamp::default(),
            handle: None,
            takeover: takeover::State::default(),
            own: u64::MAX,
            goal: None,
            is_down: false,
            last: None,
            moved_secs: f64::NEG_INFINITY,
        };
        binding.find(table);
        binding
    }

    /// Finds the parameter again after the table's layout changed.
    pub fn find(&mut self, table: &Table) {
        self.handle = self.control.target.as_ref().and_then(|path| table.handle(path).ok());
    }

    /// What the control does to a parameter of this kind.
    pub(super) fn way(&self, kind: &Kind) -> Way {
        let is_button = matches!(self.control.source, Source::Note(_) | Source::Program(Some(_)));
        match (&self.control.way, kind) {
            (Way::Auto, _) if !is_button => Way::Position,
            (Way::Auto | Way::Button, Kind::Trigger) => Way::Trigger,
            (Way::Auto | Way::Button, Kind::Bool) => Way::Toggle,
            (Way::Auto | Way::Button, Kind::Int { .. } | Kind::Choice(_)) => Way::Step(1),
            (Way::Auto | Way::Button, _) => Way::Gate,
            (way, _) => way.clone(),
        }
    }

    /// Does what a reading asks.
    pub fn hear(&mut self, reading: Reading, table: &Table, now_secs: f64) -> Result<(), SetError> {
        let Some(handle) = self.handle.clone() else { return Ok(()) };
        let kind = handle.param().kind.clone();
        if handle.changed() != self.own {
            self.takeover.let_go();
            self.goal = None;
        }
        self.moved_secs = now_secs;
        let way = self.way(&kind);
        match (&way, reading) {
            (_, Reading::Steps(steps)) => self.turn(&handle, &kind, f64::from(steps), super::map::STEP, table),
            (Way::Relative { encoder, step }, Reading::Seven(value)) => {
                self.turn(&handle, &kind, f64::from(encoder.steps(value)), *step, table)
            }
            (Way::Position, Reading::Seven(number)) if self.control.source == Source::Program(None) => {
                self.program(&handle, &kind, number, table)
            }
            (Way::Position | Way::Relative { .. }, _) => self.go_to(&handle, &kind, position_of(reading), table),
            _ => self.button(&handle, &kind, &way, reading, table),
        }
    }

    /// Moves what is smoothed by `dt_secs`.
    pub fn tick(&mut self, dt_secs: f64, table: &Table) {
        let (Some(goal), Some(handle)) = (self.goal, self.handle.clone()) else { return };
        if handle.changed() != self.own {
            self.goal = None;
            return;
        }
        let at = handle.normal();
        let next = goal + (at - goal) * (-dt_secs / self.control.smooth_secs).exp();
        let arrived = (next - goal).abs() < ARRIVED;
        if arrived {
            self.goal = None;
        }
        let kind = handle.param().kind.clone();
        let value = kind.value_from_normal(if arrived { goal } else { next });
        // The parameter can be gone only together with its handle, which is found again at the next layout.
        let _ = self.set(&handle, Value::Float(value), table);
    }

    /// Where the parameter is on the control's way, or is going to.
    pub(super) fn place(&self, handle: &Handle, kind: &Kind) -> f64 {
        self.position_from_normal(kind, self.goal.unwrap_or_else(|| handle.normal()))
    }

    /// A motor or a counting encoder was brought to the parameter's place.
    pub(super) fn was_brought_to(&mut self, position: f64) {
        if let Some(handle) = &self.handle {
            self.own = handle.changed();
            self.takeover.brought_to(position);
        }
    }

    fn go_to(&mut self, handle: &Handle, kind: &Kind, position: f64, table: &Table) -> Result<(), SetError> {
        let before = self.last.replace(position);
        match kind {
            Kind::Text => Ok(()),
            // A fader fires when it passes its middle on the way up.
            Kind::Trigger if position >= 0.5 && before.is_none_or(|before| before < 0.5) => {
                self.set(handle, Value::Pulse, table)
            }
            Kind::Trigger => Ok(()),
            _ => {
                let at = self.place(handle, kind);
                let wanted = kind.value_from_normal(self.normal_from_position(kind, position));
                let has_few = !matches!(kind, Kind::Float { .. });
                let same = has_few && wanted == kind.value_from_normal(handle.normal());
                match self.takeover.moved(self.control.takeover, position, at, same) {
                    Some(to) => self.put(handle, kind, to, table),
                    None => Ok(()),
                }
            }
        }
    }

    fn turn(&mut self, handle: &Handle, kind: &Kind, steps: f64, step: f64, table: &Table) -> Result<(), SetError> {
        let upwards = if self.control.invert { -steps } else { steps };
        match kind {
            _ if steps == 0.0 => Ok(()),
            Kind::Text => Ok(()),
            Kind::Trigger => self.set(handle, Value::Pulse, table),
            Kind::Bool => self.set(handle, Value::Bool(upwards > 0.0), table),
            Kind::Float { .. } => {
                let to = self.place(handle, kind) + steps * step;
                self.put(handle, kind, to.clamp(0.0, 1.0), table)
            }
            Kind::Int { .. } | Kind::Choice(_) => {
                let (min, max) = kind.range();
                let number = (handle.base() + upwards).clamp(min, max);
                self.set(handle, value_of(kind, number), table)
            }
        }
    }

    /// A program change counts through what can be counted.
    fn program(&mut self, handle: &Handle, kind: &Kind, number: u8, table: &Table) -> Result<(), SetError> {
        match kind {
            Kind::Text => self.set(handle, Value::text((u16::from(number) + 1).to_string()), table),
            Kind::Int { .. } | Kind::Choice(_) => {
                let (min, max) = kind.range();
                self.set(handle, value_of(kind, (min + f64::from(number)).min(max)), table)
            }
            _ => self.go_to(handle, kind, f64::from(number) / 127.0, table),
        }
    }

    fn button(
        &mut self,
        handle: &Handle,
        kind: &Kind,
        way: &Way,
        reading: Reading,
        table: &Table,
    ) -> Result<(), SetError> {
        let position = position_of(reading);
        let is_down = position >= 0.5 || matches!(reading, Reading::Press(_));
        if std::mem::replace(&mut self.is_down, is_down) == is_down && !matches!(reading, Reading::Press(_)) {
            return Ok(());
        }
        // Many buttons light or darken by themselves when they are pressed or let go: the right light is set again.
        self.lamp.forget();
        match way {
            Way::Gate => self.put(handle, kind, if is_down { 1.0 } else { 0.0 }, table),
            _ if !is_down => Ok(()),
            Way::Set(text) => {
                let path = handle.path();
                let value = table.value_from_text(&path, text)?;
                self.set(handle, value, table)
            }
            Way::Trigger if *kind == Kind::Trigger => self.set(handle, Value::Pulse, table),
            Way::Velocity => self.put(handle, kind, velocity_of(reading), table),
            Way::Step(by) => self.step(handle, kind, *by, table),
            _ => {
                let is_high = self.place(handle, kind) > 0.5;
                self.put(handle, kind, if is_high { 0.0 } else { 1.0 }, table)
            }
        }
    }

    fn step(&mut self, handle: &Handle, kind: &Kind, by: i32, table: &Table) -> Result<(), SetError> {
        match kind {
            Kind::Int { .. } | Kind::Choice(_) => {
                let (min, max) = kind.range();
                let number = min + (handle.base() - min + f64::from(by)).rem_euclid(max - min + 1.0);
                self.set(handle, value_of(kind, number), table)
            }
            Kind::Bool => self.set(handle, Value::Bool(handle.base() < 0.5), table),
            Kind::Trigger => self.set(handle, Value::Pulse, table),
            _ => {
                let to = (self.place(handle, kind) + f64::from(by) * STEP).clamp(0.0, 1.0);
                self.put(handle, kind, to, table)
            }
        }
    }

    /// Puts the parameter where a control at `position` has it, at once or smoothed.
    fn put(&mut self, handle: &Handle, kind: &Kind, position: f64, table: &Table) -> Result<(), SetError> {
        let normal = self.normal_from_position(kind, position);
        let smooth = self.control.smooth_secs > 0.0 && matches!(kind, Kind::Float { .. });
        match kind {
            _ if smooth => {
                self.goal = Some(normal);
                self.own = handle.changed();
                Ok(())
            }
            Kind::Text => Ok(()),
            Kind::Trigger if position >= 0.5 => self.set(handle, Value::Pulse, table),
            Kind::Trigger => Ok(()),
            kind => self.set(handle, value_of(kind, kind.value_from_normal(normal)), table),
        }
    }

    fn set(&mut self, handle: &Handle, value: Value, table: &Table) -> Result<(), SetError> {
        let Some(path) = &self.control.target else { return Ok(()) };
        table.set(path, value, Origin::Midi)?;
        self.own = handle.changed();
        Ok(())
    }

    fn normal_from_position(&self, kind: &Kind, position: f64) -> f64 {
        let position = if self.control.invert { 1.0 - position } else { position };
        let (from, to) = self.ends(kind);
        from + self.control.curve.apply(position) * (to - from)
    }

    fn position_from_normal(&self, kind: &Kind, normal: f64) -> f64 {
        let (from, to) = self.ends(kind);
        let shaped = if to == from { 0.0 } else { (normal - from) / (to - from) };
        let position = self.control.curve.invert(shaped);
        if self.control.invert { 1.0 - position } else { position }
    }

    /// The ends of the range on the normal scale.
    fn ends(&self, kind: &Kind) -> (f64, f64) {
        match self.control.range {
            Some((from, to)) => (kind.normal_from_value(from), kind.normal_from_value(to)),
            None => (0.0, 1.0),
        }
    }

    /// Whether the control moves its parameter now; the panel shows what still waits to be picked up.
    pub fn has_taken_over(&self) -> bool {
        let changed = self.handle.as_ref().map_or(0, Handle::changed);
        self.control.takeover == Takeover::None || (self.takeover.has() && changed == self.own)
    }
}

/// 0..1 of any reading; a press without a position counts as the end.
pub(super) fn position_of(reading: Reading) -> f64 {
    match reading {
        Reading::Seven(value) => f64::from(value) / 127.0,
        Reading::Fine(position) => position,
        Reading::Press(_) => 1.0,
        Reading::Release | Reading::Steps(_) => 0.0,
    }
}

fn velocity_of(reading: Reading) -> f64 {
    match reading {
        Reading::Press(velocity) => f64::from(velocity) / 127.0,
        other => position_of(other),
    }
}

/// A choice is set by its name: a choice of numbers (50, 60) takes a number for a name.
fn value_of(kind: &Kind, number: f64) -> Value {
    match kind {
        Kind::Choice(names) => {
            names.get(number.round().max(0.0) as usize).map_or(Value::Float(number), |name| Value::Text(name.clone()))
        }
        Kind::Bool => Value::Bool(number >= 0.5),
        _ => Value::Float(number),
    }
}

#[cfg(test)]
mod tests;
