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

fn set(desk: &mut Desk, settings: &[&str]) -> Vec<String> {
    for setting in settings {
        desk.table().set_from_text(setting, Origin::Panel).unwrap();
    }
    desk.tick(0.0)
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn presets_are_saved_copied_renamed_and_deleted_by_parameters() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("20-first.toml"), format!("{FIRST}\"/dream/bright\" = 0.1\n")).unwrap();
    let mut desk = desk(folder.path());
    desk.recall("first", Some(0.0)).unwrap();

    assert!(set(&mut desk, &["/dream/vivid=0.25", "/preset/save=1"])[0].contains("First light"));
    desk.recall("first", Some(0.0)).unwrap();
    assert_eq!((vivid(&desk), desk.current().unwrap().name.as_str()), (0.25, "First light"));
    let before = fs::read_to_string(folder.path().join("20-first.toml-before")).unwrap();
    assert!(before.contains("0.5"), "what was overwritten is still there: {before}");

    set(&mut desk, &["/dream/vivid=0.75", "/preset/save_as=Night: Sky"]);
    assert_eq!(desk.current().unwrap().id, "21-night-sky");
    assert_eq!(desk.table().get("/preset/save_as").unwrap(), Value::text(""), "the deed is done");

    set(&mut desk, &["/dream/vivid=-1", "/preset/duplicate=1"]);
    assert_eq!(desk.current().unwrap().name, "Night: Sky 2");
    desk.recall("22-night-sky-2", Some(0.0)).unwrap();
    assert_eq!(vivid(&desk), 0.75, "the copy is of what was saved");

    set(&mut desk, &["/preset/rename=Dawn"]);
    desk.recall("dawn", Some(0.0)).unwrap();
    assert_eq!(desk.current().unwrap().id, "22-night-sky-2");

    assert!(set(&mut desk, &["/preset/delete=1"])[0].contains("toml-deleted"));
    assert!(desk.current().is_none() && desk.recall("dawn", None).is_err());
    assert!(files(folder.path()).contains(&"22-night-sky-2.toml-deleted".to_owned()));
    assert!(set(&mut desk, &["/preset/delete=1"])[0].contains("no preset plays"));
}

#[test]
fn a_shipped_preset_can_be_saved_over_and_comes_back_when_that_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let table = crate::app::full_table(&crate::diffusion::card("box").unwrap());
    let save = folder.path().join("not/yet/there");
    let (presets, _) = Presets::load(&table, Folders { read: Vec::new(), save: Some(save.clone()) });
    let mut desk = Desk::new(table, presets).unwrap();
    desk.recall("ink", Some(0.0)).unwrap();
    assert!(set(&mut desk, &["/preset/delete=1"])[0].contains("part of the program"));
    set(&mut desk, &["/dream/vivid=0.25", "/preset/save=1"]);
    assert_eq!(files(&save), ["01-ink.toml"]);
    desk.recall("1", Some(0.0)).unwrap();
    assert_eq!(vivid(&desk), 0.25);
    set(&mut desk, &["/preset/delete=1"]);
    assert_eq!(desk.current().unwrap().id, "01-ink", "the one of the program");
    desk.recall("1", Some(0.0)).unwrap();
    assert_eq!(vivid(&desk), 0.0);
}

#[test]
fn what_is_left_out_of_recall_stays_where_the_hand_put_it() {
    let folder = folder();
    let mut desk = desk(folder.path());
    assert!(
        set(&mut desk, &["/dream/vivid=0.1", "/dream/bright=0.3", "/preset/leave_out=/dream/bright, stage"]).is_empty()
    );
    set(&mut desk, &["/stage/crossfade=2", "/preset=1"]);
    desk.tick(20.0);
    let number = |path: &str| desk.table().handle(path).unwrap().number();
    assert_eq!((vivid(&desk), number("/dream/bright"), number("/stage/crossfade")), (0.5, 0.3, 2.0));
    let told = set(&mut desk, &["/preset/leave_out=/dream/vivd"]);
    assert!(told[0].contains("did you mean /dream/vivid?"), "{told:?}");
}

#[test]
fn a_recall_is_taken_back_and_done_again_with_its_preset() {
    let folder = folder();
    let mut desk = desk(folder.path());
    desk.recall("first", Some(0.0)).unwrap();
    desk.tick(0.1);
    set(&mut desk, &["/dream/bright=1"]);
    desk.tick(2.0);
    set(&mut desk, &["/preset=last"]);
    desk.tick(20.0);
    let recalls = desk.recalls();
    assert_eq!(desk.table().get("/undo/next").unwrap(), Value::text("preset 99-last"));
    desk.key("z", false, false);
    desk.tick(0.1);
    desk.tick(1.0);
    assert_eq!((vivid(&desk), desk.current().unwrap().id.as_str(), desk.recalls()), (0.5, "00-first", recalls + 1));
    assert_eq!(desk.table().get("/dream/bright").unwrap(), Value::Float(1.0));
    assert_eq!(desk.table().get("/preset").unwrap(), Value::text("00-first"));
    desk.key("y", false, false);
    desk.tick(0.1);
    desk.tick(1.0);
    assert_eq!((vivid(&desk), desk.current().unwrap().id.as_str()), (-0.5, "99-last"));
}

#[test]
fn what_only_shows_a_state_cannot_be_set() {
    let folder = folder();
    let desk = desk(folder.path());
    let error = desk.table().set_from_text("/cue/now=3", Origin::Panel).unwrap_err().to_string();
    assert_eq!(error, "/cue/now only shows a state and cannot be set");
}

const CUES: &str = "version = 1\n[[cue]]\nname = \"One\"\npreset = \"first\"\nat = 0\nsecs = 2\n\
                    [[cue]]\nname = \"Two\"\npreset = \"last\"\nafter = 5\nsecs = 1\ntransition = \"dissolve\"\n\
                    set = { \"/dream/bright\" = 0.5, \"/stage/master\" = 0.8 }\n[[cue]]\nname = \"Three\"\npreset = \"first\"\n";

fn desk_with_cues(folder: &Path) -> Desk {
    let mut desk = desk(folder);
    let file = folder.join("list.cues");
    fs::write(&file, CUES).unwrap();
    assert_eq!(desk.open_cues(&file).unwrap(), Vec::<String>::new());
    desk
}

fn shown(desk: &Desk, path: &str) -> String {
    desk.table().handle(path).unwrap().text().to_string()
}

#[test]
fn a_list_of_cues_plays_by_itself_and_says_where_it_is() {
    let folder = folder();
    let mut desk = desk_with_cues(folder.path());
    assert_eq!((shown(&desk, "/cue/now"), shown(&desk, "/cue/next")), (String::new(), "1 One".into()));
    desk.tick(0.1);
    assert_eq!((shown(&desk, "/cue/now"), shown(&desk, "/cue/next")), ("1 One".into(), "2 Two".into()));
    desk.tick(1.0);
    assert!(vivid(&desk) > 0.2 && vivid(&desk) < 0.5, "on its way in two seconds");
    desk.tick(1.0);
    assert_eq!((vivid(&desk), desk.table().get("/cue/left_secs").unwrap()), (0.5, Value::Int(3)));
    desk.tick(3.0);
    desk.tick(1.0);
    assert_eq!((desk.current().unwrap().id.as_str(), vivid(&desk)), ("99-last", -0.5));
    let number = |desk: &Desk, path: &str| desk.table().handle(path).unwrap().number();
    assert_eq!((number(&desk, "/dream/bright"), number(&desk, "/stage/master")), (0.5, 0.8));
    desk.tick(100.0);
    assert_eq!(shown(&desk, "/cue/now"), "2 Two", "the third waits");
    set(&mut desk, &["/cue/go=1"]);
    assert_eq!((shown(&desk, "/cue/now"), shown(&desk, "/cue/next")), ("3 Three".into(), String::new()));
    set(&mut desk, &["/cue/goto=two"]);
    assert_eq!(shown(&desk, "/cue/now"), "2 Two");
    set(&mut desk, &["/cue/back=1"]);
    assert_eq!(shown(&desk, "/cue/now"), "1 One");
    let told = set(&mut desk, &["/cue/goto=fuor"]);
    assert!(told[0].contains("there is no cue “fuor”"), "{told:?}");
}

#[test]
fn a_list_that_is_saved_is_read_again_and_a_broken_one_keeps_the_old() {
    let folder = folder();
    let mut desk = desk_with_cues(folder.path());
    desk.tick(0.1);
    desk.watch_files().unwrap();
    let file = folder.path().join("list.cues");
    fs::write(&file, CUES.replace("preset = \"last\"", "preset = \"lst\"")).unwrap();
    wait(&mut desk, |_, told| told.iter().any(|line| line.contains("did you mean last?")));
    fs::write(&file, CUES.replace("Three", "The end")).unwrap();
    wait(&mut desk, |desk, _| desk.cues().unwrap().find("the end") == Some(2));
    assert_ne!(shown(&desk, "/cue/now"), "");
}

#[test]
fn the_stage_is_dark_outside_of_the_hours_unless_the_schedule_is_off() {
    let folder = folder();
    let mut desk = desk(folder.path());
    let hours =
        "version = 1\n[schedule]\nzone = \"UTC\"\nfade = 10\n[[schedule.open]]\nfrom = \"10:00\"\nto = \"18:00\"\n";
    desk.use_cues(crate::control::CueList::parse(hours, "x.toml").unwrap());
    let level = |desk: &Desk| desk.table().handle("/schedule/level").unwrap().number();
    let noon = 20_000 * 86_400 + 12 * 3600;
    desk.tick(0.1);
    assert_eq!(level(&desk), 1.0, "without a clock on the wall there are no hours");
    desk.set_wall(noon);
    desk.tick(0.1);
    assert_eq!((level(&desk), shown(&desk, "/schedule/state").as_str()), (1.0, "open until 18:00"));
    desk.set_wall(noon + 6 * 3600);
    desk.tick(0.1);
    desk.tick(5.0);
    assert!(level(&desk) > 0.3 && level(&desk) < 0.7, "it fades");
    desk.tick(5.0);
    assert_eq!(level(&desk), 0.0);
    set(&mut desk, &["/schedule/run=off"]);
    desk.tick(10.0);
    assert_eq!(level(&desk), 1.0);
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
