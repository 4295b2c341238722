//! Trails: what was on stage lingers, grows, turns and changes hue while the new is laid over it.
//@ order: 40
//@ amount: own
//@ feedback
//@ length: float = 1.2 [0.05, 8] "Seconds until a trail has faded to a third."
//@ zoom: float = 0.25 [-1, 1] "Growth of the trail a second: 0.25 is a quarter larger, negative shrinks."
//@ turn: float = 2 [-60, 60] "Turns of the trail a minute."
//@ hue: float = 0 [-1, 1] "Turns of the colour circle that the trail goes through in a second."
//@ light: float = 0.5 [0, 1] "0 paints the new over the trail, 1 lets whichever is brighter win."

fn hue_turned(c: vec3f, turns: f32) -> vec3f {
    // Rotation about the grey axis (Rodrigues).
    let k = vec3f(0.57735);
    let a = turns * TAU;
    return c * cos(a) + cross(k, c) * sin(a) + k * dot(k, c) * (1.0 - cos(a));
}

fn effect(uv: vec2f) -> vec4f {
    let shape = vec2f(frame.aspect, 1.0);
    let grown = pow(1.0 + max(param.zoom, -0.9), -frame.delta_secs);
    let p = rotate((uv - 0.5) * shape, -param.turn * TAU / 60.0 * frame.delta_secs) * grown;
    let old = max(hue_turned(before(p / shape + 0.5).rgb, param.hue * frame.delta_secs), vec3f(0.0));
    let keep = exp(-frame.delta_secs / max(param.length, 1e-3)) * param.amount;
    let now = stage(uv).rgb;
    let painted = mix(now, old, keep);
    let lit = max(now, old * keep);
    return vec4f(mix(painted, lit, param.light), 1.0);
}
