//! Ink bleed: drops of the new picture fall on the old one and soak through the paper until they have met.
//@ drops: int = 9 [1, 24] "How many drops."
//@ feather: float = 0.5 [0, 1] "How raggedly the ink runs along the fibres."
//@ rim: float = 0.7 [0, 1] "Darkness of the pigment that gathers at the edge."
//@ seed: int = 1 [0, 999] "Where the drops fall."

fn transition(uv: vec2f) -> vec4f {
    let shape = vec2f(frame.aspect, 1.0);
    let p = uv * shape;
    let fibres = fbm(p * 5.0 + 3.0, 4);
    let fine = fbm(p * vec2f(34.0, 30.0), 2);
    let wet = p + 0.16 * param.feather * vec2f(fbm(p * 3.0 + 7.0, 2), fbm(p * 3.0 + 19.0, 2));
    // Each drop lands at its own time; the soaked front grows like the square root of time.
    var key = 1.0;
    for (var i = 0; i < param.drops; i++) {
        let luck = random3(vec3f(f32(i), f32(param.seed), 2.0));
        // Low-discrepancy places (Roberts' R2 sequence), so that no corner waits for the end.
        let place = fract(vec2f(0.7549, 0.5698) * f32(i + param.seed * 7) + 0.5 + 0.12 * (luck.xy - 0.5)) * shape;
        let far = distance(wet, place);
        let born = 0.35 * f32(i) / f32(param.drops);
        key = min(key, born + far * (0.75 + 0.5 * luck.z) * (0.62 + 0.1 * sqrt(f32(param.drops))));
    }
    key += param.feather * (0.26 * fibres + 0.09 * fine);
    let share = front(key * 1.4 + 0.04, progress, 0.12);
    let soaked = front(key * 1.4 - 0.06, progress, 0.30);
    let a = from_colour(uv).rgb;
    let b = to_colour(uv).rgb;
    // Wet paper ahead of the front is darker, pigment gathers just inside it.
    let damp = (soaked - share) * swell(progress);
    let pigment = 4.0 * share * (1.0 - share) * param.rim * (0.75 + 0.8 * fine) * swell(progress);
    var seen = mix(a * (1.0 - 0.35 * damp), b, share);
    seen = mix(seen, seen * seen * vec3f(0.35, 0.3, 0.45), clamp(pigment, 0.0, 0.92));
    return vec4f(seen, 1.0);
}
