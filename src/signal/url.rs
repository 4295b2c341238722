//! A source as the user writes it: `scheme://name?key=value&flag`, or a path with the same query.

use super::SourceError;
use super::error::did_you_mean;

/// Rates outside this are a slip of the keyboard.
const RATE_RANGE_HZ: std::ops::RangeInclusive<f64> = 0.001..=10_000_000.0;

/// A source as written, taken apart.
#[derive(Debug, Clone)]
pub struct Address {
    /// As the user wrote it.
    pub text: String,
    /// None for a plain path.
    pub scheme: Option<String>,
    /// What stands between the scheme and the query.
    pub path: String,
    pairs: Vec<(String, Option<String>)>,
}

impl Address {
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let text = text.trim();
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if !scheme.contains(['/', '?', '.']) => (Some(scheme.to_lowercase()), rest),
            _ => (None, text),
        };
        // A file may have a question mark in its name: what exists as written is not taken apart.
        let (path, query) = match rest.rsplit_once('?') {
            Some((path, query)) if scheme.is_some() || !std::path::Path::new(text).exists() => (path, query),
            _ => (rest, ""),
        };
        let mut pairs: Vec<(String, Option<String>)> = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (key, value) = match part.split_once('=') {
                Some((key, value)) => (decode_percent(key), Some(decode_percent(value))),
                None => (decode_percent(part), None),
            };
            if pairs.iter().any(|(earlier, _)| *earlier == key) {
                return Err(SourceError::RepeatedKey { url: text.to_owned(), key });
            }
            pairs.push((key, value));
        }
        let path = if scheme.is_some() { decode_percent(path) } else { path.to_owned() };
        Ok(Self { text: text.to_owned(), scheme, path, pairs })
    }

    /// Refuses keys that are not in `known`.
    pub fn check_keys(&self, known: &[&str]) -> Result<(), SourceError> {
        match self.pairs.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some((key, _)) => Err(SourceError::UnknownKey {
                url: self.text.clone(),
                key: key.clone(),
                hint: did_you_mean(key, known),
                known: known.join(", "),
            }),
        }
    }

    /// The value of a key, "" for a key without one.
    pub fn text_of(&self, key: &str) -> Option<&str> {
        let (_, value) = self.pairs.iter().find(|(name, _)| name == key)?;
        Some(value.as_deref().unwrap_or(""))
    }

    pub fn flag(&self, key: &str) -> Result<bool, SourceError> {
        match self.text_of(key).map(str::to_lowercase).as_deref() {
            None | Some("0" | "false" | "no" | "off") => Ok(false),
            Some("" | "1" | "true" | "yes" | "on") => Ok(true),
            Some(_) => Err(self.bad(key, "write it alone, or with =yes or =no")),
        }
    }

    pub fn number(
        &self,
        key: &str,
        range: std::ops::RangeInclusive<f64>,
        what: &str,
    ) -> Result<Option<f64>, SourceError> {
        let Some(text) = self.text_of(key) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(value) if range.contains(&value) => Ok(Some(value)),
            _ => Err(self.bad(key, &format!("{what} from {} to {} is expected", range.start(), range.end()))),
        }
    }

    pub fn rate_hz(&self) -> Result<Option<f64>, SourceError> {
        self.number("rate", RATE_RANGE_HZ, "samples a second")
    }

    pub fn scale(&self) -> Result<f64, SourceError> {
        Ok(self.number("scale", -1e12..=1e12, "a factor")?.unwrap_or(1.0))
    }

    pub fn whole(
        &self,
        key: &str,
        range: std::ops::RangeInclusive<u64>,
        what: &str,
    ) -> Result<Option<u64>, SourceError> {
        let Some(text) = self.text_of(key) else { return Ok(None) };
        match text.parse::<u64>() {
            Ok(value) if range.contains(&value) => Ok(Some(value)),
            _ => Err(self.bad(key, &format!("{what} from {} to {} is expected", range.start(), range.end()))),
        }
    }

    pub fn bad(&self, key: &str, expected: &str) -> SourceError {
        SourceError::BadValue {
            url: self.text.clone(),
            key: key.to_owned(),
            value: self.text_of(key).unwrap_or("").to_owned(),
            expected: expected.to_owned(),
        }
    }

    /// Which of the channels with these names the key `channels` asks for, in its order; all without the key.
    pub fn channels(&self, names: &[String]) -> Result<Vec<usize>, SourceError> {
        let Some(text) = self.text_of("channels") else {
            return Ok((0..names.len()).collect());
        };
        let mut chosen = Vec::new();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            if let Some(index) = names.iter().position(|name| name == item) {
                chosen.push(index);
                continue;
            }
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            match (first.trim().parse::<usize>(), last.trim().parse::<usize>()) {
                (Ok(first), Ok(last)) if first <= last && last < names.len() => chosen.extend(first..=last),
                _ => {
                    let expected = format!(
                        "'{item}' is no channel: there are {}, counted from 0 ({}), and ranges such as 0-3 are allowed",
                        names.len(),
                        shortened(names)
                    );
                    return Err(self.bad("channels", &expected));
                }
            }
        }
        if chosen.is_empty() {
            return Err(self.bad("channels", "name at least one channel, for example channels=0-31,40"));
        }
        Ok(chosen)
    }
}

fn shortened(names: &[String]) -> String {
    let shown = names.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 8 { format!("{shown}, ...") } else { shown }
}

/// `%20` and its like; what is not a valid escape stays as it is.
fn decode_percent(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match (bytes[at], escape.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 3;
            }
            (byte, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
