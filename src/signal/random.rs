//! A small deterministic generator: the same seed gives the same numbers on every machine and in every version.

/// SplitMix64 (Steele, Lea, Flood 2014, doi 10.1145/2714064.2660195).
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in 0..1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// About normal: zero mean, unit variance, never beyond 3.5. The sum of four 16-bit uniforms costs one draw and no
    /// logarithm, and what is made of it here is filtered afterwards, which brings it closer still.
    pub fn normal(&mut self) -> f64 {
        let bits = self.bits();
        let sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
        (sum as f64 / 65536.0 - (2.0 - 2.0 / 65536.0)) * 3f64.sqrt()
    }

    pub fn sign(&mut self) -> f64 {
        if self.bits() >> 63 == 0 { 1.0 } else { -1.0 }
    }
}

/// Noise whose spectrum falls as `1 / f^exponent` between two frequencies: a sum of first-order processes (each flat up
/// to its corner, falling by 1/f^2 above) with corners a factor of four apart.
#[derive(Debug, Clone)]
pub struct Coloured {
    poles: Vec<Pole>,
}

#[derive(Debug, Clone)]
struct Pole {
    keep: f64,
    drive: f64,
    value: f64,
}

impl Coloured {
    /// Unit variance, at `rate_hz`.
    pub fn new(rate_hz: f64, lowest_hz: f64, highest_hz: f64, exponent: f64, random: &mut Random) -> Self {
        let mut corners = vec![lowest_hz];
        while let Some(last) = corners.last().map(|corner| corner * 4.0).filter(|corner| *corner <= highest_hz) {
            corners.push(last);
        }
        let variances: Vec<f64> = corners.iter().map(|corner| corner.powf(1.0 - exponent)).collect();
        let total: f64 = variances.iter().sum();
        let poles = corners
            .iter()
            .zip(&variances)
            .map(|(corner, variance)| {
                let keep = (-std::f64::consts::TAU * corner / rate_hz).exp();
                let deviation = (variance / total).sqrt();
                Pole { keep, drive: deviation * (1.0 - keep * keep).sqrt(), value: deviation * random.normal() }
            })
            .collect();
        Self { poles }
    }

    pub fn next(&mut self, random: &mut Random) -> f64 {
        let mut sum = 0.0;
        for pole in &mut self.poles {
            pole.value = pole.keep * pole.value + pole.drive * random.normal();
            sum += pole.value;
        }
        sum
    }
}
