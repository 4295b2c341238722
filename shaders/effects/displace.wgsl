//! Displace: the live signal bends the picture, as waves from both sides or as rings from the middle.
//@ order: 10
//@ amount: own
//@ depth: float = 0.06 [0, 0.3] "How far the signal bends, as a share of the stage's height."
//@ rings: float = 0.5 [0, 1] "0 waves along both sides, 1 rings from the middle."
//@ smoothing: float = 0.04 [0, 0.3] "How much of the trace is averaged: small is nervous, large is swell."
//@ split: float = 0.15 [0, 1] "How far the colours come apart where the picture bends."

fn effect(uv: vec2f) -> vec4f {
    let shape = vec2f(frame.aspect, 1.0);
    let p = (uv - 0.5) * shape;
    let r = length(p);
    var waves = vec2f(0.0);
    var rings = vec2f(0.0);
    if param.rings < 1.0 {
        waves = vec2f(smooth_signal(uv.y, param.smoothing), smooth_signal(uv.x, param.smoothing));
    }
    if param.rings > 0.0 {
        // Now is in the middle; older samples travel outwards.
        let ring = smooth_signal(1.0 - r / length(0.5 * shape), param.smoothing);
        rings = p / max(r, 1e-3) * ring * smoothstep(0.0, 0.08, r) * 1.4;
    }
    let bend = mix(waves, rings, param.rings) * param.depth * param.amount / shape;
    let apart = bend * param.split;
    return vec4f(stage(uv + bend + apart).r, stage(uv + bend).g, stage(uv + bend - apart).b, 1.0);
}
