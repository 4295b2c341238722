//! The reading of a list's text: every refusal names the line.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Cue, CueList, CuesError, Schedule, VERSION, When,
    schedule::{DAYS, Hours},
};
use crate::control::{Value, Zone, nearest};

type Table<'a> = DeTable<'a>;
type Node<'a> = Spanned<DeValue<'a>>;

/// Reads a file with the lines of what it finds.
pub(super) struct Reader<'a> {
    pub text: &'a str,
    pub file: &'a str,
}

impl Reader<'_> {
    pub fn list(&self) -> Result<CueList, CuesError> {
        let document = DeTable::parse(self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.at(at, error.message().to_owned())
        })?;
        let table = document.get_ref();
        self.version(table)?;
        self.keys(table, &["version", "name", "about", "loop", "length", "cue", "schedule"])?;
        let looped = self.flag(table, "loop")?;
        let length_secs = table.get("length").map(|node| self.moment(node, "length")).transpose()?;
        let cues = self
            .tables(table, "cue")?
            .into_iter()
            .enumerate()
            .map(|(place, (cue, line))| self.cue(place, cue, line))
            .collect::<Result<Vec<_>, _>>()?;
        let schedule = table.get("schedule").map(|node| self.schedule(node)).transpose()?;
        if cues.is_empty() && schedule.is_none() {
            let why = "has neither a [[cue]] nor a [schedule]: it would do nothing".into();
            return Err(CuesError::File { file: self.file.into(), why });
        }
        if let (true, None, Some(Cue { when: When::At(_), line, .. })) = (looped, length_secs, cues.first()) {
            let why =
                "the list loops, and its first cue has `at`: say after how long it begins again, length = \"5:00\"";
            return Err(CuesError::Line { file: self.file.into(), line: *line, why: why.into() });
        }
        let name = self.text_at(table, "name")?.unwrap_or_default();
        Ok(CueList { file: self.file.into(), name, cues, looped, length_secs, schedule })
    }

    fn cue(&self, place: usize, table: &Table<'_>, line: usize) -> Result<Cue, CuesError> {
        self.keys(table, &["name", "about", "preset", "at", "after", "beats", "go", "secs", "transition", "set"])?;
        let preset = self.text_at(table, "preset")?;
        let set = self.settings(table)?;
        let refused = |why: &str| CuesError::Line { file: self.file.into(), line, why: why.into() };
        if preset.is_none() && set.is_empty() {
            return Err(refused("this cue does nothing: give it a preset, or set = { \"/dream/vivid\" = 1 }"));
        }
        let moment = |key: &str| table.get(key).map(|node| self.moment(node, key)).transpose();
        let times = [
            moment("at")?.map(When::At),
            moment("after")?.map(When::After),
            table.get("beats").map(|node| self.number(node, "beats", 0.0..=1e6)).transpose()?.map(When::Beats),
            self.flag(table, "go")?.then_some(When::Go),
        ];
        let mut times = times.into_iter().flatten();
        let when = times.next().unwrap_or(When::Go);
        if times.next().is_some() {
            return Err(refused("a cue comes `at` a time, `after` one, after `beats`, or by `go`: keep one of them"));
        }
        let secs = table.get("secs").map(|node| self.moment(node, "secs")).transpose()?;
        let name =
            self.text_at(table, "name")?.or_else(|| preset.clone()).unwrap_or_else(|| format!("cue {}", place + 1));
        Ok(Cue { name, preset, when, secs, transition: self.text_at(table, "transition")?, set, line })
    }

    fn settings(&self, table: &Table<'_>) -> Result<Vec<(String, Value, usize)>, CuesError> {
        let Some(node) = table.get("set") else { return Ok(Vec::new()) };
        let Some(values) = node.get_ref().as_table() else {
            return Err(self.wrong(node, "set takes a table, such as { \"/dream/vivid\" = 1 }"));
        };
        let mut settings = values
            .iter()
            .map(|(key, node)| {
                let value = match node.get_ref() {
                    DeValue::String(text) => Value::text(text),
                    DeValue::Boolean(on) => Value::Bool(*on),
                    _ => Value::Float(self.plain_number(node).ok_or_else(|| {
                        self.wrong(node, "this takes a number, true, false or a text in quotes; write paths in quotes")
                    })?),
                };
                Ok((key.get_ref().to_string(), value, self.line(key.span().start)))
            })
            .collect::<Result<Vec<_>, _>>()?;
        settings.sort_by_key(|(_, _, line)| *line);
        Ok(settings)
    }

    fn schedule(&self, node: &Node<'_>) -> Result<Schedule, CuesError> {
        let Some(table) = node.get_ref().as_table() else {
            return Err(self.wrong(node, "schedule is a table: write [schedule] on a line of its own"));
        };
        self.keys(table, &["zone", "fade", "open", "dim"])?;
        let (zone, note) = match (table.get("zone"), self.text_at(table, "zone")?) {
            (Some(node), Some(name)) => {
                (Zone::named(&name).map_err(|error| self.wrong(node, &error.to_string()))?, None)
            }
            _ => match Zone::of_system() {
                Ok(zone) => (zone, None),
                Err(error) => (Zone::utc(), Some(format!("{}: {error}; until then its hours are in UTC", self.file))),
            },
        };
        let fade_secs = table.get("fade").map(|node| self.moment(node, "fade")).transpose()?.unwrap_or(5.0);
        let hours = |key: &str, dims: bool| {
            let found = self.tables(table, key)?;
            found.into_iter().map(|(hours, line)| self.hours(hours, line, dims)).collect::<Result<Vec<_>, _>>()
        };
        Ok(Schedule { zone, note, fade_secs, open: hours("open", false)?, dim: hours("dim", true)? })
    }

    fn hours(&self, table: &Table<'_>, line: usize, dims: bool) -> Result<Hours, CuesError> {
        self.keys(table, if dims { &["days", "from", "to", "level"] } else { &["days", "from", "to"] })?;
        let clock = |key: &str| {
            let Some(node) = table.get(key) else {
                return Err(CuesError::Line {
                    file: self.file.into(),
                    line,
                    why: format!("`{key}` is missing: {key} = \"10:00\""),
                });
            };
            let text = node.get_ref().as_str().and_then(|text| text.split_once(':'));
            let parts =
                text.and_then(|(hours, minutes)| Some((hours.parse::<u32>().ok()?, minutes.parse::<u32>().ok()?)));
            parts
                .filter(|(hours, minutes)| *minutes < 60 && hours * 60 + minutes <= 24 * 60)
                .map(|(hours, minutes)| hours * 3600 + minutes * 60)
                .ok_or_else(|| self.wrong(node, &format!("{key} takes a time of day in quotes, such as \"10:00\"")))
        };
        let (from_secs, to_secs) = (clock("from")?, clock("to")?);
        if from_secs == to_secs {
            let why = "`from` and `to` are the same: a whole day is from \"00:00\" to \"24:00\"".into();
            return Err(CuesError::Line { file: self.file.into(), line, why });
        }
        let days = table.get("days").map(|node| self.days(node)).transpose()?.unwrap_or([true; 7]);
        let level = match (table.get("level"), dims) {
            (Some(node), _) => self.number(node, "level", 0.0..=1.0)?,
            (None, true) => {
                let why = "`level` is missing: level = 0.5".into();
                return Err(CuesError::Line { file: self.file.into(), line, why });
            }
            (None, false) => 1.0,
        };
        Ok(Hours { days, from_secs, to_secs, level })
    }

    /// `"mon-fri"`, `"sat, sun"`, `"fri-mon"`.
    fn days(&self, node: &Node<'_>) -> Result<[bool; 7], CuesError> {
        let wrong = || {
            self.wrong(node, &format!("days takes a text such as \"tue-sun\" or \"sat, sun\", of {}", DAYS.join(", ")))
        };
        let text = node.get_ref().as_str().ok_or_else(wrong)?.to_lowercase();
        let day = |name: &str| DAYS.iter().position(|known| name.trim().starts_with(known));
        let mut days = [false; 7];
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (day(first).ok_or_else(wrong)?, day(last).ok_or_else(wrong)?);
            (0..=(last + 7 - first) % 7).for_each(|ahead| days[(first + ahead) % 7] = true);
        }
        days.contains(&true).then_some(days).ok_or_else(wrong)
    }

    fn version(&self, table: &Table<'_>) -> Result<(), CuesError> {
        let Some(node) = table.get("version") else {
            let why = format!("is not a list of cues: its first line is not `version = {VERSION}`");
            return Err(CuesError::File { file: self.file.into(), why });
        };
        match self.plain_number(node).map(|found| found as i64) {
            Some(VERSION) => Ok(()),
            Some(found) if found > VERSION => Err(CuesError::Newer { file: self.file.into(), found }),
            _ => Err(self.wrong(node, &format!("version takes {VERSION}"))),
        }
    }

    fn keys(&self, table: &Table<'_>, known: &[&str]) -> Result<(), CuesError> {
        let Some(key) = table.keys().find(|key| !known.contains(&&**key.get_ref())) else { return Ok(()) };
        let hint = nearest(key.get_ref(), known.iter().copied())
            .map_or_else(|| format!("known are {}", known.join(", ")), |name| format!("did you mean {name}?"));
        Err(self.at(key.span().start, format!("there is no key “{}” here; {hint}", key.get_ref())))
    }

    /// The tables of a list, `[[cue]]`, each with its line.
    fn tables<'t>(&self, table: &'t Table<'_>, key: &str) -> Result<Vec<(&'t DeTable<'t>, usize)>, CuesError> {
        let Some(node) = table.get(key) else { return Ok(Vec::new()) };
        let items = node.get_ref().as_array().map(|list| {
            list.iter()
                .map(|item| Some((item.get_ref().as_table()?, self.line(item.span().start))))
                .collect::<Option<_>>()
        });
        items
            .flatten()
            .ok_or_else(|| self.wrong(node, &format!("{key} is a list: write [[{key}]] on a line of its own")))
    }

    fn text_at(&self, table: &Table<'_>, key: &str) -> Result<Option<String>, CuesError> {
        let Some(node) = table.get(key) else { return Ok(None) };
        let text = node.get_ref().as_str().map(str::to_owned);
        text.map(Some).ok_or_else(|| self.wrong(node, &format!("{key} takes a text in quotes")))
    }

    fn flag(&self, table: &Table<'_>, key: &str) -> Result<bool, CuesError> {
        let Some(node) = table.get(key) else { return Ok(false) };
        node.get_ref().as_bool().ok_or_else(|| self.wrong(node, &format!("{key} takes true or false")))
    }

    fn number(&self, node: &Node<'_>, key: &str, range: std::ops::RangeInclusive<f64>) -> Result<f64, CuesError> {
        let number = self.plain_number(node).filter(|number| range.contains(number));
        number
            .ok_or_else(|| self.wrong(node, &format!("{key} takes a number from {} to {}", range.start(), range.end())))
    }

    /// Seconds: a number, or `"1:30"`, `"1:02:03.5"`.
    fn moment(&self, node: &Node<'_>, key: &str) -> Result<f64, CuesError> {
        let by_colons = |text: &str| {
            let parts = text.split(':').map(|part| part.trim().parse::<f64>().ok().filter(|part| *part >= 0.0));
            let parts: Option<Vec<f64>> = parts.collect();
            parts.filter(|parts| parts.len() <= 3).map(|parts| parts.iter().fold(0.0, |secs, part| secs * 60.0 + part))
        };
        let secs = self.plain_number(node).or_else(|| node.get_ref().as_str().and_then(by_colons));
        secs.filter(|secs| (0.0..=1e7).contains(secs))
            .ok_or_else(|| self.wrong(node, &format!("{key} takes seconds, or a time such as \"1:30\"")))
    }

    fn plain_number(&self, node: &Node<'_>) -> Option<f64> {
        match node.get_ref() {
            DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix()).ok().map(|n| n as f64),
            DeValue::Float(digits) => digits.as_str().parse().ok(),
            _ => None,
        }
    }

    fn wrong(&self, node: &Node<'_>, why: &str) -> CuesError {
        self.at(node.span().start, why.to_owned())
    }

    fn at(&self, offset: usize, why: String) -> CuesError {
        CuesError::Line { file: self.file.into(), line: self.line(offset), why }
    }

    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }
}
