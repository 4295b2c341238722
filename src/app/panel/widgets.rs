//! The controls that the panel is built from: drawn here, moved by egui's pointer and focus.
//!
//! Each is one thing to the keyboard: Tab and the arrows go from one to the next, Enter does what a click does. What has
//! the focus has a ring around it.

mod slider;
mod typing;

pub(super) use slider::{Stand, slider};
pub(super) use typing::{Typed, Typing, field, value_field};

use nannou::prelude::egui::{
    Align2, Color32, CornerRadius, Id, Key, Painter, Rect, Response, Sense, Stroke, StrokeKind, Ui, pos2, vec2,
};

use crate::app::window::overlay::ink;

/// Behind everything.
pub(super) const NIGHT: Color32 = Color32::from_rgb(9, 11, 14);
/// Of a part that belongs together.
pub(super) const CARD: Color32 = Color32::from_rgb(18, 22, 27);
/// Of what can be pressed or moved.
pub(super) const RAISED: Color32 = Color32::from_rgb(38, 45, 54);
pub(super) const HOVERED: Color32 = Color32::from_rgb(56, 66, 78);
/// On something lit.
pub(super) const ON_LIT: Color32 = Color32::from_rgb(6, 20, 18);

/// The ground of a part; returns what is inside its margin.
pub(super) fn card(painter: &Painter, rect: Rect, unit: f32) -> Rect {
    painter.rect_filled(rect, rounding(0.5 * unit), CARD);
    rect.shrink(0.7 * unit)
}

/// A small heading at the top of a card; returns what is left below it.
pub(super) fn titled(painter: &Painter, inside: Rect, unit: f32, title: &str, note: &str) -> Rect {
    let note = ink::text(painter, inside.right_top(), Align2::RIGHT_TOP, 0.6 * inside.width(), note, unit, ink::DIM);
    let width = (note.left() - inside.left() - unit).max(unit);
    ink::text(painter, inside.left_top(), Align2::LEFT_TOP, width, title, unit, ink::DIM);
    inside.with_min_y((inside.top() + 1.7 * unit).min(inside.bottom()))
}

pub(super) fn rounding(radius: f32) -> CornerRadius {
    CornerRadius::same(radius.round().clamp(0.0, 255.0) as u8)
}

/// How a button looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Lit {
    #[default]
    Off,
    On,
    /// On, and what the audience sees is not the show.
    Alarm,
}

/// A button with a word on it, and the key that does the same.
pub(super) fn button(ui: &Ui, id: Id, rect: Rect, unit: f32, text: &str, key: &str, lit: Lit) -> Response {
    let response = pressable(ui, id, rect);
    let (ground, ink_color, key_color) = match lit {
        Lit::Off if response.hovered() => (HOVERED, ink::BRIGHT, ink::DIM),
        Lit::Off => (RAISED, ink::BRIGHT, ink::DIM),
        Lit::On => (ink::ACCENT, ON_LIT, ON_LIT),
        Lit::Alarm => (ink::RED, ON_LIT, ON_LIT),
    };
    let painter = ui.painter();
    painter.rect_filled(rect, rounding(0.4 * unit), ground);
    let inside = rect.shrink2(vec2(0.6 * unit, 0.0));
    let size = (0.5 * rect.height()).min(1.15 * unit);
    if key.is_empty() {
        ink::text(painter, inside.center(), Align2::CENTER_CENTER, inside.width(), text, size, ink_color);
    } else {
        let width = 0.4 * inside.width();
        let key = ink::text(painter, inside.right_center(), Align2::RIGHT_CENTER, width, key, 0.8 * size, key_color);
        let width = key.left() - inside.left() - 0.4 * unit;
        ink::text(painter, inside.left_center(), Align2::LEFT_CENTER, width, text, size, ink_color);
    }
    ring(ui, &response, unit);
    response
}

/// A place that can be pressed with pointer or Enter.
pub(super) fn pressable(ui: &Ui, id: Id, rect: Rect) -> Response {
    let response = ui.interact(rect, id, Sense::click());
    if response.clicked() {
        response.request_focus();
    }
    follow_focus(ui, &response);
    response
}

/// What has come into focus is scrolled into sight.
pub(super) fn follow_focus(ui: &Ui, response: &Response) {
    if response.gained_focus() {
        ui.scroll_to_rect(response.rect.expand(0.5 * response.rect.height()), None);
    }
}

pub(super) fn ring(ui: &Ui, response: &Response, unit: f32) {
    if response.has_focus() {
        let stroke = Stroke::new((0.11 * unit).max(1.5), ink::BRIGHT);
        ui.painter().rect_stroke(response.rect, rounding(0.4 * unit), stroke, StrokeKind::Inside);
    }
}

/// On and off; true when it was pressed.
pub(super) fn switch(ui: &Ui, id: Id, rect: Rect, unit: f32, on: bool) -> (Response, bool) {
    let response = pressable(ui, id, rect);
    let track = Rect::from_min_size(
        pos2(rect.left() + 0.3 * unit, rect.center().y - 0.6 * unit),
        vec2((2.6 * unit).min(rect.width()), 1.2 * unit),
    );
    let painter = ui.painter();
    painter.rect_filled(track, rounding(0.6 * unit), if on { ink::ACCENT } else { RAISED });
    let radius = 0.44 * unit;
    let x = if on { track.right() - 0.6 * unit } else { track.left() + 0.6 * unit };
    painter.circle_filled(pos2(x, track.center().y), radius, if on { ON_LIT } else { ink::DIM });
    let word = pos2(track.right() + 0.6 * unit, rect.center().y);
    let (text, color) = if on { ("on", ink::BRIGHT) } else { ("off", ink::DIM) };
    ink::text(painter, word, Align2::LEFT_CENTER, (rect.right() - word.x).max(1.0), text, 1.05 * unit, color);
    ring(ui, &response, unit);
    let pressed = response.clicked();
    (response, pressed)
}

/// One of a few: all side by side where there is room, else the one between arrows. Returns the place chosen.
pub(super) fn choice(ui: &Ui, id: Id, rect: Rect, unit: f32, names: &[&str], now: usize) -> (Response, Option<usize>) {
    let response = pressable(ui, id, rect);
    lock_horizontal(ui, &response);
    let count = names.len().max(1);
    let painter = ui.painter();
    painter.rect_filled(rect, rounding(0.4 * unit), RAISED);
    let size = 0.95 * unit;
    let widest = names.iter().map(|name| width_of(painter, name, size)).fold(0.0, f32::max);
    let side_by_side = count as f32 * (widest + unit) <= rect.width();
    let clicked_at = response.interact_pointer_pos().filter(|_| response.clicked()).map(|at| at.x);
    let mut chosen = None;
    if side_by_side {
        for (i, part) in super::places::columns(rect, count, 0.0).into_iter().enumerate() {
            let color = if i == now {
                painter.rect_filled(part.shrink(0.15 * unit), rounding(0.35 * unit), ink::ACCENT);
                ON_LIT
            } else {
                ink::BRIGHT
            };
            let name = names.get(i).copied().unwrap_or_default();
            ink::text(painter, part.center(), Align2::CENTER_CENTER, part.width(), name, size, color);
            if clicked_at.is_some_and(|x| part.x_range().contains(x)) {
                chosen = Some(i);
            }
        }
    } else {
        let name = names.get(now).copied().unwrap_or_default();
        let middle = rect.shrink2(vec2(1.8 * unit, 0.0));
        ink::text(painter, middle.center(), Align2::CENTER_CENTER, middle.width(), name, size, ink::ACCENT);
        for (at, mark) in [(rect.left() + 0.9 * unit, "◀"), (rect.right() - 0.9 * unit, "▶")] {
            let at = pos2(at, rect.center().y);
            ink::text(painter, at, Align2::CENTER_CENTER, 1.6 * unit, mark, 0.8 * unit, ink::DIM);
        }
        if let Some(x) = clicked_at {
            chosen = Some(if x < rect.center().x { now + count - 1 } else { now + 1 } % count);
        }
    }
    if response.has_focus() {
        let (back, on) = ui.input(|input| {
            let enter = response.clicked() && clicked_at.is_none();
            (input.key_pressed(Key::ArrowLeft), input.key_pressed(Key::ArrowRight) || enter)
        });
        match (back, on) {
            (true, false) => chosen = Some((now + count - 1) % count),
            (false, true) => chosen = Some((now + 1) % count),
            _ => {}
        }
    }
    ring(ui, &response, unit);
    (response, chosen.filter(|at| *at != now && *at < names.len()))
}

/// The arrows to left and right move what has the focus, and not the focus.
pub(super) fn lock_horizontal(ui: &Ui, response: &Response) {
    use nannou::prelude::egui::EventFilter;
    let filter = EventFilter { horizontal_arrows: true, ..Default::default() };
    ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
}

pub(super) fn width_of(painter: &Painter, text: &str, size: f32) -> f32 {
    use nannou::prelude::egui::FontId;
    painter.layout_no_wrap(text.to_owned(), FontId::proportional(size), ink::DIM).size().x
}
