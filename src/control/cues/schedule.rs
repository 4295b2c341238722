//! The hours in which an installation is seen: open, dimmed, closed, by the clock on the wall and the day of the week.

use std::fmt::Write as _;

use crate::control::{Local, shown, zone::Zone};

pub(super) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_SECS: u32 = 86_400;

/// Hours of the week; past midnight they belong to the day on which they begin.
#[derive(Debug, Clone, PartialEq)]
pub struct Hours {
    /// From Monday.
    pub days: [bool; 7],
    /// Since midnight; `to` is before `from` where they go past it.
    pub from_secs: u32,
    pub to_secs: u32,
    /// Brightness in them, 0..1.
    pub level: f64,
}

/// When it is how bright.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    pub zone: Zone,
    /// A sentence, if the zone is a guess.
    pub note: Option<String>,
    pub fade_secs: f64,
    /// Always, if there are none.
    pub open: Vec<Hours>,
    /// A later one overrides an earlier one.
    pub dim: Vec<Hours>,
}

impl Hours {
    fn contain(&self, moment: Local) -> bool {
        let (today, yesterday) = (self.days[moment.weekday()], self.days[(moment.weekday() + 6) % 7]);
        if self.from_secs < self.to_secs {
            today && (self.from_secs..self.to_secs).contains(&moment.secs)
        } else {
            (today && moment.secs >= self.from_secs) || (yesterday && moment.secs < self.to_secs)
        }
    }
}

impl Schedule {
    /// Brightness at this moment, 0..1; 0 is closed.
    pub fn level(&self, moment: Local) -> f64 {
        if !self.open.is_empty() && !self.open.iter().any(|hours| hours.contain(moment)) {
            return 0.0;
        }
        self.dim.iter().rev().find(|hours| hours.contain(moment)).map_or(1.0, |hours| hours.level)
    }

    /// "open until 18:00", "closed until tue 10:00".
    pub fn state(&self, moment: Local) -> String {
        let level = self.level(moment);
        let mut said = match level {
            0.0 => "closed".to_owned(),
            1.0 => "open".to_owned(),
            level => format!("dimmed to {}", shown(level)),
        };
        if let Some(next) = self.next_change(moment) {
            said.push_str(" until ");
            if next.day != moment.day {
                let _ = write!(said, "{} ", DAYS[next.weekday()]);
            }
            let _ = write!(said, "{:02}:{:02}", next.secs / 3600, next.secs / 60 % 60);
        }
        said
    }

    /// When the level is another one; None if that is not within a week.
    fn next_change(&self, moment: Local) -> Option<Local> {
        let level = self.level(moment);
        let turns = || self.open.iter().chain(&self.dim).flat_map(|hours| [hours.from_secs, hours.to_secs]);
        let on_day =
            |day: i64| turns().map(move |secs| Local { day: day + i64::from(secs / DAY_SECS), secs: secs % DAY_SECS });
        let mut later: Vec<Local> = (0..=7).flat_map(|ahead| on_day(moment.day + ahead)).collect();
        later.retain(|turn| (turn.day, turn.secs) > (moment.day, moment.secs));
        later.sort_by_key(|turn| (turn.day, turn.secs));
        later.into_iter().find(|turn| self.level(*turn) != level)
    }
}
