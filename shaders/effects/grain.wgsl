//! Grain: the living grain of film, strongest in the middle tones.
//@ order: 100
//@ strength: float = 0.35 [0, 1] "How coarse the grain shows."
//@ size: float = 1.4 [0.5, 6] "Size of a grain in pixels of a stage 720 high."
//@ colour: float = 0.2 [0, 1] "0 grey grain, 1 coloured grain."
//@ rate: float = 24 [1, 60] "How often the grain changes, a second."

fn grains(at: vec2f, beat: f32) -> vec3f {
    let i = floor(at);
    let f = at - i;
    let u = f * f * (3.0 - 2.0 * f);
    let a = mix(random3(vec3f(i, beat)), random3(vec3f(i + vec2f(1.0, 0.0), beat)), u.x);
    let b = mix(random3(vec3f(i + vec2f(0.0, 1.0), beat)), random3(vec3f(i + 1.0, beat)), u.x);
    return mix(a, b, u.y);
}

fn effect(uv: vec2f) -> vec4f {
    let c = stage(uv).rgb;
    let beat = floor(frame.time_secs * param.rate);
    let at = uv * vec2f(frame.aspect, 1.0) * 720.0 / param.size;
    // Two layers at different sizes sum to something near a bell curve.
    let g = grains(at, beat) + grains(at * 1.73 + 41.0, beat + 0.5) - 1.0;
    let grain = mix(vec3f(g.x), g, param.colour);
    let y = luma(c);
    let room = 0.25 + 3.0 * y * (1.0 - y);
    return vec4f(c + grain * room * param.strength * 0.28, 1.0);
}
