//! Displacement: each picture is pushed along by the colours of the other, like two wet paintings drawn apart.
//@ strength: float = 0.35 [0, 1] "How far the colours push."
//@ turn: float = 0.25 [-1, 1] "How much the push swings round on its way, in turns."

fn push(c: vec3f, turns: f32) -> vec2f {
    return rotate(vec2f(c.r - c.b, luma(c) - 0.45), turns * TAU);
}

fn soft_from(uv: vec2f) -> vec3f {
    let s = vec2f(0.006, 0.006 * frame.aspect);
    return 0.25 * (from_colour(uv + s).rgb + from_colour(uv - s).rgb
        + from_colour(uv + vec2f(s.x, -s.y)).rgb + from_colour(uv + vec2f(-s.x, s.y)).rgb);
}

fn soft_to(uv: vec2f) -> vec3f {
    let s = vec2f(0.006, 0.006 * frame.aspect);
    return 0.25 * (to_colour(uv + s).rgb + to_colour(uv - s).rgb
        + to_colour(uv + vec2f(s.x, -s.y)).rgb + to_colour(uv + vec2f(-s.x, s.y)).rgb);
}

fn transition(uv: vec2f) -> vec4f {
    let leaving = push(soft_to(uv), param.turn * progress) * param.strength * progress;
    let coming = push(soft_from(uv), param.turn * (progress - 1.0)) * param.strength * (1.0 - progress);
    let a = from_colour(uv + leaving).rgb;
    let b = to_colour(uv - coming).rgb;
    // Whichever is brighter holds its place longer, so that the middle stays vivid.
    let share = front(0.5 + 0.5 * (luma(a) - luma(b)), progress, 0.5);
    return vec4f(mix(a, b, share), 1.0);
}
