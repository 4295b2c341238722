//! What every page has: the pages and what plays at the top, the panic keys and the newest message at the bottom.

use nannou::prelude::egui::{Align2, Id, Rect, Ui, pos2, vec2};

use super::{
    data::Move,
    places::{columns, split_left},
    scene::{Page, Scene},
    widgets::{self, Lit},
};
use crate::{
    app::window::{Level, overlay::ink},
    control::{Kind, Value},
};

/// A panic key: word, key, parameter, and how it looks while it is on.
const PANIC: [(&str, &str, &str, Lit); 4] = [
    ("Blackout", "B", "/stage/blackout", Lit::Alarm),
    ("Freeze", "Space", "/stage/freeze", Lit::On),
    ("Effects off", "R", "/stage/reset_effects", Lit::Off),
    ("Back", "Home", "/preset/back", Lit::Off),
];
/// Messages older than this no longer stand at the bottom of each page.
const MESSAGE_SECS: f32 = 30.0;

/// Pages on the left, what plays on the right.
pub(super) fn head(ui: &Ui, rect: Rect, scene: &mut Scene<'_>) {
    let unit = scene.unit;
    let (tabs, plays) = split_left(rect, 0.55 * rect.width(), unit);
    for (page, place) in Page::ALL.into_iter().zip(columns(tabs, Page::ALL.len(), 0.5 * unit)) {
        let lit = if page == scene.memory.page { Lit::On } else { Lit::Off };
        let key = format!("F{}", page.function_key());
        if widgets::button(ui, Id::new(("panel page", page.word())), place, unit, page.word(), &key, lit).clicked() {
            scene.memory.page = page;
        }
    }
    let data = scene.data;
    let newest = data.history.newest();
    let rate = newest.map(|sample| sample.pictures_per_s).filter(|rate| rate.is_finite() && *rate > 0.0);
    let rate = rate.map_or("–".to_owned(), |rate| format!("{rate:.1}"));
    let unit_word = ink::text(
        ui.painter(),
        plays.right_center(),
        Align2::RIGHT_CENTER,
        0.3 * plays.width(),
        "pictures/s",
        0.9 * unit,
        ink::DIM,
    );
    let at = pos2(unit_word.left() - 0.3 * unit, plays.center().y);
    let rate = ink::text(ui.painter(), at, Align2::RIGHT_CENTER, 0.3 * plays.width(), rate, 1.5 * unit, ink::BRIGHT);
    let name = data.playing.and_then(|at| data.presets.get(at)).map_or("–", |preset| preset.name.as_str());
    let width = rate.left() - unit - plays.left();
    ink::text(ui.painter(), plays.left_center(), Align2::LEFT_CENTER, width, name, 1.5 * unit, ink::BRIGHT);
}

/// Panic keys on the left, the newest message on the right.
pub(super) fn foot(ui: &Ui, rect: Rect, scene: &mut Scene<'_>) {
    let unit = scene.unit;
    let (keys, message) = split_left(rect, 0.7 * rect.width(), unit);
    let there: Vec<_> = PANIC.iter().filter(|(.., path, _)| scene.data.param(path).is_some()).collect();
    for ((word, key, path, lit), place) in there.iter().zip(columns(keys, there.len(), 0.5 * unit)) {
        let on = scene.data.is_on(path);
        let lit = if on { *lit } else { Lit::Off };
        if widgets::button(ui, Id::new(("panel panic", *path)), place, unit, word, key, lit).clicked() {
            let is_switch = scene.data.param(path).is_some_and(|row| row.param.kind == Kind::Bool);
            scene.moves.push(Move::new(*path, if is_switch { Value::Bool(!on) } else { Value::Pulse }));
        }
    }
    let newest = scene.data.messages.last().filter(|message| message.age_secs < MESSAGE_SECS);
    let (text, color) = match newest {
        Some(message) => (message.text.as_str(), ink::level(message.level)),
        None => ("H: all keys", ink::DIM),
    };
    let size = 0.9 * unit;
    paragraph(ui, message, text, size, color, 2);
    if newest.is_some_and(|message| message.level == Level::Error) {
        let mark =
            Rect::from_min_size(pos2(message.left() - 0.6 * unit, message.top()), vec2(0.25 * unit, rect.height()));
        ui.painter().rect_filled(mark, 0.0, ink::RED);
    }
}

/// Text over at most so many lines, in the middle of the height, the last cut with an ellipsis; returns its height.
pub(super) fn paragraph(
    ui: &Ui,
    rect: Rect,
    text: &str,
    size: f32,
    color: nannou::prelude::egui::Color32,
    lines: usize,
) -> f32 {
    use nannou::prelude::egui::{
        FontId,
        text::{LayoutJob, TextWrapping},
    };
    let mut job = LayoutJob::simple(text.to_owned(), FontId::proportional(size), color, rect.width());
    job.wrap = TextWrapping { max_width: rect.width(), max_rows: lines, ..Default::default() };
    let galley = ui.painter().layout_job(job);
    let height = galley.size().y;
    let at = pos2(rect.left(), rect.center().y - 0.5 * height);
    ui.painter().galley(at, galley, color);
    height
}
