//! The state of a signal from its samples: holds all the meters and steps them once a hop.
//!
//! Takes the source's own channels at 512 Hz rather than the window of 32: there a single sensor stands 32 times, delayed
//! and mixed, which would blur rhythms and ripples. Allocates nothing after the start.

use super::{
    Burst, BurstKind, Calibration, Kind, Reading,
    arousal::Arousal,
    bands::{BANDS, MOST_CHANNELS},
    bursts::Bursts,
    powers::Powers,
    rhythm::RhythmMeter,
    ripples::Ripples,
    sleep::{Known, Ratios, Sleep},
    spindles::Spindles,
    usual::Usual,
};
use crate::signal::{Description, HOPS_PER_SEC};

/// Time in which the idea of what is usual fades: of the signal, and of a sound.
const MEMORY_SECS: f64 = 300.0;
const SOUND_SECS: f64 = 60.0;
/// What was kept from another evening counts as so much signal.
const KEPT_SECS: f64 = 60.0;
/// How long the pulses of events last.
const RIPPLE_SECS: f32 = 0.15;
const SPINDLE_SECS: f32 = 0.7;
const BURST_SECS: f32 = 0.4;
/// Usual ranges are taken at least so wide (in nepers).
const LEAST_BAND: f64 = 1.5;
const LEAST_ENERGY: f64 = 1.0;
const LEAST_TONE: f64 = 2.0;
/// Quieter than its usual level by this, a sound is silence.
const SILENT: f64 = 9.0;
/// The channel for the rhythm is chosen anew this often, if another is so much more rhythmic.
const LEAD_HOPS: u64 = 2 * HOPS_PER_SEC;
const LEAD_BETTER: f64 = 1.3;
/// Theta waves and ripples exclude each other (Buzsáki 2015): what is as fast in theta is muscle or gamma. So much of
/// the state with theta is theta.
const THETA_SHARE: f32 = 0.85;
/// The first second is the filters' own; bursts need to know the usual energy.
const BEGIN_HOPS: u64 = HOPS_PER_SEC;
const BURST_HOPS: u64 = 5 * HOPS_PER_SEC;
/// Ripples a hop, at most; the other detectors tell one each.
const MOST_BURSTS: usize = 8;

/// What a person sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateSettings {
    /// None leaves it to the signal.
    pub kind: Option<Kind>,
}

/// Follows the state of one source.
#[derive(Debug, Clone)]
pub struct StateMeter {
    source_hz: f64,
    source_channels: usize,
    guessed: Kind,
    kind: Kind,
    channels: usize,
    powers: Powers,
    ripples: Ripples,
    spindles: Spindles,
    bursts: Bursts,
    rhythm: RhythmMeter,
    /// The channel of the rhythm.
    lead: usize,
    usual_bands: [Usual; BANDS],
    usual_tones: [Usual; 3],
    known: Known,
    sleep: Sleep,
    arousal: Arousal,
    reading: Reading,
    /// Of the hop that ended last, or that is coming.
    found: Vec<Burst>,
    hop_begins: bool,
    hops: u64,
}

fn hops(secs: f64) -> f64 {
    secs * HOPS_PER_SEC as f64
}

impl StateMeter {
    pub fn new(about: &Description, settings: StateSettings) -> Self {
        let source_channels = about.channels.len();
        let source_hz = about.rate_hz;
        let channels = source_channels.min(MOST_CHANNELS);
        let guessed = Kind::guess(about);
        let kind = settings.kind.unwrap_or(guessed);
        Self {
            source_hz,
            source_channels,
            guessed,
            kind,
            channels,
            powers: Powers::new(kind, channels, source_hz),
            ripples: Ripples::default(),
            spindles: Spindles::default(),
            bursts: Bursts::default(),
            rhythm: RhythmMeter::new(source_hz),
            lead: 0,
            usual_bands: std::array::from_fn(|_| Usual::new(hops(MEMORY_SECS))),
            usual_tones: std::array::from_fn(|_| Usual::new(hops(SOUND_SECS))),
            known: Known::new(hops(MEMORY_SECS)),
            sleep: Sleep::default(),
            arousal: Arousal::default(),
            reading: Reading { kind, ..Reading::default() },
            found: Vec::with_capacity(MOST_BURSTS + 2),
            hop_begins: true,
            hops: 0,
        }
    }

    /// Whether it is made for such a source.
    pub fn fits(&self, about: &Description) -> bool {
        about.rate_hz == self.source_hz && about.channels.len() == self.source_channels
    }

    /// Follows a change of what a person sets.
    pub fn apply(&mut self, settings: StateSettings) {
        let kind = settings.kind.unwrap_or(self.guessed);
        if std::mem::replace(&mut self.kind, kind) != kind {
            self.powers.use_bands_of(kind);
            self.known = Known::new(hops(MEMORY_SECS));
            self.usual_bands = std::array::from_fn(|_| Usual::new(hops(MEMORY_SECS)));
            self.sleep = Sleep::default();
            self.hops = 0;
        }
    }

    /// Of the source's channels that are listened to, evenly chosen ones of many.
    fn chosen(&self) -> impl Iterator<Item = usize> + use<> {
        let (all, channels) = (self.source_channels, self.channels);
        (0..channels).map(move |at| at * all / channels)
    }

    /// Which of the source's channels stand still or are missing.
    pub fn set_dead(&mut self, dead: &[bool]) {
        let chosen = self.chosen();
        self.powers.set_dead(chosen.map(|channel| dead.get(channel).copied().unwrap_or(true)));
    }

    /// Takes one frame of the source's channels at 512 Hz, at a moment of signal time.
    pub fn push(&mut self, frame: &[f64], secs: f64) {
        if std::mem::take(&mut self.hop_begins) {
            self.found.clear();
        }
        let mut values = [0.0; MOST_CHANNELS];
        let used = &mut values[..self.channels];
        for (value, channel) in used.iter_mut().zip(self.chosen()) {
            *value = frame.get(channel).copied().filter(|x| x.abs() < 1e100).unwrap_or_default();
        }
        if let Some(filtered) = self.powers.push(used).filter(|_| self.kind != Kind::Other) {
            let ripple = self.ripples.push(&filtered[..self.channels], secs);
            let [awake, _, _, dreaming] = self.reading.shares;
            let in_theta = self.kind == Kind::Rodent && awake + dreaming > THETA_SHARE;
            self.found.extend(ripple.filter(|_| !in_theta && self.found.len() < MOST_BURSTS));
        }
        self.rhythm.push(values[self.lead]);
    }

    /// Ends a hop at a moment of signal time. `tones` are the powers of bass, middle and treble of a sound.
    pub fn hop(&mut self, secs: f64, tones: Option<[f64; 3]>) -> &Reading {
        if std::mem::replace(&mut self.hop_begins, true) {
            self.found.clear();
        }
        self.hops += 1;
        self.powers.hop();
        let ratios = self.powers.ratios();
        let settled = ratios.as_ref().filter(|_| self.hops > BEGIN_HOPS);
        self.sleep.hop(self.kind, settled, &mut self.known);
        let begins = self.hops <= BEGIN_HOPS;
        let arousal = if begins { self.arousal.now() } else { self.arousal.hop(self.kind, settled, &self.known) };
        let shares = self.sleep.shares().map(|share| share as f32);
        self.find_bursts(settled, shares[2], secs);
        let activity = settled.map_or(0.0, |ratios| self.known.energy.place(ratios.energy, LEAST_ENERGY));
        let before = self.reading;
        self.reading = Reading {
            signal_secs: secs,
            kind: self.kind,
            state: self.sleep.state(),
            shares,
            arousal: arousal as f32,
            activity: activity as f32,
            rhythm: self.rhythm.hop(),
            bands: std::array::from_fn(|band| self.band_place(band)),
            tones: tones.map_or([0.0; 3], |powers| self.tone_places(powers)),
            ripple: self.pulse(BurstKind::Ripple, before.ripple, RIPPLE_SECS),
            spindle: self.pulse(BurstKind::Spindle, before.spindle, SPINDLE_SECS),
            burst: self.pulse(BurstKind::Plain, before.burst, BURST_SECS),
            ratios,
        };
        self.powers.clear();
        self.choose_lead();
        &self.reading
    }

    fn find_bursts(&mut self, ratios: Option<&Ratios>, asleep: f32, secs: f64) {
        let spindle = match self.kind {
            Kind::Other => None,
            _ if !self.powers.has_sigma() => None,
            _ => self.spindles.hop(self.powers.sigma(), asleep, secs),
        };
        let plain = match (self.kind, ratios, self.known.energy.quantile(0.5)) {
            (Kind::Other, Some(ratios), Some(usual)) if self.hops > BURST_HOPS => {
                self.bursts.hop(ratios.energy - usual, secs)
            }
            _ => None,
        };
        self.found.extend(spindle.into_iter().chain(plain));
    }

    fn pulse(&self, kind: BurstKind, before: f32, secs: f32) -> f32 {
        let found = self.found.iter().any(|burst| burst.kind == kind);
        let faded = before * (-1.0 / (secs * HOPS_PER_SEC as f32)).exp();
        match found {
            true => 1.0,
            false if faded > 1e-4 => faded,
            false => 0.0,
        }
    }

    fn band_place(&mut self, band: usize) -> f32 {
        let Some(log) = self.powers.eye(band) else { return 0.0 };
        if self.hops > BEGIN_HOPS {
            self.usual_bands[band].push(log);
        }
        self.usual_bands[band].place(log, LEAST_BAND) as f32
    }

    fn tone_places(&mut self, powers: [f64; 3]) -> [f32; 3] {
        let mut places = [0.0; 3];
        for ((place, power), usual) in places.iter_mut().zip(powers).zip(&mut self.usual_tones) {
            let log = power.max(1e-200).ln();
            // A pause is not what the music usually is.
            if usual.quantile(0.5).is_none_or(|middle| log > middle - SILENT) && power > 1e-190 {
                usual.push(log);
                *place = usual.place(log, LEAST_TONE) as f32;
            }
        }
        places
    }

    fn choose_lead(&mut self) {
        if !self.hops.is_multiple_of(LEAD_HOPS) {
            return;
        }
        let rhythmic = |at: &usize| self.powers.rhythmic(*at);
        let best = (0..self.channels).max_by(|a, b| rhythmic(a).total_cmp(&rhythmic(b))).unwrap_or(0);
        if rhythmic(&best) > LEAD_BETTER * rhythmic(&self.lead) {
            self.lead = best;
        }
    }

    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// What was found in the hop that ended last.
    pub fn bursts(&self) -> &[Burst] {
        if self.hop_begins { &self.found } else { &[] }
    }

    /// What has been learned, once there is enough of it.
    pub fn calibration(&self) -> Option<Calibration> {
        let learned_secs = self.hops as f64 / HOPS_PER_SEC as f64;
        let kept = |(name, usual): (&str, &Usual)| Some((name.to_owned(), usual.kept()?));
        let usual = self.known.all().into_iter().filter_map(kept).collect();
        (learned_secs >= KEPT_SECS).then(|| Calibration { learned_secs, kind: self.kind.name().to_owned(), usual })
    }

    /// Starts with what was learned another time; not if it was of another kind.
    pub fn start_with(&mut self, calibration: &Calibration) {
        if calibration.kind != self.kind.name() || !calibration.is_sound() {
            return;
        }
        for (name, kept) in &calibration.usual {
            if let Some(usual) = self.known.named(name) {
                usual.restore(kept, hops(KEPT_SECS));
            }
        }
    }
}

#[cfg(test)]
mod tests;
