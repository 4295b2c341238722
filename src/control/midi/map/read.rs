//! The reading of a map's text: every refusal names the line and the way out.

use std::{collections::HashMap, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Control, Light, Map, Shape, Show, Takeover, VERSION, Way};
use crate::control::{
    midi::{Bytes, Encoder, MOST_BYTES, MapError, Source},
    nearest,
};

const MAP_KEYS: [&str; 8] = ["version", "name", "about", "ports", "channel", "greet", "lights", "control"];
const CONTROL_KEYS: [&str; 13] = [
    "source",
    "channel",
    "name",
    "target",
    "way",
    "value",
    "step",
    "range",
    "invert",
    "curve",
    "smooth_secs",
    "takeover",
    "light",
];
const LIGHT_KEYS: [&str; 7] = ["send", "channel", "on", "off", "from", "to", "follow"];
const WAYS: [&str; 7] = ["position", "button", "gate", "toggle", "trigger", "velocity", "step"];
/// One step of an encoder on the normal scale, if nothing is said: a turn (24 clicks) is a quarter of the range.
pub(in crate::control::midi) const STEP: f64 = 0.01;

type Field<'a> = Spanned<DeValue<'a>>;

/// Reads a file with the lines of what it finds.
pub(super) struct Reader<'a> {
    pub text: &'a str,
    pub file: &'a str,
}

impl Map {
    /// Reads the text of a map. `file` is its name, for the id and for messages.
    pub fn parse(text: &str, file: &str) -> Result<Self, MapError> {
        Reader { text, file }.map()
    }
}

impl Reader<'_> {
    fn map(&self) -> Result<Map, MapError> {
        let document = DeTable::parse(self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.at(at, error.message().to_owned())
        })?;
        let table = document.get_ref();
        self.version(table)?;
        self.known(table, &MAP_KEYS)?;
        let id = Path::new(self.file).file_stem().map_or_else(|| self.file.into(), |stem| stem.to_string_lossy());
        let channel = self.channel(table)?;
        let lights = self.lights(table)?;
        let ports = self.texts(table, "ports")?.iter().map(|part| part.to_lowercase()).collect();
        let mut controls = Vec::new();
        if let Some(list) = table.get("control") {
            let wrong = || self.at(list.span().start, "write each control under a line [[control]]".into());
            for control in list.get_ref().as_array().ok_or_else(wrong)?.iter() {
                let fields = control.get_ref().as_table().ok_or_else(wrong)?;
                controls.push(self.control(fields, control.span().start, channel, &lights)?);
            }
        }
        Ok(Map {
            name: self.text(table, "name")?.unwrap_or_else(|| id.to_string()),
            id: id.into_owned(),
            file: self.file.into(),
            about: self.text(table, "about")?.unwrap_or_default(),
            ports,
            greet: self.greet(table)?,
            controls,
        })
    }

    fn version(&self, table: &DeTable<'_>) -> Result<(), MapError> {
        let Some(value) = table.get("version") else {
            let why = format!("is not a controller map: its first line is not `version = {VERSION}`");
            return Err(MapError::File { file: self.file.into(), why });
        };
        match number(value).map(|found| found as i64) {
            Some(VERSION) => Ok(()),
            Some(found) if found > VERSION => Err(MapError::Newer { file: self.file.into(), found }),
            _ => Err(self.at(value.span().start, format!("version takes {VERSION}"))),
        }
    }

    fn known(&self, table: &DeTable<'_>, keys: &[&str]) -> Result<(), MapError> {
        for key in table.keys() {
            if !keys.contains(&&**key.get_ref()) {
                let hint = nearest(key.get_ref(), keys.iter().copied())
                    .map_or_else(|| format!("known are {}", keys.join(", ")), |name| format!("did you mean {name}?"));
                return Err(self.at(key.span().start, format!("there is no key “{}”; {hint}", key.get_ref())));
            }
        }
        Ok(())
    }

    fn control(
        &self,
        fields: &DeTable<'_>,
        start: usize,
        channel: Option<u8>,
        lights: &HashMap<String, Light>,
    ) -> Result<Control, MapError> {
        self.known(fields, &CONTROL_KEYS)?;
        let Some(source) = self.source(fields, "source")? else {
            return Err(self.at(start, "this control has no source, such as source = \"cc 16\"".into()));
        };
        let target = self.text(fields, "target")?;
        if let Some(target) = target.as_ref().filter(|target| !target.starts_with('/')) {
            let at = fields.get("target").map_or(start, |field| field.span().start);
            return Err(self.at(at, format!("“{target}” is not a path: write the path of a parameter, /dream/vivid")));
        }
        Ok(Control {
            channel: self.channel(fields)?.or(channel),
            name: self.text(fields, "name")?.unwrap_or_default(),
            target,
            way: self.way(fields)?,
            range: self.range(fields)?,
            invert: self.switch(fields, "invert")?,
            curve: self.choice(fields, "curve", &Shape::NAMES)?.map_or_else(Shape::default, |at| Shape::ALL[at]),
            smooth_secs: self.number(fields, "smooth_secs", 0.0, 60.0)?.unwrap_or(0.0),
            takeover: self
                .choice(fields, "takeover", &Takeover::NAMES)?
                .map_or_else(Takeover::default, |at| Takeover::ALL[at]),
            light: self.light(fields, source, lights)?,
            line: self.line(start),
            source,
        })
    }

    fn way(&self, fields: &DeTable<'_>) -> Result<Way, MapError> {
        if let Some(field) = fields.get("value") {
            let value = match field.get_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Boolean(on) => on.to_string(),
                DeValue::Integer(digits) => digits.as_str().to_owned(),
                DeValue::Float(digits) => digits.as_str().to_owned(),
                _ => return Err(self.at(field.span().start, "value takes a number, true, false or a text".into())),
            };
            return Ok(Way::Set(value));
        }
        let step = self.number(fields, "step", -1000.0, 1000.0)?;
        let names: Vec<&str> = WAYS.into_iter().chain(Encoder::NAMES).collect();
        let Some(at) = self.choice(fields, "way", &names)? else { return Ok(Way::Auto) };
        Ok(match names[at] {
            "position" => Way::Position,
            "button" => Way::Button,
            "gate" => Way::Gate,
            "toggle" => Way::Toggle,
            "trigger" => Way::Trigger,
            "velocity" => Way::Velocity,
            "step" => Way::Step(step.unwrap_or(1.0) as i32),
            name => match Encoder::from_name(name) {
                Some(encoder) => Way::Relative { encoder, step: step.unwrap_or(STEP) },
                None => Way::Auto,
            },
        })
    }

    fn range(&self, fields: &DeTable<'_>) -> Result<Option<(f64, f64)>, MapError> {
        let Some(field) = fields.get("range") else { return Ok(None) };
        let ends: Option<Vec<f64>> = field.get_ref().as_array().and_then(|list| list.iter().map(number).collect());
        match ends.as_deref() {
            Some(&[from, to]) if from != to => Ok(Some((from, to))),
            _ => Err(self.at(field.span().start, "range takes two different numbers, such as [0.0, 1.0]".into())),
        }
    }

    fn light(
        &self,
        fields: &DeTable<'_>,
        source: Source,
        lights: &HashMap<String, Light>,
    ) -> Result<Option<Light>, MapError> {
        let Some(field) = fields.get("light") else { return Ok(None) };
        let start = field.span().start;
        let light = match field.get_ref() {
            DeValue::Table(table) => self.light_of(table, start)?,
            DeValue::String(name) => *lights.get(&**name).ok_or_else(|| {
                let hint = nearest(name, lights.keys().map(String::as_str))
                    .map_or_else(|| "name it under [lights]".into(), |known| format!("did you mean {known}?"));
                self.at(start, format!("there is no light “{name}”; {hint}"))
            })?,
            _ => return Err(self.at(start, "light takes a name of [lights], or { on = 127, off = 0 }".into())),
        };
        if !light.send.unwrap_or(source).can_be_sent() {
            return Err(self.at(start, format!("nothing can be shown by {source}: give the light a send, \"cc 16\"")));
        }
        Ok(Some(light))
    }

    fn lights(&self, table: &DeTable<'_>) -> Result<HashMap<String, Light>, MapError> {
        let Some(field) = table.get("lights") else { return Ok(HashMap::new()) };
        let wrong = |at| self.at(at, "a light is written as name = { on = 127, off = 0 }".into());
        let lights = field.get_ref().as_table().ok_or_else(|| wrong(field.span().start))?;
        let read = lights.iter().map(|(name, light)| {
            let start = light.span().start;
            let fields = light.get_ref().as_table().ok_or_else(|| wrong(start))?;
            Ok((name.get_ref().to_string(), self.light_of(fields, start)?))
        });
        read.collect()
    }

    fn light_of(&self, fields: &DeTable<'_>, start: usize) -> Result<Light, MapError> {
        self.known(fields, &LIGHT_KEYS)?;
        let value = |key| Ok::<_, MapError>(self.number(fields, key, 0.0, 16383.0)?.map(|value| value as u16));
        let (from, to, on, off) = (value("from")?, value("to")?, value("on")?, value("off")?);
        if (from.is_some() || to.is_some()) && (on.is_some() || off.is_some()) {
            let why = "a light has on and off, or from and to for a ring or a motor, not both";
            return Err(self.at(start, why.into()));
        }
        Ok(Light {
            send: self.source(fields, "send")?,
            channel: self.channel(fields)?,
            show: if from.is_some() || to.is_some() {
                Show::Position { from: from.unwrap_or(0), to: to.unwrap_or(127) }
            } else {
                Show::Switch { off: off.unwrap_or(0), on: on.unwrap_or(127) }
            },
            follow: self.switch(fields, "follow")?,
        })
    }

    fn greet(&self, table: &DeTable<'_>) -> Result<Vec<Bytes>, MapError> {
        let read = |text: &String| {
            let bytes: Option<Vec<u8>> = text.split_whitespace().map(|hex| u8::from_str_radix(hex, 16).ok()).collect();
            bytes.filter(|bytes| bytes.first().is_some_and(|b| *b >= 0x80) && bytes.len() <= MOST_BYTES).ok_or_else(
                || {
                    let at = table.get("greet").map_or(0, |field| field.span().start);
                    let why = format!(
                        "greet takes messages in hexadecimal, such as \"B0 7F 00\", at most {MOST_BYTES} bytes"
                    );
                    self.at(at, why)
                },
            )
        };
        self.texts(table, "greet")?.iter().map(|text| Ok(Bytes::new(&read(text)?))).collect()
    }

    fn source(&self, table: &DeTable<'_>, key: &str) -> Result<Option<Source>, MapError> {
        let Some(text) = self.text(table, key)? else { return Ok(None) };
        let at = table.get(key).map_or(0, |field| field.span().start);
        text.parse().map(Some).map_err(|error: super::super::SourceError| self.at(at, error.to_string()))
    }

    /// Counted from 1 in the file and from 0 here.
    fn channel(&self, table: &DeTable<'_>) -> Result<Option<u8>, MapError> {
        Ok(self.number(table, "channel", 1.0, 16.0)?.map(|channel| channel as u8 - 1))
    }

    fn choice(&self, table: &DeTable<'_>, key: &str, names: &[&str]) -> Result<Option<usize>, MapError> {
        let Some(text) = self.text(table, key)? else { return Ok(None) };
        match names.iter().position(|name| *name == text) {
            Some(at) => Ok(Some(at)),
            None => {
                let at = table.get(key).map_or(0, |field| field.span().start);
                let hint = nearest(&text, names.iter().copied())
                    .map_or_else(String::new, |name| format!("; did you mean {name}?"));
                Err(self.at(at, format!("{key} takes one of {}, not “{text}”{hint}", names.join(", "))))
            }
        }
    }

    fn number(&self, table: &DeTable<'_>, key: &str, min: f64, max: f64) -> Result<Option<f64>, MapError> {
        let Some(field) = table.get(key) else { return Ok(None) };
        match number(field).filter(|number| (min..=max).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(self.at(field.span().start, format!("{key} takes a number from {min} to {max}"))),
        }
    }

    fn switch(&self, table: &DeTable<'_>, key: &str) -> Result<bool, MapError> {
        match table.get(key) {
            None => Ok(false),
            Some(field) => match field.get_ref() {
                DeValue::Boolean(on) => Ok(*on),
                _ => Err(self.at(field.span().start, format!("{key} takes true or false"))),
            },
        }
    }

    fn text(&self, table: &DeTable<'_>, key: &str) -> Result<Option<String>, MapError> {
        let Some(field) = table.get(key) else { return Ok(None) };
        match field.get_ref().as_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(self.at(field.span().start, format!("{key} takes a text in quotes"))),
        }
    }

    fn texts(&self, table: &DeTable<'_>, key: &str) -> Result<Vec<String>, MapError> {
        let Some(field) = table.get(key) else { return Ok(Vec::new()) };
        let texts = field
            .get_ref()
            .as_array()
            .and_then(|list| list.iter().map(|text| text.get_ref().as_str().map(str::to_owned)).collect());
        texts.ok_or_else(|| self.at(field.span().start, format!("{key} takes a list of texts in quotes")))
    }

    fn at(&self, offset: usize, why: String) -> MapError {
        MapError::Line { file: self.file.into(), line: self.line(offset), why }
    }

    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }
}

fn number(field: &Field<'_>) -> Option<f64> {
    match field.get_ref() {
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix()).ok().map(|n| n as f64),
        DeValue::Float(digits) => digits.as_str().parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}
