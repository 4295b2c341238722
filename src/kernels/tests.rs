//! Every kernel against a naive reference, over random shapes, on every instruction set that this CPU has.

use super::*;

#[cfg(target_os = "linux")]
pub(super) use pages::guarded;

mod layers;
mod naive;
#[cfg(target_os = "linux")]
mod pages;
mod threads;
mod wide;

/// A reproducible stream of numbers (SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// A whole number in `from..=to`.
    pub fn whole(&mut self, from: usize, to: usize) -> usize {
        from + (self.bits() % (to + 1 - from) as u64) as usize
    }
    /// Uniform in -1..1.
    pub fn value(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
    pub fn values(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.value()).collect()
    }
}

/// Norm of the difference over the norm of what was expected.
pub fn error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(expected).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    difference / norm(&mut expected.iter().map(|b| f64::from(*b))).max(1e-30)
}

/// The first channels of a map, plane after plane.
fn planar(grid: &Grid, channels: usize) -> Vec<f32> {
    let mut out = vec![0.0; channels * grid.height() * grid.width()];
    grid.copy_to(&mut out);
    out
}

/// Tests every instruction set that is here.
fn each_set(test: impl Fn(Instructions, &Pool, &mut Random)) {
    let pool = Pool::new(3);
    for (i, set) in Instructions::present().into_iter().enumerate() {
        test(set, &pool, &mut Random::new(34 + i as u64));
    }
}

/// What a set multiplies.
fn elements(set: Instructions) -> Vec<Element> {
    Element::ALL.into_iter().filter(|element| *element != Element::Float16 || set.has(*element)).collect()
}
