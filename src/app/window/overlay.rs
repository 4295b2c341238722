//! What the artist sees over the stage: the signal, the latent, rates, latencies, messages; or the page of keys.
//!
//! Painted with egui's painter at places that [`layout`] computes from the window's size alone: big type, light on dark,
//! to be read from two metres in a dark room. Main thread, once a displayed frame while it is up. Nothing can be clicked.

mod help;
mod ink;
mod latent;
mod layout;
mod panels;
pub mod scope;

use bevy::prelude::*;
use bevy_egui::{EguiContext, EguiPrimaryContextPass, PrimaryEguiContext, egui};

use super::{KeyHelp, Pace, Shared, WINDOW_KEYS, WindowState};
use crate::{diffusion::Timing, latent::Latent};
use layout::Layout;
use scope::Scope;

/// What the overlay shows. Kept from frame to frame: [`super::StageApp::overlay`] changes what has changed.
#[derive(Debug, Clone, Default)]
pub struct OverlayData {
    pub scope: Scope,
    /// What the newest picture was made from.
    pub latent: Option<Latent>,
    /// "synth://rat".
    pub source: String,
    /// "awake", or why there is no signal.
    pub source_state: String,
    pub mapping: String,
    pub model: String,
    pub preset: String,
    /// New pictures a second.
    pub pictures_per_s: f32,
    /// From the newest sample in a picture to that picture on the screen.
    pub latency_ms: f32,
    pub timing: Timing,
    pub steps: usize,
    /// Width and height of a picture.
    pub picture_px: [usize; 2],
    /// The newest last.
    pub messages: Vec<Message>,
}

/// Something that the artist should know: a shader that does not compile, a source that is gone.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub level: Level,
    pub text: String,
    pub age_secs: f32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Info,
    Warning,
    Error,
}

/// The state of a channel, as the signal room found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    #[default]
    Good,
    /// Samples were missing and have been filled in.
    Bridged,
    Clipped,
    Flat,
    Missing,
}

impl Health {
    pub fn word(self) -> &'static str {
        match self {
            Health::Good => "good",
            Health::Bridged => "bridged",
            Health::Clipped => "clipped",
            Health::Flat => "flat",
            Health::Missing => "missing",
        }
    }
}

/// The overlay with what it keeps between frames.
#[derive(Resource, Default)]
struct Overlay {
    data: OverlayData,
    keys: Option<Vec<KeyHelp>>,
    gains: scope::Gains,
    latent: latent::Picture,
    fonts_set: bool,
}

pub(super) fn add(app: &mut App) {
    app.init_resource::<Overlay>().add_systems(EguiPrimaryContextPass, show);
}

fn show(
    mut contexts: Query<&mut EguiContext, With<PrimaryEguiContext>>,
    mut overlay: ResMut<Overlay>,
    state: Res<WindowState>,
    shared: Res<Shared>,
) {
    let Ok(mut context) = contexts.single_mut() else {
        return;
    };
    let context = context.get_mut();
    let overlay = &mut *overlay;
    if !overlay.fonts_set {
        context.set_fonts(ink::fonts());
        overlay.fonts_set = true;
        // They take effect with the next frame.
        return;
    }
    if state.help {
        let keys = overlay.keys.get_or_insert_with(|| {
            let own = WINDOW_KEYS.iter().map(|(key, what)| KeyHelp::new(*key, *what));
            shared.lock().stage.keys().into_iter().chain(own).collect()
        });
        help::paint(&painter(context), keys);
    } else if state.overlay {
        shared.lock().stage.overlay(&mut overlay.data);
        overlay.paint(&painter(context), state.pace);
    }
    if !state.help {
        // Asked for anew each time, for they may change.
        overlay.keys = None;
    }
}

fn painter(context: &egui::Context) -> egui::Painter {
    let layer = egui::LayerId::new(egui::Order::Foreground, egui::Id::new("overlay"));
    context.layer_painter(layer)
}

impl Overlay {
    fn paint(&mut self, painter: &egui::Painter, pace: Pace) {
        let layout = Layout::of(painter.clip_rect().size());
        panels::head(painter, &layout, &self.data);
        scope::paint(painter, &layout, &self.data.scope, &mut self.gains);
        self.latent.paint(painter, &layout, &self.data);
        panels::numbers(painter, &layout, &self.data, pace);
        panels::messages(painter, &layout, &self.data.messages);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use super::*;
    use crate::{Stamp, latent::Shape};

    fn data() -> OverlayData {
        let samples = |channel: usize| (0..512).map(|i| ((i * (channel + 1)) as f32 * 0.01).sin()).collect();
        let shape = Shape {
            channels: 4,
            height: 64,
            width: 64,
        };
        let traces = (0..32).map(|channel| scope::Trace {
            name: format!("ch {channel}"),
            samples: samples(channel),
            health: Health::Good,
        });
        OverlayData {
            scope: Scope {
                traces: traces.collect(),
                span_secs: 1.0,
            },
            latent: Some(Latent {
                stamp: Stamp {
                    hop: 1,
                    signal_secs: 1.0,
                    arrived: Instant::now(),
                },
                shape,
                values: Arc::from(vec![0.5; shape.len()]),
            }),
            messages: vec![Message {
                level: Level::Error,
                text: "a very long message ".repeat(40),
                age_secs: 3.0,
            }],
            source: "/a/long/path".repeat(20),
            ..Default::default()
        }
    }

    /// Everything painted in two frames of this size, in egui's points.
    fn painted(data: OverlayData, size: egui::Vec2) -> Vec<egui::Rect> {
        let context = egui::Context::default();
        context.set_fonts(ink::fonts());
        let mut overlay = Overlay {
            data,
            ..Default::default()
        };
        let mut shapes = Vec::new();
        for _ in 0..2 {
            let input = egui::RawInput {
                screen_rect: Some(egui::Rect::from_min_size(egui::Pos2::ZERO, size)),
                ..Default::default()
            };
            let output = context.run_ui(input, |_| overlay.paint(&painter(&context), Pace::default()));
            shapes = output.shapes;
        }
        shapes
            .iter()
            .map(|clipped| clipped.shape.visual_bounding_rect().intersect(clipped.clip_rect))
            .collect()
    }

    #[test]
    fn nothing_is_painted_outside_a_window_of_any_shape() {
        for size in [(1280.0, 720.0), (320.0, 200.0), (1080.0, 1920.0), (3840.0, 1080.0)] {
            let size = egui::vec2(size.0, size.1);
            let rects = painted(data(), size);
            assert!(rects.len() > 40, "{size:?}: {}", rects.len());
            let window = egui::Rect::from_min_size(egui::Pos2::ZERO, size).expand(1.0);
            for rect in rects {
                assert!(window.contains_rect(rect), "{size:?}: {rect:?}");
            }
        }
    }

    #[test]
    fn nothing_known_yet_is_painted_without_a_number_that_is_none() {
        let rects = painted(OverlayData::default(), egui::vec2(800.0, 600.0));
        assert!(!rects.is_empty());
        let mut odd = data();
        odd.latency_ms = f32::NAN;
        odd.scope.traces[3].samples = vec![f32::NAN; 7];
        odd.scope.traces[4].samples.clear();
        for rect in painted(odd, egui::vec2(800.0, 600.0)) {
            assert!(!rect.any_nan(), "{rect:?}");
        }
    }
}
