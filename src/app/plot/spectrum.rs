//! The spectrogram: power spectral densities of windows along the stretch (Welch 1967, doi 10.1109/TAU.1967.1161901), the
//! mean of the channels shown, in decibels.

use std::f64::consts::TAU;

use realfft::RealFftPlanner;

use super::gather::Gathered;

/// Columns of the picture at most.
const COLUMNS: usize = 950;
/// A spectrogram of fewer samples says nothing.
const LEAST_SAMPLES: usize = 16;
/// Of the power, shown as the ends of the colours.
const SHOWN: [f64; 2] = [0.02, 0.999];
/// Frequencies beyond are not shown where slower ones are what matters.
const MOST_HZ: f64 = 256.0;
const SOUND_HZ: f64 = 4000.0;

/// What is drawn.
pub struct Spectrogram {
    /// One list a column, from 0 Hz to half the rate, in dB.
    pub columns: Vec<Vec<f64>>,
    /// Between two of a column.
    pub step_hz: f64,
    pub from_hz: f64,
    pub to_hz: f64,
    /// Ends of the colours.
    pub low_db: f64,
    pub high_db: f64,
    pub window_secs: f64,
    /// Of the stretch on both sides, where no whole window is centred.
    pub edge_secs: f64,
}

/// None where there are too few samples.
pub fn spectrogram(gathered: &Gathered) -> Option<Spectrogram> {
    let rate_hz = gathered.rate_hz;
    let samples = gathered.samples.first().map_or(0, Vec::len);
    let wanted_secs = (gathered.secs / 20.0).clamp(0.5, 2.0).max(64.0 / rate_hz).min(0.4 * gathered.secs);
    let length = ((wanted_secs * rate_hz).round() as usize).clamp(1, 1 << 16);
    if samples < LEAST_SAMPLES || length < LEAST_SAMPLES / 2 || length > samples {
        return None;
    }
    let padded = (2 * length).next_power_of_two();
    let hann: Vec<f64> = (0..length).map(|n| 0.5 - 0.5 * (TAU * (n as f64 + 0.5) / length as f64).cos()).collect();
    let power_of_window: f64 = hann.iter().map(|w| w * w).sum();
    let transform = RealFftPlanner::<f64>::new().plan_fft_forward(padded);
    let (mut input, mut output) = (transform.make_input_vec(), transform.make_output_vec());
    let count = COLUMNS.min(samples - length + 1).max(2);
    let channels: Vec<Vec<f64>> = gathered.samples.iter().map(|channel| bridged(channel)).collect();
    let mut columns = Vec::with_capacity(count);
    for column in 0..count {
        let start = ((column as f64 + 0.5) / count as f64 * (samples - length) as f64) as usize;
        let mut power = vec![0.0; output.len()];
        for channel in &channels {
            let part = &channel[start..start + length];
            let mean = part.iter().sum::<f64>() / length as f64;
            input.fill(0.0);
            for ((to, x), w) in input.iter_mut().zip(part).zip(&hann) {
                *to = (x - mean) * w;
            }
            if transform.process(&mut input, &mut output).is_ok() {
                power.iter_mut().zip(&output).for_each(|(sum, bin)| *sum += bin.norm_sqr());
            }
        }
        let scale = 2.0 / (rate_hz * power_of_window * channels.len() as f64);
        columns.push(power.into_iter().map(|power| 10.0 * (power * scale).max(1e-30).log10()).collect::<Vec<_>>());
    }
    let window_secs = length as f64 / rate_hz;
    let to_hz = if rate_hz > SOUND_HZ { 0.5 * rate_hz } else { (0.5 * rate_hz).min(MOST_HZ) };
    let from_hz = (1.0 / window_secs).min(0.25 * to_hz);
    let step_hz = rate_hz / padded as f64;
    let mut seen: Vec<f64> = Vec::new();
    for column in columns.iter().step_by(3) {
        let bins = (from_hz / step_hz) as usize..=((to_hz / step_hz) as usize).min(column.len() - 1);
        seen.extend(&column[bins]);
    }
    seen.sort_by(f64::total_cmp);
    let [low_db, high_db] = SHOWN.map(|share| seen[((seen.len() - 1) as f64 * share) as usize]);
    let high_db = high_db.max(low_db + 1.0);
    let edge_secs = 0.5 * window_secs;
    Some(Spectrogram { columns, step_hz, from_hz, to_hz, low_db, high_db, window_secs, edge_secs })
}

impl Spectrogram {
    /// Between the bins, in dB.
    pub fn at(&self, column: usize, hz: f64) -> f64 {
        let place = hz / self.step_hz;
        let bins = &self.columns[column];
        let left = (place as usize).min(bins.len() - 2);
        let part = (place - left as f64).clamp(0.0, 1.0);
        bins[left] + part * (bins[left + 1] - bins[left])
    }

    pub fn is_wide(&self) -> bool {
        self.to_hz / self.from_hz > 30.0
    }
}

/// The last number stands for what is missing.
fn bridged(samples: &[f32]) -> Vec<f64> {
    let mut last = samples.iter().copied().find(|x| x.is_finite()).unwrap_or(0.0);
    let number = |x: &f32| {
        if x.is_finite() {
            last = *x;
        }
        f64::from(last)
    };
    samples.iter().map(number).collect()
}
