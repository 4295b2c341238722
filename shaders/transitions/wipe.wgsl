//! Wipe: a line of light crosses the stage and leaves the new picture behind; the edge may swing with the signal.
//@ angle: float = 20 [-180, 180] "Direction of travel in degrees: 0 to the right, 90 down."
//@ softness: float = 0.06 [0, 0.6] "Width of the edge, as a share of the stage."
//@ wave: float = 0.08 [0, 0.4] "How far the signal bends the edge."
//@ light: float = 0.5 [0, 1] "Brightness of the line."

fn transition(uv: vec2f) -> vec4f {
    let way = vec2f(cos(radians(param.angle)), sin(radians(param.angle)));
    let across = vec2f(-way.y, way.x);
    let p = (uv - 0.5) * vec2f(frame.aspect, 1.0);
    // The corner that lies farthest in the direction of travel.
    let reach = 0.5 * (abs(way.x) * frame.aspect + abs(way.y));
    let side = dot(p, across);
    let bend = param.wave * (0.7 * smooth_signal(0.5 + 0.45 * side / (0.5 * frame.aspect + 0.5), 0.06)
        + 0.3 * sin(side * 7.0 + frame.time_secs));
    let whole = 2.0 * (reach + param.wave);
    let key = (dot(p, way) + bend) / whole + 0.5;
    let share = front(key, progress, param.softness);
    let line = exp(-abs(progress * (1.0 + param.softness) - 0.5 * param.softness - key) * 60.0)
        * param.light * swell(progress);
    let seen = mix(from_colour(uv).rgb, to_colour(uv).rgb, share);
    return vec4f(seen + line * (0.35 + 0.65 * mix(seen, vec3f(1.0), 0.4)), 1.0);
}
