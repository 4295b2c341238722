//! A TOML file that a person wrote, read with its lines: every refusal names the file, the line and the way out.
//!
//! Presets, lists of cues and controller maps are such pages: `version = 1` at the head, unknown keys refused with the
//! nearest known one.

use std::{fs, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::nearest;

/// Why a page cannot be used or saved.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    #[error("{file}: {why}")]
    File { file: String, why: String },
    #[error("{file}, line {line}: {why}")]
    Line { file: String, line: usize, why: String },
    #[error(
        "{file} is of version {found}, and this wavedream reads up to {newest}: get a newer wavedream, or make it anew \
         with this one"
    )]
    Newer { file: String, found: i64, newest: i64 },
}

impl PageError {
    /// Of a file as a whole.
    pub fn of(file: impl Into<String>, why: impl Into<String>) -> Self {
        Self::File { file: file.into(), why: why.into() }
    }
}

/// The text of a file; one that cannot be read is told.
pub(super) fn text_of(path: &Path) -> Result<String, PageError> {
    fs::read_to_string(path)
        .map_err(|error| PageError::of(path.display().to_string(), format!("cannot be read ({error})")))
}

pub(super) type Fields<'a> = DeTable<'a>;
pub(super) type Field<'a> = Spanned<DeValue<'a>>;

/// A file's text and its name, for messages.
#[derive(Clone, Copy)]
pub(super) struct Page<'a> {
    pub text: &'a str,
    pub file: &'a str,
}

impl<'a> Page<'a> {
    pub fn new(text: &'a str, file: &'a str) -> Self {
        Self { text, file }
    }

    /// The name of the file without its ending.
    pub fn id(&self) -> String {
        Path::new(self.file).file_stem().map_or_else(|| self.file.into(), |stem| stem.to_string_lossy()).into_owned()
    }

    pub fn parse(&self) -> Result<Spanned<Fields<'a>>, PageError> {
        DeTable::parse(self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.at(at, error.message())
        })
    }

    /// Refuses what is not `kind` ("a preset"), of a version that is not known, or has other keys than these.
    pub fn head(&self, fields: &Fields<'_>, kind: &str, newest: i64, keys: &[&str]) -> Result<(), PageError> {
        let Some(field) = fields.get("version") else {
            let why = format!("is not {kind}: its first line is not `version = {newest}`");
            return Err(PageError::of(self.file, why));
        };
        match number(field).map(|found| found as i64) {
            Some(found) if found == newest => self.keys(fields, keys),
            Some(found) if found > newest => Err(PageError::Newer { file: self.file.into(), found, newest }),
            _ => Err(self.wrong(field, format!("version takes {newest}"))),
        }
    }

    pub fn keys(&self, fields: &Fields<'_>, known: &[&str]) -> Result<(), PageError> {
        let Some(key) = fields.keys().find(|key| !known.contains(&&**key.get_ref())) else { return Ok(()) };
        let hint = nearest(key.get_ref(), known.iter().copied())
            .map_or_else(|| format!("known are {}", known.join(", ")), |name| format!("did you mean {name}?"));
        Err(self.at(key.span().start, format!("there is no key “{}” here; {hint}", key.get_ref())))
    }

    pub fn text(&self, fields: &Fields<'_>, key: &str) -> Result<Option<String>, PageError> {
        let Some(field) = fields.get(key) else { return Ok(None) };
        let text = field.get_ref().as_str().map(str::to_owned);
        text.map(Some).ok_or_else(|| self.wrong(field, format!("{key} takes a text in quotes")))
    }

    pub fn texts(&self, fields: &Fields<'_>, key: &str) -> Result<Vec<String>, PageError> {
        let Some(field) = fields.get(key) else { return Ok(Vec::new()) };
        let texts = field
            .get_ref()
            .as_array()
            .and_then(|list| list.iter().map(|text| text.get_ref().as_str().map(str::to_owned)).collect());
        texts.ok_or_else(|| self.wrong(field, format!("{key} takes a list of texts in quotes")))
    }

    /// False if it is not there.
    pub fn flag(&self, fields: &Fields<'_>, key: &str) -> Result<bool, PageError> {
        let Some(field) = fields.get(key) else { return Ok(false) };
        field.get_ref().as_bool().ok_or_else(|| self.wrong(field, format!("{key} takes true or false")))
    }

    pub fn number(&self, fields: &Fields<'_>, key: &str, min: f64, max: f64) -> Result<Option<f64>, PageError> {
        let Some(field) = fields.get(key) else { return Ok(None) };
        match number(field).filter(|number| (min..=max).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong(field, format!("{key} takes a number from {min} to {max}"))),
        }
    }

    pub fn wrong(&self, field: &Field<'_>, why: impl Into<String>) -> PageError {
        self.at(field.span().start, why)
    }

    /// Of the line at this byte of the text.
    pub fn at(&self, offset: usize, why: impl Into<String>) -> PageError {
        self.on_line(self.line(offset), why)
    }

    pub fn on_line(&self, line: usize, why: impl Into<String>) -> PageError {
        PageError::Line { file: self.file.into(), line, why: why.into() }
    }

    /// Counted from 1.
    pub fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }
}

/// A finite number, whole or not.
pub(super) fn number(field: &Field<'_>) -> Option<f64> {
    match field.get_ref() {
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix()).ok().map(|n| n as f64),
        DeValue::Float(digits) => digits.as_str().parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}
