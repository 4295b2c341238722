//! Sleep spindles: half a second and more in which the sigma band (11 to 16 Hz) is far above its usual power in some
//! channel, in a sleeping brain (Fernandez & Lüthi 2020, doi 10.1152/physrev.00042.2018).
//!
//! Works hop by hop. Only what is heard in sleep teaches what is usual: theta's harmonics lie in the same band.

use super::{Burst, BurstKind, bands::MOST_CHANNELS, bands::PerChannel};
use crate::signal::HOPS_PER_SEC;

const ENVELOPE_SECS: f64 = 0.15;
/// A spindle lasts so long above this power, in usual ones of its channel ...
const COUNTS: f64 = 3.6;
const SHORTEST_SECS: f64 = 0.3;
/// ... and is over below this.
const ENDS: f64 = 2.2;
const MEDIAN_STEPS: (f64, f64) = (0.15, 0.01);
/// Hops of sleep until the usual power is known.
const LEARN_HOPS: u32 = 3 * HOPS_PER_SEC as u32;

/// Finds spindles.
#[derive(Debug, Clone)]
pub struct Spindles {
    envelope: PerChannel,
    usual: PerChannel,
    hops: u32,
    risen_secs: Option<f64>,
    told: bool,
}

impl Default for Spindles {
    fn default() -> Self {
        let none = [0.0; MOST_CHANNELS];
        Self { envelope: none, usual: none, hops: 0, risen_secs: None, told: false }
    }
}

impl Spindles {
    /// `sigma` is the band's power in each channel in this hop, `asleep` how certain sleep is, 0..1.
    pub fn hop(&mut self, sigma: impl Iterator<Item = f64>, asleep: f32, secs: f64) -> Option<Burst> {
        let follow = 1.0 - (-1.0 / (ENVELOPE_SECS * HOPS_PER_SEC as f64)).exp();
        let sleeps = asleep > 0.5;
        self.hops += u32::from(sleeps && self.hops < LEARN_HOPS);
        let step = if self.hops < LEARN_HOPS { MEDIAN_STEPS.0 } else { MEDIAN_STEPS.1 };
        let mut highest: f64 = 0.0;
        for ((power, envelope), usual) in sigma.zip(&mut self.envelope).zip(&mut self.usual) {
            *envelope += follow * (power - *envelope);
            if *usual <= 0.0 {
                *usual = *envelope;
            } else if sleeps && *envelope > 0.0 {
                *usual *= if *envelope > *usual { step.exp() } else { (-step).exp() };
            }
            if *usual > 0.0 {
                highest = highest.max(*envelope / *usual);
            }
        }
        if !sleeps || self.hops < LEARN_HOPS {
            self.risen_secs = None;
            return None;
        }
        match self.risen_secs {
            None if highest > COUNTS => (self.risen_secs, self.told) = (Some(secs), false),
            Some(_) if highest < ENDS => self.risen_secs = None,
            _ => {}
        }
        let risen_secs = self.risen_secs?;
        if secs - risen_secs < SHORTEST_SECS || std::mem::replace(&mut self.told, true) {
            return None;
        }
        let strength = (0.5 + 0.2 * (highest / COUNTS).ln()).clamp(0.0, 1.0) as f32;
        Some(Burst { kind: BurstKind::Spindle, start_secs: risen_secs, strength })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of the spindles found, with the power raised for a time from second 10 on.
    fn found(rise: f64, lasts_secs: f64, asleep: f32) -> Vec<f64> {
        let mut spindles = Spindles::default();
        let hops = (1..=600).map(|hop| f64::from(hop) / 30.0);
        hops.filter_map(|secs| {
            let power = if (10.0..10.0 + lasts_secs).contains(&secs) { rise } else { 1.0 };
            spindles.hop([power, 1.0].into_iter(), asleep, secs).map(|burst| burst.start_secs)
        })
        .collect()
    }

    #[test]
    fn a_spindle_is_told_once_and_only_in_sleep() {
        let spindle = found(12.0, 0.8, 1.0);
        assert!(spindle.len() == 1 && (spindle[0] - 10.1).abs() < 0.1, "{spindle:?}");
        assert_eq!(found(12.0, 0.8, 0.1), [0.0; 0], "awake");
        assert_eq!(found(12.0, 0.1, 1.0), [0.0; 0], "too short");
        assert_eq!(found(2.0, 0.8, 1.0), [0.0; 0], "too weak");
    }
}
