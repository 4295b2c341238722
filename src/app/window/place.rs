//! How the window opens and what it obeys: fullscreen, cursor, title, and the keys that change them. Main thread.
//! On which display it stands is the matter of [`super::stand`].

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use bevy::{
    input::keyboard::KeyboardInput,
    prelude::*,
    render::renderer::RenderAdapterInfo,
    window::{CursorMoved, CursorOptions, MonitorSelection, PresentMode, PrimaryWindow, WindowMode, WindowPosition},
    winit::{UpdateMode, WinitSettings},
};

use super::{
    Level, PanelPlace, Shared, WindowOptions, WindowState,
    awake::Awake,
    displays::{Display, Seat, Turn},
    graph,
    keys::{self, Command, Keyboard},
    pace,
    panel_window::{self, PanelWindow},
    remembered,
    stand::{self, Monitors, Stage, list_of, standing, waiting, window_mode},
};

/// A mouse that lies still this long is not wanted in the picture.
const CURSOR_IDLE: Duration = Duration::from_secs(2);

#[derive(Resource)]
struct Options(WindowOptions);

#[derive(Resource)]
struct CursorLastMoved(Instant);

#[derive(Resource)]
struct KeptAwake(Awake);

pub(super) fn add(app: &mut App, shared: Shared, options: WindowOptions) {
    app.insert_resource(shared)
        .insert_resource(WindowState {
            fullscreen: options.fullscreen,
            overlay: options.overlay,
            panel: if options.panel { PanelPlace::OwnWindow } else { PanelPlace::Closed },
            title: options.title.clone(),
            ..Default::default()
        })
        .insert_resource(Options(options))
        .insert_resource(CursorLastMoved(Instant::now()))
        .insert_resource(KeptAwake(Awake::begin()))
        .init_resource::<PanelWindow>()
        .add_observer(stand::outlive_display)
        .add_systems(Startup, (spawn, put_on_display).chain())
        .add_systems(
            Update,
            (
                panel_window::read_pointer,
                read_keys,
                tick,
                stand::follow_displays,
                place,
                panel_window::follow,
                panel_window::pace,
                hide_cursor,
                keep_awake,
                quit,
            )
                .chain(),
        );
}

fn spawn(
    mut commands: Commands,
    nannou: nannou::App,
    options: Res<Options>,
    monitors: Monitors,
    adapter: Res<RenderAdapterInfo>,
    mut winit: ResMut<WinitSettings>,
    shared: Res<Shared>,
) {
    let options = &options.0;
    let (entities, displays) = list_of(&monitors);
    let file = remembered::file();
    let seat = stand::seat(options, &displays, file.as_deref(), &shared);
    let mut stage = Stage { window: Entity::PLACEHOLDER, display: None, seat, file };
    match stage.seat.turn(&displays) {
        Turn::Home(at) => {
            stage.display = entities.get(at).copied();
            stage.remember(&shared);
        }
        Turn::Elsewhere(at) if options.fullscreen => {
            stage.display = entities.get(at).copied();
            if let (Some(home), Some(other)) = (&stage.seat.home, displays.get(at)) {
                shared.tell(Level::Warning, waiting(home, other));
            }
        }
        _ => {}
    }

    let display_hz = monitors
        .iter()
        .filter(|(entity, ..)| stage.display.is_none_or(|chosen| chosen == *entity))
        .filter_map(|(_, monitor, _)| monitor.refresh_rate_millihertz)
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
    stage.window = nannou
        .new_window::<()>()
        .primary()
        .title(&options.title)
        .size(options.size[0], options.size[1])
        // Bevy falls back to plain Fifo, which every adapter has, where this is not to be had.
        .present_mode(PresentMode::AutoVsync)
        .camera(camera)
        .build();
    commands.insert_resource(stage);
}

/// What nannou's builder cannot say, before the window system hears of the window: its `fullscreen()` and `monitor()`
/// only move it.
fn put_on_display(stage: Res<Stage>, options: Res<Options>, mut windows: Query<&mut Window>) {
    let Ok(mut window) = windows.get_mut(stage.window) else {
        return;
    };
    window.name = Some("wavedream".into());
    // There is no current display before there is a window.
    window.mode = window_mode(options.0.fullscreen, stage.display, MonitorSelection::Primary);
    if let Some(display) = stage.display {
        window.position = WindowPosition::Centered(MonitorSelection::Entity(display));
    }
}

fn read_keys(
    mut inputs: MessageReader<KeyboardInput>,
    mut keyboard: Local<Keyboard>,
    mut state: ResMut<WindowState>,
    open: Res<PanelWindow>,
    stage: Res<Stage>,
    shared: Res<Shared>,
) {
    for input in inputs.read() {
        let Some(press) = keyboard.press(input) else { continue };
        let in_panel = open.place(&state, &stage) == Some(input.window) && !state.help;
        if in_panel && shared.lock().panel.key(press, input.text.as_deref()) {
            continue;
        }
        match keys::command(press) {
            Some(command) if press.pressed && !press.repeat => obey(command, &mut state),
            Some(_) => {}
            None => shared.lock().stage.key(press),
        }
    }
}

fn obey(command: Command, state: &mut WindowState) {
    let toggled = |now: PanelPlace, to: PanelPlace| if now == to { PanelPlace::Closed } else { to };
    match command {
        Command::Fullscreen => state.fullscreen = !state.fullscreen,
        Command::Back if state.help => state.help = false,
        Command::Back => state.fullscreen = false,
        Command::Overlay => state.overlay = !state.overlay,
        Command::Help => state.help = !state.help,
        Command::Panel => state.panel = toggled(state.panel, PanelPlace::OwnWindow),
        Command::PanelOverStage => state.panel = toggled(state.panel, PanelPlace::OverStage),
        Command::NextDisplay => state.wants_next_display = true,
        Command::Quit => state.quit = true,
    }
}

fn tick(mut state: ResMut<WindowState>, shared: Res<Shared>) {
    let mut inner = shared.lock();
    state.pace = inner.pace.pace();
    inner.stage.tick(&mut state);
    inner.shows.clone_from(&state);
}

fn place(
    state: Res<WindowState>,
    mut stage: ResMut<Stage>,
    mut windows: Query<&mut Window>,
    monitors: Monitors,
    shared: Res<Shared>,
) {
    let Ok(mut window) = windows.get_mut(stage.window) else {
        return;
    };
    // Written only on a change: bevy asks the window system for whatever was touched.
    let is_fullscreen = window.mode != WindowMode::Windowed;
    if is_fullscreen != state.fullscreen {
        if state.fullscreen && stage.seat.home.is_none() {
            // Where it is made to fill the screen, there it belongs from now on.
            let (entities, displays) = list_of(&monitors);
            if let Some(at) = standing(&window, &displays) {
                stage.display = entities.get(at).copied();
                stage.seat =
                    Seat { home: displays.get(at).map(Display::identity), at: displays.get(at).map(Display::identity) };
                stage.remember(&shared);
            }
        }
        window.mode = window_mode(state.fullscreen, stage.display, MonitorSelection::Current);
    }
    if window.title != state.title {
        window.title.clone_from(&state.title);
    }
}

fn hide_cursor(
    mut moved: MessageReader<CursorMoved>,
    mut last_moved: ResMut<CursorLastMoved>,
    state: Res<WindowState>,
    stage: Res<Stage>,
    mut cursors: Query<&mut CursorOptions, With<PrimaryWindow>>,
) {
    if moved.read().filter(|moved| moved.window == stage.window).count() > 0 {
        last_moved.0 = Instant::now();
    }
    let Ok(mut cursor) = cursors.single_mut() else {
        return;
    };
    let is_used = last_moved.0.elapsed() < CURSOR_IDLE;
    let visible = is_used && (!state.fullscreen || state.panel == PanelPlace::OverStage);
    if cursor.visible != visible {
        cursor.visible = visible;
    }
}

fn keep_awake(mut kept: ResMut<KeptAwake>) {
    kept.0.tick(Instant::now());
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
    fn the_panel_is_in_one_place_at_a_time() {
        let mut state = state();
        for (command, expected) in [
            (Command::Panel, PanelPlace::OwnWindow),
            (Command::PanelOverStage, PanelPlace::OverStage),
            (Command::PanelOverStage, PanelPlace::Closed),
            (Command::Panel, PanelPlace::OwnWindow),
            (Command::Panel, PanelPlace::Closed),
        ] {
            obey(command, &mut state);
            assert_eq!(state.panel, expected);
        }
    }
}
