//! The printed reference of all parameters, made from the table and from nothing else.

use std::fmt::Write;

use serde_json::{Value as Json, json};

use super::{Curve, Kind, Param, Recall, Table, Value, param::shown};

/// Columns for a terminal, a block a group.
pub fn as_text(table: &Table) -> String {
    let params: Vec<_> = table.all().iter().map(|handle| handle.param()).collect();
    let path_width = params.iter().map(|p| p.path.chars().count()).max().unwrap_or(0);
    let rows: Vec<(String, String)> = params.iter().map(|p| (range(p), default(p))).collect();
    // Long lists of choices wrap below instead of widening the column for all.
    let range_width = rows.iter().map(|(r, _)| r.chars().count()).filter(|w| *w <= 24).max().unwrap_or(0);
    let default_width = rows.iter().map(|(_, d)| d.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    let mut group = String::new();
    for (param, (range, default)) in params.iter().zip(&rows) {
        if param.group() != group && !out.is_empty() {
            out.push('\n');
        }
        group = param.group().to_owned();
        let long = range.chars().count() > range_width;
        let shown_range = if long { "see below" } else { range };
        let line = format!(
            "{:path_width$}  {shown_range:range_width$}  {default:default_width$}  {}",
            param.path, param.about
        );
        out.push_str(line.trim_end());
        out.push('\n');
        if long {
            let _ = writeln!(out, "{:path_width$}  {range}", "");
        }
    }
    out
}

/// A list of objects, one a parameter.
pub fn as_json(table: &Table) -> Json {
    table.all().iter().map(|handle| json_of(&handle.param())).collect()
}

/// A table a group, for the documentation.
pub fn as_markdown(table: &Table) -> String {
    let mut out = String::from("# Parameters\n");
    let mut group = None;
    for handle in table.all() {
        let param = handle.param();
        if group.as_deref() != Some(param.group()) {
            group = Some(param.group().to_owned());
            let _ = write!(out, "\n## {}\n\n| path | values | default | |\n|---|---|---|---|\n", param.group());
        }
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} |",
            param.path,
            range(&param),
            default(&param),
            param.about.replace('|', "\\|")
        );
    }
    out
}

fn json_of(param: &Param) -> Json {
    let mut object = json!({
        "path": param.path,
        "type": type_name(&param.kind),
        "default": plain(&param.default),
        "unit": param.unit,
        "about": param.about,
        "group": param.group(),
        "read_only": param.read_only,
        "recall": match param.recall {
            Recall::Look => "look",
            Recall::Setup => "setup",
            Recall::Never => "never",
        },
    });
    match &param.kind {
        Kind::Float { min, max, curve } => {
            object["min"] = json!(decimal(*min));
            object["max"] = json!(decimal(*max));
            object["curve"] = json!(if *curve == Curve::Log { "log" } else { "linear" });
        }
        Kind::Int { min, max } => {
            object["min"] = json!(min);
            object["max"] = json!(max);
        }
        Kind::Choice(names) => object["choices"] = names.iter().map(|name| json!(**name)).collect(),
        _ => {}
    }
    object
}

fn type_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Float { .. } => "float",
        Kind::Int { .. } => "int",
        Kind::Bool => "bool",
        Kind::Choice(_) => "choice",
        Kind::Text => "text",
        Kind::Trigger => "trigger",
    }
}

/// A value as JSON.
pub fn plain(value: &Value) -> Json {
    match value {
        Value::Float(number) => json!(decimal(*number)),
        Value::Int(number) => json!(number),
        Value::Bool(on) => json!(on),
        Value::Text(text) => json!(**text),
        Value::Pulse => Json::Null,
    }
}

/// As a person wrote it: what came as an f32, from shaders or over OSC, has more digits than were meant.
pub fn decimal(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

fn range(param: &Param) -> String {
    let unit = if param.unit.is_empty() { String::new() } else { format!(" {}", param.unit) };
    match &param.kind {
        Kind::Float { min, max, .. } => format!("{} … {}{unit}", shown(*min), shown(*max)),
        Kind::Int { min, max } => format!("{min} … {max}{unit}"),
        Kind::Bool => "on, off".into(),
        Kind::Choice(names) => format!("{}{unit}", names.join(", ")),
        Kind::Text if param.read_only => "shown text".into(),
        Kind::Text => "text".into(),
        Kind::Trigger => "trigger".into(),
    }
}

fn default(param: &Param) -> String {
    match &param.default {
        Value::Text(text) => text.to_string(),
        Value::Pulse => String::new(),
        value => value.to_string(),
    }
}
