//! The display that the stage stands on: found at the start, followed while displays come and go. Main thread.
//!
//! Which one it is to be is decided in [`super::displays`]; here the window system is asked and told.

use std::path::{Path, PathBuf};

use bevy::{
    prelude::*,
    window::{Monitor, MonitorSelection, OnMonitor, PrimaryMonitor, WindowMode, WindowPosition},
};

use super::{
    Level, Shared, WindowError, WindowOptions, WindowState,
    displays::{self, Display, Identity, Seat, Turn},
    remembered,
};

/// The stage's window and the display that it belongs on.
#[derive(Resource)]
pub(super) struct Stage {
    pub window: Entity,
    /// The display that it was put on, if it was put on one.
    pub display: Option<Entity>,
    pub seat: Seat,
    /// Where the display is remembered; None where that cannot be.
    pub file: Option<PathBuf>,
}

/// Bevy ties a window to the display that it stands on, and takes it away with the display: the show must go on.
pub(super) fn outlive_display(tied: On<Insert, OnMonitor>, mut commands: Commands) {
    commands.entity(tied.entity).remove::<OnMonitor>();
}

pub(super) type Monitors<'w, 's> = Query<'w, 's, (Entity, &'static Monitor, Has<PrimaryMonitor>)>;

/// The displays from left to right.
pub(super) fn list_of(monitors: &Monitors<'_, '_>) -> (Vec<Entity>, Vec<Display>) {
    let mut found: Vec<_> =
        monitors.iter().map(|(entity, monitor, primary)| (entity, display(monitor, primary))).collect();
    found.sort_by_key(|(_, display)| display.at_px);
    found.into_iter().unzip()
}

fn display(monitor: &Monitor, is_primary: bool) -> Display {
    Display {
        name: monitor.name.clone(),
        size_px: [monitor.physical_width, monitor.physical_height],
        at_px: [monitor.physical_position.x, monitor.physical_position.y],
        is_primary,
    }
}

/// The display that was asked for, or the one of last time.
pub(super) fn seat(options: &WindowOptions, displays: &[Display], file: Option<&Path>, shared: &Shared) -> Seat {
    let home = match &options.display {
        Some(asked) => {
            let found = asked.find(displays).and_then(|at| displays.get(at));
            if found.is_none() {
                let found = list(&displays.iter().map(Display::describe).collect::<Vec<_>>());
                shared.fail(WindowError::NoSuchDisplay { asked: asked.clone(), found });
            }
            found.map(Display::identity)
        }
        None => file.map_or(Ok(None), remembered::read).unwrap_or_else(|why| {
            shared.tell(Level::Warning, why);
            None
        }),
    };
    Seat { home, at: None }
}

pub(super) fn waiting(home: &Identity, other: &Display) -> String {
    format!("the display {} is not there: the stage plays on {} until it is", home.name, other.describe())
}

impl Stage {
    pub fn remember(&self, shared: &Shared) {
        if let (Some(file), Some(home)) = (&self.file, &self.seat.home)
            && remembered::read(file).ok().flatten().as_ref() != Some(home)
            && let Err(why) = remembered::write(file, home)
        {
            shared.tell(Level::Warning, why);
        }
    }
}

/// Displays that come and go take the stage with them only in so far as it belongs there.
pub(super) fn follow_displays(
    mut stage: ResMut<Stage>,
    mut state: ResMut<WindowState>,
    mut windows: Query<&mut Window>,
    monitors: Monitors,
    came: Query<(), Added<Monitor>>,
    mut went: RemovedComponents<Monitor>,
    shared: Res<Shared>,
) {
    let has_gone = went.read().count() > 0;
    let wants_next = std::mem::take(&mut state.bypass_change_detection().wants_next_display);
    if came.is_empty() && !has_gone && !wants_next {
        return;
    }
    let (entities, displays) = list_of(&monitors);
    let stage = &mut *stage;
    let Ok(mut window) = windows.get_mut(stage.window) else { return };
    let before = stage.seat.at.clone();
    let target = if wants_next {
        let next = stage.seat.next(&displays, standing(&window, &displays));
        if next.is_none() {
            shared.tell(Level::Info, "there is no other display".into());
        }
        stage.remember(&shared);
        next
    } else {
        match stage.seat.turn(&displays) {
            Turn::Stay => return,
            Turn::Home(at) | Turn::Elsewhere(at) => Some(at),
        }
    };
    let Some((entity, display)) = target.and_then(|at| Some((*entities.get(at)?, displays.get(at)?))) else { return };
    let said = match (&before, &stage.seat.home) {
        _ if wants_next => format!("the stage plays on {}", display.describe()),
        (_, Some(home)) if *home == display.identity() => {
            format!("{} is there: the stage plays on it", display.describe())
        }
        (Some(gone), _) => format!("the display {} is gone: the stage plays on {}", gone.name, display.describe()),
        (None, _) => format!("the stage plays on {}", display.describe()),
    };
    shared.tell(if wants_next { Level::Info } else { Level::Warning }, said);
    stage.display = Some(entity);
    window.position = WindowPosition::Centered(MonitorSelection::Entity(entity));
    window.mode = window_mode(state.fullscreen, stage.display, MonitorSelection::Current);
}

/// The display under the middle of the window, where the window system tells.
pub(super) fn standing(window: &Window, displays: &[Display]) -> Option<usize> {
    let WindowPosition::At(corner) = window.position else { return None };
    let half = |px: u32| i32::try_from(px / 2).unwrap_or(0);
    let middle = [corner.x + half(window.physical_width()), corner.y + half(window.physical_height())];
    displays::under(displays, middle)
}

pub(super) fn window_mode(fullscreen: bool, chosen: Option<Entity>, otherwise: MonitorSelection) -> WindowMode {
    if fullscreen {
        WindowMode::BorderlessFullscreen(chosen.map_or(otherwise, MonitorSelection::Entity))
    } else {
        WindowMode::Windowed
    }
}

/// "1: DP-1 (1920x1080), 2: HDMI-1 (1280x720)".
fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none that it knows of".into();
    }
    let numbered: Vec<_> = names.iter().enumerate().map(|(i, name)| format!("{}: {name}", i + 1)).collect();
    numbered.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::window::DisplayChoice;

    #[test]
    fn the_stage_stands_on_the_display_under_its_middle() {
        let of = |x: i32| Display { name: None, size_px: [1000, 1000], at_px: [x, 0], is_primary: false };
        let mut window = Window { resolution: (400, 400).into(), ..Default::default() };
        assert_eq!(standing(&window, &[of(0), of(1000)]), None);
        window.position = WindowPosition::At(IVec2::new(850, 0));
        assert_eq!(standing(&window, &[of(0), of(1000)]), Some(1));
    }

    #[test]
    fn a_window_is_not_taken_away_with_its_display() {
        let mut app = App::new();
        app.add_observer(outlive_display);
        let monitor = app.world_mut().spawn_empty().id();
        let window = app.world_mut().spawn(OnMonitor(monitor)).id();
        app.world_mut().flush();
        app.world_mut().entity_mut(monitor).despawn();
        assert!(app.world().get_entity(window).is_ok());
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
        let error = WindowError::NoSuchDisplay { asked: DisplayChoice::Number(3), found };
        assert_eq!(
            error.to_string(),
            "there is no display 3: this machine has 1: DP-1 (1920x1080), 2: HDMI-1 (1280x720)"
        );
        assert!(list(&[]).contains("none"));
    }
}
