//! From parameters back to light bytes, learning, and what nobody should send.

use std::sync::Arc;

use super::*;
use crate::control::{
    Origin, Value,
    midi::rig::{PULT, Rig, map},
};

const RING: &str = "light = { from = 0, to = 127, follow = true }";

fn learn(rig: &mut Rig, path: &str, messages: &[&[u8]]) -> Result<Learned, String> {
    rig.engine.learn(path, rig.now_secs).unwrap();
    for bytes in messages {
        rig.play(bytes);
    }
    for _ in 0..600 {
        rig.frames(1);
        if let Some(done) = rig.engine.learned(rig.now_secs) {
            return done;
        }
    }
    panic!("nothing was learned");
}

fn control_of(map: &Map, path: &str) -> Control {
    map.controls.iter().find(|control| control.target.as_deref() == Some(path)).unwrap().clone()
}

#[test]
fn a_ring_follows_its_parameter_by_whatever_way_it_moves() {
    let mut rig = Rig::new(&format!("{{ source = \"cc 5\", channel = 2, target = \"/stage/master\", {RING} }}"));
    rig.frames(1);
    assert_eq!(rig.sent(), [[0xB1, 5, 127]], "set when it is plugged in");
    rig.frames(10);
    assert!(rig.sent().is_empty(), "nothing moved");
    for (setting, value) in [("/stage/master=0.5", 64), ("/stage/master=0", 0)] {
        rig.set(setting);
        rig.frames(3);
        assert_eq!(rig.sent(), [[0xB1, 5, value]]);
    }
}

#[test]
fn a_ring_that_follows_leaves_nothing_to_pick_up() {
    let mut rig = Rig::new(&format!("{{ source = \"cc 5\", target = \"/stage/master\", {RING} }}"));
    rig.set("/stage/master=0.3");
    rig.frames(3);
    rig.play(&[0xB0, 5, 80]);
    assert_eq!(rig.number("/stage/master"), 0.63, "the encoder counts from 38, where it was brought to");
}

#[test]
fn nothing_is_echoed_to_a_fader_that_is_being_moved() {
    let mut rig =
        Rig::new(&format!("{{ source = \"cc14 5\", target = \"/stage/master\", {} }}", RING.replace("127", "16383")));
    rig.frames(1);
    assert_eq!(rig.sent(), [[0xB0, 5, 127, 0xB0, 37, 127]]);
    for value in 0..40 {
        rig.play(&[0xB0, 5, 127 - value, 37, 5]);
    }
    assert_eq!(rig.sent(), Vec::<Vec<u8>>::new());
    rig.wait(1.0);
    assert_eq!(rig.sent(), Vec::<Vec<u8>>::new(), "it is where it was moved to");
    rig.play(&[0xB0, 5, 100, 37, 0]);
    rig.set("/stage/master=1");
    rig.wait(0.15);
    assert_eq!(rig.sent(), Vec::<Vec<u8>>::new(), "the hand has just left it");
    rig.wait(0.2);
    assert_eq!(rig.sent(), [[0xB0, 5, 127, 0xB0, 37, 127]]);
}

#[test]
fn a_control_that_moved_what_it_did_not_have_is_brought_back() {
    let mut rig =
        Rig::new(&format!("{{ source = \"bend\", target = \"/stage/master\", {} }}", RING.replace("127", "16383")));
    rig.frames(1);
    rig.sent();
    rig.set("/stage/master=0");
    // The hand holds the fader at the top while the panel moves the parameter to the bottom.
    rig.play(&[0xE0, 127, 127]);
    rig.wait(0.5);
    assert_eq!(rig.number("/stage/master"), 0.0);
    assert_eq!(rig.sent().last().unwrap(), &[0xE0, 0, 0]);
}

#[test]
fn a_ring_gets_at_most_thirty_messages_a_second() {
    let mut rig = Rig::new(&format!("{{ source = \"cc 5\", target = \"/stage/master\", {RING} }}"));
    for frame in 0..120 {
        rig.set(&format!("/stage/master={}", f64::from(frame) / 120.0));
        rig.frames(1);
    }
    let sent = rig.sent().len();
    assert!((40..=61).contains(&sent), "{sent} messages in two seconds");
    rig.wait(0.1);
    assert_eq!(rig.sent().last().unwrap()[2], 126, "and the last one in the end");
}

#[test]
fn a_button_is_lit_while_its_parameter_is_on() {
    let mut rig =
        Rig::new("{ source = \"note 8\", channel = 1, target = \"/stage/freeze\", light = { on = 3, off = 1 } }");
    rig.frames(1);
    assert_eq!(rig.sent(), [[0x90, 8, 1]]);
    rig.set("/stage/freeze=on");
    rig.frames(1);
    assert_eq!(rig.sent(), [[0x90, 8, 3]]);
    rig.play(&[0x90, 8, 100]);
    assert_eq!(rig.sent(), [[0x90, 8, 1]], "pressed: off");
    rig.play(&[0x80, 8, 0]);
    assert_eq!(rig.sent(), [[0x90, 8, 1]], "many a button changes its light when it is let go: it is set again");
}

#[test]
fn a_light_can_be_another_message_on_another_channel() {
    let light = "light = { send = \"cc 20\", channel = 6, on = 47 }";
    let mut rig = Rig::new(&format!("{{ source = \"note 8\", channel = 1, target = \"/stage/freeze\", {light} }}"));
    rig.set("/stage/freeze=on");
    rig.frames(1);
    assert_eq!(rig.sent(), [[0xB5, 20, 47]]);
}

#[test]
fn the_pad_of_the_preset_that_plays_is_lit() {
    let pad = |note, value| {
        format!("{{ source = \"note {note}\", target = \"/preset\", value = \"{value}\", light = {{}} }}")
    };
    let mut rig = Rig::new(&format!("{},\n{}", pad(1, "ink"), pad(2, "coral")));
    rig.preset = "ink".into();
    rig.frames(1);
    assert_eq!(rig.sent(), [[0x90, 1, 127], [0x90, 2, 0]]);
    rig.preset = "coral".into();
    rig.frames(1);
    assert_eq!(rig.sent(), [[0x90, 1, 0], [0x90, 2, 127]]);
}

#[test]
fn a_trigger_flashes_when_it_fires() {
    let mut rig = Rig::new("{ source = \"note 1\", target = \"/beat/tap\", light = {} }");
    rig.frames(1);
    rig.sent();
    rig.table.set("/beat/tap", Value::Pulse, Origin::Key).unwrap();
    rig.wait(0.5);
    assert_eq!(rig.sent(), [[0x90, 1, 127], [0x90, 1, 0]]);
}

#[test]
fn plugged_in_again_it_is_greeted_and_all_its_lights_are_set() {
    let pads: Vec<String> =
        (0..64).map(|note| format!("{{ source = \"note {note}\", light = {{ off = 5 }} }}")).collect();
    let mut rig = Rig::new(&pads.join(",\n"));
    rig.frames(3);
    let first = rig.sent();
    assert_eq!(first.len(), 64, "within three frames");
    rig.engine.detach(PULT);
    rig.frames(3);
    assert!(rig.sent().is_empty());
    let text = format!("version = 1\ngreet = [\"B0 7F 00\"]\ncontrol = [{}]", pads.join(",\n"));
    let greet = rig.engine.attach(PULT, "Pult", Arc::new(Map::parse(&text, "pult.toml").unwrap()));
    assert_eq!(greet, [Bytes::new(&[0xB0, 0x7F, 0])]);
    rig.frames(3);
    assert_eq!(rig.sent(), first);
}

#[test]
fn a_light_that_a_slow_port_did_not_take_is_sent_again() {
    let mut rig = Rig::new("{ source = \"note 1\", light = {} }");
    rig.engine.tick(1.0, &|_| false, |_, _| false);
    rig.frames(1);
    assert_eq!(rig.sent(), [[0x90, 1, 0]]);
}

#[test]
fn lights_go_out_at_the_end_and_motors_stay() {
    let rig = Rig::new(&format!("{{ source = \"note 1\", light = {{ off = 5 }} }}, {{ source = \"cc 5\", {RING} }}"));
    let mut sent = Vec::new();
    rig.engine.darken(|_, bytes| sent.push(bytes.to_vec()));
    assert_eq!(sent, [[0x90, 1, 0]]);
}

#[test]
fn two_controllers_move_one_parameter_and_each_keeps_its_own_place() {
    let mut rig = Rig::new("{ source = \"cc 1\", target = \"/stage/master\", takeover = \"none\" }");
    let other = DeviceId(9);
    rig.engine.attach(other, "Other", Arc::new(map("{ source = \"cc 1\", target = \"/stage/master\" }")));
    rig.play(&[0xB0, 1, 64]);
    rig.engine.bytes(other, &[0xB0, 1, 10], rig.now_secs);
    assert_eq!(rig.number("/stage/master"), 0.504, "the other must pick it up");
    // Half a message of one does not spoil the other's.
    rig.engine.bytes(other, &[0xB0, 1], rig.now_secs);
    rig.engine.bytes(PULT, &[0xB0, 1, 127], rig.now_secs);
    assert_eq!(rig.number("/stage/master"), 1.0);
}

#[test]
fn what_is_moved_while_learning_moves_nothing_until_it_is_learned() {
    let mut rig = Rig::new("{ source = \"cc 1\", name = \"knob 1\", target = \"/stage/master\", takeover = \"none\" }");
    let learned = learn(&mut rig, "/dream/vivid", &[&[0xB0, 1, 10], &[0xB0, 1, 20], &[0xB0, 1, 30]]).unwrap();
    assert_eq!(rig.number("/stage/master"), 1.0);
    assert_eq!(
        learned.said, "knob 1 (cc 1) of Pult now moves /dream/vivid; it moved /stage/master before",
        "a conflict is told"
    );
    rig.engine.replace(PULT, Arc::new(learned.map));
    rig.set("/dream/vivid=-1");
    rig.play(&[0xB0, 1, 0, 1, 127]);
    assert_eq!((rig.number("/dream/vivid"), rig.number("/stage/master")), (1.0, 1.0));
}

#[test]
fn learning_keeps_what_the_map_knows_of_the_control() {
    let mut rig = Rig::new(&format!(
        "{{ source = \"cc 1\", name = \"knob\", channel = 1, takeover = \"scale\", range = [0, 1], {RING} }}"
    ));
    let learned = learn(&mut rig, "/dream/vivid", &[&[0xB0, 1, 10], &[0xB0, 1, 20], &[0xB0, 1, 30]]).unwrap();
    let control = control_of(&learned.map, "/dream/vivid");
    assert!(control.light.is_some() && control.takeover == super::super::Takeover::Scale);
    assert_eq!((control.name.as_str(), control.range), ("knob", None));
}

#[test]
fn a_pad_learns_a_switch_a_preset_and_a_number() {
    let mut rig = Rig::new("{ source = \"cc 1\", target = \"/stage/master\" }");
    rig.set("/preset=03-coral");
    let pad: [&[u8]; 2] = [&[0x94, 36, 100], &[0x84, 36, 0]];
    let learned = learn(&mut rig, "/preset", &pad).unwrap();
    assert_eq!(control_of(&learned.map, "/preset").way, Way::Set("03-coral".into()), "the preset that plays");
    let learned = learn(&mut rig, "/stage/freeze", &pad).unwrap();
    rig.engine.replace(PULT, Arc::new(learned.map));
    rig.play(&[0x94, 36, 100, 36, 0]);
    assert_eq!(rig.value("/stage/freeze"), Value::Bool(true));
    rig.play(&[0x93, 36, 100]);
    assert_eq!(rig.value("/stage/freeze"), Value::Bool(true), "another channel");
}

#[test]
fn a_second_control_for_a_parameter_is_told_and_both_work() {
    let mut rig = Rig::new("{ source = \"cc 1\", target = \"/dream/vivid\" }");
    let learned = learn(&mut rig, "/dream/vivid", &[&[0xB0, 2, 10], &[0xB0, 2, 20], &[0xB0, 2, 30]]).unwrap();
    assert!(learned.said.ends_with("cc 1 moves it too"), "{}", learned.said);
    assert_eq!(learned.map.controls.len(), 2);
}

#[test]
fn a_text_is_not_learned_by_a_fader_and_a_wrong_path_not_at_all() {
    let mut rig = Rig::new("");
    let error = learn(&mut rig, "/dream/prompt", &[&[0xB0, 2, 10], &[0xB0, 2, 20], &[0xB0, 2, 30]]).unwrap_err();
    assert!(error.contains("/dream/prompt is a text"), "{error}");
    let error = rig.engine.learn("/dream/vivd", 0.0).unwrap_err().to_string();
    assert!(error.contains("did you mean /dream/vivid?"), "{error}");
    assert_eq!(rig.engine.learning().path(), None);
}

#[test]
fn the_map_of_all_ports_becomes_one_of_this_port() {
    let mut rig = Rig::new("");
    let any = Map { ports: vec!["*".into()], ..map("{ source = \"program\", target = \"/preset\" }") };
    rig.engine.attach(PULT, "Some Pult:Some Pult MIDI 1", Arc::new(any));
    let learned = learn(&mut rig, "/dream/vivid", &[&[0xB0, 2, 10], &[0xB0, 2, 20], &[0xB0, 2, 30]]).unwrap();
    assert_eq!((learned.map.id.as_str(), learned.map.controls.len()), ("some-pult", 2));
    assert!(learned.map.fit("Some Pult:Some Pult MIDI 1").is_some_and(|fit| fit > 0));
}

#[test]
fn a_forgotten_parameter_is_moved_by_nothing_and_its_control_stays_known() {
    let rig = Rig::new(&format!("{{ source = \"cc 1\", target = \"/dream/vivid\", {RING} }}"));
    let maps = rig.engine.forget("/dream/vivid");
    assert_eq!((maps.len(), maps[0].controls[0].target.clone()), (1, None));
    assert!(maps[0].controls[0].light.is_some());
    assert!(rig.engine.forget("/dream/bright").is_empty());
}

#[test]
fn the_clock_is_handed_on_with_its_times() {
    let mut rig = Rig::new("");
    rig.engine.bytes(PULT, &[0xFA], 1.0);
    rig.engine.bytes(PULT, &[0xF8], 1.5);
    assert_eq!(rig.engine.clock().collect::<Vec<_>>(), [(1.0, Clock::Start), (1.5, Clock::Tick)]);
    for _ in 0..10_000 {
        rig.engine.bytes(PULT, &[0xF8], 2.0);
    }
    assert!(rig.engine.clock().count() <= MOST_CLOCK, "nobody asked for a long time: nothing grows");
}

/// Numbers that look like chance, the same in each run.
struct Chance(u64);

impl Chance {
    fn byte(&mut self) -> u8 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 56) as u8
    }
}

/// Every shipped map, random bytes (by themselves, and with statuses that lead somewhere), learning and forgetting in
/// between: nothing panics and every value stays in its range.
fn fuzz(seed: u64, rounds: usize) {
    let mut chance = Chance(seed);
    let mut rig = Rig::new("");
    for (number, (file, text)) in (10..).zip(super::super::SHIPPED_MAPS) {
        rig.engine.attach(DeviceId(number), file, Arc::new(Map::parse(text, file).unwrap()));
    }
    let devices: Vec<DeviceId> = rig.engine.devices().iter().map(|device| device.id).collect();
    let paths: Vec<String> = rig.table.all().iter().map(|handle| handle.path()).collect();
    for round in 0..rounds {
        let device = devices[usize::from(chance.byte()) % devices.len()];
        let mut bytes: Vec<u8> = (0..chance.byte() % 24).map(|_| chance.byte()).collect();
        if chance.byte() > 60 {
            let status =
                [0x80, 0x90, 0xB0, 0xB0, 0xB0, 0xC0, 0xD0, 0xE0, 0xA0, 0xF2, 0xF8][usize::from(chance.byte()) % 11];
            bytes.iter_mut().for_each(|byte| *byte &= 0x7F);
            bytes.insert(0, status | if status < 0xF0 { chance.byte() & 0x0F } else { 0 });
        }
        rig.engine.bytes(device, &bytes, rig.now_secs);
        rig.now_secs += f64::from(chance.byte()) / 10_000.0;
        rig.engine.tick(rig.now_secs, &|_| false, |_, bytes| {
            assert!(bytes.first().is_some_and(|status| *status >= 0x80));
            true
        });
        if round % 500 == 0 {
            let path = &paths[usize::from(chance.byte()) % paths.len()];
            rig.engine.learn(path, rig.now_secs).unwrap();
        }
        if let Some(Ok(learned)) = rig.engine.learned(rig.now_secs) {
            assert!(Map::parse(&learned.map.to_toml(), &learned.map.file).is_ok(), "what is learned can be read again");
            rig.engine.replace(device, Arc::new(learned.map));
        }
        rig.engine.clock().for_each(drop);
        rig.told();
    }
    for handle in rig.table.all() {
        let (number, param) = (handle.number(), handle.param());
        let (min, max) = param.kind.range();
        assert!(number.is_finite() && (min..=max).contains(&number), "{}: {number}", param.path);
    }
}

#[test]
fn random_bytes_do_no_harm() {
    for seed in 0..8 {
        fuzz(seed, 4000);
    }
}

/// `cargo test --release --lib -- --ignored random_bytes`
#[test]
#[ignore = "takes a minute: the quick one runs each time"]
fn random_bytes_for_a_minute_do_no_harm() {
    let start = std::time::Instant::now();
    let mut seed = 1000;
    while start.elapsed().as_secs() < 60 {
        fuzz(seed, 20_000);
        seed += 1;
    }
}
