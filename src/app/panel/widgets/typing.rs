//! A field in which a value is typed: one at a time in the whole panel.

use nannou::prelude::egui::{Align, Color32, FontId, Frame, Id, Key, Margin, Rect, TextEdit, Ui, vec2};

use super::{RAISED, ink, rounding};

/// What is being typed, and for which parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Typing {
    pub path: String,
    pub text: String,
    /// What was typed does not fit: said by the colour until another letter is typed.
    pub refused: bool,
    /// The field has not been drawn yet: it takes the focus and marks its text.
    pub begins: bool,
}

/// What became of the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Typed {
    StillTyping,
    /// Enter.
    Done,
    /// Escape, or the focus went elsewhere.
    Left,
}

impl Typing {
    pub fn new(path: &str, text: String) -> Self {
        Self { path: path.to_owned(), text, refused: false, begins: true }
    }
}

/// Draws the field of what is being typed.
pub(in super::super) fn value_field(ui: &mut Ui, id: Id, rect: Rect, unit: f32, typing: &mut Typing) -> Typed {
    let color = if typing.refused { ink::RED } else { ink::BRIGHT };
    let before = typing.text.len();
    let response = field(ui, id, rect, unit, &mut typing.text, "", color);
    if typing.text.len() != before {
        typing.refused = false;
    }
    if std::mem::take(&mut typing.begins) {
        response.request_focus();
        mark_all(ui, id, &typing.text);
        return Typed::StillTyping;
    }
    if response.lost_focus() {
        return if ui.input(|input| input.key_pressed(Key::Enter)) { Typed::Done } else { Typed::Left };
    }
    Typed::StillTyping
}

/// A line of text that can be changed.
pub(in super::super) fn field(
    ui: &mut Ui,
    id: Id,
    rect: Rect,
    unit: f32,
    text: &mut String,
    hint: &str,
    color: Color32,
) -> nannou::prelude::egui::Response {
    ui.painter().rect_filled(rect, rounding(0.4 * unit), RAISED);
    let size = (0.55 * rect.height()).min(1.1 * unit);
    let inside = rect.shrink2(vec2(0.6 * unit, 0.0));
    let hint = nannou::prelude::egui::RichText::new(hint).font(FontId::proportional(size)).color(ink::DIM);
    let edit = TextEdit::singleline(text)
        .id(id)
        .font(FontId::proportional(size))
        .text_color(color)
        .hint_text(hint)
        .frame(Frame::NONE)
        .margin(Margin::ZERO)
        .desired_width(inside.width())
        .vertical_align(Align::Center)
        .min_size(inside.size());
    let response = ui.put(inside, edit);
    super::ring(ui, &response.clone().with_new_rect(rect), unit);
    response
}

fn mark_all(ui: &Ui, id: Id, text: &str) {
    use nannou::prelude::egui::text::{CCursor, CCursorRange};
    let mut state = TextEdit::load_state(ui.ctx(), id).unwrap_or_default();
    let all = CCursorRange::two(CCursor::new(0), CCursor::new(text.chars().count()));
    state.cursor.set_char_range(Some(all));
    state.store(ui.ctx(), id);
}
