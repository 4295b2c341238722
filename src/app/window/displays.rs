//! Which display the stage stands on: chosen, remembered by its identity, and gone back to after it was unplugged.
//!
//! Pure: decided from lists of displays, so that it is tested without any. [`super::place`] asks the window system and
//! does what comes out; [`super::remembered`] keeps the identity from evening to evening.

use serde::{Deserialize, Serialize};

/// A display as the window system describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Display {
    /// The output on X11 and Wayland ("HDMI-1"), the device on Windows, a number on macOS.
    pub name: Option<String>,
    pub size_px: [u32; 2],
    /// Of its upper left corner among all displays.
    pub at_px: [i32; 2],
    pub is_primary: bool,
}

/// What a display is known by from one evening to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    pub name: String,
    pub width: u32,
    pub height: u32,
}

/// A display as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DisplayChoice {
    /// Counted from 1 as they stand from left to right.
    Number(usize),
    /// Its name, or a part of it.
    Name(String),
}

impl std::str::FromStr for DisplayChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "" => {
                Err("write the number of a display, counted from 1 from the left, or its name, such as HDMI-1".into())
            }
            typed => Ok(typed.parse().map_or_else(|_| Self::Name(typed.into()), Self::Number)),
        }
    }
}

impl std::fmt::Display for DisplayChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => write!(f, "“{name}”"),
        }
    }
}

impl Display {
    pub fn identity(&self) -> Identity {
        let [width, height] = self.size_px;
        Identity { name: self.name.clone().unwrap_or_default(), width, height }
    }

    /// "HDMI-1 (1920x1080)".
    pub fn describe(&self) -> String {
        let name = self.name.as_deref().unwrap_or("unnamed");
        format!("{name} ({}x{})", self.size_px[0], self.size_px[1])
    }

    fn holds(&self, [x, y]: [i32; 2]) -> bool {
        let within = |at: i32, from: i32, size: u32| at >= from && i64::from(at) < i64::from(from) + i64::from(size);
        within(x, self.at_px[0], self.size_px[0]) && within(y, self.at_px[1], self.size_px[1])
    }
}

impl DisplayChoice {
    /// Place in the list, which stands from left to right.
    pub(super) fn find(&self, displays: &[Display]) -> Option<usize> {
        match self {
            Self::Number(number) => number.checked_sub(1).filter(|at| *at < displays.len()),
            Self::Name(wanted) => {
                let wanted = wanted.to_lowercase();
                let names =
                    || displays.iter().map(|display| display.name.as_deref().unwrap_or_default().to_lowercase());
                names().position(|name| name == wanted).or_else(|| names().position(|name| name.contains(&wanted)))
            }
        }
    }
}

impl Identity {
    /// Place in the list. The name decides, the size tells two of the same name (or without one) apart; a display that
    /// changed its resolution is still the same.
    pub fn find(&self, displays: &[Display]) -> Option<usize> {
        let same_name = |display: &Display| display.name.as_deref().unwrap_or_default() == self.name;
        let same_size = |display: &Display| display.size_px == [self.width, self.height];
        let exact = displays.iter().position(|display| same_name(display) && same_size(display));
        exact.or_else(|| displays.iter().position(same_name).filter(|_| !self.name.is_empty()))
    }
}

/// The display that holds a point, such as the middle of a window.
pub(super) fn under(displays: &[Display], point: [i32; 2]) -> Option<usize> {
    displays.iter().position(|display| display.holds(point))
}

/// What is to be done about the stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    Stay,
    /// To the display at this place in the list, which is the chosen one.
    Home(usize),
    /// To another, because its own is gone.
    Elsewhere(usize),
}

/// Where the stage belongs and where it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seat {
    /// Chosen or remembered.
    pub home: Option<Identity>,
    /// Where it was put last; None for wherever the window system likes.
    pub at: Option<Identity>,
}

impl Seat {
    /// To be asked at the start and whenever displays come or go; remembers the answer.
    pub fn turn(&mut self, displays: &[Display]) -> Turn {
        let place = |identity: &Option<Identity>| identity.as_ref().and_then(|identity| identity.find(displays));
        let (home, at) = (place(&self.home), place(&self.at));
        let turn = match (home, at) {
            (Some(home), at) if at != Some(home) => Turn::Home(home),
            (None, None) if self.at.is_some() || self.home.is_some() => match fallback(displays) {
                Some(other) => Turn::Elsewhere(other),
                // Not one display: the window waits where it is.
                None => return Turn::Stay,
            },
            _ => Turn::Stay,
        };
        if let Turn::Home(to) | Turn::Elsewhere(to) = turn {
            self.at = displays.get(to).map(Display::identity);
        }
        turn
    }

    /// The next display to the right becomes the home, after the last the first. None with fewer than two.
    pub fn next(&mut self, displays: &[Display], standing: Option<usize>) -> Option<usize> {
        let at = self.at.as_ref().and_then(|at| at.find(displays)).or(standing).unwrap_or(0);
        let next = (at + 1) % displays.len().max(1);
        let display = displays.get(next).filter(|_| next != at)?;
        (self.home, self.at) = (Some(display.identity()), Some(display.identity()));
        Some(next)
    }
}

fn fallback(displays: &[Display]) -> Option<usize> {
    let primary = displays.iter().position(|display| display.is_primary);
    primary.or((!displays.is_empty()).then_some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn display(name: &str, size_px: [u32; 2], x: i32) -> Display {
        Display { name: Some(name.into()), size_px, at_px: [x, 0], is_primary: x == 0 }
    }

    fn laptop() -> Display {
        display("eDP-1", [1920, 1200], 0)
    }

    fn projector() -> Display {
        display("HDMI-1", [1920, 1080], 1920)
    }

    fn home(display: &Display) -> Seat {
        Seat { home: Some(display.identity()), at: None }
    }

    #[test]
    fn the_stage_goes_to_its_display_elsewhere_when_that_is_unplugged_and_back() {
        let mut seat = home(&projector());
        let both = [laptop(), projector()];
        assert_eq!(seat.turn(&both), Turn::Home(1));
        assert_eq!(seat.turn(&both), Turn::Stay);
        assert_eq!(seat.turn(&both[..1]), Turn::Elsewhere(0));
        assert_eq!(seat.turn(&both[..1]), Turn::Stay);
        // Plugged in again on the other side.
        let swapped = [display("HDMI-1", [1920, 1080], -1920), laptop()];
        assert_eq!(seat.turn(&swapped), Turn::Home(0));
        assert_eq!(seat.turn(&swapped), Turn::Stay);
    }

    #[test]
    fn a_display_that_is_not_there_at_the_start_is_waited_for() {
        let mut seat = home(&projector());
        assert_eq!(seat.turn(&[laptop()]), Turn::Elsewhere(0));
        assert_eq!(seat.turn(&[laptop(), projector()]), Turn::Home(1));
    }

    #[test]
    fn without_any_display_the_window_waits_and_then_comes_back() {
        let mut seat = home(&projector());
        assert_eq!(seat.turn(&[projector()]), Turn::Home(0));
        assert_eq!(seat.turn(&[]), Turn::Stay);
        assert_eq!(seat.turn(&[laptop(), projector()]), Turn::Stay);
    }

    #[test]
    fn who_chose_nothing_is_left_alone() {
        let mut seat = Seat::default();
        for displays in [&[laptop(), projector()][..], &[laptop()], &[]] {
            assert_eq!(seat.turn(displays), Turn::Stay);
        }
    }

    #[test]
    fn the_same_display_is_known_at_another_resolution_and_another_of_its_kind_is_not() {
        let remembered = projector().identity();
        assert_eq!(remembered.find(&[laptop(), display("HDMI-1", [1280, 720], 1920)]), Some(1));
        assert_eq!(remembered.find(&[laptop(), display("HDMI-2", [1920, 1080], 1920)]), None);
        // Two of the same name: the one of the same size.
        let twins = [display("HDMI-1", [800, 600], 0), display("HDMI-1", [1920, 1080], 800)];
        assert_eq!(remembered.find(&twins), Some(1));
        // Without a name the size alone decides.
        let nameless = Display { name: None, ..projector() };
        assert_eq!(nameless.identity().find(&[laptop(), nameless.clone()]), Some(1));
        assert_eq!(nameless.identity().find(&[Display { name: None, ..laptop() }]), None);
    }

    #[test]
    fn a_display_is_asked_for_by_number_or_name() {
        let displays = [laptop(), projector()];
        let find = |typed: &str| typed.parse::<DisplayChoice>().unwrap().find(&displays);
        assert_eq!((find("1"), find("2"), find("3"), find("0")), (Some(0), Some(1), None, None));
        assert_eq!((find("hdmi-1"), find("hdmi"), find("DP-1"), find("VGA")), (Some(1), Some(1), Some(0), None));
        assert!(" ".parse::<DisplayChoice>().is_err());
    }

    #[test]
    fn the_next_display_becomes_the_chosen_one_and_round_it_goes() {
        let displays = [laptop(), projector()];
        let mut seat = Seat::default();
        assert_eq!(seat.next(&displays, Some(0)), Some(1));
        assert_eq!(seat.home, Some(projector().identity()));
        assert_eq!(seat.turn(&displays), Turn::Stay);
        assert_eq!(seat.next(&displays, None), Some(0));
        assert_eq!(seat.next(&displays[..1], None), None);
        assert_eq!(Seat::default().next(&[], None), None);
    }

    #[test]
    fn a_point_lies_on_one_display() {
        let displays = [laptop(), projector()];
        assert_eq!(under(&displays, [1919, 500]), Some(0));
        assert_eq!(under(&displays, [1920, 500]), Some(1));
        assert_eq!(under(&displays, [1920, 1100]), None);
    }
}
