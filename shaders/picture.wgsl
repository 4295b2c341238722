// The live picture: the mix of the last two at their own size, and the fit of that mix to the stage.

struct Params {
    // Share of the newer picture.
    blend: f32,
    // 0: nothing beyond the picture's edge, 1: its own blur.
    fill: f32,
    texels: vec2f,
    // picture_uv = (stage_uv - 0.5) * scale + 0.5
    scale: vec2f,
    // The same for the blurred fill, which covers the whole stage.
    fill_scale: vec2f,
    // Taps each way where the picture is larger than its place on the stage.
    taps: f32,
}
@group(0) @binding(1) var<uniform> param: Params;

// image_0: what was seen when the newer picture came, image_1: the newer picture. Same size.
@fragment
fn fs_blend(in: Corner) -> @location(0) vec4f {
    let at = vec2i(in.position.xy);
    return mix(textureLoad(image_0, at, 0), textureLoad(image_1, at, 0), param.blend);
}

// Catmull-Rom in five bilinear taps: the two middle weights of each axis are one tap between two texels, and the four
// corners, half a percent each at most, are left out (Jimenez, "Filmic SMAA", SIGGRAPH 2016).
fn catmull_rom(uv: vec2f) -> vec3f {
    let at = uv * param.texels;
    let centre = floor(at - 0.5) + 0.5;
    let f = at - centre;
    let w0 = f * (-0.5 + f * (1.0 - 0.5 * f));
    let w1 = 1.0 + f * f * (-2.5 + 1.5 * f);
    let w2 = f * (0.5 + f * (2.0 - 1.5 * f));
    let w3 = f * f * (-0.5 + 0.5 * f);
    let w12 = w1 + w2;
    let p0 = (centre - 1.0) / param.texels;
    let p12 = (centre + w2 / w12) / param.texels;
    let p3 = (centre + 2.0) / param.texels;
    let up = w12.x * w0.y;
    let left = w0.x * w12.y;
    let middle = w12.x * w12.y;
    let right = w3.x * w12.y;
    let down = w12.x * w3.y;
    let sum = tap(vec2f(p12.x, p0.y)) * up
        + tap(vec2f(p0.x, p12.y)) * left
        + tap(p12) * middle
        + tap(vec2f(p3.x, p12.y)) * right
        + tap(vec2f(p12.x, p3.y)) * down;
    return clamp(sum / (up + left + middle + right + down), vec3f(0.0), vec3f(1.0));
}

fn tap(uv: vec2f) -> vec3f {
    return textureSampleLevel(image_0, clamped, uv, 0.0).rgb;
}

// A square of taps over one pixel of the stage, for pictures larger than their place.
fn averaged(uv: vec2f) -> vec3f {
    let n = i32(param.taps);
    let pixel = param.scale / frame.size;
    var sum = vec3f(0.0);
    for (var y = 0; y < n; y++) {
        for (var x = 0; x < n; x++) {
            let at = (vec2f(f32(x), f32(y)) + 0.5) / f32(n) - 0.5;
            sum += tap(uv + at * pixel);
        }
    }
    return sum / f32(n * n);
}

// image_0: the picture, image_2: its pyramid of blurs (linear light) where the fill wants one.
@fragment
fn fs_fit(in: Corner) -> @location(0) vec4f {
    let uv = (in.uv - 0.5) * param.scale + 0.5;
    // Half a stage pixel of soft edge, so that a fitted picture does not end in a staircase.
    let pixel = abs(param.scale) / frame.size;
    let inside = clamp((0.5 - abs(uv - 0.5)) / pixel + 0.5, vec2f(0.0), vec2f(1.0));
    let share = inside.x * inside.y;
    var colour = vec3f(0.0);
    if param.fill > 0.5 && share < 1.0 {
        let fill_uv = (in.uv - 0.5) * param.fill_scale + 0.5;
        colour = srgb_from_linear(textureSampleLevel(image_2, mirrored, fill_uv, 2.0).rgb * 0.25);
    }
    if share > 0.0 {
        var seen: vec3f;
        if param.taps > 1.5 {
            seen = averaged(uv);
        } else {
            seen = catmull_rom(uv);
        }
        colour = mix(colour, seen, share);
    }
    return vec4f(colour, 1.0);
}
