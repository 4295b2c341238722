//! `wavedream latent`: the noise that one moment of a signal becomes, as a file for numpy.
//!
//! The signal is taken as it is: no filters, so that the result can be computed again from the recording alone. A
//! mapping that remembers sees the signal from its start, a thirtieth of a second at a time.

use anyhow::{Result, bail};

use super::mapping_named;
use crate::{
    app::cli::LatentArgs,
    latent::npy,
    signal::{HOPS_PER_SEC, Intake, MAPPING_RATE_HZ, Settings},
};

pub fn run(args: &LatentArgs) -> Result<()> {
    let mut mapping = mapping_named(&args.mapping)?;
    let samples = mapping.samples(args.shape);
    let first_secs = samples as f64 / MAPPING_RATE_HZ as f64;
    let at_secs = args.at.unwrap_or(first_secs);
    let mut intake = Intake::open(&args.source, Settings::default())?;
    if to_sample(at_secs) < samples as i64 {
        bail!(
            "{}: {} needs {first_secs} s of signal before its moment, so the first possible --at is {first_secs}, not \
             {at_secs}",
            args.source,
            args.mapping
        );
    }
    let mut values = vec![0.0; args.shape.len()];
    let mut hop = intake.first_hop(samples);
    while ((hop * MAPPING_RATE_HZ / HOPS_PER_SEC) as i64) < to_sample(at_secs) {
        intake.advance_to(hop as f64 / HOPS_PER_SEC as f64)?;
        let Some(window) = intake.window_at_hop(hop, samples) else {
            break;
        };
        mapping.map(&window, args.shape, &mut values);
        hop += 1;
    }
    let reached_secs = intake.advance_to(at_secs)?.reached_secs;
    let Some(window) = intake.window_ending_at(at_secs, samples) else {
        bail!(
            "{}: ends after {reached_secs:.3} s, so there is no --at {at_secs}; the last possible one is \
               {reached_secs:.3}",
            args.source
        );
    };
    mapping.map(&window, args.shape, &mut values);
    Ok(npy::write(&args.output, args.shape, &values)?)
}

/// To the nearest sample, as the window is taken.
fn to_sample(secs: f64) -> i64 {
    (secs * MAPPING_RATE_HZ as f64).round() as i64
}
