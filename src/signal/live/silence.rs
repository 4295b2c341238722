//! What plays while a live source is silent, so that the picture never freezes: the last value (`then=hold`), a decay
//! to calm (`then=calm`), or a synthetic stand-in (`then=stand-in`) with the mean and spread that each channel had.

use crate::signal::SourceError;
use crate::signal::random::{Coloured, Random};
use crate::signal::stand_in::Scale;
use crate::signal::url::Address;

/// Time constant of the way to calm.
const CALM_SECS: f64 = 2.0;
/// What is left of the movement in calm, of a channel's own spread.
const CALM_PART: f64 = 0.1;
/// Corner of the movement in calm.
const CALM_HZ: f64 = 0.15;
/// From the last value to the stand-in.
const FADE_SECS: f64 = 1.5;
/// Fall of the spectrum of a stand-in, between those of wind and of a field potential.
const STAND_IN_EXPONENT: f64 = 1.6;
/// Memory of a channel's mean and spread.
const MEMORY_SECS: f64 = 60.0;

/// What plays while a source is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Hold,
    Calm,
    StandIn,
}

impl Then {
    pub fn from_address(address: &Address) -> Result<Self, SourceError> {
        match address.text_of("then") {
            None | Some("calm") => Ok(Self::Calm),
            Some("hold") => Ok(Self::Hold),
            Some("stand-in") => Ok(Self::StandIn),
            Some(_) => Err(address.bad("then", "hold, calm or stand-in is expected")),
        }
    }

    pub fn words(self) -> &'static str {
        match self {
            Self::Hold => "its last values are held",
            Self::Calm => "it decays to calm",
            Self::StandIn => "a stand-in plays",
        }
    }
}

#[derive(Debug)]
struct Voice {
    scale: Scale,
    last: f64,
    calm: Coloured,
    lively: Coloured,
}

/// Knows each channel well enough to stand in for it.
#[derive(Debug)]
pub struct Silence {
    then: Then,
    rate_hz: f64,
    voices: Vec<Voice>,
    random: Random,
    /// Of the silence that is being filled.
    filled_secs: f64,
}

impl Silence {
    pub fn new(then: Then, channels: usize, rate_hz: f64) -> Self {
        let mut random = Random::new(0x51_1e_4c_e0);
        let highest_hz = (0.25 * rate_hz).max(1.0);
        let voices = (0..channels)
            .map(|_| Voice {
                scale: Scale::default(),
                last: f64::NAN,
                calm: Coloured::new(rate_hz, CALM_HZ, CALM_HZ, 2.0, &mut random),
                lively: Coloured::new(rate_hz, 0.3, highest_hz, STAND_IN_EXPONENT, &mut random),
            })
            .collect();
        Self { then, rate_hz, voices, random, filled_secs: 0.0 }
    }

    /// Takes note of a frame that came.
    pub fn heard(&mut self, frame: &[f64]) {
        self.filled_secs = 0.0;
        for (voice, x) in self.voices.iter_mut().zip(frame) {
            if x.is_finite() {
                voice.scale.push(*x, MEMORY_SECS * self.rate_hz);
                voice.last = *x;
            }
        }
    }

    /// Appends the next frame of silence.
    pub fn fill(&mut self, out: &mut Vec<f64>) {
        self.filled_secs += 1.0 / self.rate_hz;
        let held = (-self.filled_secs / CALM_SECS).exp();
        let fade = (self.filled_secs / FADE_SECS).min(1.0);
        for voice in &mut self.voices {
            let deviation = voice.scale.deviation();
            let deviation = if deviation > 0.0 { deviation } else { 1.0 };
            let last = if voice.last.is_finite() { voice.last } else { voice.scale.mean };
            out.push(match self.then {
                Then::Hold => last,
                Then::Calm => {
                    let wander = CALM_PART * deviation * voice.calm.next(&mut self.random);
                    voice.scale.mean + held * (last - voice.scale.mean) + (1.0 - held) * wander
                }
                Then::StandIn => {
                    let stand_in = voice.scale.mean + deviation * voice.lively.next(&mut self.random);
                    last + fade * (stand_in - last)
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(then: Then, secs: f64) -> Vec<f64> {
        let mut silence = Silence::new(then, 1, 100.0);
        for n in 0..6000 {
            silence.heard(&[20.0 + 3.0 * (f64::from(n) * 0.3).sin()]);
        }
        silence.heard(&[26.0]);
        let mut out = Vec::new();
        (0..(secs * 100.0) as usize).for_each(|_| silence.fill(&mut out));
        out
    }

    fn spread(x: &[f64]) -> f64 {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64).sqrt()
    }

    #[test]
    fn silence_begins_at_the_last_value_and_goes_where_it_was_told() {
        for then in [Then::Hold, Then::Calm, Then::StandIn] {
            assert!((after(then, 0.02)[0] - 26.0).abs() < 0.3, "{then:?} begins without a step");
        }
        assert!(after(Then::Hold, 60.0).iter().all(|x| *x == 26.0));
        let calm = &after(Then::Calm, 60.0)[2000..];
        assert!(calm.iter().all(|x| (x - 20.0).abs() < 1.5), "calm is near the mean");
        assert!((0.05..0.5).contains(&spread(calm)), "and still alive: {}", spread(calm));
        let stand_in = &after(Then::StandIn, 60.0)[2000..];
        assert!((1.0..3.5).contains(&spread(stand_in)), "a stand-in moves as the channel did: {}", spread(stand_in));
    }
}
