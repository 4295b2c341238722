//! The clock on the wall: what time it is here, from the seconds of the system's clock and the time zone of the system.
//!
//! The zones are those that the system keeps, and those of the program where it keeps none (Windows). Asks no clock: who
//! calls gives the seconds, so that a test can live a whole year in a moment.

use jiff::{Timestamp, ToSpan, civil, tz::TimeZone};

/// A moment as the clock on the wall shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// Since Thursday, 1 January 1970.
    pub day: i64,
    /// Since midnight.
    pub secs: u32,
}

impl Local {
    /// 0 is Monday, 6 is Sunday.
    pub fn weekday(self) -> usize {
        (self.day + 3).rem_euclid(7) as usize
    }

    /// `20260131-235959`, for the names of files.
    pub fn stamp(self) -> String {
        let date = civil::date(1970, 1, 1).saturating_add(self.day.clamp(-700_000, 2_900_000).days());
        let (hours, minutes, secs) = (self.secs / 3600, self.secs / 60 % 60, self.secs % 60);
        format!("{}-{hours:02}{minutes:02}{secs:02}", date.strftime("%Y%m%d"))
    }
}

/// By which clock a wall goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Self::utc()
    }
}

/// Why a zone is not known.
#[derive(Debug, thiserror::Error)]
pub enum ZoneError {
    #[error("the time zone {name} is not known here ({why}): write one such as Europe/Berlin, or UTC")]
    Unknown { name: String, why: String },
    #[error(
        "this system does not say its time zone ({why}): write zone = \"Europe/Berlin\" or \"UTC\" in the schedule"
    )]
    NoSystem { why: String },
}

impl Zone {
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone of this machine: `TZ`, else what the system says.
    pub fn of_system() -> Result<Self, ZoneError> {
        TimeZone::try_system().map(Self).map_err(|error| ZoneError::NoSystem { why: error.to_string() })
    }

    /// `Europe/Berlin`, or a rule in the style of POSIX such as `CET-1CEST,M3.5.0,M10.5.0/3`.
    pub fn named(name: &str) -> Result<Self, ZoneError> {
        if ["UTC", "Z", "GMT"].contains(&name) {
            return Ok(Self::utc());
        }
        match TimeZone::get(name) {
            Ok(zone) => Ok(Self(zone)),
            Err(error) => match TimeZone::posix(name) {
                Ok(zone) => Ok(Self(zone)),
                Err(_) => Err(ZoneError::Unknown { name: name.to_owned(), why: error.to_string() }),
            },
        }
    }

    /// What the wall shows at so many seconds since 1970.
    pub fn local(&self, unix_secs: i64) -> Local {
        let moment = Timestamp::from_second(unix_secs).unwrap_or(Timestamp::UNIX_EPOCH);
        let wall = unix_secs + i64::from(self.0.to_offset(moment).seconds());
        Local { day: wall.div_euclid(86_400), secs: wall.rem_euclid(86_400) as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds since 1970 of a moment in UTC.
    fn utc(year: i16, month: i8, day: i8, hours: i8, minutes: i8) -> i64 {
        civil::date(year, month, day).at(hours, minutes, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp().as_second()
    }

    fn shown(zone: &Zone, unix_secs: i64) -> String {
        zone.local(unix_secs).stamp()
    }

    #[test]
    fn dates_and_weekdays_are_those_of_the_calendar() {
        for (secs, stamp, weekday) in [
            (0, "19700101-000000", 3),
            (951_782_400, "20000229-000000", 1),
            (1_798_761_599, "20261231-235959", 3),
            (-1, "19691231-235959", 2),
        ] {
            let local = Zone::utc().local(secs);
            assert_eq!((local.stamp().as_str(), local.weekday()), (stamp, weekday));
        }
    }

    #[test]
    fn summer_time_begins_and_ends_on_the_second() {
        for name in ["CET-1CEST,M3.5.0,M10.5.0/3", "Europe/Berlin"] {
            let berlin = Zone::named(name).unwrap();
            assert_eq!(shown(&berlin, utc(2026, 3, 29, 0, 59)), "20260329-015900");
            assert_eq!(shown(&berlin, utc(2026, 3, 29, 1, 0)), "20260329-030000");
            assert_eq!(shown(&berlin, utc(2026, 10, 25, 0, 59)), "20261025-025900");
            assert_eq!(shown(&berlin, utc(2026, 10, 25, 1, 0)), "20261025-020000");
        }
        let sydney = Zone::named("AEST-10AEDT,M10.1.0,M4.1.0/3").unwrap();
        assert_eq!(shown(&sydney, utc(2026, 1, 1, 0, 0)), "20260101-110000");
        assert_eq!(shown(&sydney, utc(2026, 7, 1, 0, 0)), "20260701-100000");
        let kathmandu = Zone::named("<+0545>-5:45").unwrap();
        assert_eq!(shown(&kathmandu, 0), "19700101-054500");
    }

    #[test]
    fn a_moment_beyond_all_calendars_is_shown_nevertheless() {
        for secs in [i64::MAX / 2, i64::MIN / 2] {
            assert!(!shown(&Zone::utc(), secs).is_empty());
        }
    }

    #[test]
    fn what_is_no_zone_is_refused() {
        let error = Zone::named("Europe/Nowhere").unwrap_err().to_string();
        assert!(error.contains("Europe/Nowhere") && error.contains("Europe/Berlin"), "{error}");
        assert!(Zone::named("../../etc/passwd").is_err());
    }
}
