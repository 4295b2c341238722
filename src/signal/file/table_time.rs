//! Time in a table: which column it is, what its unit is, the rate that follows, and samples on an even grid.

use super::table::Table;
use crate::signal::SourceError;
use crate::signal::url::Address;

/// Names of columns that hold time, before a unit.
const TIME_NAMES: [&str; 12] =
    ["time", "times", "t", "timestamp", "timestamps", "datetime", "date", "seconds", "secs", "sec", "clock", "unix"];
/// Steps may differ from the usual one by this part before they are called uneven.
const EVEN: f64 = 0.02;
/// Seconds since 1970 that lie above this were counted in milliseconds, or finer.
const EPOCH_MILLIS: f64 = 1e11;
const EPOCH_MICROS: f64 = 1e14;
const EPOCH_NANOS: f64 = 1e17;
/// Rows that a recording with breaks may be filled up to, as a multiple of those there.
const MAX_FILL: f64 = 16.0;
/// A break of more than so many usual steps is a gap and no slow moment.
const GAP_STEPS: f64 = 4.0;

pub struct Clock {
    pub column: usize,
    /// Of each row, from the first.
    pub secs: Vec<f64>,
    pub rate_hz: f64,
    pub odd: Vec<String>,
}

/// The column of time: the one asked for, else one with the name of time, else a first column that always rises.
pub fn find(
    table: &Table,
    numbers: &[Vec<f64>],
    address: &Address,
    rate_known: bool,
) -> Result<Option<Clock>, SourceError> {
    let names: Vec<String> = (0..table.width()).map(|column| table.title(column)).collect();
    if let Some(asked) = address.text_of("time") {
        if asked == "none" {
            return Ok(None);
        }
        let column = names
            .iter()
            .position(|name| name == asked)
            .or_else(|| asked.parse::<usize>().ok().filter(|column| *column < names.len()));
        let Some(column) = column else {
            let expected = format!("the columns are {}, counted from 0; or time=none", names.join(", "));
            return Err(address.bad("time", &expected));
        };
        let unit = named_time(&names[column]).flatten();
        return match clock(table, numbers, column, unit) {
            Some(clock) => Ok(Some(clock)),
            None => Err(address.bad("time", "this column does not rise from row to row")),
        };
    }
    let named = names.iter().enumerate().find_map(|(column, name)| Some((column, named_time(name)?)));
    if let Some((column, unit)) = named
        && let Some(clock) = clock(table, numbers, column, unit)
    {
        return Ok(Some(clock));
    }
    // Without a name: the first of several columns, if it always rises and evenly so.
    if table.width() < 2 || !table.name(0).is_empty() {
        return Ok(None);
    }
    let Some(mut clock) = clock(table, numbers, 0, None) else {
        return Ok(None);
    };
    let uneven = clock.odd.iter().any(|sentence| sentence.contains("uneven"));
    let counts = rises_by_one(&numbers[0]);
    if uneven || (counts && rate_known) {
        return Ok(None);
    }
    if counts {
        clock.odd.push(
            "its first column rises by 1 a row and is taken for seconds; if it counts samples, say time=none&rate="
                .to_owned(),
        );
    }
    Ok(Some(clock))
}

/// Whether a column's name says time: Some, with the seconds of its unit where the name has one.
fn named_time(name: &str) -> Option<Option<f64>> {
    let words: Vec<String> = name
        .to_lowercase()
        .split(|c: char| !c.is_alphanumeric() && c != 'µ')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let first = words.first()?;
    let unit = words.iter().find_map(|word| match word.as_str() {
        "ms" | "msec" | "millis" | "milliseconds" => Some(1e-3),
        "us" | "µs" | "usec" | "micros" | "microseconds" => Some(1e-6),
        "ns" | "nanos" | "nanoseconds" => Some(1e-9),
        "s" | "sec" | "secs" | "seconds" => Some(1.0),
        "min" | "minutes" => Some(60.0),
        "h" | "hours" => Some(3600.0),
        _ => None,
    });
    let alone = words.len() == 1 && unit.is_some_and(|unit| unit < 1.0);
    (TIME_NAMES.contains(&first.as_str()) || alone).then_some(unit)
}

pub fn rises_by_one(values: &[f64]) -> bool {
    values.len() > 1 && values.windows(2).all(|pair| pair[1] - pair[0] == 1.0)
}

fn clock(table: &Table, numbers: &[Vec<f64>], column: usize, unit: Option<f64>) -> Option<Clock> {
    let mut secs = numbers[column].clone();
    if secs.iter().all(|x| x.is_nan()) {
        secs = table
            .rows
            .iter()
            .map(|row| row.get(column).and_then(|cell| clock_secs(cell)).unwrap_or(f64::NAN))
            .collect();
    } else {
        let first = secs.iter().copied().find(|x| x.is_finite())?;
        let unit = unit.unwrap_or(match first {
            x if x > EPOCH_NANOS => 1e-9,
            x if x > EPOCH_MICROS => 1e-6,
            x if x > EPOCH_MILLIS => 1e-3,
            _ => 1.0,
        });
        secs.iter_mut().for_each(|x| *x *= unit);
    }
    let first = *secs.first().filter(|x| x.is_finite())?;
    secs.iter_mut().for_each(|x| *x -= first);
    if secs.len() < 2 || !secs.windows(2).all(|pair| pair[1] >= pair[0]) {
        return None;
    }
    let mut steps: Vec<f64> = secs.windows(2).map(|pair| pair[1] - pair[0]).collect();
    steps.sort_by(f64::total_cmp);
    let usual = steps[steps.len() / 2];
    let span = *secs.last()?;
    if !(usual > 0.0 && span > 0.0) {
        return None;
    }
    let even = steps[0] > usual * (1.0 - EVEN) && steps[steps.len() - 1] < usual * (1.0 + EVEN);
    let mut odd = Vec::new();
    // Steps written with few digits differ in the last: over an even table the mean is the better measure.
    let mean = span / (secs.len() - 1) as f64;
    let rate_hz = tidy_rate(if even || (mean / usual - 1.0).abs() < EVEN { 1.0 / mean } else { 1.0 / usual });
    if !even {
        odd.push(format!(
            "its time steps are uneven ({:.6} to {:.6} s); rows are put on an even grid",
            steps[0],
            steps[steps.len() - 1]
        ));
    }
    if span * rate_hz > MAX_FILL * secs.len() as f64 + 1000.0 {
        return None;
    }
    Some(Clock { column, secs, rate_hz, odd })
}

/// Digits cut off in the file must not turn 250 Hz into 250.0000001.
fn tidy_rate(rate_hz: f64) -> f64 {
    let rounded = (rate_hz * 1000.0).round() / 1000.0;
    if rounded > 0.0 && (rounded / rate_hz - 1.0).abs() < 1e-6 { rounded } else { rate_hz }
}

/// Samples at uneven moments on an even grid, between neighbours in a straight line; gaps stay missing.
pub fn regular(secs: &[f64], values: &[f64], rate_hz: f64) -> Vec<f64> {
    let span = secs.last().copied().unwrap_or(0.0);
    let count = (span * rate_hz).round() as usize + 1;
    let on_grid =
        count == secs.len() && secs.iter().enumerate().all(|(row, at)| (at * rate_hz - row as f64).abs() < EVEN);
    if on_grid {
        return values.to_vec();
    }
    let mut row = 0;
    (0..count)
        .map(|index| {
            let at = index as f64 / rate_hz;
            while row + 2 < secs.len() && secs[row + 1] <= at {
                row += 1;
            }
            let next = (row + 1).min(secs.len() - 1);
            let step = secs[next] - secs[row];
            if step * rate_hz > GAP_STEPS && at > secs[row] && at < secs[next] {
                return f64::NAN;
            }
            let part = if step > 0.0 { ((at - secs[row]) / step).clamp(0.0, 1.0) } else { 0.0 };
            if part == 0.0 {
                values[row]
            } else if part == 1.0 {
                values[next]
            } else {
                values[row] + part * (values[next] - values[row])
            }
        })
        .collect()
}

/// Seconds of `2024-01-31T12:34:56.789Z`, `2024-01-31 12:34:56` or `12:34:56.789`.
pub fn clock_secs(text: &str) -> Option<f64> {
    let text = text.trim().trim_matches('"').trim_end_matches('Z');
    let (days, clock) = match text.split_once(['T', ' ']) {
        Some((date, clock)) => (days_since_1970(date)?, clock),
        None => (0, text),
    };
    let clock = clock.split('+').next().unwrap_or(clock);
    let mut parts = clock.split(':');
    let hours: u32 = parts.next()?.parse().ok()?;
    let minutes: u32 = parts.next()?.parse().ok()?;
    let seconds: f64 = parts.next().map_or(Some(0.0), |text| text.replace(',', ".").parse().ok())?;
    let valid = hours < 24 && minutes < 60 && (0.0..61.0).contains(&seconds) && parts.next().is_none();
    valid.then(|| days as f64 * 86400.0 + f64::from(hours * 3600 + minutes * 60) + seconds)
}

/// Howard Hinnant, "chrono-compatible low-level date algorithms" (days_from_civil).
fn days_since_1970(date: &str) -> Option<i64> {
    let mut parts = date.split(['-', '/']);
    let year: i64 = parts.next()?.parse().ok()?;
    let month: i64 = parts.next()?.parse().ok()?;
    let day: i64 = parts.next()?.parse().ok()?;
    if !((1..=12).contains(&month) && (1..=31).contains(&day) && (0..10_000).contains(&year)) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}
