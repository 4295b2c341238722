//! The parameters of beat, LFOs and envelope followers.

use super::{
    Beat, ENVELOPES, LFOS,
    beat::{FASTEST_BPM, SLOWEST_BPM},
    lfo::{CYCLES, SHAPES},
    tap::Taps,
};
use crate::control::{Handle, Origin, Param, SetError, Table, Value};

/// All of them. [`sources`] declares again what followers can follow, once that is known.
pub fn params() -> Vec<Param> {
    let mut params = vec![
        Param::float("/beat/bpm", SLOWEST_BPM, FASTEST_BPM, 120.0)
            .unit("beats/min")
            .setup()
            .about("Tempo of the beat; a MIDI clock sets it while it runs."),
        Param::trigger("/beat/tap").about("Tap it on the beat, twice or more: tempo and beat follow."),
        Param::trigger("/beat/restart").about("Starts the beat from the top: this is the one."),
        Param::float("/beat/nudge", -0.5, 0.5, 0.0)
            .unit("beats")
            .never_recalled()
            .about("Moves the beat against the music, earlier or later."),
        Param::bool("/beat/clock", true).setup().about("Follows a MIDI clock when one comes."),
    ];
    for number in 1..=LFOS {
        let path = |name: &str| format!("/lfo/{number}/{name}");
        params.extend([
            Param::text(path("target"), "").about("The path of the parameter that this LFO moves; empty is off."),
            Param::choice(path("shape"), SHAPES).about("How it moves in a cycle."),
            Param::float(path("rate_hz"), 0.005, 20.0, 0.2).log().unit("Hz").about("Cycles a second, when it is free."),
            Param::choice(path("beats"), CYCLES.map(|(name, _)| name))
                .unit("beats")
                .about("Beats a cycle; free runs by its rate."),
            Param::float(path("phase"), 0.0, 1.0, 0.0).unit("cycles").about("Where in its cycle it stands."),
            Param::float(path("depth"), 0.0, 1.0, 0.25)
                .about("How far to both sides of what was set, in parts of the whole range."),
        ]);
    }
    params.extend(sources(["level"]));
    for number in 1..=ENVELOPES {
        let path = |name: &str| format!("/envelope/{number}/{name}");
        params.extend([
            Param::text(path("target"), "").about("The path of the parameter that this follower moves; empty is off."),
            Param::float(path("attack_secs"), 0.001, 5.0, 0.02).log().unit("s").about("How fast it rises."),
            Param::float(path("release_secs"), 0.01, 10.0, 0.4).log().unit("s").about("How fast it falls."),
            Param::float(path("gain"), 0.1, 10.0, 1.0).log().about("Makes what it follows larger."),
            Param::float(path("depth"), -1.0, 1.0, 0.5)
                .about("How far above (or below) what was set, in parts of the whole range."),
        ]);
    }
    params
}

/// What each follower can follow: the names of the signal's features.
pub fn sources<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Vec<Param> {
    let names: Vec<S> = names.into_iter().collect();
    let source = |number| {
        Param::choice(format!("/envelope/{number}/source"), &names).about("What it follows of the signal's features.")
    };
    (1..=ENVELOPES).map(source).collect()
}

/// Nobody reads tempos that change faster.
const SHOW_EVERY_SECS: f64 = 0.25;

/// The beat's parameters, and what was seen of them.
pub struct BeatDials {
    bpm: Handle,
    tap: Handle,
    tap_seen: u64,
    restart: Handle,
    restart_seen: u64,
    nudge: Handle,
    nudged: f64,
    clock: Handle,
    taps: Taps,
    shown_secs: f64,
}

impl BeatDials {
    pub fn new(table: &Table) -> Result<Self, SetError> {
        let (tap, restart, nudge) =
            (table.handle("/beat/tap")?, table.handle("/beat/restart")?, table.handle("/beat/nudge")?);
        Ok(Self {
            bpm: table.handle("/beat/bpm")?,
            tap_seen: tap.pulses(),
            tap,
            restart_seen: restart.pulses(),
            restart,
            nudged: 0.0,
            nudge,
            clock: table.handle("/beat/clock")?,
            taps: Taps::default(),
            shown_secs: 0.0,
        })
    }

    pub fn bpm(&self) -> f64 {
        self.bpm.number()
    }

    pub fn follows_clock(&self) -> bool {
        self.clock.is_on()
    }

    /// Does to the beat what was asked since the last frame.
    pub fn follow(&mut self, table: &Table, beat: &mut Beat, now_secs: f64) {
        if self.tap.fired(&mut self.tap_seen) && !beat.has_clock() {
            if let Some(bpm) = self.taps.tap(now_secs) {
                self.set_bpm(table, bpm, self.tap.origin());
            }
            beat.align(now_secs);
        }
        if self.restart.fired(&mut self.restart_seen) {
            beat.restart();
        }
        let nudge = self.nudge.number();
        beat.shift(nudge - std::mem::replace(&mut self.nudged, nudge));
        if !beat.has_clock() {
            beat.set_bpm(self.bpm.number());
        }
    }

    /// Shows the tempo of a clock.
    pub fn show(&mut self, table: &Table, beat: &Beat, now_secs: f64) {
        let rounded = (beat.bpm() * 10.0).round() / 10.0;
        if beat.has_clock() && now_secs - self.shown_secs >= SHOW_EVERY_SECS && self.bpm.base() != rounded {
            self.shown_secs = now_secs;
            self.set_bpm(table, rounded, Origin::Midi);
        }
    }

    fn set_bpm(&self, table: &Table, bpm: f64, origin: Origin) {
        if let Err(error) = table.set("/beat/bpm", Value::Float(bpm.clamp(SLOWEST_BPM, FASTEST_BPM)), origin) {
            tracing::warn!("{error}");
        }
    }
}
