// Egui's triangles. Colours and texels come premultiplied, vertices in pixels from the top left.

@group(0) @binding(0) var<uniform> size_px: vec4<f32>;
@group(0) @binding(1) var texels: texture_2d<f32>;
@group(0) @binding(2) var filtering: sampler;

struct Corner {
    @builtin(position) position: vec4<f32>,
    @location(0) uv: vec2<f32>,
    @location(1) color: vec4<f32>,
}

fn linear_from_srgb(srgb: vec3<f32>) -> vec3<f32> {
    let low = srgb / 12.92;
    let high = pow((srgb + 0.055) / 1.055, vec3<f32>(2.4));
    return select(high, low, srgb <= vec3<f32>(0.04045));
}

@vertex
fn vertex(@location(0) at_px: vec2<f32>, @location(1) uv: vec2<f32>, @location(2) srgba: vec4<f32>) -> Corner {
    let place = at_px / size_px.xy * vec2<f32>(2.0, -2.0) + vec2<f32>(-1.0, 1.0);
    let straight = srgba.rgb / max(srgba.a, 1.0 / 255.0);
    return Corner(vec4<f32>(place, 0.0, 1.0), uv, vec4<f32>(linear_from_srgb(straight) * srgba.a, srgba.a));
}

@fragment
fn textured(corner: Corner) -> @location(0) vec4<f32> {
    return corner.color * textureSample(texels, filtering, corner.uv);
}

@fragment
fn solid(corner: Corner) -> @location(0) vec4<f32> {
    return corner.color;
}
