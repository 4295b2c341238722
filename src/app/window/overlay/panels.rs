//! The parts that are text: what plays, the numbers, the messages.

use nannou::prelude::egui::{Align2, Color32, Painter, Rect, pos2};

use super::{Message, OverlayData, Pace, ink, layout::Layout};

/// In units; a text with less room than this is left out, for nothing of it could be read.
const LEAST_WIDTH: f32 = 3.0;

/// What plays: preset and model on the left, the source on the right.
pub(super) fn head(painter: &Painter, layout: &Layout, data: &OverlayData) {
    let unit = layout.unit;
    let inside = ink::panel(painter, layout.head, unit);
    let middle = inside.center().y;
    let half = 0.5 * inside.width();
    let mut x = inside.left();
    for (text, size, color) in [(&data.preset, 1.7, ink::BRIGHT), (&data.model, 1.2, ink::DIM)] {
        let width = inside.left() + half - x;
        if !text.is_empty() && width > LEAST_WIDTH * unit {
            x = ink::text(painter, pos2(x, middle), Align2::LEFT_CENTER, width, text, size * unit, color).right()
                + unit;
        }
    }
    let mut x = inside.right();
    for (text, size, color) in [(&data.source_state, 1.7, ink::ACCENT), (&data.source, 1.2, ink::DIM)] {
        let width = x - (inside.left() + half + unit);
        if !text.is_empty() && width > LEAST_WIDTH * unit {
            x = ink::text(painter, pos2(x, middle), Align2::RIGHT_CENTER, width, text, size * unit, color).left()
                - unit;
        }
    }
}

/// Rates and latencies, largest what matters most.
pub(super) fn numbers(painter: &Painter, layout: &Layout, data: &OverlayData, pace: Pace) {
    let unit = layout.unit;
    let inside = ink::panel(painter, layout.numbers, unit);
    let [width, height] = data.picture_px;
    let [denoise, decode] = [data.timing.denoise_ms, data.timing.decode_ms].map(|ms| number(ms, 0));
    let rows = [
        ("pictures", number(data.pictures_per_s, 1), "/s", rate_color(data.pictures_per_s, 8.0, 2.0)),
        ("screen", number(pace.frames_per_s, 0), "/s", rate_color(pace.frames_per_s, 24.0, 12.0)),
        ("slowest frame", number(pace.slowest_ms, 0), "ms", ink::BRIGHT),
        ("latency", number(data.latency_ms, 0), "ms", ink::BRIGHT),
        ("model", format!("{denoise} + {decode}"), "ms", ink::BRIGHT),
        ("size", format!("{width} × {height}"), steps(data.steps), ink::BRIGHT),
    ];
    let row_height = inside.height() / rows.len() as f32;
    let size = (0.72 * row_height).min(1.9 * unit);
    let label_size = 0.7 * size;
    let suffix_width = 3.6 * unit;
    let suffix_left = inside.right() - suffix_width;
    for (i, (label, value, suffix, color)) in rows.into_iter().enumerate() {
        let middle = inside.top() + (i as f32 + 0.5) * row_height;
        let text = |x, align, width, text: String, size, color| {
            ink::text(painter, pos2(x, middle), align, width, text, size, color)
        };
        let label_width = 0.45 * inside.width();
        text(inside.left(), Align2::LEFT_CENTER, label_width, label.into(), label_size, ink::DIM);
        text(suffix_left - 0.4 * unit, Align2::RIGHT_CENTER, 0.6 * inside.width(), value, size, color);
        text(suffix_left, Align2::LEFT_CENTER, suffix_width, suffix.into(), label_size, ink::DIM);
    }
}

/// The newest messages, the last at the bottom.
pub(super) fn messages(painter: &Painter, layout: &Layout, messages: &[Message]) {
    let unit = layout.unit;
    let inside = ink::panel(painter, layout.messages, unit);
    if messages.is_empty() {
        ink::text(
            painter,
            inside.left_center(),
            Align2::LEFT_CENTER,
            inside.width(),
            "no messages    ·    H: keys    ·    Tab: close",
            unit,
            ink::DIM,
        );
        return;
    }
    let lines = 2;
    let height = inside.height() / lines as f32;
    for (i, message) in messages.iter().rev().take(lines).enumerate() {
        let line = Rect::from_min_max(
            pos2(inside.left(), inside.bottom() - (i + 1) as f32 * height),
            pos2(inside.right(), inside.bottom() - i as f32 * height),
        );
        let age = ink::text(
            painter,
            line.right_center(),
            Align2::RIGHT_CENTER,
            6.0 * unit,
            age(message.age_secs),
            0.9 * unit,
            ink::DIM,
        );
        let width = age.left() - unit - line.left();
        let color = ink::level(message.level);
        ink::text(painter, line.left_center(), Align2::LEFT_CENTER, width, &message.text, 1.1 * unit, color);
    }
}

/// A dash for what is not known.
fn number(value: f32, decimals: usize) -> String {
    if value.is_finite() && value > 0.0 { format!("{value:.decimals$}") } else { "–".into() }
}

fn rate_color(rate: f32, good: f32, bad: f32) -> Color32 {
    if rate.is_nan() || rate < bad {
        ink::RED
    } else if rate < good {
        ink::AMBER
    } else {
        ink::BRIGHT
    }
}

fn steps(steps: usize) -> &'static str {
    match steps {
        0 => "",
        1 => "1 step",
        2 => "2 steps",
        3 => "3 steps",
        4 => "4 steps",
        _ => "steps",
    }
}

/// "42 s ago".
pub(in crate::app) fn age(secs: f32) -> String {
    match secs {
        secs if secs < 1.5 => "now".into(),
        secs if secs < 90.0 => format!("{secs:.0} s ago"),
        secs if secs < 5400.0 => format!("{:.0} min ago", secs / 60.0),
        secs => format!("{:.0} h ago", secs / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_a_dash_and_not_a_number() {
        for unknown in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert_eq!(number(unknown, 1), "–");
        }
        assert_eq!(number(12.34, 1), "12.3");
        assert_eq!(number(12.34, 0), "12");
    }

    #[test]
    fn a_rate_that_falls_turns_amber_then_red() {
        assert_eq!(rate_color(30.0, 8.0, 2.0), ink::BRIGHT);
        assert_eq!(rate_color(5.0, 8.0, 2.0), ink::AMBER);
        assert_eq!(rate_color(1.0, 8.0, 2.0), ink::RED);
        assert_eq!(rate_color(f32::NAN, 8.0, 2.0), ink::RED);
    }

    #[test]
    fn ages_are_told_in_the_unit_that_fits() {
        assert_eq!(age(0.3), "now");
        assert_eq!(age(42.0), "42 s ago");
        assert_eq!(age(600.0), "10 min ago");
        assert_eq!(age(7200.0), "2 h ago");
    }
}
