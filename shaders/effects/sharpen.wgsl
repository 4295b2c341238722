//! Sharpen: crisper detail, less where contrast is high already, so that edges get no halo.
//@ order: 50
//@ strength: float = 0.6 [0, 1] "How crisp."
//@ radius: float = 1 [0.5, 4] "Size of the detail in pixels of a stage 720 high."

// After AMD FidelityFX CAS: the sharpening weight falls as the range of the neighbourhood nears black or white.
fn effect(uv: vec2f) -> vec4f {
    let d = param.radius / 720.0 * vec2f(1.0 / frame.aspect, 1.0);
    let e = stage(uv).rgb;
    let n = stage(uv - vec2f(0.0, d.y)).rgb;
    let s = stage(uv + vec2f(0.0, d.y)).rgb;
    let w = stage(uv - vec2f(d.x, 0.0)).rgb;
    let o = stage(uv + vec2f(d.x, 0.0)).rgb;
    let low = min(e, min(min(n, s), min(w, o)));
    let high = max(e, max(max(n, s), max(w, o)));
    let room = clamp(min(low, 1.0 - high) / max(high, vec3f(1e-3)), vec3f(0.0), vec3f(1.0));
    let weight = -sqrt(room) * mix(0.08, 0.2, param.strength);
    let sharp = (e + (n + s + w + o) * weight) / (1.0 + 4.0 * weight);
    return vec4f(clamp(sharp, low * 0.7, mix(high, vec3f(1.0), 0.3)), 1.0);
}
