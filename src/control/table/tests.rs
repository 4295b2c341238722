use super::*;
use crate::control::builtin;

fn table() -> Table {
    Table::new(builtin())
}

fn set(table: &Table, setting: &str) -> Outcome {
    table.set_from_text(setting, Origin::CommandLine).unwrap()
}

#[test]
fn every_parameter_starts_at_its_default_and_within_its_range() {
    for handle in table().all() {
        let param = handle.param();
        assert_eq!(handle.value(), param.default, "{}", param.path);
        let outcome = fit(&param, &param.default).unwrap();
        assert!(!matches!(outcome, Fitting::Number { clamped: Some(_), .. }), "{}", param.path);
        assert!(param.path.starts_with('/') && param.about.ends_with('.'), "{}", param.path);
    }
}

#[test]
fn a_number_out_of_range_is_clamped_and_that_is_said() {
    let table = table();
    let clamped = set(&table, "/dream/vivid=7").clamped.unwrap();
    assert_eq!(clamped.to_string(), "/dream/vivid takes a number from -1 to 1: 1 instead of 7");
    assert_eq!(table.get("/dream/vivid").unwrap(), Value::Float(1.0));
}

#[test]
fn a_wrong_type_is_an_error_that_says_what_is_expected_and_changes_nothing() {
    let table = table();
    let wrong = |path: &str, value| table.set(path, value, Origin::Panel).unwrap_err().to_string();
    assert_eq!(wrong("/dream/steps", Value::text("many")), "/dream/steps takes a whole number from 1 to 4, not “many”");
    assert!(wrong("/stage/fit", Value::text("squeeze")).contains("crop, fit, stretch"));
    assert!(wrong("/dream/model", Value::Float(1.0)).contains("a text"));
    assert!(wrong("/dream/vivid", Value::Float(f64::NAN)).contains("a number"));
    assert_eq!(table.changes_since(&mut 0).len(), 0);
}

#[test]
fn an_unknown_path_names_the_nearest() {
    let error = table().set_from_text("/dream/vivd=1", Origin::CommandLine).unwrap_err();
    assert_eq!(error.to_string(), "there is no parameter /dream/vivd; did you mean /dream/vivid?");
}

#[test]
fn values_are_read_from_text_as_their_kind_takes_them() {
    let table = table();
    for (setting, path, value) in [
        ("/stage/freeze=on", "/stage/freeze", Value::Bool(true)),
        ("/stage/freeze = off", "/stage/freeze", Value::Bool(false)),
        ("/signal/notch=50", "/signal/notch", Value::text("50")),
        ("/latent/mapping=Paper", "/latent/mapping", Value::text("paper")),
        ("/dream/steps=3", "/dream/steps", Value::Int(3)),
        ("/dream/model=a=b.safetensors", "/dream/model", Value::text("a=b.safetensors")),
    ] {
        set(&table, setting);
        assert_eq!(table.get(path).unwrap(), value, "{setting}");
    }
    assert!(table.set_from_text("/stage/freeze", Origin::CommandLine).is_err());
}

#[test]
fn a_choice_is_taken_by_name_by_its_number_and_by_position() {
    let table = table();
    let value = |path: &str, value| {
        table.set(path, value, Origin::Panel).unwrap();
        table.get(path).unwrap()
    };
    assert_eq!(value("/signal/notch", Value::Int(60)), Value::text("60"));
    assert_eq!(value("/signal/notch", Value::Float(1.0)), Value::text("50"));
    assert_eq!(value("/stage/fit", Value::Int(99)), Value::text("stretch"));
}

#[test]
fn a_knob_moves_a_logarithmic_range_in_equal_ratios() {
    let table = table();
    table.set_normal("/signal/gain", 0.5, Origin::Panel).unwrap();
    let gain = table.handle("/signal/gain").unwrap();
    assert!((gain.number() - 1.0).abs() < 1e-12, "{}", gain.number());
    assert!((gain.normal() - 0.5).abs() < 1e-12);
    table.set_normal("/signal/gain", 1.0, Origin::Panel).unwrap();
    assert_eq!(gain.number(), 100.0);
}

#[test]
fn a_glide_arrives_exactly_and_never_turns_back() {
    let table = table();
    let vivid = table.handle("/dream/vivid").unwrap();
    table.set_smooth("/dream/vivid", Value::Float(0.7), 2.0, Origin::Preset).unwrap();
    assert_eq!(table.target(&vivid), Value::Float(0.7));
    let mut last = vivid.number();
    for _ in 0..59 {
        table.tick(1.0 / 30.0);
        assert!(vivid.number() > last && vivid.number() < 0.7);
        last = vivid.number();
    }
    table.tick(0.1);
    assert_eq!(vivid.number(), 0.7);
    let mut seen = table.generation();
    table.tick(1.0);
    assert!(table.changes_since(&mut seen).is_empty(), "a glide that is over moves nothing");
}

#[test]
fn setting_ends_a_glide() {
    let table = table();
    table.set_smooth("/dream/vivid", Value::Float(1.0), 2.0, Origin::Preset).unwrap();
    table.tick(1.0);
    set(&table, "/dream/vivid=-0.5");
    table.tick(1.0);
    assert_eq!(table.get("/dream/vivid").unwrap(), Value::Float(-0.5));
}

#[test]
fn modulation_plays_beside_the_base_value() {
    let table = table();
    let master = table.handle("/stage/master").unwrap();
    set(&table, "/stage/master=0.5");
    table.modulate(&master, 0.2);
    assert!((master.number() - 0.7).abs() < 1e-9);
    assert_eq!(master.value(), Value::Float(0.5));
    set(&table, "/stage/master=0.9");
    assert_eq!(master.number(), 1.0, "clamped to the range");
    table.modulate(&master, 0.0);
    assert_eq!(master.number(), 0.9);
}

#[test]
fn a_reader_learns_what_moved_and_who_moved_it() {
    let table = table();
    let mut seen = table.generation();
    set(&table, "/dream/vivid=1");
    table.set("/stage/master", Value::Float(0.5), Origin::Key).unwrap();
    let moved: Vec<_> = table.changes_since(&mut seen).iter().map(|h| (h.path(), h.origin())).collect();
    assert_eq!(moved, [("/dream/vivid".into(), Origin::CommandLine), ("/stage/master".into(), Origin::Key)]);
    assert!(table.changes_since(&mut seen).is_empty());
}

#[test]
fn a_trigger_fires_on_press_and_not_on_release() {
    let table = table();
    let next = table.handle("/preset/next").unwrap();
    let mut seen = next.pulses();
    for (value, fires) in
        [(Value::Float(0.0), false), (Value::Int(127), true), (Value::Bool(false), false), (Value::Pulse, true)]
    {
        table.set("/preset/next", value.clone(), Origin::Panel).unwrap();
        assert_eq!(next.fired(&mut seen), fires, "{value:?}");
    }
}

#[test]
fn declaring_again_keeps_the_value_as_far_as_the_new_range_allows() {
    let table = Table::new([Param::float("/effect/x/size", 0.0, 10.0, 1.0), Param::choice("/c", ["a", "b", "c"])]);
    let (size, choice) = (table.handle("/effect/x/size").unwrap(), table.handle("/c").unwrap());
    set(&table, "/effect/x/size=8");
    set(&table, "/c=c");
    let layout = table.layout();
    table.declare([Param::float("/effect/x/size", 0.0, 5.0, 1.0), Param::choice("/c", ["c", "d"])]);
    assert_eq!(size.number(), 5.0, "an old handle sees the new range");
    assert_eq!(&*choice.text(), "c");
    assert!(table.layout() > layout);
    table.declare([Param::bool("/effect/x/size", true)]);
    assert_eq!(size.value(), Value::Bool(true), "another kind starts at its default");
}

#[test]
fn what_is_retired_is_unknown_and_its_neighbours_stay() {
    let table = Table::new(["/effect/x/a", "/effect/x/b", "/effect/xy/a"].map(|path| Param::bool(path, false)));
    table.retire("/effect/x");
    let left: Vec<_> = table.all().iter().map(Handle::path).collect();
    assert_eq!(left, ["/effect/xy/a"]);
    assert!(table.handle("/effect/x/a").is_err());
}

#[test]
fn many_threads_set_and_read_without_tearing_a_value() {
    let table = table();
    let vivid = table.handle("/dream/vivid").unwrap();
    std::thread::scope(|scope| {
        for value in [-1.0, 1.0] {
            let table = table.clone();
            scope.spawn(move || {
                for _ in 0..2000 {
                    table.set("/dream/vivid", Value::Float(value), Origin::Panel).unwrap();
                }
            });
        }
        for _ in 0..2000 {
            assert!([-1.0, 0.0, 1.0].contains(&vivid.number()));
        }
    });
    assert_eq!(table.generation(), 4000);
}
