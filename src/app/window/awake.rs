//! Holds off screensaver, dimming and sleep while the show plays.
//!
//! What does that differs from desktop to desktop, and each brings a small program for it: those that are there are run
//! as children for as long as the show lasts. Each child ends by itself when we do, even when we are killed: it waits on
//! a pipe of ours, or watches our process. Where a desktop only knows a timer, that is set back every now and then.
//!
//! Windows needs a call of its own (`SetThreadExecutionState`), which is not made here.

use std::{
    env,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Shorter than the shortest time after which a desktop blanks its screen.
const NUDGE_EVERY: Duration = Duration::from_secs(45);

/// A program that keeps the screen on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Keeper {
    program: &'static str,
    args: Vec<String>,
    /// Runs for a moment, again and again, instead of staying.
    again: bool,
}

/// The screen stays on until this is dropped.
#[derive(Debug, Default)]
pub(super) struct Awake {
    children: Vec<Child>,
    nudges: Vec<Keeper>,
    nudging: Vec<Child>,
    nudged: Option<Instant>,
}

impl Awake {
    pub fn begin() -> Self {
        let desktop = env::var("XDG_CURRENT_DESKTOP").unwrap_or_default();
        let on_x11 = env::var_os("DISPLAY").is_some() && env::var_os("WAYLAND_DISPLAY").is_none();
        Self::with(keepers(env::consts::OS, &desktop, on_x11, std::process::id(), is_there))
    }

    fn with(keepers: Vec<Keeper>) -> Self {
        let mut awake = Self::default();
        for keeper in keepers {
            if keeper.again {
                awake.nudges.push(keeper);
                continue;
            }
            match keeper.start() {
                Ok(child) => awake.children.push(child),
                Err(error) => tracing::debug!("{} does not start: {error}", keeper.program),
            }
        }
        awake
    }

    /// To be called every frame; does nothing in nearly all of them.
    pub fn tick(&mut self, now: Instant) {
        if self.nudges.is_empty() || self.nudged.is_some_and(|last| now.duration_since(last) < NUDGE_EVERY) {
            return;
        }
        self.nudged = Some(now);
        // The last ones have long ended: their exit is fetched, or they would stay as zombies.
        for mut child in self.nudging.drain(..) {
            if !matches!(child.try_wait(), Ok(Some(_))) {
                end(child);
            }
        }
        self.nudging = self.nudges.iter().filter_map(|keeper| keeper.start().ok()).collect();
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.children.drain(..).chain(self.nudging.drain(..)).for_each(end);
    }
}

impl Keeper {
    fn start(&self) -> std::io::Result<Child> {
        let mut command = Command::new(self.program);
        // The open end of the pipe is ours; it closes when we end in whatever way.
        let input = if self.again { Stdio::null() } else { Stdio::piped() };
        command.args(&self.args).stdin(input).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    }
}

fn end(mut child: Child) {
    // Closing the pipe lets it end in order; it may have ended already.
    drop(child.stdin.take());
    let _ = child.kill();
    let _ = child.wait();
}

/// What is to be run on this system, of that which is there.
fn keepers(os: &str, desktop: &str, on_x11: bool, pid: u32, is_there: impl Fn(&str) -> bool) -> Vec<Keeper> {
    let keeper = |program: &'static str, args: &[&str], again: bool| Keeper {
        program,
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        again,
    };
    let why = "a show is playing";
    let all = match os {
        "macos" => vec![keeper("caffeinate", &["-d", "-i", "-w", &pid.to_string()], false)],
        "linux" | "freebsd" => {
            let desktop = desktop.to_lowercase();
            let mut all = vec![keeper(
                "systemd-inhibit",
                &["--what=idle:sleep", "--who=wavedream", &format!("--why={why}"), "--mode=block", "cat"],
                false,
            )];
            if desktop.contains("gnome") || desktop.contains("unity") {
                let args = ["--app-id", "wavedream", "--reason", why, "--inhibit", "idle", "cat"];
                all.push(keeper("gnome-session-inhibit", &args, false));
            } else if desktop.contains("kde") {
                all.push(keeper("kde-inhibit", &["--power", "--screenSaver", "cat"], false));
            }
            if on_x11 {
                all.push(keeper("xdg-screensaver", &["reset"], true));
                all.push(keeper("xset", &["s", "reset"], true));
            }
            all
        }
        _ => Vec::new(),
    };
    all.into_iter().filter(|keeper| is_there(keeper.program)).collect()
}

/// Whether a program lies in one of the folders of `PATH`.
fn is_there(program: &str) -> bool {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder| Path::new(&folder).join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programs(os: &str, desktop: &str, on_x11: bool) -> Vec<&'static str> {
        keepers(os, desktop, on_x11, 7, |_| true).into_iter().map(|keeper| keeper.program).collect()
    }

    #[test]
    fn each_desktop_is_asked_in_its_own_way() {
        assert_eq!(programs("macos", "", false), ["caffeinate"]);
        assert_eq!(programs("linux", "ubuntu:GNOME", false), ["systemd-inhibit", "gnome-session-inhibit"]);
        assert_eq!(programs("linux", "KDE", false), ["systemd-inhibit", "kde-inhibit"]);
        assert_eq!(programs("linux", "i3", true), ["systemd-inhibit", "xdg-screensaver", "xset"]);
        assert!(programs("windows", "", false).is_empty());
    }

    #[test]
    fn what_is_not_there_is_not_run() {
        let found = keepers("linux", "GNOME", true, 7, |program| program == "xset");
        assert_eq!(found.iter().map(|keeper| keeper.program).collect::<Vec<_>>(), ["xset"]);
        assert!(!is_there("a-program-that-nobody-has"));
    }

    #[cfg(unix)]
    #[test]
    fn a_child_that_waits_on_our_pipe_lives_as_long_as_the_show_and_ends_with_it() {
        let mut awake = Awake::with(vec![Keeper { program: "cat", args: Vec::new(), again: false }]);
        assert!(matches!(awake.children[0].try_wait(), Ok(None)));
        let child = &mut awake.children[0];
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        drop(awake);
    }

    #[cfg(unix)]
    #[test]
    fn a_timer_is_set_back_now_and_then_and_not_every_frame() {
        let keeper = Keeper { program: "true", args: Vec::new(), again: true };
        let (mut awake, start) = (Awake::with(vec![keeper]), Instant::now());
        awake.tick(start);
        let first = awake.nudging[0].id();
        awake.tick(start + NUDGE_EVERY / 2);
        assert_eq!(awake.nudging[0].id(), first);
        awake.tick(start + NUDGE_EVERY);
        assert_ne!(awake.nudging[0].id(), first);
    }
}
