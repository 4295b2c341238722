//! The clock on the wall: what time it is here, from the seconds of the system's clock and the time zone of the system.
//!
//! Reads the compiled zones that Unix systems keep (RFC 9636: a block of transitions, and a rule in the style of POSIX
//! for the time after them). Where there are none (Windows), the wall shows UTC, and that is said. Asks no clock: who
//! calls gives the seconds, so that a test can live a whole year in a moment.

use std::path::Path;

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

    /// Year, month and day of the month.
    pub fn date(self) -> (i64, u32, u32) {
        // Days from civil and back: H. Hinnant, "chrono-compatible low-level date algorithms".
        let z = self.day + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = yoe + era * 400 + i64::from(month <= 2);
        (year, month as u32, (doy - (153 * mp + 2) / 5 + 1) as u32)
    }

    /// `20260131-235959`, for the names of files.
    pub fn stamp(self) -> String {
        let (year, month, day) = self.date();
        let (hours, minutes, secs) = (self.secs / 3600, self.secs / 60 % 60, self.secs % 60);
        format!("{year:04}{month:02}{day:02}-{hours:02}{minutes:02}{secs:02}")
    }
}

/// When the wall's clock was, or will be, set to another offset.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Zone {
    /// From when on (seconds since 1970) which offset from UTC, in seconds; in order.
    changes: Vec<(i64, i32)>,
    /// Before the first of them.
    first: i32,
    /// After the last of them.
    rule: Option<Rule>,
}

/// `CET-1CEST,M3.5.0,M10.5.0/3`
#[derive(Debug, Clone, PartialEq)]
struct Rule {
    standard: i32,
    summer: Option<Summer>,
}

#[derive(Debug, Clone, PartialEq)]
struct Summer {
    offset: i32,
    begins: Turn,
    ends: Turn,
}

/// A day of the year and a time of that day.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Turn {
    day: Day,
    secs: i32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Day {
    /// Month, week (5 is the last), weekday (0 is Sunday).
    Weekday(u32, u32, u32),
    /// 1 to 365, 29 February never counted.
    Julian(i64),
    /// 0 to 365.
    Counted(i64),
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
        Self::default()
    }

    /// The zone of this machine: `TZ`, else what `/etc/localtime` says.
    pub fn of_system() -> Result<Self, ZoneError> {
        match std::env::var("TZ")
            .ok()
            .map(|name| name.trim_start_matches(':').to_owned())
            .filter(|name| !name.is_empty())
        {
            Some(name) => Self::named(&name),
            None => std::fs::read("/etc/localtime")
                .map_err(|error| error.to_string())
                .and_then(|bytes| Self::parse(&bytes))
                .map_err(|why| ZoneError::NoSystem { why }),
        }
    }

    /// `Europe/Berlin`, a path of a compiled zone, or a rule such as `CET-1CEST,M3.5.0,M10.5.0/3`.
    pub fn named(name: &str) -> Result<Self, ZoneError> {
        if ["UTC", "Z", "GMT"].contains(&name) {
            return Ok(Self::utc());
        }
        let unknown = |why: String| ZoneError::Unknown { name: name.to_owned(), why };
        if name.split('/').any(|part| part == "..") {
            return Err(unknown("it leads out of the folder of zones".into()));
        }
        let file = Path::new("/usr/share/zoneinfo").join(name);
        match std::fs::read(&file) {
            Ok(bytes) => Self::parse(&bytes).map_err(unknown),
            Err(error) => match rule(name) {
                Some(rule) => Ok(Self { changes: Vec::new(), first: rule.standard, rule: Some(rule) }),
                None => Err(unknown(format!("{}: {error}", file.display()))),
            },
        }
    }

    /// What the wall shows at so many seconds since 1970.
    pub fn local(&self, unix_secs: i64) -> Local {
        let wall = unix_secs + i64::from(self.offset(unix_secs));
        Local { day: wall.div_euclid(86_400), secs: wall.rem_euclid(86_400) as u32 }
    }

    fn offset(&self, unix_secs: i64) -> i32 {
        let after = self.changes.partition_point(|(from, _)| *from <= unix_secs);
        match (&self.rule, after) {
            (Some(rule), after) if after == self.changes.len() => rule.offset(unix_secs),
            (_, 0) => self.first,
            (_, after) => self.changes[after - 1].1,
        }
    }

    /// Reads a compiled zone.
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let cut = || "the file of the zone is cut short".to_owned();
        let head = |at: usize| -> Option<(u8, [usize; 6])> {
            let head = bytes.get(at..at + 44)?;
            let count =
                |n: usize| head[20 + 4 * n..24 + 4 * n].iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
            head.starts_with(b"TZif").then(|| (head[4], [0, 1, 2, 3, 4, 5].map(count)))
        };
        let (version, counts) = head(0).ok_or("it is no compiled zone")?;
        let [utc, std, leaps, times, types, names] = counts;
        if version < b'2' {
            return Err("it is of the first version, which ends in 2038".to_owned());
        }
        let at = 44 + times * 5 + types * 6 + names + leaps * 8 + std + utc;
        let (_, [utc, std, leaps, times, types, names]) = head(at).ok_or_else(cut)?;
        let number = |at: usize, bytes_each: usize| -> Option<i64> {
            let raw = bytes.get(at..at + bytes_each)?;
            let sign = if raw[0] & 0x80 == 0 { 0i64 } else { -1 };
            Some(raw.iter().fold(sign, |sum, byte| sum << 8 | i64::from(*byte)))
        };
        let at = at + 44;
        let (of_types, of_offsets) = (at + 8 * times, at + 9 * times);
        let offset = |which: usize| number(of_offsets + 6 * which, 4).map(|offset| offset as i32);
        let change = |n: usize| {
            let which = usize::from(*bytes.get(of_types + n)?);
            Some((number(at + 8 * n, 8)?, offset(which).filter(|_| which < types)?))
        };
        let changes = (0..times).map(change).collect::<Option<Vec<_>>>().ok_or_else(cut)?;
        let end = of_offsets + 6 * types + names + 12 * leaps + std + utc;
        let footer = bytes.get(end..).map(String::from_utf8_lossy).ok_or_else(cut)?;
        let text = footer.trim_matches('\n');
        Ok(Self { changes, first: offset(0).ok_or_else(cut)?, rule: rule(text) })
    }
}

impl Rule {
    fn offset(&self, unix_secs: i64) -> i32 {
        let Some(summer) = &self.summer else { return self.standard };
        let standard_day = (unix_secs + i64::from(self.standard)).div_euclid(86_400);
        let (year, _, _) = Local { day: standard_day, secs: 0 }.date();
        let begins = summer.begins.unix_secs(year, self.standard);
        let ends = summer.ends.unix_secs(year, summer.offset);
        let in_summer = if begins <= ends {
            (begins..ends).contains(&unix_secs)
        } else {
            // South of the equator summer goes over the new year.
            unix_secs >= begins || unix_secs < ends
        };
        if in_summer { summer.offset } else { self.standard }
    }
}

impl Turn {
    /// When it is in a year, by a wall that has this offset until then.
    fn unix_secs(self, year: i64, offset: i32) -> i64 {
        let january = day_of(year, 1, 1);
        let day = match self.day {
            Day::Counted(n) => january + n,
            Day::Julian(n) => january + n - 1 + i64::from(n > 59 && day_of(year, 3, 1) - january == 60),
            Day::Weekday(month, week, weekday) => {
                let first = day_of(year, month, 1);
                // Counted from Sunday, as the rule does.
                let of_first = (first + 4).rem_euclid(7);
                let wanted = first + (i64::from(weekday) - of_first).rem_euclid(7) + 7 * (i64::from(week) - 1);
                let next_month = if month == 12 { day_of(year + 1, 1, 1) } else { day_of(year, month + 1, 1) };
                if wanted >= next_month { wanted - 7 } else { wanted }
            }
        };
        day * 86_400 + i64::from(self.secs) - i64::from(offset)
    }
}

fn day_of(year: i64, month: u32, day: u32) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, yoe) = (year.div_euclid(400), year.rem_euclid(400));
    let mp = i64::from((month + 9) % 12);
    let doy = (153 * mp + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// Reads a rule in the style of POSIX; None for what is none.
fn rule(text: &str) -> Option<Rule> {
    let mut rest = text;
    name(&mut rest)?;
    let standard = -time(&mut rest)?;
    if rest.is_empty() {
        return Some(Rule { standard, summer: None });
    }
    name(&mut rest)?;
    let offset = if rest.starts_with(',') { standard + 3600 } else { -time(&mut rest)? };
    let mut turn = || -> Option<Turn> {
        rest = rest.strip_prefix(',')?;
        let end = rest.find(['/', ',']).unwrap_or(rest.len());
        let (day, after) = rest.split_at(end);
        rest = after;
        let day = if let Some(parts) = day.strip_prefix('M') {
            let mut parts = parts.split('.').map(str::parse::<u32>);
            let (month, week, weekday) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
            ((1..=12).contains(&month) && (1..=5).contains(&week) && weekday <= 6).then_some(())?;
            Day::Weekday(month, week, weekday)
        } else if let Some(n) = day.strip_prefix('J') {
            Day::Julian(n.parse().ok().filter(|n| (1..=365).contains(n))?)
        } else {
            Day::Counted(day.parse().ok().filter(|n| (0..=365).contains(n))?)
        };
        let secs = match rest.strip_prefix('/') {
            Some(after) => {
                rest = after;
                time(&mut rest)?
            }
            None => 2 * 3600,
        };
        Some(Turn { day, secs })
    };
    let (begins, ends) = (turn()?, turn()?);
    Some(Rule { standard, summer: Some(Summer { offset, begins, ends }) })
}

/// Takes a zone's name off: `CET`, `<+03>`.
fn name(rest: &mut &str) -> Option<()> {
    let end = match rest.strip_prefix('<') {
        Some(inner) => inner.find('>')? + 2,
        None => rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len()),
    };
    (end >= 3).then(|| *rest = &rest[end..])
}

/// Takes a time off, `-1`, `5:30`, `+02:00:00`: seconds.
fn time(rest: &mut &str) -> Option<i32> {
    let end = rest.find(|c: char| !(c.is_ascii_digit() || "+-:".contains(c))).unwrap_or(rest.len());
    let (text, after) = rest.split_at(end);
    *rest = after;
    let negative = text.starts_with('-');
    let mut secs = 0;
    let mut unit = 3600;
    for part in text.trim_start_matches(['+', '-']).split(':') {
        secs += part.parse::<i32>().ok().filter(|n| *n <= 167)? * unit;
        unit /= 60;
    }
    Some(if negative { -secs } else { secs })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds since 1970 of a moment in UTC.
    fn utc(year: i64, month: u32, day: u32, hours: i64, minutes: i64) -> i64 {
        day_of(year, month, day) * 86_400 + hours * 3600 + minutes * 60
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
        let berlin = Zone::named("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert_eq!(shown(&berlin, utc(2026, 3, 29, 0, 59)), "20260329-015900");
        assert_eq!(shown(&berlin, utc(2026, 3, 29, 1, 0)), "20260329-030000");
        assert_eq!(shown(&berlin, utc(2026, 10, 25, 0, 59)), "20261025-025900");
        assert_eq!(shown(&berlin, utc(2026, 10, 25, 1, 0)), "20261025-020000");
        let sydney = Zone::named("AEST-10AEDT,M10.1.0,M4.1.0/3").unwrap();
        assert_eq!(shown(&sydney, utc(2026, 1, 1, 0, 0)), "20260101-110000");
        assert_eq!(shown(&sydney, utc(2026, 7, 1, 0, 0)), "20260701-100000");
        let kathmandu = Zone::named("<+0545>-5:45").unwrap();
        assert_eq!(shown(&kathmandu, 0), "19700101-054500");
    }

    /// A compiled zone of version 2: UTC+1 until second 1000, UTC+2 from then on, and a rule for the time after.
    fn compiled(footer: &str) -> Vec<u8> {
        let head = |counts: [u32; 6]| {
            let mut head = b"TZif2".to_vec();
            head.resize(20, 0);
            counts.iter().for_each(|count| head.extend(count.to_be_bytes()));
            head
        };
        let mut bytes = head([0, 0, 0, 0, 1, 1]);
        bytes.extend([0; 6 + 1]);
        bytes.extend(head([0, 0, 0, 1, 2, 4]));
        bytes.extend(1000i64.to_be_bytes());
        bytes.push(1);
        for offset in [3600i32, 7200] {
            bytes.extend(offset.to_be_bytes());
            bytes.extend([0, 0]);
        }
        bytes.extend(b"ABC\0");
        bytes.extend(format!("\n{footer}\n").bytes());
        bytes
    }

    #[test]
    fn a_compiled_zone_is_read_with_its_rule_for_the_future() {
        let zone = Zone::parse(&compiled("")).unwrap();
        assert_eq!((shown(&zone, 999), shown(&zone, 1000)), ("19700101-011639".into(), "19700101-021640".into()));
        let zone = Zone::parse(&compiled("XYZ3")).unwrap();
        assert_eq!((shown(&zone, 999), shown(&zone, 1000)), ("19700101-011639".into(), "19691231-211640".into()));
    }

    #[test]
    fn what_is_no_zone_is_refused_however_it_is_cut() {
        let whole = compiled("XYZ3");
        let fixed = whole.len() - "\nXYZ3\n".len();
        for length in 0..fixed {
            assert!(Zone::parse(&whole[..length]).is_err(), "{length}");
        }
        let error = Zone::named("Europe/Nowhere").unwrap_err().to_string();
        assert!(error.contains("Europe/Nowhere") && error.contains("Europe/Berlin"), "{error}");
        assert!(Zone::named("../../etc/passwd").is_err());
    }
}
