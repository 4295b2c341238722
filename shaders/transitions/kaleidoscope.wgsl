//! Kaleidoscope: the old picture folds into turning mirrors and the new one unfolds out of them.
//@ mirrors: int = 8 [3, 24] "How many mirrors."
//@ turns: float = 0.35 [-2, 2] "How far the mirrors turn meanwhile, in turns."
//@ zoom: float = 0.8 [0.3, 2] "Size of the folded picture."

fn transition(uv: vec2f) -> vec4f {
    let shape = vec2f(frame.aspect, 1.0);
    let p = (uv - 0.5) * shape;
    let r = length(p);
    let wedge = PI / f32(param.mirrors);
    let spin = param.turns * TAU * (progress - 0.5);
    let angle = atan2(p.y, p.x) + spin;
    let folded = abs(angle - 2.0 * wedge * round(angle / (2.0 * wedge))) - 0.25 * spin;
    let mirrored_p = vec2f(cos(folded), sin(folded)) * r * param.zoom;
    // The fold opens from the middle outwards and closes again.
    let fold = smoothstep(0.0, 1.0, clamp(swell(progress) * 2.6 - 1.6 * r / length(0.5 * shape), 0.0, 1.0));
    let at = mix(p, mirrored_p, fold) / shape + 0.5;
    let share = smoothstep(0.3, 0.7, progress);
    return mix(from_colour(at), to_colour(at), share);
}
