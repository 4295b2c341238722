//! What is told of a signal's state, on the synthetic rat, which knows its own; and what moves by it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use wavedream::{
    app::commands::state_report::{StateReport, state_report},
    state::Confusion,
};

/// Twenty minutes of signal, in four animals.
fn rats() -> Vec<StateReport> {
    (11..15).map(|seed| state_report(&format!("synth://rat?seed={seed}"), Some(300.0), "auto").unwrap()).collect()
}

#[test]
fn the_states_ripples_and_spindles_of_the_synthetic_rat_are_told() {
    let mut all = Confusion::default();
    let mut events = [[0.0_f64; 4]; 2];
    for report in rats() {
        assert_eq!(report.kind, "rodent");
        let truth = report.truth.unwrap();
        let cells = all.secs.iter_mut().flatten().zip(truth.confusion.secs.iter().flatten());
        cells.for_each(|(sum, secs)| *sum += secs);
        for (sums, kind) in events.iter_mut().zip(["ripple", "spindle"]) {
            let counts = truth.events[kind].counts;
            let counts = [counts.there, counts.found, counts.told, counts.right];
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count as f64);
        }
        let (awake, asleep) = (report.arousal["awake"], report.arousal["asleep"]);
        assert!(awake > asleep + 0.4, "arousal {awake:.2} awake, {asleep:.2} asleep");
    }
    assert!(all.total_secs() > 1180.0);
    assert!(all.accuracy() > 0.82 && all.kappa() > 0.75, "{:.3}, {:.3}: {all:?}", all.accuracy(), all.kappa());
    for state in wavedream::state::STATES {
        let (recall, precision) = (all.recall(state), all.precision(state));
        assert!(recall > 0.7 && precision > 0.7, "{state:?}: {recall:.2}, {precision:.2}: {all:?}");
    }
    let rates = events.map(|[there, found, told, right]| (found / there, right / told));
    let [(ripples, true_ripples), (spindles, true_spindles)] = rates;
    assert!(ripples > 0.9 && true_ripples > 0.9, "ripples: recall {ripples:.2}, precision {true_ripples:.2}");
    assert!(spindles > 0.6 && true_spindles > 0.65, "spindles: recall {spindles:.2}, precision {true_spindles:.2}");
}

#[test]
fn the_same_signal_is_told_the_same_way_every_time() {
    let told = || {
        let report = state_report("synth://rat?seed=3&channels=5", Some(40.0), "auto").unwrap();
        serde_json::to_string(&report).unwrap()
    };
    assert_eq!(told(), told());
}

fn wavedream(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wavedream"))
        .args(args)
        .current_dir(folder)
        .env("XDG_CONFIG_HOME", folder)
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

#[test]
fn inspect_tells_the_state_to_people_and_to_scripts() {
    let folder = tempfile::tempdir().unwrap();
    let said = |args: &[&str]| {
        let out = wavedream(folder.path(), args);
        assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    let text = said(&["inspect", "synth://rat?seed=2", "--seconds", "60", "--state"]);
    for word in ["state, as a rodent", "truth \\ told", "kappa", "ripples: "] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let json = said(&["inspect", "synth://wind", "--seconds", "20", "--state", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    let state = &report["state"];
    assert_eq!((state["kind"].as_str(), state["truth"].is_null()), (Some("other"), true));
    assert_eq!(state["course"].as_array().unwrap().len(), 20);
    let json = said(&["inspect", "synth://wind", "--seconds", "2", "--json"]);
    assert!(!json.contains("\"state\""), "only when asked");
    let out = wavedream(folder.path(), &["inspect", "synth://rat", "--state", "--kind", "cat"]);
    assert_eq!(out.status.code(), Some(2));
}

fn frames(folder: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

#[test]
fn another_source_moves_the_effects_of_a_film_and_the_film_is_the_same_every_time() {
    let folder = tempfile::tempdir().unwrap();
    let film = |more: &[&str], out: &str| {
        #[rustfmt::skip]
        let base = [
            "render", "synth://rat?seed=4", "--preset", "ink", "--seconds", "1", "--size", "64x64", "--fps", "6",
            "--set", "/dream/size=256", "--set", "/envelope/1/target=/effect/posterise/amount",
            "--set", "/envelope/1/source=level", "--set", "/envelope/1/depth=1", "-o", out,
        ];
        let done = wavedream(folder.path(), &[&base[..], more].concat());
        assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
        frames(&folder.path().join(out))
    };
    let music: &[&str] = &["--effects-source", "synth://waves?seed=9"];
    let (first, again, alone) = (film(music, "one"), film(music, "two"), film(&[], "alone"));
    assert_eq!(first, again, "byte for byte");
    assert_eq!(first.len(), alone.len());
    assert_ne!(first, alone, "the waves and not the rat move the posterisation");
}
