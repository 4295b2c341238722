//! Mirror: one half of the stage is the reflection of the other, about a line at any angle; or all four quarters.
//@ order: 20
//@ angle: float = 0 [-180, 180] "Angle of the line in degrees: 0 stands upright and the left side is reflected."
//@ offset: float = 0 [-0.5, 0.5] "How far the line lies from the middle, as a share of the stage's height."
//@ quarters: bool = 0 "Reflect about a second line across the first."

fn effect(uv: vec2f) -> vec4f {
    let shape = vec2f(frame.aspect, 1.0);
    var p = rotate((uv - 0.5) * shape, -radians(param.angle));
    p.x = param.offset - abs(p.x - param.offset);
    p.y = mix(p.y, -abs(p.y), param.quarters);
    return stage(rotate(p, radians(param.angle)) / shape + 0.5);
}
