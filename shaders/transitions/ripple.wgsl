//! Ripple: a drop falls, its rings bend the light, and the new picture rises behind the first ring.
//@ rings: float = 14 [3, 40] "How many rings lie side by side across the stage."
//@ depth: float = 0.045 [0, 0.15] "How far the rings bend the picture."
//@ shine: float = 0.6 [0, 1.5] "Light on the slopes of the rings."
//@ centre_x: float = 0.5 [0, 1] "Where the drop falls, from the left."
//@ centre_y: float = 0.5 [0, 1] "Where the drop falls, from the top."

fn transition(uv: vec2f) -> vec4f {
    let shape = vec2f(frame.aspect, 1.0);
    let d = (uv - vec2f(param.centre_x, param.centre_y)) * shape;
    let r = length(d);
    let way = d / max(r, 1e-4);
    let far = length(shape * (0.5 + abs(vec2f(param.centre_x, param.centre_y) - 0.5)));
    // The first ring runs ahead of the picture's edge and leaves the stage before the end.
    let ring = progress * far * 1.5;
    let behind = ring - r;
    let height = swell(progress) * smoothstep(0.0, 0.12, behind) * exp(-1.6 * max(behind, 0.0));
    let phase = behind * param.rings * TAU / far * 0.9;
    let bent = way * sin(phase) * height * param.depth / shape;
    let slope = cos(phase) * height * param.shine;
    let share = front(r / far, progress, 0.35);
    let seen = mix(from_colour(uv + bent).rgb, to_colour(uv + bent).rgb, share);
    let light = slope * (0.35 + 0.65 * dot(way, normalize(vec2f(-0.6, -0.8))));
    return vec4f(seen * (1.0 + 0.7 * light) + max(light, 0.0) * 0.12, 1.0);
}
