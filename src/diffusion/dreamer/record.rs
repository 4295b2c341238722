//! What the generating threads have done: rates and quantiles over the last pictures.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::diffusion::{Quantiles, Timing};

/// Pictures that rate and quantiles are taken from: ten seconds at full rate.
const REMEMBERED: usize = 300;
/// The rate is that of the last seconds.
const RATE_OVER: Duration = Duration::from_secs(3);

/// Notes of the models that nobody has read yet; what comes beyond is in the log alone.
const MOST_NOTES: usize = 16;

/// What the dreamer has done so far.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// As the card of the model that plays says.
    pub model: String,
    pub pictures: u64,
    /// Pictures a second over the last seconds; 0 before the second picture.
    pub pictures_per_s: f32,
    /// Requests that a newer one replaced before they were begun.
    pub replaced: u64,
    pub failures: u64,
    /// Why the last request failed; none once one has succeeded.
    pub error: Option<String>,
    pub picture: Quantiles,
    pub denoise: Quantiles,
    pub decode: Quantiles,
}

#[derive(Default)]
pub(super) struct Record {
    pub stats: Stats,
    notes: Vec<String>,
    finished: VecDeque<(Instant, f32, Timing)>,
}

impl Record {
    /// Another model plays: its pictures take other times.
    pub fn begin(&mut self, model: &str) {
        model.clone_into(&mut self.stats.model);
        self.stats.error = None;
        self.finished.clear();
    }

    pub fn note(&mut self, notes: Vec<String>) {
        for note in notes {
            tracing::warn!("{note}");
            if self.notes.len() < MOST_NOTES {
                self.notes.push(note);
            }
        }
    }

    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    pub fn succeeded(&mut self, began: Instant, timing: Timing) {
        let now = Instant::now();
        self.stats.pictures += 1;
        self.stats.error = None;
        if self.finished.len() == REMEMBERED {
            self.finished.pop_front();
        }
        self.finished.push_back((now, (now - began).as_secs_f32() * 1e3, timing));
    }

    pub fn failed(&mut self, why: String) {
        if self.stats.error.as_ref() != Some(&why) {
            tracing::error!("{why}");
        }
        self.stats.failures += 1;
        self.stats.error = Some(why);
    }

    pub fn sum_up(&self) -> Stats {
        let quantiles =
            |value: fn(&(Instant, f32, Timing)) -> f32| Quantiles::of(self.finished.iter().map(value).collect());
        let now = Instant::now();
        let recent: Vec<_> = self.finished.iter().map(|f| f.0).filter(|at| now - *at < RATE_OVER).collect();
        let pictures_per_s = match recent[..] {
            [first, .., last] => {
                // Between pictures the mean interval counts; after the last one a longer silence lowers the rate.
                let mean = (last - first) / (recent.len() - 1) as u32;
                let silence = (now - last).saturating_sub(2 * mean);
                (recent.len() - 1) as f32 / (last - first + silence).as_secs_f32().max(1e-6)
            }
            // Slower than a picture in three seconds: as long as the last one took.
            _ => self.finished.back().map_or(0.0, |(_, ms, _)| 1e3 / ms.max(1e3 * RATE_OVER.as_secs_f32() / 2.0)),
        };
        Stats {
            pictures_per_s: if self.finished.len() < 2 { 0.0 } else { pictures_per_s },
            picture: quantiles(|f| f.1),
            denoise: quantiles(|f| f.2.denoise_ms),
            decode: quantiles(|f| f.2.decode_ms),
            ..self.stats.clone()
        }
    }
}
