use super::*;

const TWO: &str = r#"version = 1
name = "Two knobs and a pad"
ports = ["Two Knobs"]
channel = 1
greet = ["F0 00 20 F7"]

[lights]
ring = { from = 0, to = 127, follow = true }

[[control]]
source = "cc 1"
name = "knob 1"
target = "/dream/vivid"
range = [-1, 0.5]
invert = true
curve = "slow"
smooth_secs = 0.2
takeover = "scale"
light = "ring"

[[control]]
source = "note 36"
channel = 10
target = "/preset"
value = "coral"
light = { send = "cc 5", channel = 2, on = 3, off = 1 }

[[control]]
source = "cc 9"
way = "signed-bit"
"#;

fn refused(text: &str) -> String {
    Map::parse(text, "two.toml").unwrap_err().to_string()
}

#[test]
fn a_map_is_read_with_everything_in_it() {
    let map = Map::parse(TWO, "controllers/two.toml").unwrap();
    assert_eq!((map.id.as_str(), map.name.as_str()), ("two", "Two knobs and a pad"));
    assert_eq!(map.greet, [Bytes::new(&[0xF0, 0, 0x20, 0xF7])]);
    let knob = &map.controls[0];
    assert_eq!((knob.source, knob.channel, knob.line), (Source::Cc(1), Some(0), 10));
    assert_eq!((knob.range, knob.invert, knob.curve), (Some((-1.0, 0.5)), true, Shape::Slow));
    assert_eq!((knob.smooth_secs, knob.takeover), (0.2, Takeover::Scale));
    assert_eq!(knob.light.unwrap().show, Show::Position { from: 0, to: 127 });
    let pad = &map.controls[1];
    assert_eq!((pad.channel, &pad.way), (Some(9), &Way::Set("coral".into())));
    assert_eq!(pad.light.unwrap().send, Some(Source::Cc(5)));
    assert!(matches!(map.controls[2].way, Way::Relative { encoder: Encoder::SignedBit, .. }));
    assert_eq!(map.controls[2].target, None, "known, but not mapped");
}

#[test]
fn what_is_written_is_what_was_read() {
    let mut map = Map::parse(TWO, "two.toml").unwrap();
    let mut again = Map::parse(&map.to_toml(), "two.toml").unwrap();
    for control in map.controls.iter_mut().chain(&mut again.controls) {
        control.line = 0;
    }
    assert_eq!(map, again);
}

#[test]
fn a_mistake_is_named_with_its_line_and_the_way_out() {
    for (from, to, line, says) in [
        ("invert = true", "invrt = true", 14, "did you mean invert?"),
        ("\"slow\"", "\"slwo\"", 15, "did you mean slow?"),
        ("\"cc 1\"", "\"cc 200\"", 10, "cc 0 to 127"),
        ("channel = 10", "channel = 17", 23, "from 1 to 16"),
        ("light = \"ring\"", "light = \"rign\"", 18, "did you mean ring?"),
        ("on = 3, off = 1", "on = 3, to = 1", 26, "not both"),
        ("range = [-1, 0.5]", "range = [1]", 13, "two different numbers"),
        ("F0 00 20 F7", "F0 XX", 5, "hexadecimal"),
        ("\"/dream/vivid\"", "\"dream/vivid\"", 12, "is not a path"),
        ("source = \"cc 9\"\n", "", 28, "has no source"),
        ("ports = [\"Two Knobs\"]", "ports = 3", 3, "a list of texts"),
    ] {
        let error = refused(&TWO.replacen(from, to, 1));
        assert!(error.contains(says) && error.contains("two.toml, line "), "{error}");
        let found: usize = error.split("line ").nth(1).unwrap().split(':').next().unwrap().parse().unwrap();
        assert!(found.abs_diff(line) <= 1, "{error} should be near line {line}");
    }
    assert!(refused("name = 1").contains("version = 1"));
    assert!(refused("version = 2").contains("newer wavedream"));
    assert!(refused("version = 1\n[[control").contains("line 2"));
}

#[test]
fn the_longest_part_of_a_ports_name_fits_best() {
    let map = |ports: &[&str]| Map { ports: ports.iter().map(|p| p.to_string()).collect(), ..Map::for_port("x") };
    assert_eq!(map(&["apc mini"]).fit("APC mini mk2:APC mini mk2 Control"), Some(8));
    assert_eq!(map(&["apc mini mk2"]).fit("APC mini mk2:APC mini mk2 Control"), Some(12));
    assert_eq!(map(&["*"]).fit("anything"), Some(0));
    assert_eq!(map(&["launch"]).fit("anything"), None);
}

#[test]
fn every_curve_ends_where_it_should_and_can_be_turned_back() {
    for shape in Shape::ALL {
        assert_eq!((shape.apply(0.0), shape.apply(1.0)), (0.0, 1.0), "{shape:?}");
        for step in 0..=20 {
            let position = f64::from(step) / 20.0;
            let back = shape.invert(shape.apply(position));
            assert!((back - position).abs() < 1e-6, "{shape:?}: {position} comes back as {back}");
        }
    }
    assert!(Shape::Slow.apply(0.1) < 0.1 && Shape::Fast.apply(0.9) > 0.9 && Shape::Ess.apply(0.1) < 0.1);
}

#[test]
fn a_port_without_a_map_gets_a_file_name_of_its_own() {
    let map = Map::for_port("Übungs-Pult: MIDI 1");
    assert_eq!((map.id.as_str(), map.fit("Übungs-Pult: MIDI 1").is_some()), ("bungs-pult-midi-1", true));
    assert_eq!(Map::for_port("…").id, "controller");
}

#[test]
fn a_damaged_file_is_refused_in_a_sentence_and_never_worse() {
    let (mut at, mut refusals) = (7usize, 0);
    for (file, text) in super::super::SHIPPED_MAPS {
        for _ in 0..60 {
            at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mut bytes = text.as_bytes().to_vec();
            let place = (at >> 20) % bytes.len();
            if at % 3 == 0 {
                bytes.truncate(place);
            } else {
                bytes[place] = b" \"=[]{}x9-"[(at >> 40) % 10];
            }
            let Ok(damaged) = String::from_utf8(bytes) else { continue };
            if let Err(error) = Map::parse(&damaged, file) {
                assert!(error.to_string().starts_with(file), "{error}");
                refusals += 1;
            }
        }
    }
    assert!(refusals > 100, "{refusals}");
}
