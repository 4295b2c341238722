//! OSC packets as flat lists of messages with numbers and times (opensoundcontrol.org, version 1.0, by the crate rosc).

use rosc::{OscPacket, OscTime, OscType, decoder};

/// More bundles in one packet are an attempt on the stack.
const MAX_BUNDLES: usize = 64;
const BUNDLE: &[u8] = b"#bundle\0";

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub address: String,
    /// The numbers among its arguments, with arrays unrolled.
    pub values: Vec<f64>,
    /// Those of them that are floating-point numbers.
    pub floats: Vec<f64>,
    /// The sender's clock, in seconds since 1900, from the bundle.
    pub sender_secs: Option<f64>,
}

/// The messages of a packet in their order; None if it is none.
pub fn messages(packet: &[u8]) -> Option<Vec<Message>> {
    if packet.windows(BUNDLE.len()).filter(|window| *window == BUNDLE).count() > MAX_BUNDLES {
        return None;
    }
    let (rest, packet) = decoder::decode_udp(packet).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let mut messages = Vec::new();
    unroll(packet, None, &mut messages);
    Some(messages)
}

fn unroll(packet: OscPacket, time: Option<OscTime>, messages: &mut Vec<Message>) {
    match packet {
        OscPacket::Message(message) => {
            let (mut values, mut floats) = (Vec::new(), Vec::new());
            message.args.iter().for_each(|arg| numbers(arg, &mut values, &mut floats));
            messages.push(Message { address: message.addr, values, floats, sender_secs: time.and_then(secs) });
        }
        OscPacket::Bundle(bundle) => {
            bundle.content.into_iter().for_each(|inner| unroll(inner, Some(bundle.timetag), messages));
        }
    }
}

/// None for "immediately".
fn secs(time: OscTime) -> Option<f64> {
    (time.seconds > 0).then(|| f64::from(time.seconds) + f64::from(time.fractional) / 4_294_967_296.0)
}

fn numbers(arg: &OscType, values: &mut Vec<f64>, floats: &mut Vec<f64>) {
    let (value, is_float) = match arg {
        OscType::Int(x) => (f64::from(*x), false),
        OscType::Long(x) => (*x as f64, false),
        OscType::Float(x) => (f64::from(*x), true),
        OscType::Double(x) => (*x, true),
        OscType::Bool(x) => (f64::from(u8::from(*x)), false),
        OscType::Nil => (f64::NAN, true),
        OscType::Array(array) => return array.content.iter().for_each(|inner| numbers(inner, values, floats)),
        _ => return,
    };
    let value = if value.is_finite() { value } else { f64::NAN };
    values.push(value);
    if is_float {
        floats.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rosc::{OscArray, OscBundle, OscMessage, encoder};

    fn message(args: Vec<OscType>) -> OscPacket {
        OscPacket::Message(OscMessage { addr: "/a".into(), args })
    }

    #[test]
    fn numbers_of_every_kind_are_taken_and_bundles_give_their_time() {
        let array = OscType::Array(OscArray { content: vec![OscType::Float(4.0), OscType::Long(5)] });
        let args =
            vec![OscType::Int(1), OscType::Double(2.5), OscType::Bool(true), OscType::String("now".into()), array];
        let inner = OscPacket::Bundle(OscBundle { timetag: (10, 1 << 31).into(), content: vec![message(args)] });
        let outer = OscBundle { timetag: (0, 1).into(), content: vec![inner, message(vec![])] };
        let found = messages(&encoder::encode(&OscPacket::Bundle(outer)).unwrap()).unwrap();
        assert_eq!(found[0].values, [1.0, 2.5, 1.0, 4.0, 5.0]);
        assert_eq!(found[0].floats, [2.5, 4.0]);
        assert_eq!(found[0].sender_secs, Some(10.5));
        assert_eq!((found[1].values.len(), found[1].sender_secs), (0, None));
    }

    #[test]
    fn a_tower_of_bundles_is_refused() {
        let mut packet = message(vec![]);
        for _ in 0..2000 {
            packet = OscPacket::Bundle(OscBundle { timetag: (0, 1).into(), content: vec![packet] });
        }
        // Encoding is as deep as decoding would be.
        let bytes = std::thread::Builder::new()
            .stack_size(64 << 20)
            .spawn(move || {
                let bytes = encoder::encode(&packet).unwrap();
                std::mem::forget(packet);
                bytes
            })
            .unwrap()
            .join()
            .unwrap();
        assert_eq!(messages(&bytes), None);
    }
}
