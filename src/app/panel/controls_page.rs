//! The page of all parameters: groups on the left, a search field above, the list, and what the chosen one is.

use nannou::prelude::egui::{Align2, Id, Rect, ScrollArea, Sense, Ui, UiBuilder, vec2};

use super::{
    actions,
    data::{Move, ParamRow, origin_word},
    filter::{self, Line},
    frame::paragraph,
    places::{columns, split_bottom, split_left, split_top},
    row::{self, control_id},
    scene::Scene,
    widgets::{self, Lit},
};
use crate::{
    app::window::overlay::ink,
    control::{Kind, Value},
};

const PAGE: &str = "controls";
/// Buttons that ask a controller to be moved next: word, and the parameter that takes the path to be learnt.
const LEARN: [(&str, &str); 2] = [("Learn MIDI", "/midi/learn"), ("Learn OSC", "/osc/learn")];

pub(super) fn search_id() -> Id {
    Id::new("panel search")
}

pub(super) fn paint(ui: &mut Ui, rect: Rect, scene: &mut Scene<'_>) {
    let unit = scene.unit;
    let gap = 0.7 * unit;
    let (groups, rest) = split_left(rect, 9.5 * unit, gap);
    group_list(ui, groups, scene);
    let (top, rest) = split_top(rest, 2.4 * unit, gap);
    let (list, detail) = split_bottom(rest, 5.5 * unit, gap);
    search(ui, top, scene);
    let lines = filter::lines(&scene.data.params, &scene.memory.group, &scene.memory.search);
    rows(ui, list, &lines, scene);
    chosen(ui, detail, scene);
}

fn search(ui: &mut Ui, rect: Rect, scene: &mut Scene<'_>) {
    let unit = scene.unit;
    let field = if actions::any(scene.data) {
        let (field, bar) = split_left(rect, 0.66 * rect.width(), 0.7 * unit);
        actions::bar(ui, bar, true, scene);
        field
    } else {
        rect
    };
    widgets::field(ui, search_id(), field, unit, &mut scene.memory.search, "/  search", ink::BRIGHT);
}

fn group_list(ui: &mut Ui, rect: Rect, scene: &mut Scene<'_>) {
    let unit = scene.unit;
    let inside = widgets::card(ui.painter(), rect, unit);
    let groups = filter::groups(&scene.data.params);
    let height = 2.0 * unit;
    scrolled(ui, inside, "groups", height * groups.len() as f32, |ui, area| {
        for (i, group) in groups.iter().enumerate() {
            let (_, below) = split_top(area, i as f32 * height, 0.0);
            let (place, _) = split_top(below, height, 0.0);
            let place = place.shrink2(vec2(0.0, 0.12 * unit));
            let response = widgets::pressable(ui, Id::new(("panel group", group.word(), i)), place);
            let is_chosen = *group == scene.memory.group && scene.memory.search.trim().is_empty();
            let (ground, color) = match (is_chosen, response.hovered()) {
                (true, _) => (ink::ACCENT, widgets::ON_LIT),
                (false, true) => (widgets::HOVERED, ink::BRIGHT),
                (false, false) => (widgets::CARD, ink::BRIGHT),
            };
            ui.painter().rect_filled(place, widgets::rounding(0.4 * unit), ground);
            let inside = place.shrink2(vec2(0.6 * unit, 0.0));
            let at = inside.left_center();
            ink::text(ui.painter(), at, Align2::LEFT_CENTER, inside.width(), group.word(), 1.05 * unit, color);
            widgets::ring(ui, &response, unit);
            if response.clicked() {
                scene.memory.group = group.clone();
                scene.memory.search.clear();
            }
        }
    });
}

fn rows(ui: &mut Ui, rect: Rect, lines: &[Line], scene: &mut Scene<'_>) {
    let unit = scene.unit;
    let inside = widgets::card(ui.painter(), rect, unit);
    let first = lines.iter().find_map(|line| if let Line::Row(at) = line { Some(*at) } else { None });
    let Some(first) = first else {
        let text = "nothing is here";
        ink::text(ui.painter(), inside.left_top(), Align2::LEFT_TOP, inside.width(), text, unit, ink::DIM);
        return;
    };
    scene.memory.first = scene.data.params.get(first).map(|row| control_id(PAGE, row.path()));
    let (row_height, head_height) = (2.0 * unit, 1.7 * unit);
    let height_of = |line: &Line| if matches!(line, Line::Row(_)) { row_height } else { head_height };
    scrolled(ui, inside, "rows", lines.iter().map(height_of).sum(), |ui, area| {
        let mut top = 0.0;
        for line in lines {
            let height = height_of(line);
            let place = Rect::from_min_size(area.min + vec2(0.0, top), vec2(area.width(), height));
            top += height;
            match line {
                Line::Head(text) => {
                    let at = place.left_bottom() - vec2(-0.5 * unit, 0.3 * unit);
                    ink::text(ui.painter(), at, Align2::LEFT_BOTTOM, place.width(), text, 0.85 * unit, ink::ACCENT);
                }
                Line::Row(at) => row::row(ui, place, PAGE, *at, true, scene),
            }
        }
    });
}

/// An area that scrolls, with room for a bar at its right.
fn scrolled(ui: &mut Ui, rect: Rect, salt: &str, height: f32, paint: impl FnOnce(&mut Ui, Rect)) {
    ui.scope_builder(UiBuilder::new().max_rect(rect), |ui| {
        ScrollArea::vertical().id_salt(salt).auto_shrink(false).show(ui, |ui| {
            let bar = if height > rect.height() { ui.spacing().scroll.bar_width + 4.0 } else { 0.0 };
            let (area, _) = ui.allocate_exact_size(vec2(rect.width() - bar, height), Sense::hover());
            paint(ui, area);
        });
    });
}

/// What the chosen parameter is, and what can be done with it.
fn chosen(ui: &Ui, rect: Rect, scene: &mut Scene<'_>) {
    let unit = scene.unit;
    let inside = widgets::card(ui.painter(), rect, unit);
    let Some(row) = scene.memory.selected.as_deref().and_then(|path| scene.data.param(path)) else {
        let text = "↑ ↓ choose, ← → move, Enter type, Delete default, / search";
        ink::text(ui.painter(), inside.center(), Align2::CENTER_CENTER, inside.width(), text, unit, ink::DIM);
        return;
    };
    let (words, buttons) = split_left(inside, inside.width() - 16.5 * unit, unit);
    let (line, about) = split_top(words, 1.5 * unit, 0.0);
    let path = ink::text(
        ui.painter(),
        line.left_center(),
        Align2::LEFT_CENTER,
        line.width(),
        row.path(),
        1.05 * unit,
        ink::BRIGHT,
    );
    let left = path.right() + unit;
    let at = line.left_center() + vec2(left - line.left(), 0.0);
    let facts = facts(row);
    ink::text(ui.painter(), at, Align2::LEFT_CENTER, (line.right() - left).max(1.0), facts, 0.85 * unit, ink::DIM);
    paragraph(ui, about, &row.param.about, 0.95 * unit, ink::DIM, 2);

    let learn: Vec<_> = LEARN.iter().filter(|(_, path)| scene.data.param(path).is_some()).collect();
    let (top, bottom) = split_top(buttons, 0.5 * buttons.height() - 0.2 * unit, 0.4 * unit);
    if row.param.kind != Kind::Trigger {
        let lit = Lit::Off;
        let reset = widgets::button(ui, Id::new("panel default"), top, unit, "To its default", "Del", lit);
        if reset.clicked() {
            scene.moves.push(Move::new(row.path(), row.param.default.clone()));
        }
    }
    for ((word, path), place) in learn.iter().zip(columns(bottom, learn.len(), 0.4 * unit)) {
        let waits = scene.data.param(path).is_some_and(|learner| learner.value == Value::text(row.path()));
        let lit = if waits { Lit::On } else { Lit::Off };
        if widgets::button(ui, Id::new(("panel learn", *path)), place, unit, word, "", lit).clicked() {
            let target = if waits { Value::text("") } else { Value::text(row.path()) };
            scene.moves.push(Move::new(*path, target));
        }
    }
}

/// "0 … 2 intervals, default 1, set by key".
fn facts(row: &ParamRow) -> String {
    let mut parts = Vec::new();
    let range = match &row.param.kind {
        Kind::Float { min, max, .. } => format!("{} … {}", crate::control::shown(*min), crate::control::shown(*max)),
        Kind::Int { min, max } => format!("{min} … {max}"),
        _ => String::new(),
    };
    if !range.is_empty() {
        let space = if row.param.unit.is_empty() { "" } else { " " };
        parts.push(format!("{range}{space}{}", row.param.unit));
    }
    if !matches!(row.param.kind, Kind::Text | Kind::Trigger) {
        parts.push(format!("default {}", row::text_of(&row.param.default)));
    }
    let origin = origin_word(row.origin);
    if !origin.is_empty() {
        parts.push(format!("set by {origin}"));
    }
    if !row.mapped.is_empty() {
        parts.push(format!("moved by {}", row.mapped));
    }
    parts.join(",  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Origin, Table, builtin};

    #[test]
    fn the_facts_of_a_parameter_are_its_range_default_and_who_set_it() {
        let table = Table::new(builtin());
        table.set("/stage/crossfade", Value::Float(0.5), Origin::Key).unwrap();
        let mut row = ParamRow::new(table.handle("/stage/crossfade").unwrap());
        assert_eq!(facts(&row), "0 … 2 intervals,  default 1,  set by key");
        row.mapped = "CC 3".into();
        assert!(facts(&row).ends_with("moved by CC 3"));
        assert_eq!(facts(&ParamRow::new(table.handle("/preset/next").unwrap())), "");
    }
}
