//! The reading of a preset's text: every refusal names the line.

use toml::de::DeValue;

use super::{PageError, Preset, Setting, VERSION};
use crate::control::{
    Value,
    page::{Field, Fields, Page},
};

const KEYS: [&str; 6] = ["version", "name", "about", "source", "keep", "set"];

pub(super) struct Reader<'a>(pub Page<'a>);

impl Reader<'_> {
    pub fn preset(&self) -> Result<Preset, PageError> {
        let document = self.0.parse()?;
        let fields = document.get_ref();
        self.0.head(fields, "a preset", VERSION, &KEYS)?;
        let id = self.0.id();
        Ok(Preset {
            name: self.0.text(fields, "name")?.unwrap_or_else(|| id.clone()),
            id,
            file: self.0.file.into(),
            about: self.0.text(fields, "about")?.unwrap_or_default(),
            source: self.0.text(fields, "source")?,
            keep: self.keep(fields)?,
            settings: self.settings(fields)?,
        })
    }

    fn keep(&self, fields: &Fields<'_>) -> Result<Vec<String>, PageError> {
        let Some(value) = fields.get("keep") else {
            return Ok(Vec::new());
        };
        let paths = value.get_ref().as_array().and_then(|list| {
            list.iter().map(|path| path.get_ref().as_str().filter(|p| p.starts_with('/')).map(str::to_owned)).collect()
        });
        paths.ok_or_else(|| self.0.wrong(value, "keep takes a list of paths, such as [\"/signal\"]"))
    }

    fn settings(&self, fields: &Fields<'_>) -> Result<Vec<Setting>, PageError> {
        let Some(set) = fields.get("set") else {
            return Ok(Vec::new());
        };
        let Some(values) = set.get_ref().as_table() else {
            return Err(self.0.wrong(set, "set is a table: write [set] on a line of its own"));
        };
        let mut settings = values
            .iter()
            .map(|(key, value)| {
                let path = key.get_ref().to_string();
                if matches!(value.get_ref(), DeValue::Table(_)) {
                    let why =
                        format!("“{path}” is not a path: write paths whole and in quotes, \"/dream/vivid\" = 0.5");
                    return Err(self.0.at(key.span().start, &why));
                }
                Ok(Setting { path, value: self.value(value)?, line: self.0.line(key.span().start) })
            })
            .collect::<Result<Vec<_>, _>>()?;
        settings.sort_by_key(|setting| setting.line);
        Ok(settings)
    }

    fn value(&self, value: &Field<'_>) -> Result<Value, PageError> {
        let wrong = || self.0.wrong(value, "this takes a number, true, false or a text in quotes");
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
}
