//! From a user's file to a whole WGSL module, and what naga says of it in the user's own line numbers.

use std::fmt::Write as _;

use wgpu::naga;

use super::declaration::{Declaration, Fault, Kind, ParamKind};

pub(super) const PRELUDE: &str = include_str!("../../shaders/prelude.wgsl");

const EFFECT: &str = "
// What the effect is given.
fn stage(uv: vec2f) -> vec4f {
    return textureSampleLevel(image_0, mirrored, uv, 0.0);
}
";

const FEEDBACK: &str = "
// What this effect gave a frame ago.
fn before(uv: vec2f) -> vec4f {
    return textureSampleLevel(image_1, mirrored, uv, 0.0);
}
";

const PYRAMID: &str = "
// What the effect is given, blurred, in linear light: level 0 is half the stage's size, each further level half that.
fn blurred(uv: vec2f, level: f32) -> vec3f {
    return textureSampleLevel(image_2, clamped, uv, level).rgb;
}
";

const TRANSITION: &str = "
// 0 at the beginning, 1 at the end.
var<private> progress: f32;

fn from_colour(uv: vec2f) -> vec4f {
    return textureSampleLevel(image_0, mirrored, uv, 0.0);
}

fn to_colour(uv: vec2f) -> vec4f {
    return textureSampleLevel(image_1, mirrored, uv, 0.0);
}
";

// The clamp keeps what a file computes wrongly (infinite, not a number) out of feedback.
const EFFECT_MIXED: &str = "
@fragment
fn fs_main(in: Corner) -> @location(0) vec4f {
    let seen = mix(stage(in.uv).rgb, effect(in.uv).rgb, param.amount);
    return vec4f(clamp(seen, vec3f(0.0), vec3f(4.0)), 1.0);
}
";

const EFFECT_OWN: &str = "
@fragment
fn fs_main(in: Corner) -> @location(0) vec4f {
    return vec4f(clamp(effect(in.uv).rgb, vec3f(0.0), vec3f(4.0)), 1.0);
}
";

const GATHER: &str = "
@fragment
fn fs_gather(in: Corner) -> @location(0) vec4f {
    var sum = vec3f(0.0);
    for (var i = 0u; i < 4u; i++) {
        let corner = vec2f(f32(i & 1u), f32(i >> 1u)) * 2.0 - 1.0;
        let at = in.uv + corner / frame.size;
        sum += gather(linear_from_srgb(textureSampleLevel(image_0, clamped, at, 0.0).rgb));
    }
    return vec4f(clamp(sum * 0.25, vec3f(0.0), vec3f(16.0)), 1.0);
}
";

const TRANSITION_MAIN: &str = "
@fragment
fn fs_main(in: Corner) -> @location(0) vec4f {
    progress = param.progress;
    return vec4f(clamp(transition(in.uv).rgb, vec3f(0.0), vec3f(4.0)), 1.0);
}
";

/// A checked shader file: what it declares and the module made of it.
#[derive(Debug, Clone)]
pub(super) struct Shader {
    pub declaration: Declaration,
    pub module: String,
}

/// Reads, completes and checks the file `name`.wgsl.
pub(super) fn shader(name: &str, source: &str) -> Result<Shader, Fault> {
    let declaration = super::declaration::parse(name, source)?;
    let head = head(&declaration);
    let module = format!("{head}{source}\n{}", tail(&declaration));
    let lines = Lines { before: head.matches('\n').count() as u32, own: source.lines().count() as u32 };
    check(&module, &lines)?;
    Ok(Shader { declaration, module })
}

fn head(declaration: &Declaration) -> String {
    let mut head = PRELUDE.to_owned();
    let first = match declaration.kind {
        Kind::Effect => {
            head.push_str(EFFECT);
            "amount"
        }
        Kind::Transition => {
            head.push_str(TRANSITION);
            "progress"
        }
    };
    if declaration.feedback {
        head.push_str(FEEDBACK);
    }
    if declaration.pyramid {
        head.push_str(PYRAMID);
    }
    let _ = write!(head, "struct Params {{ {first}: f32");
    for param in &declaration.params {
        let kind = match param.kind {
            ParamKind::Int => "i32",
            ParamKind::Float | ParamKind::Bool => "f32",
        };
        let _ = write!(head, ", {}: {kind}", param.name);
    }
    head.push_str(" }\n@group(0) @binding(1) var<uniform> param: Params;\n");
    head
}

fn tail(declaration: &Declaration) -> String {
    let mut tail = match (declaration.kind, declaration.owns_amount) {
        (Kind::Transition, _) => TRANSITION_MAIN,
        (Kind::Effect, true) => EFFECT_OWN,
        (Kind::Effect, false) => EFFECT_MIXED,
    }
    .to_owned();
    if declaration.pyramid && declaration.gathers {
        tail.push_str(GATHER);
    }
    tail
}

/// Where the user's lines lie in the module.
struct Lines {
    before: u32,
    own: u32,
}

impl Lines {
    fn own(&self, line: u32) -> Option<u32> {
        line.checked_sub(self.before).filter(|own| (1..=self.own).contains(own))
    }
}

fn check(module: &str, lines: &Lines) -> Result<(), Fault> {
    let parsed = naga::front::wgsl::parse_str(module).map_err(|error| {
        let own = error.labels().filter_map(|(span, _)| lines.own(span.location(module).line_number)).next();
        // The label often says more than the message ("expected vec4f, found f32").
        let label = error.labels().map(|(_, label)| label.trim()).find(|label| !label.is_empty());
        let mut why = error.message().to_owned();
        if let Some(label) = label.filter(|label| !why.contains(label)) {
            let _ = write!(why, " ({label})");
        }
        Fault { line: own, why }
    })?;
    naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::empty())
        .validate(&parsed)
        .map(|_| ())
        .map_err(|error| {
            // The whole function is among the spans: the shortest says where.
            let own = error
                .spans()
                .filter_map(|(span, _)| Some((span.to_range()?.len(), lines.own(span.location(module).line_number)?)))
                .min()
                .map(|(_, line)| line);
            let mut why = error.as_inner().to_string();
            let mut cause = std::error::Error::source(error.as_inner());
            while let Some(inner) = cause {
                let _ = write!(why, ": {inner}");
                cause = inner.source();
            }
            Fault { line: own, why }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_in_the_code_has_the_line_of_the_users_file() {
        let source = "//! A: b.\n\nfn effect(uv: vec2f) -> vec4f {\n    return stage(uv) * unheard_of;\n}\n";
        let fault = shader("a", source).unwrap_err();
        assert_eq!(fault.line, Some(4));
        assert!(fault.why.contains("unheard_of"), "{}", fault.why);
    }

    #[test]
    fn a_fault_of_type_has_the_line_of_the_users_file() {
        let source = "fn effect(uv: vec2f) -> vec4f {\n    let a = 1.0;\n    return vec3f(a);\n}\n";
        let fault = shader("a", source).unwrap_err();
        assert_eq!(fault.line, Some(3), "{}", fault.why);
    }

    #[test]
    fn an_effect_without_feedback_has_no_before() {
        let body = "fn effect(uv: vec2f) -> vec4f { return before(uv); }";
        assert!(shader("a", body).unwrap_err().why.contains("before"));
        assert!(shader("a", &format!("//@ feedback\n{body}")).is_ok());
    }
}
