//! Plays the stretch by the virtual clock, as `render` does, and gathers what the figure shows.

use anyhow::{Result, bail};

use super::{
    kept::{self, Kept, MOST_SAMPLES},
    lane::{Lane, Scale},
};
use crate::{
    app::{dials::DreamDials, features::features, line::Line, setup::Setup, steering::Steering},
    control::Motion,
    diffusion::Picture,
    latent::Latent,
    signal::{Channel, HOPS_PER_SEC, Source},
    state::STATES,
};

/// Channels that are shown of a source with more.
pub const MOST_CHANNELS: usize = 16;
/// Moments whose latent and picture are shown.
pub const MOMENTS: usize = 8;

/// A latent and its picture, made of the signal up to a moment.
pub struct Moment {
    pub at_secs: f64,
    pub latent: Latent,
    pub picture: Picture,
}

/// What the figure shows.
pub struct Gathered {
    pub source: String,
    pub rate_hz: f64,
    /// Of the source.
    pub channels: usize,
    /// Those that are shown, and their samples.
    pub shown: Vec<Channel>,
    pub samples: Vec<Vec<f32>>,
    pub from_secs: f64,
    pub secs: f64,
    pub lanes: Vec<Lane>,
    pub moments: Vec<Moment>,
    pub mapping: String,
    pub model: String,
    pub steps: usize,
    pub preset: String,
}

/// Which channels are shown: all, or so many of them evenly chosen.
fn shown(channels: usize) -> Vec<usize> {
    let count = channels.min(MOST_CHANNELS);
    (0..count).map(|n| n * channels / count).collect()
}

/// A file without the folders that it lies in, which are nobody's business.
fn named(source: &str) -> String {
    let path = std::path::Path::new(source);
    let file = path.file_name().filter(|_| !source.contains("://"));
    file.map_or_else(|| source.to_owned(), |name| name.to_string_lossy().into_owned())
}

/// # Errors
/// The source has no such stretch, or fails; a picture cannot be made.
pub fn gather(setup: Setup, source: Box<dyn Source>, from_secs: f64, secs: f64) -> Result<Gathered> {
    let Setup { mut desk, mut model, .. } = setup;
    let table = desk.table().clone();
    let about = source.description().clone();
    let ends_secs = about.duration_secs.unwrap_or(f64::INFINITY);
    if from_secs >= ends_secs {
        bail!("{}: lasts {ends_secs:.3} s, so there is nothing --from {from_secs} on", about.name);
    }
    let secs = secs.min(ends_secs - from_secs);
    let shown = shown(about.channels.len());
    let range = (from_secs * about.rate_hz).round() as u64..((from_secs + secs) * about.rate_hz).round() as u64;
    let samples = (range.end - range.start) as usize;
    if samples < 2 || samples * shown.len() > MOST_SAMPLES {
        bail!(
            "{}: {samples} samples are {} for a figure; choose other --seconds",
            about.name,
            if samples < 2 { "too few" } else { "too many" }
        );
    }
    let shown_channels = shown.iter().map(|channel| about.channels[*channel].clone()).collect();
    let (kept, samples) = Kept::new(source, shown, range);
    let mut line = Line::with(Box::new(kept), &table)?;
    let (mut motion, mut steering) = (Motion::new(&table)?, Steering::new(&table)?);
    let dream = DreamDials::new(&table, model.card())?;

    let whole = || Scale::Range(0.0, 1.0);
    let states = Scale::Named(STATES.map(|state| state.name().to_owned()).into());
    let mut lanes = [
        Lane::new("level", whole()),
        Lane::new("onset", whole()),
        Lane::new("arousal", whole()),
        Lane::new("state", states),
    ];
    let hop_of = |secs: f64| (secs * HOPS_PER_SEC as f64).round() as u64;
    let last_hop = hop_of(from_secs + secs).max(1);
    // Each in the middle of its share of the figure.
    let mut due = (0..MOMENTS).map(|n| hop_of(from_secs + secs * (n as f64 + 0.5) / MOMENTS as f64).max(1)).peekable();
    let mut moments = Vec::new();
    for hop in 1..=last_hop {
        steering.tick(line.ear().mood(), &mut motion);
        motion
            .tick(1.0 / HOPS_PER_SEC as f64, &features(line.pulse(), line.ear().reading()))
            .into_iter()
            .for_each(|text| tracing::warn!("{text}"));
        let beat = motion.beat().position();
        desk.set_beat(beat);
        desk.tick(1.0 / HOPS_PER_SEC as f64).into_iter().for_each(|text| tracing::warn!("{text}"));
        line.set_beat(beat);
        let (_, latent) = line.latent_at_hop(hop, dream.latent_shape())?;
        line.messages().into_iter().for_each(|text| tracing::warn!("{text}"));
        let at_secs = hop as f64 / HOPS_PER_SEC as f64;
        if at_secs >= from_secs {
            let (pulse, reading) = (line.pulse(), line.ear().reading());
            let state = STATES.iter().position(|state| *state == reading.state).unwrap_or_default();
            for (lane, value) in lanes.iter_mut().zip([pulse.level, pulse.onset, reading.arousal, state as f32]) {
                lane.values.push((at_secs, value));
            }
        }
        if due.peek().is_some_and(|due| *due <= hop) {
            while due.next_if(|due| *due <= hop).is_some() {}
            if let Some(latent) = latent {
                let mut picture = Picture::empty();
                model.generate(&latent, &dream.conditioning_in(line.ear().mood()), dream.steps(), &mut picture)?;
                moments.push(Moment { at_secs, latent, picture });
            }
        }
    }
    Ok(Gathered {
        source: named(&about.name),
        rate_hz: about.rate_hz,
        channels: about.channels.len(),
        shown: shown_channels,
        samples: kept::taken(&samples),
        from_secs,
        secs,
        lanes: lanes.into(),
        moments,
        mapping: line.mapping_name().to_owned(),
        model: model.card().name.clone(),
        steps: dream.steps(),
        preset: desk.current().map_or_else(String::new, |preset| preset.name.clone()),
    })
}
