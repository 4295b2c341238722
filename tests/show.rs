//! A recorded show: made again twice, byte for byte the same, and at another size, rate and model setting.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use wavedream::{
    app::{
        full_table,
        recording::{Head, Recorder, SignalTap},
    },
    control::{CueList, Desk, Folders, Origin, Presets, Table, Value},
    diffusion,
    signal::{self, HOPS_PER_SEC, Intake, Settings},
};

fn table() -> Table {
    full_table(&diffusion::card("box").unwrap())
}

/// Plays a second and a half by the real clock, as `play` does: a desk, a signal, hands that move things.
fn record(path: &Path) {
    let table = table();
    let (presets, _) = Presets::load(&table, Folders::default());
    let mut desk = Desk::new(table.clone(), presets).unwrap();
    for setting in ["/dream/size=256", "/dream/rate=10"] {
        table.set_from_text(setting, Origin::CommandLine).unwrap();
    }
    desk.recall("ink", Some(0.0)).unwrap();
    let tap = SignalTap::default();
    let source = tap.wrap(signal::open("synth://rat?seed=4").unwrap());
    let mut intake = Intake::from_source(source, Settings::default()).unwrap();
    let head = Head { model: "box".into(), source: "synth://rat?seed=4".into(), ..Head::default() };
    let recorder = Recorder::start(path, head, &table, &tap).unwrap();
    let start = Instant::now();
    tap.line_begins(start);
    for hop in 1..=45u64 {
        std::thread::sleep(
            (start + Duration::from_secs(hop) / HOPS_PER_SEC as u32).saturating_duration_since(Instant::now()),
        );
        intake.advance_to(hop as f64 / HOPS_PER_SEC as f64).unwrap();
        match hop {
            12 => drop(table.set_smooth("/dream/vivid", Value::Float(1.0), 0.5, Origin::Key).unwrap()),
            20 => {
                table.set_from_text("/preset=coral", Origin::Panel).unwrap();
                desk.tick(1.0 / 30.0);
                recorder.transition("ripple", 0.4);
                continue;
            }
            30 => drop(table.set_from_text("/effect/posterise/amount=1", Origin::Key).unwrap()),
            _ => {}
        }
        desk.tick(1.0 / 30.0);
    }
    let made = recorder.finish().unwrap();
    assert_eq!(made.lost, 0);
    assert!((1.4..30.0).contains(&made.secs));
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

fn frames(folder: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

#[test]
fn a_recorded_show_is_the_same_film_every_time_and_another_one_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    record(&folder.path().join("a.wds"));
    let film = |more: &[&str], out: &str| {
        let base = ["render", "--show", "a.wds", "-o", out];
        let done = wavedream(folder.path(), &[&base[..], more].concat());
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(0), "{said}");
        frames(&folder.path().join(out))
    };
    let small: &[&str] = &["--size", "96x96", "--fps", "10"];
    let first = film(small, "one");
    assert!(first.len() >= 14);
    assert_eq!(first, film(small, "two"), "byte for byte");
    let kinds: std::collections::HashSet<_> = first[..14].iter().collect();
    assert_eq!(kinds.len(), 14, "and no frame is another one");

    let larger = film(&["--size", "128x96", "--fps", "5"], "larger");
    assert!(larger.len().abs_diff(first.len() / 2) <= 1, "as long, at half the rate");
    assert_eq!(image::load_from_memory(&larger[0]).unwrap().width(), 128);
    let steps = film(&["--size", "96x96", "--fps", "10", "--set", "/dream/steps=2"], "steps");
    assert_ne!(first[5], steps[5], "more steps are another picture");
    let plain = film(&["--size", "96x96", "--fps", "10", "--set", "/effect/posterise/amount=0"], "plain");
    assert_eq!(first[8], plain[8], "what is set over the show changes nothing before the show moves it");
    assert_ne!(first.last(), plain.last(), "and stays as it is set");
}

#[test]
fn a_file_that_is_no_show_is_refused_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.wds"), "not a show").unwrap();
    for (args, code, expected) in [
        (&["render", "--show", "x.wds", "-o", "x.gif"][..], 1, "x.wds: is not a recorded show"),
        (&["render", "--show", "none.wds", "-o", "x.gif"], 1, "none.wds: cannot be read"),
        (&["render", "--show", "x.wds", "--source", "synth://rat", "-o", "x.gif"], 2, "cannot be used"),
        (&["render", "--cues", "none.toml", "-o", "x.gif"], 1, "none.toml: cannot be read"),
    ] {
        let out = wavedream(folder.path(), args);
        let said = String::from_utf8(out.stderr).unwrap();
        assert_eq!((out.status.code(), said.lines().count()), (Some(code), 1), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
    }
}

#[test]
fn a_list_of_cues_plays_in_a_film() {
    let folder = tempfile::tempdir().unwrap();
    let cues = "version = 1\n[[cue]]\npreset = \"ink\"\nat = 0\nsecs = 0\n[[cue]]\npreset = \"strobe\"\nafter = 0.5\nsecs = 0\n";
    fs::write(folder.path().join("list.toml"), cues).unwrap();
    let film = |more: &[&str], out: &str| {
        let base =
            ["render", "--seconds", "0.8", "--size", "64x64", "--fps", "10", "--set", "/dream/size=256", "-o", out];
        let done = wavedream(folder.path(), &[&base[..], more].concat());
        assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
        frames(&folder.path().join(out))
    };
    let (with, without) = (film(&["--cues", "list.toml"], "with"), film(&["--preset", "ink"], "without"));
    assert_eq!(with[..5], without[..5]);
    assert_ne!(with[7], without[7]);
}

#[test]
fn the_shipped_cues_fit_the_shipped_presets() {
    let table = table();
    let (presets, _) = Presets::load(&table, Folders::default());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("presets/cues");
    let mut lists = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let list = CueList::load(&entry.unwrap().path()).unwrap();
        let warnings = list.check(&table, &presets).unwrap();
        assert!(warnings.iter().all(|warning| warning.contains("time zone")), "{warnings:?}");
        assert!(!list.cues.is_empty());
        lists += 1;
    }
    assert!(lists > 0);
}
