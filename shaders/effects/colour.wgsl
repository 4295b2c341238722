//! Colour: hue, saturation, contrast, brightness and warmth.
//@ order: 60
//@ hue: float = 0 [-0.5, 0.5] "Turns of the colour circle."
//@ saturation: float = 1 [0, 3] "0 grey, 1 as it is."
//@ contrast: float = 1 [0, 3] "1 as it is."
//@ brightness: float = 0 [-0.5, 0.5] "Lifts or lowers the middle tones."
//@ warmth: float = 0 [-1, 1] "Towards candle light, or towards ice."

fn effect(uv: vec2f) -> vec4f {
    let c = stage(uv).rgb;
    // Hue in YIQ, where brightness stays.
    let y = dot(c, vec3f(0.299, 0.587, 0.114));
    let iq = rotate(vec2f(dot(c, vec3f(0.5959, -0.2746, -0.3213)), dot(c, vec3f(0.2115, -0.5227, 0.3112))),
        -param.hue * TAU) * param.saturation;
    var seen = vec3f(y) + vec3f(0.956 * iq.x + 0.619 * iq.y, -0.272 * iq.x - 0.647 * iq.y, -1.106 * iq.x + 1.703 * iq.y);
    seen *= vec3f(1.0 + 0.18 * param.warmth, 1.0 + 0.02 * param.warmth, 1.0 - 0.22 * param.warmth);
    seen = (seen - 0.5) * param.contrast + 0.5;
    // A power keeps black black and white white.
    seen = pow(clamp(seen, vec3f(0.0), vec3f(1.0)), vec3f(exp2(-2.5 * param.brightness)));
    return vec4f(seen, 1.0);
}
