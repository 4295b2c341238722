//! The displays that there are, without opening a window: for `wavedream devices`. Main thread; starts an event loop and
//! ends it as soon as the window system has told, so it cannot be called before a show in the same process.

use std::sync::{Arc, Mutex, PoisonError};

use bevy::{a11y::AccessibilityPlugin, input::InputPlugin, prelude::*, window::ExitCondition, winit::WinitPlugin};

use super::{
    WindowError,
    displays::Display,
    open,
    stand::{Monitors, list_of},
};

/// Rounds of the event loop after which there are none.
const ROUNDS: u32 = 20;

/// A display that `--display` takes by its number or its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Counted from 1 from the left.
    pub number: usize,
    pub name: Option<String>,
    pub size_px: [u32; 2],
    pub at_px: [i32; 2],
    pub is_primary: bool,
}

#[derive(Resource, Clone, Default)]
struct Found(Arc<Mutex<Vec<Display>>>);

/// From left to right.
///
/// # Errors
/// There is no window system that could be asked.
pub fn list() -> Result<Vec<Listed>, WindowError> {
    open::check_display()?;
    let found = Found::default();
    let mut app = App::new();
    open::without_panic(|| {
        app.add_plugins((
            open::tasks_on_few_threads(),
            InputPlugin,
            WindowPlugin { primary_window: None, exit_condition: ExitCondition::DontExit, ..Default::default() },
            AccessibilityPlugin,
            WinitPlugin { run_on_any_thread: true },
        ));
        app.insert_resource(found.clone()).add_systems(Update, look);
    })
    .map_err(|_| WindowError::NoDisplay(open::unreachable_display()))?;
    open::play(app)?;
    let displays = std::mem::take(&mut *found.0.lock().unwrap_or_else(PoisonError::into_inner));
    let listed = |(at, display): (usize, Display)| Listed {
        number: at + 1,
        name: display.name,
        size_px: display.size_px,
        at_px: display.at_px,
        is_primary: display.is_primary,
    };
    Ok(displays.into_iter().enumerate().map(listed).collect())
}

fn look(monitors: Monitors<'_, '_>, found: Res<Found>, mut rounds: Local<u32>, mut exit: MessageWriter<AppExit>) {
    *rounds += 1;
    let (_, displays) = list_of(&monitors);
    if !displays.is_empty() || *rounds >= ROUNDS {
        *found.0.lock().unwrap_or_else(PoisonError::into_inner) = displays;
        exit.write(AppExit::Success);
    }
}
