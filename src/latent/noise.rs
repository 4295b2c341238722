//! Deterministic noise by number, and the normal distribution.
//!
//! Noise is a function of (seed, index), not of how often it was asked for, so that a mapping gives the same cells
//! whatever came before. The mixer is SplitMix64's (Steele, Lea, Flood 2014); the normal integral is Marsaglia's series
//! ("Evaluating the Normal Distribution", J. Stat. Software 11, 2004).

use std::f64::consts::{PI, TAU};

/// Sixty-four well-mixed bits for this index of this seed.
pub fn bits(seed: u64, index: u64) -> u64 {
    let mut z = mix(seed).wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mix(z)
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Uniform in (0, 1).
pub fn uniform(seed: u64, index: u64) -> f64 {
    ((bits(seed, index) >> 12) as f64 + 0.5) / (1u64 << 52) as f64
}

/// N(0, 1), by Box and Muller.
pub fn normal(seed: u64, index: u64) -> f64 {
    let drawn = bits(seed, index);
    let radius_from = ((drawn >> 32) as f64 + 0.5) / (1u64 << 32) as f64;
    let turn = (drawn & 0xffff_ffff) as f64 / (1u64 << 32) as f64;
    (-2.0 * radius_from.ln()).sqrt() * (TAU * turn).cos()
}

/// +1 or -1.
pub fn sign(seed: u64, index: u64) -> f32 {
    if bits(seed, index) >> 63 == 0 { 1.0 } else { -1.0 }
}

/// Fills `out` with white noise of mean 0 and mean square 1 exactly (up to rounding).
pub fn fill_unit(seed: u64, out: &mut [f32]) {
    for (index, value) in out.iter_mut().enumerate() {
        *value = normal(seed, index as u64) as f32;
    }
    let count = out.len().max(1) as f64;
    let mean = out.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
    out.iter_mut().for_each(|v| *v -= mean as f32);
    to_unit_rms(out);
}

/// Scales to mean square 1; leaves what is all but zero as it is.
pub fn to_unit_rms(values: &mut [f32]) {
    let rms = (values.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>() / values.len().max(1) as f64).sqrt();
    if rms > 1e-12 && rms.is_finite() {
        let gain = (1.0 / rms) as f32;
        values.iter_mut().for_each(|v| *v *= gain);
    }
}

/// Density of N(0, 1).
fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / TAU.sqrt()
}

/// Share of N(0, 1) below x, to about 1e-15 for |x| < 7.
pub fn normal_below(x: f64) -> f64 {
    if x.abs() > 7.0 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut sum, mut term, mut odd) = (x, x, 1.0);
    while term.abs() > 1e-17 {
        odd += 2.0;
        term *= x * x / odd;
        sum += term;
    }
    0.5 + sum * density(x)
}

/// The x with this share of N(0, 1) below it, by Newton from `near`. Shares are held to 1e-6 from both ends (|x| < 4.76).
pub fn normal_quantile(share: f64, near: f64) -> f64 {
    let share = share.clamp(1e-6, 1.0 - 1e-6);
    let mut x = near.clamp(-4.8, 4.8);
    for _ in 0..60 {
        let step = ((normal_below(x) - share) / density(x)).clamp(-0.5, 0.5);
        x -= step;
        if step.abs() < 1e-10 {
            break;
        }
    }
    x
}

/// The weights (cos, sin) of a quarter turn, `part` 0..1: a mix of two independent unit noises that stays of unit variance.
pub fn quarter_turn(part: f32) -> (f32, f32) {
    let (sin, cos) = (part.clamp(0.0, 1.0) * (PI as f32 / 2.0)).sin_cos();
    (cos, sin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_is_standard_normal_and_uncorrelated() {
        let values: Vec<f64> = (0..100_000).map(|i| normal(7, i)).collect();
        let moment = |power: i32| values.iter().map(|v| v.powi(power)).sum::<f64>() / values.len() as f64;
        assert!(moment(1).abs() < 0.01 && (moment(2) - 1.0).abs() < 0.015 && (moment(4) - 3.0).abs() < 0.1);
        let neighbours = values.windows(2).map(|w| w[0] * w[1]).sum::<f64>() / values.len() as f64;
        let other: f64 = (0..100_000).map(|i| normal(7, i) * normal(8, i)).sum::<f64>() / values.len() as f64;
        assert!(neighbours.abs() < 0.012 && other.abs() < 0.012, "{neighbours} {other}");
    }

    #[test]
    fn the_normal_integral_and_its_inverse_agree_with_tables() {
        // Abramowitz and Stegun, table 26.1.
        for (x, share) in
            [(0.0, 0.5), (1.0, 0.841_344_746_068_5), (2.0, 0.977_249_868_051_8), (-3.0, 0.001_349_898_031_6)]
        {
            assert!((normal_below(x) - share).abs() < 1e-12);
            assert!((normal_quantile(share, 0.0) - x).abs() < 1e-8);
        }
        assert!((normal_quantile(1e-5, 4.0) + 4.264_890_8).abs() < 1e-5);
    }
}
