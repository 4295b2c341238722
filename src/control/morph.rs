//! From one preset to another by degrees: by hand, over seconds, or over beats.
//!
//! At amount 0 the table plays A, at 1 B. Numbers go in between on their normal scale; what has no between (mapping,
//! model, transition, source) changes sides at the middle, and the stage crossfades there. A knob that somebody takes
//! in hand meanwhile is theirs until A or B is chosen anew. With A left empty the morph starts from what plays when B
//! is chosen.

use std::collections::HashMap;

use super::{Handle, Origin, Param, Preset, SetError, Table, Value};

pub fn params() -> Vec<Param> {
    vec![
        Param::text("/preset/morph/a", "")
            .never_recalled()
            .about("The preset at amount 0 of the morph; empty for what plays when B is chosen."),
        Param::text("/preset/morph/b", "").never_recalled().about("The preset at amount 1 of the morph."),
        Param::float("/preset/morph/amount", 0.0, 1.0, 0.0)
            .never_recalled()
            .about("How far the morph is from A to B: numbers glide, all else changes at the middle."),
        Param::trigger("/preset/morph/go").about("Runs the morph to its other end."),
        Param::float("/preset/morph/secs", 0.1, 3600.0, 8.0)
            .log()
            .unit("s")
            .never_recalled()
            .about("How long the morph runs from end to end."),
        Param::float("/preset/morph/beats", 0.0, 1024.0, 0.0)
            .unit("beats")
            .never_recalled()
            .about("How many beats the morph runs from end to end; 0 counts seconds instead."),
    ]
}

/// One parameter on its way from A to B.
#[derive(Debug)]
struct Pair {
    handle: Handle,
    path: String,
    a: Value,
    b: Value,
    /// The table's generation when the morph wrote it last; 0 if it has not.
    written: u64,
    /// Somebody else has it in hand.
    taken: bool,
}

impl Pair {
    fn value_at(&self, amount: f64) -> Value {
        let kind = &self.handle.param().kind;
        match (self.a.as_number(), self.b.as_number()) {
            (Some(a), Some(b)) if kind.is_number() && amount > 0.0 && amount < 1.0 => {
                let (a, b) = (kind.normal_from_value(a), kind.normal_from_value(b));
                Value::Float(kind.value_from_normal(a + amount * (b - a)))
            }
            _ if amount < 0.5 => self.a.clone(),
            _ => self.b.clone(),
        }
    }
}

/// The morph running by itself.
#[derive(Debug)]
struct Run {
    from: f64,
    to: f64,
    passed: f64,
    length: f64,
    in_beats: bool,
    /// The amount's generation when the run wrote it last.
    written: u64,
}

/// What a look at the morph asks of the desk.
#[derive(Debug, Default, PartialEq)]
pub struct Crossing {
    /// Something switched: the stage crossfades.
    pub switched: bool,
    /// True for B, false for A, if the side has changed.
    pub side: Option<bool>,
}

#[derive(Debug)]
pub struct Morph {
    pub a: Handle,
    pub b: Handle,
    chosen_seen: [u64; 2],
    amount: Handle,
    amount_seen: u64,
    go: Handle,
    go_seen: u64,
    secs: Handle,
    beats: Handle,
    pairs: Option<Vec<Pair>>,
    /// What played when the presets were chosen.
    start: HashMap<String, Value>,
    side: Option<bool>,
    run: Option<Run>,
}

impl Morph {
    pub fn new(table: &Table) -> Result<Self, SetError> {
        let handle = |name: &str| table.handle(&format!("/preset/morph/{name}"));
        Ok(Self {
            a: handle("a")?,
            b: handle("b")?,
            chosen_seen: [0; 2],
            amount: handle("amount")?,
            amount_seen: 0,
            go: handle("go")?,
            go_seen: 0,
            secs: handle("secs")?,
            beats: handle("beats")?,
            pairs: None,
            start: HashMap::new(),
            side: None,
            run: None,
        })
    }

    /// True once after A or B was chosen anew.
    pub fn chosen(&mut self, table: &Table) -> bool {
        let [a, b] = &mut self.chosen_seen;
        let chosen = self.a.moved(a) | self.b.moved(b);
        if chosen {
            self.forget();
            self.start = table.all().iter().map(|handle| (handle.path(), table.target(handle))).collect();
        }
        chosen
    }

    /// The presets may be others now: both are looked up again when the morph moves next.
    pub fn forget(&mut self) {
        self.pairs = None;
        self.side = None;
    }

    /// True if the amount moved, or moves now because the morph runs.
    pub fn moved(&mut self, table: &Table, dt_secs: f64, dt_beats: f64) -> bool {
        if self.go.fired(&mut self.go_seen) {
            let from = self.amount.number();
            let to = if from < 0.5 { 1.0 } else { 0.0 };
            let in_beats = self.beats.number() > 0.0;
            let whole = if in_beats { self.beats.number() } else { self.secs.number() };
            let length = whole * (to - from).abs();
            self.run = Some(Run { from, to, passed: 0.0, length, in_beats, written: self.amount.changed() });
        } else if let Some(run) = self.run.as_mut() {
            if self.amount.changed() != run.written {
                // Somebody has the amount in hand.
                self.run = None;
            } else {
                run.passed += if run.in_beats { dt_beats.max(0.0) } else { dt_secs };
                let way = if run.length > 0.0 { (run.passed / run.length).min(1.0) } else { 1.0 };
                let amount = if way < 1.0 { run.from + way * (run.to - run.from) } else { run.to };
                set(table, "/preset/morph/amount", Value::Float(amount), Origin::Program);
                run.written = self.amount.changed();
                if way >= 1.0 {
                    self.run = None;
                }
            }
        }
        self.amount.moved(&mut self.amount_seen)
    }

    /// Whether [`Self::play`] needs the presets.
    pub fn needs_presets(&self) -> bool {
        self.pairs.is_none()
    }

    /// Takes up the two presets; `a` is None for what played when they were chosen.
    pub fn take_up(&mut self, table: &Table, a: Option<&Preset>, b: &Preset, left_out: &[String]) {
        let moves = |preset: &Preset| -> HashMap<String, Value> { preset.moves(table, left_out).into_iter().collect() };
        let (of_a, of_b) = (a.map(moves), moves(b));
        let pairs = table.all().into_iter().filter_map(|handle| {
            let path = handle.path();
            let at_start = || self.start.get(&path).cloned().unwrap_or_else(|| handle.value());
            let (a, b) = match (of_a.as_ref().and_then(|of_a| of_a.get(&path)), of_b.get(&path)) {
                (None, None) => return None,
                (a, b) => (a.cloned().unwrap_or_else(at_start), b.cloned().unwrap_or_else(at_start)),
            };
            Some(Pair { handle, path, a, b, written: 0, taken: false })
        });
        self.pairs = Some(pairs.collect());
    }

    /// Sets everything for the amount as it is now.
    pub fn play(&mut self, table: &Table) -> Crossing {
        let amount = self.amount.number();
        let side = amount >= 0.5;
        let crossed = self.side.replace(side) != Some(side);
        let mut crossing = Crossing { switched: false, side: crossed.then_some(side) };
        for pair in self.pairs.iter_mut().flatten() {
            let taken = pair.written != 0 && pair.handle.changed() != pair.written;
            pair.taken |= taken;
            let is_number = pair.handle.param().kind.is_number();
            let still = pair.written != 0 && (pair.a == pair.b || (!is_number && !crossed));
            if pair.taken || still {
                continue;
            }
            let changed = set(table, &pair.path, pair.value_at(amount), Origin::Preset);
            pair.written = pair.handle.changed();
            crossing.switched |= changed && !is_number;
        }
        crossing
    }
}

/// Whether the value changed. A parameter can have vanished with its shader.
fn set(table: &Table, path: &str, value: Value, origin: Origin) -> bool {
    table.set(path, value, origin).inspect_err(|error| tracing::debug!("{error}")).is_ok_and(|outcome| outcome.changed)
}

#[cfg(test)]
mod tests;
