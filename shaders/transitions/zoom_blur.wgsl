//! Zoom blur: the old picture rushes past and the new one arrives out of its streaks.
//@ strength: float = 0.45 [0, 1] "How far the streaks reach."
//@ rush: float = 0.35 [0, 1] "How far the pictures themselves move towards the eye."
//@ centre_x: float = 0.5 [0, 1] "The vanishing point, from the left."
//@ centre_y: float = 0.5 [0, 1] "The vanishing point, from the top."

fn transition(uv: vec2f) -> vec4f {
    let centre = vec2f(param.centre_x, param.centre_y);
    let d = uv - centre;
    let blur = param.strength * swell(progress);
    // The old picture grows until it is gone, the new one comes from afar and settles.
    let old = 1.0 / (1.0 + param.rush * 2.0 * progress * progress);
    let new_ = 1.0 + param.rush * (1.0 - progress) * (1.0 - progress) * 0.8;
    let share = smoothstep(0.25, 0.75, progress);
    let jitter = random(uv * frame.size);
    var a = vec3f(0.0);
    var b = vec3f(0.0);
    var whole = 0.0;
    for (var i = 0; i < 20; i++) {
        let t = (f32(i) + jitter) / 20.0;
        let w = 1.0 - 0.75 * t;
        let near = 1.0 - blur * t;
        whole += w;
        if share < 1.0 {
            a += w * linear_from_srgb(from_colour(centre + d * old * near).rgb);
        }
        if share > 0.0 {
            b += w * linear_from_srgb(to_colour(centre + d * new_ * near).rgb);
        }
    }
    let light = 1.0 + 0.35 * swell(progress);
    return vec4f(srgb_from_linear(light * mix(a, b, share) / whole), 1.0);
}
