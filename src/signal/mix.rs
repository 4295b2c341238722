//! Several sources at once: `lsl://rat + audio://default?as=level`. Their channels stand side by side, each resampled to
//! [`MAPPING_RATE_HZ`]; what has its own clock is fetched as it comes, recordings and synthetic signals keep step with it.
//! Lives on the signal thread.

use std::collections::VecDeque;

use super::resample::Resampler;
use super::{Description, Flow, MAPPING_RATE_HZ, Read, Source, SourceError};

/// What stands between two sources.
const AND: &str = " + ";
const MOST: usize = 8;
const BLOCK_FRAMES: usize = 8192;
/// Clocks differ: a source that is ahead of the slowest by so many frames skips to where that one is.
const MOST_AHEAD: usize = MAPPING_RATE_HZ as usize;

/// Whether more than one source is written there.
pub fn is_several(text: &str) -> bool {
    text.contains(AND) && !std::path::Path::new(text).exists()
}

/// Opens all of them.
///
/// # Errors
/// That of the first that cannot be opened.
pub fn open(text: &str) -> Result<Box<dyn Source>, SourceError> {
    let texts: Vec<&str> = text.split(AND).collect();
    if texts.len() > MOST {
        return Err(SourceError::Message(format!("{text}: no more than {MOST} sources are mixed; leave some out")));
    }
    let parts = texts.into_iter().map(|text| Ok(Part::new(super::open(text)?)));
    let mut mix = Mix {
        description: Description::default(),
        parts: parts.collect::<Result<_, SourceError>>()?,
        block: Vec::new(),
    };
    mix.describe(text);
    Ok(Box::new(mix))
}

struct Part {
    source: Box<dyn Source>,
    /// None where the source has the common rate already.
    resampler: Option<Resampler>,
    width: usize,
    /// Frames at the common rate that wait for the other parts.
    queue: VecDeque<f64>,
    frame: Vec<f64>,
    ended: bool,
}

struct Mix {
    description: Description,
    parts: Vec<Part>,
    block: Vec<f64>,
}

impl Part {
    fn new(source: Box<dyn Source>) -> Self {
        let mut part =
            Self { source, resampler: None, width: 0, queue: VecDeque::new(), frame: Vec::new(), ended: false };
        part.rebuild();
        part
    }

    /// The source has these channels and this rate from here on.
    fn rebuild(&mut self) {
        let description = self.source.description();
        let common_hz = MAPPING_RATE_HZ as f64;
        let rate_hz = description.rate_hz;
        self.width = description.channels.len().max(1);
        self.resampler = (rate_hz != common_hz).then(|| Resampler::new(self.width, rate_hz, common_hz));
        self.frame = vec![0.0; self.width];
        self.queue.clear();
    }

    fn is_live(&self) -> bool {
        self.source.description().live
    }

    fn ready(&self) -> usize {
        self.queue.len() / self.width
    }

    /// Reads until so many frames are ready, or nothing more is there; true if the source has changed.
    fn fetch(&mut self, frames: usize, block: &mut Vec<f64>) -> Result<bool, SourceError> {
        let mut changed = false;
        while self.ready() < frames && !self.ended {
            block.clear();
            let rate = self.source.description().rate_hz / MAPPING_RATE_HZ as f64;
            let missing = ((frames - self.ready()) as f64 * rate).ceil().clamp(1.0, BLOCK_FRAMES as f64);
            let read = self.source.read(missing as usize, block)?;
            for frame in block.chunks_exact(self.width) {
                self.push(frame);
            }
            match read {
                Read::Frames(0) => break,
                Read::Frames(_) => {}
                Read::Changed => {
                    self.rebuild();
                    changed = true;
                }
                Read::End => self.finish(),
            }
        }
        Ok(changed)
    }

    fn push(&mut self, frame: &[f64]) {
        match &mut self.resampler {
            None => self.queue.extend(frame),
            Some(resampler) => {
                // What is missing must not spoil what is near it: the last value stands for it.
                for (kept, x) in self.frame.iter_mut().zip(frame) {
                    *kept = if x.is_finite() { *x } else { *kept };
                }
                resampler.push(&self.frame);
                drain(resampler, self.width, &mut self.queue);
            }
        }
    }

    fn finish(&mut self) {
        self.ended = true;
        if let Some(resampler) = &mut self.resampler {
            resampler.finish();
            drain(resampler, self.width, &mut self.queue);
        }
    }
}

fn drain(resampler: &mut Resampler, width: usize, queue: &mut VecDeque<f64>) {
    let mut out = vec![0.0; width];
    while resampler.pop(&mut out) {
        queue.extend(&out);
    }
}

impl Mix {
    fn describe(&mut self, name: &str) {
        let descriptions = || self.parts.iter().map(|part| part.source.description());
        let rate_hz = MAPPING_RATE_HZ as f64;
        let mut channels: Vec<_> = descriptions().flat_map(|description| description.channels.clone()).collect();
        channels.iter_mut().for_each(|channel| channel.rate_hz = rate_hz);
        self.description = Description {
            name: name.to_owned(),
            channels,
            rate_hz,
            duration_secs: descriptions().filter_map(|description| description.duration_secs).reduce(f64::min),
            odd: descriptions().flat_map(|description| description.odd.clone()).collect(),
            annotations: descriptions().flat_map(|description| description.annotations.clone()).collect(),
            live: descriptions().any(|description| description.live),
        };
        if self.description.live {
            self.description.duration_secs = None;
        }
    }

    /// How many whole frames there are, once what is too far ahead has been skipped.
    fn ready_live(&mut self) -> usize {
        let least = self.parts.iter().filter(|part| part.is_live()).map(Part::ready).min().unwrap_or(0);
        for part in self.parts.iter_mut().filter(|part| part.is_live()) {
            let ahead = part.ready() - least;
            if ahead > MOST_AHEAD {
                part.queue.drain(..ahead * part.width);
            }
        }
        least
    }
}

impl Source for Mix {
    fn description(&self) -> &Description {
        &self.description
    }

    fn read(&mut self, frames: usize, out: &mut Vec<f64>) -> Result<Read, SourceError> {
        let live = self.description.live;
        let mut changed = false;
        for part in self.parts.iter_mut().filter(|part| part.is_live() == live) {
            let wanted = if live { usize::MAX / part.width / 2 } else { frames };
            changed |= part.fetch(wanted, &mut self.block)?;
        }
        if changed {
            let name = self.description.name.clone();
            self.describe(&name);
            return Ok(Read::Changed);
        }
        let ready = if live { self.ready_live() } else { usize::MAX }.min(frames);
        for part in self.parts.iter_mut().filter(|part| live && !part.is_live()) {
            part.fetch(ready, &mut self.block)?;
        }
        let least = self.parts.iter().map(Part::ready).min().unwrap_or(0);
        let count = if live { ready } else { least.min(frames) };
        for _ in 0..count {
            for part in &mut self.parts {
                for _ in 0..part.width {
                    // Of a recording that is over while the others live on.
                    out.push(part.queue.pop_front().unwrap_or(f64::NAN));
                }
            }
        }
        let over = self.parts.iter().filter(|part| part.is_live() == live).any(|part| part.ended && part.ready() == 0);
        Ok(if count == 0 && frames > 0 && over { Read::End } else { Read::Frames(count) })
    }

    fn set(&mut self, knob: &str, value: &str) -> bool {
        self.parts.iter_mut().fold(false, |any, part| part.source.set(knob, value) | any)
    }

    fn state(&self) -> Option<&str> {
        self.parts.iter().find_map(|part| part.source.state().filter(|_| part.is_live() || !self.description.live))
    }

    /// Of the first part that is live.
    fn flow(&self) -> Option<&Flow> {
        self.parts.iter().find_map(|part| part.source.flow())
    }

    fn message(&mut self) -> Option<String> {
        self.parts.iter_mut().find_map(|part| part.source.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(url: &str, count: usize, at_once: usize) -> (usize, Vec<f64>) {
        let mut source = crate::signal::open(url).unwrap();
        let width = source.description().channels.len();
        let mut out = Vec::new();
        while out.len() < count * width {
            assert!(matches!(source.read(at_once, &mut out).unwrap(), Read::Frames(1..)));
        }
        out.truncate(count * width);
        (width, out)
    }

    #[test]
    fn channels_stand_side_by_side_and_each_is_what_it_is_alone() {
        let (rat, wind) = ("synth://rat?rate=512&channels=4", "synth://wind?rate=512");
        let (width, mixed) = frames(&format!("{rat} + {wind}"), 600, 100);
        let ((rat_width, rat), (wind_width, wind)) = (frames(rat, 600, 600), frames(wind, 600, 7));
        assert_eq!(width, rat_width + wind_width);
        for (n, frame) in mixed.chunks_exact(width).enumerate() {
            assert_eq!(frame[..rat_width], rat[n * rat_width..(n + 1) * rat_width]);
            assert_eq!(frame[rat_width..], wind[n * wind_width..(n + 1) * wind_width]);
        }
    }

    #[test]
    fn the_grouping_of_the_frames_makes_no_difference_to_other_rates() {
        let url = "synth://waves?rate=10 + synth://wind?rate=1000";
        assert_eq!(frames(url, 2000, 1), frames(url, 2000, 999));
    }

    #[test]
    fn the_part_that_cannot_be_opened_is_named() {
        let said = open("synth://rat + synth://wnid").err().unwrap().to_string();
        assert!(said.contains("synth://wnid") && said.contains("did you mean 'wind'"), "{said}");
    }
}
