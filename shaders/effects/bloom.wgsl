//! Bloom: bright places glow over their surroundings, as in a lens.
//@ order: 80
//@ pyramid
//@ threshold: float = 0.6 [0, 1] "Brightness from which a place glows."
//@ strength: float = 0.6 [0, 3] "How bright the glow is."
//@ spread: float = 0.7 [0, 0.95] "How far the glow reaches."
//@ warmth: float = 0.15 [-1, 1] "Colour of the glow, from ice to candle light."

// What of a colour glows: all of it above the threshold, with a soft knee below.
fn gather(colour: vec3f) -> vec3f {
    let bright = max(colour.r, max(colour.g, colour.b));
    let limit = linear_from_srgb(vec3f(param.threshold)).r;
    let share = smoothstep(limit * 0.6, limit * 1.5 + 0.02, bright);
    return colour * share;
}

fn effect(uv: vec2f) -> vec4f {
    let glow = blurred(uv, 0.0) * vec3f(1.0 + 0.3 * param.warmth, 1.0, 1.0 - 0.3 * param.warmth);
    let light = linear_from_srgb(stage(uv).rgb);
    let sum = glow * param.strength;
    // Screen rather than add: the glow never burns out the picture under it.
    let seen = light + sum * (1.0 - min(light, vec3f(1.0))) / (1.0 + 0.35 * sum);
    return vec4f(srgb_from_linear(seen), 1.0);
}
