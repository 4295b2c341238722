//! The bank of filters: the power of each band in each channel, a hop at a time.
//!
//! Each band is a Butterworth high-pass and a low-pass, 12 dB an octave to both sides; the coefficients are the same for
//! all channels, whose states lie side by side, so that the compiler takes several at once. Ten bands of 32 channels
//! at 512 Hz are some 0.02 ms a hop.

use super::Kind;
use crate::signal::{MAPPING_RATE_HZ, filter::Biquad};

/// Channels that are listened to; of more, evenly chosen ones.
pub const MOST_CHANNELS: usize = 32;
/// One value a channel.
pub type PerChannel = [f64; MOST_CHANNELS];

pub const BANDS: usize = 8;
/// As features and parameters call them.
pub const BAND_NAMES: [&str; BANDS] =
    ["delta", "theta", "alpha", "sigma", "beta", "low_gamma", "high_gamma", "ripple_band"];
pub const DELTA: usize = 0;
pub const THETA: usize = 1;
pub const ALPHA: usize = 2;
pub const SIGMA: usize = 3;
pub const BETA: usize = 4;
pub const LOW_GAMMA: usize = 5;
pub const RIPPLE: usize = 7;

/// Lowest and highest frequency of each band. A rodent's theta is faster than a person's (Buzsáki 2006, "Rhythms of the
/// Brain"); a person's bands are those of clinical EEG (IFCN glossary, Kane et al. 2017, doi 10.1016/j.cnp.2017.07.002).
const HUMAN_HZ: [(f64, f64); BANDS] =
    [(0.5, 4.0), (4.0, 8.0), (8.0, 13.0), (11.0, 16.0), (16.0, 30.0), (30.0, 55.0), (60.0, 110.0), (120.0, 210.0)];
const RODENT_HZ: [(f64, f64); BANDS] =
    [(0.5, 4.0), (5.5, 9.5), (9.5, 13.0), (10.5, 16.0), (16.0, 30.0), (30.0, 55.0), (60.0, 110.0), (120.0, 210.0)];

pub fn bands_hz(kind: Kind) -> &'static [(f64, f64); BANDS] {
    if kind == Kind::Rodent { &RODENT_HZ } else { &HUMAN_HZ }
}

/// What muscles leave in a recording: the fastest that a source of this rate has and the filter of its amplifier lets
/// through (Watson et al. 2016, doi 10.1016/j.neuron.2016.03.036, take 300 to 600 Hz where there is more).
pub fn tone_hz(source_hz: f64) -> (f64, f64) {
    let highest = (0.45 * source_hz).min(235.0);
    (0.84 * highest, highest)
}

/// A source of this rate has this band.
pub fn is_there((_, high_hz): (f64, f64), source_hz: f64) -> bool {
    high_hz <= 0.47 * source_hz
}

/// A filter of all channels.
#[derive(Debug, Clone)]
pub struct Filter {
    sections: [Section; 2],
}

#[derive(Debug, Clone)]
struct Section {
    b: [f64; 3],
    a: [f64; 2],
    s: [PerChannel; 2],
}

impl Section {
    fn new(filter: &Biquad) -> Self {
        let (b, a) = filter.coefficients();
        Self { b, a, s: [[0.0; MOST_CHANNELS]; 2] }
    }

    fn run(&mut self, values: &mut [f64]) {
        let ([b0, b1, b2], [a1, a2]) = (self.b, self.a);
        let [s1, s2] = &mut self.s;
        for ((x, s1), s2) in values.iter_mut().zip(s1).zip(s2) {
            let y = b0 * *x + *s1;
            *s1 = b1 * *x - a1 * y + *s2;
            *s2 = b2 * *x - a2 * y;
            *x = y;
        }
    }
}

impl Filter {
    pub fn band((low_hz, high_hz): (f64, f64)) -> Self {
        let rate_hz = MAPPING_RATE_HZ as f64;
        let high_pass = Biquad::butterworth_high_pass(low_hz, rate_hz);
        let low_pass = Biquad::butterworth_low_pass_2(high_hz.min(0.47 * rate_hz), rate_hz);
        Self { sections: [Section::new(&high_pass), Section::new(&low_pass)] }
    }

    /// Filters one sample of each channel in place.
    pub fn run(&mut self, values: &mut [f64]) {
        self.sections.iter_mut().for_each(|section| section.run(values));
    }
}

/// All bands of all channels.
#[derive(Debug, Clone)]
pub struct Bank {
    /// None for a band that the source does not have.
    filters: [Option<Filter>; BANDS],
    sums: [PerChannel; BANDS],
    samples: u32,
    channels: usize,
}

impl Bank {
    pub fn new(kind: Kind, channels: usize, source_hz: f64) -> Self {
        let filters = bands_hz(kind).map(|band| is_there(band, source_hz).then(|| Filter::band(band)));
        Self { filters, sums: [[0.0; MOST_CHANNELS]; BANDS], samples: 0, channels }
    }

    pub fn has(&self, band: usize) -> bool {
        self.filters[band].is_some()
    }

    /// Takes one sample of each channel. Ripples are sought in what is left when the mean of the channels is taken off,
    /// so `local` is that; the filtered ripple band comes back.
    pub fn push(&mut self, frame: &[f64], local: &[f64]) -> Option<PerChannel> {
        let mut ripple = None;
        for (band, (filter, sums)) in self.filters.iter_mut().zip(&mut self.sums).enumerate() {
            let Some(filter) = filter else { continue };
            let mut values = [0.0; MOST_CHANNELS];
            let used = &mut values[..self.channels];
            used.copy_from_slice(if band == RIPPLE { local } else { frame });
            filter.run(used);
            sums.iter_mut().zip(&*used).for_each(|(sum, y)| *sum += y * y);
            if band == RIPPLE {
                ripple = Some(values);
            }
        }
        self.samples += 1;
        ripple
    }

    /// Mean power of a band in each channel since the last call of [`Self::clear`].
    pub fn powers(&self, band: usize) -> impl Iterator<Item = f64> {
        let samples = f64::from(self.samples.max(1));
        self.sums[band][..self.channels].iter().map(move |sum| sum / samples)
    }

    pub fn clear(&mut self) {
        self.sums.iter_mut().for_each(|sums| sums.fill(0.0));
        self.samples = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sine_is_loudest_in_its_own_band() {
        for (hz, expected) in [(2.0, DELTA), (7.5, THETA), (20.0, BETA), (42.0, LOW_GAMMA), (165.0, RIPPLE)] {
            let mut bank = Bank::new(Kind::Rodent, 2, 512.0);
            for n in 0..2048 {
                let x = (std::f64::consts::TAU * hz * f64::from(n) / 512.0).sin();
                bank.push(&[x, 3.0 * x], &[x, 3.0 * x]);
                if n == 1023 {
                    bank.clear();
                }
            }
            let powers: Vec<f64> = (0..BANDS).map(|band| bank.powers(band).next().unwrap()).collect();
            let loudest = (0..BANDS).max_by(|a, b| powers[*a].total_cmp(&powers[*b])).unwrap();
            assert_eq!(loudest, expected, "{hz} Hz: {powers:?}");
            let second = bank.powers(expected).nth(1).unwrap();
            assert!((second / powers[expected] - 9.0).abs() < 1e-6);
        }
    }

    #[test]
    fn a_slow_source_has_no_fast_bands() {
        let bank = Bank::new(Kind::Human, 1, 128.0);
        assert!(bank.has(LOW_GAMMA) && !bank.has(RIPPLE));
        assert!(!Bank::new(Kind::Other, 1, 1.0).has(DELTA));
    }
}
