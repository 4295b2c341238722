//! Posterise: few tones with clean edges, as in a screen print.
//@ order: 70
//@ levels: int = 5 [2, 16] "Tones from black to white."
//@ softness: float = 0.12 [0, 1] "Softness of the steps."
//@ ink: float = 0.35 [0, 1] "Dark lines where the tones meet."
//@ saturation: float = 1.25 [0, 2] "Strength of the printed colours."

fn tone(uv: vec2f) -> f32 {
    return luma(stage(uv).rgb);
}

fn stepped(value: f32) -> f32 {
    let at = clamp(value, 0.0, 1.0) * f32(param.levels - 1);
    let within = at - floor(at);
    let soft = max(param.softness, 0.02) * 0.5;
    return (floor(at) + smoothstep(0.5 - soft, 0.5 + soft, within)) / f32(param.levels - 1);
}

fn effect(uv: vec2f) -> vec4f {
    let d = vec2f(1.5) / frame.size;
    let c = stage(uv).rgb;
    let y = luma(c);
    let step_y = stepped(y);
    // The colour keeps its hue and is printed at the stepped brightness.
    let chroma = (c - y) * param.saturation * mix(1.0, step_y / max(y, 0.04), 0.5);
    let colour = vec3f(step_y) + round(chroma * 10.0) / 10.0 * 0.5 + chroma * 0.5;
    let there = abs(stepped(tone(uv + vec2f(d.x, 0.0))) - stepped(tone(uv - vec2f(d.x, 0.0))))
        + abs(stepped(tone(uv + vec2f(0.0, d.y))) - stepped(tone(uv - vec2f(0.0, d.y))));
    let line = clamp(there * f32(param.levels - 1) * 0.8, 0.0, 1.0) * param.ink;
    return vec4f(clamp(colour, vec3f(0.0), vec3f(1.0)) * (1.0 - line), 1.0);
}
