//! `wavedream devices`: what is plugged in, a section a kind.
//!
//! A section is a heading, what stands under it, and a sentence for when nothing does. More kinds are more sections.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value as Json, json};

use super::print;
use crate::{
    app::cli::DevicesArgs,
    control::{
        Folders,
        midi::{Maps, System, ports::Ports},
    },
    diffusion::{
        self,
        device::{DeviceChoice, cuda_cards, has_metal},
    },
    kernels::{Instructions, physical_cores},
    signal::{self, live::lsl::StreamInfo},
};

/// How long streams have to answer: outlets are asked twice in it.
const LSL_WAIT: Duration = Duration::from_millis(1200);

/// Devices of one kind.
struct Section {
    heading: &'static str,
    key: &'static str,
    /// Said when there are none.
    none: String,
    devices: Vec<Device>,
}

/// A name, what is to be known of it, and both as JSON.
struct Device {
    name: String,
    about: String,
    json: Json,
}

pub fn run(args: &DevicesArgs) -> Result<()> {
    let sections = [audio(), lsl(), midi(), displays(), adapters(), compute()];
    print(&if args.json { format!("{:#}\n", as_json(&sections)) } else { as_text(&sections) })
}

fn audio() -> Section {
    let device = |(name, url): (String, String)| Device { json: json!({ "name": name, "url": url }), name, about: url };
    Section {
        heading: "Audio inputs",
        key: "audio",
        none: "none; audio://default waits for one".into(),
        devices: signal::live::audio_inputs().into_iter().map(device).collect(),
    }
}

fn lsl() -> Section {
    let device = |stream: StreamInfo| {
        let url = format!("lsl://{}", stream.name.replace('%', "%25").replace('?', "%3F").replace(' ', "%20"));
        let rate = if stream.rate_hz > 0.0 { format!("{} Hz", stream.rate_hz) } else { "without a beat".into() };
        Device {
            about: format!("{url}  {}, {} channels, {rate}, on {}", stream.kind, stream.channel_count, stream.hostname),
            json: json!({
                "name": stream.name, "url": url, "type": stream.kind, "channels": stream.channel_count,
                "rate_hz": stream.rate_hz, "host": stream.hostname, "source_id": stream.source_id,
            }),
            name: stream.name,
        }
    };
    Section {
        heading: "LSL streams",
        key: "lsl",
        none: "none that answers on this network".into(),
        devices: signal::live::lsl::streams(LSL_WAIT).into_iter().map(device).collect(),
    }
}

fn midi() -> Section {
    let mut system = System::default();
    let (inputs, outputs) = (system.inputs(), system.outputs());
    let (maps, _) = Maps::load(&Folders::standard(None));
    let device = |name: &String| {
        let map = maps.for_port(name).map_or("none", |map| &map.id);
        let (is_input, is_output) = (inputs.contains(name), outputs.contains(name));
        let ways = match (is_input, is_output) {
            (true, true) => "in and out",
            (true, false) => "in",
            _ => "out",
        };
        Device {
            name: name.clone(),
            about: format!("{ways}, map {map}"),
            json: json!({ "name": name, "input": is_input, "output": is_output, "map": map }),
        }
    };
    let only_out = outputs.iter().filter(|name| !inputs.contains(name));
    Section {
        heading: "MIDI ports",
        key: "midi",
        none: "none; a controller that is plugged in while wavedream plays is taken at once".into(),
        devices: inputs.iter().chain(only_out).map(device).collect(),
    }
}

/// As `--display` takes them.
#[cfg(feature = "window")]
fn displays() -> Section {
    use crate::app::window::{Listed, list_displays};
    let found = list_displays();
    let none = found.as_ref().err().map_or_else(|| "none that the window system knows of".into(), ToString::to_string);
    let device = |display: Listed| {
        let Listed { number, name, size_px: [width, height], at_px: [x, y], is_primary } = display;
        let primary = if is_primary { ", primary" } else { "" };
        Device {
            about: format!("--display {number}  {width}x{height} at {x},{y}{primary}"),
            json: json!({
                "name": name, "display": number, "width": width, "height": height, "x": x, "y": y,
                "primary": is_primary,
            }),
            name: name.unwrap_or_else(|| format!("display {number}")),
        }
    };
    let devices = found.unwrap_or_default().into_iter().map(device).collect();
    Section { heading: "Displays", key: "displays", none, devices }
}

#[cfg(not(feature = "window"))]
fn displays() -> Section {
    let none = "not looked for: this wavedream was built without its window".into();
    Section { heading: "Displays", key: "displays", none, devices: Vec::new() }
}

fn adapters() -> Section {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    let of = |backends| pollster::block_on(instance.enumerate_adapters(backends));
    // OpenGL shows the same adapters again, and its libraries write to stderr where there is no display.
    let primary = of(wgpu::Backends::PRIMARY);
    let found = if primary.is_empty() { of(wgpu::Backends::SECONDARY) } else { primary };
    let device = |adapter: &wgpu::Adapter| {
        let info = adapter.get_info();
        let (backend, kind) = (format!("{:?}", info.backend), format!("{:?}", info.device_type));
        Device {
            about: format!("{backend}, {kind}"),
            json: json!({ "name": info.name, "backend": backend, "type": kind, "driver": info.driver }),
            name: info.name,
        }
    };
    Section {
        heading: "Graphics adapters",
        key: "adapters",
        none: "none that wgpu can use: install a Vulkan driver (a software one will do: Mesa's lavapipe)".into(),
        devices: found.iter().map(device).collect(),
    }
}

/// Where models can compute.
fn compute() -> Section {
    let (instructions, cores) = (Instructions::best().name(), physical_cores());
    let cpu = diffusion::cpu_name();
    let mut devices = vec![Device {
        about: format!("--device cpu  {instructions}, {cores} cores"),
        json: json!({ "name": cpu, "device": "cpu", "instructions": instructions, "cores": cores }),
        name: cpu,
    }];
    match cuda_cards() {
        Ok(cards) => devices.extend(cards.into_iter().enumerate().map(|(number, card)| {
            let (device, gib) = (DeviceChoice::Cuda(number), card.memory_bytes as f64 / (1_u64 << 30) as f64);
            Device {
                about: format!("--device {device}  {gib:.1} GiB"),
                json: json!({ "name": card.name, "device": device.to_string(), "memory_bytes": card.memory_bytes }),
                name: card.name,
            }
        })),
        // Of a program that was built for cards it is worth a word why there are none.
        Err(why) if cfg!(feature = "cuda") => tracing::warn!("{why}"),
        Err(_) => {}
    }
    if has_metal() {
        devices.push(Device {
            name: "GPU of Apple".into(),
            about: "--device metal".into(),
            json: json!({ "name": "GPU of Apple", "device": "metal" }),
        });
    }
    Section { heading: "Compute devices", key: "compute", none: String::new(), devices }
}

fn as_json(sections: &[Section]) -> Json {
    let list = |section: &Section| section.devices.iter().map(|device| device.json.clone()).collect::<Json>();
    Json::Object(sections.iter().map(|section| (section.key.to_owned(), list(section))).collect())
}

fn as_text(sections: &[Section]) -> String {
    let width = sections.iter().flat_map(|s| &s.devices).map(|d| d.name.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for section in sections {
        out.push_str(&format!("{}{}\n", if out.is_empty() { "" } else { "\n" }, section.heading));
        for Device { name, about, .. } in &section.devices {
            out.push_str(&format!("  {name:width$}  {about}\n"));
        }
        if section.devices.is_empty() {
            out.push_str(&format!("  {}\n", section.none));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(devices: Vec<Device>) -> Section {
        Section { heading: "Pults", key: "pults", none: "no pult at all".into(), devices }
    }

    #[test]
    fn a_section_lists_its_devices_or_says_that_there_are_none() {
        let pult = Device { name: "Pult".into(), about: "in".into(), json: json!({ "name": "Pult" }) };
        let sections = [section(vec![pult]), section(Vec::new())];
        assert_eq!(as_text(&sections), "Pults\n  Pult  in\n\nPults\n  no pult at all\n");
        assert_eq!(as_json(&sections[..1]), json!({ "pults": [{ "name": "Pult" }] }));
    }
}
