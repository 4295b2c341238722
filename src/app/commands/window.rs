//! One moment of a signal as an encoder sees it: for `encoder embed` and `dream --source`.

use anyhow::{Result, bail};

use crate::{
    encoder::{Shape, feed},
    signal::{self, Intake, MAPPING_RATE_HZ, Read},
};

/// Which moment of which signal.
pub struct Moment<'a> {
    pub source: &'a str,
    /// Where the window ends; the first possible moment if none.
    pub at: Option<f64>,
    /// The samples as they are: no filters, no resampling, no normalisation.
    pub raw_input: bool,
}

impl Moment<'_> {
    /// (channels, window), channel by channel.
    pub fn window(&self, shape: &Shape) -> Result<Vec<f32>> {
        if self.raw_input { self.raw(shape) } else { self.conditioned(shape) }
    }

    /// As in a show: conditioned, at 512 Hz, then as the encoder sees it.
    fn conditioned(&self, shape: &Shape) -> Result<Vec<f32>> {
        let rate_hz = MAPPING_RATE_HZ as f64;
        let mut intake = Intake::open(self.source, feed::SETTINGS)?;
        let frames = feed::frames_needed(shape, rate_hz);
        let end = self.at.map_or(frames as f64, |at| (at * rate_hz).round());
        if end < frames as f64 {
            bail!(self.too_early(frames as f64 / rate_hz));
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
            bail!(self.too_late(reached_secs));
        };
        Ok(feed::window(shape, &samples, intake.description().channels.len(), rate_hz))
    }

    /// The samples as they are; a whole recording that is shorter than the window is stretched.
    fn raw(&self, shape: &Shape) -> Result<Vec<f32>> {
        let mut source = signal::open(self.source)?;
        let (width, rate_hz) = (source.description().channels.len(), source.description().rate_hz);
        let end = self.at.map(|at| (at * rate_hz).round() as usize);
        let wanted = end.unwrap_or(shape.window);
        let mut samples = Vec::new();
        while samples.len() < wanted * width {
            match source.read(wanted - samples.len() / width, &mut samples)? {
                Read::Frames(0) => std::thread::sleep(std::time::Duration::from_millis(5)),
                Read::Frames(_) => {}
                Read::Changed => bail!("{}: changed while it was read; try again", self.source),
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
            Some(end) if end < shape.window => bail!(self.too_early(shape.window as f64 / rate_hz)),
            Some(_) if there < shape.window => bail!(self.too_late(there as f64 / rate_hz)),
            _ if there < 2 => bail!("{}: holds {there} samples, which are no window", self.source),
            _ => Ok(feed::raw_window(shape, &samples, width)),
        }
    }

    fn too_early(&self, first_secs: f64) -> String {
        format!(
            "{}: the encoder sees {first_secs:.3} s before its moment, so the first possible --at is {first_secs:.3}, \
             not {}",
            self.source,
            self.at.unwrap_or_default()
        )
    }

    fn too_late(&self, reached_secs: f64) -> String {
        format!(
            "{}: ends after {reached_secs:.3} s, so there is no window that ends at {}; the last possible --at is \
             {reached_secs:.3}",
            self.source,
            self.at.unwrap_or_default()
        )
    }
}
