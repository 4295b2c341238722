//! The reading of a preset's text: every refusal names the line.

use std::path::Path;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Preset, PresetError, Setting, VERSION};
use crate::control::{Value, nearest};

const KEYS: [&str; 6] = ["version", "name", "about", "source", "keep", "set"];

/// Reads a file with the lines of what it finds.
pub(super) struct Reader<'a> {
    pub text: &'a str,
    pub file: &'a str,
}

impl Reader<'_> {
    pub fn preset(&self) -> Result<Preset, PresetError> {
        let document = DeTable::parse(self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.at(at, error.message().to_owned())
        })?;
        let table = document.get_ref();
        self.version(table)?;
        for key in table.keys() {
            if !KEYS.contains(&&**key.get_ref()) {
                let hint = nearest(key.get_ref(), KEYS)
                    .map_or_else(|| format!("known are {}", KEYS.join(", ")), |name| format!("did you mean {name}?"));
                return Err(self.at(key.span().start, format!("there is no key “{}”; {hint}", key.get_ref())));
            }
        }
        let id = Path::new(self.file).file_stem().map_or_else(|| self.file.into(), |stem| stem.to_string_lossy());
        Ok(Preset {
            name: self.text_at(table, "name")?.unwrap_or_else(|| id.to_string()),
            id: id.into_owned(),
            file: self.file.into(),
            about: self.text_at(table, "about")?.unwrap_or_default(),
            source: self.text_at(table, "source")?,
            keep: self.keep(table)?,
            settings: self.settings(table)?,
        })
    }

    fn version(&self, table: &DeTable<'_>) -> Result<(), PresetError> {
        let Some(value) = table.get("version") else {
            let why = format!("is not a preset: its first line is not `version = {VERSION}`");
            return Err(PresetError::File { file: self.file.into(), why });
        };
        match self.value(value)? {
            Value::Int(VERSION) => Ok(()),
            Value::Int(found) if found > VERSION => Err(PresetError::Newer { file: self.file.into(), found }),
            found => Err(self.at(value.span().start, format!("version takes {VERSION}, not {found}"))),
        }
    }

    fn text_at(&self, table: &DeTable<'_>, key: &str) -> Result<Option<String>, PresetError> {
        let Some(value) = table.get(key) else { return Ok(None) };
        match value.get_ref().as_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(self.at(value.span().start, format!("{key} takes a text in quotes"))),
        }
    }

    fn keep(&self, table: &DeTable<'_>) -> Result<Vec<String>, PresetError> {
        let Some(value) = table.get("keep") else {
            return Ok(Vec::new());
        };
        let paths = value.get_ref().as_array().and_then(|list| {
            list.iter().map(|path| path.get_ref().as_str().filter(|p| p.starts_with('/')).map(str::to_owned)).collect()
        });
        paths.ok_or_else(|| self.at(value.span().start, "keep takes a list of paths, such as [\"/signal\"]".into()))
    }

    fn settings(&self, table: &DeTable<'_>) -> Result<Vec<Setting>, PresetError> {
        let Some(set) = table.get("set") else {
            return Ok(Vec::new());
        };
        let Some(values) = set.get_ref().as_table() else {
            return Err(self.at(set.span().start, "set is a table: write [set] on a line of its own".into()));
        };
        let mut settings = values
            .iter()
            .map(|(key, value)| {
                let path = key.get_ref().to_string();
                if matches!(value.get_ref(), DeValue::Table(_)) {
                    let why =
                        format!("“{path}” is not a path: write paths whole and in quotes, \"/dream/vivid\" = 0.5");
                    return Err(self.at(key.span().start, why));
                }
                Ok(Setting { path, value: self.value(value)?, line: self.line(key.span().start) })
            })
            .collect::<Result<Vec<_>, _>>()?;
        settings.sort_by_key(|setting| setting.line);
        Ok(settings)
    }

    fn value(&self, value: &Spanned<DeValue<'_>>) -> Result<Value, PresetError> {
        let wrong = || self.at(value.span().start, "this takes a number, true, false or a text in quotes".into());
        match value.get_ref() {
            DeValue::String(text) => Ok(Value::text(text)),
            DeValue::Boolean(on) => Ok(Value::Bool(*on)),
            DeValue::Integer(digits) => {
                i64::from_str_radix(digits.as_str(), digits.radix()).map(Value::Int).map_err(|_| wrong())
            }
            DeValue::Float(digits) => digits.as_str().parse().map(Value::Float).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }

    fn at(&self, offset: usize, why: String) -> PresetError {
        PresetError::Line { file: self.file.into(), line: self.line(offset), why }
    }

    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }
}
