//! The range of a channel in 16 bits: as wide as the signal and not much wider, without knowing it beforehand.
//!
//! Numbers that are whole and small are kept as they are. Others get room for four times what was seen; what leaves
//! that asks for a wider range, up to where the steps would drown the signal itself: a single artefact is cut off
//! instead. EDF writes the ends of a range in eight characters, so these are what a range is made of, in a unit (mV, µV)
//! in which eight are enough.

/// Of a range beyond what was seen.
const HEADROOM: f64 = 4.0;
/// A step is at most this part of the signal's usual spread.
const STEPS_A_SPREAD: f64 = 8.0;
/// Share of a new second in what is usual.
const FOLLOW: f64 = 0.1;
const STEPS: f64 = 65_535.0;
/// The characters of a field.
const WIDTH: usize = 8;

/// How numbers become 16 bits.
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    /// The unit is ten to this.
    pub exponent: i32,
    /// The ends, as they are written.
    pub low: String,
    pub high: String,
    gain: f64,
    middle: f64,
    scale: f64,
}

impl Range {
    /// Whole numbers as they are.
    pub fn whole() -> Self {
        Self::of(0, "-32768".into(), "32767".into())
    }

    fn of(exponent: i32, low: String, high: String) -> Self {
        let end = |text: &str| text.parse::<f64>().unwrap_or(0.0);
        let (from, to) = (end(&low), end(&high));
        let gain = (to - from) / STEPS;
        Self { exponent, low, high, gain, middle: from + gain * 32_768.0, scale: 10f64.powi(-exponent) }
    }

    /// Holds these numbers.
    pub fn around(low: f64, high: f64) -> Self {
        let largest = low.abs().max(high.abs()).max(f64::MIN_POSITIVE);
        // So that the larger end has one to six digits before the point; always a power of a thousand.
        let exponent =
            if (1.0..1e6).contains(&largest) { 0 } else { (largest.log10() / 3.0).floor().clamp(-6.0, 6.0) as i32 * 3 };
        let scale = 10f64.powi(-exponent);
        let mut ends = [field(low * scale, f64::floor), field(high * scale, f64::ceil)];
        if ends[0] == ends[1] {
            // Too far from zero for its width: a step of the last digit apart.
            ends = [
                field(low * scale * (1.0 - 1e-4) - 1e-3, f64::floor),
                field(high * scale * (1.0 + 1e-4) + 1e-3, f64::ceil),
            ];
        }
        let [low, high] = ends;
        Self::of(exponent, low, high)
    }

    pub fn digital(&self, x: f64) -> i16 {
        ((x * self.scale - self.middle) / self.gain).round().clamp(-32_768.0, 32_767.0) as i16
    }

    pub fn physical(&self, digital: i16) -> f64 {
        (f64::from(digital) * self.gain + self.middle) / self.scale
    }

    pub fn holds(&self, x: f64) -> bool {
        (-32_768.5..32_767.5).contains(&((x * self.scale - self.middle) / self.gain))
    }
}

/// A number in eight characters, rounded outwards.
fn field(x: f64, outwards: fn(f64) -> f64) -> String {
    for decimals in (0..WIDTH - 1).rev() {
        let digits = 10f64.powi(decimals as i32);
        let text = format!("{:.decimals$}", outwards(x * digits) / digits);
        if text.len() <= WIDTH {
            let short = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
            return if short == "-0" { "0".into() } else { short.to_owned() };
        }
    }
    if x < 0.0 { "-9999999".into() } else { "99999999".into() }
}

/// Watches a channel and says when its range is to be another.
#[derive(Debug)]
pub struct Watch {
    low: f64,
    high: f64,
    is_whole: bool,
    /// Usual standard deviation within a record.
    spread: Option<f64>,
}

impl Default for Watch {
    fn default() -> Self {
        Self { low: f64::INFINITY, high: f64::NEG_INFINITY, is_whole: true, spread: None }
    }
}

impl Watch {
    /// The numbers of a record, those that are.
    pub fn see(&mut self, values: impl Iterator<Item = f64> + Clone) {
        let found = values.filter(|x| x.is_finite());
        let (mut count, mut sum) = (0.0, 0.0);
        for x in found.clone() {
            self.low = self.low.min(x);
            self.high = self.high.max(x);
            self.is_whole &= x.fract() == 0.0 && x.abs() <= 32_767.0;
            count += 1.0;
            sum += x;
        }
        if count > 1.0 {
            let mean = sum / count;
            let spread = (found.map(|x| (x - mean) * (x - mean)).sum::<f64>() / count).sqrt();
            if spread > 0.0 {
                // Of the logarithm: one loud second does not count for many quiet ones.
                let usual = self.spread.get_or_insert(spread);
                *usual *= (spread / *usual).powf(FOLLOW);
            }
        }
    }

    /// The range that fits what was seen so far, if `now` does not.
    pub fn wider(&self, now: Option<&Range>) -> Option<Range> {
        if self.low > self.high {
            return now.is_none().then(Range::whole);
        }
        if self.is_whole {
            return now.is_none().then(Range::whole);
        }
        let was_whole = now.is_some_and(|now| *now == Range::whole());
        if now.is_some_and(|now| !was_whole && now.holds(self.low) && now.holds(self.high)) {
            return None;
        }
        let middle = 0.5 * (self.low + self.high);
        let half = (0.5 * (self.high - self.low)).max(1e-3 * middle.abs()).max(1e-12);
        let most = self.spread.map_or(f64::INFINITY, |spread| 0.5 * STEPS * spread / STEPS_A_SPREAD);
        let wanted = (HEADROOM * half).min(most.max(half.min(most)));
        let range = Range::around(middle - wanted, middle + wanted);
        // What would hardly be wider is not worth the work.
        let is_worth_it = now.is_none_or(|now| was_whole || range.gain / range.scale > 1.5 * now.gain / now.scale);
        is_worth_it.then_some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(values: &[f64]) -> Watch {
        let mut watch = Watch::default();
        watch.see(values.iter().copied());
        watch
    }

    #[test]
    fn the_ends_fit_their_fields_and_hold_what_they_are_for() {
        for (low, high) in
            [(-3.2e-5, 4.1e-5), (-80.0, 120.0), (1.0, 1.0001), (-2e9, 1e7), (0.0, 1e-9), (99_999.2, 99_999.9)]
        {
            let range = Range::around(low, high);
            assert!(range.low.len() <= 8 && range.high.len() <= 8, "{range:?}");
            assert!(range.holds(low) && range.holds(high), "{range:?}");
            let step = range.gain / range.scale;
            for x in [low, high, 0.5 * (low + high)] {
                assert!((range.physical(range.digital(x)) - x).abs() <= 0.5001 * step, "{x} {range:?}");
            }
        }
    }

    #[test]
    fn whole_numbers_stay_as_they_are_until_one_is_not() {
        let mut watch = seen(&[1.0, -300.0, 0.0]);
        let range = watch.wider(None).unwrap();
        assert_eq!((range.digital(-300.0), range.physical(-300), range.exponent), (-300, -300.0, 0));
        assert_eq!(watch.wider(Some(&range)), None);
        watch.see([0.25].into_iter());
        let finer = watch.wider(Some(&range)).unwrap();
        assert!(finer.holds(-300.0) && finer.gain < 0.05);
    }

    #[test]
    fn a_range_grows_with_the_signal_but_not_for_a_single_artefact() {
        let noise: Vec<f64> = (0..1000).map(|n| 20.0 * (f64::from(n) * 0.37).sin() + 0.01).collect();
        let mut watch = seen(&noise);
        let range = watch.wider(None).unwrap();
        assert!(range.holds(75.0) && !range.holds(90.0));
        watch.see(noise.iter().map(|x| 10.0 * x));
        let wider = watch.wider(Some(&range)).unwrap();
        assert!(wider.holds(700.0));
        (0..20).for_each(|_| watch.see(noise.iter().copied()));
        watch.see([400_000.0].into_iter());
        let capped = watch.wider(Some(&wider)).unwrap();
        assert!(!capped.holds(400_000.0) && capped.gain < 20.0 / 4.0, "{capped:?}");
        assert_eq!(watch.wider(Some(&capped)), None);
    }
}
