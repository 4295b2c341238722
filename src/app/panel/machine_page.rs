//! The page of the machine: rates and latencies of the last minute, models and their state, messages.

use nannou::prelude::egui::{
    Align2, Color32, Id, Pos2, Rect, ScrollArea, Sense, Shape, Stroke, Ui, UiBuilder, pos2, vec2,
};

use super::{
    data::{ModelRow, ModelState, Move},
    frame::paragraph,
    history::{History, SPAN_SECS, Sample, ceiling},
    places::{columns, split_left, split_top},
    scene::Scene,
    widgets,
};
use crate::{
    app::window::{
        Message,
        overlay::{ink, panels::age},
    },
    control::Value,
};

/// A line goes over shorter gaps: where frames come seldom, there are as few samples.
const GAP_SECS: f32 = 2.0;

/// A line of a plot: what stands behind its newest value where there are several, the value, its colour.
type Line = (&'static str, fn(&Sample) -> f32, Color32);

struct Plot {
    title: &'static str,
    unit: &'static str,
    /// The scale goes at least so far.
    least: f32,
    lines: &'static [Line],
}

const PLOTS: [Plot; 4] = [
    Plot { title: "pictures", unit: "/s", least: 8.0, lines: &[("", |s| s.pictures_per_s, ink::ACCENT)] },
    Plot { title: "screen", unit: "/s", least: 25.0, lines: &[("", |s| s.frames_per_s, ink::ACCENT)] },
    Plot { title: "sample to picture", unit: "ms", least: 40.0, lines: &[("", |s| s.latency_ms, ink::ACCENT)] },
    Plot {
        title: "denoise, decode",
        unit: "ms",
        least: 15.0,
        lines: &[("", |s| s.denoise_ms, ink::ACCENT), ("ms", |s| s.decode_ms, ink::AMBER)],
    },
];

pub(super) fn paint(ui: &mut Ui, rect: Rect, scene: &mut Scene<'_>) {
    let unit = scene.unit;
    let gap = 0.7 * unit;
    let (plots, below) = split_top(rect, 0.5 * rect.height(), gap);
    for (plot, place) in PLOTS.iter().zip(columns(plots, PLOTS.len(), gap)) {
        paint_plot(ui, place, unit, plot, &scene.data.history);
    }
    let (left, right) = split_left(below, 0.36 * below.width(), gap);
    models(ui, left, scene);
    messages(ui, right, scene);
}

fn paint_plot(ui: &Ui, rect: Rect, unit: f32, plot: &Plot, history: &History) {
    let painter = ui.painter();
    let inside = widgets::card(painter, rect, unit);
    let all = plot.lines.iter().flat_map(|(_, value, _)| history.series(value).map(|(_, value)| value));
    let top = ceiling(all, plot.least);
    // The scale stands beside the title, where no line can run through it.
    let area = widgets::titled(painter, inside, unit, plot.title, &format!("to {top}"));
    // The newest values large, as on an instrument.
    let (numbers, area) = split_top(area, 2.4 * unit, 0.4 * unit);
    let mut left = numbers.left();
    for (name, value, color) in plot.lines {
        let newest = history.newest().map(value).filter(|value| value.is_finite() && *value > 0.0);
        let text = newest.map_or("–".to_owned(), number);
        let room = numbers.right() - left;
        let number =
            ink::text(painter, pos2(left, numbers.center().y), Align2::LEFT_CENTER, room, text, 1.8 * unit, *color);
        let word = if plot.lines.len() == 1 { plot.unit } else { *name };
        let at = pos2(number.right() + 0.3 * unit, numbers.center().y + 0.25 * unit);
        let room = (numbers.right() - at.x).max(1.0);
        let word = ink::text(painter, at, Align2::LEFT_CENTER, room, word, 0.85 * unit, ink::DIM);
        left = word.right() + 0.7 * unit;
    }
    let (area, axis) = super::places::split_bottom(area, 1.1 * unit, 0.1 * unit);
    for part in [0.0, 0.5, 1.0] {
        let y = area.bottom() - part * area.height();
        let line = Rect::from_min_max(pos2(area.left(), y - 0.5), pos2(area.right(), y + 0.5));
        painter.rect_filled(line, 0.0, widgets::RAISED);
    }
    let label = |at: Pos2, align, text: String| ink::text(painter, at, align, 6.0 * unit, text, 0.75 * unit, ink::DIM);
    label(axis.left_center(), Align2::LEFT_CENTER, format!("−{SPAN_SECS:.0} s"));
    label(axis.right_center(), Align2::RIGHT_CENTER, "now".into());
    for (_, value, color) in plot.lines {
        for points in runs(history, value, area, top) {
            painter.add(Shape::line(points, Stroke::new((0.1 * unit).max(1.5), *color)));
        }
    }
}

/// The points of a line, in pieces where something was not known.
fn runs(history: &History, value: &fn(&Sample) -> f32, area: Rect, top: f32) -> Vec<Vec<Pos2>> {
    let mut runs: Vec<Vec<Pos2>> = Vec::new();
    let mut last_age = f32::INFINITY;
    for (age_secs, value) in history.series(value) {
        let x = area.right() - (age_secs / SPAN_SECS).min(1.0) * area.width();
        let y = area.bottom() - (value / top).clamp(0.0, 1.0) * area.height();
        if last_age - age_secs > GAP_SECS {
            runs.push(Vec::new());
        }
        last_age = age_secs;
        if let Some(run) = runs.last_mut() {
            run.push(pos2(x, y));
        }
    }
    runs
}

fn number(value: f32) -> String {
    if value < 99.95 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn models(ui: &Ui, rect: Rect, scene: &mut Scene<'_>) {
    let unit = scene.unit;
    let inside = widgets::card(ui.painter(), rect, unit);
    let area = widgets::titled(ui.painter(), inside, unit, "models", "");
    let height = 4.2 * unit;
    for (i, model) in scene.data.models.iter().enumerate() {
        let top = area.top() + i as f32 * (height + 0.3 * unit);
        if top + height > area.bottom() + 1.0 {
            break;
        }
        let place = Rect::from_min_size(pos2(area.left(), top), vec2(area.width(), height));
        let id = Id::new(("panel model", &model.name));
        if i == 0 {
            scene.memory.first = Some(id);
        }
        if paint_model(ui, id, place, unit, model) {
            scene.moves.push(Move::new("/dream/model", Value::text(&model.name)));
        }
    }
}

fn paint_model(ui: &Ui, id: Id, rect: Rect, unit: f32, model: &ModelRow) -> bool {
    let response = widgets::pressable(ui, id, rect);
    let painter = ui.painter();
    let ground = if response.hovered() { widgets::HOVERED } else { widgets::RAISED };
    painter.rect_filled(rect, widgets::rounding(0.4 * unit), ground);
    let inside = rect.shrink2(vec2(0.6 * unit, 0.3 * unit));
    let color = match model.state {
        ModelState::Playing => ink::ACCENT,
        ModelState::Loading => ink::AMBER,
        ModelState::Resident => ink::BRIGHT,
        ModelState::OnDisk => ink::DIM,
    };
    let (line, about) = split_top(inside, 1.4 * unit, 0.1 * unit);
    let word = [model.state.word(), &model.memory].join(" ");
    let state =
        ink::text(painter, line.right_center(), Align2::RIGHT_CENTER, 0.4 * line.width(), word, 0.9 * unit, color);
    let width = state.left() - 0.5 * unit - line.left();
    // Of a path, its end tells more than its beginning.
    let name =
        std::path::Path::new(&model.name).file_name().map_or(model.name.as_str().into(), |name| name.to_string_lossy());
    ink::text(painter, line.left_center(), Align2::LEFT_CENTER, width, name, 1.05 * unit, ink::BRIGHT);
    paragraph(ui, about, &model.about, 0.8 * unit, ink::DIM, 2);
    widgets::ring(ui, &response, unit);
    response.clicked() && model.state != ModelState::Playing
}

fn messages(ui: &mut Ui, rect: Rect, scene: &mut Scene<'_>) {
    let unit = scene.unit;
    let inside = widgets::card(ui.painter(), rect, unit);
    let count = scene.data.messages.len();
    let note = if count == 0 { String::new() } else { format!("{count}") };
    let area = widgets::titled(ui.painter(), inside, unit, "messages", &note);
    if count == 0 {
        let text = "all is well";
        ink::text(ui.painter(), area.left_top(), Align2::LEFT_TOP, area.width(), text, unit, ink::DIM);
        return;
    }
    let height = 2.5 * unit;
    ui.scope_builder(UiBuilder::new().max_rect(area), |ui| {
        ScrollArea::vertical().id_salt("messages").auto_shrink(false).show(ui, |ui| {
            let size = vec2(area.width() - ui.spacing().scroll.bar_width - 4.0, height * count as f32);
            let (place, _) = ui.allocate_exact_size(size, Sense::hover());
            for (i, message) in scene.data.messages.iter().rev().enumerate() {
                let line = Rect::from_min_size(place.min + vec2(0.0, i as f32 * height), vec2(place.width(), height));
                // Nothing to press, but the focus goes through them and scrolls.
                let response = widgets::pressable(ui, Id::new(("panel message", i)), line);
                if ui.is_rect_visible(line) {
                    paint_message(ui, line, unit, message);
                    widgets::ring(ui, &response, unit);
                }
            }
        });
    });
}

fn paint_message(ui: &Ui, rect: Rect, unit: f32, message: &Message) {
    let color = ink::level(message.level);
    let mark = Rect::from_min_size(rect.min + vec2(0.0, 0.35 * unit), vec2(0.25 * unit, rect.height() - 0.7 * unit));
    ui.painter().rect_filled(mark, 0.0, color);
    let at = rect.right_center();
    let old =
        ink::text(ui.painter(), at, Align2::RIGHT_CENTER, 6.0 * unit, age(message.age_secs), 0.8 * unit, ink::DIM);
    let text = Rect::from_min_max(pos2(rect.left() + 0.8 * unit, rect.top()), pos2(old.left() - unit, rect.bottom()));
    paragraph(ui, text, &message.text, 0.9 * unit, ink::BRIGHT, 2);
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_line_of_a_plot_breaks_where_nothing_was_known() {
        let (start, mut history) = (Instant::now(), History::default());
        let sample = |value| Sample {
            pictures_per_s: value,
            frames_per_s: 0.0,
            latency_ms: 0.0,
            denoise_ms: 0.0,
            decode_ms: 0.0,
        };
        for (at_ms, value) in [(0, 1.0), (250, f32::NAN), (500, 2.0), (750, f32::NAN), (1000, f32::NAN), (4000, 5.0)] {
            history.push(start + Duration::from_millis(at_ms), sample(value));
        }
        let area = Rect::from_min_size(pos2(0.0, 0.0), vec2(60.0, 10.0));
        let value: fn(&Sample) -> f32 = |sample| sample.pictures_per_s;
        let runs = runs(&history, &value, area, 10.0);
        assert_eq!(runs.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(runs[1], [pos2(60.0, 5.0)]);
        assert!(runs.iter().flatten().all(|point| area.expand(0.01).contains(*point)));
    }
}
