//! What is known of the signal at one hop: plain numbers, cheap to copy, and their names.

use super::{BANDS, Kind, Pulse, Rhythm, State, bands::BAND_NAMES, sleep::Ratios};

/// The state of a signal at one moment. Every number is finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    pub signal_secs: f64,
    pub kind: Kind,
    pub state: State,
    /// How much of each of [`STATES`](super::STATES) it is; they sum to 1.
    pub shares: [f32; 4],
    /// 0..1.
    pub arousal: f32,
    /// Energy by its place in what is usual, 0..1.
    pub activity: f32,
    pub rhythm: Rhythm,
    /// Each band by its place in what is usual, 0..1; 0 where the source has no such band.
    pub bands: [f32; BANDS],
    /// Bass, middle, treble of a sound, 0..1.
    pub tones: [f32; 3],
    /// Jump to 1 at an event, then fall back.
    pub ripple: f32,
    pub spindle: f32,
    pub burst: f32,
    /// For figures; in nepers, and not finite where the source has no such band.
    pub ratios: Option<Ratios>,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            signal_secs: 0.0,
            kind: Kind::default(),
            state: State::default(),
            shares: [0.0, 1.0, 0.0, 0.0],
            arousal: 0.5,
            activity: 0.0,
            rhythm: Rhythm::default(),
            bands: [0.0; BANDS],
            tones: [0.0; 3],
            ripple: 0.0,
            spindle: 0.0,
            burst: 0.0,
            ratios: None,
        }
    }
}

/// Names and sentences of what followers can follow, in the order of [`Reading::features`].
pub const FEATURES: [(&str, &str); 25] = [
    ("level", "How loud the signal is; about 1/3 is usual."),
    ("onset", "Jumps to 1 when the signal rises suddenly, then falls back."),
    ("wave", "The newest sample of the first channel."),
    ("arousal", "How awake the signal is."),
    ("activity", "Energy of the signal, from the lowest to the highest usual."),
    ("awake", "How much of it is awake and about."),
    ("quiet", "How much of it is awake and still."),
    ("asleep", "How much of it is asleep."),
    ("dreaming", "How much of it is dreaming."),
    ("rhythm", "How much its dominant rhythm stands out."),
    ("phase", "Where in its cycle the dominant rhythm is, 0 at the crest."),
    ("burst", "Jumps to 1 at any burst, ripple or spindle, then falls back."),
    ("ripple", "Jumps to 1 at a ripple, then falls back."),
    ("spindle", "Jumps to 1 at a spindle, then falls back."),
    (BAND_NAMES[0], "Waves below 4 Hz, from the weakest to the strongest usual."),
    (BAND_NAMES[1], "Waves of 4 to 8 Hz (a rodent's: 5.5 to 9.5), from the weakest to the strongest usual."),
    (BAND_NAMES[2], "Waves of 8 to 13 Hz, from the weakest to the strongest usual."),
    (BAND_NAMES[3], "Waves of 11 to 16 Hz, from the weakest to the strongest usual."),
    (BAND_NAMES[4], "Waves of 16 to 30 Hz, from the weakest to the strongest usual."),
    (BAND_NAMES[5], "Waves of 30 to 55 Hz, from the weakest to the strongest usual."),
    (BAND_NAMES[6], "Waves of 60 to 110 Hz, from the weakest to the strongest usual."),
    (BAND_NAMES[7], "Waves of 120 to 210 Hz, from the weakest to the strongest usual."),
    ("bass", "A sound below 250 Hz, from the softest to the loudest usual."),
    ("mid", "A sound from 250 to 2000 Hz, from the softest to the loudest usual."),
    ("treble", "A sound above 2000 Hz, from the softest to the loudest usual."),
];

impl Reading {
    /// Each of [`FEATURES`] with its value; all are 0..1 but for the wave, which is -1..1.
    pub fn features(&self, pulse: &Pulse) -> [(&'static str, f32); FEATURES.len()] {
        let wave = pulse.points.last().copied().unwrap_or_default();
        let [awake, quiet, asleep, dreaming] = self.shares;
        let [delta, theta, alpha, sigma, beta, low_gamma, high_gamma, ripple_band] = self.bands;
        let [bass, mid, treble] = self.tones;
        let Rhythm { strength, phase, .. } = self.rhythm;
        let (burst, ripple, spindle) = (self.burst, self.ripple, self.spindle);
        #[rustfmt::skip]
        let values = [
            pulse.level, pulse.onset, wave, self.arousal, self.activity, awake, quiet, asleep, dreaming,
            strength, phase, burst.max(ripple).max(spindle), ripple, spindle,
            delta, theta, alpha, sigma, beta, low_gamma, high_gamma, ripple_band, bass, mid, treble,
        ];
        std::array::from_fn(|at| (FEATURES[at].0, values[at]))
    }

    /// "awake, arousal 0.83, 7.8 Hz".
    pub fn sentence(&self) -> String {
        let word = match (self.kind, self.state) {
            (Kind::Other, State::Awake) => "lively",
            (_, state) => state.name(),
        };
        let hz = self.rhythm.hz;
        let rhythm = match self.rhythm.strength {
            strength if strength < 0.3 || hz <= 0.0 => String::new(),
            _ if hz < 0.1 => format!(", every {:.0} s", 1.0 / hz),
            _ => format!(", {hz:.1} Hz"),
        };
        format!("{word}, arousal {:.2}{rhythm}", self.arousal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_is_where_its_name_says() {
        let reading = Reading {
            arousal: 0.1,
            activity: 0.2,
            shares: [0.3, 0.31, 0.32, 0.33],
            rhythm: Rhythm { hz: 8.0, strength: 0.4, phase: 0.5 },
            ripple: 0.6,
            spindle: 0.65,
            bands: std::array::from_fn(|band| 0.7 + 0.01 * band as f32),
            tones: [0.91, 0.92, 0.93],
            ..Reading::default()
        };
        let features = reading.features(&Pulse::default());
        let value = |name: &str| features.iter().find(|(known, _)| *known == name).unwrap().1;
        for (name, expected) in [
            ("arousal", 0.1),
            ("activity", 0.2),
            ("awake", 0.3),
            ("dreaming", 0.33),
            ("rhythm", 0.4),
            ("phase", 0.5),
            ("ripple", 0.6),
            ("burst", 0.65),
            ("delta", 0.7),
            ("ripple_band", 0.77),
            ("bass", 0.91),
            ("treble", 0.93),
        ] {
            assert_eq!(value(name), expected, "{name}");
        }
    }

    #[test]
    fn the_sentence_names_state_arousal_and_rhythm() {
        let rhythm = Rhythm { hz: 7.81, strength: 0.8, phase: 0.0 };
        let reading = Reading { state: State::Awake, arousal: 0.834, rhythm, ..Reading::default() };
        assert_eq!(Reading { kind: Kind::Rodent, ..reading }.sentence(), "awake, arousal 0.83, 7.8 Hz");
        let slow = Rhythm { hz: 0.05, ..rhythm };
        assert_eq!(Reading { rhythm: slow, ..reading }.sentence(), "lively, arousal 0.83, every 20 s");
        assert_eq!(Reading::default().sentence(), "quiet, arousal 0.50");
    }
}
