//! `synth://wind`: a sonic anemometer in a gusty wind: along, across and upward, in m/s.
//!
//! Turbulence falls as f^-5/3 above some 0.02 Hz (Kaimal et al. 1972, doi 10.1002/qj.49709841707) with standard
//! deviations of about 2.4, 1.9 and 1.3 friction velocities, and along and up are correlated by -0.3. The mean wanders
//! over minutes; gusts rise within a second or two and die away over several.

use super::player::{Generator, Player};
use crate::signal::random::{Coloured, Random};
use crate::signal::url::Address;
use crate::signal::{Source, SourceError};

const RATE_HZ: f64 = 32.0;
const SPEED: f64 = 6.0;
/// Of the mean speed.
const FRICTION: f64 = 0.08;
const DEVIATIONS: [f64; 3] = [2.4, 1.9, 1.3];
const ALONG_IN_UP: f64 = -0.3;
/// Mean time between gusts.
const GUST_EVERY_SECS: f64 = 9.0;
const KOLMOGOROV: f64 = 5.0 / 3.0;

struct Wind {
    random: Random,
    rate_hz: f64,
    speed: f64,
    mean: Coloured,
    veer: Coloured,
    turbulence: [Coloured; 3],
    gust: Gust,
}

/// One gust at a time: a fast rise and a slow end.
#[derive(Default)]
struct Gust {
    push: f64,
    level: f64,
    left_secs: f64,
}

pub fn open(address: &Address) -> Result<Box<dyn Source>, SourceError> {
    address.check_keys(&["seed", "rate", "speed", "scale"])?;
    let rate_hz = address.number("rate", 1.0..=1000.0, "samples a second")?.unwrap_or(RATE_HZ);
    let speed = address.number("speed", 0.1..=60.0, "m/s")?.unwrap_or(SPEED);
    let mut random = Random::new(address.whole("seed", 0..=u64::MAX, "a whole number")?.unwrap_or(1) ^ 0x71_4d);
    let wind = Wind {
        rate_hz,
        speed,
        mean: Coloured::new(rate_hz, 0.01, 0.01, 2.0, &mut random),
        veer: Coloured::new(rate_hz, 0.02, 0.02, 2.0, &mut random),
        turbulence: [0.03, 0.05, 0.2].map(|lowest| Coloured::new(rate_hz, lowest, rate_hz, KOLMOGOROV, &mut random)),
        gust: Gust::default(),
        random,
    };
    let names = ["along", "across", "up"].map(|name| (name.to_owned(), "m/s"));
    Ok(Box::new(Player::new(wind, address, rate_hz, names.into_iter())?))
}

impl Gust {
    fn next(&mut self, rate_hz: f64, random: &mut Random) -> f64 {
        let step_secs = 1.0 / rate_hz;
        self.left_secs -= step_secs;
        if self.left_secs <= 0.0 && random.unit() < step_secs / GUST_EVERY_SECS {
            self.left_secs = random.between(1.5, 5.0);
            self.push = random.between(0.3, 1.0);
        }
        let (goal, within_secs) = if self.left_secs > 0.0 { (self.push, 0.7) } else { (0.0, 2.5) };
        self.level += (goal - self.level) * (step_secs / within_secs).min(1.0);
        self.level
    }
}

impl Generator for Wind {
    fn next(&mut self, frame: &mut [f64]) {
        let random = &mut self.random;
        let gust = self.gust.next(self.rate_hz, random);
        let mean = self.speed * (0.25 * self.mean.next(random)).exp() * (1.0 + 0.6 * gust);
        let friction = FRICTION * mean * (1.0 + gust);
        let [along, across, up] = &mut self.turbulence;
        let along = along.next(random);
        let across = across.next(random);
        let up = ALONG_IN_UP * along + (1.0 - ALONG_IN_UP * ALONG_IN_UP).sqrt() * up.next(random);
        let values = [
            mean + friction * DEVIATIONS[0] * along,
            mean * 0.15 * self.veer.next(random) + friction * DEVIATIONS[1] * across,
            friction * DEVIATIONS[2] * up,
        ];
        frame.copy_from_slice(&values);
    }
}
