use super::*;
use crate::{
    control::{Origin, Table},
    remote::tests::core_of,
};

fn core() -> Core {
    let mut params = crate::control::builtin();
    params.push(Param::float("/test/freq", 1.0, 100.0, 10.0).log().unit("Hz").about("A frequency."));
    core_of(Table::new(params))
}

fn get(core: &Core, path: &str, attributes: &[&str]) -> Json {
    answer(core, path, attributes).unwrap()
}

#[test]
fn the_root_holds_every_parameter_at_its_path() {
    let core = core();
    let root = get(&core, "/", &[]);
    assert_eq!(root["FULL_PATH"], "/");
    for handle in core.table.all() {
        let pointer: String = handle.path().split('/').skip(1).map(|name| format!("/CONTENTS/{name}")).collect();
        assert_eq!(root.pointer(&pointer).unwrap()["FULL_PATH"], handle.path());
    }
}

#[test]
fn each_kind_of_parameter_is_described_as_the_proposal_says() {
    let core = core();
    assert_eq!(
        get(&core, "/test/freq", &[]),
        json!({
            "FULL_PATH": "/test/freq", "TYPE": "f", "ACCESS": 3, "VALUE": [10.0], "RANGE": [{"MIN": 1.0, "MAX": 100.0}],
            "CLIPMODE": ["both"], "UNIT": ["time.hz"], "DESCRIPTION": "A frequency.",
            "DEFAULT": [10.0], "CURVE": "log", "ORDER": core.table.all().len() - 1,
        })
    );
    let steps = get(&core, "/dream/steps", &[]);
    assert_eq!((&steps["TYPE"], &steps["RANGE"]), (&json!("i"), &json!([{"MIN": 1, "MAX": 4}])));
    let freeze = get(&core, "/stage/freeze", &[]);
    assert_eq!((&freeze["TYPE"], &freeze["VALUE"]), (&json!("F"), &json!([false])));
    core.table.set("/stage/freeze", Value::Bool(true), Origin::Key).unwrap();
    assert_eq!(get(&core, "/stage/freeze", &["TYPE"]), json!({"TYPE": "T"}));
    let notch = get(&core, "/signal/notch", &[]);
    assert_eq!((&notch["TYPE"], &notch["VALUE"]), (&json!("s"), &json!(["off"])));
    assert_eq!(notch["RANGE"], json!([{"VALS": ["off", "50", "60"]}]));
    let trigger = get(&core, "/stage/reset_effects", &[]);
    assert_eq!((&trigger["TYPE"], &trigger["ACCESS"]), (&json!("I"), &json!(2)));
    assert_eq!(trigger.get("VALUE"), None);
}

#[test]
fn a_parameter_can_be_a_container_too() {
    let core = core();
    let preset = get(&core, "/preset", &[]);
    assert_eq!((&preset["TYPE"], &preset["CONTENTS"]["next"]["TYPE"]), (&json!("s"), &json!("I")));
}

#[test]
fn attributes_are_answered_alone_and_together() {
    let core = core();
    core.table.set("/stage/master", Value::Float(f64::from(0.7f32)), Origin::Osc).unwrap();
    assert_eq!(get(&core, "/stage/master", &["VALUE"]), json!({"VALUE": [0.7]}));
    assert_eq!(get(&core, "/stage/master/", &["TYPE", "ACCESS"]), json!({"TYPE": "f", "ACCESS": 3}));
    assert_eq!(get(&core, "/stage", &["TYPE"]), json!({}));
}

#[test]
fn what_cannot_be_answered_has_the_code_of_the_proposal() {
    let core = core();
    for (path, attribute, code) in [
        ("/nowhere", "VALUE", 404),
        ("/stage/master/x", "TYPE", 404),
        ("/stage/master", "GABBA", 400),
        ("/stage/master", "TAGS", 204),
        ("/stage", "VALUE", 204),
        ("/preset/next", "VALUE", 204),
    ] {
        assert_eq!(answer(&core, path, &[attribute]).unwrap_err().as_u16(), code, "{path} {attribute}");
    }
    assert_eq!(answer(&core, "/nowhere", &[]).unwrap_err(), StatusCode::NOT_FOUND);
}

#[test]
fn the_host_tells_where_osc_is_and_what_it_can() {
    let core = core();
    core.osc_at.store(Some(std::sync::Arc::new(([0, 0, 0, 0], 9000).into())));
    let info = get(&core, "/whatever", &["HOST_INFO"]);
    assert_eq!(
        (&info["NAME"], &info["OSC_PORT"], &info["OSC_TRANSPORT"]),
        (&json!("wavedream"), &json!(9000), &json!("UDP"))
    );
    assert_eq!(info.get("OSC_IP"), None);
    for extension in ["ACCESS", "VALUE", "RANGE", "DESCRIPTION", "UNIT", "CLIPMODE", "LISTEN", "PATH_CHANGED", "HTML"] {
        assert_eq!(info["EXTENSIONS"][extension], true, "{extension}");
    }
    core.osc_at.store(Some(std::sync::Arc::new(([127, 0, 0, 1], 9000).into())));
    assert_eq!(get(&core, "/", &["HOST_INFO"])["OSC_IP"], "127.0.0.1");
}

#[test]
fn readings_are_there_and_cannot_be_set() {
    let reading = get(&core(), "/wavedream/wrong_type", &[]);
    assert_eq!((&reading["ACCESS"], &reading["VALUE"]), (&json!(1), &json!([0])));
}
