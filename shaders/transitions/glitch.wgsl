//! Glitch: bands and blocks tear, colours come apart, and block by block the new picture holds.
//@ strength: float = 0.6 [0, 1] "How far bands tear."
//@ block: float = 0.09 [0.02, 0.3] "Height of the blocks, as a share of the stage."
//@ rate: float = 14 [2, 30] "How often the tearing changes, a second."
//@ split: float = 0.5 [0, 1] "How far the colours come apart."

fn transition(uv: vec2f) -> vec4f {
    let force = swell(progress);
    let beat = floor(frame.time_secs * param.rate);
    // Blocks of three sizes, each with its own moment to switch.
    let shape = vec2f(frame.aspect, 1.0);
    let large = floor(uv * shape / param.block / 2.5);
    let cell = floor(uv * shape / (param.block * vec2f(2.6, 0.5)));
    let moment = mix(random(large + 11.0), random(cell + 3.0), 0.45);
    let share = step(moment * 0.8 + 0.1, progress);
    // Bands: few tear at a time, and some tear far.
    let band = floor(uv.y / param.block * 2.0 + random(vec2f(beat, 1.0)) * 7.0);
    let luck = random3(vec3f(band, beat, 5.0));
    let tear = step(1.0 - 0.45 * force, luck.x) * (luck.y - 0.5) * param.strength * 0.5 * force;
    let line = random3(vec3f(floor(uv.y * frame.size.y / 3.0), beat, 9.0));
    let shiver = (line.x - 0.5) * 0.012 * param.strength * force;
    let block_luck = random3(vec3f(cell, beat));
    let jump = step(1.0 - 0.12 * force, block_luck.x) * (block_luck.yz - 0.5) * 0.25 * param.strength * force;
    let at = uv + vec2f(tear + shiver, 0.0) + jump;
    let apart = vec2f(param.split * force * (0.006 + 0.03 * luck.z * step(0.6, luck.x)), 0.0);
    let a = vec3f(from_colour(at + apart).r, from_colour(at).g, from_colour(at - apart).b);
    let b = vec3f(to_colour(at + apart).r, to_colour(at).g, to_colour(at - apart).b);
    var seen = mix(a, b, share);
    let scan = 1.0 - 0.14 * force * step(0.5, fract(uv.y * frame.size.y / 4.0));
    let flash = step(1.0 - 0.05 * force, block_luck.y) * force;
    seen = mix(seen, seen.gbr * 1.3, flash);
    return vec4f(seen * scan, 1.0);
}
