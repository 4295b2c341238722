//! A parameter as it stands in a list: its control, its value, who moved it last, what moves it.

use nannou::prelude::egui::{Align2, Id, Rect, Response, Ui, pos2, vec2};

use super::{
    data::{Move, ParamRow, origin_word},
    scene::Scene,
    widgets::{self, Lit, Stand, Typed, Typing},
};
use crate::{
    app::window::overlay::ink,
    control::{Kind, Value, shown},
};

/// The columns of a row, from the left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Columns {
    pub name: Rect,
    pub control: Rect,
    pub value: Rect,
    /// Who moved it and what moves it; None where there is no room.
    pub origin: Option<Rect>,
    pub mapped: Option<Rect>,
}

impl Columns {
    /// `full` rows say who moved them, short ones (beside the picture) do not.
    pub fn of(rect: Rect, unit: f32, full: bool) -> Self {
        let gap = 0.6 * unit;
        let inside = rect.shrink2(vec2(0.5 * unit, 0.0));
        let widths: &[f32] = if full { &[0.25, 0.34, 0.15, 0.11, 0.15] } else { &[0.4, 0.41, 0.19] };
        let room = inside.width() - gap * (widths.len() - 1) as f32;
        let mut left = inside.left();
        let mut next = |share: f32| {
            let part = Rect::from_min_size(pos2(left, rect.top()), vec2(share * room, rect.height()));
            left += share * room + gap;
            part
        };
        let [name, control, value] = [next(widths[0]), next(widths[1]), next(widths[2])];
        let origin = widths.get(3).map(|share| next(*share));
        let mapped = widths.get(4).map(|share| next(*share));
        Self { name, control, value, origin, mapped }
    }
}

/// The id of a parameter's control: that of the same parameter on another page is another.
pub(super) fn control_id(page: &str, path: &str) -> Id {
    Id::new(("panel", page, path))
}

/// Draws a row and does what is done to it.
pub(super) fn row(ui: &mut Ui, rect: Rect, page: &str, at: usize, full: bool, scene: &mut Scene<'_>) {
    let data = scene.data;
    let Some(row) = data.params.get(at) else { return };
    let (unit, path) = (scene.unit, row.path());
    let columns = Columns::of(rect, unit, full);
    let id = control_id(page, path);
    let is_selected = full && scene.memory.selected.as_deref() == Some(path);
    if is_selected {
        ui.painter().rect_filled(rect, widgets::rounding(0.4 * unit), widgets::RAISED.gamma_multiply(0.55));
    }
    let changed = !row.is_at_default();
    let color = if changed { ink::BRIGHT } else { ink::DIM };
    let size = if full { 1.05 } else { 0.98 };
    let name = |align, at, width| ink::text(ui.painter(), at, align, width, row.name(), size * unit, color);
    name(Align2::LEFT_CENTER, columns.name.left_center(), columns.name.width());
    let press_name = ui.interact(columns.name, id.with("name"), nannou::prelude::egui::Sense::CLICK);

    let control = columns.control.shrink2(vec2(0.0, 0.12 * rect.height()));
    let is_typing = scene.memory.typing.as_ref().is_some_and(|typing| typing.path == path);
    if is_typing {
        type_value(ui, id, control.union(columns.value.shrink2(vec2(0.0, 0.12 * rect.height()))), row, scene);
    } else {
        let response = control_of(ui, id, control, columns.value, row, scene);
        if press_name.clicked() {
            response.request_focus();
        }
        if response.has_focus() {
            scene.memory.selected = Some(path.to_owned());
        }
    }
    if let Some(place) = columns.origin {
        let word = origin_word(row.origin);
        ink::text(ui.painter(), place.left_center(), Align2::LEFT_CENTER, place.width(), word, 0.85 * unit, ink::DIM);
    }
    if let Some(place) = columns.mapped.filter(|_| !row.mapped.is_empty()) {
        let mapped = row.mapped.as_str();
        ink::text(
            ui.painter(),
            place.left_center(),
            Align2::LEFT_CENTER,
            place.width(),
            mapped,
            0.85 * unit,
            ink::AMBER,
        );
    }
}

/// The control that fits the parameter's kind.
fn control_of(ui: &mut Ui, id: Id, rect: Rect, value: Rect, row: &ParamRow, scene: &mut Scene<'_>) -> Response {
    let unit = scene.unit;
    let mut begin_typing = false;
    if row.read_only {
        let response = widgets::pressable(ui, id, rect.union(value));
        let at = response.rect.left_center();
        ink::text(ui.painter(), at, Align2::LEFT_CENTER, response.rect.width(), shown_of(row), 1.05 * unit, ink::DIM);
        widgets::ring(ui, &response, unit);
        return response;
    }
    let mut tell = |value: Value| scene.moves.push(Move::new(row.path(), value));
    let response = match &row.param.kind {
        Kind::Float { .. } | Kind::Int { .. } => {
            let whole = match row.param.kind {
                Kind::Int { min, max } => usize::try_from(max - min).ok().map(|steps| steps + 1),
                _ => None,
            };
            let zero = row.param.kind.normal_from_value(0.0);
            let stand = Stand { normal: row.normal(), played: row.played, zero, whole };
            let (response, moved) = widgets::slider(ui, id, rect, unit, stand);
            if let Some(normal) = moved {
                let number = row.param.kind.value_from_normal(normal);
                tell(if whole.is_some() { Value::Int(number as i64) } else { Value::Float(number) });
            }
            let press_value = ui.interact(value, id.with("value"), nannou::prelude::egui::Sense::CLICK);
            // Enter is a click without a pointer.
            let enter = response.clicked() && response.interact_pointer_pos().is_none();
            begin_typing = enter || press_value.clicked();
            value_text(ui, value, row, unit);
            response
        }
        Kind::Bool => {
            let on = row.value == Value::Bool(true);
            let (response, pressed) = widgets::switch(ui, id, rect, unit, on);
            if pressed {
                tell(Value::Bool(!on));
            }
            response
        }
        Kind::Choice(names) => {
            let names: Vec<&str> = names.iter().map(|name| &**name).collect();
            let now = match &row.value {
                Value::Text(name) => names.iter().position(|known| *known == &**name).unwrap_or(0),
                _ => 0,
            };
            let (response, chosen) = widgets::choice(ui, id, rect.union(value), unit, &names, now);
            if let Some(name) = chosen.and_then(|at| names.get(at)) {
                tell(Value::text(name));
            }
            response
        }
        Kind::Text => {
            let response = widgets::pressable(ui, id, rect.union(value));
            let ground = if response.hovered() { widgets::HOVERED } else { widgets::RAISED };
            ui.painter().rect_filled(response.rect, widgets::rounding(0.4 * unit), ground);
            let inside = response.rect.shrink2(vec2(0.6 * unit, 0.0));
            let (text, color) = match &row.value {
                Value::Text(text) if !text.is_empty() => (text.to_string(), ink::BRIGHT),
                _ => ("–".to_owned(), ink::DIM),
            };
            ink::text(ui.painter(), inside.left_center(), Align2::LEFT_CENTER, inside.width(), text, unit, color);
            widgets::ring(ui, &response, unit);
            begin_typing = response.clicked();
            response
        }
        Kind::Trigger => {
            let button = rect.with_max_x((rect.left() + 6.0 * unit).min(rect.right()));
            let response = widgets::button(ui, id, button, unit, "fire", "", Lit::Off);
            if response.clicked() {
                tell(Value::Pulse);
            }
            response
        }
    };
    if begin_typing {
        scene.memory.typing = Some(Typing::new(row.path(), text_of(&row.value)));
    }
    response
}

/// Value and unit of what only shows a state.
fn shown_of(row: &ParamRow) -> String {
    match text_of(&row.value) {
        text if text.is_empty() => "–".into(),
        text => format!("{text} {}", row.param.unit),
    }
}

fn value_text(ui: &Ui, place: Rect, row: &ParamRow, unit: f32) {
    let color = if row.is_at_default() { ink::DIM } else { ink::BRIGHT };
    let number = ink::text(
        ui.painter(),
        place.left_center(),
        Align2::LEFT_CENTER,
        place.width(),
        number_of(&row.value),
        1.05 * unit,
        color,
    );
    let left = number.right() + 0.35 * unit;
    // A unit that would be cut says nothing.
    let size = 0.8 * unit;
    if !row.param.unit.is_empty() && widgets::width_of(ui.painter(), &row.param.unit, size) <= place.right() - left {
        let at = pos2(left, place.center().y);
        ink::text(ui.painter(), at, Align2::LEFT_CENTER, place.right() - left, &row.param.unit, size, ink::DIM);
    }
}

fn type_value(ui: &mut Ui, id: Id, rect: Rect, row: &ParamRow, scene: &mut Scene<'_>) {
    let Some(mut typing) = scene.memory.typing.take() else { return };
    match widgets::value_field(ui, id.with("typing"), rect, scene.unit, &mut typing) {
        Typed::StillTyping => scene.memory.typing = Some(typing),
        Typed::Left => {}
        Typed::Done => match value_from_text(&row.param.kind, &typing.text) {
            Some(value) => {
                scene.moves.push(Move::new(row.path(), value));
                ui.memory_mut(|memory| memory.request_focus(id));
            }
            None => {
                (typing.refused, typing.begins) = (true, true);
                scene.memory.typing = Some(typing);
            }
        },
    }
}

/// What was typed, for this kind; None for a number that is none. The table clamps what is out of range.
fn value_from_text(kind: &Kind, text: &str) -> Option<Value> {
    let number = || text.trim().replace(',', ".").parse::<f64>().ok().filter(|number| number.is_finite());
    match kind {
        Kind::Float { .. } => number().map(Value::Float),
        Kind::Int { .. } => number().map(|number| Value::Int(number.round() as i64)),
        Kind::Text => Some(Value::text(text)),
        Kind::Bool | Kind::Choice(_) | Kind::Trigger => None,
    }
}

/// A value as it is typed.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::Float(number) => shown(*number),
        Value::Text(text) => text.to_string(),
        other => other.to_string(),
    }
}

/// A number as it is read: three digits that count.
fn number_of(value: &Value) -> String {
    match value {
        Value::Float(number) => {
            let decimals = match number.abs() {
                size if size >= 99.95 => 0,
                size if size >= 9.995 => 1,
                _ => 2,
            };
            format!("{number:.decimals$}").replace('-', "−")
        }
        Value::Int(number) => number.to_string().replace('-', "−"),
        other => text_of(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Param;

    #[test]
    fn numbers_are_shown_with_three_digits_that_count() {
        for (number, text) in [(0.5, "0.50"), (-0.25, "−0.25"), (12.34, "12.3"), (250.0, "250"), (9.999, "10.0")] {
            assert_eq!(number_of(&Value::Float(number)), text);
        }
        assert_eq!(number_of(&Value::Int(-3)), "−3");
    }

    #[test]
    fn what_is_typed_becomes_a_value_of_the_kind_or_is_refused() {
        let float = Param::float("/a", 0.0, 1.0, 0.0).kind;
        assert_eq!(value_from_text(&float, " 0,5 "), Some(Value::Float(0.5)));
        assert_eq!(value_from_text(&float, "much"), None);
        assert_eq!(value_from_text(&float, "inf"), None);
        assert_eq!(value_from_text(&Param::int("/a", 1, 4, 1).kind, "2.6"), Some(Value::Int(3)));
        assert_eq!(value_from_text(&Kind::Text, " a wood"), Some(Value::text(" a wood")));
    }

    #[test]
    fn the_columns_of_a_row_do_not_touch() {
        let rect = Rect::from_min_size(pos2(10.0, 5.0), vec2(600.0, 30.0));
        for full in [true, false] {
            let columns = Columns::of(rect, 16.0, full);
            let all: Vec<_> =
                [Some(columns.name), Some(columns.control), Some(columns.value), columns.origin, columns.mapped]
                    .into_iter()
                    .flatten()
                    .collect();
            assert_eq!(all.len(), if full { 5 } else { 3 });
            assert!(all.windows(2).all(|pair| pair[0].right() < pair[1].left()));
            assert!(all.iter().all(|column| rect.contains_rect(*column)));
        }
    }
}
