//! A source made of a formula, and spectra by the plainest means.

use std::f64::consts::TAU;

use wavedream::signal::{Channel, Description, Intake, Read, Source, SourceError};

pub struct Made<F> {
    description: Description,
    value: F,
    at: u64,
    frames: u64,
}

impl<F: FnMut(u64, usize) -> f64 + Send + 'static> Made<F> {
    pub fn new(channels: usize, rate_hz: f64, frames: u64, value: F) -> Box<dyn Source> {
        let channels =
            (0..channels).map(|number| Channel { name: format!("c{number}"), unit: "V".into(), rate_hz }).collect();
        let description = Description {
            name: "made".into(),
            channels,
            rate_hz,
            duration_secs: Some(frames as f64 / rate_hz),
            ..Description::default()
        };
        Box::new(Self { description, value, at: 0, frames })
    }
}

impl<F: FnMut(u64, usize) -> f64 + Send> Source for Made<F> {
    fn description(&self) -> &Description {
        &self.description
    }
    fn read(&mut self, frames: usize, out: &mut Vec<f64>) -> Result<Read, SourceError> {
        let count = (frames as u64).min(self.frames - self.at);
        if count == 0 {
            return Ok(Read::End);
        }
        for frame in self.at..self.at + count {
            for channel in 0..self.description.channels.len() {
                out.push((self.value)(frame, channel));
            }
        }
        self.at += count;
        Ok(Read::Frames(count as usize))
    }
}

/// White noise that depends on its place only.
pub fn noise(frame: u64, channel: usize) -> f64 {
    let mut z = (frame << 10 | channel as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// The first `count` frames of a source, whole.
pub fn frames(source: &mut dyn Source, count: usize) -> Vec<Vec<f64>> {
    let width = source.description().channels.len();
    let mut out = Vec::new();
    while out.len() < count * width {
        let left = count - out.len() / width;
        match source.read(left, &mut out).unwrap() {
            Read::Frames(0) | Read::Changed | Read::End => break,
            Read::Frames(_) => {}
        }
    }
    out.chunks_exact(width).map(<[f64]>::to_vec).collect()
}

pub fn channel(frames: &[Vec<f64>], number: usize) -> Vec<f64> {
    frames.iter().map(|frame| frame[number]).collect()
}

/// All samples of one of the 32 channels over whole seconds, cut as windows of a second.
pub fn window_channel(intake: &mut Intake, secs: std::ops::RangeInclusive<u64>, number: usize) -> Vec<f64> {
    let mut out = Vec::new();
    for end in secs {
        intake.advance_to(end as f64).unwrap();
        let window = intake.window_ending_at(end as f64, 512).unwrap();
        out.extend(window.samples.as_chunks::<32>().0.iter().map(|frame| frame[number]));
    }
    out
}

/// The complex amplitude at one frequency, under a Hann window.
pub fn phasor(x: &[f64], rate_hz: f64, hz: f64) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let (mut re, mut im) = (0.0, 0.0);
    for (index, x) in x.iter().enumerate() {
        let window = 1.0 - (TAU * (index as f64 + 0.5) / n).cos();
        let (sin, cos) = (TAU * hz * index as f64 / rate_hz).sin_cos();
        re += window * (x - mean) * cos;
        im -= window * (x - mean) * sin;
    }
    (2.0 * re / n, 2.0 * im / n)
}

/// Amplitude of a sine at one frequency.
pub fn amplitude(x: &[f64], rate_hz: f64, hz: f64) -> f64 {
    let (re, im) = phasor(x, rate_hz, hz);
    re.hypot(im)
}

/// Mean power density between two frequencies, over segments of a second.
pub fn band(x: &[f64], rate_hz: f64, from_hz: f64, to_hz: f64) -> f64 {
    let mut sum = 0.0;
    let mut count = 0.0;
    for segment in x.chunks_exact((2.0 * rate_hz) as usize) {
        let mut hz = from_hz;
        while hz <= to_hz {
            sum += amplitude(segment, rate_hz, hz).powi(2);
            count += 1.0;
            hz += ((to_hz - from_hz) / 8.0).max(0.5);
        }
    }
    sum / count
}

pub fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (ma, mb) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        ab += (a - ma) * (b - mb);
        aa += (a - ma).powi(2);
        bb += (b - mb).powi(2);
    }
    ab / (aa * bb).sqrt()
}

pub fn deviation(x: &[f64]) -> f64 {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64).sqrt()
}

pub fn largest_step(x: &[f64]) -> f64 {
    x.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f64::max)
}
