//! The table as OSCQuery describes it: a tree of JSON objects, one a container or parameter.
//!
//! Beside the attributes of the proposal a parameter has `DEFAULT`, `CURVE` (`log`, where it is) and `ORDER` (its place in
//! the table), which other programs do not look at.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use rosc::OscType;
use serde_json::{Map, Value as Json, json};

use crate::{
    control::{Curve, Handle, Kind, Param, Value, decimal, plain},
    remote::{core::Core, osc::Reading},
};

/// Attributes of the proposal that are never answered here.
const NOT_KEPT: [&str; 3] = ["TAGS", "EXTENDED_TYPE", "CRITICAL"];
const KEPT: [&str; 10] =
    ["FULL_PATH", "CONTENTS", "TYPE", "ACCESS", "VALUE", "RANGE", "DESCRIPTION", "UNIT", "CLIPMODE", "OVERLOADS"];
const OURS: [&str; 3] = ["DEFAULT", "CURVE", "ORDER"];

/// Answers a request for a path: the whole of it, or the attributes that are asked for.
pub fn answer(core: &Core, path: &str, attributes: &[&str]) -> Result<Json, StatusCode> {
    if attributes.contains(&"HOST_INFO") {
        return Ok(host_info(core));
    }
    let tree = Node::of(core);
    let path = path.trim_end_matches('/');
    let node = tree.find(path).ok_or(StatusCode::NOT_FOUND)?;
    let whole = node.json(path);
    if attributes.is_empty() {
        return Ok(whole);
    }
    let mut found = Map::new();
    for attribute in attributes {
        if NOT_KEPT.contains(attribute) {
            return Err(StatusCode::NO_CONTENT);
        }
        if !KEPT.contains(attribute) && !OURS.contains(attribute) {
            return Err(StatusCode::BAD_REQUEST);
        }
        match whole.get(*attribute) {
            Some(value) => {
                found.insert((*attribute).to_owned(), value.clone());
            }
            // It cannot be read: a container, or what only fires.
            None if *attribute == "VALUE" => return Err(StatusCode::NO_CONTENT),
            None => {}
        }
    }
    Ok(Json::Object(found))
}

/// What this server is and can do.
fn host_info(core: &Core) -> Json {
    let extensions: Map<_, _> = KEPT[3..]
        .iter()
        .chain(&["HTML", "LISTEN", "PATH_CHANGED", "PATH_ADDED", "PATH_REMOVED"])
        .map(|name| ((*name).to_owned(), json!(true)))
        .collect();
    let mut info = json!({ "NAME": "wavedream", "OSC_TRANSPORT": "UDP", "EXTENSIONS": extensions });
    if let Some(at) = core.osc_at.load_full() {
        info["OSC_PORT"] = json!(at.port());
        // Else it is where this server is.
        if !at.ip().is_unspecified() {
            info["OSC_IP"] = json!(at.ip().to_string());
        }
    }
    if let Some(at) = core.http_at.load_full() {
        info["WS_PORT"] = json!(at.port());
    }
    info
}

/// A container, a parameter, or both.
#[derive(Default)]
struct Node {
    method: Option<Method>,
    contents: BTreeMap<String, Node>,
}

enum Method {
    Parameter(Handle, usize),
    Reading(Reading, OscType),
}

impl Node {
    fn of(core: &Core) -> Self {
        let mut root = Self::default();
        for (order, handle) in core.table.all().into_iter().enumerate() {
            let path = handle.path();
            root.at(&path).method = Some(Method::Parameter(handle, order));
        }
        for (reading, value) in core.receiver().readings() {
            root.at(reading.path).method = Some(Method::Reading(reading, value));
        }
        root
    }

    fn at(&mut self, path: &str) -> &mut Self {
        path.split('/').skip(1).fold(self, |node, name| node.contents.entry(name.to_owned()).or_default())
    }

    fn find(&self, path: &str) -> Option<&Self> {
        path.split('/').skip(1).try_fold(self, |node, name| node.contents.get(name))
    }

    fn json(&self, path: &str) -> Json {
        let mut json = match &self.method {
            Some(Method::Parameter(handle, order)) => parameter(handle, *order),
            Some(Method::Reading(reading, value)) => read_only(reading, value),
            None => {
                let about =
                    if path.is_empty() { "wavedream: a living signal painted by a diffusion model" } else { "" };
                let path = if path.is_empty() { "/" } else { path };
                json!({ "FULL_PATH": path, "ACCESS": 0, "DESCRIPTION": about })
            }
        };
        if !self.contents.is_empty() {
            let contents =
                self.contents.iter().map(|(name, node)| (name.clone(), node.json(&format!("{path}/{name}"))));
            json["CONTENTS"] = Json::Object(contents.collect());
        }
        json
    }
}

fn parameter(handle: &Handle, order: usize) -> Json {
    let param = handle.param();
    let value = handle.value();
    let mut json = json!({
        "FULL_PATH": param.path,
        "DESCRIPTION": param.about,
        "TYPE": type_tag(&param.kind, &value),
        "ACCESS": match param.kind {
            _ if param.read_only => 1,
            Kind::Trigger => 2,
            _ => 3,
        },
        "ORDER": order,
    });
    if param.kind != Kind::Trigger {
        json["VALUE"] = json!([plain(&value)]);
        json["DEFAULT"] = json!([plain(&param.default)]);
    }
    match &param.kind {
        Kind::Float { min, max, curve } => {
            json["RANGE"] = json!([{ "MIN": decimal(*min), "MAX": decimal(*max) }]);
            if *curve == Curve::Log {
                json["CURVE"] = json!("log");
            }
        }
        Kind::Int { min, max } => json["RANGE"] = json!([{ "MIN": min, "MAX": max }]),
        Kind::Choice(names) => {
            let positions: Vec<_> = (0..names.len()).collect();
            json["RANGE"] = json!([{ "VALS": names.iter().map(|name| &**name).collect::<Vec<_>>() }]);
            json["OVERLOADS"] = json!([{ "TYPE": "i", "RANGE": [{ "VALS": positions }] }]);
        }
        Kind::Text => json["OVERLOADS"] = json!([{ "TYPE": "i" }]),
        Kind::Bool | Kind::Trigger => {}
    }
    if param.kind.is_number() {
        json["CLIPMODE"] = json!(["both"]);
    }
    if !param.unit.is_empty() {
        json["UNIT"] = json!([unit(&param)]);
    }
    json
}

fn read_only(reading: &Reading, value: &OscType) -> Json {
    let (tag, value) = match value {
        OscType::Int(number) => ("i", json!(number)),
        OscType::String(text) => ("s", json!(text)),
        // The other types are not used for readings.
        _ => ("N", Json::Null),
    };
    json!({ "FULL_PATH": reading.path, "DESCRIPTION": reading.about, "TYPE": tag, "ACCESS": 1, "VALUE": [value] })
}

fn type_tag(kind: &Kind, value: &Value) -> &'static str {
    match kind {
        Kind::Float { .. } => "f",
        Kind::Int { .. } => "i",
        Kind::Bool => {
            if *value == Value::Bool(true) {
                "T"
            } else {
                "F"
            }
        }
        Kind::Choice(_) | Kind::Text => "s",
        Kind::Trigger => "I",
    }
}

/// By the names of the proposal's list where it has them.
fn unit(param: &Param) -> &str {
    match param.unit.as_str() {
        "s" => "time.second",
        "ms" => "time.ms",
        "Hz" => "time.hz",
        "BPM" | "bpm" => "time.bpm",
        "dB" => "gain.db",
        "px" => "distance.pixels",
        other => other,
    }
}

#[cfg(test)]
mod tests;
