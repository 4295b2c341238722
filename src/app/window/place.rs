//! Where the window stands: display, fullscreen, cursor, title, and the keys that change them. Main thread.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use bevy::{
    input::keyboard::KeyboardInput,
    prelude::*,
    render::renderer::RenderAdapterInfo,
    window::{
        CursorMoved, CursorOptions, Monitor, MonitorSelection, PresentMode, PrimaryWindow, WindowMode, WindowPosition,
    },
    winit::{UpdateMode, WinitSettings},
};

use super::{
    Shared, WindowError, WindowOptions, WindowState, graph,
    keys::{self, Command, Keyboard},
    pace,
};

/// A mouse that lies still this long is not wanted in the picture.
const CURSOR_IDLE: Duration = Duration::from_secs(2);

#[derive(Resource)]
struct Options(WindowOptions);

#[derive(Resource)]
struct Spawned {
    window: Entity,
    /// The display that was asked for, if one was.
    chosen: Option<Entity>,
}

#[derive(Resource)]
struct CursorLastMoved(Instant);

pub(super) fn add(app: &mut App, shared: Shared, options: WindowOptions) {
    app.insert_resource(shared)
        .insert_resource(WindowState {
            fullscreen: options.fullscreen,
            overlay: options.overlay,
            title: options.title.clone(),
            ..Default::default()
        })
        .insert_resource(Options(options))
        .insert_resource(CursorLastMoved(Instant::now()))
        .add_systems(Startup, (spawn, put_on_display).chain())
        .add_systems(Update, (read_keys, tick, place, hide_cursor, quit).chain());
}

fn spawn(
    mut commands: Commands,
    nannou: nannou::App,
    options: Res<Options>,
    monitors: Query<(Entity, &Monitor)>,
    adapter: Res<RenderAdapterInfo>,
    mut winit: ResMut<WinitSettings>,
    shared: Res<Shared>,
) {
    let options = &options.0;
    let mut displays: Vec<_> = monitors.iter().collect();
    displays.sort_by_key(|(_, monitor)| (monitor.physical_position.x, monitor.physical_position.y));
    let chosen = options.display.map(|number| number.checked_sub(1).and_then(|index| displays.get(index)));
    if let (Some(None), Some(asked)) = (chosen, options.display) {
        let names: Vec<_> = displays.iter().map(|(_, monitor)| describe(monitor)).collect();
        shared.fail(WindowError::NoSuchDisplay { asked, found: list(&names) });
    }
    let chosen = chosen.flatten().map(|(entity, _)| *entity);

    let display_hz = (displays.iter())
        .filter(|(entity, _)| chosen.is_none_or(|chosen| chosen == *entity))
        .filter_map(|(_, monitor)| monitor.refresh_rate_millihertz)
        .max()
        .map(|millihertz| f64::from(millihertz) / 1e3);
    let software = adapter.device_type == wgpu::DeviceType::Cpu;
    // Reacting to nothing but the time: keys wait for the next frame, and the rate stays even without focus.
    let mode = UpdateMode::Reactive {
        wait: pace::period(options.max_fps, display_hz, software),
        react_to_device_events: false,
        react_to_user_events: false,
        react_to_window_events: false,
    };
    *winit = WinitSettings { focused_mode: mode, unfocused_mode: mode };

    let camera = commands.spawn(graph::camera()).id();
    let window = nannou
        .new_window::<()>()
        .primary()
        .title(&options.title)
        .size(options.size[0], options.size[1])
        // Bevy falls back to plain Fifo, which every adapter has, where this is not to be had.
        .present_mode(PresentMode::AutoVsync)
        .camera(camera)
        .build();
    commands.insert_resource(Spawned { window, chosen });
}

/// What nannou's builder cannot say, before the window system hears of the window: its `fullscreen()` and `monitor()`
/// only move it.
fn put_on_display(spawned: Res<Spawned>, options: Res<Options>, mut windows: Query<&mut Window>) {
    let Ok(mut window) = windows.get_mut(spawned.window) else {
        return;
    };
    window.name = Some("wavedream".into());
    // There is no current display before there is a window.
    window.mode = window_mode(options.0.fullscreen, spawned.chosen, MonitorSelection::Primary);
    if let Some(display) = spawned.chosen {
        window.position = WindowPosition::Centered(MonitorSelection::Entity(display));
    }
}

fn window_mode(fullscreen: bool, chosen: Option<Entity>, otherwise: MonitorSelection) -> WindowMode {
    if fullscreen {
        WindowMode::BorderlessFullscreen(chosen.map_or(otherwise, MonitorSelection::Entity))
    } else {
        WindowMode::Windowed
    }
}

/// "DP-1 (1920x1080)".
fn describe(monitor: &Monitor) -> String {
    let name = monitor.name.as_deref().unwrap_or("unnamed");
    format!("{name} ({}x{})", monitor.physical_width, monitor.physical_height)
}

/// "1: DP-1 (1920x1080), 2: HDMI-1 (1280x720)".
fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none that it knows of".into();
    }
    let numbered: Vec<_> = names.iter().enumerate().map(|(i, name)| format!("{}: {name}", i + 1)).collect();
    numbered.join(", ")
}

fn read_keys(
    mut inputs: MessageReader<KeyboardInput>,
    mut keyboard: Local<Keyboard>,
    mut state: ResMut<WindowState>,
    shared: Res<Shared>,
) {
    for press in inputs.read().filter_map(|input| keyboard.press(input)) {
        match keys::command(press) {
            Some(command) if press.pressed && !press.repeat => obey(command, &mut state),
            Some(_) => {}
            None => shared.lock().stage.key(press),
        }
    }
}

fn obey(command: Command, state: &mut WindowState) {
    match command {
        Command::Fullscreen => state.fullscreen = !state.fullscreen,
        Command::Back if state.help => state.help = false,
        Command::Back => state.fullscreen = false,
        Command::Overlay => state.overlay = !state.overlay,
        Command::Help => state.help = !state.help,
        Command::Quit => state.quit = true,
    }
}

fn tick(mut state: ResMut<WindowState>, shared: Res<Shared>) {
    let mut inner = shared.lock();
    state.pace = inner.pace.pace();
    inner.stage.tick(&mut state);
    inner.shows.clone_from(&state);
}

fn place(state: Res<WindowState>, spawned: Res<Spawned>, mut windows: Query<&mut Window>) {
    let Ok(mut window) = windows.get_mut(spawned.window) else {
        return;
    };
    // Written only on a change: bevy asks the window system for whatever was touched.
    let is_fullscreen = window.mode != WindowMode::Windowed;
    if is_fullscreen != state.fullscreen {
        window.mode = window_mode(state.fullscreen, spawned.chosen, MonitorSelection::Current);
    }
    if window.title != state.title {
        window.title.clone_from(&state.title);
    }
}

fn hide_cursor(
    mut moved: MessageReader<CursorMoved>,
    mut last_moved: ResMut<CursorLastMoved>,
    state: Res<WindowState>,
    mut cursors: Query<&mut CursorOptions, With<PrimaryWindow>>,
) {
    if moved.read().count() > 0 {
        last_moved.0 = Instant::now();
    }
    let Ok(mut cursor) = cursors.single_mut() else {
        return;
    };
    let visible = !state.fullscreen && last_moved.0.elapsed() < CURSOR_IDLE;
    if cursor.visible != visible {
        cursor.visible = visible;
    }
}

fn quit(state: Res<WindowState>, shared: Res<Shared>, mut exit: MessageWriter<AppExit>) {
    if state.quit || shared.stop.load(Ordering::Relaxed) {
        exit.write(AppExit::Success);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> WindowState {
        WindowState { fullscreen: true, ..Default::default() }
    }

    #[test]
    fn escape_closes_the_help_page_before_it_leaves_fullscreen_and_never_quits() {
        let mut state = state();
        obey(Command::Help, &mut state);
        assert!(state.help);
        obey(Command::Back, &mut state);
        assert!(!state.help && state.fullscreen);
        obey(Command::Back, &mut state);
        assert!(!state.fullscreen);
        obey(Command::Back, &mut state);
        assert!(!state.fullscreen && !state.quit);
    }

    #[test]
    fn fullscreen_and_overlay_toggle() {
        let mut state = state();
        for expected in [false, true] {
            obey(Command::Fullscreen, &mut state);
            assert_eq!(state.fullscreen, expected);
            obey(Command::Overlay, &mut state);
            assert_eq!(state.overlay, !expected);
        }
    }

    #[test]
    fn fullscreen_goes_to_the_chosen_display() {
        let display = Entity::from_raw_u32(7).unwrap();
        let current = MonitorSelection::Current;
        assert_eq!(window_mode(false, Some(display), current), WindowMode::Windowed);
        assert_eq!(
            window_mode(true, Some(display), current),
            WindowMode::BorderlessFullscreen(MonitorSelection::Entity(display))
        );
        assert_eq!(window_mode(true, None, current), WindowMode::BorderlessFullscreen(current));
    }

    #[test]
    fn a_wrong_display_is_answered_with_the_right_ones() {
        let found = list(&["DP-1 (1920x1080)".into(), "HDMI-1 (1280x720)".into()]);
        let error = WindowError::NoSuchDisplay { asked: 3, found };
        assert_eq!(
            error.to_string(),
            "there is no display 3: this machine has 1: DP-1 (1920x1080), 2: HDMI-1 (1280x720)"
        );
        assert!(list(&[]).contains("none"));
    }
}
