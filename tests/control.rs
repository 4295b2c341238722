//! The shipped presets and the whole table, with the model in the box and the shipped shaders.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use wavedream::{
    app::full_table,
    control::{
        Folders, Kind, Presets, SHIPPED, Table, Value,
        midi::{Maps, Way},
    },
    diffusion, latent,
};

fn table() -> Table {
    full_table(&diffusion::card("box").unwrap())
}

#[test]
fn every_shipped_preset_loads_without_a_warning() {
    let (presets, problems) = Presets::load(&table(), Folders::default());
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(presets.len(), SHIPPED.len());
    for preset in presets.iter() {
        assert!(preset.about.ends_with('.') && !preset.name.is_empty(), "{}", preset.id);
    }
}

#[test]
fn every_preset_in_the_folder_is_in_the_program() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("presets");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    files.sort();
    assert_eq!(files, SHIPPED.iter().map(|(file, _)| *file).collect::<Vec<_>>());
}

#[test]
fn any_two_shipped_presets_differ_in_at_least_four_parameters() {
    let table = table();
    let (presets, _) = Presets::load(&table, Folders::default());
    let looks: Vec<(&str, Vec<Value>)> = presets
        .iter()
        .map(|preset| {
            preset.apply(&table, Some(0.0));
            (preset.id.as_str(), table.all().iter().map(|handle| handle.value()).collect())
        })
        .collect();
    for (at, (id, look)) in looks.iter().enumerate() {
        for (other_id, other) in &looks[at + 1..] {
            let differing = look.iter().zip(other).filter(|(a, b)| a != b).count();
            assert!(differing >= 4, "{id} and {other_id} differ in {differing}");
        }
    }
}

#[test]
fn every_genre_of_the_model_is_at_home_in_a_preset_and_every_mapping_is_used() {
    let table = table();
    let (presets, _) = Presets::load(&table, Folders::default());
    for genre in diffusion::card("box").unwrap().genres {
        let path = format!("/dream/genre/{genre}");
        let home = |value: &Value| value.as_number().is_some_and(|weight| weight >= 0.5);
        assert!(presets.iter().any(|preset| preset.value(&path).is_some_and(home)), "{genre}");
    }
    for (mapping, _) in latent::NAMES {
        let used =
            |preset: &&wavedream::control::Preset| preset.value("/latent/mapping") == Some(&Value::text(mapping));
        assert!(presets.iter().any(|preset| used(&preset)), "{mapping}");
    }
}

#[test]
fn the_table_offers_exactly_the_mappings_that_there_are() {
    let param = table().handle("/latent/mapping").unwrap().param();
    let Kind::Choice(names) = &param.kind else { panic!("/latent/mapping is no choice") };
    let mut offered: Vec<&str> = names.iter().map(|name| &**name).collect();
    let mut there: Vec<&str> = latent::NAMES.iter().map(|(name, _)| *name).collect();
    offered.sort();
    there.sort();
    assert_eq!(offered, there);
}

#[test]
fn every_parameter_says_in_a_sentence_what_it_does() {
    for handle in table().all() {
        let param = handle.param();
        assert!(param.about.len() > 8 && param.about.ends_with('.'), "{}: {}", param.path, param.about);
    }
}

#[test]
fn every_control_of_the_shipped_maps_moves_a_parameter_that_there_is_to_a_value_that_it_takes() {
    let table = table();
    let (maps, problems) = Maps::load(&Folders::default());
    assert_eq!(problems, Vec::<String>::new());
    for map in maps.iter() {
        for control in map.controls.iter() {
            let Some(path) = &control.target else { continue };
            let at = format!("{}, line {}", map.file, control.line);
            table.handle(path).unwrap_or_else(|error| panic!("{at}: {error}"));
            if let Way::Set(text) = &control.way {
                let value = table.value_from_text(path, text).unwrap();
                assert_eq!(table.check(path, &value).unwrap_or_else(|error| panic!("{at}: {error}")), None, "{at}");
            }
        }
    }
}

#[test]
fn no_two_controls_of_a_shipped_map_are_the_same() {
    let (maps, _) = Maps::load(&Folders::default());
    for map in maps.iter() {
        for (number, control) in map.controls.iter().enumerate() {
            let same =
                map.controls[..number].iter().find(|c| c.source == control.source && c.channel == control.channel);
            assert!(same.is_none(), "{}, line {}: {}", map.file, control.line, control.source);
        }
    }
}
