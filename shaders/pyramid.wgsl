// A pyramid of blurs in linear light: halved level by level, then each level mixed back into the finer one.
// After Jimenez, "Next generation post processing in Call of Duty: Advanced Warfare" (SIGGRAPH 2014).

struct Params {
    // Share of the wider blur in each finer level.
    spread: f32,
}
@group(0) @binding(1) var<uniform> param: Params;

fn four(uv: vec2f, step: vec2f) -> vec3f {
    return 0.25 * (textureSampleLevel(image_0, clamped, uv + step * vec2f(-1.0, -1.0), 0.0).rgb
        + textureSampleLevel(image_0, clamped, uv + step * vec2f(1.0, -1.0), 0.0).rgb
        + textureSampleLevel(image_0, clamped, uv + step * vec2f(-1.0, 1.0), 0.0).rgb
        + textureSampleLevel(image_0, clamped, uv + step * vec2f(1.0, 1.0), 0.0).rgb);
}

// From the stage itself.
@fragment
fn fs_first(in: Corner) -> @location(0) vec4f {
    let texel = 1.0 / vec2f(textureDimensions(image_0, 0));
    return vec4f(linear_from_srgb(four(in.uv, texel)), 1.0);
}

@fragment
fn fs_down(in: Corner) -> @location(0) vec4f {
    let texel = 1.0 / vec2f(textureDimensions(image_0, 0));
    return vec4f(four(in.uv, texel), 1.0);
}

// Blended over the finer level by its alpha.
@fragment
fn fs_up(in: Corner) -> @location(0) vec4f {
    let texel = 1.0 / vec2f(textureDimensions(image_0, 0));
    let cross = textureSampleLevel(image_0, clamped, in.uv, 0.0).rgb * 0.25
        + 0.125 * (textureSampleLevel(image_0, clamped, in.uv + texel * vec2f(1.0, 0.0), 0.0).rgb
            + textureSampleLevel(image_0, clamped, in.uv - texel * vec2f(1.0, 0.0), 0.0).rgb
            + textureSampleLevel(image_0, clamped, in.uv + texel * vec2f(0.0, 1.0), 0.0).rgb
            + textureSampleLevel(image_0, clamped, in.uv - texel * vec2f(0.0, 1.0), 0.0).rgb);
    return vec4f(cross + 0.25 * four(in.uv, texel), param.spread);
}
