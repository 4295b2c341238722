//! The panel's window, or its place over the stage: when it opens and closes, what the pointer does in it, how often it
//! is drawn. Main thread; the drawing itself runs in the render world ([`super::graph`]).
//!
//! The panel is drawn by the same renderer as the overlay. Its window has a camera that is awake only in the frames in
//! which the panel is drawn, at most 30 a second, and it never waits for its display: the stage keeps its own pace.

use std::time::{Duration, Instant};

use bevy::{
    camera::RenderTarget,
    input::{
        ButtonState,
        mouse::{MouseButton, MouseScrollUnit},
    },
    prelude::*,
    window::{Monitor, MonitorSelection, PresentMode, WindowEvent, WindowPosition, WindowRef, WindowResolution},
};
use nannou::prelude::egui;

use super::{
    Frame, Gpu, KeyPress, PanelPlace, Shared, StageApp, WindowState, graph, overlay::gpu::Renderer, stand::Stage,
};
use crate::app::panel::Panel;

/// Looks at the panel a second; a software renderer needs its cores for pictures.
const REFRESH: Duration = Duration::from_millis(33);
const SOFTWARE_REFRESH: Duration = Duration::from_millis(100);
/// While a hand is on it, on a software renderer.
const SOFTWARE_TOUCHED: Duration = Duration::from_millis(50);
const SIZE: [u32; 2] = [1280, 800];
const TITLE: &str = "wavedream panel";

/// The panel and what draws it, in the render world.
#[derive(Default)]
pub(super) struct Host {
    pub panel: Panel,
    renderer: Option<(Renderer, wgpu::TextureFormat)>,
    is_software: bool,
    looked: Option<(Instant, [u32; 2])>,
    /// Something was done to it since the last look.
    touched: bool,
}

impl Host {
    /// A new graphics device.
    pub fn start(&mut self, gpu: &Gpu) {
        self.renderer = None;
        self.is_software = gpu.is_software();
    }

    pub fn touch(&mut self, event: egui::Event) {
        self.panel.pointer(event);
        self.touched = true;
    }

    /// True if the key is for the panel.
    pub fn key(&mut self, press: KeyPress, text: Option<&str>) -> bool {
        self.touched = true;
        self.panel.key(press, text)
    }

    /// Whether the panel is due to be looked at.
    pub fn is_due(&self, now: Instant) -> bool {
        let period = match (self.is_software, self.touched) {
            (false, _) => REFRESH,
            (true, true) => SOFTWARE_TOUCHED,
            (true, false) => SOFTWARE_REFRESH,
        };
        // A little early is better than a frame late.
        self.looked.is_none_or(|(last, _)| now.saturating_duration_since(last) + Duration::from_millis(4) >= period)
    }

    /// Draws the panel over `frame`, looking at it anew when that is due.
    pub fn draw(&mut self, gpu: &Gpu, frame: &Frame<'_>, over_stage: bool, stage: &mut dyn StageApp) {
        if self.renderer.as_ref().is_none_or(|(_, format)| *format != gpu.format) {
            self.renderer = Some((Renderer::new(gpu), gpu.format));
            self.panel.restart();
            self.looked = None;
        }
        let is_due = self.is_due(frame.now) || self.looked.is_none_or(|(_, size_px)| size_px != frame.size_px);
        let Some((renderer, _)) = &mut self.renderer else { return };
        if is_due {
            (self.looked, self.touched) = (Some((frame.now, frame.size_px)), false);
            stage.panel(&mut self.panel.data);
            renderer.take(self.panel.look(frame.size_px, over_stage));
            let moves = self.panel.take_moves();
            if !moves.is_empty() {
                stage.panel_moves(&moves);
                // What was moved is shown moved.
                self.touched = true;
            }
        }
        renderer.draw(frame);
    }
}

/// The panel's window while there is one, in the main world.
#[derive(Resource, Default)]
pub(super) struct PanelWindow {
    window: Option<Entity>,
    camera: Option<Entity>,
}

impl PanelWindow {
    /// The window that the panel is in now.
    pub fn place(&self, state: &WindowState, stage: &Stage) -> Option<Entity> {
        match state.panel {
            PanelPlace::Closed => None,
            PanelPlace::OwnWindow => self.window,
            PanelPlace::OverStage => Some(stage.window),
        }
    }
}

/// Opens and closes the window.
pub(super) fn follow(
    mut commands: Commands,
    mut state: ResMut<WindowState>,
    mut open: ResMut<PanelWindow>,
    mut events: MessageReader<WindowEvent>,
    stage: Res<Stage>,
    monitors: Query<Entity, With<Monitor>>,
    shared: Res<Shared>,
) {
    // By its button, or by a window system that does not ask.
    let gone = events.read().filter_map(|event| match event {
        WindowEvent::WindowCloseRequested(closed) => Some(closed.window),
        WindowEvent::WindowDestroyed(destroyed) => Some(destroyed.window),
        _ => None,
    });
    let is_gone = gone.filter(|window| open.window == Some(*window)).count() > 0;
    if is_gone || shared.lock().panel.panel.take_close() {
        state.panel = PanelPlace::Closed;
    }
    match (state.panel == PanelPlace::OwnWindow, open.window) {
        (true, None) => {
            let beside = monitors.iter().find(|display| stage.display.is_some_and(|of| of != *display));
            let (window, camera) = spawn(&mut commands, beside);
            *open = PanelWindow { window: Some(window), camera: Some(camera) };
        }
        (false, Some(_)) => {
            // The camera first: without its window it would have nowhere to draw.
            for entity in [open.camera, open.window].into_iter().flatten() {
                commands.entity(entity).try_despawn();
            }
            *open = PanelWindow::default();
        }
        _ => {}
    }
}

/// Wakes the window's camera in the frames in which the panel is due.
pub(super) fn pace(open: Res<PanelWindow>, mut cameras: Query<&mut Camera>, shared: Res<Shared>) {
    if let Some(mut camera) = open.camera.and_then(|camera| cameras.get_mut(camera).ok()) {
        let is_due = shared.lock().panel.is_due(Instant::now());
        if camera.is_active != is_due {
            camera.is_active = is_due;
        }
    }
}

fn spawn(commands: &mut Commands<'_, '_>, beside: Option<Entity>) -> (Entity, Entity) {
    let window = Window {
        title: TITLE.into(),
        name: Some("wavedream".into()),
        resolution: WindowResolution::new(SIZE[0], SIZE[1]),
        position: beside
            .map_or(WindowPosition::Automatic, |display| WindowPosition::Centered(MonitorSelection::Entity(display))),
        // Waiting for two displays in turn would slow the stage to the slower one.
        present_mode: PresentMode::AutoNoVsync,
        ..Default::default()
    };
    let window = commands.spawn(window).id();
    let target = RenderTarget::Window(WindowRef::Entity(window));
    let camera = commands.spawn((graph::panel_camera(), target)).id();
    (window, camera)
}

/// Hands the pointer to the panel, in pixels of its window.
pub(super) fn read_pointer(
    mut events: MessageReader<WindowEvent>,
    state: Res<WindowState>,
    open: Res<PanelWindow>,
    stage: Res<Stage>,
    windows: Query<&Window>,
    mut at: Local<egui::Pos2>,
    shared: Res<Shared>,
) {
    let Some(place) = open.place(&state, &stage) else {
        events.clear();
        return;
    };
    let scale = windows.get(place).map_or(1.0, |window| window.resolution.scale_factor());
    for event in events.read() {
        if let Some(event) = pointer_event(event, place, scale, &mut at) {
            shared.lock().panel.touch(event);
        }
    }
}

fn pointer_event(event: &WindowEvent, place: Entity, scale: f32, at: &mut egui::Pos2) -> Option<egui::Event> {
    let modifiers = egui::Modifiers::default();
    match event {
        WindowEvent::CursorMoved(moved) if moved.window == place => {
            *at = egui::pos2(moved.position.x * scale, moved.position.y * scale);
            Some(egui::Event::PointerMoved(*at))
        }
        WindowEvent::CursorLeft(left) if left.window == place => Some(egui::Event::PointerGone),
        WindowEvent::MouseButtonInput(input) if input.window == place => {
            let button = match input.button {
                MouseButton::Left => egui::PointerButton::Primary,
                MouseButton::Right => egui::PointerButton::Secondary,
                MouseButton::Middle => egui::PointerButton::Middle,
                _ => return None,
            };
            let pressed = input.state == ButtonState::Pressed;
            Some(egui::Event::PointerButton { pos: *at, button, pressed, modifiers })
        }
        WindowEvent::MouseWheel(wheel) if wheel.window == place => {
            let (unit, by) = match wheel.unit {
                MouseScrollUnit::Line => (egui::MouseWheelUnit::Line, 1.0),
                MouseScrollUnit::Pixel => (egui::MouseWheelUnit::Point, scale),
            };
            let delta = egui::vec2(wheel.x * by, wheel.y * by);
            Some(egui::Event::MouseWheel { unit, delta, phase: egui::TouchPhase::Move, modifiers })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bevy::{math::Vec2, window::CursorMoved};

    use super::*;

    #[test]
    fn the_pointer_counts_in_pixels_and_only_in_the_panels_window() {
        let [panel, other] = [3, 4].map(|n| Entity::from_raw_u32(n).unwrap());
        let mut at = egui::Pos2::ZERO;
        let moved =
            |window| WindowEvent::CursorMoved(CursorMoved { window, position: Vec2::new(10.0, 20.0), delta: None });
        assert_eq!(pointer_event(&moved(other), panel, 2.0, &mut at), None);
        let expected = egui::Event::PointerMoved(egui::pos2(20.0, 40.0));
        assert_eq!(pointer_event(&moved(panel), panel, 2.0, &mut at), Some(expected));
        assert_eq!(at, egui::pos2(20.0, 40.0));
    }

    #[test]
    fn the_panel_is_looked_at_thirty_times_a_second_at_most() {
        let start = Instant::now();
        let mut host = Host { looked: Some((start, [1, 1])), ..Default::default() };
        assert!(!host.is_due(start + Duration::from_millis(16)));
        assert!(host.is_due(start + Duration::from_millis(33)));
        host.is_software = true;
        assert!(!host.is_due(start + Duration::from_millis(66)));
        assert!(host.is_due(start + Duration::from_millis(100)));
        host.touch(egui::Event::PointerGone);
        assert!(host.is_due(start + Duration::from_millis(50)));
    }
}
