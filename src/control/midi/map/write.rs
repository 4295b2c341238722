//! The writing of a map, as learning leaves it: what is at its default is left out.

use std::fmt::Write;

use super::{Control, Light, Map, Shape, Show, Takeover, VERSION, Way};
use crate::control::midi::Bytes;

impl Map {
    /// The file's text.
    pub fn to_toml(&self) -> String {
        let mut out = format!("version = {VERSION}\nname = {}\n", quoted(&self.name));
        if !self.about.is_empty() {
            let _ = writeln!(out, "about = {}", quoted(&self.about));
        }
        let list = |texts: Vec<String>| texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ");
        let _ = writeln!(out, "ports = [{}]", list(self.ports.clone()));
        if !self.greet.is_empty() {
            let hex = |bytes: &Bytes| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ");
            let _ = writeln!(out, "greet = [{}]", list(self.greet.iter().map(hex).collect()));
        }
        for control in &self.controls {
            out.push_str(&control.to_toml());
        }
        out
    }
}

impl Control {
    fn to_toml(&self) -> String {
        let mut out = format!("\n[[control]]\nsource = {}\n", quoted(&self.source.to_string()));
        let mut line = |key: &str, value: String| {
            let _ = writeln!(out, "{key} = {value}");
        };
        if let Some(channel) = self.channel {
            line("channel", (channel + 1).to_string());
        }
        if !self.name.is_empty() {
            line("name", quoted(&self.name));
        }
        if let Some(target) = &self.target {
            line("target", quoted(target));
        }
        match &self.way {
            Way::Auto => {}
            Way::Position => line("way", quoted("position")),
            Way::Button => line("way", quoted("button")),
            Way::Gate => line("way", quoted("gate")),
            Way::Toggle => line("way", quoted("toggle")),
            Way::Trigger => line("way", quoted("trigger")),
            Way::Velocity => line("way", quoted("velocity")),
            Way::Step(by) => {
                line("way", quoted("step"));
                line("step", by.to_string());
            }
            Way::Set(value) => line("value", quoted(value)),
            Way::Relative { encoder, step } => {
                line("way", quoted(encoder.name()));
                line("step", format!("{step}"));
            }
        }
        if let Some((from, to)) = self.range {
            line("range", format!("[{from:?}, {to:?}]"));
        }
        if self.invert {
            line("invert", "true".into());
        }
        if self.curve != Shape::default() {
            line("curve", quoted(Shape::NAMES[self.curve as usize]));
        }
        if self.smooth_secs > 0.0 {
            line("smooth_secs", format!("{:?}", self.smooth_secs));
        }
        if self.takeover != Takeover::default() {
            line("takeover", quoted(Takeover::NAMES[self.takeover as usize]));
        }
        if let Some(light) = self.light {
            line("light", light.to_toml());
        }
        out
    }
}

impl Light {
    fn to_toml(self) -> String {
        let mut parts = Vec::new();
        if let Some(send) = self.send {
            parts.push(format!("send = {}", quoted(&send.to_string())));
        }
        if let Some(channel) = self.channel {
            parts.push(format!("channel = {}", channel + 1));
        }
        parts.push(match self.show {
            Show::Switch { off, on } => format!("on = {on}, off = {off}"),
            Show::Position { from, to } => format!("from = {from}, to = {to}"),
        });
        if self.follow {
            parts.push("follow = true".into());
        }
        format!("{{ {} }}", parts.join(", "))
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}
