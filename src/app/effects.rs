//! The signal that moves the effects while another one paints: the music moves the camera, a rat dreams.
//!
//! `/signal/effects` names it. It is opened, heard and, when it fails or ends, opened again on its own: whatever becomes of
//! it, the one that paints plays on, and effects follow that one meanwhile. [`Effects::hop`] is stepped by the film's
//! clock in `render`; in `play` [`Listening`] steps it on a thread of its own.

#[cfg(any(feature = "window", test))]
mod listening;

#[cfg(feature = "window")]
pub use listening::Listening;

use std::sync::Arc;

use super::{ear::Ear, line::LineError, setup::EFFECTS};
use crate::{
    control::{Handle, SetError, Table},
    signal::{self, HOPS_PER_SEC, Health, Settings},
    state::{Pulse, Reading},
};

/// Hops before a source that failed is opened again.
const RETRY_HOPS: u64 = 2 * HOPS_PER_SEC;
/// Hops between two looks at its health.
const HEALTH_HOPS: u64 = HOPS_PER_SEC;

/// What is known of it at one hop.
#[derive(Debug, Clone)]
pub struct Heard {
    pub pulse: Arc<Pulse>,
    pub reading: Reading,
}

/// Follows `/signal/effects`.
pub struct Effects {
    table: Table,
    wanted: Handle,
    dc_hz: Handle,
    source: Arc<str>,
    ear: Option<Ear>,
    hop: u64,
    /// Hops until it is tried again.
    retry: u64,
    words: Arc<str>,
    told: Vec<String>,
}

impl Effects {
    pub fn new(table: &Table) -> Result<Self, SetError> {
        Ok(Self {
            wanted: table.handle(EFFECTS)?,
            dc_hz: table.handle("/signal/dc_hz")?,
            table: table.clone(),
            source: "".into(),
            ear: None,
            hop: 0,
            retry: 0,
            words: "".into(),
            told: Vec::new(),
        })
    }

    /// Goes on for a hop. None while no other source is wanted, or it is not there.
    pub fn hop(&mut self) -> Option<Heard> {
        let wanted = self.wanted.text();
        if *wanted.trim() != *self.source {
            self.source = wanted.trim().into();
            (self.ear, self.retry) = (None, 0);
            self.words = "".into();
        }
        if self.source.is_empty() {
            return None;
        }
        if self.ear.is_none() {
            self.retry = self.retry.saturating_sub(1);
            if self.retry > 0 {
                return None;
            }
            self.open();
        }
        let ear = self.ear.as_mut()?;
        self.hop += 1;
        ear.intake_mut().apply(settings(&self.dc_hz));
        let progress = ear.advance_to_hop(self.hop);
        self.told.extend(ear.messages());
        match progress {
            Err(error) => {
                self.fail(&error.to_string());
                None
            }
            // A recording begins anew.
            Ok(progress) if progress.ended && self.hop as f64 >= progress.reached_secs * HOPS_PER_SEC as f64 => {
                let heard = self.heard();
                self.open();
                heard
            }
            Ok(_) => {
                ear.listen(self.hop);
                self.heard()
            }
        }
    }

    fn heard(&mut self) -> Option<Heard> {
        let ear = self.ear.as_ref()?;
        if self.hop % HEALTH_HOPS == 1 {
            let words = format!("{}: {}", self.source, words(&ear.intake().health(), ear.reading()));
            self.words = words.into();
        }
        Some(Heard { pulse: Arc::clone(ear.pulse()), reading: *ear.reading() })
    }

    fn open(&mut self) {
        let opened = signal::open(&self.source).map_err(LineError::from);
        match opened.and_then(|source| Ear::new(source, settings(&self.dc_hz), &self.table)) {
            Ok(ear) => (self.ear, self.hop) = (Some(ear), 0),
            Err(error) => self.fail(&error.to_string()),
        }
    }

    /// Lets go of it, says why, and tries again soon.
    fn fail(&mut self, why: &str) {
        (self.ear, self.retry) = (None, RETRY_HOPS);
        if *self.words != *why {
            self.told.push(format!("{why}; the effects follow the signal that paints meanwhile"));
            self.words = why.into();
        }
    }

    /// The source and how it is, or why it is not there; empty if none is wanted.
    #[cfg(any(feature = "window", test))]
    pub fn words(&self) -> &Arc<str> {
        &self.words
    }

    /// What people should be told since the last call, a sentence each.
    pub fn messages(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }

    /// Its samples come when they come.
    pub fn is_live(&self) -> bool {
        self.ear.as_ref().is_some_and(|ear| ear.intake().description().live)
    }
}

/// Filters of the signal that paints are not for this one, but for the removal of an offset.
fn settings(dc_hz: &Handle) -> Settings {
    Settings { dc_hz: dc_hz.f32(), ..Settings::default() }
}

fn words(health: &[Health], reading: &Reading) -> String {
    let flat = health.iter().filter(|channel| channel.flat).count();
    match flat {
        0 => reading.sentence(),
        flat if flat == health.len() => "silent".to_owned(),
        flat => format!("{}, {flat} of {} channels flat", reading.sentence(), health.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{app::full_table, control::Origin, diffusion};

    fn effects(source: &str) -> (Table, Effects) {
        let table = full_table(&diffusion::card("box").unwrap());
        table.set_from_text(&format!("{EFFECTS}={source}"), Origin::Panel).unwrap();
        let effects = Effects::new(&table).unwrap();
        (table, effects)
    }

    #[test]
    fn it_is_heard_changed_and_let_go_by_its_parameter() {
        let (table, mut effects) = effects("synth://wind?rate=200");
        let heard = (0..120).filter_map(|_| effects.hop()).last().unwrap();
        assert!(heard.pulse.points.iter().any(|x| *x != 0.0) && effects.words().starts_with("synth://wind?rate=200: "));
        table.set_from_text(&format!("{EFFECTS}=synth://rat"), Origin::Panel).unwrap();
        let heard = (0..60).filter_map(|_| effects.hop()).last().unwrap();
        assert!(effects.words().starts_with("synth://rat: ") && heard.reading.kind == crate::state::Kind::Rodent);
        table.set_from_text(&format!("{EFFECTS}="), Origin::Panel).unwrap();
        assert!(effects.hop().is_none() && effects.words().is_empty() && effects.messages().is_empty());
    }

    #[test]
    fn one_that_is_not_there_is_told_once_and_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("late.csv");
        let (_table, mut effects) = effects(&format!("{}?rate=100", file.display()));
        assert!((0..100).all(|_| effects.hop().is_none()));
        let told = effects.messages();
        assert!(told.len() == 1 && told[0].contains("late.csv") && told[0].contains("meanwhile"), "{told:?}");
        let rows: String = (0..300).map(|n| format!("{}\n", (f64::from(n) * 0.3).sin())).collect();
        std::fs::write(&file, rows).unwrap();
        // Three seconds of it, again and again.
        let heard = (0..400).filter_map(|_| effects.hop()).count();
        assert!(heard > 300, "{heard}");
        assert_eq!(effects.messages(), [""; 0]);
    }
}
