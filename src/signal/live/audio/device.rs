//! Sound card inputs by name, through cpal. The call-back lives on the sound card's thread: it copies into the ring.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{Device, ErrorKind, FromSample, SampleFormat, SizedSample, Stream, StreamConfig};

use super::ring::SampleRing;

/// What may wait to be read.
const RING_SECS: f64 = 1.0;
const MAX_NAMES: usize = 8;

/// An input that plays into its ring. Dropping it closes the device.
pub struct Input {
    pub name: String,
    pub rate_hz: f64,
    pub channels: usize,
    pub ring: Arc<SampleRing>,
    state: Arc<State>,
    _stream: Stream,
}

#[derive(Debug, Default)]
struct State {
    failed: AtomicBool,
    overruns: AtomicU64,
}

impl Input {
    pub fn failed(&self) -> bool {
        self.state.failed.load(Ordering::Relaxed)
    }

    /// Times that the sound card had to drop something since the last time this was asked.
    pub fn take_overruns(&self) -> u64 {
        self.state.overruns.swap(0, Ordering::Relaxed)
    }
}

/// Names of the inputs of this machine, each with the URL that opens it.
pub fn inputs() -> Vec<(String, String)> {
    let devices = cpal::default_host().input_devices().map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    let url = |name: &str| format!("audio://{}", name.replace('%', "%25").replace('?', "%3F").replace(' ', "%20"));
    devices.iter().map(|device| (described(device), url(&id_of(device)))).collect()
}

/// Opens an input: `default` or nothing, else the one of this id or name, or whose name contains it.
///
/// # Errors
/// What is wrong and the way out, without the name of the source.
pub fn open(name: &str, rate_hz: Option<f64>) -> Result<Input, String> {
    let host = cpal::default_host();
    let device = if name.is_empty() || name == "default" {
        host.default_input_device().ok_or("this machine has no sound input; it is waited for")?
    } else {
        let devices: Vec<Device> = host.input_devices().map(Iterator::collect).unwrap_or_default();
        let wanted = name.to_lowercase();
        let exact = devices.iter().position(|device| id_of(device) == name || described(device) == name);
        let near = || devices.iter().position(|device| described(device).to_lowercase().contains(&wanted));
        let Some(found) = exact.or_else(near) else {
            let names: Vec<String> = devices.iter().take(MAX_NAMES).map(id_of).collect();
            let there =
                if names.is_empty() { "there is none".to_owned() } else { format!("there are {}", names.join(", ")) };
            return Err(format!("no sound input is called '{name}'; it is waited for ({there})"));
        };
        devices.into_iter().nth(found).ok_or("the sound input went away; it is waited for")?
    };
    let shown = described(&device);
    let failed = |cause: cpal::Error| match cause.kind() {
        ErrorKind::DeviceBusy => format!("{shown} is used by another program; close that one"),
        ErrorKind::PermissionDenied => format!("{shown} may not be listened to; allow it in the system's settings"),
        _ => format!("{shown} cannot be opened ({cause}); it is tried again"),
    };
    let supported = device.default_input_config().map_err(failed)?;
    let mut config: StreamConfig = supported.config();
    if let Some(rate_hz) = rate_hz {
        config.sample_rate = rate_hz as u32;
    }
    let channels = usize::from(config.channels).max(1);
    let ring_samples = (RING_SECS * f64::from(config.sample_rate)) as usize * channels;
    let ring = Arc::new(SampleRing::new(ring_samples, channels));
    let state = Arc::new(State::default());
    let stream = match supported.sample_format() {
        SampleFormat::F32 => listen::<f32>(&device, &config, &ring, &state),
        SampleFormat::F64 => listen::<f64>(&device, &config, &ring, &state),
        SampleFormat::I8 => listen::<i8>(&device, &config, &ring, &state),
        SampleFormat::U8 => listen::<u8>(&device, &config, &ring, &state),
        SampleFormat::I16 => listen::<i16>(&device, &config, &ring, &state),
        SampleFormat::U16 => listen::<u16>(&device, &config, &ring, &state),
        SampleFormat::I32 => listen::<i32>(&device, &config, &ring, &state),
        SampleFormat::U32 => listen::<u32>(&device, &config, &ring, &state),
        other => return Err(format!("{shown} speaks {other}, which is not known; choose another input")),
    }
    .map_err(failed)?;
    stream.play().map_err(failed)?;
    Ok(Input { name: shown, rate_hz: f64::from(config.sample_rate), channels, ring, state, _stream: stream })
}

fn listen<T: SizedSample + Send + 'static>(
    device: &Device,
    config: &StreamConfig,
    ring: &Arc<SampleRing>,
    state: &Arc<State>,
) -> Result<Stream, cpal::Error>
where
    f32: FromSample<T>,
{
    let (ring, state) = (Arc::clone(ring), Arc::clone(state));
    // Lives on the audio thread: no allocation, no lock, no log.
    let heard = move |samples: &[T], _: &cpal::InputCallbackInfo| {
        ring.write(samples.iter().map(|sample| f32::from_sample_(*sample)));
    };
    let failed = move |cause: cpal::Error| match cause.kind() {
        ErrorKind::Xrun => {
            state.overruns.fetch_add(1, Ordering::Relaxed);
        }
        ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {}
        _ => state.failed.store(true, Ordering::Relaxed),
    };
    device.build_input_stream(*config, heard, failed, None)
}

fn described(device: &Device) -> String {
    device.description().map_or_else(|_| id_of(device), |description| description.name().to_owned())
}

fn id_of(device: &Device) -> String {
    device.id().map_or_else(|_| "unnamed".to_owned(), |id| id.to_string())
}
