use super::*;
use crate::control::{Origin, builtin};

fn stage() -> (Table, Motion) {
    let table = Table::new(builtin());
    table.declare(sources(["level", "onset"]));
    let motion = Motion::new(&table).unwrap();
    (table, motion)
}

fn set(table: &Table, settings: &[&str]) {
    for setting in settings {
        table.set_from_text(setting, Origin::Panel).unwrap();
    }
}

fn number(table: &Table, path: &str) -> f64 {
    table.handle(path).unwrap().number()
}

#[test]
fn an_lfo_moves_what_is_played_and_leaves_what_was_set() {
    let (table, mut motion) = stage();
    set(&table, &["/stage/master=0.5", "/lfo/1/target=/stage/master", "/lfo/1/rate_hz=1", "/lfo/1/depth=0.3"]);
    let mut played = Vec::new();
    for _ in 0..60 {
        assert!(motion.tick(1.0 / 60.0, &[]).is_empty());
        played.push(number(&table, "/stage/master"));
    }
    let (low, high) = played.iter().fold((1.0f64, 0.0f64), |(low, high), v| (low.min(*v), high.max(*v)));
    assert!((low - 0.2).abs() < 0.01 && (high - 0.8).abs() < 0.01, "{low} to {high}");
    assert_eq!(table.get("/stage/master").unwrap(), crate::control::Value::Float(0.5));
    set(&table, &["/lfo/1/target="]);
    motion.tick(1.0 / 60.0, &[]);
    assert_eq!(number(&table, "/stage/master"), 0.5, "off again");
}

#[test]
fn two_on_one_parameter_both_count() {
    let (table, mut motion) = stage();
    set(&table, &["/stage/master=0.5", "/envelope/2/target=/stage/master", "/envelope/2/depth=0.2"]);
    set(&table, &["/lfo/3/target=/stage/master", "/lfo/3/shape=square", "/lfo/3/depth=0.1"]);
    for _ in 0..300 {
        motion.tick(1.0 / 300.0, &[("level", 1.0)]);
    }
    assert!((number(&table, "/stage/master") - 0.8).abs() < 0.01, "{}", number(&table, "/stage/master"));
}

#[test]
fn an_lfo_in_beats_stays_in_step_with_the_beat() {
    let (table, mut motion) = stage();
    set(&table, &["/beat/bpm=97", "/lfo/1/target=/dream/vivid", "/lfo/1/beats=4", "/lfo/1/shape=saw"]);
    set(&table, &["/lfo/1/depth=0.5"]);
    for _ in 0..500 {
        motion.tick(0.0173, &[]);
        let expected = (motion.beat().position() / 4.0).fract() * 2.0 - 1.0;
        assert!((number(&table, "/dream/vivid") - expected).abs() < 1e-9);
    }
}

#[test]
fn a_follower_rises_and_falls_by_its_times() {
    let (table, mut motion) = stage();
    set(&table, &["/stage/master=0", "/envelope/1/target=/stage/master", "/envelope/1/source=onset"]);
    set(&table, &["/envelope/1/depth=1", "/envelope/1/attack_secs=0.1", "/envelope/1/release_secs=1"]);
    for _ in 0..10 {
        motion.tick(0.01, &[("level", 0.0), ("onset", 1.0)]);
    }
    let risen = number(&table, "/stage/master");
    assert!((risen - 0.632).abs() < 0.01, "two thirds after the attack: {risen}");
    for _ in 0..100 {
        motion.tick(0.01, &[("onset", 0.0)]);
    }
    assert!((number(&table, "/stage/master") / risen - 0.368).abs() < 0.01, "a third after the release");
}

#[test]
fn a_feature_that_is_broken_or_missing_is_silent() {
    let (table, mut motion) = stage();
    set(&table, &["/stage/master=0.5", "/envelope/1/target=/stage/master"]);
    for features in [&[("level", f32::NAN)][..], &[], &[("level", f32::INFINITY)]] {
        motion.tick(0.1, features);
        assert_eq!(number(&table, "/stage/master"), 0.5, "{features:?}");
    }
}

#[test]
fn a_wrong_target_is_told_once_and_the_nearest_named() {
    let (table, mut motion) = stage();
    set(&table, &["/lfo/1/target=/dream/vivd", "/lfo/2/target=/dream/prompt"]);
    let told = motion.tick(0.1, &[]);
    assert!(told[0].contains("did you mean /dream/vivid?") && told[1].contains("is a text"), "{told:?}");
    assert!(motion.tick(0.1, &[]).is_empty());
}

#[test]
fn a_trigger_fires_once_a_cycle() {
    let (table, mut motion) = stage();
    set(&table, &["/lfo/1/target=/preset/next", "/lfo/1/shape=square", "/lfo/1/beats=1", "/beat/bpm=60"]);
    for _ in 0..100 {
        motion.tick(0.1, &[]);
    }
    let fired = table.handle("/preset/next").unwrap().pulses();
    assert!((9..=10).contains(&fired), "{fired} times in ten beats");
}

#[test]
fn taps_set_the_tempo_and_bring_the_beat_to_the_finger() {
    let (table, mut motion) = stage();
    for frame in 0..=240 {
        if frame % 40 == 0 {
            table.set("/beat/tap", crate::control::Value::Pulse, Origin::Key).unwrap();
        }
        motion.tick(1.0 / 60.0, &[]);
    }
    let bpm = number(&table, "/beat/bpm");
    assert!((bpm - 90.0).abs() < 0.1, "{bpm}");
    for _ in 0..40 {
        motion.tick(1.0 / 60.0, &[]);
    }
    let off = motion.beat().position() - motion.beat().position().round();
    assert!(off.abs() < 0.02, "a beat after the last tap it is {off} off");
}

#[test]
fn a_midi_clock_shows_its_tempo_and_can_be_left_out() {
    let (table, mut motion) = stage();
    let run = |motion: &mut Motion| {
        for _ in 0..240 {
            // 150 beats a minute: a tick each sixtieth of a second.
            motion.clock(Clock::Tick, motion.now_secs());
            motion.tick(1.0 / 60.0, &[]);
        }
    };
    set(&table, &["/beat/clock=off"]);
    run(&mut motion);
    assert_eq!(number(&table, "/beat/bpm"), 120.0);
    set(&table, &["/beat/clock=on"]);
    run(&mut motion);
    assert_eq!(number(&table, "/beat/bpm"), 150.0);
    assert_eq!(table.handle("/beat/bpm").unwrap().origin(), Origin::Midi);
}

#[test]
fn a_nudge_moves_the_beat_and_comes_back() {
    let (table, mut motion) = stage();
    let mut run = |setting: &str| {
        set(&table, &[setting]);
        for _ in 0..60 {
            motion.tick(1.0 / 60.0, &[]);
        }
        motion.beat().position()
    };
    assert!((run("/beat/nudge=0.25") - 2.25).abs() < 1e-3);
    assert!((run("/beat/nudge=0") - 4.0).abs() < 1e-3);
}

#[test]
fn the_same_ticks_give_the_same_values_to_the_bit() {
    let film = || {
        let (table, mut motion) = stage();
        set(&table, &["/lfo/1/target=/dream/vivid", "/lfo/1/shape=random-smooth", "/lfo/1/rate_hz=3"]);
        (0..200)
            .map(|frame| {
                motion.tick(1.0 / 24.0, &[("level", (frame as f32).sin())]);
                number(&table, "/dream/vivid").to_bits()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(film(), film());
}

#[test]
fn other_threads_read_the_beat_between_frames() {
    let (_, mut motion) = stage();
    motion.tick(1.0, &[]);
    let reader = motion.reader();
    let soon = std::time::Instant::now() + std::time::Duration::from_millis(250);
    let position = reader.position_at(soon);
    assert!((2.4..=2.51).contains(&position), "{position}");
    assert!(reader.position_at(soon + std::time::Duration::from_secs(60)) <= 3.01, "it does not run away");
}
