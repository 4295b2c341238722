use super::*;
use crate::{
    control::{Param, Table, Value, builtin},
    remote::{Note, Status, tests::core_of},
};

fn conversation() -> Conversation {
    Conversation::new(Arc::new(core_of(Table::new(builtin()))), ([127, 0, 0, 1], 5).into())
}

fn command(name: &str, data: impl Into<Json>) -> String {
    json!({ "COMMAND": name, "DATA": data.into() }).to_string()
}

fn packet(addr: &str, args: Vec<OscType>) -> Vec<u8> {
    encoder::encode(&OscPacket::Message(OscMessage { addr: addr.into(), args })).unwrap()
}

/// Messages as text, commands as they are.
fn read(said: Vec<Say>) -> Vec<String> {
    let one = |say| match say {
        Say::Text(text) => text,
        Say::Binary(bytes) => match rosc::decoder::decode_udp(&bytes).unwrap().1 {
            OscPacket::Message(message) => format!("{} {}", message.addr, message.args[0]),
            OscPacket::Bundle(_) => panic!("a bundle"),
        },
    };
    said.into_iter().map(one).collect()
}

#[test]
fn who_listens_gets_the_value_at_once_and_then_its_changes() {
    let mut talk = conversation();
    let (table, now) = (talk.core.table.clone(), Instant::now());
    assert_eq!(read(talk.text(&command("LISTEN", "/stage/master"))), ["/stage/master (f) 1"]);
    assert_eq!(read(talk.tick(now)), Vec::<String>::new());
    for value in [0.25, 0.5] {
        table.set("/stage/master", Value::Float(value), Origin::Key).unwrap();
    }
    table.set("/dream/vivid", Value::Float(0.5), Origin::Key).unwrap();
    assert_eq!(read(talk.tick(now)), ["/stage/master (f) 0.5"]);
    talk.text(&command("IGNORE", "/stage/master"));
    table.set("/stage/master", Value::Float(0.75), Origin::Key).unwrap();
    assert_eq!(read(talk.tick(now)), Vec::<String>::new());
}

#[test]
fn a_trigger_says_nothing_until_it_fires() {
    let mut talk = conversation();
    assert_eq!(talk.text(&command("LISTEN", "/preset/next")), []);
    talk.core.table.set("/preset/next", Value::Pulse, Origin::Key).unwrap();
    assert_eq!(read(talk.tick(Instant::now())), ["/preset/next (I)"]);
}

#[test]
fn packets_set_the_table_and_questions_are_answered() {
    let mut talk = conversation();
    assert_eq!(talk.binary(&packet("/stage/master", vec![0.5f32.into()])), []);
    let master = talk.core.table.handle("/stage/master").unwrap();
    assert_eq!((master.number(), master.origin()), (0.5, Origin::Web));
    assert_eq!(read(talk.binary(&packet("/stage/master", vec![]))), ["/stage/master (f) 0.5"]);
    assert_eq!(talk.binary(&packet("/wavedream/subscribe", vec![])), []);
    assert_eq!(talk.binary(b"nonsense"), []);
    assert_eq!(talk.core.receiver().counts().malformed, 1);
}

#[test]
fn parameters_that_come_and_go_are_told() {
    let mut talk = conversation();
    let (table, now) = (talk.core.table.clone(), Instant::now());
    table.declare([Param::float("/effect/ripple/amount", 0.0, 1.0, 0.0)]);
    let told = [command("PATH_CHANGED", "/"), command("PATH_ADDED", "/effect/ripple/amount")];
    assert_eq!(read(talk.tick(now)), told);
    talk.text(&command("LISTEN", "/effect/ripple/amount"));
    table.retire("/effect/ripple");
    let told = [command("PATH_CHANGED", "/"), command("PATH_REMOVED", "/effect/ripple/amount")];
    assert_eq!(read(talk.tick(now)), told);
    assert!(talk.listens.is_empty());
}

#[test]
fn status_comes_twice_a_second_to_who_asks() {
    let mut talk = conversation();
    let now = Instant::now();
    let note = Note { is_error: true, text: "no signal".into(), age_secs: 1.0 };
    talk.core.board.put(Status { preset: "01-ink".into(), notes: vec![note], ..Status::default() });
    assert_eq!(talk.tick(now), []);
    talk.text(&command("STATUS", true));
    let said = read(talk.tick(now));
    let status: Json = serde_json::from_str(&said[0]).unwrap();
    assert_eq!(status["DATA"]["show"]["preset"], "01-ink");
    assert_eq!(status["DATA"]["show"]["notes"][0]["text"], "no signal");
    assert_eq!(status["DATA"]["osc"]["counts"]["received"], 0);
    assert_eq!(talk.tick(now + SLOW_PERIOD / 2), []);
    assert_eq!(talk.tick(now + SLOW_PERIOD).len(), 1);
    talk.text(&command("STATUS", false));
    assert_eq!(talk.tick(now + 2 * SLOW_PERIOD), []);
}

#[test]
fn readings_can_be_listened_to() {
    let mut talk = conversation();
    let now = Instant::now();
    talk.text(&command("LISTEN", "/wavedream/malformed"));
    talk.text(&command("LISTEN", "/wavedream/nothing"));
    assert_eq!(read(talk.tick(now)), ["/wavedream/malformed (i) 0"]);
    talk.binary(b"nonsense");
    assert_eq!(read(talk.tick(now + SLOW_PERIOD)), ["/wavedream/malformed (i) 1"]);
    assert_eq!(talk.tick(now + 2 * SLOW_PERIOD), []);
}

#[test]
fn what_is_no_command_is_passed_over() {
    let mut talk = conversation();
    for text in ["", "{", "[]", "3", "{\"COMMAND\": 3}", "{\"COMMAND\": \"LISTEN\"}", &command("LISTEN", "/nowhere")] {
        assert_eq!(talk.text(text), [], "{text}");
    }
    assert!(talk.listens.is_empty());
}
