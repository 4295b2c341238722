//! The stage in bevy's render world: one camera schedule in which our compositor draws into the window's surface.
//!
//! Bevy 0.19 runs a schedule per camera (`bevy_core_pipeline::schedule::camera_driver`). A camera with this one draws no
//! meshes, so the usual clear, main pass, tonemapping and blit are not there at all; `prepare_windows` still fetches the
//! surface's texture for it and `render_system` presents it, because [`draw_stage`] takes the output attachment.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use bevy::{
    app::App,
    camera::{CameraOutputMode, ClearColorConfig, RenderTarget},
    core_pipeline::upscaling::upscaling,
    ecs::schedule::{ScheduleBuildSettings, ScheduleLabel},
    prelude::*,
    render::{
        Extract, ExtractSchedule, RenderApp,
        camera::CameraRenderGraph,
        render_resource::BlendState,
        renderer::{RenderAdapterInfo, RenderDevice, RenderQueue, ViewQuery},
        view::{Msaa, ViewTarget},
    },
    window::WindowRef,
};
use bevy_egui::{
    PrimaryEguiContext,
    render::{egui_pass, prepare_egui_pass},
};

use super::{Frame, Gpu, Inner, Shared, WindowError, WindowState};

/// The schedule of the stage's camera.
#[derive(ScheduleLabel, Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct StageGraph;

/// Whether there is anything of egui's to be blended over the stage.
#[derive(Resource, Default)]
struct Overlaid(bool);

pub(super) fn add(app: &mut App, shared: Shared) -> Result<(), WindowError> {
    let Some(render_app) = app.get_sub_app_mut(RenderApp) else {
        return Err(WindowError::NoAdapter("bevy made no render world".into()));
    };
    let mut graph = Schedule::new(StageGraph);
    graph.set_build_settings(ScheduleBuildSettings {
        auto_insert_apply_deferred: false,
        ..Default::default()
    });
    let overlay = (prepare_egui_pass, egui_pass, upscaling)
        .chain()
        .run_if(|overlaid: Res<Overlaid>| overlaid.0);
    graph.add_systems((draw_stage, overlay).chain());
    render_app
        .insert_resource(shared)
        .init_resource::<Overlaid>()
        .add_systems(ExtractSchedule, extract_overlaid)
        .add_schedule(graph);
    Ok(())
}

/// A camera that shows the stage in `window`. Its own texture is transparent, holds egui's shapes only, and is blended
/// over what the stage drew.
pub(super) fn camera(window: Entity) -> impl Bundle {
    (
        Camera {
            clear_color: ClearColorConfig::Custom(Color::NONE),
            output_mode: CameraOutputMode::Write {
                blend_state: Some(BlendState::PREMULTIPLIED_ALPHA_BLENDING),
                clear_color: ClearColorConfig::None,
            },
            ..Default::default()
        },
        RenderTarget::Window(WindowRef::Entity(window)),
        CameraRenderGraph::new(StageGraph),
        Msaa::Off,
        PrimaryEguiContext,
    )
}

fn extract_overlaid(state: Extract<Option<Res<WindowState>>>, mut overlaid: ResMut<Overlaid>) {
    overlaid.0 = state.as_ref().is_some_and(|state| state.overlay || state.help);
}

fn draw_stage(
    view: ViewQuery<&ViewTarget>,
    device: Res<RenderDevice>,
    queue: Res<RenderQueue>,
    adapter: Res<RenderAdapterInfo>,
    shared: Res<Shared>,
) {
    let view_target = view.into_inner();
    // Taking the attachment is what tells bevy that this frame is to be presented.
    let (Some(attachment), Some(format)) = (
        view_target.out_texture_color_attachment(None),
        view_target.out_texture_view_format(),
    ) else {
        return;
    };
    let target = attachment.view;
    let extent = target.texture().size();
    let size_px = [extent.width, extent.height];

    let mut inner = shared.lock();
    let Inner { stage, gpu, pace, .. } = &mut *inner;
    let known = gpu
        .as_ref()
        .is_some_and(|gpu| gpu.device == *device.wgpu_device() && gpu.format == format);
    if !known {
        let new = Gpu {
            device: device.wgpu_device().clone(),
            queue: queue.0.as_ref().clone().into_inner(),
            format,
            size_px,
            adapter: adapter.0.clone().into_inner(),
        };
        if let Err(error) = stage.start(&new) {
            drop(inner);
            return shared.fail(WindowError::Stage(error));
        }
        *gpu = Some(new);
    }

    let now = Instant::now();
    let (number, delta_secs) = pace.frame(now);
    let frame = Frame {
        target,
        size_px,
        now,
        delta_secs,
        number,
    };
    // What is wrong with one frame must not end the show: the next is drawn all the same.
    if catch_unwind(AssertUnwindSafe(|| stage.frame(&frame))).is_err() {
        tracing::error!(frame = number, "the stage panicked while it drew a frame");
    }
}
