//! The one table of parameters.
//!
//! Shared by every thread ([`Table`] is a clone of one `Arc`). Reading through a [`Handle`] never waits. Setting takes a
//! short lock: it is for the main thread and for control threads; a real-time call-back (MIDI) hands its bytes to one of
//! those. Who wants to know what moved keeps the generation that it saw last and asks [`Table::changes_since`]: the
//! latest value wins, nothing queues up, nothing is missed, and each change says who made it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::{ArcSwap, ArcSwapOption};

use super::{
    Handle, Kind, Origin, Param, Value, nearest,
    setting::{Clamped, Fitting, Outcome, SetError, fit, value_from_text},
    tap::{Tap, What},
};

/// The parameters of the program.
#[derive(Debug, Clone)]
pub struct Table(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    index: ArcSwap<Index>,
    /// Counts every change of a value.
    generation: AtomicU64,
    /// Counts every declaration and retirement.
    layout: AtomicU64,
    writer: Mutex<Vec<Glide>>,
    /// Hears every setting while a show is recorded.
    tap: ArcSwapOption<Tap>,
}

/// In order of declaration, and by path.
#[derive(Debug, Clone, Default)]
struct Index {
    order: Vec<Handle>,
    by_path: HashMap<String, Handle>,
}

/// A number on its way, on the normal scale.
#[derive(Debug)]
struct Glide {
    handle: Handle,
    from_normal: f64,
    to_normal: f64,
    /// The number at the end, exactly.
    to: f64,
    elapsed_secs: f64,
    secs: f64,
    origin: Origin,
}

impl Glide {
    fn new(handle: &Handle, to: f64, secs: f64, origin: Origin) -> Self {
        Self {
            from_normal: handle.normal(),
            to_normal: handle.param().kind.normal_from_value(to),
            handle: handle.clone(),
            to,
            elapsed_secs: 0.0,
            secs,
            origin,
        }
    }

    /// Moves on and returns how much of the way is behind, 0..1.
    fn advance(&mut self, dt_secs: f64) -> f64 {
        self.elapsed_secs += dt_secs;
        let way = (self.elapsed_secs / self.secs).clamp(0.0, 1.0);
        let eased = way * way * (3.0 - 2.0 * way);
        let number = if way >= 1.0 {
            self.to
        } else {
            let normal = self.from_normal + eased * (self.to_normal - self.from_normal);
            self.handle.param().kind.value_from_normal(normal)
        };
        self.handle.write_number(number);
        way
    }
}

impl Table {
    /// Later declarations of the same path replace earlier ones.
    pub fn new(params: impl IntoIterator<Item = Param>) -> Self {
        let table = Self(Arc::new(Inner {
            index: ArcSwap::default(),
            generation: AtomicU64::new(0),
            layout: AtomicU64::new(0),
            writer: Mutex::new(Vec::new()),
            tap: ArcSwapOption::empty(),
        }));
        table.declare(params);
        table
    }

    /// Adds parameters, or replaces the declarations of those whose path is known: their values stay where the new
    /// range allows, and handles stay valid. Real-time readers go on meanwhile.
    pub fn declare(&self, params: impl IntoIterator<Item = Param>) {
        let mut glides = self.lock();
        let mut index = Index::clone(&self.0.index.load());
        for param in params {
            match index.by_path.get(&param.path) {
                Some(handle) => {
                    if *handle.param() != param {
                        glides.retain(|glide| glide.handle.path() != param.path);
                        handle.redeclare(param);
                        handle.mark(self.next_generation(), Origin::Program);
                    }
                }
                None => {
                    let path = param.path.clone();
                    let handle = Handle::new(param);
                    index.order.push(handle.clone());
                    index.by_path.insert(path, handle);
                }
            }
        }
        self.0.index.store(Arc::new(index));
        self.0.layout.fetch_add(1, Ordering::Release);
    }

    /// Removes the parameters under a path (`/effect/trails`), for instance because their shader is gone.
    pub fn retire(&self, under: &str) {
        let mut glides = self.lock();
        let mut index = Index::clone(&self.0.index.load());
        let gone = |path: &str| is_under(path, under);
        index.order.retain(|handle| !gone(&handle.path()));
        index.by_path.retain(|path, _| !gone(path));
        glides.retain(|glide| !gone(&glide.handle.path()));
        self.0.index.store(Arc::new(index));
        self.0.layout.fetch_add(1, Ordering::Release);
    }

    /// Counts declarations and retirements: when it moves, lists made from the table are out of date.
    pub fn layout(&self) -> u64 {
        self.0.layout.load(Ordering::Acquire)
    }

    /// All parameters in the order of their declaration.
    pub fn all(&self) -> Vec<Handle> {
        self.0.index.load().order.clone()
    }

    pub fn handle(&self, path: &str) -> Result<Handle, SetError> {
        let index = self.0.index.load();
        index.by_path.get(path).cloned().ok_or_else(|| SetError::Unknown {
            path: path.into(),
            nearest: nearest(path, index.by_path.keys().map(String::as_str)).map(str::to_owned),
        })
    }

    /// The base value of a parameter.
    pub fn get(&self, path: &str) -> Result<Value, SetError> {
        Ok(self.handle(path)?.value())
    }

    /// The value that a glide is on its way to, or the base value.
    pub fn target(&self, handle: &Handle) -> Value {
        match self.lock().iter().find(|glide| glide.handle.is(handle)) {
            Some(glide) if matches!(handle.param().kind, Kind::Int { .. }) => Value::Int(glide.to.round() as i64),
            Some(glide) => Value::Float(glide.to),
            None => handle.value(),
        }
    }

    /// Sets a value at once, and ends a glide of this parameter. Out of range clamps, and says so.
    pub fn set(&self, path: &str, value: Value, origin: Origin) -> Result<Outcome, SetError> {
        self.set_smooth(path, value, 0.0, origin)
    }

    /// Moves a number to a value over `secs` of the time given to [`Table::tick`]; anything else switches at once.
    pub fn set_smooth(&self, path: &str, value: Value, secs: f64, origin: Origin) -> Result<Outcome, SetError> {
        let handle = self.handle(path)?;
        let mut glides = self.lock();
        let param = handle.param();
        if param.read_only && origin != Origin::Program {
            return Err(SetError::ReadOnly { path: path.into() });
        }
        let fitting = fit(&param, &value)?;
        let mut outcome = Outcome { changed: true, clamped: None };
        match fitting {
            Fitting::Pulse(false) => {
                return Ok(Outcome { changed: false, clamped: None });
            }
            Fitting::Pulse(true) => handle.pulse(),
            Fitting::Text(text) => {
                outcome.changed = handle.text() != text;
                handle.write_text(text);
            }
            Fitting::Number { taken, clamped } => {
                outcome = Outcome { changed: handle.base() != taken, clamped };
                glides.retain(|glide| !glide.handle.is(&handle));
                if secs > 0.0 && param.kind.is_number() && outcome.changed {
                    glides.push(Glide::new(&handle, taken, secs, origin));
                } else {
                    handle.write_number(taken);
                }
            }
        }
        handle.mark(self.next_generation(), origin);
        if let Some(tap) = &*self.0.tap.load()
            && !param.measured
        {
            // What becomes of it, and not what was asked: a choice by its name, a number within its range.
            let target = glides.iter().find(|glide| glide.handle.is(&handle)).map(|glide| Value::Float(glide.to));
            tap.tell(&param.path, What::Set { value: target.unwrap_or_else(|| handle.value()), secs }, origin);
        }
        Ok(outcome)
    }

    /// From now on `tap` hears everything that is set, in the order in which it happens; None ends that.
    pub fn set_tap(&self, tap: Option<Tap>) {
        // Between two settings: what was set before is not heard, all that comes after is.
        let _glides = self.lock();
        self.0.tap.store(tap.map(Arc::new));
    }

    /// What glides just now: parameter, where it goes, seconds that are left.
    pub fn gliding(&self) -> Vec<(Handle, f64, f64)> {
        let left = |glide: &Glide| (glide.handle.clone(), glide.to, (glide.secs - glide.elapsed_secs).max(0.0));
        self.lock().iter().map(left).collect()
    }

    /// What would become of a value, without setting it.
    pub fn check(&self, path: &str, value: &Value) -> Result<Option<Clamped>, SetError> {
        Ok(match fit(&self.handle(path)?.param(), value)? {
            Fitting::Number { clamped, .. } => clamped,
            Fitting::Text(_) | Fitting::Pulse(_) => None,
        })
    }

    /// Sets a number by its normal scale 0..1, as a knob or fader does; a choice is divided into equal parts.
    pub fn set_normal(&self, path: &str, normal: f64, origin: Origin) -> Result<Outcome, SetError> {
        let kind = self.handle(path)?.param().kind.clone();
        let value = match kind {
            Kind::Text => Value::Float(normal),
            Kind::Trigger | Kind::Bool => Value::Bool(normal >= 0.5),
            kind => Value::Float(kind.value_from_normal(normal)),
        };
        self.set(path, value, origin)
    }

    /// Sets from text, `/path=value`, as `--set` takes it.
    pub fn set_from_text(&self, setting: &str, origin: Origin) -> Result<Outcome, SetError> {
        let (path, value) = setting.split_once('=').ok_or_else(|| SetError::NotASetting { text: setting.into() })?;
        let path = path.trim();
        let value = self.value_from_text(path, value.trim())?;
        self.set(path, value, origin)
    }

    /// Reads a value as this parameter takes it: `on` for a switch, `50` for a choice that has a `50`.
    pub fn value_from_text(&self, path: &str, text: &str) -> Result<Value, SetError> {
        Ok(value_from_text(&self.handle(path)?.param().kind, text))
    }

    /// What something that modulates adds to a number, on its normal scale (-1..1); 0 plays the base value again.
    pub fn modulate(&self, handle: &Handle, offset_normal: f64) {
        let _glides = self.lock();
        let offset = if offset_normal.is_finite() { offset_normal } else { 0.0 };
        if offset == handle.offset() {
            return;
        }
        handle.write_offset(offset);
        if let Some(tap) = &*self.0.tap.load() {
            tap.tell(&handle.param().path, What::Offset(offset), Origin::Program);
        }
    }

    /// Moves what glides by `dt_secs` of real (or, in a film, virtual) time.
    pub fn tick(&self, dt_secs: f64) {
        let mut glides = self.lock();
        glides.retain_mut(|glide| {
            let way = glide.advance(dt_secs);
            glide.handle.mark(self.next_generation(), glide.origin);
            way < 1.0
        });
    }

    /// The generation of the newest change.
    pub fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// What was set or moved after `seen`, which is brought up to date. A reader that starts at 0 gets all that was ever
    /// moved.
    pub fn changes_since(&self, seen: &mut u64) -> Vec<Handle> {
        if self.generation() == *seen {
            return Vec::new();
        }
        // A writer counts first and marks second: the lock waits until it has done both.
        let _glides = self.lock();
        let now = self.generation();
        let changed = self.0.index.load().order.iter().filter(|handle| handle.changed() > *seen).cloned().collect();
        *seen = now;
        changed
    }

    fn next_generation(&self) -> u64 {
        self.0.generation.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// A thread that panicked while it wrote leaves whole values behind: the lock only keeps writers apart.
    fn lock(&self) -> MutexGuard<'_, Vec<Glide>> {
        self.0.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `path` is `under` or lies below it.
pub(super) fn is_under(path: &str, under: &str) -> bool {
    let under = under.trim_end_matches('/');
    path.strip_prefix(under).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
