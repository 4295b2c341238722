//! A column of the spectrogram: the power of the last second of signal over frequency.
//!
//! A radix-2 transform (Cooley and Tukey 1965) of each channel under a Hann window; powers are averaged over the
//! channels, times frequency, because the power of brains, voices and wind falls as one over it: what is left shows
//! rhythms and not the fall.

use std::f32::consts::PI;

/// Samples in a column: one second of the scope's 512 a second.
pub const SAMPLES: usize = 512;
/// Rows of a column, from [`LOWEST_HZ`] to [`HIGHEST_HZ`] in equal ratios.
pub const ROWS: usize = 96;
pub const LOWEST_HZ: f32 = 1.0;
pub const HIGHEST_HZ: f32 = 200.0;
/// What lies this far below the strongest is black.
const RANGE_DB: f32 = 36.0;

/// Makes columns; keeps what each needs.
pub struct Spectrum {
    hann: Vec<f32>,
    /// cos and sin of the transform.
    turns: Vec<(f32, f32)>,
    re: Vec<f32>,
    im: Vec<f32>,
    power: Vec<f32>,
    /// The strongest of late, in dB; 0 dB of the colours. None until something was heard.
    loudest_db: Option<f32>,
}

impl Default for Spectrum {
    fn default() -> Self {
        let turn = |i: usize| -2.0 * PI * i as f32 / SAMPLES as f32;
        Self {
            hann: (0..SAMPLES).map(|i| 0.5 - 0.5 * turn(i).cos()).collect(),
            turns: (0..SAMPLES / 2).map(|i| (turn(i).cos(), turn(i).sin())).collect(),
            re: vec![0.0; SAMPLES],
            im: vec![0.0; SAMPLES],
            power: vec![0.0; SAMPLES / 2],
            loudest_db: None,
        }
    }
}

/// The row of a frequency, 0 at the bottom, as a fraction of all rows.
pub fn height_of(hz: f32) -> f32 {
    (hz / LOWEST_HZ).ln() / (HIGHEST_HZ / LOWEST_HZ).ln()
}

impl Spectrum {
    /// Brightness 0..1 of each row, the lowest frequency first, of the newest [`SAMPLES`] of some channels.
    pub fn column<'a>(&mut self, channels: impl Iterator<Item = &'a [f32]>, rate_hz: f32) -> Vec<f32> {
        self.power.fill(0.0);
        let mut heard = 0;
        for samples in channels {
            if let Some(newest) = samples.len().checked_sub(SAMPLES) {
                self.add(&samples[newest..]);
                heard += 1;
            }
        }
        let total: f32 = self.power.iter().sum();
        if heard == 0 || total <= 0.0 || !total.is_finite() || rate_hz <= 0.0 {
            return vec![0.0; ROWS];
        }
        let bin_hz = rate_hz / SAMPLES as f32;
        let db: Vec<f32> = (0..ROWS).map(|row| 10.0 * self.at_row(row, bin_hz).max(1e-30).log10()).collect();
        let now = db.iter().copied().fold(f32::MIN, f32::max);
        let loudest = match self.loudest_db {
            // Up at once, down in half a minute: a burst stands out and does not dim what was before it for long.
            Some(before) => now.max(before - 0.1),
            None => now,
        };
        self.loudest_db = Some(loudest);
        db.into_iter().map(|db| (1.0 + (db - loudest) / RANGE_DB).clamp(0.0, 1.0)).collect()
    }

    /// Another source: its loudness is its own.
    pub fn forget(&mut self) {
        self.loudest_db = None;
    }

    /// Power times frequency in a row: the strongest of the bins that it spans, or between two where it spans none.
    fn at_row(&self, row: usize, bin_hz: f32) -> f32 {
        let hz = |row: f32| LOWEST_HZ * (HIGHEST_HZ / LOWEST_HZ).powf(row / ROWS as f32);
        let last = (self.power.len() - 1) as f32;
        let (from, to) = (hz(row as f32) / bin_hz, hz(row as f32 + 1.0) / bin_hz);
        if from > last {
            return 0.0;
        }
        let weighted = |bin: usize| self.power[bin] * bin as f32;
        let (first, after) = (from.ceil() as usize, to.min(last).floor() as usize);
        let spanned = (first..=after).map(weighted).fold(0.0, f32::max);
        if spanned > 0.0 {
            return spanned;
        }
        let middle = (0.5 * (from + to)).min(last);
        let (below, part) = (middle.floor() as usize, middle.fract());
        weighted(below) * (1.0 - part) + weighted((below + 1).min(last as usize)) * part
    }

    fn add(&mut self, samples: &[f32]) {
        let known = |x: f32| if x.is_finite() { x } else { 0.0 };
        let mean = samples.iter().copied().map(known).sum::<f32>() / SAMPLES as f32;
        for (i, sample) in samples.iter().enumerate() {
            let to = i.reverse_bits() >> (usize::BITS - SAMPLES.ilog2());
            self.re[to] = (known(*sample) - mean) * self.hann[i];
            self.im[to] = 0.0;
        }
        let mut size = 2;
        while size <= SAMPLES {
            let (half, stride) = (size / 2, SAMPLES / size);
            for start in (0..SAMPLES).step_by(size) {
                for k in 0..half {
                    let (cos, sin) = self.turns[k * stride];
                    let (a, b) = (start + k, start + k + half);
                    let re = self.re[b] * cos - self.im[b] * sin;
                    let im = self.re[b] * sin + self.im[b] * cos;
                    (self.re[b], self.im[b]) = (self.re[a] - re, self.im[a] - im);
                    (self.re[a], self.im[a]) = (self.re[a] + re, self.im[a] + im);
                }
            }
            size *= 2;
        }
        for (bin, power) in self.power.iter_mut().enumerate() {
            *power += self.re[bin] * self.re[bin] + self.im[bin] * self.im[bin];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f32, n: usize) -> Vec<f32> {
        (0..n).map(|i| (2.0 * PI * hz * i as f32 / 512.0).sin()).collect()
    }

    fn brightest(column: &[f32]) -> usize {
        (0..ROWS).max_by(|a, b| column[*a].total_cmp(&column[*b])).unwrap()
    }

    #[test]
    fn a_tone_is_brightest_at_its_own_height_and_dark_two_octaves_away() {
        for hz in [4.0, 8.0, 40.0, 120.0] {
            let signal = tone(hz, 700);
            let column = Spectrum::default().column([&signal[..]].into_iter(), 512.0);
            let row = brightest(&column);
            assert!((row as f32 / ROWS as f32 - height_of(hz)).abs() < 0.03, "{hz} Hz is at row {row}");
            let away = ((height_of(hz / 4.0).max(0.0)) * ROWS as f32) as usize;
            assert!(column[away] < 0.2, "{hz} Hz: {}", column[away]);
        }
    }

    #[test]
    fn the_transform_is_that_of_the_definition() {
        let signal: Vec<f32> = (0..SAMPLES).map(|i| ((i * i * 7919) % 101) as f32 - 50.0).collect();
        let mut spectrum = Spectrum::default();
        spectrum.add(&signal);
        let mean = signal.iter().sum::<f32>() / SAMPLES as f32;
        for bin in [0, 1, 7, 100, 255] {
            let (mut re, mut im) = (0.0_f64, 0.0_f64);
            for (i, x) in signal.iter().enumerate() {
                let windowed = f64::from((x - mean) * spectrum.hann[i]);
                let turn = -2.0 * std::f64::consts::PI * (bin * i) as f64 / SAMPLES as f64;
                re += windowed * turn.cos();
                im += windowed * turn.sin();
            }
            let naive = re * re + im * im;
            assert!((f64::from(spectrum.power[bin]) - naive).abs() < 1e-3 * naive.max(1e4), "bin {bin}");
        }
    }

    #[test]
    fn silence_too_little_signal_and_broken_numbers_are_dark() {
        let mut spectrum = Spectrum::default();
        let flat = vec![5.0; 600];
        let broken = vec![f32::NAN; 600];
        for channels in [vec![], vec![&flat[..]], vec![&flat[..100]], vec![&broken[..]]] {
            let column = spectrum.column(channels.into_iter(), 512.0);
            assert_eq!(column, vec![0.0; ROWS]);
        }
    }

    #[test]
    fn a_loud_moment_dims_what_follows_until_it_is_forgotten() {
        let (loud, soft) = (tone(10.0, 512).iter().map(|x| 100.0 * x).collect::<Vec<_>>(), tone(10.0, 512));
        let mut spectrum = Spectrum::default();
        let peak = |column: Vec<f32>| column.into_iter().fold(0.0, f32::max);
        assert_eq!(peak(spectrum.column([&loud[..]].into_iter(), 512.0)), 1.0);
        assert!(peak(spectrum.column([&soft[..]].into_iter(), 512.0)) < 0.1);
        spectrum.forget();
        assert_eq!(peak(spectrum.column([&soft[..]].into_iter(), 512.0)), 1.0);
    }
}
