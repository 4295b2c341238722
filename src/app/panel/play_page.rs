//! The page for the show: presets to be pressed, the picture, and the few dials that a hand rests on.

use nannou::prelude::egui::{Align2, Color32, Id, Key, Painter, Rect, ScrollArea, Ui, UiBuilder, pos2, vec2};

use super::{
    actions,
    data::{Move, PresetTile},
    images::strip,
    places::{grid, split_bottom, split_left, split_top},
    row,
    scene::Scene,
    widgets,
};
use crate::{app::window::overlay::ink, control::Value};

/// What a hand rests on; those that the table does not have are left out.
const AT_HAND: [&str; 6] =
    ["/stage/master", "/dream/vivid", "/dream/bright", "/latent/drive", "/stage/crossfade", "/stage/transition_secs"];

pub(super) fn paint(ui: &mut Ui, rect: Rect, scene: &mut Scene<'_>) {
    let unit = scene.unit;
    let gap = 0.7 * unit;
    let (left, right) = split_left(rect, 0.6 * rect.width(), gap);
    let left = if actions::any(scene.data) {
        let (presets, bar) = split_bottom(left, 2.4 * unit, gap);
        actions::bar(ui, bar, false, scene);
        presets
    } else {
        left
    };
    presets(ui, left, scene);

    let at_hand: Vec<usize> =
        AT_HAND.iter().filter_map(|path| scene.data.params.iter().position(|row| row.path() == *path)).collect();
    let row_height = 2.1 * unit;
    let (top, dials) = split_bottom(right, row_height * at_hand.len() as f32 + 1.4 * unit, gap);
    picture(ui, top, scene);
    let inside = widgets::card(ui.painter(), dials, unit);
    for (i, at) in at_hand.into_iter().enumerate() {
        let (_, below) = split_top(inside, i as f32 * row_height, 0.0);
        let (place, _) = split_top(below, row_height, 0.0);
        row::row(ui, place, "play", at, false, scene);
    }
}

fn picture(ui: &Ui, rect: Rect, scene: &mut Scene<'_>) {
    let unit = scene.unit;
    let inside = widgets::card(ui.painter(), rect, unit);
    let Some(picture) = &scene.data.picture else {
        ink::text(
            ui.painter(),
            inside.center(),
            Align2::CENTER_CENTER,
            inside.width(),
            "no picture yet",
            unit,
            ink::DIM,
        );
        return;
    };
    let size = vec2(picture.width as f32, picture.height as f32).max(vec2(1.0, 1.0));
    let scale = (inside.width() / size.x).min(inside.height() / size.y);
    let place = Rect::from_center_size(inside.center(), size * scale);
    if let Some(texture) = scene.images.picture(ui.ctx(), picture) {
        strip(ui.painter(), texture, place, 0.0, 1.0);
    }
}

fn presets(ui: &mut Ui, rect: Rect, scene: &mut Scene<'_>) {
    let unit = scene.unit;
    let inside = widgets::card(ui.painter(), rect, unit);
    let data = scene.data;
    if data.presets.is_empty() {
        let text = "no presets";
        ink::text(ui.painter(), inside.left_top(), Align2::LEFT_TOP, inside.width(), text, unit, ink::DIM);
        return;
    }
    let tiles = grid(inside.width(), data.presets.len(), 7.2 * unit, 5.9 * unit, 0.5 * unit);
    scene.memory.first = Some(tile_id(&data.presets[data.playing.unwrap_or(0).min(data.presets.len() - 1)]));
    ui.scope_builder(UiBuilder::new().max_rect(inside), |ui| {
        ScrollArea::vertical().id_salt("presets").auto_shrink(false).show(ui, |ui| {
            let height = tiles.iter().map(Rect::bottom).fold(0.0, f32::max);
            let (area, _) = ui.allocate_exact_size(vec2(inside.width(), height), nannou::prelude::egui::Sense::hover());
            for (at, (preset, tile)) in data.presets.iter().zip(&tiles).enumerate() {
                let place = tile.translate(area.min.to_vec2());
                if paint_tile(ui, place, at, preset, scene) {
                    scene.moves.push(Move::new("/preset", Value::text(&preset.id)));
                }
            }
        });
    });
}

fn tile_id(preset: &PresetTile) -> Id {
    Id::new(("panel preset", &preset.id))
}

/// True when it was pressed.
fn paint_tile(ui: &Ui, rect: Rect, at: usize, preset: &PresetTile, scene: &Scene<'_>) -> bool {
    let unit = scene.unit;
    let response = widgets::pressable(ui, tile_id(preset), rect);
    let is_playing = scene.data.playing == Some(at);
    let painter = ui.painter();
    let ground = match (is_playing, response.hovered()) {
        (true, _) => ink::ACCENT,
        (false, true) => widgets::HOVERED,
        (false, false) => widgets::RAISED,
    };
    painter.rect_filled(rect, widgets::rounding(0.4 * unit), ground);
    let (shown, name) = split_bottom(rect.shrink(0.18 * unit), 1.9 * unit, 0.0);
    let (text, dim) = if is_playing { (widgets::ON_LIT, widgets::ON_LIT) } else { (ink::BRIGHT, ink::DIM) };
    let label = name.shrink2(vec2(0.35 * unit, 0.0));
    let mut width = label.width();
    let place = (at + 1).to_string();
    match scene.images.thumbs.of(&preset.id) {
        Some(texture) => {
            cover(painter, texture, shown);
            let at = label.right_center();
            let number = ink::text(painter, at, Align2::RIGHT_CENTER, 2.2 * unit, place, 0.8 * unit, dim);
            width = number.left() - label.left() - 0.3 * unit;
        }
        // Not seen yet: its place is what recalls it.
        None => {
            painter.rect_filled(shown, widgets::rounding(0.3 * unit), widgets::CARD);
            let size = (0.6 * shown.height()).min(2.0 * unit);
            let color = ink::DIM.gamma_multiply(0.5);
            ink::text(painter, shown.center(), Align2::CENTER_CENTER, shown.width(), place, size, color);
        }
    }
    ink::text(painter, label.left_center(), Align2::LEFT_CENTER, width, &preset.name, 0.95 * unit, text);
    widgets::ring(ui, &response, unit);
    response.clicked() && !ui.input(|input| input.key_pressed(Key::Space))
}

/// A thumbnail over a place of another shape: cut above and below, or left and right.
fn cover(painter: &Painter, texture: nannou::prelude::egui::TextureId, place: Rect) {
    let (wide, shape) = (1.5, place.width() / place.height().max(1.0));
    let (across, down) = if shape > wide { (1.0, wide / shape) } else { (shape / wide, 1.0) };
    let uv = Rect::from_center_size(pos2(0.5, 0.5), vec2(across, down));
    painter.image(texture, place, uv, Color32::WHITE);
}
