//! Band-limited change of rate, frame by frame: a windowed sinc, evaluated at exact rational positions.
//!
//! Output frame `n` lies at source position `n * in / out`, kept as a whole part and a remainder of integers, so there
//! is no drift however long it runs. Both ends are mirrored; after [`Resampler::finish`] the last frames come out too.
//! Why a sinc of its own and not a crate: the hop of the windows is counted in samples, so the latency and the position
//! of each sample must be known exactly, at any rate from 0.001 Hz up. The method: J. O. Smith, "Digital Audio
//! Resampling" (ccrma.stanford.edu/~jos/resample).

use super::ring::reflect;

/// Half the length of the filter in time. Longer is steeper, and is latency with a live source.
const HALF_SECS: f64 = 0.0625;
const MIN_LOBES: f64 = 3.0;
const MAX_LOBES: f64 = 32.0;
/// From so many lobes on there is room for a transition band below the Nyquist frequency.
const STEEP_LOBES: f64 = 16.0;
/// Kaiser window: 80 dB down for the steep filter. Few lobes have to stay close to the plain sinc.
const STEEP_BETA: f64 = 8.0;
const SHORT_BETA: f64 = 4.0;
/// Exact phases are tabulated up to so many; beyond, neighbours are blended.
const MAX_PHASES: u128 = 2048;
const MAX_TABLE: usize = 4_000_000;

/// Changes the rate of a stream of frames.
#[derive(Debug)]
pub struct Resampler {
    channels: usize,
    /// Source frames a filter reaches to either side.
    half: usize,
    /// Rows of `2 * half` taps, one a phase, and one more to blend with.
    table: Vec<f64>,
    phases: usize,
    blends: bool,
    step: Position,
    at: Position,
    den: u128,
    /// Frames `first_kept..pushed` of the source.
    kept: Vec<f64>,
    first_kept: u64,
    pushed: u64,
    ended: bool,
}

/// `whole + rem / den` source frames.
#[derive(Debug, Clone, Copy)]
struct Position {
    whole: u64,
    rem: u128,
}

/// Rates are counted in nanohertz, so that 44,100 and 0.1 are whole numbers both.
fn nanohertz(rate_hz: f64) -> u128 {
    ((rate_hz * 1e9).round() as u128).max(1)
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Modified Bessel function of the first kind, order zero, by its series.
fn bessel_i0(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    let mut k = 1.0;
    while term > 1e-17 * sum {
        term *= (x / (2.0 * k)).powi(2);
        sum += term;
        k += 1.0;
    }
    sum
}

impl Resampler {
    pub fn new(channels: usize, in_hz: f64, out_hz: f64) -> Self {
        let (num, den) = (nanohertz(in_hz), nanohertz(out_hz));
        let common = gcd(num, den);
        let (num, den) = (num / common, den / common);
        let narrow = (out_hz / in_hz).min(1.0);
        let lobes = (in_hz.min(out_hz) * HALF_SECS).clamp(MIN_LOBES, MAX_LOBES).floor();
        // The transition of a Kaiser window of 80 dB is 5/lobes of the Nyquist frequency wide: it ends just there.
        let (beta, cutoff) = if lobes >= STEEP_LOBES { (STEEP_BETA, 1.0 - 2.5 / lobes) } else { (SHORT_BETA, 1.0) };
        let reach = lobes / narrow;
        let half = reach.ceil() as usize;
        let taps = 2 * half;
        let exact = den <= MAX_PHASES && den as usize * taps <= MAX_TABLE;
        let phases = if exact { den as usize } else { (MAX_TABLE / taps).clamp(32, 1024) };
        let mut table = Vec::with_capacity((phases + 1) * taps);
        for phase in 0..=phases {
            let fraction = phase as f64 / phases as f64;
            let start = table.len();
            for tap in 0..taps {
                let distance = (tap as f64 - (half as f64 - 1.0) - fraction).abs();
                let across = distance / reach;
                let window = if across < 1.0 { bessel_i0(beta * (1.0 - across * across).sqrt()) } else { 0.0 };
                let turn = std::f64::consts::PI * distance * narrow * cutoff;
                table.push(if turn < 1e-12 { window } else { window * turn.sin() / turn });
            }
            let sum: f64 = table[start..].iter().sum();
            table[start..].iter_mut().for_each(|tap| *tap /= sum);
        }
        Self {
            channels,
            half,
            table,
            phases,
            blends: !exact,
            step: Position { whole: (num / den) as u64, rem: num % den },
            at: Position { whole: 0, rem: 0 },
            den,
            kept: Vec::new(),
            first_kept: 0,
            pushed: 0,
            ended: false,
        }
    }

    /// Source frames that must follow a moment before it comes out.
    pub fn latency_frames(&self) -> usize {
        self.half
    }

    /// Gives it the next frame of the source.
    pub fn push(&mut self, frame: &[f64]) {
        debug_assert_eq!(frame.len(), self.channels);
        // The mirror at the end looks back twice as far as the filter.
        let spare = (self.at.whole.saturating_sub(2 * self.half as u64 + 1)).saturating_sub(self.first_kept) as usize;
        if spare > self.half.max(1024) {
            self.kept.drain(..spare * self.channels);
            self.first_kept += spare as u64;
        }
        self.kept.extend_from_slice(frame);
        self.pushed += 1;
    }

    /// There will be no further frame: what is left may come out.
    pub fn finish(&mut self) {
        self.ended = true;
    }

    /// Writes the next frame of the new rate to `out` if it can be known yet.
    pub fn pop(&mut self, out: &mut [f64]) -> bool {
        let ready =
            if self.ended { self.at.whole < self.pushed } else { self.at.whole + (self.half as u64) < self.pushed };
        if !ready {
            return false;
        }
        let taps = 2 * self.half;
        let place =
            if self.blends { self.at.rem as f64 / self.den as f64 * self.phases as f64 } else { self.at.rem as f64 };
        let (row, blend) = (place.floor() as usize, place.fract());
        let near = &self.table[row * taps..(row + 1) * taps];
        let far = self.blends.then(|| &self.table[(row + 1) * taps..(row + 2) * taps]);
        out.fill(0.0);
        let first = self.at.whole as i64 - (self.half as i64 - 1);
        for tap in 0..taps {
            let weight = match far {
                Some(far) => near[tap] + blend * (far[tap] - near[tap]),
                None => near[tap],
            };
            let mut number = first + tap as i64;
            if number < 0 || number >= self.pushed as i64 {
                number = reflect(number, self.pushed) as i64;
            }
            let start = (number as u64).saturating_sub(self.first_kept) as usize * self.channels;
            for (sum, x) in out.iter_mut().zip(&self.kept[start..start + self.channels]) {
                *sum += weight * x;
            }
        }
        self.at.whole += self.step.whole;
        self.at.rem += self.step.rem;
        if self.at.rem >= self.den {
            self.at.rem -= self.den;
            self.at.whole += 1;
        }
        true
    }

    /// The whole of one channel at once.
    pub fn convert(samples: &[f64], in_hz: f64, out_hz: f64) -> Vec<f64> {
        if in_hz == out_hz {
            return samples.to_vec();
        }
        let mut resampler = Self::new(1, in_hz, out_hz);
        let mut out = Vec::with_capacity((samples.len() as f64 * out_hz / in_hz) as usize + 1);
        let mut one = [0.0];
        for sample in samples {
            resampler.push(&[*sample]);
            while resampler.pop(&mut one) {
                out.push(one[0]);
            }
        }
        resampler.finish();
        while resampler.pop(&mut one) {
            out.push(one[0]);
        }
        out
    }
}
