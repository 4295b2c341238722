use std::time::Duration;

use rosc::{OscBundle, OscTime, encoder};

use super::*;
use crate::control::{Origin, Value, builtin};

fn receiver() -> Receiver {
    Receiver::new(Table::new(builtin()), None).unwrap()
}

fn from() -> Sender {
    Sender { address: ([192, 168, 0, 7], 5005).into(), origin: Origin::Osc }
}

fn message(addr: &str, args: Vec<OscType>) -> OscPacket {
    OscPacket::Message(OscMessage { addr: addr.into(), args })
}

fn send(receiver: &mut Receiver, packet: &OscPacket) -> Vec<Answer> {
    receiver.packet(&encoder::encode(packet).unwrap(), from())
}

fn number(receiver: &Receiver, path: &str) -> f64 {
    receiver.table.handle(path).unwrap().number()
}

fn tag(at: SystemTime) -> OscTime {
    at.try_into().unwrap()
}

#[test]
fn a_message_moves_its_parameter_and_is_its_origin() {
    let mut receiver = receiver();
    send(&mut receiver, &message("/stage/master", vec![0.25f32.into()]));
    let handle = receiver.table.handle("/stage/master").unwrap();
    assert_eq!((handle.number(), handle.origin()), (0.25, Origin::Osc));
    assert_eq!(receiver.counts(), Counts { received: 1, ..Counts::default() });
    assert_eq!(receiver.take_told(), Vec::<String>::new());
}

#[test]
fn beyond_the_range_the_end_is_taken_and_counted() {
    let mut receiver = receiver();
    send(&mut receiver, &message("/dream/vivid", vec![7.0f32.into()]));
    assert_eq!(number(&receiver, "/dream/vivid"), 1.0);
    assert_eq!(receiver.counts().clamped, 1);
}

#[test]
fn a_wrong_type_is_counted_told_once_and_changes_nothing() {
    let mut receiver = receiver();
    for _ in 0..100 {
        send(&mut receiver, &message("/stage/master", vec!["loud".to_owned().into()]));
        send(&mut receiver, &message("/stage/master", vec![OscType::Blob(vec![1])]));
    }
    assert_eq!(number(&receiver, "/stage/master"), 1.0);
    assert_eq!(receiver.counts().wrong_type, 200);
    let told = receiver.take_told();
    assert_eq!(told, ["OSC from 192.168.0.7:5005: /stage/master takes a number from 0 to 1, not “loud”"]);
    assert!(receiver.last_complaint().ends_with("not a blob of 1 bytes"));
}

#[test]
fn wildcards_reach_every_parameter_that_fits() {
    let mut receiver = receiver();
    send(&mut receiver, &message("/dream/{vivid,bright}", vec![0.5f32.into()]));
    assert_eq!((number(&receiver, "/dream/vivid"), number(&receiver, "/dream/bright")), (0.5, 0.5));
    send(&mut receiver, &message("/stage/[bf]*", vec![true.into()]));
    assert_eq!((number(&receiver, "/stage/blackout"), number(&receiver, "/stage/freeze")), (1.0, 1.0));
    assert_eq!(number(&receiver, "/stage/overlay"), 0.0);
    // /stage/fit was reached too, and takes no switch.
    assert_eq!(receiver.counts().wrong_type, 1);
    send(&mut receiver, &message("/nowhere/*", vec![true.into()]));
    send(&mut receiver, &message("/dream/{vivid", vec![0.0f32.into()]));
    assert_eq!(receiver.counts().unknown, 2);
    assert_eq!(number(&receiver, "/dream/vivid"), 0.5);
}

#[test]
fn a_bundle_is_executed_when_it_is_due_and_not_before() {
    let mut receiver = receiver();
    let wall = SystemTime::now();
    let master = |value: f32| message("/stage/master", vec![value.into()]);
    let later = OscBundle { timetag: tag(wall + Duration::from_secs(30)), content: vec![master(0.5)] };
    let past = OscBundle { timetag: tag(wall - Duration::from_secs(30)), content: vec![master(0.25)] };
    let immediately = OscBundle { timetag: OscTime { seconds: 0, fractional: 1 }, content: vec![master(0.125)] };
    send(&mut receiver, &OscPacket::Bundle(later));
    assert_eq!(number(&receiver, "/stage/master"), 1.0);
    send(&mut receiver, &OscPacket::Bundle(past));
    assert_eq!(number(&receiver, "/stage/master"), 0.25);
    send(&mut receiver, &OscPacket::Bundle(immediately));
    assert_eq!(number(&receiver, "/stage/master"), 0.125);
    let due = receiver.next_due().unwrap();
    receiver.tick(due - Duration::from_millis(1));
    assert_eq!(number(&receiver, "/stage/master"), 0.125);
    receiver.tick(due);
    assert_eq!((number(&receiver, "/stage/master"), receiver.next_due()), (0.5, None));
}

#[test]
fn a_bundle_in_a_bundle_keeps_its_own_time() {
    let mut receiver = receiver();
    let inner = OscBundle {
        timetag: tag(SystemTime::now() + Duration::from_secs(20)),
        content: vec![message("/dream/vivid", vec![0.5f32.into()])],
    };
    let content = vec![message("/dream/bright", vec![0.5f32.into()]), OscPacket::Bundle(inner)];
    send(&mut receiver, &OscPacket::Bundle(OscBundle { timetag: OscTime { seconds: 0, fractional: 1 }, content }));
    assert_eq!((number(&receiver, "/dream/bright"), number(&receiver, "/dream/vivid")), (0.5, 0.0));
    assert!(receiver.next_due().is_some());
}

#[test]
fn a_wrong_clock_is_told_and_its_bundles_are_not_kept_waiting() {
    let mut receiver = receiver();
    let timetag = tag(SystemTime::now() + Duration::from_secs(7200));
    send(
        &mut receiver,
        &OscPacket::Bundle(OscBundle { timetag, content: vec![message("/stage/freeze", vec![1.into()])] }),
    );
    assert_eq!(number(&receiver, "/stage/freeze"), 1.0);
    assert!(receiver.take_told()[0].contains("its clock is wrong"));
}

#[test]
fn bundles_for_later_do_not_pile_up() {
    let mut receiver = receiver();
    let timetag = tag(SystemTime::now() + Duration::from_secs(30));
    let bundle = OscPacket::Bundle(OscBundle { timetag, content: vec![message("/stage/freeze", vec![1.into()])] });
    for _ in 0..2000 {
        send(&mut receiver, &bundle);
    }
    assert_eq!(receiver.counts().dropped, 2000 - super::super::late::MOST_WAITING as u64);
    assert_eq!(receiver.take_told().len(), 1);
}

#[test]
fn a_question_is_answered_with_the_value() {
    let mut receiver = receiver();
    let answer = |addr: &str, arg: OscType| vec![Answer::Send(OscMessage { addr: addr.into(), args: vec![arg] })];
    assert_eq!(send(&mut receiver, &message("/stage/master", vec![])), answer("/stage/master", 1.0f32.into()));
    send(&mut receiver, &message("/nowhere", vec![0.5f32.into()]));
    assert_eq!(send(&mut receiver, &message("/wavedream/unknown", vec![])), answer("/wavedream/unknown", 1.into()));
    let last = answer("/wavedream/last_unknown", "/nowhere 0.5".to_owned().into());
    assert_eq!(send(&mut receiver, &message("/wavedream/last_unknown", vec![])), last);
    assert_eq!(send(&mut receiver, &message("/wavedream/nothing", vec![])), []);
}

#[test]
fn a_preset_is_asked_for_by_name_or_number_of_any_type() {
    let mut receiver = receiver();
    for (arg, expected) in
        [(OscType::Int(3), "3"), (OscType::Float(4.0), "4"), (OscType::String("coral".into()), "coral")]
    {
        send(&mut receiver, &message("/preset", vec![arg]));
        assert_eq!(receiver.table.get("/preset").unwrap(), Value::text(expected));
    }
}

#[test]
fn a_parameter_that_comes_later_is_reached_and_one_that_goes_is_unknown() {
    let mut receiver = receiver();
    let path = "/effect/new/amount";
    send(&mut receiver, &message(path, vec![0.5f32.into()]));
    receiver.table.declare([crate::control::Param::float(path, 0.0, 1.0, 0.0)]);
    send(&mut receiver, &message(path, vec![0.5f32.into()]));
    assert_eq!(number(&receiver, path), 0.5);
    receiver.table.retire(path);
    send(&mut receiver, &message(path, vec![0.5f32.into()]));
    assert_eq!(receiver.counts().unknown, 2);
}

#[test]
fn any_bytes_leave_every_parameter_within_its_range() {
    let mut receiver = receiver();
    let mut state = 7u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    let paths: Vec<_> = receiver.table.all().iter().map(Handle::path).collect();
    for round in 0..20_000usize {
        let length = random() as usize % 64;
        let noise: Vec<u8> = (0..length).map(|_| random() as u8).collect();
        let packet = match round % 3 {
            0 => noise,
            // A real path, any tags, any arguments.
            _ => {
                let mut head = format!("{}\0", paths[random() as usize % paths.len()]).into_bytes();
                head.resize(head.len().next_multiple_of(4), 0);
                let tags = b"ifshdTFNIbtcrm[]";
                head.extend([b',', tags[random() as usize % tags.len()], tags[random() as usize % tags.len()], 0]);
                [head, noise].concat()
            }
        };
        receiver.packet(&packet, from());
    }
    for handle in receiver.table.all() {
        let kind = handle.param().kind.clone();
        let normal = kind.normal_from_value(handle.number());
        assert!(handle.number().is_finite() && (0.0..=1.0).contains(&normal), "{}", handle.path());
        if kind.is_number() {
            assert!(receiver.table.check(&handle.path(), &handle.value()).unwrap().is_none(), "{}", handle.path());
        }
    }
    assert!(receiver.counts().malformed > 5_000, "{:?}", receiver.counts());
}
