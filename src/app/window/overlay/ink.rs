//! Colours, type and panels that the parts of the overlay share.

use std::sync::Arc;

use nannou::prelude::egui::{
    Align2, Color32, FontData, FontDefinitions, FontFamily, FontId, Painter, Pos2, Rect,
    text::{LayoutJob, TextWrapping},
};

use super::{Health, Level};

/// Blended in linear light: of a white stage a twentieth comes through, a quarter to the eye.
pub(in crate::app) const GROUND: Color32 = Color32::from_rgba_premultiplied(4, 5, 8, 242);
pub(in crate::app) const BRIGHT: Color32 = Color32::from_rgb(240, 244, 248);
pub(in crate::app) const DIM: Color32 = Color32::from_rgb(158, 170, 184);
pub(in crate::app) const ACCENT: Color32 = Color32::from_rgb(104, 226, 204);
pub(in crate::app) const AMBER: Color32 = Color32::from_rgb(255, 190, 70);
pub(in crate::app) const RED: Color32 = Color32::from_rgb(255, 96, 84);

/// Fonts of egui, with the regular weight of Noto Sans in front: egui's own is a light one, too thin from afar.
pub(in crate::app) fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    let name = "noto-sans".to_owned();
    fonts.font_data.insert(name.clone(), Arc::new(FontData::from_static(notosans::REGULAR_TTF)));
    for family in [FontFamily::Proportional, FontFamily::Monospace] {
        fonts.families.entry(family).or_default().insert(0, name.clone());
    }
    fonts
}

pub(in crate::app) fn health(health: Health) -> Color32 {
    match health {
        Health::Good => ACCENT,
        Health::Bridged | Health::Clipped => AMBER,
        Health::Flat | Health::Missing => RED,
    }
}

pub(in crate::app) fn level(level: Level) -> Color32 {
    match level {
        Level::Info => DIM,
        Level::Warning => AMBER,
        Level::Error => RED,
    }
}

/// The dark ground of a part; returns what is inside its margin.
pub(in crate::app) fn panel(painter: &Painter, rect: Rect, unit: f32) -> Rect {
    painter.rect_filled(rect, 0.4 * unit, GROUND);
    rect.shrink(0.8 * unit)
}

/// A line of text, cut with an ellipsis where it is wider than `width`; returns where it stands.
pub(in crate::app) fn text(
    painter: &Painter,
    at: Pos2,
    align: Align2,
    width: f32,
    text: impl Into<String>,
    size: f32,
    color: Color32,
) -> Rect {
    let mut job = LayoutJob::simple_singleline(text.into(), FontId::proportional(size), color);
    job.wrap = TextWrapping::truncate_at_width(width.max(size));
    let galley = painter.layout_job(job);
    let rect = align.anchor_size(at, galley.size());
    painter.galley(rect.min, galley, color);
    rect
}
