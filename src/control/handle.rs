//! One parameter, held by whoever reads it.
//!
//! Reading is for every thread, the real-time ones too: an atomic load for numbers, an `ArcSwap` load for texts and
//! declarations; nothing waits. Writing goes through the [`Table`](super::Table), which takes its lock for it.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use arc_swap::ArcSwap;

use super::param::{Kind, Origin, Param, Value};

/// A parameter of the table. Cheap to clone; stays valid while shaders and models come and go.
#[derive(Debug, Clone)]
pub struct Handle(Arc<Slot>);

/// Numbers, switches and choices (by position) are an `f64`, stored as its bits.
#[derive(Debug)]
struct Slot {
    param: ArcSwap<Param>,
    /// What was set: what presets save and controllers show.
    base: AtomicU64,
    /// What is added to the base on the normal scale by something that modulates it.
    offset: AtomicU64,
    /// Base and offset together: what is played.
    value: AtomicU64,
    text: ArcSwap<Arc<str>>,
    pulses: AtomicU64,
    /// The table's generation at the last change; written last, so that who sees it sees the value too.
    changed: AtomicU64,
    origin: AtomicU32,
}

impl Handle {
    pub(super) fn new(param: Param) -> Self {
        let number = param.default_number();
        let text = default_text(&param);
        Self(Arc::new(Slot {
            param: ArcSwap::from_pointee(param),
            base: AtomicU64::new(number.to_bits()),
            offset: AtomicU64::new(0f64.to_bits()),
            value: AtomicU64::new(number.to_bits()),
            text: ArcSwap::from_pointee(text),
            pulses: AtomicU64::new(0),
            changed: AtomicU64::new(0),
            origin: AtomicU32::new(Origin::Start as u32),
        }))
    }

    pub fn param(&self) -> Arc<Param> {
        self.0.param.load_full()
    }

    pub fn path(&self) -> String {
        self.0.param.load().path.clone()
    }

    /// The number that is played: modulation included, in the parameter's own unit.
    pub fn number(&self) -> f64 {
        f64::from_bits(self.0.value.load(Ordering::Relaxed))
    }

    pub fn f32(&self) -> f32 {
        self.number() as f32
    }

    pub fn is_on(&self) -> bool {
        self.number() >= 0.5
    }

    /// A whole number, or the position of a choice.
    pub fn index(&self) -> usize {
        self.number().round().max(0.0) as usize
    }

    /// The name of a choice, or the text.
    pub fn text(&self) -> Arc<str> {
        match &self.0.param.load().kind {
            Kind::Choice(names) => names.get(self.index()).cloned().unwrap_or_else(|| "".into()),
            _ => Arc::clone(&self.0.text.load()),
        }
    }

    /// How often a trigger has fired since the program started.
    pub fn pulses(&self) -> u64 {
        self.0.pulses.load(Ordering::Acquire)
    }

    /// True once for each look since which the trigger has fired; `seen` is the reader's own memory.
    pub fn fired(&self, seen: &mut u64) -> bool {
        let pulses = self.pulses();
        std::mem::replace(seen, pulses) != pulses
    }

    /// The table's generation when this was last set or moved.
    pub fn changed(&self) -> u64 {
        self.0.changed.load(Ordering::Acquire)
    }

    /// True once for each look since which this was set or moved; `seen` is the reader's own memory.
    pub fn moved(&self, seen: &mut u64) -> bool {
        let changed = self.changed();
        std::mem::replace(seen, changed) != changed
    }

    pub fn origin(&self) -> Origin {
        Origin::from_bits(self.0.origin.load(Ordering::Relaxed))
    }

    /// The base value, as presets save it and controllers show it.
    pub fn value(&self) -> Value {
        let base = self.base();
        match &self.0.param.load().kind {
            Kind::Float { .. } => Value::Float(base),
            Kind::Int { .. } => Value::Int(base.round() as i64),
            Kind::Bool => Value::Bool(base >= 0.5),
            Kind::Choice(names) => Value::Text(names.get(base.round() as usize).cloned().unwrap_or_else(|| "".into())),
            Kind::Text => Value::Text(Arc::clone(&self.0.text.load())),
            Kind::Trigger => Value::Pulse,
        }
    }

    /// The base value on the normal scale 0..1.
    pub fn normal(&self) -> f64 {
        self.0.param.load().kind.normal_from_value(self.base())
    }

    /// Whether both are the same parameter.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// What modulation adds to the base on the normal scale.
    pub fn offset(&self) -> f64 {
        f64::from_bits(self.0.offset.load(Ordering::Relaxed))
    }

    pub(super) fn base(&self) -> f64 {
        f64::from_bits(self.0.base.load(Ordering::Relaxed))
    }

    pub(super) fn write_number(&self, base: f64) {
        self.0.base.store(base.to_bits(), Ordering::Relaxed);
        self.play();
    }

    pub(super) fn write_offset(&self, offset: f64) {
        self.0.offset.store(offset.to_bits(), Ordering::Relaxed);
        self.play();
    }

    pub(super) fn write_text(&self, text: Arc<str>) {
        self.0.text.store(Arc::new(text));
    }

    pub(super) fn pulse(&self) {
        self.0.pulses.fetch_add(1, Ordering::Release);
    }

    pub(super) fn mark(&self, generation: u64, origin: Origin) {
        self.0.origin.store(origin as u32, Ordering::Relaxed);
        self.0.changed.store(generation, Ordering::Release);
    }

    /// Puts a new declaration in place and keeps the value as far as the new one allows.
    pub(super) fn redeclare(&self, param: Param) {
        let old_value = self.value();
        let same_kind = std::mem::discriminant(&self.0.param.load().kind) == std::mem::discriminant(&param.kind);
        let number = match (&param.kind, &old_value) {
            _ if !same_kind => param.default_number(),
            (Kind::Choice(names), Value::Text(name)) => {
                names.iter().position(|n| n == name).map_or_else(|| param.default_number(), |at| at as f64)
            }
            (kind, _) => {
                let (min, max) = kind.range();
                self.base().clamp(min, max)
            }
        };
        if !same_kind {
            self.write_text(default_text(&param));
        }
        self.0.param.store(Arc::new(param));
        self.write_number(number);
    }

    fn play(&self) {
        let base = self.base();
        let offset = self.offset();
        let played = if offset == 0.0 {
            base
        } else {
            let param = self.0.param.load();
            param.kind.value_from_normal(param.kind.normal_from_value(base) + offset)
        };
        self.0.value.store(played.to_bits(), Ordering::Relaxed);
    }
}

fn default_text(param: &Param) -> Arc<str> {
    match (&param.kind, &param.default) {
        (Kind::Text, Value::Text(text)) => Arc::clone(text),
        _ => "".into(),
    }
}
