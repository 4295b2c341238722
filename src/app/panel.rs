//! The panel: what an artist works with, in a window of its own or over the stage.
//!
//! ```text
//! StageApp::panel ──> PanelData ──> Panel::look ──> shapes, drawn by the window's own renderer
//!                                       │
//! StageApp::panel_moves <── Move ───────┘      every move is a parameter of the table that is set
//! ```
//!
//! Immediate: the whole panel is laid out anew at each look, at most 30 times a second, from plain values; while it is
//! closed nothing is computed. Layout and logic ([`places`], [`filter`], [`history`], [`spectrum`]) know nothing of
//! windows, and egui runs without one: the tests press and drag what a hand would. Runs on the window's thread.

mod actions;
mod controls_page;
mod data;
pub mod feed;
mod filter;
mod frame;
mod history;
mod images;
mod keys;
mod log;
mod machine_page;
mod places;
mod play_page;
mod row;
mod scene;
mod signal_page;
mod spectrogram;
mod spectrum;
mod thumbs;
mod widgets;

use std::time::Instant;

use nannou::prelude::egui::{self, Rect};

pub use data::{ModelRow, ModelState, Move, PanelData, ParamRow, PresetTile};
pub use history::{History, Sample};
pub use keys::PANEL_KEYS;
pub use log::Log;
pub use scene::Page;

use super::window::overlay::{gpu::Shapes, ink};
use images::Images;
use places::Places;
use scene::{Memory, Scene};

/// The panel, and what it keeps between two looks.
pub struct Panel {
    pub data: PanelData,
    context: egui::Context,
    memory: Memory,
    images: Images,
    /// Since the last look.
    events: Vec<egui::Event>,
    modifiers: egui::Modifiers,
    moves: Vec<Move>,
    closes: bool,
    over_stage: bool,
    began: Instant,
}

impl Default for Panel {
    fn default() -> Self {
        Self {
            data: PanelData::default(),
            context: context(),
            memory: Memory::default(),
            images: Images::default(),
            events: Vec::new(),
            modifiers: egui::Modifiers::default(),
            moves: Vec::new(),
            closes: false,
            over_stage: false,
            began: Instant::now(),
        }
    }
}

impl Panel {
    /// Another graphics device or format: all textures are to be sent anew.
    pub fn restart(&mut self) {
        (self.context, self.images) = (context(), Images::default());
    }

    /// Something of the pointer, in pixels.
    pub fn pointer(&mut self, event: egui::Event) {
        self.events.push(event);
    }

    /// What was moved since this was last asked.
    pub fn take_moves(&mut self) -> Vec<Move> {
        std::mem::take(&mut self.moves)
    }

    /// Whether it was asked to go away since this was last asked.
    pub fn take_close(&mut self) -> bool {
        std::mem::take(&mut self.closes)
    }

    /// Lays the panel out for a window of this size. Over the stage, the stage shimmers through.
    pub(in crate::app) fn look(&mut self, size_px: [u32; 2], over_stage: bool) -> Shapes {
        let size = egui::vec2(size_px[0] as f32, size_px[1] as f32);
        let now = Instant::now();
        self.over_stage = over_stage;
        let input = egui::RawInput {
            screen_rect: Some(Rect::from_min_size(egui::Pos2::ZERO, size)),
            time: Some((now - self.began).as_secs_f64()),
            predicted_dt: 1.0 / 30.0,
            modifiers: self.modifiers,
            events: std::mem::take(&mut self.events),
            ..Default::default()
        };
        self.images.thumbs.follow(&self.context, now, &self.data);
        self.images.spectrogram.follow(&self.context, &self.data, self.memory.channel);
        let Self { data, memory, images, moves, context, .. } = self;
        let output = context.run_ui(input, |ui| {
            let places = Places::of(size);
            style(ui.style_mut(), places.unit);
            let ground = if over_stage { ink::GROUND } else { widgets::NIGHT };
            ui.painter().rect_filled(Rect::from_min_size(egui::Pos2::ZERO, size), 0.0, ground);
            let mut scene = Scene { data, unit: places.unit, memory, images, moves };
            paint(ui, &places, &mut scene);
        });
        Shapes {
            primitives: context.tessellate(output.shapes, output.pixels_per_point),
            textures: output.textures_delta,
        }
    }
}

fn paint(ui: &mut egui::Ui, places: &Places, scene: &mut Scene<'_>) {
    scene.memory.first = None;
    frame::head(ui, places.head, scene);
    match scene.memory.page {
        Page::Play => play_page::paint(ui, places.page, scene),
        Page::Signal => signal_page::paint(ui, places.page, scene),
        Page::Controls => controls_page::paint(ui, places.page, scene),
        Page::Machine => machine_page::paint(ui, places.page, scene),
    }
    frame::foot(ui, places.foot, scene);
}

fn context() -> egui::Context {
    let context = egui::Context::default();
    context.set_fonts(ink::fonts());
    context.options_mut(|options| options.zoom_with_keyboard = false);
    context
}

/// What of egui's own widgets is used: fields and bars to scroll with.
fn style(style: &mut egui::Style, unit: f32) {
    style.visuals = egui::Visuals::dark();
    style.visuals.selection.bg_fill = ink::ACCENT.gamma_multiply(0.45);
    style.visuals.selection.stroke.color = ink::BRIGHT;
    style.visuals.text_cursor.stroke = egui::Stroke::new((0.1 * unit).max(1.5), ink::ACCENT);
    // A cursor that blinks asks for attention that belongs to the stage.
    style.visuals.text_cursor.blink = false;
    style.visuals.extreme_bg_color = widgets::NIGHT;
    style.visuals.widgets.inactive.bg_fill = widgets::HOVERED;
    style.visuals.widgets.inactive.fg_stroke.color = widgets::HOVERED;
    style.visuals.widgets.hovered.bg_fill = ink::DIM;
    style.visuals.widgets.hovered.fg_stroke.color = ink::DIM;
    style.visuals.widgets.active.bg_fill = ink::ACCENT;
    style.visuals.widgets.active.fg_stroke.color = ink::ACCENT;
    style.spacing.item_spacing = egui::Vec2::ZERO;
    style.spacing.scroll = egui::style::ScrollStyle::solid();
    style.spacing.scroll.bar_width = 0.45 * unit;
    style.spacing.scroll.bar_inner_margin = 3.0;
    style.spacing.scroll.bar_outer_margin = 0.0;
    style.animation_time = 0.0;
}

#[cfg(test)]
mod tests;
