//! Kaleidoscope: the picture in a ring of mirrors that turns.
//@ order: 30
//@ segments: int = 6 [2, 24] "How many mirrors."
//@ zoom: float = 1 [0.3, 3] "Size of the mirrored piece."
//@ spin: float = 1 [-30, 30] "Turns of the mirrors a minute."
//@ drift: float = 0.5 [-30, 30] "Turns a minute of the picture behind the mirrors."
//@ off_centre: float = 0.18 [0, 0.5] "How far from the middle the mirrored piece is cut."

fn effect(uv: vec2f) -> vec4f {
    let shape = vec2f(frame.aspect, 1.0);
    let p = (uv - 0.5) * shape;
    let r = length(p);
    let wedge = PI / f32(param.segments);
    let angle = atan2(p.y, p.x) + frame.time_secs * param.spin * TAU / 60.0;
    let folded = abs(angle - 2.0 * wedge * round(angle / (2.0 * wedge)));
    let turned = folded + frame.time_secs * param.drift * TAU / 60.0;
    let cut = vec2f(cos(turned), sin(turned)) * r / param.zoom;
    return stage((cut + vec2f(param.off_centre, 0.0)) / shape + 0.5);
}
