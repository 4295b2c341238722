//! What a shader file says about itself at its head.
//!
//! ```wgsl
//! //! Kaleidoscope: the picture in a ring of mirrors that turns.
//! //@ order: 30
//! //@ segments: int = 6 [2, 24] "How many mirrors."
//! ```
//!
//! `//!` is its title and sentence. `//@ name: float|int = default [min, max] "sentence"` (or `bool = 0 "sentence"`)
//! declares a parameter, read in the file as `param.name`. Directives: `order: N` (effects run in this order),
//! `amount: own` (the file itself uses `param.amount`, else the effect is mixed with what it was given), `feedback`
//! (`before(uv)` is its own last frame), `pyramid` (`blurred(uv, level)`). Whether it is an effect or a transition is
//! told by the function it defines. The whole format is in shaders/README.md.

/// Most parameters that a file may declare: they share a block of 256 bytes with the amount.
pub(super) const MOST_PARAMS: usize = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Effect,
    Transition,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    Float,
    Int,
    /// 0 or 1.
    Bool,
}

/// A parameter of an effect or a transition.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    pub name: String,
    pub kind: ParamKind,
    pub default: f32,
    pub min: f32,
    pub max: f32,
    pub doc: String,
}

/// The head of a shader file.
#[derive(Debug, Clone, PartialEq)]
pub struct Declaration {
    /// The file's name without `.wgsl`.
    pub name: String,
    pub kind: Kind,
    pub title: String,
    pub doc: String,
    pub order: i32,
    pub params: Vec<Param>,
    pub(super) owns_amount: bool,
    pub(super) feedback: bool,
    pub(super) pyramid: bool,
    pub(super) gathers: bool,
}

/// What is wrong with a shader file: the line (from 1) if it is known, and a sentence.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fault {
    pub line: Option<u32>,
    pub why: String,
}

impl Fault {
    pub fn at(line: u32, why: impl Into<String>) -> Self {
        Self { line: Some(line), why: why.into() }
    }

    pub fn whole(why: impl Into<String>) -> Self {
        Self { line: None, why: why.into() }
    }
}

pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Reads the head of the file `name`.wgsl.
pub(super) fn parse(name: &str, source: &str) -> Result<Declaration, Fault> {
    if !is_name(name) {
        return Err(Fault::whole(format!(
            "the file name {name:?} cannot be a parameter path: use small letters, digits and _"
        )));
    }
    let mut declared = Declaration {
        name: name.to_owned(),
        kind: kind(source)?,
        title: name.replace('_', " "),
        doc: String::new(),
        order: 50,
        params: Vec::new(),
        owns_amount: false,
        feedback: false,
        pyramid: false,
        gathers: source.contains("fn gather("),
    };
    for (line, text) in (1..).zip(source.lines()) {
        let text = text.trim();
        if let Some(doc) = text.strip_prefix("//!") {
            if declared.doc.is_empty() {
                if let Some((title, doc)) = doc.split_once(':') {
                    declared.title = title.trim().to_owned();
                    declared.doc = doc.trim().to_owned();
                } else {
                    declared.doc = doc.trim().to_owned();
                }
            } else {
                declared.doc = format!("{} {}", declared.doc, doc.trim());
            }
        } else if let Some(directive) = text.strip_prefix("//@") {
            read(directive.trim(), &mut declared).map_err(|why| Fault::at(line, why))?;
        }
    }
    Ok(declared)
}

fn kind(source: &str) -> Result<Kind, Fault> {
    match (source.contains("fn effect("), source.contains("fn transition(")) {
        (true, false) => Ok(Kind::Effect),
        (false, true) => Ok(Kind::Transition),
        (true, true) => Err(Fault::whole("it defines both fn effect and fn transition: make two files")),
        (false, false) => {
            Err(Fault::whole("it defines neither fn effect(uv: vec2f) -> vec4f nor fn transition(uv: vec2f) -> vec4f"))
        }
    }
}

fn read(directive: &str, declared: &mut Declaration) -> Result<(), String> {
    let (name, rest) = match directive.split_once(':') {
        Some((name, rest)) => (name.trim(), rest.trim()),
        None => (directive, ""),
    };
    match (name, rest) {
        ("feedback", "") => declared.feedback = true,
        ("pyramid", "") => declared.pyramid = true,
        ("amount", "own") => declared.owns_amount = true,
        ("order", number) => {
            declared.order = number.parse().map_err(|_| format!("order takes a whole number, not {number:?}"))?;
        }
        (_, "") => {
            return Err(format!(
                "{directive:?} is not understood: write a parameter as `//@ name: float = 0.5 [0, 1] \"What it does.\"`"
            ));
        }
        _ => {
            let param = param(name, rest)?;
            if declared.params.iter().any(|known| known.name == param.name) {
                return Err(format!("{name} is declared twice"));
            }
            if declared.params.len() == MOST_PARAMS {
                return Err(format!("a file may declare {MOST_PARAMS} parameters and no more"));
            }
            declared.params.push(param);
        }
    }
    Ok(())
}

fn param(name: &str, rest: &str) -> Result<Param, String> {
    let example = match rest.starts_with("bool") {
        true => format!("`//@ {name}: bool = 0 \"What it does.\"`"),
        false => format!("`//@ {name}: float = 0.5 [0, 1] \"What it does.\"`"),
    };
    if !is_name(name) || name == "amount" || name == "progress" {
        return Err(format!(
            "{name:?} cannot name a parameter: use small letters, digits and _, and not amount or progress"
        ));
    }
    let (kind, rest) = rest.split_once('=').ok_or_else(|| format!("{name} needs a default: write {example}"))?;
    let kind = match kind.trim() {
        "float" => ParamKind::Float,
        "int" => ParamKind::Int,
        "bool" => ParamKind::Bool,
        other => return Err(format!("{name} is of type {other:?}: there are float, int and bool")),
    };
    let (value, doc) = rest
        .split_once('"')
        .and_then(|(value, doc)| Some((value.trim(), doc.trim_end().strip_suffix('"')?)))
        .ok_or_else(|| format!("{name} needs a sentence in quotes: write {example}"))?;
    let number = |text: &str| -> Result<f32, String> {
        match text.trim() {
            "true" => Ok(1.0),
            "false" => Ok(0.0),
            text => match text.parse::<f32>() {
                Ok(value) if value.is_finite() => Ok(value),
                _ => Err(format!("{name}: {text:?} is not a number")),
            },
        }
    };
    let (default, min, max) = if kind == ParamKind::Bool {
        (number(value)?, 0.0, 1.0)
    } else {
        let (default, range) = value
            .split_once('[')
            .and_then(|(default, range)| Some((default, range.trim_end().strip_suffix(']')?)))
            .ok_or_else(|| format!("{name} needs a range: write {example}"))?;
        let (min, max) = range.split_once(',').ok_or_else(|| format!("{name} needs a range: write {example}"))?;
        (number(default)?, number(min)?, number(max)?)
    };
    if min >= max || default < min || default > max {
        return Err(format!("{name}: the default {default} does not lie in [{min}, {max}]"));
    }
    Ok(Param { name: name.to_owned(), kind, default, min, max, doc: doc.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "//! Rain: drops on glass.\n//@ order: 35\n//@ feedback\n\
        //@ drops: int = 9 [1, 24] \"How many.\"\n//@ wet: bool = 1 \"Or dry.\"\nfn effect(uv: vec2f) -> vec4f { }";

    #[test]
    fn a_head_says_what_the_file_is() {
        let head = parse("rain", HEAD).unwrap();
        assert_eq!((head.title.as_str(), head.doc.as_str()), ("Rain", "drops on glass."));
        assert_eq!((head.kind, head.order, head.feedback), (Kind::Effect, 35, true));
        let drops = &head.params[0];
        assert_eq!((drops.kind, drops.default, drops.min, drops.max), (ParamKind::Int, 9.0, 1.0, 24.0));
        assert_eq!((head.params[1].kind, head.params[1].default), (ParamKind::Bool, 1.0));
    }

    #[test]
    fn a_fault_names_its_line_and_the_way_out() {
        for (bad, line, part) in [
            ("//! A\n//@ a: float = 3 [0, 1] \"x\"\n", 2, "does not lie"),
            ("//@ a: float = 3 \"x\"\n", 1, "needs a range"),
            ("\n\n//@ a: vec3 = 3 [0, 1] \"x\"\n", 3, "there are float, int and bool"),
            ("//@ a: float = 0 [0, 1]\n", 1, "sentence in quotes"),
            ("//@ a: float = inf [0, 1] \"x\"\n", 1, "not a number"),
            ("//@ order: first\n", 1, "whole number"),
            ("//@ Size: float = 0 [0, 1] \"x\"\n", 1, "cannot name"),
            ("//@ a: int = 1 [0, 1] \"x\"\n//@ a: int = 1 [0, 1] \"x\"\n", 2, "twice"),
            ("//@ fedback\n", 1, "not understood"),
        ] {
            let fault = parse("x", &format!("{bad}fn effect(uv: vec2f) -> vec4f {{}}")).unwrap_err();
            assert_eq!(fault.line, Some(line), "{bad}");
            assert!(fault.why.contains(part), "{}", fault.why);
        }
    }

    #[test]
    fn a_file_without_a_function_is_refused() {
        assert!(parse("x", "//! Nothing: at all.").unwrap_err().why.contains("neither"));
        assert!(parse("My Effect", HEAD).unwrap_err().why.contains("file name"));
    }
}
