//! `wavedream inspect S --state`: what is told of a signal's state over a stretch of it, and, where the source knows its own
//! (`synth://rat`), how well: the confusion table, and the ripples and spindles that were found.

use std::{collections::BTreeMap, fmt};

use anyhow::{Result, bail};
use serde::Serialize;

use crate::{
    app::{ear::Ear, full_table},
    control::{Origin, Value},
    diffusion,
    signal::{self, HOPS_PER_SEC, Happening},
    state::{Confusion, Detected, Reading, STATE_NAMES, STATES, State},
};

/// Of an endless source, when nothing is said.
const ENDLESS_SECS: f64 = 60.0;
/// Until a source's own state counts: its signal is read ahead by so much at the start.
const AHEAD_SECS: f64 = 2.0;
/// An event that is told so much before or after it is there is right: detectors and filters take their time.
const SLACK_SECS: f64 = 0.06;

/// What was told over the stretch.
#[derive(Debug, Serialize)]
pub struct StateReport {
    pub kind: &'static str,
    pub secs: f64,
    /// Seconds in each state.
    pub states: BTreeMap<&'static str, f64>,
    pub mean_arousal: f64,
    /// Mean arousal in each state.
    pub arousal: BTreeMap<&'static str, f64>,
    pub events: Vec<Event>,
    /// Second by second.
    pub course: Vec<Moment>,
    /// None for a source that does not know its own state.
    pub truth: Option<Truth>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Event {
    pub kind: &'static str,
    pub secs: f64,
    pub strength: f32,
}

#[derive(Debug, Clone, Serialize)]
pub struct Moment {
    pub secs: f64,
    pub state: &'static str,
    pub shares: [f32; 4],
    pub arousal: f32,
    pub activity: f32,
    pub rhythm_hz: f64,
    pub rhythm: f32,
    /// Natural logarithms of theta over delta, delta over beta and low gamma, alpha over theta and beta, and of the tone.
    pub theta: Option<f64>,
    pub slow: Option<f64>,
    pub alpha: Option<f64>,
    pub tone: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truth: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub struct Truth {
    /// Seconds of each true state (rows) in each told one (columns): awake, quiet, asleep, dreaming.
    pub confusion: Confusion,
    pub accuracy: f64,
    pub kappa: f64,
    pub recall: [f64; 4],
    pub precision: [f64; 4],
    pub events: BTreeMap<&'static str, Found>,
}

#[derive(Debug, Serialize)]
pub struct Found {
    #[serde(flatten)]
    pub counts: Detected,
    pub recall: f64,
    pub precision: f64,
}

/// Listens to a source as a show does.
///
/// # Errors
/// The source cannot be opened, is live, or fails.
pub fn state_report(url: &str, seconds: Option<f64>, kind: &str) -> Result<StateReport> {
    let table = full_table(&diffusion::card("box")?);
    table.set("/state/kind", Value::text(kind), Origin::CommandLine)?;
    let source = signal::open(url)?;
    let about = source.description();
    if about.live {
        bail!(
            "{url}: is live; record it first (`wavedream play --record`), or see its state in the panel while it plays"
        );
    }
    let known_secs = about.duration_secs;
    let secs = match (seconds, known_secs) {
        (Some(asked), Some(known)) => asked.min(known),
        (asked, known) => asked.or(known).unwrap_or(ENDLESS_SECS),
    };
    let settings = crate::app::dials::SignalDials::new(&table)?.settings();
    let mut ear = Ear::new(source, settings, &table)?;
    let mut listened = Listened::default();
    for hop in 1..=(secs * HOPS_PER_SEC as f64) as u64 {
        ear.advance_to_hop(hop)?;
        let truth = ear.intake().state().and_then(State::from_truth);
        listened.there.extend(std::iter::from_fn(|| ear.intake_mut().happened()));
        if ear.listen(hop) {
            listened.hop(hop, &ear, truth);
        }
    }
    Ok(listened.report(ear.reading().kind.name()))
}

#[derive(Default)]
struct Listened {
    hops: [u64; 4],
    arousal: [f64; 4],
    events: Vec<Event>,
    course: Vec<Moment>,
    there: Vec<Happening>,
    confusion: Confusion,
    last_secs: f64,
}

impl Listened {
    fn hop(&mut self, hop: u64, ear: &Ear, truth: Option<State>) {
        let reading = ear.reading();
        let secs = reading.signal_secs;
        self.last_secs = secs;
        self.hops[reading.state as usize] += 1;
        self.arousal[reading.state as usize] += f64::from(reading.arousal);
        self.events.extend(ear.bursts().iter().map(|burst| Event {
            kind: burst.kind.name(),
            secs: burst.start_secs,
            strength: burst.strength,
        }));
        let truth = truth.filter(|_| secs > AHEAD_SECS);
        if let Some(truth) = truth {
            self.confusion.add(truth, reading.state, 1.0 / HOPS_PER_SEC as f64);
        }
        if hop.is_multiple_of(HOPS_PER_SEC) {
            self.course.push(moment(reading, truth));
        }
    }

    fn report(self, kind: &'static str) -> StateReport {
        let hops: u64 = self.hops.iter().sum();
        let by_state = |value: &dyn Fn(usize) -> f64| STATES.map(|state| (state.name(), value(state as usize))).into();
        let truth = (self.confusion.total_secs() > 0.0).then(|| self.truth());
        StateReport {
            kind,
            secs: self.last_secs,
            states: by_state(&|at| self.hops[at] as f64 / HOPS_PER_SEC as f64),
            mean_arousal: self.arousal.iter().sum::<f64>() / hops.max(1) as f64,
            arousal: by_state(&|at| self.arousal[at] / self.hops[at].max(1) as f64),
            truth,
            events: self.events,
            course: self.course,
        }
    }

    fn truth(&self) -> Truth {
        let found = |kind: &'static str| {
            let of_kind = |event: &&Happening| event.kind == kind && event.end_secs <= self.last_secs;
            let there: Vec<Happening> = self.there.iter().filter(of_kind).copied().collect();
            let told: Vec<f64> =
                self.events.iter().filter(|event| event.kind == kind).map(|event| event.secs).collect();
            let counts = Detected::compare(&there, &told, SLACK_SECS);
            (kind, Found { counts, recall: counts.recall(), precision: counts.precision() })
        };
        Truth {
            confusion: self.confusion,
            accuracy: self.confusion.accuracy(),
            kappa: self.confusion.kappa(),
            recall: STATES.map(|state| self.confusion.recall(state)),
            precision: STATES.map(|state| self.confusion.precision(state)),
            events: ["ripple", "spindle"].map(found).into(),
        }
    }
}

fn moment(reading: &Reading, truth: Option<State>) -> Moment {
    let ratio =
        |of: fn(&crate::state::Ratios) -> f64| reading.ratios.as_ref().map(of).filter(|value| value.is_finite());
    Moment {
        secs: reading.signal_secs,
        state: reading.state.name(),
        shares: reading.shares,
        arousal: reading.arousal,
        activity: reading.activity,
        rhythm_hz: reading.rhythm.hz,
        rhythm: reading.rhythm.strength,
        theta: ratio(|ratios| ratios.theta),
        slow: ratio(|ratios| ratios.slow),
        alpha: ratio(|ratios| ratios.alpha),
        tone: ratio(|ratios| ratios.tone),
        truth: truth.map(State::name),
    }
}

impl fmt::Display for StateReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nstate, as a {} over {:.0} s; mean arousal {:.2}", self.kind, self.secs, self.mean_arousal)?;
        for state in STATE_NAMES.iter().filter(|state| self.states[*state] > 0.0) {
            let (secs, arousal) = (self.states[state], self.arousal[state]);
            writeln!(f, "  {state:<9} {secs:>8.1} s   arousal {arousal:.2}")?;
        }
        for kind in ["ripple", "spindle", "burst"] {
            let times: Vec<f64> =
                self.events.iter().filter(|event| event.kind == kind).map(|event| event.secs).collect();
            if !times.is_empty() {
                let first: Vec<String> = times.iter().take(6).map(|secs| format!("{secs:.2}")).collect();
                let more = if times.len() > 6 { " …" } else { "" };
                writeln!(
                    f,
                    "  {} {kind}s, {:.1} a minute: at {} s{more}",
                    times.len(),
                    60.0 * times.len() as f64 / self.secs.max(1.0),
                    first.join(", ")
                )?;
            }
        }
        if let Some(truth) = &self.truth {
            write!(f, "{truth}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{:<18}", "truth \\ told, in s")?;
        STATE_NAMES.iter().try_for_each(|state| write!(f, "{state:>10}"))?;
        writeln!(f, "{:>10}", "recall")?;
        for (at, state) in STATE_NAMES.iter().enumerate() {
            write!(f, "{state:<18}")?;
            self.confusion.secs[at].iter().try_for_each(|secs| write!(f, "{secs:>10.0}"))?;
            writeln!(f, "{:>8.1} %", 100.0 * self.recall[at])?;
        }
        write!(f, "{:<18}", "precision")?;
        self.precision.iter().try_for_each(|part| write!(f, "{:>8.1} %", 100.0 * part))?;
        writeln!(f, "\nright {:.1} % of the time, kappa {:.2}", 100.0 * self.accuracy, self.kappa)?;
        for (kind, Found { counts, recall, precision }) in &self.events {
            writeln!(
                f,
                "{kind}s: {} there, {} told; recall {:.1} %, precision {:.1} %",
                counts.there,
                counts.told,
                100.0 * recall,
                100.0 * precision
            )?;
        }
        Ok(())
    }
}
