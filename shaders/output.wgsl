// The last pass: brightness, blackout, and the step down to the target's bits.

struct Params {
    // Master times what blackout leaves.
    brightness: f32,
    // 1: the target encodes sRGB itself (or is linear), so linear light is written.
    linear: f32,
}
@group(0) @binding(1) var<uniform> param: Params;

@fragment
fn fs_output(in: Corner) -> @location(0) vec4f {
    let at = vec2i(in.position.xy);
    var colour = textureLoad(image_0, at, 0).rgb * param.brightness;
    // Half a step of noise breaks the bands of slow gradients, and leaves a colour that is exactly one of the
    // 256 what it is.
    let dither = (random3(vec3f(vec2f(at), 3.0)) - 0.5) * (0.5 / 255.0);
    colour = clamp(colour + dither * sign(colour), vec3f(0.0), vec3f(1.0));
    if param.linear > 0.5 {
        colour = linear_from_srgb(colour);
    }
    return vec4f(colour, 1.0);
}

// The same for a film of the screen, whatever its size.
@fragment
fn fs_film(in: Corner) -> @location(0) vec4f {
    let colour = textureSample(image_0, clamped, in.uv).rgb * param.brightness;
    let dither = (random3(vec3f(vec2f(vec2i(in.position.xy)), 3.0)) - 0.5) * (0.5 / 255.0);
    return vec4f(clamp(colour + dither * sign(colour), vec3f(0.0), vec3f(1.0)), 1.0);
}
