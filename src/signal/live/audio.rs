//! `audio://default` or `audio://NAME?as=wave|bands|level`: a sound card's input, as the wave itself, as the loudness
//! of bands, or as level, onsets and brightness. Opened again when the device comes back.
//!
//! The call-back of the sound card copies into a ring and does nothing else; a thread of its own empties the ring,
//! listens for bands and onsets, and watches over the device.

mod bands;
mod device;
mod ring;

use std::time::{Duration, Instant};

use super::handover::{Layout, Link, handover};
use super::settings::Settings;
use super::worker::{Ending, Receive};
use crate::signal::url::Address;
use crate::signal::{Source, SourceError};
use bands::Listener;
pub use device::inputs;

/// How often the ring is emptied.
const EVERY: Duration = Duration::from_millis(5);
/// A device that brings nothing for so long is opened again.
const SILENT: Duration = Duration::from_secs(2);
/// Bands when nothing is said: with level and onset they make the 32 channels of a window.
const BANDS: u64 = 30;

/// What is made of the sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Wave,
    Bands(usize),
    Level,
}

/// Opens `audio://NAME?as=&bands=&rate=&channels=`.
///
/// # Errors
/// A key that cannot be meant. A device that is not there is waited for.
pub fn open(address: &Address) -> Result<Box<dyn Source>, SourceError> {
    let mut settings = Settings::read(address, &["as", "bands", "rate"])?;
    let bands = address.whole("bands", 1..=64, "a number of bands")?;
    let form = match address.text_of("as") {
        None | Some("wave") if bands.is_none() => Form::Wave,
        None | Some("bands") => Form::Bands(bands.unwrap_or(BANDS) as usize),
        Some("level") => Form::Level,
        Some(_) => return Err(address.bad("as", "wave, bands or level is expected")),
    };
    // Of a wave the channels are those of the device; else they choose which of those are listened to.
    settings.chooses_channels = form == Form::Wave;
    let (link, inbox) = handover();
    let receiver = Receiver { address: address.clone(), form, rate_hz: address.rate_hz()? };
    super::start(settings, link, inbox, receiver)
}

struct Receiver {
    address: Address,
    form: Form,
    rate_hz: Option<f64>,
}

impl Receive for Receiver {
    fn receive(&mut self, link: &Link) -> Result<Ending, String> {
        let name = self.address.path.trim_matches('/');
        let input = device::open(name, self.rate_hz).map_err(|why| format!("{}: {why}", self.address.text))?;
        link.status(format!("connected to {}", input.name));
        let names: Vec<String> = (0..input.channels).map(|n| format!("ch{n}")).collect();
        let mut listener = match self.form {
            Form::Wave => None,
            Form::Bands(bands) => Some(Listener::new(input.rate_hz, bands, true)),
            Form::Level => Some(Listener::new(input.rate_hz, bands::LEVEL_BANDS, false)),
        };
        let layout = match &listener {
            None => Layout::even(names.iter().map(|name| (name.clone(), String::new())), input.rate_hz),
            Some(listener) => Layout::even(listener.channels(), bands::FRAMES_HZ),
        };
        link.layout(layout.stated());
        let chosen = self.address.channels(&names).unwrap_or_else(|error| {
            link.say(format!("{error}; all of them are heard"));
            (0..names.len()).collect()
        });
        let mut read = 0;
        let mut last = Instant::now();
        let mut samples = Vec::new();
        while !link.stopped() {
            std::thread::sleep(EVERY);
            samples.clear();
            let dropped = input.ring.read(&mut read, &mut samples);
            if dropped > 0 {
                link.lose((dropped / input.channels) as u64);
            }
            link.lose(input.take_overruns());
            if input.failed() {
                return Err(format!("{}: {} is gone; it is waited for", self.address.text, input.name));
            }
            if samples.is_empty() {
                if last.elapsed() > SILENT {
                    return Err(format!("{}: {} brings nothing; it is opened again", self.address.text, input.name));
                }
                continue;
            }
            last = Instant::now();
            match &mut listener {
                None => link.frames(samples.iter().map(|x| f64::from(*x)).collect(), 0),
                Some(listener) => {
                    let mut frames = Vec::new();
                    for frame in samples.chunks_exact(input.channels) {
                        let sum: f32 = chosen.iter().map(|channel| frame[*channel]).sum();
                        listener.push(f64::from(sum) / chosen.len() as f64, &mut frames);
                    }
                    if !frames.is_empty() {
                        link.frames(frames, 0);
                    }
                }
            }
        }
        Ok(Ending::Stopped)
    }
}
