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
    for (var i = 0; i < 16; i++) {
        let t = (f32(i) + jitter) / 16.0;
        let w = 1.0 - 0.75 * t;
        let near = 1.0 - blur * t;
        whole += w;
        if share < 1.0 {
            let c = from_colour(centre + d * old * near).rgb;
            a += w * c * c;
        }
        if share > 0.0 {
            let c = to_colour(centre + d * new_ * near).rgb;
            b += w * c * c;
        }
    }
    let light = 1.0 + 0.35 * swell(progress);
    // Squares stand for linear light: near enough for streaks, and quick.
    return vec4f(sqrt(light * mix(a, b, share) / whole), 1.0);
}
