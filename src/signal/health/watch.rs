//! Who is unwell, told once: a channel's ailment has to last before it is told and to be gone for longer before it is
//! over, and no channel is told of more than once in a while. Runs wherever health is looked at, some times a second.

use super::Health;

/// An ailment lasts so long before it is told...
const BEGINS_SECS: f64 = 1.5;
/// ...and is gone for so long before it is over.
const ENDS_SECS: f64 = 5.0;
/// Between two sentences on one channel.
const TOLD_EVERY_SECS: f64 = 15.0;
/// More channels that change at once share a sentence.
const NAMED: usize = 6;
/// Parts of the last ten seconds: from the first on a channel is unwell, below the second it is well again.
const CLIPPED: [f64; 2] = [0.01, 0.002];
const MISSING: [f64; 2] = [0.01, 0.001];
/// Part of the variance.
const HUM: [f64; 2] = [0.3, 0.15];

/// What is wrong with a channel; of several things the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ailment {
    Flat,
    Missing,
    Clipped,
    Hum50,
    Hum60,
}

impl Ailment {
    /// One word, for lists.
    pub fn word(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Missing => "missing",
            Self::Clipped => "clipped",
            Self::Hum50 => "hum50",
            Self::Hum60 => "hum60",
        }
    }

    /// To end "channel Fp1 …".
    fn words(self) -> &'static str {
        match self {
            Self::Flat => "does not move",
            Self::Missing => "misses samples",
            Self::Clipped => "sits on its rails",
            Self::Hum50 => "hums at 50 Hz",
            Self::Hum60 => "hums at 60 Hz",
        }
    }

    /// Whether it is there, or (with the lower bounds, of what was there before) still there.
    fn is_in(self, health: &Health, before: bool) -> bool {
        let bound = usize::from(before);
        match self {
            Self::Flat => health.flat,
            Self::Missing => health.missing_recent > MISSING[bound],
            Self::Clipped => health.clipped_recent > CLIPPED[bound],
            Self::Hum50 => health.hum_50 > HUM[bound],
            Self::Hum60 => health.hum_60 > HUM[bound],
        }
    }

    fn of(health: &Health, before: Option<Self>) -> Option<Self> {
        let all = [Self::Flat, Self::Missing, Self::Clipped, Self::Hum50, Self::Hum60];
        all.into_iter().find(|ailment| ailment.is_in(health, before == Some(*ailment)))
    }
}

#[derive(Debug, Clone)]
struct Patient {
    name: String,
    /// As it counts, and is told.
    is: Option<Ailment>,
    /// As it looks, since when.
    looks: Option<Ailment>,
    since_secs: f64,
    told_secs: f64,
}

/// Follows the health of all channels.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    patients: Vec<Patient>,
}

impl Watch {
    /// What is to be told at this moment, a sentence each.
    pub fn observe(&mut self, now_secs: f64, health: &[Health]) -> Vec<String> {
        let is_same = self.patients.len() == health.len()
            && self.patients.iter().zip(health).all(|(patient, health)| patient.name == health.name);
        if !is_same {
            let patient = |health: &Health| Patient {
                name: health.name.clone(),
                is: None,
                looks: None,
                since_secs: now_secs,
                told_secs: f64::NEG_INFINITY,
            };
            self.patients = health.iter().map(patient).collect();
        }
        let mut changed: Vec<(Option<Ailment>, &str)> = Vec::new();
        for (patient, health) in self.patients.iter_mut().zip(health) {
            let looks = Ailment::of(health, patient.is);
            if looks != patient.looks {
                (patient.looks, patient.since_secs) = (looks, now_secs);
            }
            let lasts_secs = if looks.is_some() { BEGINS_SECS } else { ENDS_SECS };
            let is_due = now_secs - patient.since_secs >= lasts_secs && now_secs - patient.told_secs >= TOLD_EVERY_SECS;
            if looks != patient.is && is_due {
                (patient.is, patient.told_secs) = (looks, now_secs);
                changed.push((looks, &patient.name));
            }
        }
        told(&mut changed)
    }

    /// Of each channel, in their order.
    pub fn each(&self) -> impl Iterator<Item = (&str, Option<Ailment>)> {
        self.patients.iter().map(|patient| (patient.name.as_str(), patient.is))
    }

    pub fn unwell(&self) -> usize {
        self.patients.iter().filter(|patient| patient.is.is_some()).count()
    }
}

/// One sentence for all channels that changed in the same way.
fn told(changed: &mut [(Option<Ailment>, &str)]) -> Vec<String> {
    changed.sort_by_key(|(ailment, _)| ailment.map_or("", Ailment::word));
    let sentence = |group: &[(Option<Ailment>, &str)]| {
        let names: Vec<&str> = group.iter().take(NAMED).map(|(_, name)| *name).collect();
        let more = group.len() - names.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let words = group[0].0.map_or("well again", Ailment::words);
        let channels = if group.len() == 1 { "channel" } else { "channels" };
        format!("{channels} {}{more}: {words}", names.join(", "))
    };
    changed.chunk_by(|a, b| a.0 == b.0).map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well(name: &str) -> Health {
        Health { name: name.into(), ..Health::default() }
    }

    /// Observes a constant health, ten times a second.
    fn during(watch: &mut Watch, from: f64, secs: f64, health: &[Health]) -> Vec<String> {
        (0..(10.0 * secs) as u32).flat_map(|n| watch.observe(from + f64::from(n) / 10.0, health)).collect()
    }

    #[test]
    fn an_ailment_is_told_when_it_lasts_and_once() {
        let mut watch = Watch::default();
        let flat = Health { flat: true, ..well("Fp1") };
        assert_eq!(during(&mut watch, 0.0, 1.0, &[flat.clone(), well("Cz")]), Vec::<String>::new());
        assert_eq!(during(&mut watch, 1.0, 1.0, &[well("Fp1"), well("Cz")]), Vec::<String>::new());
        assert_eq!(during(&mut watch, 2.0, 30.0, &[flat.clone(), well("Cz")]), ["channel Fp1: does not move"]);
        assert_eq!(watch.each().collect::<Vec<_>>(), [("Fp1", Some(Ailment::Flat)), ("Cz", None)]);
        assert_eq!(during(&mut watch, 32.0, 30.0, &[well("Fp1"), well("Cz")]), ["channel Fp1: well again"]);
        assert_eq!(watch.unwell(), 0);
    }

    #[test]
    fn what_wavers_about_a_bound_is_not_told_again_and_again() {
        let mut watch = Watch::default();
        let clipped = |part: f64| [Health { clipped_recent: part, ..well("a") }];
        let mut told = Vec::new();
        for n in 0..600 {
            told.extend(during(&mut watch, f64::from(n), 1.0, &clipped(if n % 7 < 4 { 0.012 } else { 0.004 })));
        }
        assert_eq!(told, ["channel a: sits on its rails"]);
        // One that comes and goes altogether is told of at most once in a while.
        let mut told = Vec::new();
        for n in 0..60 {
            told.extend(during(
                &mut watch,
                600.0 + f64::from(n * 8),
                8.0,
                &clipped(if n % 2 == 0 { 0.5 } else { 0.0 }),
            ));
        }
        assert!(told.len() as f64 <= 480.0 / TOLD_EVERY_SECS + 1.0, "{}", told.len());
    }

    #[test]
    fn many_channels_share_a_sentence() {
        let mut watch = Watch::default();
        let health: Vec<_> = (0..32).map(|n| Health { hum_50: 0.8, ..well(&format!("c{n}")) }).collect();
        let told = during(&mut watch, 0.0, 3.0, &health);
        assert_eq!(told, ["channels c0, c1, c2, c3, c4, c5 and 26 more: hums at 50 Hz"]);
    }
}
