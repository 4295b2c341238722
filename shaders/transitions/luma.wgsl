//! Luma: the new picture enters through the darkest (or brightest) parts of the old one.
//@ softness: float = 0.35 [0.02, 1] "Width of the edge in brightness."
//@ brightest_first: bool = 1 "Enter through the brightest parts instead of the darkest."
//@ glow: float = 0.35 [0, 1] "Light along the edge."

fn transition(uv: vec2f) -> vec4f {
    let a = from_colour(uv).rgb;
    let b = to_colour(uv).rgb;
    // Both pictures speak, so that flat areas do not switch all at once.
    let bright = 0.75 * luma(a) + 0.25 * luma(b);
    let key = mix(bright, 1.0 - bright, param.brightest_first);
    let share = front(key, progress, param.softness);
    let edge = 4.0 * share * (1.0 - share) * param.glow;
    return vec4f(mix(a, b, share) * (1.0 + edge) + edge * 0.08, 1.0);
}
