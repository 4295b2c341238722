//! The addresses under `/wavedream/`: what a program asks of wavedream itself rather than of a parameter.
//!
//! `/wavedream/subscribe [port] [prefix]`, in either order, each may be left out; the same again is the heartbeat.
//! `/wavedream/unsubscribe [port]`. Everything else there is a reading, answered with its value.

use rosc::{OscMessage, OscType};

use super::{Answer, values};

/// Where these addresses are.
pub const UNDER: &str = "/wavedream/";

/// What a message under [`UNDER`] wants; None if there is no such thing.
pub fn answer(message: &OscMessage, reading: impl Fn(&str) -> Option<OscType>) -> Option<Result<Answer, String>> {
    let addr = message.addr.as_str();
    match addr.strip_prefix(UNDER)? {
        "subscribe" => Some(port_and_prefix(message).map(|(port, prefix)| Answer::Subscribe { port, prefix })),
        "unsubscribe" => Some(port_and_prefix(message).map(|(port, _)| Answer::Unsubscribe { port })),
        _ => reading(addr).map(|value| Ok(Answer::Send(OscMessage { addr: addr.into(), args: vec![value] }))),
    }
}

fn port_and_prefix(message: &OscMessage) -> Result<(Option<u16>, String), String> {
    let (mut port, mut prefix) = (None, String::from("/"));
    for arg in &message.args {
        match (arg, values::number_of(arg)) {
            (OscType::String(text), _) if text.starts_with('/') => prefix.clone_from(text),
            (OscType::Bool(_), _) | (_, None) => {
                return Err(format!("{} takes a port and a path, not {}", message.addr, values::shown_arg(arg)));
            }
            (_, Some(number)) if (1.0..=65_535.0).contains(&number) => port = Some(number as u16),
            (_, Some(number)) => {
                return Err(format!("{} takes a port from 1 to 65535, not {number}", message.addr));
            }
        }
    }
    Ok((port, prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(addr: &str, args: Vec<OscType>) -> Option<Result<Answer, String>> {
        answer(&OscMessage { addr: addr.into(), args }, |path| {
            (path == "/wavedream/unknown").then_some(OscType::Int(7))
        })
    }

    #[test]
    fn port_and_prefix_come_in_either_order_or_not_at_all() {
        let wanted = |port: Option<u16>, prefix: &str| Some(Ok(Answer::Subscribe { port, prefix: prefix.into() }));
        let (port, prefix) = (|| OscType::Int(9123), || OscType::String("/dream".into()));
        assert_eq!(ask("/wavedream/subscribe", vec![]), wanted(None, "/"));
        assert_eq!(ask("/wavedream/subscribe", vec![port()]), wanted(Some(9123), "/"));
        assert_eq!(ask("/wavedream/subscribe", vec![prefix(), port()]), wanted(Some(9123), "/dream"));
        assert_eq!(ask("/wavedream/subscribe", vec![OscType::Float(9123.0), prefix()]), wanted(Some(9123), "/dream"));
        assert_eq!(ask("/wavedream/unsubscribe", vec![port()]), Some(Ok(Answer::Unsubscribe { port: Some(9123) })));
    }

    #[test]
    fn a_reading_is_answered_and_nonsense_refused() {
        let sent = OscMessage { addr: "/wavedream/unknown".into(), args: vec![OscType::Int(7)] };
        assert_eq!(ask("/wavedream/unknown", vec![]), Some(Ok(Answer::Send(sent))));
        assert_eq!(ask("/wavedream/nothing", vec![]), None);
        for arg in [OscType::Int(0), OscType::Int(70_000), OscType::String("dream".into()), OscType::Bool(true)] {
            assert!(ask("/wavedream/subscribe", vec![arg.clone()]).unwrap().is_err(), "{arg}");
        }
    }
}
