//! The reading of a map's text: every refusal names the line and the way out.

use std::collections::HashMap;

use toml::de::DeValue;

use super::{Control, Light, Map, Shape, Show, Takeover, VERSION, Way};
use crate::control::{
    PageError,
    midi::{Bytes, Encoder, MOST_BYTES, Source},
    nearest,
    page::{Fields, Page, number},
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

struct Reader<'a>(Page<'a>);

impl Map {
    /// Reads the text of a map. `file` is its name, for the id and for messages.
    pub fn parse(text: &str, file: &str) -> Result<Self, PageError> {
        Reader(Page::new(text, file)).map()
    }
}

impl Reader<'_> {
    fn map(&self) -> Result<Map, PageError> {
        let document = self.0.parse()?;
        let fields = document.get_ref();
        self.0.head(fields, "a controller map", VERSION, &MAP_KEYS)?;
        let id = self.0.id();
        let channel = self.channel(fields)?;
        let lights = self.lights(fields)?;
        let ports = self.0.texts(fields, "ports")?.iter().map(|part| part.to_lowercase()).collect();
        let mut controls = Vec::new();
        if let Some(list) = fields.get("control") {
            let wrong = || self.0.at(list.span().start, "write each control under a line [[control]]");
            for control in list.get_ref().as_array().ok_or_else(wrong)?.iter() {
                let fields = control.get_ref().as_table().ok_or_else(wrong)?;
                controls.push(self.control(fields, control.span().start, channel, &lights)?);
            }
        }
        Ok(Map {
            name: self.0.text(fields, "name")?.unwrap_or_else(|| id.clone()),
            id,
            file: self.0.file.into(),
            about: self.0.text(fields, "about")?.unwrap_or_default(),
            ports,
            greet: self.greet(fields)?,
            controls,
        })
    }

    fn control(
        &self,
        fields: &Fields<'_>,
        start: usize,
        channel: Option<u8>,
        lights: &HashMap<String, Light>,
    ) -> Result<Control, PageError> {
        self.0.keys(fields, &CONTROL_KEYS)?;
        let Some(source) = self.source(fields, "source")? else {
            return Err(self.0.at(start, "this control has no source, such as source = \"cc 16\""));
        };
        let target = self.0.text(fields, "target")?;
        if let Some(target) = target.as_ref().filter(|target| !target.starts_with('/')) {
            let at = fields.get("target").map_or(start, |field| field.span().start);
            return Err(self
                .0
                .at(at, format!("“{target}” is not a path: write the path of a parameter, /dream/vivid")));
        }
        Ok(Control {
            channel: self.channel(fields)?.or(channel),
            name: self.0.text(fields, "name")?.unwrap_or_default(),
            target,
            way: self.way(fields)?,
            range: self.range(fields)?,
            invert: self.0.flag(fields, "invert")?,
            curve: self.choice(fields, "curve", &Shape::NAMES)?.map_or_else(Shape::default, |at| Shape::ALL[at]),
            smooth_secs: self.0.number(fields, "smooth_secs", 0.0, 60.0)?.unwrap_or(0.0),
            takeover: self
                .choice(fields, "takeover", &Takeover::NAMES)?
                .map_or_else(Takeover::default, |at| Takeover::ALL[at]),
            light: self.light(fields, source, lights)?,
            line: self.0.line(start),
            source,
        })
    }

    fn way(&self, fields: &Fields<'_>) -> Result<Way, PageError> {
        if let Some(field) = fields.get("value") {
            let value = match field.get_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Boolean(on) => on.to_string(),
                DeValue::Integer(digits) => digits.as_str().to_owned(),
                DeValue::Float(digits) => digits.as_str().to_owned(),
                _ => return Err(self.0.at(field.span().start, "value takes a number, true, false or a text")),
            };
            return Ok(Way::Set(value));
        }
        let step = self.0.number(fields, "step", -1000.0, 1000.0)?;
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

    fn range(&self, fields: &Fields<'_>) -> Result<Option<(f64, f64)>, PageError> {
        let Some(field) = fields.get("range") else { return Ok(None) };
        let ends: Option<Vec<f64>> = field.get_ref().as_array().and_then(|list| list.iter().map(number).collect());
        match ends.as_deref() {
            Some(&[from, to]) if from != to => Ok(Some((from, to))),
            _ => Err(self.0.at(field.span().start, "range takes two different numbers, such as [0.0, 1.0]")),
        }
    }

    fn light(
        &self,
        fields: &Fields<'_>,
        source: Source,
        lights: &HashMap<String, Light>,
    ) -> Result<Option<Light>, PageError> {
        let Some(field) = fields.get("light") else { return Ok(None) };
        let start = field.span().start;
        let light = match field.get_ref() {
            DeValue::Table(table) => self.light_of(table, start)?,
            DeValue::String(name) => *lights.get(&**name).ok_or_else(|| {
                let hint = nearest(name, lights.keys().map(String::as_str))
                    .map_or_else(|| "name it under [lights]".into(), |known| format!("did you mean {known}?"));
                self.0.at(start, format!("there is no light “{name}”; {hint}"))
            })?,
            _ => return Err(self.0.at(start, "light takes a name of [lights], or { on = 127, off = 0 }")),
        };
        if !light.send.unwrap_or(source).can_be_sent() {
            return Err(self
                .0
                .at(start, format!("nothing can be shown by {source}: give the light a send, \"cc 16\"")));
        }
        Ok(Some(light))
    }

    fn lights(&self, fields: &Fields<'_>) -> Result<HashMap<String, Light>, PageError> {
        let Some(field) = fields.get("lights") else { return Ok(HashMap::new()) };
        let wrong = |at| self.0.at(at, "a light is written as name = { on = 127, off = 0 }");
        let lights = field.get_ref().as_table().ok_or_else(|| wrong(field.span().start))?;
        let read = lights.iter().map(|(name, light)| {
            let start = light.span().start;
            let fields = light.get_ref().as_table().ok_or_else(|| wrong(start))?;
            Ok((name.get_ref().to_string(), self.light_of(fields, start)?))
        });
        read.collect()
    }

    fn light_of(&self, fields: &Fields<'_>, start: usize) -> Result<Light, PageError> {
        self.0.keys(fields, &LIGHT_KEYS)?;
        let value = |key| Ok::<_, PageError>(self.0.number(fields, key, 0.0, 16383.0)?.map(|value| value as u16));
        let (from, to, on, off) = (value("from")?, value("to")?, value("on")?, value("off")?);
        if (from.is_some() || to.is_some()) && (on.is_some() || off.is_some()) {
            let why = "a light has on and off, or from and to for a ring or a motor, not both";
            return Err(self.0.at(start, why));
        }
        Ok(Light {
            send: self.source(fields, "send")?,
            channel: self.channel(fields)?,
            show: if from.is_some() || to.is_some() {
                Show::Position { from: from.unwrap_or(0), to: to.unwrap_or(127) }
            } else {
                Show::Switch { off: off.unwrap_or(0), on: on.unwrap_or(127) }
            },
            follow: self.0.flag(fields, "follow")?,
        })
    }

    fn greet(&self, fields: &Fields<'_>) -> Result<Vec<Bytes>, PageError> {
        let read = |text: &String| {
            let bytes: Option<Vec<u8>> = text.split_whitespace().map(|hex| u8::from_str_radix(hex, 16).ok()).collect();
            bytes.filter(|bytes| bytes.first().is_some_and(|b| *b >= 0x80) && bytes.len() <= MOST_BYTES).ok_or_else(
                || {
                    let at = fields.get("greet").map_or(0, |field| field.span().start);
                    let why = format!(
                        "greet takes messages in hexadecimal, such as \"B0 7F 00\", at most {MOST_BYTES} bytes"
                    );
                    self.0.at(at, why)
                },
            )
        };
        self.0.texts(fields, "greet")?.iter().map(|text| Ok(Bytes::new(&read(text)?))).collect()
    }

    fn source(&self, fields: &Fields<'_>, key: &str) -> Result<Option<Source>, PageError> {
        let Some(text) = self.0.text(fields, key)? else { return Ok(None) };
        let at = fields.get(key).map_or(0, |field| field.span().start);
        text.parse().map(Some).map_err(|error: super::super::SourceError| self.0.at(at, error.to_string()))
    }

    /// Counted from 1 in the file and from 0 here.
    fn channel(&self, fields: &Fields<'_>) -> Result<Option<u8>, PageError> {
        Ok(self.0.number(fields, "channel", 1.0, 16.0)?.map(|channel| channel as u8 - 1))
    }

    fn choice(&self, fields: &Fields<'_>, key: &str, names: &[&str]) -> Result<Option<usize>, PageError> {
        let Some(text) = self.0.text(fields, key)? else { return Ok(None) };
        match names.iter().position(|name| *name == text) {
            Some(at) => Ok(Some(at)),
            None => {
                let at = fields.get(key).map_or(0, |field| field.span().start);
                let hint = nearest(&text, names.iter().copied())
                    .map_or_else(String::new, |name| format!("; did you mean {name}?"));
                Err(self.0.at(at, format!("{key} takes one of {}, not “{text}”{hint}", names.join(", "))))
            }
        }
    }
}
