//! A slider for a number: dragged, clicked, or moved by the arrows while it has the focus.

use nannou::prelude::egui::{Id, Key, Rect, Response, Sense, Ui, pos2, vec2};

use super::{HOVERED, RAISED, follow_focus, ink, lock_horizontal, ring, rounding};

/// A stroke of an arrow, on the normal scale; with Shift five, with Ctrl a tenth of it.
const STROKE: f64 = 0.02;

/// What a slider stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Stand {
    /// What was set, 0..1.
    pub normal: f64,
    /// What is played, 0..1: elsewhere while something modulates it.
    pub played: f64,
    /// From where the bar is drawn: of the value 0, or the left end.
    pub zero: f64,
    /// For whole numbers, how many there are.
    pub whole: Option<usize>,
}

/// Draws it; returns where it was moved to, 0..1.
pub(in super::super) fn slider(ui: &Ui, id: Id, rect: Rect, unit: f32, stand: Stand) -> (Response, Option<f64>) {
    let response = ui.interact(rect, id, Sense::click_and_drag());
    lock_horizontal(ui, &response);
    follow_focus(ui, &response);
    let track = Rect::from_center_size(rect.center(), vec2((rect.width() - 1.6 * unit).max(1.0), 0.5 * unit));
    let mut moved = None;
    if response.dragged() || response.clicked() {
        response.request_focus();
        if let Some(at) = response.interact_pointer_pos() {
            moved = Some(f64::from(((at.x - track.left()) / track.width()).clamp(0.0, 1.0)));
        }
    }
    if response.has_focus() {
        moved = moved.or_else(|| by_arrows(ui, stand));
    }

    let painter = ui.painter();
    let x = |normal: f64| track.left() + normal.clamp(0.0, 1.0) as f32 * track.width();
    painter.rect_filled(track, rounding(0.25 * unit), if response.hovered() { HOVERED } else { RAISED });
    let (now, zero) = (x(moved.unwrap_or(stand.normal)), x(stand.zero));
    let bar = Rect::from_x_y_ranges(now.min(zero)..=now.max(zero), track.y_range());
    painter.rect_filled(bar, rounding(0.25 * unit), ink::ACCENT);
    if (stand.played - stand.normal).abs() > 1e-3 {
        let mark = Rect::from_center_size(pos2(x(stand.played), track.center().y), vec2(0.22 * unit, 1.5 * unit));
        painter.rect_filled(mark, 0.0, ink::AMBER);
    }
    painter.circle_filled(pos2(now, track.center().y), 0.55 * unit, ink::BRIGHT);
    ring(ui, &response, unit);
    (response, moved.filter(|normal| (normal - stand.normal).abs() > 1e-9))
}

fn by_arrows(ui: &Ui, stand: Stand) -> Option<f64> {
    let (strokes, modifiers) = ui.input(|input| {
        let pressed = |key| input.num_presses(key) as f64;
        (pressed(Key::ArrowRight) - pressed(Key::ArrowLeft), input.modifiers)
    });
    if strokes == 0.0 {
        return None;
    }
    let stroke = match stand.whole {
        Some(count) => 1.0 / count.saturating_sub(1).max(1) as f64,
        None if modifiers.ctrl => 0.1 * STROKE,
        None => STROKE,
    };
    let far = if modifiers.shift { 5.0 } else { 1.0 };
    Some((stand.normal + far * strokes * stroke).clamp(0.0, 1.0))
}
