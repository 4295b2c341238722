//! The reading of a list's text: every refusal names the line.

use toml::de::DeValue;

use super::{
    Cue, CueList, PageError, Schedule, VERSION, When,
    schedule::{DAYS, Hours},
};
use crate::control::{
    Value, Zone,
    page::{Field, Fields, Page, number},
};

const KEYS: [&str; 7] = ["version", "name", "about", "loop", "length", "cue", "schedule"];

pub(super) struct Reader<'a>(pub Page<'a>);

impl Reader<'_> {
    pub fn list(&self) -> Result<CueList, PageError> {
        let document = self.0.parse()?;
        let fields = document.get_ref();
        self.0.head(fields, "a list of cues", VERSION, &KEYS)?;
        let looped = self.0.flag(fields, "loop")?;
        let length_secs = fields.get("length").map(|node| self.moment(node, "length")).transpose()?;
        let cues = self
            .tables(fields, "cue")?
            .into_iter()
            .enumerate()
            .map(|(place, (cue, line))| self.cue(place, cue, line))
            .collect::<Result<Vec<_>, _>>()?;
        let schedule = fields.get("schedule").map(|node| self.schedule(node)).transpose()?;
        if cues.is_empty() && schedule.is_none() {
            let why = "has neither a [[cue]] nor a [schedule]: it would do nothing";
            return Err(PageError::of(self.0.file, why));
        }
        if let (true, None, Some(Cue { when: When::At(_), line, .. })) = (looped, length_secs, cues.first()) {
            let why =
                "the list loops, and its first cue has `at`: say after how long it begins again, length = \"5:00\"";
            return Err(self.0.on_line(*line, why));
        }
        let name = self.0.text(fields, "name")?.unwrap_or_default();
        Ok(CueList { file: self.0.file.into(), name, cues, looped, length_secs, schedule })
    }

    fn cue(&self, place: usize, fields: &Fields<'_>, line: usize) -> Result<Cue, PageError> {
        self.0.keys(fields, &["name", "about", "preset", "at", "after", "beats", "go", "secs", "transition", "set"])?;
        let preset = self.0.text(fields, "preset")?;
        let set = self.settings(fields)?;
        let refused = |why: &str| self.0.on_line(line, why);
        if preset.is_none() && set.is_empty() {
            return Err(refused("this cue does nothing: give it a preset, or set = { \"/dream/vivid\" = 1 }"));
        }
        let moment = |key: &str| fields.get(key).map(|node| self.moment(node, key)).transpose();
        let times = [
            moment("at")?.map(When::At),
            moment("after")?.map(When::After),
            self.0.number(fields, "beats", 0.0, 1e6)?.map(When::Beats),
            self.0.flag(fields, "go")?.then_some(When::Go),
        ];
        let mut times = times.into_iter().flatten();
        let when = times.next().unwrap_or(When::Go);
        if times.next().is_some() {
            return Err(refused("a cue comes `at` a time, `after` one, after `beats`, or by `go`: keep one of them"));
        }
        let secs = fields.get("secs").map(|node| self.moment(node, "secs")).transpose()?;
        let name =
            self.0.text(fields, "name")?.or_else(|| preset.clone()).unwrap_or_else(|| format!("cue {}", place + 1));
        Ok(Cue { name, preset, when, secs, transition: self.0.text(fields, "transition")?, set, line })
    }

    fn settings(&self, fields: &Fields<'_>) -> Result<Vec<(String, Value, usize)>, PageError> {
        let Some(node) = fields.get("set") else { return Ok(Vec::new()) };
        let Some(values) = node.get_ref().as_table() else {
            return Err(self.0.wrong(node, "set takes a table, such as { \"/dream/vivid\" = 1 }"));
        };
        let mut settings = values
            .iter()
            .map(|(key, node)| {
                let value = match node.get_ref() {
                    DeValue::String(text) => Value::text(text),
                    DeValue::Boolean(on) => Value::Bool(*on),
                    _ => Value::Float(number(node).ok_or_else(|| {
                        self.0
                            .wrong(node, "this takes a number, true, false or a text in quotes; write paths in quotes")
                    })?),
                };
                Ok((key.get_ref().to_string(), value, self.0.line(key.span().start)))
            })
            .collect::<Result<Vec<_>, _>>()?;
        settings.sort_by_key(|(_, _, line)| *line);
        Ok(settings)
    }

    fn schedule(&self, node: &Field<'_>) -> Result<Schedule, PageError> {
        let Some(fields) = node.get_ref().as_table() else {
            return Err(self.0.wrong(node, "schedule is a table: write [schedule] on a line of its own"));
        };
        self.0.keys(fields, &["zone", "fade", "open", "dim"])?;
        let (zone, note) = match (fields.get("zone"), self.0.text(fields, "zone")?) {
            (Some(node), Some(name)) => {
                (Zone::named(&name).map_err(|error| self.0.wrong(node, error.to_string()))?, None)
            }
            _ => match Zone::of_system() {
                Ok(zone) => (zone, None),
                Err(error) => (Zone::utc(), Some(format!("{}: {error}; until then its hours are in UTC", self.0.file))),
            },
        };
        let fade_secs = fields.get("fade").map(|node| self.moment(node, "fade")).transpose()?.unwrap_or(5.0);
        let hours = |key: &str, dims: bool| {
            let found = self.tables(fields, key)?;
            found.into_iter().map(|(hours, line)| self.hours(hours, line, dims)).collect::<Result<Vec<_>, _>>()
        };
        Ok(Schedule { zone, note, fade_secs, open: hours("open", false)?, dim: hours("dim", true)? })
    }

    fn hours(&self, fields: &Fields<'_>, line: usize, dims: bool) -> Result<Hours, PageError> {
        self.0.keys(fields, if dims { &["days", "from", "to", "level"] } else { &["days", "from", "to"] })?;
        let clock = |key: &str| {
            let Some(node) = fields.get(key) else {
                return Err(self.0.on_line(line, format!("`{key}` is missing: {key} = \"10:00\"")));
            };
            let text = node.get_ref().as_str().and_then(|text| text.split_once(':'));
            let parts =
                text.and_then(|(hours, minutes)| Some((hours.parse::<u32>().ok()?, minutes.parse::<u32>().ok()?)));
            parts
                .filter(|(hours, minutes)| *minutes < 60 && hours * 60 + minutes <= 24 * 60)
                .map(|(hours, minutes)| hours * 3600 + minutes * 60)
                .ok_or_else(|| self.0.wrong(node, format!("{key} takes a time of day in quotes, such as \"10:00\"")))
        };
        let (from_secs, to_secs) = (clock("from")?, clock("to")?);
        if from_secs == to_secs {
            let why = "`from` and `to` are the same: a whole day is from \"00:00\" to \"24:00\"";
            return Err(self.0.on_line(line, why));
        }
        let days = fields.get("days").map(|node| self.days(node)).transpose()?.unwrap_or([true; 7]);
        let level = match (self.0.number(fields, "level", 0.0, 1.0)?, dims) {
            (Some(level), _) => level,
            (None, true) => return Err(self.0.on_line(line, "`level` is missing: level = 0.5")),
            (None, false) => 1.0,
        };
        Ok(Hours { days, from_secs, to_secs, level })
    }

    /// `"mon-fri"`, `"sat, sun"`, `"fri-mon"`.
    fn days(&self, node: &Field<'_>) -> Result<[bool; 7], PageError> {
        let wrong = || {
            self.0.wrong(node, format!("days takes a text such as \"tue-sun\" or \"sat, sun\", of {}", DAYS.join(", ")))
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

    /// The tables of a list, `[[cue]]`, each with its line.
    fn tables<'t>(&self, fields: &'t Fields<'_>, key: &str) -> Result<Vec<(&'t Fields<'t>, usize)>, PageError> {
        let Some(node) = fields.get(key) else { return Ok(Vec::new()) };
        let items = node.get_ref().as_array().map(|list| {
            list.iter()
                .map(|item| Some((item.get_ref().as_table()?, self.0.line(item.span().start))))
                .collect::<Option<_>>()
        });
        items
            .flatten()
            .ok_or_else(|| self.0.wrong(node, format!("{key} is a list: write [[{key}]] on a line of its own")))
    }

    /// Seconds: a number, or `"1:30"`, `"1:02:03.5"`.
    fn moment(&self, node: &Field<'_>, key: &str) -> Result<f64, PageError> {
        let by_colons = |text: &str| {
            let parts = text.split(':').map(|part| part.trim().parse::<f64>().ok().filter(|part| *part >= 0.0));
            let parts: Option<Vec<f64>> = parts.collect();
            parts.filter(|parts| parts.len() <= 3).map(|parts| parts.iter().fold(0.0, |secs, part| secs * 60.0 + part))
        };
        let secs = number(node).or_else(|| node.get_ref().as_str().and_then(by_colons));
        secs.filter(|secs| (0.0..=1e7).contains(secs))
            .ok_or_else(|| self.0.wrong(node, format!("{key} takes seconds, or a time such as \"1:30\"")))
    }
}
