//! Save, duplicate, undo: buttons for parameters of the table that do such things, as far as it has them.

use nannou::prelude::egui::{Id, Rect, Ui};

use super::{
    data::{Move, PanelData, ParamRow},
    places::columns,
    scene::Scene,
    widgets::{self, Lit, Typed, Typing},
};
use crate::control::{Kind, Value};

/// A word, the parameter that does it, and its key.
const ACTIONS: [(&str, &str, &str); 5] = [
    ("Save", "/preset/save", ""),
    ("Save as", "/preset/save_as", ""),
    ("Copy", "/preset/duplicate", ""),
    ("Undo", "/undo", "Z"),
    ("Redo", "/redo", "Y"),
];

fn found(data: &PanelData) -> Vec<(&'static str, &'static str, &ParamRow)> {
    ACTIONS.iter().filter_map(|(word, path, key)| Some((*word, *key, data.param(path)?))).collect()
}

/// Whether there is anything for the bar.
pub(super) fn any(data: &PanelData) -> bool {
    !found(data).is_empty()
}

/// The buttons side by side; short, only those that take back. One that wants a name becomes a field for it.
pub(super) fn bar(ui: &mut Ui, rect: Rect, short: bool, scene: &mut Scene<'_>) {
    let unit = scene.unit;
    let mut actions = found(scene.data);
    actions.retain(|(.., row)| !short || !row.path().starts_with("/preset/"));
    if let Some((.., row)) = actions.iter().find(|(.., row)| is_typed(scene, row.path())) {
        return type_name(ui, rect, row.path(), scene);
    }
    for ((word, key, row), place) in actions.iter().zip(columns(rect, actions.len(), 0.5 * unit)) {
        let id = Id::new(("panel action", *word));
        if widgets::button(ui, id, place, unit, word, key, Lit::Off).clicked() {
            if row.param.kind == Kind::Text {
                scene.memory.typing = Some(Typing::new(row.path(), playing_name(scene.data)));
            } else {
                scene.moves.push(Move::new(row.path(), Value::Pulse));
            }
        }
    }
}

fn is_typed(scene: &Scene<'_>, path: &str) -> bool {
    scene.memory.typing.as_ref().is_some_and(|typing| typing.path == path)
}

fn playing_name(data: &PanelData) -> String {
    data.playing.and_then(|at| data.presets.get(at)).map(|preset| preset.name.clone()).unwrap_or_default()
}

fn type_name(ui: &mut Ui, rect: Rect, path: &str, scene: &mut Scene<'_>) {
    let Some(mut typing) = scene.memory.typing.take() else { return };
    match widgets::value_field(ui, Id::new(("panel action", path)), rect, scene.unit, &mut typing) {
        Typed::StillTyping => scene.memory.typing = Some(typing),
        Typed::Left => {}
        Typed::Done => {
            let name = typing.text.trim();
            if !name.is_empty() {
                scene.moves.push(Move::new(path, Value::text(name)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Param, Table};

    #[test]
    fn there_are_buttons_for_what_the_table_can_do_and_for_nothing_else() {
        let table = Table::new([Param::trigger("/undo"), Param::text("/preset/save", "")]);
        let mut data = PanelData::default();
        assert!(!any(&data));
        data.follow(&table);
        let words: Vec<_> = found(&data).into_iter().map(|(word, _, row)| (word, row.path().to_owned())).collect();
        assert_eq!(words, [("Save", "/preset/save".to_owned()), ("Undo", "/undo".to_owned())]);
    }
}
