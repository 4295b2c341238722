use super::*;
use crate::control::midi::{
    assemble::Assembler,
    encoder::Encoder::*,
    map::{STEP, Way},
    parse::{Parsed, Parser},
};

/// Learns from bytes, each message 20 ms after the one before but those of one slice together; returns what was found
/// and after how many seconds of quiet.
fn learned(messages: &[&[u8]]) -> (Found, f64) {
    let (mut parser, mut assembler, mut learn) = (Parser::default(), Assembler::default(), Learn::default());
    learn.begin("/dream/vivid", 0.0);
    let mut now = 1.0;
    for bytes in messages {
        now += 0.02;
        for byte in *bytes {
            if let Some(Parsed::Channel(channel, message)) = parser.byte(*byte) {
                assembler.message(channel, message, now, |signal| learn.hear(DeviceId(7), signal, now));
            }
        }
    }
    let rest = now;
    for _ in 0..600 {
        now += 0.02;
        assembler.flush(now, |signal| learn.hear(DeviceId(7), signal, now));
        if let Progress::Found(device, found) = learn.decide(now) {
            assert_eq!((device, learn.path()), (DeviceId(7), None), "a find ends the learning");
            return (found, now - rest);
        }
    }
    panic!("nothing was found");
}

fn kind(messages: &[&[u8]]) -> (String, Way) {
    let (found, _) = learned(messages);
    (found.source.to_string(), found.way)
}

fn ccs(number: u8, values: &[u8]) -> Vec<[u8; 3]> {
    values.iter().map(|value| [0xB2, number, *value]).collect()
}

fn cc_kind(values: &[u8]) -> Way {
    let messages = ccs(16, values);
    let slices: Vec<&[u8]> = messages.iter().map(|message| &message[..]).collect();
    let (found, _) = learned(&slices);
    assert_eq!((found.source, found.channel), (Source::Cc(16), 2));
    found.way
}

fn relative(encoder: super::super::Encoder) -> Way {
    Way::Relative { encoder, step: STEP }
}

#[test]
fn a_knob_or_fader_is_a_position() {
    for values in [&[10, 14, 20, 33, 50, 41][..], &[1, 2, 3, 4, 5], &[127, 126, 124, 120], &[62, 63, 64, 65, 66, 65]] {
        assert_eq!(cc_kind(values), Way::Position, "{values:?}");
    }
}

#[test]
fn each_kind_of_relative_encoder_is_found_when_it_is_turned_there_and_back() {
    for (values, encoder) in [
        (&[1, 1, 2, 1, 127, 127, 126][..], TwosComplement),
        (&[65, 65, 66, 63, 63, 62], BinaryOffset),
        (&[1, 1, 2, 65, 65, 66], SignedBit),
    ] {
        assert_eq!(cc_kind(values), relative(encoder), "{values:?}");
    }
}

#[test]
fn an_encoder_turned_one_way_is_given_time_to_be_turned_back() {
    let messages = ccs(16, &[1, 1, 1, 1]);
    let slices: Vec<&[u8]> = messages.iter().map(|message| &message[..]).collect();
    let (found, quiet_secs) = learned(&slices);
    assert_eq!(found.way, relative(TwosComplement));
    assert!(quiet_secs > 3.0, "decided after {quiet_secs} s");
    assert_eq!(cc_kind(&[127, 127, 127, 127]), relative(TwosComplement));
}

#[test]
fn a_button_that_sends_controllers_is_found() {
    assert_eq!(cc_kind(&[127, 0]), Way::Button, "pressed and let go");
    assert_eq!(cc_kind(&[127]), Way::Gate, "it keeps its own state");
}

#[test]
fn a_pair_is_found_in_either_order() {
    let sweep: Vec<[u8; 6]> = (10..20).map(|v| [0xB0, 7, v, 0xB0, 39, v * 3]).collect();
    let slices: Vec<&[u8]> = sweep.iter().map(|message| &message[..]).collect();
    assert_eq!(kind(&slices), ("cc14 7".into(), Way::Position));
    let sweep: Vec<[u8; 6]> = (10..20).map(|v| [0xB0, 39, v * 3, 0xB0, 7, v]).collect();
    let slices: Vec<&[u8]> = sweep.iter().map(|message| &message[..]).collect();
    assert_eq!(kind(&slices), ("cc14 7".into(), Way::Position));
}

#[test]
fn two_faders_32_apart_that_are_not_moved_together_are_no_pair() {
    let mut messages = ccs(7, &[10, 12, 14, 16, 18, 20, 22]);
    messages.extend(ccs(39, &[127]));
    let slices: Vec<&[u8]> = messages.iter().map(|message| &message[..]).collect();
    assert_eq!(kind(&slices), ("cc 7".into(), Way::Position));
}

#[test]
fn an_nrpn_is_found_among_its_controllers() {
    let message = |value: u8| [0xB0, 99, 2, 98, 44, 6, value, 38, 0];
    let sweep: Vec<_> = (10..15).map(message).collect();
    let slices: Vec<&[u8]> = sweep.iter().map(|message| &message[..]).collect();
    assert_eq!(kind(&slices).0, "nrpn 300");
}

#[test]
fn a_pad_is_a_note_and_a_fader_with_a_touch_note_is_a_fader() {
    assert_eq!(kind(&[&[0x90, 36, 100], &[0xA0, 36, 50], &[0xA0, 36, 60], &[0x80, 36, 0]]).0, "note 36");
    let bends: Vec<[u8; 3]> = (1..9).map(|v| [0xE3, 0, v]).collect();
    let mut slices: Vec<&[u8]> = vec![&[0x93, 104, 127]];
    slices.extend(bends.iter().map(|message| &message[..]));
    assert_eq!(kind(&slices), ("bend".into(), Way::Position));
}

#[test]
fn programs_and_pressure_are_found() {
    assert_eq!(kind(&[&[0xC0, 3]]).0, "program");
    assert_eq!(kind(&[&[0xD0, 3], &[0xD0, 4], &[0xD0, 9]]), ("pressure".into(), Way::Position));
}

#[test]
fn a_bump_is_not_taken_for_a_movement() {
    let mut learn = Learn::default();
    learn.begin("/dream/vivid", 0.0);
    let bump = Signal { channel: 0, source: Source::Cc(1), reading: super::super::assemble::Reading::Seven(30) };
    learn.hear(DeviceId(1), bump, 0.1);
    assert_eq!(learn.decide(3.0), Progress::Waiting);
    assert_eq!(learn.path(), Some("/dream/vivid"));
}

#[test]
fn learning_that_nobody_answers_ends() {
    let mut learn = Learn::default();
    learn.begin("/dream/vivid", 0.0);
    assert_eq!(learn.decide(29.0), Progress::Waiting);
    assert_eq!(learn.decide(31.0), Progress::GivenUp);
    assert_eq!(learn.path(), None);
}
