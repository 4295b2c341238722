//! The desk moves the morph and the history.

use super::Desk;
use crate::control::{Origin, Value, history::Playing};

impl Desk {
    /// Moves the morph between two presets.
    pub(super) fn follow_morph(&mut self, dt_secs: f64, dt_beats: f64) -> Option<String> {
        let mut told = None;
        if self.morph.chosen(&self.table) {
            told = self.chosen_morph().err();
        }
        if !self.morph.moved(&self.table, dt_secs, dt_beats) {
            return told;
        }
        let Ok((a, b)) = self.chosen_morph() else { return told };
        if self.morph.needs_presets() {
            let preset = |id: &Option<String>| id.as_deref().and_then(|id| self.presets.by_id(id));
            let Some(of_b) = preset(&b) else { return told };
            self.morph.take_up(&self.table, preset(&a), of_b, &self.shelf.left_out);
        }
        let crossing = self.morph.play(&self.table);
        let side = crossing.side.and_then(|is_b| if is_b { b } else { a });
        if let Some(id) = side.filter(|id| self.current.as_ref() != Some(id)) {
            let source =
                |id: Option<&str>| id.and_then(|id| self.presets.by_id(id)).and_then(|preset| preset.source.clone());
            let other_source = source(Some(&id)) != source(self.current.as_deref());
            let before = self.current.replace(id.clone());
            self.history.crossed(before, Some(id));
            self.name_current();
            self.recalls += u64::from(crossing.switched || other_source);
        } else {
            self.recalls += u64::from(crossing.switched);
        }
        told
    }

    /// The ids of A (None for what played) and B (None while it is not chosen); a sentence for a name that is none.
    fn chosen_morph(&self) -> Result<(Option<String>, Option<String>), String> {
        let id = |wanted: &str| match wanted.trim() {
            "" => Ok(None),
            wanted => match self.presets.find(wanted) {
                Some(preset) => Ok(Some(preset.id.clone())),
                None => Err(self.unknown(wanted).to_string()),
            },
        };
        Ok((id(&self.morph.a.text())?, id(&self.morph.b.text())?))
    }

    /// Takes back and does again what is asked for, and notes what was done.
    pub(super) fn follow_history(&mut self) {
        if self.undo.fired(&mut self.undo_seen) {
            let playing = self.history.undo(&self.table);
            self.bring_back(playing);
        }
        if self.redo.fired(&mut self.redo_seen) {
            let playing = self.history.redo(&self.table);
            self.bring_back(playing);
        }
        self.history.note(&self.table, self.now_secs);
        if std::mem::replace(&mut self.history_seen, self.history.changes()) != self.history.changes() {
            self.show("/undo/next", Value::text(self.history.next_undo()));
            self.show("/redo/next", Value::text(self.history.next_redo()));
        }
    }

    fn bring_back(&mut self, playing: Option<Playing>) {
        if let Some(Some(id)) = playing {
            self.current = id.filter(|id| self.presets.by_id(id).is_some());
            self.recalls += 1;
            self.name_current();
        }
    }

    /// Shows a state in a parameter, if it is another one than before.
    pub(super) fn show(&self, path: &str, value: Value) {
        if self.table.get(path).is_ok_and(|before| before != value) {
            self.set(path, value, 0.0, Origin::Program);
        }
    }
}
