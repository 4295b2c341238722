//! Perlin: drifting clouds of noise decide where the new picture shows first, with a glowing rim.
//@ scale: float = 3.5 [0.5, 16] "Clouds across the height of the stage."
//@ softness: float = 0.12 [0.01, 0.6] "Width of the rim."
//@ glow: float = 0.7 [0, 1.5] "Light of the rim."
//@ drift: float = 0.35 [0, 2] "How far the clouds travel meanwhile."

fn transition(uv: vec2f) -> vec4f {
    let p = uv * vec2f(frame.aspect, 1.0) * param.scale + vec2f(31.0, 7.0);
    let moved = p + progress * param.drift * vec2f(0.8, -0.5);
    let swirl = vec2f(fbm(moved + 4.1, 2), fbm(moved + 9.7, 2));
    let clouds = fbm(moved + 1.6 * swirl, 5);
    // fbm lies within +-0.45 nearly everywhere; what lies beyond is at the ends of the front.
    let key = clouds * 1.15 + 0.56;
    let share = front(key, progress, param.softness);
    let rim = 4.0 * share * (1.0 - share);
    let a = from_colour(uv).rgb;
    let b = to_colour(uv).rgb;
    let seen = mix(a, b, share);
    let light = mix(seen, max(a, b), 0.5) + vec3f(0.10, 0.07, 0.05);
    return vec4f(seen + rim * param.glow * light * swell(progress), 1.0);
}
