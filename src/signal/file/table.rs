//! Tables of numbers as text: `.csv`, `.tsv`, `.txt`. A row is a moment, a column a channel, and one column may be time.
//!
//! Separator, header and the column of time are found by looking at the first rows. A cell that is no number is a
//! missing sample; a column without any number is left out.

use std::path::Path;

use super::recording::{Column, Loaded};
use super::table_time::{self, Clock};
use crate::signal::url::Address;
use crate::signal::{Channel, SourceError};

/// Rows looked at to find the separator.
const LOOKED_AT: usize = 50;
/// Lines that begin so are remarks.
const REMARKS: [char; 2] = ['#', '%'];
/// Names of columns that only count the rows.
const COUNTERS: [&str; 8] = ["index", "idx", "row", "n", "no", "sample", "samples", "id"];
/// More columns than any logger has.
const MAX_COLUMNS: usize = 4096;

/// The cells of a table.
pub struct Table {
    /// Empty strings where there is no header.
    names: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

pub fn load(path: &Path, bytes: &[u8], address: &Address) -> Result<Loaded, SourceError> {
    let refused = |what: &str| SourceError::malformed(path, what);
    if bytes.contains(&0) {
        return Err(refused("is not a table of text (it holds zero bytes); export it as CSV in UTF-8"));
    }
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}');
    let (table, decimal_comma) = parse(text);
    let width = table.names.len();
    if table.rows.is_empty() || width == 0 {
        return Err(refused("holds no rows of numbers; export it as CSV with one row a sample"));
    }
    if width > MAX_COLUMNS {
        return Err(refused("has rows of more than 4096 columns; export it with one row a sample"));
    }
    let parsed = |column: usize| -> Vec<f64> {
        let cell = |row: &Vec<String>| row.get(column).and_then(|cell| number(cell, decimal_comma)).unwrap_or(f64::NAN);
        table.rows.iter().map(cell).collect()
    };
    let mut odd = Vec::new();
    let mut numbers: Vec<Vec<f64>> = (0..width).map(parsed).collect();
    let asked_hz = address.rate_hz()?;
    let clock = table_time::find(&table, &numbers, address, asked_hz.is_some())?;
    let time_column = clock.as_ref().map(|clock| clock.column);
    let counter = |column: usize| COUNTERS.contains(&table.name(column).to_lowercase().as_str());

    let mut kept = Vec::new();
    for (column, values) in numbers.iter().enumerate() {
        let missing = values.iter().filter(|x| !x.is_finite()).count();
        if Some(column) == time_column {
            continue;
        } else if missing == values.len() {
            odd.push(format!("the column {} holds no numbers and is left out", table.title(column)));
        } else if counter(column) && table_time::rises_by_one(values) {
            odd.push(format!("the column {} counts the rows and is left out", table.title(column)));
        } else {
            if missing > 0 {
                let title = table.title(column);
                odd.push(format!("{missing} of {} cells of the column {title} are no numbers", values.len()));
            }
            kept.push(column);
        }
    }
    if kept.is_empty() {
        return Err(refused("holds no column of numbers besides time; export it as CSV with one row a sample"));
    }
    let rate_hz = match (clock, asked_hz) {
        (Some(clock), asked_hz) => {
            let Clock { secs, rate_hz, odd: said, .. } = clock;
            odd.extend(said);
            let rate_hz = asked_hz.unwrap_or(rate_hz);
            for column in &kept {
                numbers[*column] = table_time::regular(&secs, &numbers[*column], rate_hz);
            }
            rate_hz
        }
        (None, Some(rate_hz)) => rate_hz,
        (None, None) => {
            return Err(SourceError::NeedsRate {
                path: path.display().to_string(),
                kind: "a table without a column of time",
            });
        }
    };
    let channels = kept.iter().map(|column| {
        let (name, unit) = name_and_unit(&table.title(*column));
        Channel { name, unit, rate_hz }
    });
    Loaded {
        channels: channels.collect(),
        columns: kept.iter().map(|column| Column::F64(std::mem::take(&mut numbers[*column]))).collect(),
        recorded: Vec::new(),
        rate_hz,
        annotations: Vec::new(),
        odd,
    }
    .choose(address)
}

impl Table {
    pub fn name(&self, column: usize) -> &str {
        self.names.get(column).map_or("", String::as_str)
    }

    pub fn width(&self) -> usize {
        self.names.len()
    }

    /// The name, or the number of a column without one.
    pub fn title(&self, column: usize) -> String {
        if self.name(column).is_empty() { format!("ch{column}") } else { self.name(column).to_owned() }
    }
}

/// The table, and whether it writes a comma for the decimal point.
fn parse(text: &str) -> (Table, bool) {
    let lines: Vec<&str> =
        text.lines().map(str::trim_end).filter(|line| !line.trim().is_empty() && !line.starts_with(REMARKS)).collect();
    let separator = separator(&lines);
    let decimal_comma = separator != Some(b',') && separator_is_beside_commas(&lines);
    let mut rows: Vec<Vec<String>> = match separator {
        Some(separator) => csv::ReaderBuilder::new()
            .delimiter(separator)
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(lines.join("\n").as_bytes())
            .into_records()
            .filter_map(Result::ok)
            .map(|record| record.iter().map(str::to_owned).collect())
            .collect(),
        None => lines.iter().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect(),
    };
    let is_number = |cell: &String| number(cell, decimal_comma).is_some() || table_time::clock_secs(cell).is_some();
    // What stands above the first row with a number in it is no data; the last such line names the columns.
    let first = rows.iter().position(|row| row.iter().any(is_number)).unwrap_or(rows.len());
    let header = first.checked_sub(1).map(|line| rows[line].clone()).unwrap_or_default();
    rows.drain(..first);
    let width = rows.iter().take(LOOKED_AT).map(Vec::len).max().unwrap_or(0);
    let mut names = if header.len() <= width { header } else { Vec::new() };
    names.resize(width, String::new());
    (Table { names, rows }, decimal_comma)
}

/// The separator that cuts the most of the first lines into the same number of cells (more than one); None for blanks.
fn separator(lines: &[&str]) -> Option<u8> {
    let looked_at = below_header(lines);
    let agreement = |separator: u8| {
        let counts: Vec<usize> =
            looked_at.iter().map(|line| line.bytes().filter(|byte| *byte == separator).count()).collect();
        let usual = counts.get(counts.len() / 2).copied().unwrap_or(0);
        if usual == 0 { 0 } else { counts.iter().filter(|count| **count == usual).count() }
    };
    // In the order of trust: a comma may also be a decimal one, so it comes last.
    let best = b";\t,".iter().copied().rev().max_by_key(|separator| agreement(*separator));
    best.filter(|separator| agreement(*separator) > 0).or_else(|| {
        let one_column = !looked_at.iter().any(|line| line.trim().contains(char::is_whitespace));
        one_column.then_some(b';')
    })
}

fn below_header<'a, 'b>(lines: &'a [&'b str]) -> &'a [&'b str] {
    let header = usize::from(lines.len() > 1);
    &lines[header..lines.len().min(LOOKED_AT)]
}

fn separator_is_beside_commas(lines: &[&str]) -> bool {
    let looked_at = below_header(lines);
    let commas = looked_at.iter().filter(|line| line.contains(',')).count();
    commas * 2 > looked_at.len() && !looked_at.iter().any(|line| line.contains('.'))
}

/// A number as people write it, with a decimal comma where the table has them.
fn number(cell: &str, decimal_comma: bool) -> Option<f64> {
    let cell = cell.trim().trim_matches('"');
    let first = cell.chars().next()?;
    if !(first.is_ascii_digit() || matches!(first, '-' | '+' | '.' | ',')) {
        return None;
    }
    if decimal_comma { cell.replace(',', ".").parse().ok() } else { cell.parse().ok() }
}

/// `speed (m/s)` or `speed [m/s]` is a name and a unit.
fn name_and_unit(title: &str) -> (String, String) {
    for (open, close) in [('(', ')'), ('[', ']')] {
        if let Some((name, rest)) = title.split_once(open)
            && let Some((unit, "")) = rest.split_once(close)
            && !name.trim().is_empty()
        {
            return (name.trim().to_owned(), unit.trim().to_owned());
        }
    }
    (title.to_owned(), String::new())
}
