//! What the artist sees over the stage: the signal, the latent, rates, latencies, messages; or the page of keys.
//!
//! Painted with egui's painter at places that [`layout`] computes from the window's size alone: big type, light on dark,
//! to be read from two metres in a dark room. Nothing can be clicked, so egui gets no input. Runs within the drawing of a
//! displayed frame, while it is up.

pub(in crate::app) mod gpu;
mod help;
pub(in crate::app) mod ink;
mod latent;
mod layout;
pub(in crate::app) mod panels;
pub mod scope;

use std::time::{Duration, Instant};

use nannou::prelude::egui;

use super::{Frame, Gpu, KeyHelp, Pace, StageApp, WINDOW_KEYS, WindowState};
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

/// A software renderer gets new shapes this often only; they are drawn with every frame all the same.
const SOFTWARE_REFRESH: Duration = Duration::from_millis(100);

/// The overlay with what it keeps between frames.
#[derive(Default)]
pub(super) struct Overlay {
    renderer: Option<gpu::Renderer>,
    refresh: Duration,
    refreshed: Option<(Instant, Page, [u32; 2])>,
    page: Painted,
}

/// What there is to be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    Signal,
    Keys,
}

impl Overlay {
    /// A new graphics device: textures are made and sent anew.
    pub fn start(&mut self, gpu: &Gpu) {
        let data = std::mem::take(&mut self.page.data);
        *self = Self {
            renderer: Some(gpu::Renderer::new(gpu)),
            refresh: if gpu.is_software() { SOFTWARE_REFRESH } else { Duration::ZERO },
            refreshed: None,
            page: Painted { data, ..Default::default() },
        };
    }

    /// Draws over `frame` what `state` says is to be seen.
    pub fn draw(&mut self, frame: &Frame<'_>, state: &WindowState, stage: &mut dyn StageApp) {
        let page = match state {
            WindowState { help: true, .. } => Page::Keys,
            WindowState { overlay: true, .. } => Page::Signal,
            _ => {
                self.refreshed = None;
                return;
            }
        };
        let Some(renderer) = &mut self.renderer else {
            return;
        };
        let is_fresh = self.refreshed.is_some_and(|(at, of, size_px)| {
            frame.now.duration_since(at) < self.refresh && of == page && size_px == frame.size_px
        });
        if !is_fresh {
            match page {
                Page::Signal => {
                    stage.overlay(&mut self.page.data);
                    renderer.take(self.page.signal(frame.size_px, state.pace));
                }
                Page::Keys => {
                    let own = WINDOW_KEYS.iter().map(|(key, what)| KeyHelp::new(*key, *what));
                    let keys: Vec<_> = stage.keys().into_iter().chain(own).collect();
                    renderer.take(self.page.keys(frame.size_px, &keys));
                }
            }
            self.refreshed = Some((frame.now, page, frame.size_px));
        }
        renderer.draw(frame);
    }
}

/// The shapes of a page, and what egui keeps to make them. A point of egui's is a pixel.
struct Painted {
    context: egui::Context,
    data: OverlayData,
    scope: scope::View,
    latent: latent::Picture,
}

impl Default for Painted {
    fn default() -> Self {
        let context = egui::Context::default();
        context.set_fonts(ink::fonts());
        Self {
            context,
            data: OverlayData::default(),
            scope: scope::View::default(),
            latent: latent::Picture::default(),
        }
    }
}

impl Painted {
    fn signal(&mut self, size_px: [u32; 2], pace: Pace) -> gpu::Shapes {
        let (data, scope, latent) = (&self.data, &mut self.scope, &mut self.latent);
        shapes(&self.context, size_px, |painter| {
            let layout = Layout::of(painter.clip_rect().size());
            panels::head(painter, &layout, data);
            scope.paint(painter, ink::panel(painter, layout.scope, layout.unit), layout.unit, &data.scope);
            latent.paint(painter, &layout, data);
            panels::numbers(painter, &layout, data, pace);
            panels::messages(painter, &layout, &data.messages);
        })
    }

    fn keys(&mut self, size_px: [u32; 2], keys: &[KeyHelp]) -> gpu::Shapes {
        shapes(&self.context, size_px, |painter| help::paint(painter, keys))
    }
}

fn shapes(context: &egui::Context, size_px: [u32; 2], mut paint: impl FnMut(&egui::Painter)) -> gpu::Shapes {
    let size = egui::vec2(size_px[0] as f32, size_px[1] as f32);
    let input =
        egui::RawInput { screen_rect: Some(egui::Rect::from_min_size(egui::Pos2::ZERO, size)), ..Default::default() };
    let layer = egui::LayerId::new(egui::Order::Foreground, egui::Id::new("overlay"));
    let output = context.run_ui(input, |_| paint(&context.layer_painter(layer)));
    gpu::Shapes {
        primitives: context.tessellate(output.shapes, output.pixels_per_point),
        textures: output.textures_delta,
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use super::*;
    use crate::{Stamp, latent::Shape};

    fn data() -> OverlayData {
        let samples = |channel: usize| (0..512).map(|i| ((i * (channel + 1)) as f32 * 0.01).sin()).collect();
        let shape = Shape { channels: 4, height: 64, width: 64 };
        let traces = (0..32).map(|channel| scope::Trace {
            name: format!("ch {channel}"),
            samples: samples(channel),
            health: Health::Good,
        });
        OverlayData {
            scope: Scope { traces: traces.collect(), span_secs: 1.0 },
            latent: Some(Latent {
                stamp: Stamp { hop: 1, signal_secs: 1.0, arrived: Instant::now() },
                shape,
                values: Arc::from(vec![0.5; shape.len()]),
            }),
            messages: vec![Message { level: Level::Error, text: "a very long message ".repeat(40), age_secs: 3.0 }],
            source: "/a/long/path".repeat(20),
            ..Default::default()
        }
    }

    /// The bounds of everything that is drawn in a window of this size.
    fn drawn(data: OverlayData, size_px: [u32; 2]) -> Vec<egui::Rect> {
        let mut painted = Painted { data, ..Default::default() };
        let mut bounds = Vec::new();
        for clipped in painted.signal(size_px, Pace::default()).primitives {
            let egui::epaint::Primitive::Mesh(mesh) = clipped.primitive else {
                panic!("only meshes are drawn");
            };
            for triangle in mesh.indices.chunks(3) {
                let corners = triangle.iter().map(|index| mesh.vertices[*index as usize].pos);
                bounds.push(corners.fold(egui::Rect::NOTHING, |rect, corner| {
                    assert!(!corner.any_nan());
                    rect | egui::Rect::from_min_max(corner, corner)
                }));
            }
        }
        bounds
    }

    #[test]
    fn nothing_is_drawn_outside_a_window_of_any_shape() {
        for size_px in [[1280, 720], [320, 200], [1080, 1920], [3840, 1080]] {
            let drawn = drawn(data(), size_px);
            let window = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(size_px[0] as f32, size_px[1] as f32));
            for rect in drawn {
                assert!(window.expand(1.0).contains_rect(rect), "{size_px:?}: {rect:?}");
            }
        }
    }

    #[test]
    fn a_software_renderer_is_given_few_triangles() {
        let triangles = drawn(data(), [1280, 720]).len();
        assert!((500..4000).contains(&triangles), "{triangles}");
    }

    #[test]
    fn nothing_known_and_broken_numbers_are_drawn_too() {
        assert!(drawn(OverlayData::default(), [800, 600]).len() > 100);
        let mut odd = data();
        odd.latency_ms = f32::NAN;
        odd.scope.traces[3].samples = vec![f32::NAN; 7];
        odd.scope.traces[4].samples.clear();
        assert!(drawn(odd, [800, 600]).len() > 100);
    }

    #[test]
    fn the_page_of_keys_shows_every_key() {
        let keys: Vec<_> = (0..30).map(|i| KeyHelp::new(format!("{i}"), "x".repeat(i))).collect();
        let shapes = |keys: &[KeyHelp]| {
            let mut count = 0;
            for clipped in Painted::default().keys([1280, 720], keys).primitives {
                if let egui::epaint::Primitive::Mesh(mesh) = clipped.primitive {
                    count += mesh.indices.len();
                }
            }
            count
        };
        let counts: Vec<_> = (0..=30).map(|n| shapes(&keys[..n])).collect();
        assert!(counts.windows(2).all(|pair| pair[0] < pair[1]), "{counts:?}");
    }
}
