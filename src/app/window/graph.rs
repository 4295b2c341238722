//! The stage in bevy's render world: one camera schedule in which our compositor draws into the window's surface.
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

use super::{Frame, Gpu, Inner, Shared, WindowError};

/// The schedule of the stage's camera.
#[derive(ScheduleLabel, Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct StageGraph;

pub(super) fn add(app: &mut App, shared: Shared) -> Result<(), WindowError> {
    let Some(render_app) = app.get_sub_app_mut(RenderApp) else {
        return Err(WindowError::NoAdapter("bevy made no render world".into()));
    };
    let mut graph = Schedule::new(StageGraph);
    graph.add_systems(draw);
    render_app.insert_resource(shared).add_schedule(graph);
    Ok(())
}

/// A camera that shows the stage in the window that it is given to.
pub(super) fn camera() -> impl Bundle {
    (
        Camera { clear_color: ClearColorConfig::None, ..Default::default() },
        // Bevy sizes only cameras that have a projection.
        Projection::Orthographic(OrthographicProjection::default_2d()),
        CameraRenderGraph::new(StageGraph),
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
    let view_target = view.into_inner();
    // Taking the attachment is what tells bevy that this frame is to be presented.
    let (Some(attachment), Some(format)) =
        (view_target.out_texture_color_attachment(None), view_target.out_texture_view_format())
    else {
        return;
    };
    let target = attachment.view;
    let extent = target.texture().size();
    let size_px = [extent.width, extent.height];

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

impl Inner {
    fn start(&mut self, gpu: Gpu) -> anyhow::Result<()> {
        self.stage.start(&gpu)?;
        self.overlay.start(&gpu);
        self.gpu = Some(gpu);
        Ok(())
    }

    fn draw(&mut self, frame: &Frame<'_>) {
        self.stage.frame(frame);
        self.overlay.draw(frame, &self.shows, &mut *self.stage);
    }
}
