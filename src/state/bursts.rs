//! What comes and goes: ripples, spindles, and plain bursts of anything else (a gust, a breaker, a word).

/// Something short that stood out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burst {
    pub kind: BurstKind,
    /// Signal time.
    pub start_secs: f64,
    /// 0..1; a half just counts.
    pub strength: f32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BurstKind {
    Ripple,
    Spindle,
    Plain,
}

impl BurstKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ripple => "ripple",
            Self::Spindle => "spindle",
            Self::Plain => "burst",
        }
    }
}

/// A plain burst counts at this energy above the usual one (in nepers: a double amplitude), and ends below the other.
const COUNTS: f64 = 1.4;
const ENDS: f64 = 0.7;

/// Finds plain bursts in the energy of a signal.
#[derive(Debug, Clone, Default)]
pub struct Bursts {
    inside: bool,
}

impl Bursts {
    /// `above` is how far the energy now lies above the usual one, in nepers.
    pub fn hop(&mut self, above: f64, secs: f64) -> Option<Burst> {
        let begins = !self.inside && above > COUNTS;
        if begins || above < ENDS || !above.is_finite() {
            self.inside = begins;
        }
        let strength = (0.5 + 0.25 * (above - COUNTS)).clamp(0.0, 1.0) as f32;
        begins.then_some(Burst { kind: BurstKind::Plain, start_secs: secs, strength })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_told_once_until_it_is_over() {
        let mut bursts = Bursts::default();
        let course = [0.0, 1.0, 1.5, 2.0, 1.0, 1.6, 0.2, f64::NAN, 1.8, 0.0];
        let told: Vec<bool> = course.iter().map(|above| bursts.hop(*above, 1.0).is_some()).collect();
        assert_eq!(told, [false, false, true, false, false, false, false, false, true, false]);
    }
}
