//! `wavedream encoder embed`: the tokens of one moment of a signal, as a file for numpy.

use anyhow::{Result, bail};
use candle_core::Device;

use crate::{
    app::cli::EmbedArgs,
    encoder::{self, Net, Shape, feed},
    latent::npy,
    signal::{self, Intake, MAPPING_RATE_HZ, Read},
};

pub fn run(args: &EmbedArgs) -> Result<()> {
    let device = Device::Cpu;
    let store = encoder::load(&args.encoder, &device)?;
    let net = Net::new(&store.shape()?, &store, &device)?;
    drop(store);
    let window = if args.raw_input { raw_window(args, &net.shape)? } else { window(args, &net.shape)? };
    let tokens = net.tokens(&window, &device)?;
    let sizes = tokens.dims().to_vec();
    Ok(npy::write_array(&args.output, &sizes, &tokens.flatten_all()?.to_vec1::<f32>()?)?)
}

/// As in a show: conditioned, at 512 Hz, then as the encoder sees it.
fn window(args: &EmbedArgs, shape: &Shape) -> Result<Vec<f32>> {
    let rate_hz = MAPPING_RATE_HZ as f64;
    let mut intake = Intake::open(&args.source, feed::SETTINGS)?;
    let frames = feed::frames_needed(shape, rate_hz);
    let end = args.at.map_or(frames as f64, |at| (at * rate_hz).round());
    if end < frames as f64 {
        bail!(too_early(args, frames as f64 / rate_hz));
    }
    let mut reached_secs = 0.0;
    // By seconds: the source's channels are kept for a few of them only.
    while reached_secs * rate_hz < end {
        let before = reached_secs;
        let progress = intake.advance_to((before + 1.0).min(end / rate_hz))?;
        reached_secs = progress.reached_secs;
        if progress.ended || reached_secs == before {
            break;
        }
    }
    let Some(samples) = intake.channels_before(end as u64, frames) else {
        bail!(too_late(args, reached_secs));
    };
    Ok(feed::window(shape, &samples, intake.description().channels.len(), rate_hz))
}

/// The samples as they are; a whole recording that is shorter than the window is stretched.
fn raw_window(args: &EmbedArgs, shape: &Shape) -> Result<Vec<f32>> {
    let mut source = signal::open(&args.source)?;
    let (width, rate_hz) = (source.description().channels.len(), source.description().rate_hz);
    let end = args.at.map(|at| (at * rate_hz).round() as usize);
    let wanted = end.unwrap_or(shape.window);
    let mut samples = Vec::new();
    while samples.len() < wanted * width {
        match source.read(wanted - samples.len() / width, &mut samples)? {
            Read::Frames(0) => std::thread::sleep(std::time::Duration::from_millis(5)),
            Read::Frames(_) => {}
            Read::Changed => bail!("{}: changed while it was read; try again", args.source),
            Read::End => break,
        }
        // Only the end is wanted.
        let surplus = (samples.len() / width).min(wanted).saturating_sub(shape.window);
        if end.is_some() && samples.len() == wanted * width {
            samples.drain(..surplus * width);
            break;
        }
    }
    let there = samples.len() / width.max(1);
    match end {
        Some(end) if end < shape.window => bail!(too_early(args, shape.window as f64 / rate_hz)),
        Some(_) if there < shape.window => bail!(too_late(args, there as f64 / rate_hz)),
        _ if there < 2 => bail!("{}: holds {there} samples, which are no window", args.source),
        _ => Ok(feed::raw_window(shape, &samples, width)),
    }
}

fn too_early(args: &EmbedArgs, first_secs: f64) -> String {
    format!(
        "{}: the encoder sees {first_secs:.3} s before its moment, so the first possible --at is {first_secs:.3}, not {}",
        args.source,
        args.at.unwrap_or_default()
    )
}

fn too_late(args: &EmbedArgs, reached_secs: f64) -> String {
    format!(
        "{}: ends after {reached_secs:.3} s, so there is no window that ends at {}; the last possible --at is \
         {reached_secs:.3}",
        args.source,
        args.at.unwrap_or_default()
    )
}
