//! The page of the signal: its traces with the health of each, its spectrogram, the latent that it became.

use nannou::prelude::egui::{Align2, Id, Rect, Ui, pos2, vec2};

use super::{
    frame::paragraph,
    images::{plane_count, strip},
    places::{split_bottom, split_left, split_top},
    scene::Scene,
    spectrogram::COLUMN_SECS,
    widgets,
};
use crate::app::window::overlay::ink;

pub(super) fn paint(ui: &Ui, rect: Rect, scene: &mut Scene<'_>) {
    let unit = scene.unit;
    let gap = 0.7 * unit;
    let (left, right) = split_left(rect, 0.54 * rect.width(), gap);
    let (head, left) = split_top(left, 3.0 * unit, gap);
    source(ui, head, scene);
    let (spectrum, latent) = split_bottom(right, (0.36 * right.height()).min(0.25 * right.width() + 5.0 * unit), gap);
    spectrogram(ui, spectrum, scene);
    planes(ui, latent, scene);
    let left = if scene.data.ailments.is_empty() {
        left
    } else {
        let lines = scene.data.ailments.len().div_ceil(2).min(3);
        let (scope, ailments) = split_bottom(left, (1.3 * lines as f32 + 1.4) * unit, gap);
        let inside = widgets::card(ui.painter(), ailments, unit);
        paragraph(ui, inside, &scene.data.ailments.join("   ·   "), 0.9 * unit, ink::AMBER, lines);
        scope
    };
    let inside = widgets::card(ui.painter(), left, unit);
    scene.images.scope.paint(ui.painter(), inside, unit, &scene.data.scope);
}

fn source(ui: &Ui, rect: Rect, scene: &Scene<'_>) {
    let (unit, data) = (scene.unit, scene.data);
    let inside = widgets::card(ui.painter(), rect, unit);
    let state = ink::text(
        ui.painter(),
        inside.right_center(),
        Align2::RIGHT_CENTER,
        0.5 * inside.width(),
        &data.source_state,
        1.3 * unit,
        ink::ACCENT,
    );
    let width = state.left() - unit - inside.left();
    ink::text(ui.painter(), inside.left_center(), Align2::LEFT_CENTER, width, &data.source, 1.3 * unit, ink::BRIGHT);
}

fn spectrogram(ui: &Ui, rect: Rect, scene: &mut Scene<'_>) {
    let (unit, data) = (scene.unit, scene.data);
    let inside = widgets::card(ui.painter(), rect, unit);
    let (top, plot) = split_top(inside, 1.9 * unit, 0.5 * unit);
    let traces = &data.scope.traces;
    let names: Vec<&str> =
        std::iter::once("all channels").chain(traces.iter().map(|trace| trace.name.as_str())).collect();
    let now = scene.memory.channel.map_or(0, |channel| channel + 1).min(names.len() - 1);
    let (label, choice) = split_left(top, 0.5 * top.width(), unit);
    let seconds = format!("spectrogram, {:.0} s, Hz", 480.0 * COLUMN_SECS);
    ink::text(ui.painter(), label.left_center(), Align2::LEFT_CENTER, label.width(), seconds, unit, ink::DIM);
    let id = Id::new("panel channel");
    scene.memory.first = Some(id);
    let (_, chosen) = widgets::choice(ui, id, choice, unit, &names, now);
    if let Some(at) = chosen {
        scene.memory.channel = at.checked_sub(1);
    }
    scene.images.spectrogram.paint(ui.painter(), plot, unit);
}

fn planes(ui: &Ui, rect: Rect, scene: &mut Scene<'_>) {
    let (unit, data) = (scene.unit, scene.data);
    let inside = widgets::card(ui.painter(), rect, unit);
    let Some(latent) = &data.latent else {
        widgets::titled(ui.painter(), inside, unit, "no latent", "");
        return;
    };
    let shape = latent.shape;
    let note = format!("{}×{}×{}, {:.1} s", shape.channels, shape.height, shape.width, latent.stamp.signal_secs);
    let area = widgets::titled(ui.painter(), inside, unit, &format!("latent: {}", data.mapping), &note);
    let count = plane_count(latent).max(1);
    let gap = 0.4 * unit;
    let aspect = shape.width.max(1) as f32 / shape.height.max(1) as f32;
    let width = ((area.width() - gap * (count - 1) as f32) / count as f32).min(area.height() * aspect);
    let size = vec2(width, width / aspect);
    let all = width * count as f32 + gap * (count - 1) as f32;
    let Some(texture) = scene.images.planes(ui.ctx(), latent) else { return };
    for i in 0..count {
        let left = area.center().x - 0.5 * all + i as f32 * (width + gap);
        let place = Rect::from_min_size(pos2(left, area.center().y - 0.5 * size.y), size);
        strip(ui.painter(), texture, place, i as f32 / count as f32, (i + 1) as f32 / count as f32);
    }
}
