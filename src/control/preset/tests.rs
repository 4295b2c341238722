use super::*;
use crate::control::{builtin, genres};

fn table() -> Table {
    Table::new(builtin().into_iter().chain(genres(["ink", "coral"])).chain([super::super::Param::float(
        "/effect/bloom/amount",
        0.0,
        1.0,
        0.0,
    )]))
}

/// Lines 1 to 3 are the head.
fn refusal(set: &str) -> String {
    let text = format!("version = 1\nname = \"X\"\n[set]\n{set}\n");
    match Preset::parse(&text, "x.toml") {
        Ok(preset) => preset.check(&table()).unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_fault_names_the_file_the_line_and_the_way_out() {
    for (set, expected) in [
        ("\n\"/dream/vivd\" = 1", "x.toml, line 5: there is no parameter /dream/vivd; did you mean /dream/vivid?"),
        (
            "\"/dream/genre/inc\" = 1",
            "x.toml, line 4: there is no parameter /dream/genre/inc; did you mean /dream/genre/ink?",
        ),
        ("\"/stage/fit\" = \"squeeze\"", "x.toml, line 4: /stage/fit takes one of crop, fit, stretch, not “squeeze”"),
        ("\"/stage/blackout\" = true", "x.toml, line 4: /stage/blackout is not part of presets; take the line out"),
        ("dream.vivid = 1", "x.toml, line 4: “dream” is not a path"),
        ("\"/dream/vivid\" = [1]", "x.toml, line 4: this takes a number"),
        ("\"/dream/vivid\" =", "x.toml, line 4: "),
    ] {
        let found = refusal(set);
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn an_unknown_key_at_the_head_names_the_nearest() {
    let error = Preset::parse("version = 1\nabuot = \"x\"\n", "x.toml").unwrap_err().to_string();
    assert_eq!(error, "x.toml, line 2: there is no key “abuot” here; did you mean about?");
}

#[test]
fn another_version_is_refused() {
    let refused = |text: &str| Preset::parse(text, "x.toml").unwrap_err().to_string();
    assert!(refused("version = 2\nnew_thing = 3\n").contains("newer wavedream"));
    assert!(refused("version = \"1\"\n").contains("version takes 1"));
    assert!(refused("name = \"no version\"\n").contains("not a preset"));
}

#[test]
fn whatever_bytes_a_file_holds_the_answer_is_a_preset_or_one_sentence() {
    let whole =
        "version = 1\nname = \"X\"\nkeep = [\"/signal\"]\n[set]\n\"/dream/vivid\" = 0.5\n\"/stage/fit\" = \"fit\"\n";
    let mut state = 1u32;
    for round in 0..2000 {
        let mut bytes = whole.as_bytes()[..round % whole.len()].to_vec();
        for _ in 0..round % 7 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = state as usize % (bytes.len() + 1);
            bytes.insert(at, (state >> 24) as u8);
        }
        if let Err(error) = Preset::parse(&String::from_utf8_lossy(&bytes), "x.toml") {
            assert!(error.to_string().starts_with("x.toml"), "{error}");
        }
    }
}

#[test]
fn a_value_out_of_range_warns_and_is_clamped() {
    let text = "version = 1\n[set]\n\"/dream/vivid\" = 3\n";
    let preset = Preset::parse(text, "x.toml").unwrap();
    let table = table();
    assert_eq!(
        preset.check(&table).unwrap(),
        ["x.toml, line 3: /dream/vivid takes a number from -1 to 1: 1 instead of 3"]
    );
    preset.apply(&table, Some(0.0));
    assert_eq!(table.get("/dream/vivid").unwrap(), Value::Float(1.0));
}

#[test]
fn a_recall_glides_numbers_switches_choices_and_brings_defaults_back() {
    let table = table();
    for setting in ["/dream/bright=1", "/signal/notch=50", "/stage/blackout=on", "/dream/genre/coral=1"] {
        table.set_from_text(setting, Origin::Key).unwrap();
    }
    let text = "version = 1\n[set]\n\"/latent/mapping\" = \"walk\"\n\"/dream/genre/ink\" = 1\n\
                \"/stage/transition_secs\" = 4\n";
    Preset::parse(text, "x.toml").unwrap().apply(&table, None);
    let number = |path: &str| table.handle(path).unwrap().number();
    assert_eq!(table.get("/latent/mapping").unwrap(), Value::text("walk"), "at once");
    table.tick(2.0);
    assert!((number("/dream/genre/ink") - 0.5).abs() < 1e-6, "half of its own four seconds");
    assert!((number("/dream/genre/coral") - 0.5).abs() < 1e-6, "not named: on its way out");
    table.tick(2.0);
    assert_eq!((number("/dream/genre/ink"), number("/dream/bright")), (1.0, 0.0));
    assert_eq!(table.get("/signal/notch").unwrap(), Value::text("50"), "the set-up stays");
    assert_eq!(table.get("/stage/blackout").unwrap(), Value::Bool(true), "the moment stays");
}

#[test]
fn what_a_preset_keeps_stays() {
    let table = table();
    table.set_from_text("/dream/genre/coral=1", Origin::Key).unwrap();
    table.set_from_text("/dream/vivid=1", Origin::Key).unwrap();
    let preset = Preset::parse("version = 1\nkeep = [\"/dream/genre\"]\n", "x.toml").unwrap();
    preset.apply(&table, Some(0.0));
    assert_eq!(table.get("/dream/genre/coral").unwrap(), Value::Float(1.0));
    assert_eq!(table.get("/dream/vivid").unwrap(), Value::Float(0.0));
}

#[test]
fn what_plays_is_saved_and_comes_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new/mine.toml");
    let table = table();
    for setting in ["/dream/vivid=0.123456", "/latent/mapping=paper", "/effect/bloom/amount=1", "/dream/steps=2"] {
        table.set_from_text(setting, Origin::Key).unwrap();
    }
    table.set_smooth("/dream/bright", Value::Float(0.5), 9.0, Origin::Key).unwrap();
    let saved = Preset::from_table(&table, "mine", "Mine \"1\"", "It is mine.");
    saved.save(&file).unwrap();
    let read = Preset::parse(&fs::read_to_string(&file).unwrap(), "mine.toml").unwrap();
    let fresh = self::table();
    read.check(&fresh).unwrap();
    read.apply(&fresh, Some(0.0));
    table.tick(9.0);
    for handle in table.all() {
        assert_eq!(fresh.get(&handle.path()).unwrap(), handle.value(), "{}", handle.path());
    }
    assert_eq!((read.name.as_str(), read.about.as_str()), ("Mine \"1\"", "It is mine."));
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "no unfinished file is left");
}
