//! Dissolve: one picture melts into the other in linear light, as on film; a flare lifts the middle.
//@ flare: float = 0.25 [0, 1] "How much brighter the middle is where either picture is bright."

fn transition(uv: vec2f) -> vec4f {
    let a = linear_from_srgb(from_colour(uv).rgb);
    let b = linear_from_srgb(to_colour(uv).rgb);
    let lift = param.flare * swell(progress);
    let both = mix(a, b, progress) + lift * max(a, b) * max(a, b);
    return vec4f(srgb_from_linear(both), 1.0);
}
