// What every effect and transition may use. The compositor puts this, the binding of the file's kind and the struct
// of its declared parameters before the file itself. uv runs from (0, 0) at the top left to (1, 1) at the bottom
// right. Colours are sRGB-encoded, as they will be seen; `linear_from_srgb` and back where light has to add up.

const TAU: f32 = 6.283185307179586;
const PI: f32 = 3.141592653589793;

struct Frame {
    // Pixels of the stage.
    size: vec2f,
    // Width over height.
    aspect: f32,
    // Stage time, begins again after 4096 s so that it stays fine for days; stands still while frozen.
    time_secs: f32,
    delta_secs: f32,
    // How strong the signal is now, 0..1, and a pulse that jumps to 1 at an onset and falls back.
    level: f32,
    onset: f32,
    // Frame number, begins again after 65536.
    number: f32,
    // The latest 512 points of the signal, -1..1, oldest first.
    trace: array<vec4f, 128>,
}

@group(0) @binding(0) var<uniform> frame: Frame;
@group(0) @binding(2) var mirrored: sampler;
@group(0) @binding(3) var clamped: sampler;
@group(0) @binding(4) var image_0: texture_2d<f32>;
@group(0) @binding(5) var image_1: texture_2d<f32>;
@group(0) @binding(6) var image_2: texture_2d<f32>;

struct Corner {
    @builtin(position) position: vec4f,
    @location(0) uv: vec2f,
}

// One triangle that covers the whole target.
@vertex
fn vs_main(@builtin(vertex_index) i: u32) -> Corner {
    let uv = vec2f(f32((i << 1u) & 2u), f32(i & 2u));
    return Corner(vec4f(uv.x * 2.0 - 1.0, 1.0 - uv.y * 2.0, 0.0, 1.0), uv);
}

// The signal at x: 0 is 512 points ago, 1 is now. Between points it is interpolated.
fn signal(x: f32) -> f32 {
    let at = clamp(x, 0.0, 1.0) * 511.0;
    let i = u32(at);
    let j = min(i + 1u, 511u);
    return mix(frame.trace[i / 4u][i % 4u], frame.trace[j / 4u][j % 4u], fract(at));
}

// The signal at x, averaged over `width` (a share of the trace) with a Gaussian of 5 points.
fn smooth_signal(x: f32, width: f32) -> f32 {
    return 0.4 * signal(x) + 0.24 * (signal(x - 0.45 * width) + signal(x + 0.45 * width))
        + 0.06 * (signal(x - width) + signal(x + width));
}

fn luma(c: vec3f) -> f32 {
    return dot(c, vec3f(0.2126, 0.7152, 0.0722));
}

fn linear_from_srgb(c: vec3f) -> vec3f {
    let low = c / 12.92;
    let high = pow((max(c, vec3f(0.0)) + 0.055) / 1.055, vec3f(2.4));
    return select(high, low, c <= vec3f(0.04045));
}

fn srgb_from_linear(c: vec3f) -> vec3f {
    let low = c * 12.92;
    let high = 1.055 * pow(max(c, vec3f(0.0)), vec3f(1.0 / 2.4)) - 0.055;
    return select(high, low, c <= vec3f(0.0031308));
}

fn rotate(p: vec2f, radians: f32) -> vec2f {
    let c = cos(radians);
    let s = sin(radians);
    return vec2f(c * p.x - s * p.y, s * p.x + c * p.y);
}

// Jarzynski and Olano, "Hash functions for GPU rendering" (2020), pcg3d: whole numbers, so alike on every GPU.
fn pcg3(v: vec3u) -> vec3u {
    var x = v * 1664525u + 1013904223u;
    x.x += x.y * x.z;
    x.y += x.z * x.x;
    x.z += x.x * x.y;
    x = x ^ (x >> vec3u(16u));
    x.x += x.y * x.z;
    x.y += x.z * x.x;
    x.z += x.x * x.y;
    return x;
}

// Three independent random numbers 0..1 for a cell of whole numbers.
fn random3(cell: vec3f) -> vec3f {
    return vec3f(pcg3(bitcast<vec3u>(vec3i(floor(cell)))) >> vec3u(8u)) / 16777216.0;
}

fn random(cell: vec2f) -> f32 {
    return random3(vec3f(cell, 0.0)).x;
}

fn gradient(cell: vec3f, to: vec3f) -> f32 {
    return dot(random3(cell) * 2.0 - 1.0, to);
}

// Gradient noise (Perlin 2002 fade), about -0.7..0.7, zero on average.
fn noise3(p: vec3f) -> f32 {
    let i = floor(p);
    let f = p - i;
    let u = f * f * f * (f * (f * 6.0 - 15.0) + 10.0);
    let o = vec2f(0.0, 1.0);
    let a = mix(gradient(i, f), gradient(i + o.yxx, f - o.yxx), u.x);
    let b = mix(gradient(i + o.xyx, f - o.xyx), gradient(i + o.yyx, f - o.yyx), u.x);
    let c = mix(gradient(i + o.xxy, f - o.xxy), gradient(i + o.yxy, f - o.yxy), u.x);
    let d = mix(gradient(i + o.xyy, f - o.xyy), gradient(i + o.yyy, f - o.yyy), u.x);
    return mix(mix(a, b, u.y), mix(c, d, u.y), u.z);
}

fn flat_gradient(cell: vec2f, to: vec2f) -> f32 {
    return dot(random3(vec3f(cell, 7.0)).xy * 2.0 - 1.0, to);
}

fn noise(p: vec2f) -> f32 {
    let i = floor(p);
    let f = p - i;
    let u = f * f * f * (f * (f * 6.0 - 15.0) + 10.0);
    let o = vec2f(0.0, 1.0);
    let a = mix(flat_gradient(i, f), flat_gradient(i + o.yx, f - o.yx), u.x);
    let b = mix(flat_gradient(i + o.xy, f - o.xy), flat_gradient(i + o.yy, f - o.yy), u.x);
    return mix(a, b, u.y);
}

// Octaves of noise, turned against each other so that no grid shows; about -0.7..0.7.
fn fbm(p: vec2f, octaves: i32) -> f32 {
    var q = p;
    var sum = 0.0;
    var height = 0.5;
    var whole = 0.0;
    for (var i = 0; i < octaves; i++) {
        sum += height * noise(q);
        whole += height;
        height *= 0.5;
        q = rotate(q, 0.6435) * 2.02 + 17.3;
    }
    return sum / max(whole, 1e-4);
}

// A front that passes over `key` (0..1) as `progress` goes from 0 to 1: exactly 0 before, exactly 1 behind, a soft
// edge of `width` between.
fn front(key: f32, progress: f32, width: f32) -> f32 {
    let soft = max(width, 1e-3);
    let at = (progress * (1.0 + soft) - clamp(key, 0.0, 1.0)) / soft;
    return smoothstep(0.0, 1.0, at);
}

// 0 at both ends, 1 in the middle.
fn swell(progress: f32) -> f32 {
    let s = clamp(4.0 * progress * (1.0 - progress), 0.0, 1.0);
    return s * (2.0 - s);
}
