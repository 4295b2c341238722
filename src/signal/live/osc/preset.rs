//! What known devices send over OSC: exact addresses, as their makers' pages and sample code give them.

/// A device.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    pub port: u16,
    pub unit: &'static str,
    /// Addresses of values that come when they come, for devices without an even stream.
    pub patterns: &'static [&'static str],
    pub stream: Option<Even>,
}

/// A device that sends an even stream of samples.
#[derive(Debug, Clone, Copy)]
pub struct Even {
    pub rate_hz: f64,
    pub form: Form,
    /// Names of the channels; where there are none they are counted.
    pub names: &'static [&'static str],
    /// Addresses that only come when something happens, and the names of their channels.
    pub events: &'static [(&'static str, &'static str)],
}

/// How the samples lie in the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A message is a frame: its floats from the first on, at this address.
    Frame(&'static str),
    /// A message has some samples of one channel, whose number ends the address.
    Channel(&'static [&'static str]),
}

pub const NAMES: [&str; 6] = ["muse", "openbci", "neurosity", "touchosc", "anemometer", "wave"];

impl Preset {
    pub fn named(name: &str) -> Option<Self> {
        let uneven = |port, unit, patterns| Self { port, unit, patterns, stream: None };
        let even = |port, stream| Self { port, unit: "uV", patterns: &[], stream: Some(stream) };
        Some(match name {
            // Mind Monitor: /muse/eeg has two more values where an auxiliary electrode is on; the events are never 0.
            "muse" => even(
                5000,
                Even {
                    rate_hz: 256.0,
                    form: Form::Frame("/muse/eeg"),
                    names: &["TP9", "AF7", "AF8", "TP10"],
                    events: &[("/muse/elements/blink", "blink"), ("/muse/elements/jaw_clench", "jaw")],
                },
            ),
            // GUI v6: several samples a message, channels counted from 0.
            "openbci" => even(
                12_345,
                Even {
                    rate_hz: 250.0,
                    form: Form::Channel(&["/openbci/time-series-filtered/ch", "/openbci/time-series-raw/ch"]),
                    names: &[],
                    events: &[],
                },
            ),
            // Crown (raw mode): the values of the channels, then a time as text, a count and a marker.
            "neurosity" => even(
                9000,
                Even {
                    rate_hz: 256.0,
                    form: Form::Frame("/neurosity/notion/*/raw"),
                    names: &["CP3", "C3", "F5", "PO3", "PO4", "F6", "C4", "CP4"],
                    events: &[],
                },
            ),
            // Acceleration of the phone, in g.
            "touchosc" => uneven(8000, "g", &["/accxyz"]),
            // Home-made: speed and direction, or the three parts of a sonic anemometer.
            "anemometer" => uneven(9001, "m/s", &["/wind"]),
            "wave" => uneven(9001, "m", &["/wave", "/waves"]),
            _ => return None,
        })
    }
}
