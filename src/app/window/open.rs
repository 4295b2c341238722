//! Opening the window: display, adapter, bevy's plugins, and what becomes of their panics.

use std::{
    any::Any,
    panic::{self, AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bevy::{
    a11y::AccessibilityPlugin,
    app::{TaskPoolOptions, TaskPoolPlugin, TaskPoolThreadAssignmentPolicy},
    camera::CameraPlugin,
    core_pipeline::CorePipelinePlugin,
    diagnostic::{DiagnosticsPlugin, FrameCountPlugin},
    ecs::{
        schedule::{InternedScheduleLabel, ScheduleLabel, Schedules, SingleThreadedExecutor},
        world::World,
    },
    image::ImagePlugin,
    input::InputPlugin,
    light::LightPlugin,
    mesh::MeshPlugin,
    pbr::PbrPlugin,
    post_process::PostProcessPlugin,
    prelude::*,
    render::{
        ExtractSchedule, Render, RenderApp, RenderPlugin,
        error_handler::{ErrorType, RenderError, RenderErrorHandler, RenderErrorPolicy},
        renderer::{
            RenderAdapter, RenderAdapterInfo, RenderDevice, RenderGraph, RenderInstance, RenderQueue, WgpuWrapper,
        },
        settings::{RenderCreation, RenderResources, WgpuSettings},
    },
    text::TextPlugin,
    time::TimePlugin,
    transform::TransformPlugin,
    window::ExitCondition,
    winit::{DisplayHandleWrapper, WinitPlugin},
};
use nannou::NannouPlugin;

use super::{Shared, WindowError, WindowOptions, graph, place};

/// Bevy with everything that the window needs, not yet running.
///
/// Of bevy's default plugins those are left out that the program has in its own way (log, panic and Ctrl-C handlers)
/// and rendering on a second thread; what remains is what nannou stands on.
pub(super) fn open(shared: Shared, options: WindowOptions) -> Result<App, WindowError> {
    check_display()?;
    let mut app = App::new();
    // Bevy panics where it cannot reach a display. Its plugins are added in two goes, so that the adapter can be asked
    // for in between: it then knows the display (which OpenGL needs), and its absence is an error and not a panic.
    without_panic(|| {
        app.add_plugins((
            tasks_on_few_threads(),
            FrameCountPlugin,
            TimePlugin,
            TransformPlugin,
            DiagnosticsPlugin,
            InputPlugin,
            WindowPlugin {
                // Spawned in `place`, once the displays are known.
                primary_window: None,
                // The panel does not outlive the stage.
                exit_condition: ExitCondition::OnPrimaryClosed,
                ..Default::default()
            },
            AccessibilityPlugin,
            AssetPlugin::default(),
            WinitPlugin { run_on_any_thread: true },
        ));
    })
    .map_err(|why| {
        tracing::debug!(why, "no event loop");
        WindowError::NoDisplay(unreachable_display())
    })?;
    let resources = render_resources(&app)?;
    without_panic(|| {
        app.add_plugins((
            RenderPlugin {
                render_creation: RenderCreation::Manual(resources),
                synchronous_pipeline_compilation: true,
                ..Default::default()
            },
            ImagePlugin::default(),
            MeshPlugin,
            CameraPlugin,
            LightPlugin,
            CorePipelinePlugin,
            PostProcessPlugin,
            TextPlugin,
            PbrPlugin::default(),
            NannouPlugin,
        ));
    })
    .map_err(WindowError::Failed)?;

    app.insert_resource(RenderErrorHandler(on_render_error)).insert_resource(ClearColor(Color::BLACK));
    place::add(&mut app, shared.clone(), options);
    graph::add(&mut app, shared)?;
    without_panic(|| {
        app.finish();
        app.cleanup();
    })
    .map_err(WindowError::Failed)?;
    on_one_thread(&mut app);
    Ok(app)
}

/// Runs until the window is closed.
pub(super) fn play(mut app: App) -> Result<(), WindowError> {
    match catch_unwind(AssertUnwindSafe(|| app.run())) {
        Ok(AppExit::Success) => Ok(()),
        Ok(AppExit::Error(_)) => Err(WindowError::Failed("its event loop ended with an error".into())),
        Err(cause) => Err(WindowError::Failed(text_of(&*cause))),
    }
}

/// Bevy wants its three pools of threads; with one thread each they sleep all the time.
pub(super) fn tasks_on_few_threads() -> TaskPoolPlugin {
    let one = TaskPoolThreadAssignmentPolicy {
        min_threads: 1,
        max_threads: 1,
        percent: 0.0,
        on_thread_spawn: None,
        on_thread_destroy: None,
    };
    TaskPoolPlugin {
        task_pool_options: TaskPoolOptions {
            min_total_threads: 1,
            max_total_threads: 3,
            io: one.clone(),
            async_compute: one.clone(),
            compute: one,
        },
    }
}

/// Runs the schedules that run every frame without bevy's thread pool: handing a hundred small systems to other threads
/// costs more than running them, most of all while a model keeps every core busy. Measured on two busy cores with a
/// 160x90 window at 30 frames a second: 12.4 % of a core with bevy's threads, 8.4 % so.
fn on_one_thread(app: &mut App) {
    let schedules: [InternedScheduleLabel; 6] = [
        First.intern(),
        PreUpdate.intern(),
        RunFixedMainLoop.intern(),
        Update.intern(),
        PostUpdate.intern(),
        Last.intern(),
    ];
    set_single_threaded(app.world_mut(), &schedules);
    if let Some(render_app) = app.get_sub_app_mut(RenderApp) {
        let world = render_app.world_mut();
        set_single_threaded(
            world,
            &[Render.intern(), RenderGraph.intern(), graph::StageGraph.intern(), graph::PanelGraph.intern()],
        );
        // What extraction defers is applied later, in the render world (`ExtractPlugin::build`).
        if let Some(extract) = world.resource_mut::<Schedules>().get_mut(ExtractSchedule) {
            extract.set_executor(SingleThreadedExecutor::new()).set_apply_final_deferred(false);
        }
    }
}

fn set_single_threaded(world: &mut World, labels: &[InternedScheduleLabel]) {
    let mut schedules = world.resource_mut::<Schedules>();
    for label in labels {
        if let Some(schedule) = schedules.get_mut(*label) {
            schedule.set_executor(SingleThreadedExecutor::new());
        }
    }
}

/// On Linux the absence of a display is known without asking for one.
pub(super) fn check_display() -> Result<(), WindowError> {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let asks_environment = cfg!(all(unix, not(any(target_os = "macos", target_os = "ios", target_os = "android"))));
    if asks_environment && !["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"].into_iter().any(is_set) {
        return Err(WindowError::NoDisplay("neither DISPLAY nor WAYLAND_DISPLAY is set".into()));
    }
    Ok(())
}

/// "the display :99 cannot be reached".
pub(super) fn unreachable_display() -> String {
    let named = ["WAYLAND_DISPLAY", "DISPLAY"].into_iter().find_map(|name| std::env::var(name).ok());
    match named.filter(|name| !name.is_empty()) {
        Some(name) => format!("the display {name} cannot be reached"),
        None => "the display cannot be reached".into(),
    }
}

/// The adapter (`WGPU_ADAPTER_NAME`, `WGPU_BACKEND` and `WGPU_POWER_PREF` choose another) and its device.
fn render_resources(app: &App) -> Result<RenderResources, WindowError> {
    // OpenGL only where there is nothing better: merely looking for it starts a second driver, which talks on stderr.
    let found = adapter(app, wgpu::Backends::PRIMARY).or_else(|_| adapter(app, wgpu::Backends::all()));
    let (instance, adapter) = found.map_err(|why| {
        tracing::debug!(%why, "no adapter");
        WindowError::NoAdapter("there is no graphics adapter, nor a software one".into())
    })?;
    let info = adapter.get_info();
    tracing::info!(adapter = info.name, backend = %info.backend, driver = info.driver_info, "drawing");
    let device = wgpu::DeviceDescriptor {
        label: Some("stage window"),
        required_features: adapter.features() & wgpu::Features::TEXTURE_ADAPTER_SPECIFIC_FORMAT_FEATURES,
        required_limits: adapter.limits(),
        ..Default::default()
    };
    let (device, queue) =
        pollster::block_on(adapter.request_device(&device)).map_err(|why| WindowError::NoAdapter(why.to_string()))?;
    Ok(RenderResources(
        RenderDevice::from(device),
        RenderQueue(Arc::new(WgpuWrapper::new(queue))),
        RenderAdapterInfo(WgpuWrapper::new(info)),
        RenderAdapter(Arc::new(WgpuWrapper::new(adapter))),
        RenderInstance(Arc::new(WgpuWrapper::new(instance))),
    ))
}

fn adapter(app: &App, backends: wgpu::Backends) -> Result<(wgpu::Instance, wgpu::Adapter), wgpu::RequestAdapterError> {
    let mut descriptor = match app.world().get_resource::<DisplayHandleWrapper>() {
        Some(display) => wgpu::InstanceDescriptor::new_with_display_handle(Box::new(display.0.clone())),
        None => wgpu::InstanceDescriptor::new_without_display_handle(),
    };
    descriptor.backends = backends;
    let instance = wgpu::Instance::new(descriptor.with_env());
    let adapter = pollster::block_on(async {
        if let Ok(adapter) = wgpu::util::initialize_adapter_from_env(&instance, None).await {
            return Ok(adapter);
        }
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::from_env().unwrap_or(wgpu::PowerPreference::HighPerformance),
            ..Default::default()
        };
        instance.request_adapter(&options).await
    })?;
    Ok((instance, adapter))
}

/// Bevy would quit; the show goes on. A lost device is asked for anew, then [`super::StageApp::start`] is called again.
fn on_render_error(error: &RenderError, _main: &mut World, _render: &mut World) -> RenderErrorPolicy {
    tracing::error!(kind = ?error.ty, "drawing failed: {}", error.description);
    match error.ty {
        ErrorType::DeviceLost => RenderErrorPolicy::Recover(RenderCreation::from(WgpuSettings::default())),
        _ => RenderErrorPolicy::Ignore,
    }
}

/// Turns a panic of a library into an error, and keeps it off stderr.
pub(super) fn without_panic(run: impl FnOnce()) -> Result<(), String> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let outcome = catch_unwind(AssertUnwindSafe(run));
    panic::set_hook(hook);
    outcome.map_err(|cause| text_of(&*cause))
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message");
    // One sentence: debug output of nested errors goes over many lines.
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_one_line() {
        let failed = without_panic(|| panic!("first {}\n   second", 1));
        assert_eq!(failed, Err("first 1 second".to_owned()));
        assert_eq!(without_panic(|| ()), Ok(()));
    }

    #[test]
    fn each_error_says_what_to_do_in_one_sentence() {
        for error in [WindowError::NoDisplay("x".into()), WindowError::NoAdapter("x".into())] {
            let text = error.to_string();
            assert!(text.contains("wavedream render") && !text.contains('\n'), "{text}");
        }
    }
}
