//! Which delays and mixtures make 32 channels out of fewer or more.
//!
//! Fewer: the first outputs are the channels themselves, each further one a signed sum of a few delayed copies. They
//! are chosen one after the other, each the best of some random candidates: the one whose greatest correlation with
//! those chosen before is smallest, for a signal with the memory of a field potential or of wind (a mixture of
//! exponentials). Deterministic, a few milliseconds. The kin of these sums are the sparse "velvet" decorrelators of
//! audio (Alary, Politis, Välimäki 2017, "Velvet-noise decorrelator", DAFx).

use crate::signal::random::Random;
use crate::signal::{MAPPING_RATE_HZ, WINDOW_CHANNELS};

/// One delayed copy in an output channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tap {
    pub channel: usize,
    pub delay_frames: usize,
    pub gain: f64,
}

const TAPS: usize = 5;
const CANDIDATES: usize = 64;
/// Part of the span in which the first copy of each output lies, so that each answers soon to what happens.
const FIRST_WITHIN: f64 = 0.2;
/// Assumed correlation between two channels of one source.
const BETWEEN_CHANNELS: f64 = 0.3;
/// Assumed memory of the signal: (weight, time constant as part of the span).
const MEMORY: [(f64, f64); 4] = [(0.3, 0.01), (0.3, 0.05), (0.25, 0.2), (0.15, 0.8)];

/// The taps of each of the 32 outputs for a source of `channels` channels (not 32), with delays up to `span_secs`.
pub fn taps(channels: usize, span_secs: f64) -> Vec<Vec<Tap>> {
    if channels > WINDOW_CHANNELS { gathered(channels) } else { spread(channels, span_secs) }
}

/// Neighbours are averaged: outputs share the channels evenly, in their order.
fn gathered(channels: usize) -> Vec<Vec<Tap>> {
    let mut outputs = vec![Vec::new(); WINDOW_CHANNELS];
    for channel in 0..channels {
        outputs[channel * WINDOW_CHANNELS / channels].push(Tap { channel, delay_frames: 0, gain: 1.0 });
    }
    for output in &mut outputs {
        let gain = 1.0 / (output.len() as f64).sqrt();
        output.iter_mut().for_each(|tap| tap.gain = gain);
    }
    outputs
}

fn spread(channels: usize, span_secs: f64) -> Vec<Vec<Tap>> {
    let span_frames = span_secs * MAPPING_RATE_HZ as f64;
    let memory: Vec<f64> = (0..=span_frames.ceil() as usize)
        .map(|apart| MEMORY.iter().map(|(weight, part)| weight * (-(apart as f64) / (part * span_frames)).exp()).sum())
        .collect();
    let covariance = |a: &[Tap], b: &[Tap]| -> f64 {
        let mut sum = 0.0;
        for one in a {
            for other in b {
                let between = if one.channel == other.channel { 1.0 } else { BETWEEN_CHANNELS };
                sum += one.gain * other.gain * between * memory[one.delay_frames.abs_diff(other.delay_frames)];
            }
        }
        sum
    };
    let mut random = Random::new(0x5eed_0020);
    let mut outputs: Vec<Vec<Tap>> =
        (0..channels).map(|channel| vec![Tap { channel, delay_frames: 0, gain: 1.0 }]).collect();
    while outputs.len() < WINDOW_CHANNELS {
        let own = outputs.len() % channels;
        let best = (0..CANDIDATES)
            .filter_map(|_| {
                let mut candidate: Vec<Tap> = (0..TAPS)
                    .map(|tap| {
                        let within = if tap == 0 { FIRST_WITHIN } else { 1.0 };
                        let elsewhere = tap > 0 && random.unit() < 0.5;
                        let channel = if elsewhere { (random.unit() * channels as f64) as usize } else { own };
                        Tap {
                            channel,
                            delay_frames: (random.unit() * within * span_frames) as usize,
                            gain: random.sign() * random.between(0.5, 1.0),
                        }
                    })
                    .collect();
                let variance = covariance(&candidate, &candidate);
                if variance < 0.05 {
                    return None;
                }
                candidate.iter_mut().for_each(|tap| tap.gain /= variance.sqrt());
                let likeness = outputs.iter().map(|output| covariance(output, &candidate).abs()).fold(0.0, f64::max);
                Some((likeness, candidate))
            })
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let fallback = || vec![Tap { channel: own, delay_frames: (outputs.len() * 37) % memory.len(), gain: 1.0 }];
        let chosen = best.map_or_else(fallback, |(_, candidate)| candidate);
        outputs.push(chosen);
    }
    outputs
}
