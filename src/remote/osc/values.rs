//! What OSC arguments mean for a parameter, and how a parameter's value is sent.

use rosc::{OscMessage, OscType};

use crate::control::{Handle, Kind, Value, shown};

/// What a message wants of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    Set(Value),
    /// No argument: the sender wants to know the value.
    Read,
}

/// Reads the arguments for a parameter of this kind; what follows the first is for others. An argument that cannot be
/// meant comes back as words.
pub fn asked(kind: &Kind, args: &[OscType]) -> Result<Asked, String> {
    let Some(first) = args.first() else {
        return Ok(if *kind == Kind::Trigger { Asked::Set(Value::Pulse) } else { Asked::Read });
    };
    let value = value_of(first).ok_or_else(|| shown_arg(first))?;
    Ok(Asked::Set(match (kind, value) {
        // Presets have numbers, and most surfaces send nothing else.
        (Kind::Text, Value::Float(number)) => Value::text(shown(number)),
        (Kind::Text, Value::Int(number)) => Value::text(number.to_string()),
        (Kind::Trigger, value) => value,
        // Only a trigger takes what has no value.
        (_, Value::Pulse) => return Err(shown_arg(first)),
        (_, value) => value,
    }))
}

/// A single argument as a value of the table; an array stands for its first element.
pub fn value_of(arg: &OscType) -> Option<Value> {
    Some(match arg {
        OscType::Float(number) => Value::Float(f64::from(*number)),
        OscType::Double(number) => Value::Float(*number),
        OscType::Int(number) => Value::Int(i64::from(*number)),
        OscType::Long(number) => Value::Int(*number),
        OscType::Bool(on) => Value::Bool(*on),
        OscType::String(text) => Value::text(text),
        OscType::Char(letter) => Value::text(letter.to_string()),
        OscType::Inf | OscType::Nil => Value::Pulse,
        OscType::Array(array) => {
            return array.content.first().filter(|a| !matches!(a, OscType::Array(_))).and_then(value_of);
        }
        OscType::Blob(_) | OscType::Time(_) | OscType::Color(_) | OscType::Midi(_) => return None,
    })
}

/// The number in an argument, for controls of which nothing is known; switches are 0 and 1.
pub fn number_of(arg: &OscType) -> Option<f64> {
    match value_of(arg)? {
        Value::Bool(on) => Some(f64::from(u8::from(on))),
        value => value.as_number().filter(|number| number.is_finite()),
    }
}

/// The message that says what a parameter is set to; for a trigger, the one that fires it.
pub fn message(handle: &Handle) -> OscMessage {
    let arg = match handle.value() {
        Value::Float(number) => OscType::Float(number as f32),
        Value::Int(number) => i32::try_from(number).map_or(OscType::Long(number), OscType::Int),
        Value::Bool(on) => OscType::Bool(on),
        Value::Text(text) => OscType::String(without_nul(&text)),
        Value::Pulse => OscType::Inf,
    };
    OscMessage { addr: handle.path(), args: vec![arg] }
}

/// A NUL ends a string of OSC.
fn without_nul(text: &str) -> String {
    text.replace('\0', "")
}

/// An argument in a sentence; long ones are cut.
pub fn shown_arg(arg: &OscType) -> String {
    match arg {
        OscType::String(text) if text.chars().count() > 40 => {
            format!("“{}…”", text.chars().take(40).collect::<String>())
        }
        OscType::String(text) => format!("“{text}”"),
        OscType::Float(number) => shown(f64::from(*number)),
        OscType::Double(number) => shown(*number),
        OscType::Int(number) => number.to_string(),
        OscType::Long(number) => number.to_string(),
        OscType::Bool(on) => (if *on { "true" } else { "false" }).into(),
        OscType::Char(letter) => format!("“{letter}”"),
        OscType::Blob(bytes) => format!("a blob of {} bytes", bytes.len()),
        OscType::Array(array) => format!("an array of {}", array.content.len()),
        OscType::Nil => "nil".into(),
        OscType::Inf => "an impulse".into(),
        OscType::Time(_) => "a time".into(),
        OscType::Color(_) => "a colour".into(),
        OscType::Midi(_) => "a MIDI message".into(),
    }
}

#[cfg(test)]
mod tests {
    use rosc::OscArray;

    use super::*;
    use crate::control::{Origin, Param, Table};

    fn table() -> Table {
        Table::new([
            Param::float("/float", 0.0, 1.0, 0.0),
            Param::int("/int", 0, 9, 0),
            Param::bool("/bool", false),
            Param::choice("/choice", ["red", "green"]),
            Param::text("/text", ""),
            Param::trigger("/trigger"),
        ])
    }

    /// What a parameter is after an argument, in words; the same sentence the table says where it takes no such thing.
    fn after(path: &str, arg: OscType) -> String {
        let table = table();
        let handle = table.handle(path).unwrap();
        match asked(&handle.param().kind, &[arg]) {
            Ok(Asked::Set(value)) => match table.set(path, value, Origin::Osc) {
                Ok(_) => format!("{} {}", handle.value(), handle.pulses()),
                Err(_) => "refused".into(),
            },
            Ok(Asked::Read) => "read".into(),
            Err(_) => "refused".into(),
        }
    }

    #[test]
    fn every_type_of_osc_sets_the_kinds_it_can_mean() {
        for (path, arg, expected) in [
            ("/float", OscType::Float(0.5), "0.5 0"),
            ("/float", OscType::Double(0.25), "0.25 0"),
            ("/float", OscType::Int(1), "1 0"),
            ("/float", OscType::Long(1), "1 0"),
            ("/float", OscType::Float(7.0), "1 0"),
            ("/float", OscType::Array(OscArray { content: vec![OscType::Float(0.5)] }), "0.5 0"),
            ("/int", OscType::Int(3), "3 0"),
            ("/int", OscType::Float(3.4), "3 0"),
            ("/int", OscType::Long(1 << 40), "9 0"),
            ("/bool", OscType::Bool(true), "on 0"),
            ("/bool", OscType::Int(1), "on 0"),
            ("/bool", OscType::Float(0.9), "on 0"),
            ("/choice", OscType::String("green".into()), "“green” 0"),
            ("/choice", OscType::Int(1), "“green” 0"),
            ("/choice", OscType::Float(1.0), "“green” 0"),
            ("/text", OscType::String("a sea".into()), "“a sea” 0"),
            ("/text", OscType::Int(3), "“3” 0"),
            ("/text", OscType::Float(3.0), "“3” 0"),
            ("/trigger", OscType::Inf, "(fires) 1"),
            ("/trigger", OscType::Nil, "(fires) 1"),
            ("/trigger", OscType::Bool(true), "(fires) 1"),
            ("/trigger", OscType::Float(1.0), "(fires) 1"),
            ("/trigger", OscType::Float(0.0), "(fires) 0"),
        ] {
            assert_eq!(after(path, arg.clone()), expected, "{path} {arg}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (path, arg) in [
            ("/float", OscType::String("loud".into())),
            ("/float", OscType::Float(f32::NAN)),
            ("/float", OscType::Double(f64::INFINITY)),
            ("/float", OscType::Nil),
            ("/float", OscType::Blob(vec![1, 2])),
            ("/float", OscType::Array(OscArray { content: Vec::new() })),
            ("/int", OscType::Bool(true)),
            ("/bool", OscType::String("on".into())),
            ("/choice", OscType::String("blue".into())),
            ("/text", OscType::Bool(true)),
            ("/text", OscType::Inf),
            ("/trigger", OscType::String("go".into())),
        ] {
            assert_eq!(after(path, arg.clone()), "refused", "{path} {arg}");
        }
    }

    #[test]
    fn no_argument_fires_a_trigger_and_asks_all_else() {
        assert_eq!(asked(&Kind::Trigger, &[]), Ok(Asked::Set(Value::Pulse)));
        assert_eq!(asked(&Kind::Bool, &[]), Ok(Asked::Read));
    }

    #[test]
    fn a_value_that_is_sent_sets_the_same_value() {
        let table = table();
        for (path, value) in [
            ("/float", Value::Float(0.7)),
            ("/int", Value::Int(4)),
            ("/bool", Value::Bool(true)),
            ("/choice", Value::text("green")),
            ("/text", Value::text("a sea")),
        ] {
            table.set(path, value, Origin::Osc).unwrap();
            let handle = table.handle(path).unwrap();
            let before = (handle.f32(), handle.text());
            let sent = message(&handle);
            let Ok(Asked::Set(value)) = asked(&handle.param().kind, &sent.args) else { panic!("{path}") };
            table.set(path, value, Origin::Osc).unwrap();
            assert_eq!((handle.f32(), handle.text()), before, "{path}");
        }
    }
}
