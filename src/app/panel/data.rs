//! What the panel shows, and what a person does in it: plain values. The app fills the one and obeys the other.

use std::sync::Arc;

use super::history::History;
use crate::{
    app::window::{Message, Scope},
    control::{Handle, Kind, Origin, Param, Table, Value},
    diffusion::Picture,
    latent::Latent,
};

/// What the panel shows. Kept from look to look; filled only while the panel is open.
#[derive(Debug, Clone, Default)]
pub struct PanelData {
    pub scope: Scope,
    /// Counts the reports of the signal: a new one is a new column of the spectrogram.
    pub scope_hop: u64,
    /// What is wrong with channels, a sentence each; empty when all are well.
    pub ailments: Vec<String>,
    pub latent: Option<Latent>,
    pub picture: Option<Arc<Picture>>,
    /// "synth://rat".
    pub source: String,
    /// "awake", or why there is no signal.
    pub source_state: String,
    pub mapping: String,
    /// In the order of their places: the first is recalled by 1.
    pub presets: Vec<PresetTile>,
    /// Place of the preset that plays.
    pub playing: Option<usize>,
    pub models: Vec<ModelRow>,
    pub params: Vec<ParamRow>,
    /// [`Table::layout`] that `params` was made from.
    pub layout: u64,
    pub history: History,
    /// The newest last.
    pub messages: Vec<Message>,
}

/// A preset of the grid.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PresetTile {
    pub id: String,
    pub name: String,
    pub about: String,
}

/// A model of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRow {
    /// What `/dream/model` is set to for it.
    pub name: String,
    pub about: String,
    /// What it takes of the memory; empty for one that is not there.
    pub memory: String,
    pub state: ModelState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelState {
    OnDisk,
    Loading,
    /// In memory, ready to be switched to.
    Resident,
    Playing,
}

impl ModelState {
    pub fn word(self) -> &'static str {
        match self {
            Self::OnDisk => "on disk",
            Self::Loading => "loading",
            Self::Resident => "resident",
            Self::Playing => "playing",
        }
    }
}

/// A parameter and how it stands.
#[derive(Debug, Clone)]
pub struct ParamRow {
    handle: Handle,
    pub param: Arc<Param>,
    /// What was set.
    pub value: Value,
    /// What is played on the normal scale, with what modulates it.
    pub played: f64,
    pub origin: Origin,
    /// What moves it: "CC 21", "LFO 1"; empty for nothing.
    pub mapped: String,
    /// Only shows a state of the program: nobody sets it.
    pub read_only: bool,
}

impl ParamRow {
    pub fn new(handle: Handle) -> Self {
        let param = handle.param();
        let mut row = Self {
            read_only: param.read_only,
            param,
            value: handle.value(),
            played: 0.0,
            origin: handle.origin(),
            mapped: String::new(),
            handle,
        };
        row.follow();
        row
    }

    /// Brings it up to date.
    pub fn follow(&mut self) {
        self.param = self.handle.param();
        self.value = self.handle.value();
        self.origin = self.handle.origin();
        self.played = self.param.kind.normal_from_value(self.handle.number());
    }

    pub fn path(&self) -> &str {
        &self.param.path
    }

    /// The last part of the path as words. The unit stands at the value: `dc` of `dc_hz`, `beat time` of `beat_secs`.
    pub fn name(&self) -> String {
        let last = self.param.path.rsplit('/').next().unwrap_or_default();
        match (last.strip_suffix("_secs"), last.strip_suffix("_hz")) {
            (Some(name), _) => format!("{name}_time"),
            (_, Some(name)) => name.to_owned(),
            _ => last.to_owned(),
        }
        .replace('_', " ")
    }

    /// On the normal scale 0..1.
    pub fn normal(&self) -> f64 {
        match &self.value {
            Value::Float(number) => self.param.kind.normal_from_value(*number),
            Value::Int(number) => self.param.kind.normal_from_value(*number as f64),
            Value::Bool(on) => f64::from(u8::from(*on)),
            _ => 0.0,
        }
    }

    pub fn is_at_default(&self) -> bool {
        match (&self.value, &self.param.default) {
            (Value::Float(now), Value::Float(default)) => (now - default).abs() <= 1e-9,
            _ if self.param.kind == Kind::Trigger => true,
            (now, default) => now == default,
        }
    }
}

impl PanelData {
    /// Brings the parameters up to date; the list is made anew only when there are others.
    pub fn follow(&mut self, table: &Table) {
        if self.layout == table.layout() && !self.params.is_empty() {
            self.params.iter_mut().for_each(ParamRow::follow);
        } else {
            self.layout = table.layout();
            self.params = table.all().into_iter().map(ParamRow::new).collect();
        }
    }

    /// Tells each parameter what moves it: pairs of a path and a control's name.
    pub fn map(&mut self, movers: &[(String, String)]) {
        for row in &mut self.params {
            let of_row = movers.iter().filter(|(path, _)| *path == row.param.path).map(|(_, name)| name.as_str());
            row.mapped = of_row.collect::<Vec<_>>().join(", ");
        }
    }

    pub fn param(&self, path: &str) -> Option<&ParamRow> {
        self.params.iter().find(|row| row.path() == path)
    }

    /// Whether a switch is on; false for one that is not there.
    pub fn is_on(&self, path: &str) -> bool {
        self.param(path).is_some_and(|row| row.value == Value::Bool(true))
    }
}

/// What a person did in the panel: a parameter of the table is to be set, as with any other control.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    pub path: String,
    pub value: Value,
}

impl Move {
    pub fn new(path: impl Into<String>, value: Value) -> Self {
        Self { path: path.into(), value }
    }
}

/// Who moved a parameter last, in a word; nothing for a default that nobody has touched.
pub fn origin_word(origin: Origin) -> String {
    match origin {
        Origin::Start => String::new(),
        Origin::CommandLine => "start".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::builtin;

    #[test]
    fn the_rows_follow_the_table_and_are_made_anew_when_it_has_others() {
        let table = Table::new(builtin());
        let mut data = PanelData::default();
        data.follow(&table);
        assert_eq!(data.params.len(), table.all().len());
        assert_eq!(data.param("/stage/master").map(|row| row.normal()), Some(1.0));
        table.set("/stage/master", Value::Float(0.25), Origin::Key).unwrap();
        table.set("/stage/blackout", Value::Bool(true), Origin::Panel).unwrap();
        data.follow(&table);
        let row = data.param("/stage/master").unwrap();
        assert_eq!((row.normal(), row.origin, row.is_at_default()), (0.25, Origin::Key, false));
        assert!(data.is_on("/stage/blackout") && !data.is_on("/stage/freeze") && !data.is_on("/no/such"));
        table.declare([Param::float("/effect/trails/amount", 0.0, 1.0, 0.0)]);
        data.follow(&table);
        assert!(data.param("/effect/trails/amount").unwrap().is_at_default());
    }

    #[test]
    fn a_row_shows_what_is_played_beside_what_was_set() {
        let table = Table::new(builtin());
        let handle = table.handle("/dream/vivid").unwrap();
        table.modulate(&handle, 0.25);
        let row = ParamRow::new(handle);
        assert_eq!((row.normal(), row.played), (0.5, 0.75));
    }

    #[test]
    fn names_and_origins_are_words() {
        let table = Table::new(builtin());
        let name = |path: &str| ParamRow::new(table.handle(path).unwrap()).name();
        assert_eq!((name("/stage/transition_secs"), name("/signal/dc_hz")), ("transition time".into(), "dc".into()));
        assert_eq!(name("/stage/reset_effects"), "reset effects");
        let words: Vec<_> = [Origin::Start, Origin::CommandLine, Origin::Preset].into_iter().map(origin_word).collect();
        assert_eq!(words, ["", "start", "preset"]);
    }
}
