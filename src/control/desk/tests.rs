use std::{
    fs,
    time::{Duration, Instant},
};

use super::*;
use crate::control::{Folders, builtin, genres};

const FIRST: &str = "version = 1\nname = \"First light\"\n[set]\n\"/dream/vivid\" = 0.5\n";

/// A desk whose presets are those of the folder; the shipped ones need the shaders' parameters and are left out here.
fn desk(folder: &Path) -> Desk {
    let table = Table::new(builtin().into_iter().chain(genres(["ink"])));
    let folders = Folders { read: vec![folder.to_owned()], save: Some(folder.to_owned()) };
    let (presets, _) = Presets::load(&table, folders);
    Desk::new(table, presets).unwrap()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    // Sorted before and after everything that is shipped.
    fs::write(folder.path().join("00-first.toml"), FIRST).unwrap();
    fs::write(folder.path().join("99-last.toml"), "version = 1\n[set]\n\"/dream/vivid\" = -0.5\n").unwrap();
    folder
}

fn vivid(desk: &Desk) -> f64 {
    desk.table().handle("/dream/vivid").unwrap().number()
}

#[test]
fn a_preset_is_found_by_number_word_id_name_and_file() {
    let folder = folder();
    let mut desk = desk(folder.path());
    let file = folder.path().join("99-last.toml").display().to_string();
    for (wanted, value) in [("1", 0.5), ("last", -0.5), ("00-first", 0.5), (file.as_str(), -0.5), ("first LIGHT", 0.5)]
    {
        desk.recall(wanted, Some(0.0)).unwrap();
        assert_eq!(vivid(&desk), value, "{wanted}");
    }
    let error = desk.recall("frist", None).unwrap_err().to_string();
    assert_eq!(error, "there is no preset “frist”; did you mean first?");
}

#[test]
fn setting_the_preset_parameter_recalls_whoever_sets_it() {
    let folder = folder();
    let mut desk = desk(folder.path());
    desk.table().set_from_text("/preset=last", Origin::Panel).unwrap();
    assert!(desk.tick(0.0).is_empty());
    assert_eq!(desk.current().unwrap().id, "99-last");
    desk.tick(20.0);
    assert_eq!(vivid(&desk), -0.5);
    assert_eq!(desk.recalls(), 1);

    desk.table().set_from_text("/preset=nothing-like-it", Origin::Panel).unwrap();
    assert_eq!(desk.tick(0.0).len(), 1, "it is told");
    assert_eq!(desk.table().get("/preset").unwrap(), Value::text("99-last"));
    assert_eq!(desk.recalls(), 1);
}

#[test]
fn the_same_preset_again_takes_back_what_was_moved_since() {
    let folder = folder();
    let mut desk = desk(folder.path());
    desk.recall("first", Some(0.0)).unwrap();
    desk.table().set_from_text("/dream/vivid=-1", Origin::Key).unwrap();
    desk.table().set_from_text("/preset=00-first", Origin::Panel).unwrap();
    desk.tick(0.0);
    desk.tick(20.0);
    assert_eq!(vivid(&desk), 0.5);
}

#[test]
fn next_and_previous_go_round() {
    let folder = folder();
    let mut desk = desk(folder.path());
    let go = |desk: &mut Desk, path: &str| {
        desk.table().set(path, Value::Pulse, Origin::Key).unwrap();
        desk.tick(0.0);
        desk.current().unwrap().id.clone()
    };
    assert_eq!(go(&mut desk, "/preset/previous"), "99-last");
    assert_eq!(go(&mut desk, "/preset/next"), "00-first");
    assert_eq!(go(&mut desk, "/preset/previous"), "99-last");
    assert_eq!(go(&mut desk, "/preset/again"), "99-last");
    assert_eq!(desk.recalls(), 4);
    assert!(desk.key("1", false, false) && desk.current().unwrap().id == "00-first");
    assert!(!desk.key("9", true, false), "there are not nineteen");
}

#[test]
fn back_goes_to_the_preset_before_and_forth_again_and_nowhere_from_the_first() {
    let folder = folder();
    let mut desk = desk(folder.path());
    let back = |desk: &mut Desk| {
        desk.table().set("/preset/back", Value::Pulse, Origin::Key).unwrap();
        desk.tick(0.0);
        desk.current().map(|preset| preset.id.clone())
    };
    assert_eq!(back(&mut desk), None);
    desk.recall("first", None).unwrap();
    assert_eq!(back(&mut desk).as_deref(), Some("00-first"));
    desk.recall("last", None).unwrap();
    // The same once more is no other preset.
    desk.recall("last", None).unwrap();
    assert_eq!(back(&mut desk).as_deref(), Some("00-first"));
    assert_eq!(back(&mut desk).as_deref(), Some("99-last"));
}

#[test]
fn resetting_effects_leaves_the_rest() {
    let folder = folder();
    let mut desk = desk(folder.path());
    desk.table().declare([super::super::Param::float("/effect/bloom/amount", 0.0, 1.0, 0.0)]);
    for setting in ["/effect/bloom/amount=1", "/dream/vivid=1", "/stage/reset_effects=1"] {
        desk.table().set_from_text(setting, Origin::Key).unwrap();
    }
    desk.tick(1.0);
    assert_eq!(desk.table().get("/effect/bloom/amount").unwrap(), Value::Float(0.0));
    assert_eq!(vivid(&desk), 1.0);
}

#[test]
fn a_saved_preset_is_read_again_and_a_broken_one_keeps_the_old() {
    let folder = folder();
    let mut desk = desk(folder.path());
    desk.recall("first", Some(0.0)).unwrap();
    desk.watch_files().unwrap();
    let file = folder.path().join("00-first.toml");

    fs::write(&file, FIRST.replace("0.5", "0.9")).unwrap();
    wait(&mut desk, |desk, _| vivid(desk) == 0.9);
    fs::write(&file, FIRST.replace("vivid", "vivd")).unwrap();
    wait(&mut desk, |_, told| told.iter().any(|line| line.contains("line 4") && line.contains("did you mean")));
    assert_eq!(vivid(&desk), 0.9);
    assert_eq!(desk.current().unwrap().name, "First light");
}

#[test]
fn what_plays_is_saved_where_it_will_be_found() {
    let folder = folder();
    let mut desk = desk(folder.path());
    desk.table().set_from_text("/dream/vivid=0.25", Origin::Key).unwrap();
    let path = desk.save("50-mine", "Mine", "").unwrap();
    assert_eq!(path, folder.path().join("50-mine.toml"));
    assert_eq!(desk.current().unwrap().id, "50-mine");
    desk.recall("first", Some(0.0)).unwrap();
    desk.recall("mine", Some(0.0)).unwrap();
    assert_eq!(vivid(&desk), 0.25);
}

fn wait(desk: &mut Desk, until: impl Fn(&Desk, &[String]) -> bool) {
    let start = Instant::now();
    let mut told = Vec::new();
    while !until(desk, &told) {
        assert!(start.elapsed() < Duration::from_secs(10), "nothing came; told: {told:?}");
        std::thread::sleep(Duration::from_millis(10));
        told.extend(desk.tick(0.5));
    }
}
