//! The page of keys.

use nannou::prelude::egui::{Align2, Painter, Rect, pos2};

use super::{KeyHelp, ink, layout::Layout};

/// More keys than this are put in two columns.
const ONE_COLUMN: usize = 12;

pub(super) fn paint(painter: &Painter, keys: &[KeyHelp]) {
    let unit = Layout::of(painter.clip_rect().size()).unit;
    let inside = ink::panel(painter, painter.clip_rect().shrink(unit), unit);
    let title =
        ink::text(painter, inside.left_top(), Align2::LEFT_TOP, inside.width(), "Keys", 2.0 * unit, ink::BRIGHT);
    let area = inside.with_min_y(title.bottom() + unit);
    let columns = if keys.len() > ONE_COLUMN { 2 } else { 1 };
    for (i, column) in keys.chunks(keys.len().div_ceil(columns).max(1)).enumerate() {
        let width = area.width() / columns as f32;
        let left = area.left() + i as f32 * width;
        let rect = Rect::from_min_max(pos2(left, area.top()), pos2(left + width - unit, area.bottom()));
        paint_column(painter, rect, column, unit);
    }
}

fn paint_column(painter: &Painter, rect: Rect, keys: &[KeyHelp], unit: f32) {
    let row_height = (rect.height() / keys.len() as f32).min(2.4 * unit);
    let size = (0.62 * row_height).min(1.4 * unit);
    let key_width = 0.28 * rect.width();
    for (i, help) in keys.iter().enumerate() {
        let middle = rect.top() + (i as f32 + 0.5) * row_height;
        let key_at = pos2(rect.left(), middle);
        ink::text(painter, key_at, Align2::LEFT_CENTER, key_width, &help.key, size, ink::ACCENT);
        let what_at = pos2(rect.left() + key_width + unit, middle);
        let width = rect.width() - key_width - unit;
        ink::text(painter, what_at, Align2::LEFT_CENTER, width, &help.what, size, ink::BRIGHT);
    }
}
