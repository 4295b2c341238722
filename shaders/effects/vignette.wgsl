//! Vignette: the stage falls into the dark at its edges.
//@ order: 90
//@ reach: float = 0.75 [0.1, 1.5] "Where the dark begins: 1 is the corners."
//@ softness: float = 0.7 [0.05, 1.5] "How slowly the dark comes."
//@ darkness: float = 0.85 [0, 1] "How dark the edges are."
//@ roundness: float = 0.5 [0, 1] "0 follows the shape of the stage, 1 is a circle."

fn effect(uv: vec2f) -> vec4f {
    let shape = mix(vec2f(1.0), vec2f(frame.aspect, 1.0) / max(frame.aspect, 1.0), param.roundness);
    let r = length((uv - 0.5) * shape) / length(0.5 * shape);
    let fall = smoothstep(param.reach - 0.5 * param.softness, param.reach + 0.5 * param.softness, r);
    let light = linear_from_srgb(stage(uv).rgb);
    return vec4f(srgb_from_linear(light * (1.0 - param.darkness * fall)), 1.0);
}
