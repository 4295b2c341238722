//! Sharp-wave ripples: short bursts of 120 to 210 Hz that stand out in one channel (Buzsáki 2015, doi 10.1002/hipo.22488).
//!
//! Works sample by sample on the ripple band, from which the mean of all channels has been taken: muscles are heard by all
//! electrodes, a ripple by those of one layer. Each channel is measured against its own running median.

use super::{
    Burst, BurstKind,
    bands::{MOST_CHANNELS, PerChannel},
};
use crate::signal::MAPPING_RATE_HZ;

/// The power is followed over so long: one and a half cycles.
const ENVELOPE_SECS: f64 = 0.008;
/// A ripple begins, counts and ends at these powers, in usual ones of its channel.
const BEGINS: f64 = 6.0;
const COUNTS: f64 = 16.0;
const ENDS: f64 = 4.0;
/// Shorter is a spike, longer is a noise.
const SHORTEST_SECS: f64 = 0.012;
const LONGEST_SECS: f64 = 0.25;
/// Nothing is told until the usual power is known.
const LEARN_SECS: f64 = 2.0;
/// Samples between two steps of the medians, and the size of the steps: while learning, and then.
const MEDIAN_SAMPLES: u64 = 16;
const MEDIAN_STEPS: (f64, f64) = (0.3, 0.03);

/// Finds ripples.
#[derive(Debug, Clone)]
pub struct Ripples {
    envelope: PerChannel,
    usual: PerChannel,
    samples: u64,
    /// Sample at which the power rose.
    risen: Option<u64>,
    peak: f64,
    told: bool,
}

impl Default for Ripples {
    fn default() -> Self {
        let none = [0.0; MOST_CHANNELS];
        Self { envelope: none, usual: none, samples: 0, risen: None, peak: 0.0, told: false }
    }
}

impl Ripples {
    /// Takes one filtered sample of each channel at a moment of signal time; gives a ripple as soon as it is one.
    pub fn push(&mut self, values: &[f64], secs: f64) -> Option<Burst> {
        let rate_hz = MAPPING_RATE_HZ as f64;
        let follow = 1.0 - (-1.0 / (ENVELOPE_SECS * rate_hz)).exp();
        self.samples += 1;
        let learning = self.samples < (LEARN_SECS * rate_hz) as u64;
        let step = if learning { MEDIAN_STEPS.0 } else { MEDIAN_STEPS.1 };
        let (up, down) = (step.exp(), (-step).exp());
        let moves = self.samples.is_multiple_of(MEDIAN_SAMPLES);
        let mut highest: f64 = 0.0;
        for ((x, envelope), usual) in values.iter().zip(&mut self.envelope).zip(&mut self.usual) {
            *envelope += follow * (x * x - *envelope);
            if *usual <= 0.0 {
                *usual = *envelope;
            } else if moves && *envelope > 0.0 {
                *usual *= if *envelope > *usual { up } else { down };
            }
            if *usual > 0.0 {
                highest = highest.max(*envelope / *usual);
            }
        }
        if learning {
            return None;
        }
        match self.risen {
            None if highest > BEGINS => (self.risen, self.peak, self.told) = (Some(self.samples), highest, false),
            Some(_) if highest < ENDS => self.risen = None,
            _ => {}
        }
        let since_secs = (self.samples - self.risen?) as f64 / rate_hz;
        self.peak = self.peak.max(highest);
        let is_one = self.peak > COUNTS && (SHORTEST_SECS..LONGEST_SECS).contains(&since_secs);
        if !is_one || std::mem::replace(&mut self.told, true) {
            return None;
        }
        let strength = (self.peak / COUNTS).ln().mul_add(0.25, 0.6).clamp(0.0, 1.0) as f32;
        Some(Burst { kind: BurstKind::Ripple, start_secs: secs - since_secs, strength })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::random::Random;

    /// Ripples of a size at these seconds on noise, band-limited as the bank does it.
    fn found(at_secs: &[f64], size: f64, secs: usize) -> Vec<f64> {
        let mut random = Random::new(3);
        let mut filter = super::super::bands::Filter::band((120.0, 210.0));
        let mut ripples = Ripples::default();
        let mut found = Vec::new();
        for n in 0..secs * 512 {
            let t = n as f64 / 512.0;
            let bell = |at: &f64| (-((t - at) / 0.014).powi(2) / 2.0).exp();
            let ripple = at_secs.iter().map(bell).sum::<f64>() * size * (std::f64::consts::TAU * 165.0 * t).sin();
            let mut values = [random.normal() + ripple, random.normal()];
            filter.run(&mut values);
            found.extend(ripples.push(&values, t).map(|burst| burst.start_secs));
        }
        found
    }

    #[test]
    fn each_ripple_is_told_once_where_it_is() {
        let at = [5.0, 7.25, 9.0, 9.6];
        let found = found(&at, 8.0, 12);
        assert_eq!(found.len(), at.len(), "{found:?}");
        for (found, at) in found.iter().zip(at) {
            assert!((found - at).abs() < 0.05, "{found} for {at}");
        }
    }

    #[test]
    fn a_minute_of_noise_has_none() {
        assert_eq!(found(&[], 0.0, 60), [0.0; 0]);
    }
}
