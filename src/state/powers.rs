//! Powers of the bands over time, and the ratios between them that tell the state.

use super::{
    Kind,
    bands::{self, ALPHA, BANDS, BETA, Bank, DELTA, Filter, LOW_GAMMA, MOST_CHANNELS, PerChannel, SIGMA, THETA},
    sleep::Ratios,
};
use crate::signal::{HOPS_PER_SEC, MAPPING_RATE_HZ};

/// Powers for the state are followed over this, powers for the eye over the other.
const STATE_SECS: f64 = 1.2;
const EYE_SECS: f64 = 0.2;
/// Energy of the whole: over so long and so many samples of the source, about a mean over so long.
const ENERGY_SECS: f64 = 0.15;
const ENERGY_SAMPLES: f64 = 4.0;
const MEAN_SECS: f64 = 10.0;
const MEAN_SAMPLES: f64 = 64.0;
/// What is usual of a channel's energy, to know a dead one.
const USUAL_SECS: f64 = 30.0;
/// A channel whose energy falls below this part of its usual one is as good as pulled out.
const DEAD: f64 = 1e-6;
/// Below this no energy is measured.
const NOTHING: f64 = 1e-200;
/// Ripples are sought about the mean of the channels from so many on.
const LOCAL_CHANNELS: usize = 4;
/// Slower tone would be a rhythm.
const LEAST_TONE_HZ: f64 = 30.0;

/// Follows all powers.
#[derive(Debug, Clone)]
pub struct Powers {
    channels: usize,
    source_hz: f64,
    bank: Bank,
    tone: Option<Filter>,
    tone_sum: f64,
    /// Of the power of the tone, so that a ripple in it hardly counts.
    tone_log: Option<f64>,
    begun: bool,
    means: PerChannel,
    mean_follow: f64,
    squares: PerChannel,
    energy: PerChannel,
    energy_follow: f64,
    usual_energy: PerChannel,
    /// As of the last hop.
    live: [bool; MOST_CHANNELS],
    /// Known to stand still, or to be missing.
    dead: [bool; MOST_CHANNELS],
    samples: u32,
    state: [PerChannel; BANDS],
    eye: [PerChannel; BANDS],
}

fn follow(secs: f64) -> f64 {
    1.0 - (-1.0 / (secs * HOPS_PER_SEC as f64)).exp()
}

impl Powers {
    pub fn new(kind: Kind, channels: usize, source_hz: f64) -> Self {
        let none = [0.0; MOST_CHANNELS];
        let tone_hz = bands::tone_hz(source_hz);
        let mean_secs = MEAN_SECS.max(MEAN_SAMPLES / source_hz);
        Self {
            channels,
            source_hz,
            bank: Bank::new(kind, channels, source_hz),
            tone: (tone_hz.0 > LEAST_TONE_HZ).then(|| Filter::band(tone_hz)),
            tone_sum: 0.0,
            tone_log: None,
            begun: false,
            means: none,
            mean_follow: 1.0 - (-1.0 / (mean_secs * MAPPING_RATE_HZ as f64)).exp(),
            squares: none,
            energy: none,
            energy_follow: follow(ENERGY_SECS.max(ENERGY_SAMPLES / source_hz)),
            usual_energy: none,
            live: [true; MOST_CHANNELS],
            dead: [false; MOST_CHANNELS],
            samples: 0,
            state: [none; BANDS],
            eye: [none; BANDS],
        }
    }

    /// Which channels stand still or are missing, as the intake knows.
    pub fn set_dead(&mut self, dead: impl Iterator<Item = bool>) {
        for ((known, live), dead) in self.dead.iter_mut().zip(&mut self.live).zip(dead) {
            (*known, *live) = (dead, *live && !dead);
        }
    }

    /// Other bands from here on.
    pub fn use_bands_of(&mut self, kind: Kind) {
        self.bank = Bank::new(kind, self.channels, self.source_hz);
    }

    /// Takes one sample of each channel, and leaves it about its mean. Gives the ripple band, if the source has it.
    pub fn push(&mut self, frame: &mut [f64]) -> Option<PerChannel> {
        if !std::mem::replace(&mut self.begun, true) {
            self.means[..self.channels].copy_from_slice(frame);
        }
        for (at, value) in frame.iter_mut().enumerate() {
            self.means[at] += self.mean_follow * (*value - self.means[at]);
            *value -= self.means[at];
            self.squares[at] += *value * *value;
        }
        self.samples += 1;
        let live = frame.iter().zip(&self.live).filter(|(_, live)| **live);
        let (count, sum) = live.fold((0.0, 0.0), |(count, sum), (x, _)| (count + 1.0, sum + x));
        let common = sum / f64::max(count, 1.0);
        if let Some(tone) = &mut self.tone {
            let mut one = [common];
            tone.run(&mut one);
            self.tone_sum += one[0] * one[0];
        }
        let off = if self.channels >= LOCAL_CHANNELS { common } else { 0.0 };
        let mut local = [0.0; MOST_CHANNELS];
        for ((local, x), dead) in local.iter_mut().zip(&*frame).zip(&self.dead) {
            *local = if *dead { 0.0 } else { x - off };
        }
        self.bank.push(frame, &local[..self.channels])
    }

    /// After the samples of a hop.
    pub fn hop(&mut self) {
        let samples = f64::from(self.samples.max(1));
        for at in 0..self.channels {
            self.energy[at] += self.energy_follow * (self.squares[at] / samples - self.energy[at]);
            if self.usual_energy[at] <= 0.0 {
                self.usual_energy[at] = self.energy[at];
            } else if self.is_live(at) {
                self.usual_energy[at] += follow(USUAL_SECS) * (self.energy[at] - self.usual_energy[at]);
            }
            self.live[at] = self.is_live(at);
        }
        for band in 0..BANDS {
            for (at, power) in self.bank.powers(band).enumerate() {
                self.state[band][at] += follow(STATE_SECS) * (power - self.state[band][at]);
                self.eye[band][at] += follow(EYE_SECS) * (power - self.eye[band][at]);
            }
        }
        let tone = self.tone_sum / samples;
        if tone > NOTHING {
            let log = self.tone_log.get_or_insert(tone.ln());
            *log += follow(STATE_SECS) * (tone.ln() - *log);
        }
        self.squares.fill(0.0);
        (self.samples, self.tone_sum) = (0, 0.0);
    }

    /// Sigma's power in each channel in the hop that ends; to be called before [`Self::clear`].
    pub fn sigma(&self) -> impl Iterator<Item = f64> {
        self.bank.powers(SIGMA)
    }

    pub fn has_sigma(&self) -> bool {
        self.bank.has(SIGMA)
    }

    /// The next hop begins.
    pub fn clear(&mut self) {
        self.bank.clear();
    }

    fn is_live(&self, channel: usize) -> bool {
        let energy = self.energy[channel];
        !self.dead[channel] && energy > NOTHING && energy > DEAD * self.usual_energy[channel]
    }

    /// Mean over the live channels of a value; None if none lives.
    fn mean(&self, value: impl Fn(usize) -> f64) -> Option<f64> {
        let live = (0..self.channels).filter(|at| self.is_live(*at));
        let (count, sum) = live.fold((0.0, 0.0), |(count, sum), at| (count + 1.0, sum + value(at)));
        (count > 0.0).then(|| sum / count)
    }

    /// None while no channel lives.
    pub fn ratios(&self) -> Option<Ratios> {
        let energy = self.mean(|at| self.energy[at].ln())?;
        let ratio = |of: &[usize], over: &[usize]| {
            let is_there = of.iter().chain(over).all(|band| self.bank.has(*band));
            let sum = |bands: &[usize], at: usize| bands.iter().map(|band| self.state[*band][at]).sum::<f64>();
            let value = |at| (sum(of, at).max(NOTHING) / sum(over, at).max(NOTHING)).ln();
            if is_there { self.mean(value).unwrap_or(f64::NAN) } else { f64::NAN }
        };
        Some(Ratios {
            theta: ratio(&[THETA], &[DELTA]),
            slow: ratio(&[DELTA], &[BETA, LOW_GAMMA]),
            tone: self.tone_log.unwrap_or(f64::NAN),
            alpha: ratio(&[ALPHA], &[THETA, BETA]),
            fast: ratio(&[BETA, LOW_GAMMA], &[DELTA, THETA, ALPHA]),
            energy,
        })
    }

    /// Logarithm of a band's power, for the eye; None where there is no such band, or no live channel.
    pub fn eye(&self, band: usize) -> Option<f64> {
        let there = self.bank.has(band);
        there.then(|| self.mean(|at| self.eye[band][at].max(NOTHING).ln())).flatten()
    }

    /// How rhythmic a channel is: theta and alpha over the whole.
    pub fn rhythmic(&self, channel: usize) -> f64 {
        if !self.bank.has(ALPHA) || !self.is_live(channel) {
            return 0.0;
        }
        let waves = self.state[THETA][channel] + self.state[ALPHA][channel];
        waves / self.usual_energy[channel].max(NOTHING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred hops of these channels.
    fn run(powers: &mut Powers, mut frame: impl FnMut(f64) -> [f64; 3]) {
        let mut sample = 0;
        for hop in 1..=100 {
            while sample < hop * 512 / 30 {
                powers.push(&mut frame(f64::from(sample) / 512.0));
                sample += 1;
            }
            powers.hop();
            powers.clear();
        }
    }

    fn sine(hz: f64, secs: f64) -> f64 {
        (std::f64::consts::TAU * hz * secs).sin()
    }

    #[test]
    fn a_dead_channel_and_the_unit_change_no_ratio() {
        let both = |secs: f64| 2.0 * sine(7.0, secs) + sine(2.0, secs);
        let mut powers = Powers::new(Kind::Rodent, 3, 512.0);
        run(&mut powers, |secs| [both(secs), 1e-6 * both(secs) + 1013.0, 1e6 * both(secs)]);
        let alive = powers.ratios().unwrap();
        assert!((0.2..1.6).contains(&alive.theta), "{alive:?}");
        let mut powers = Powers::new(Kind::Rodent, 3, 512.0);
        run(&mut powers, |secs| [both(secs), 7.0, 0.0]);
        assert!((powers.ratios().unwrap().theta - alive.theta).abs() < 0.05);
        (0..5).for_each(|_| run(&mut powers, |_| [0.0; 3]));
        assert!(powers.ratios().is_none_or(|ratios| ratios.energy.is_finite() && ratios.theta.is_finite()));
    }

    #[test]
    fn a_silent_source_has_no_ratios() {
        let mut powers = Powers::new(Kind::Rodent, 3, 512.0);
        run(&mut powers, |_| [5.0, 0.0, -1.0]);
        assert_eq!(powers.ratios(), None);
        assert_eq!((powers.eye(DELTA), powers.rhythmic(0)), (None, 0.0));
    }
}
