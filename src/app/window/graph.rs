//! Stage and panel in bevy's render world: a camera schedule each, in which we draw into the window's surface.
//!
//! Bevy 0.19 runs a schedule per camera (`bevy_core_pipeline::schedule::camera_driver`). A camera with this one draws no
//! meshes, so the usual clear, main pass, tonemapping and blit are not there at all; `prepare_windows` still fetches the
//! surface's texture for it and `render_system` presents it, because [`draw`] takes the output attachment.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use bevy::{
    app::App,
    ecs::schedule::ScheduleLabel,
    prelude::*,
    render::{
        RenderApp,
        camera::CameraRenderGraph,
        renderer::{RenderAdapterInfo, RenderDevice, RenderQueue, ViewQuery},
        view::{Msaa, ViewTarget},
    },
};

use super::{Frame, Gpu, Inner, PanelPlace, Shared, WindowError};

/// The schedule of the panel's camera.
#[derive(ScheduleLabel, Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct PanelGraph;

/// The schedule of the stage's camera.
#[derive(ScheduleLabel, Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct StageGraph;

pub(super) fn add(app: &mut App, shared: Shared) -> Result<(), WindowError> {
    let Some(render_app) = app.get_sub_app_mut(RenderApp) else {
        return Err(WindowError::NoAdapter("bevy made no render world".into()));
    };
    let (mut stage, mut panel) = (Schedule::new(StageGraph), Schedule::new(PanelGraph));
    stage.add_systems(draw);
    panel.add_systems(draw_panel);
    render_app.insert_resource(shared).add_schedule(stage).add_schedule(panel);
    Ok(())
}

/// A camera that shows the stage in the window that it is given to.
pub(super) fn camera() -> impl Bundle {
    camera_with(StageGraph)
}

/// A camera that shows the panel in the window that it is given to.
pub(super) fn panel_camera() -> impl Bundle {
    camera_with(PanelGraph)
}

fn camera_with(graph: impl ScheduleLabel) -> impl Bundle {
    (
        Camera { clear_color: ClearColorConfig::None, ..Default::default() },
        // Bevy sizes only cameras that have a projection.
        Projection::Orthographic(OrthographicProjection::default_2d()),
        CameraRenderGraph::new(graph),
        Msaa::Off,
    )
}

fn draw(
    view: ViewQuery<&ViewTarget>,
    device: Res<RenderDevice>,
    queue: Res<RenderQueue>,
    adapter: Res<RenderAdapterInfo>,
    shared: Res<Shared>,
) {
    let Some((target, format)) = output(view.into_inner()) else { return };
    let size_px = size_of(target);
    let mut inner = shared.lock();
    let is_known = |gpu: &Gpu| gpu.device == *device.wgpu_device() && gpu.format == format;
    if !inner.gpu.as_ref().is_some_and(is_known) {
        let gpu = Gpu {
            device: device.wgpu_device().clone(),
            queue: queue.0.as_ref().clone().into_inner(),
            format,
            size_px,
            adapter: adapter.0.clone().into_inner(),
        };
        if let Err(error) = inner.start(gpu) {
            drop(inner);
            return shared.fail(WindowError::Stage(error));
        }
    }

    let now = Instant::now();
    let (number, delta_secs) = inner.pace.frame(now);
    let frame = Frame { target, size_px, now, delta_secs, number };
    // What is wrong with one frame must not end the show: the next is drawn all the same.
    if catch_unwind(AssertUnwindSafe(|| inner.draw(&frame))).is_err() {
        tracing::error!(frame = number, "the stage panicked while it drew a frame");
    }
}

/// The panel in its own window; the stage begins first.
fn draw_panel(view: ViewQuery<&ViewTarget>, shared: Res<Shared>) {
    let Some((target, format)) = output(view.into_inner()) else { return };
    let mut inner = shared.lock();
    let inner = &mut *inner;
    let Some(gpu) = &inner.gpu else { return };
    let size_px = size_of(target);
    let gpu = Gpu { format, size_px, ..gpu.clone() };
    let frame = Frame { target, size_px, now: Instant::now(), delta_secs: 0.0, number: 0 };
    let draw = AssertUnwindSafe(|| inner.panel.draw(&gpu, &frame, false, &mut *inner.stage));
    if catch_unwind(draw).is_err() {
        tracing::error!("the panel panicked while it was drawn");
    }
}

/// What a camera draws into, and its format. Taking it is what tells bevy that this frame is to be presented.
fn output(view_target: &ViewTarget) -> Option<(&wgpu::TextureView, wgpu::TextureFormat)> {
    let attachment = view_target.out_texture_color_attachment(None)?;
    Some((attachment.view, view_target.out_texture_view_format()?))
}

fn size_of(target: &wgpu::TextureView) -> [u32; 2] {
    let extent = target.texture().size();
    [extent.width, extent.height]
}

impl Inner {
    fn start(&mut self, gpu: Gpu) -> anyhow::Result<()> {
        self.stage.start(&gpu)?;
        self.overlay.start(&gpu);
        self.panel.start(&gpu);
        self.gpu = Some(gpu);
        Ok(())
    }

    fn draw(&mut self, frame: &Frame<'_>) {
        self.stage.frame(frame);
        self.overlay.draw(frame, &self.shows, &mut *self.stage);
        if let (PanelPlace::OverStage, false, Some(gpu)) = (self.shows.panel, self.shows.help, &self.gpu) {
            self.panel.draw(gpu, frame, true, &mut *self.stage);
        }
    }
}
