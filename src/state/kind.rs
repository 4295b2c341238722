//! Whose signal it is, for the bands and the ratios that tell its state differ.

use crate::signal::Description;

/// What makes the signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// A rat's or mouse's brain: theta, ripples, tone.
    Rodent,
    /// A person's: alpha, beta, sleep spindles.
    Human,
    /// Wind, waves, sound, a sensor: energy.
    #[default]
    Other,
}

/// As `/state/kind` has them; the first leaves it to the signal.
pub const KIND_NAMES: [&str; 4] = ["auto", "rodent", "human", "other"];

/// Slower is no brain, faster is sound.
const BRAIN_RATE_HZ: std::ops::Range<f64> = 100.0..40_000.0;
/// Sound has few channels and is at least this fast.
const SOUND_RATE_HZ: f64 = 8000.0;
const SOUND_CHANNELS: usize = 2;
/// Above, it is a probe in a brain rather than a cap on a head.
const PROBE_RATE_HZ: f64 = 600.0;
const VOLTS: [&str; 6] = ["v", "mv", "uv", "µv", "μv", "nv"];
/// Places on a head in the 10-20 system begin with these, and end in a digit or a z.
const PLACES: [&str; 14] = ["fp", "af", "fc", "ft", "cp", "tp", "po", "f", "c", "t", "p", "o", "a", "m"];
const RODENT_WORDS: [&str; 8] = ["rat", "mouse", "lfp", "ca1", "ca3", "hpc", "hippocampus", "rodent"];
const HUMAN_WORDS: [&str; 5] = ["eeg", "muse", "openbci", "alpha", "crown"];

impl Kind {
    /// None for `auto` and for what is no name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Rodent, Self::Human, Self::Other].into_iter().find(|kind| kind.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Rodent => "rodent",
            Self::Human => "human",
            Self::Other => "other",
        }
    }

    /// By what the source says of itself: rate, names, units.
    pub fn guess(about: &Description) -> Self {
        let lower = |text: &str| text.to_lowercase();
        let names: Vec<String> = about.channels.iter().map(|channel| lower(&channel.name)).collect();
        let address = lower(&about.name);
        if !BRAIN_RATE_HZ.contains(&about.rate_hz) {
            return Self::Other;
        }
        let says = |word: &str| {
            let whole = |text: &str| text.split(|c: char| !c.is_alphanumeric()).any(|part| part == word);
            whole(&address) || names.iter().any(|name| whole(name))
        };
        if RODENT_WORDS.iter().any(|word| says(word)) {
            return Self::Rodent;
        }
        let placed = names.iter().filter(|name| is_place(name)).count();
        if HUMAN_WORDS.iter().any(|word| says(word)) || (placed >= 2 && 2 * placed >= names.len()) {
            return Self::Human;
        }
        let is_sound = about.rate_hz >= SOUND_RATE_HZ && names.len() <= SOUND_CHANNELS;
        let units: Vec<String> = about.channels.iter().map(|channel| lower(&channel.unit)).collect();
        let measures_else = units.iter().any(|unit| !unit.is_empty() && !VOLTS.contains(&unit.as_str()));
        if is_sound || measures_else {
            Self::Other
        } else if about.rate_hz >= PROBE_RATE_HZ {
            Self::Rodent
        } else {
            Self::Human
        }
    }
}

/// "fp1", "cz", "eeg o2".
fn is_place(name: &str) -> bool {
    let word = name.split(|c: char| !c.is_alphanumeric()).rfind(|part| !part.is_empty() && *part != "ref");
    let Some(word) = word else { return false };
    let letters = word.trim_end_matches(|c: char| c.is_ascii_digit());
    let (letters, numbered) = match letters.len() < word.len() {
        true => (letters, true),
        false => (word.strip_suffix('z').unwrap_or(word), word.ends_with('z')),
    };
    numbered && PLACES.contains(&letters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Channel;

    fn about(name: &str, rate_hz: f64, channels: &[(&str, &str)]) -> Description {
        let channel = |(name, unit): &(&str, &str)| Channel { name: (*name).into(), unit: (*unit).into(), rate_hz };
        let channels = channels.iter().map(channel).collect();
        Description { name: name.into(), rate_hz, channels, ..Description::default() }
    }

    #[test]
    fn what_makes_the_signal_is_guessed_from_what_it_says_of_itself() {
        for (name, rate_hz, channels, kind) in [
            ("synth://rat", 512.0, &[("lfp 01", "µV")][..], Kind::Rodent),
            ("rat_hippocampus.npy", 1000.0, &[("1", "")], Kind::Rodent),
            ("a.npy", 1000.0, &[("1", "")], Kind::Rodent),
            ("session.edf", 256.0, &[("EEG Fp1-Ref", "uV"), ("Cz", "uV")], Kind::Human),
            ("lsl://obci", 250.0, &[("1", "uV"), ("2", "uV")], Kind::Human),
            ("synth://wind", 32.0, &[("along", "m/s")], Kind::Other),
            ("osc://wind", 1.0, &[("wind", "")], Kind::Other),
            ("song.wav", 44_100.0, &[("left", ""), ("right", "")], Kind::Other),
            ("table.csv", 200.0, &[("torque", "Nm")], Kind::Other),
        ] {
            assert_eq!(Kind::guess(&about(name, rate_hz, channels)), kind, "{name}");
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for kind in [Kind::Rodent, Kind::Human, Kind::Other] {
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
            assert!(KIND_NAMES.contains(&kind.name()));
        }
        assert_eq!(Kind::from_name("auto"), None);
    }
}
