//! How loud bass, middle and treble are of a source that is a sound, at its own rate: the ring at 512 Hz holds no treble.
//!
//! Runs on the thread of the intake, on the mean of the channels; some 20 multiplications a sample, no allocation.

use super::filter::Biquad;

/// Slower sources are no sounds.
const LEAST_RATE_HZ: f64 = 4000.0;
/// Where middle and treble begin.
pub const TONES_HZ: [f64; 2] = [250.0, 2000.0];
/// Bass, middle, treble.
pub const TONES: usize = 3;

/// Follows a sound.
#[derive(Debug)]
pub struct Tones {
    bass: [Biquad; 2],
    middle: [Biquad; 2],
    treble: Biquad,
    sums: [f64; TONES],
    frames: u64,
}

impl Tones {
    /// None for a rate that is no sound's.
    pub fn new(rate_hz: f64) -> Option<Self> {
        let [low_hz, high_hz] = TONES_HZ;
        // Bass begins above what a room's door does.
        let bass = [Biquad::butterworth_high_pass(30.0, rate_hz), Biquad::butterworth_low_pass_2(low_hz, rate_hz)];
        let middle =
            [Biquad::butterworth_high_pass(low_hz, rate_hz), Biquad::butterworth_low_pass_2(high_hz * 0.95, rate_hz)];
        let treble = Biquad::butterworth_high_pass(high_hz * 0.95, rate_hz);
        (rate_hz >= LEAST_RATE_HZ).then_some(Self { bass, middle, treble, sums: [0.0; TONES], frames: 0 })
    }

    pub fn push(&mut self, frame: &[f64]) {
        let x = frame.iter().sum::<f64>() / frame.len().max(1) as f64;
        let through = |filters: &mut [Biquad]| filters.iter_mut().fold(x, |x, filter| filter.run(x));
        let heard = [through(&mut self.bass), through(&mut self.middle), self.treble.run(x)];
        for (sum, y) in self.sums.iter_mut().zip(heard) {
            *sum += y * y;
        }
        self.frames += 1;
    }

    /// Mean powers since the last call.
    pub fn take(&mut self) -> [f64; TONES] {
        let frames = std::mem::take(&mut self.frames).max(1) as f64;
        std::mem::take(&mut self.sums).map(|sum| sum / frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tone_is_loudest_in_its_own_third() {
        for (hz, place) in [(80.0, 0), (700.0, 1), (6000.0, 2)] {
            let mut tones = Tones::new(44_100.0).unwrap();
            let sine = |n: usize| (std::f64::consts::TAU * hz * n as f64 / 44_100.0).sin();
            (0..44_100).for_each(|n| tones.push(&[sine(n), sine(n)]));
            let powers = tones.take();
            assert!(powers[place] > 0.3, "{hz} Hz: {powers:?}");
            let others = (0..TONES).filter(|other| *other != place);
            others.for_each(|other| assert!(powers[other] < 0.1 * powers[place], "{hz} Hz: {powers:?}"));
            assert_eq!(tones.take(), [0.0; TONES], "heard once");
        }
        assert!(Tones::new(512.0).is_none());
    }
}
