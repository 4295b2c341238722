use std::{fs, path::Path};

use crate::control::{Desk, Folders, Origin, Presets, Table, Value, builtin};

const A: &str =
    "version = 1\n[set]\n\"/dream/vivid\" = -1\n\"/latent/memory_secs\" = 0.5\n\"/latent/mapping\" = \"paper\"\n";
const B: &str = "version = 1\nsource = \"synth://wind\"\n[set]\n\"/dream/vivid\" = 1\n\"/latent/memory_secs\" = 50\n\
                 \"/latent/mapping\" = \"walk\"\n\"/signal/gain\" = 4\n";

fn desk(folder: &Path) -> Desk {
    fs::write(folder.join("60-a.toml"), A).unwrap();
    fs::write(folder.join("61-b.toml"), B).unwrap();
    let table = Table::new(builtin());
    let (presets, _) = Presets::load(&table, Folders { read: vec![folder.to_owned()], save: None });
    let mut desk = Desk::new(table, presets).unwrap();
    for setting in ["/preset/morph/a=a", "/preset/morph/b=61-b"] {
        desk.table().set_from_text(setting, Origin::Panel).unwrap();
    }
    assert_eq!(desk.tick(0.1), Vec::<String>::new());
    desk
}

fn number(desk: &Desk, path: &str) -> f64 {
    desk.table().handle(path).unwrap().number()
}

fn mapping(desk: &Desk) -> Value {
    desk.table().get("/latent/mapping").unwrap()
}

fn amount(desk: &mut Desk, amount: f64) {
    desk.table().set("/preset/morph/amount", Value::Float(amount), Origin::Panel).unwrap();
    desk.tick(0.01);
}

#[test]
fn numbers_go_in_between_on_their_normal_scale_and_choices_change_at_the_middle() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(folder.path());
    amount(&mut desk, 0.25);
    assert!((number(&desk, "/dream/vivid") + 0.5).abs() < 1e-9);
    // From 0.5 to 50 s is a factor of 100: a quarter of the way on a scale of ratios.
    assert!((number(&desk, "/latent/memory_secs") - 0.5 * 100f64.powf(0.25)).abs() < 1e-9);
    assert_eq!((mapping(&desk), desk.current().unwrap().id.as_str()), (Value::text("paper"), "60-a"));
    let recalls = desk.recalls();
    amount(&mut desk, 0.49);
    assert_eq!(desk.recalls(), recalls);
    amount(&mut desk, 0.51);
    assert_eq!((mapping(&desk), desk.recalls()), (Value::text("walk"), recalls + 1));
    let current = desk.current().unwrap();
    assert_eq!((current.id.as_str(), current.source.as_deref()), ("61-b", Some("synth://wind")));
    amount(&mut desk, 1.0);
    assert_eq!((number(&desk, "/dream/vivid"), number(&desk, "/signal/gain")), (1.0, 4.0));
    amount(&mut desk, 0.0);
    assert_eq!((number(&desk, "/dream/vivid"), number(&desk, "/signal/gain")), (-1.0, 1.0), "B's set-up goes with it");
    assert_eq!((mapping(&desk), desk.recalls()), (Value::text("paper"), recalls + 2));
}

#[test]
fn it_runs_over_seconds_and_over_beats() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(folder.path());
    let fire = |desk: &mut Desk| {
        desk.table().set("/preset/morph/go", Value::Pulse, Origin::Key).unwrap();
        desk.tick(0.1);
    };
    desk.table().set_from_text("/preset/morph/secs=4", Origin::Panel).unwrap();
    fire(&mut desk);
    (0..20).for_each(|_| drop(desk.tick(0.1)));
    assert!(number(&desk, "/dream/vivid").abs() < 1e-6, "half way after half the time");
    (0..21).for_each(|_| drop(desk.tick(0.1)));
    assert_eq!(number(&desk, "/dream/vivid"), 1.0);

    desk.table().set_from_text("/preset/morph/beats=8", Origin::Panel).unwrap();
    desk.set_beat(100.0);
    fire(&mut desk);
    desk.set_beat(104.0);
    desk.tick(60.0);
    assert!(number(&desk, "/dream/vivid").abs() < 1e-6, "four beats of eight, whatever the time");
    desk.set_beat(108.0);
    desk.tick(0.1);
    assert_eq!(number(&desk, "/dream/vivid"), -1.0);
}

#[test]
fn a_hand_on_the_amount_ends_the_run_and_a_hand_on_a_knob_keeps_the_knob() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(folder.path());
    desk.table().set("/preset/morph/go", Value::Pulse, Origin::Key).unwrap();
    (0..10).for_each(|_| drop(desk.tick(0.1)));
    amount(&mut desk, 0.25);
    (0..10).for_each(|_| drop(desk.tick(0.1)));
    assert!((number(&desk, "/dream/vivid") + 0.5).abs() < 1e-9, "it has stopped");
    desk.table().set_from_text("/dream/vivid=0.7", Origin::Key).unwrap();
    amount(&mut desk, 0.75);
    assert_eq!(number(&desk, "/dream/vivid"), 0.7);
    assert!(number(&desk, "/latent/memory_secs") > 10.0, "the others go on");
    desk.table().set_from_text("/preset/morph/b=b", Origin::Panel).unwrap();
    amount(&mut desk, 0.5);
    assert_eq!(number(&desk, "/dream/vivid"), 0.0, "chosen anew, it takes all");
}

#[test]
fn without_an_a_it_starts_from_what_plays_and_leaves_out_what_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(folder.path());
    let settings = ["/dream/vivid=0.5", "/dream/bright=1", "/preset/leave_out=/latent/memory_secs", "/preset/morph/a="];
    for setting in settings {
        desk.table().set_from_text(setting, Origin::Panel).unwrap();
    }
    desk.tick(0.1);
    amount(&mut desk, 0.5);
    assert!((number(&desk, "/dream/vivid") - 0.75).abs() < 1e-9);
    assert_eq!((number(&desk, "/dream/bright"), number(&desk, "/latent/memory_secs")), (0.5, 8.0));
    amount(&mut desk, 0.0);
    assert_eq!((number(&desk, "/dream/vivid"), number(&desk, "/dream/bright")), (0.5, 1.0));
}

#[test]
fn a_name_that_is_none_is_told_and_moves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(folder.path());
    desk.table().set_from_text("/preset/morph/b=61-c", Origin::Panel).unwrap();
    let told = desk.tick(0.1);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("61-c"), "{told:?}");
    amount(&mut desk, 0.5);
    assert_eq!(number(&desk, "/dream/vivid"), 0.0);
}

#[test]
fn undo_takes_a_morph_back_as_one_movement() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(folder.path());
    desk.tick(3.0);
    desk.table().set_from_text("/preset/morph/secs=3", Origin::Panel).unwrap();
    desk.table().set("/preset/morph/go", Value::Pulse, Origin::Key).unwrap();
    (0..40).for_each(|_| drop(desk.tick(0.1)));
    assert_eq!(desk.current().unwrap().id, "61-b");
    desk.table().set("/undo", Value::Pulse, Origin::Key).unwrap();
    desk.tick(0.1);
    desk.tick(1.0);
    assert_eq!((number(&desk, "/dream/vivid"), number(&desk, "/latent/memory_secs")), (0.0, 8.0));
    assert_eq!(mapping(&desk), Value::text("flow"));
    assert!(desk.current().is_none());
}
