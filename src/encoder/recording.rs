//! A source read into memory for training: conditioned, at the rate of the encoder, with the states that it knew of.

use super::{EncoderError, Shape, feed};
use crate::signal::{self, Read, Source, SourceError, conditioner::Conditioner, resample::Resampler};

/// Blocks in which a source is read: so exactly are its states known.
const BLOCKS_PER_SEC: f64 = 30.0;
/// Of an endless source, where nothing else is said.
const ENDLESS_SECS: f64 = 600.0;
/// Numbers of one recording in memory: two gigabytes.
const MOST_VALUES: f64 = 5e8;

/// All channels of a source at one rate.
#[derive(Debug, Clone)]
pub struct Recording {
    pub name: String,
    pub rate_hz: f64,
    /// Channel by channel.
    pub channels: Vec<Vec<f32>>,
    /// What the source said of its own state, from each moment on.
    pub states: Vec<(f64, String)>,
}

impl Recording {
    /// Reads so many seconds, or all there is (ten minutes of what has no end).
    ///
    /// # Errors
    /// A source that cannot be opened or read.
    pub fn read(address: &str, rate_hz: f64, secs: Option<f64>) -> Result<Self, EncoderError> {
        Self::from_source(signal::open(address)?, rate_hz, secs)
    }

    pub fn from_source(mut source: Box<dyn Source>, rate_hz: f64, secs: Option<f64>) -> Result<Self, EncoderError> {
        let description = source.description().clone();
        let (name, width, from_hz) = (description.name, description.channels.len(), description.rate_hz);
        if width == 0 || !(from_hz.is_finite() && from_hz > 0.0) {
            return Err(EncoderError::Message(format!("{name}: has no channels or no rate; choose another source")));
        }
        let secs = secs.or(description.duration_secs).unwrap_or(ENDLESS_SECS);
        if secs * rate_hz * width as f64 > MOST_VALUES {
            let what = format!("{name}: {secs:.0} s of {width} channels are more than fit into memory; use --seconds");
            return Err(EncoderError::Message(what));
        }
        let mut conditioner = Conditioner::new(width, from_hz, feed::SETTINGS);
        let mut resampler = Resampler::new(width, from_hz, rate_hz);
        let mut channels = vec![Vec::new(); width];
        let mut states: Vec<(f64, String)> = Vec::new();
        let mut frame = vec![0.0; width];
        let (mut read_frames, mut block) = (0_usize, Vec::new());
        let wanted = (secs * from_hz).round() as usize;
        while read_frames < wanted {
            block.clear();
            let frames = ((from_hz / BLOCKS_PER_SEC).ceil() as usize).clamp(1, wanted - read_frames);
            match source.read(frames, &mut block)? {
                Read::End => break,
                Read::Changed => return Err(changed(&name)),
                Read::Frames(0) => std::thread::sleep(std::time::Duration::from_millis(5)),
                Read::Frames(_) => {}
            }
            if let Some(state) = source.state()
                && states.last().is_none_or(|(_, last)| last != state)
            {
                states.push((read_frames as f64 / from_hz, state.to_owned()));
            }
            for new in block.chunks_exact_mut(width) {
                conditioner.run(new);
                resampler.push(new);
                while resampler.pop(&mut frame) {
                    channels.iter_mut().zip(&frame).for_each(|(channel, x)| channel.push(*x as f32));
                }
            }
            read_frames += block.len() / width;
        }
        resampler.finish();
        while resampler.pop(&mut frame) {
            channels.iter_mut().zip(&frame).for_each(|(channel, x)| channel.push(*x as f32));
        }
        Ok(Self { name, rate_hz, channels, states })
    }

    pub fn samples(&self) -> usize {
        self.channels.first().map_or(0, Vec::len)
    }

    pub fn secs(&self) -> f64 {
        self.samples() as f64 / self.rate_hz
    }

    /// The window that begins at a sample, as an encoder of this shape sees it: (channels, window).
    pub fn window(&self, shape: &Shape, first: usize) -> Vec<f32> {
        let mut values = Vec::with_capacity(shape.channels * shape.window);
        for channel in 0..shape.channels {
            let samples = &self.channels[channel % self.channels.len()];
            let there = samples.get(first..first + shape.window);
            values.extend_from_slice(there.unwrap_or(&vec![0.0; shape.window]));
        }
        feed::normalise(&mut values, shape.window);
        values
    }

    /// What the source said of itself at a moment.
    pub fn state_at(&self, secs: f64) -> Option<&str> {
        let after = self.states.partition_point(|(from, _)| *from <= secs);
        self.states[..after].last().map(|(_, state)| state.as_str())
    }
}

fn changed(name: &str) -> EncoderError {
    SourceError::Message(format!("{name}: its channels or rate changed while it was read; try again")).into()
}
