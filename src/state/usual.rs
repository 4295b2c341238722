//! What is usual of a value: its running quantiles, by a histogram that forgets.
//!
//! Fixed memory, no allocation after the start, and exact to a bin. Old values fade with a time constant; the first ones
//! count at once, so that a signal is known within a minute. Values are logarithms (of powers, of ratios), so a bin is a
//! constant part of an octave.

/// Bins of a tenth of a neper.
const BINS: usize = 256;
const BIN: f64 = 0.1;
/// The histogram is moved when its middle comes so near to an end.
const MARGIN: usize = 32;
/// Weights grow instead of fading, and are scaled back here.
const HEAVY: f64 = 1e9;
/// The quantiles that are kept from evening to evening.
pub const KEPT: [f64; 5] = [0.1, 0.25, 0.5, 0.75, 0.9];

/// Running quantiles of one value.
#[derive(Debug, Clone)]
pub struct Usual {
    bins: Vec<f64>,
    /// Value at the lower end of the first bin; None before the first value.
    low: Option<f64>,
    weight: f64,
    growth: f64,
    total: f64,
}

impl Usual {
    /// Forgets with a time constant of so many values.
    pub fn new(memory: f64) -> Self {
        Self { bins: vec![0.0; BINS], low: None, weight: 1.0, growth: (1.0 / memory.max(1.0)).exp(), total: 0.0 }
    }

    /// Takes a value into account; what is not finite is left out.
    pub fn push(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.add(value, self.weight);
        self.weight *= self.growth;
        if self.weight > HEAVY {
            self.bins.iter_mut().for_each(|bin| *bin /= HEAVY);
            self.total /= HEAVY;
            self.weight /= HEAVY;
        }
    }

    fn add(&mut self, value: f64, weight: f64) {
        let low = *self.low.get_or_insert(value - BIN * (BINS / 2) as f64);
        let at = ((value - low) / BIN).floor();
        let bin = at.clamp(0.0, (BINS - 1) as f64) as usize;
        self.bins[bin] += weight;
        self.total += weight;
        if at < 0.0 || at >= BINS as f64 {
            self.recentre(value);
        }
    }

    /// Another unit, a plug that was pulled: when most of what is remembered lies at an end, it moves to the middle.
    fn recentre(&mut self, value: f64) {
        let middle = self.quantile(0.5).zip(self.low).map_or(0, |(median, low)| ((median - low) / BIN) as usize);
        if !(MARGIN..BINS - MARGIN).contains(&middle) {
            self.bins.fill(0.0);
            self.total = 0.0;
            self.low = None;
            self.add(value, self.weight);
        }
    }

    /// None before the first value.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let low = self.low?;
        let wanted = part.clamp(0.0, 1.0) * self.total;
        let mut before = 0.0;
        for (at, weight) in self.bins.iter().enumerate() {
            if *weight > 0.0 && before + weight >= wanted {
                let within = ((wanted - before) / weight).clamp(0.0, 1.0);
                return Some(low + BIN * (at as f64 + within));
            }
            before += weight;
        }
        None
    }

    /// Where a value lies in the usual range, 0..1 from the lowest tenth to the highest; the range is taken at least
    /// `least` wide, so that what hardly moves stays in the middle.
    pub fn place(&self, value: f64, least: f64) -> f64 {
        let (Some(low), Some(high)) = (self.quantile(0.1), self.quantile(0.9)) else { return 0.5 };
        let (middle, half) = ((low + high) / 2.0, (high - low).max(least) / 2.0);
        if value.is_finite() { (0.5 + (value - middle) / (2.0 * half)).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// The value that parts the remembered ones best into a lower and an upper kind (Otsu 1979, doi
    /// 10.1109/TSMC.1979.4310076), with the distance between the means of the two; None before the first value.
    pub fn split(&self) -> Option<(f64, f64)> {
        let low = self.low?;
        let centre = |at: usize| low + BIN * (at as f64 + 0.5);
        let all: f64 = self.bins.iter().enumerate().map(|(at, weight)| weight * centre(at)).sum();
        let (mut below, mut sum) = (0.0, 0.0);
        let mut best = (0.0, 0.0, 0.0);
        for (at, weight) in self.bins.iter().enumerate() {
            below += weight;
            sum += weight * centre(at);
            let above = self.total - below;
            if below <= 1e-9 * self.total || above <= 1e-9 * self.total {
                continue;
            }
            let apart = (all - sum) / above - sum / below;
            let between = below * above * apart * apart;
            if between > best.0 {
                // Half way between the two means: the gap between the kinds has no bins to choose from.
                best = (between, ((all - sum) / above + sum / below) / 2.0, apart);
            }
        }
        (best.0 > 0.0).then_some((best.1, best.2))
    }

    /// The [`KEPT`] quantiles.
    pub fn kept(&self) -> Option<[f64; KEPT.len()]> {
        self.low?;
        Some(KEPT.map(|part| self.quantile(part).unwrap_or_default()))
    }

    /// Starts with what was kept, as if `values` had been seen.
    pub fn restore(&mut self, kept: &[f64; KEPT.len()], values: f64) {
        for value in kept.iter().filter(|value| value.is_finite()) {
            self.add(*value, self.weight * values / KEPT.len() as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut usual = Usual::new(1e6);
        assert_eq!(usual.quantile(0.5), None);
        (0..1000).for_each(|n| usual.push(n as f64 * 0.005));
        for part in [0.1, 0.5, 0.9] {
            assert!((usual.quantile(part).unwrap() - 5.0 * part).abs() < 0.1, "{part}");
        }
        assert!((usual.place(2.5, 0.1) - 0.5).abs() < 0.05);
        assert_eq!((usual.place(-9.0, 0.1), usual.place(99.0, 0.1), usual.place(f64::NAN, 0.1)), (0.0, 1.0, 0.0));
    }

    #[test]
    fn two_kinds_of_values_are_parted_between_them() {
        let mut usual = Usual::new(1e6);
        for n in 0..3000 {
            let wobble = 0.3 * f64::from(n % 7) / 7.0;
            usual.push(if n % 5 == 0 { 4.0 } else { 1.0 } + wobble);
        }
        let (between, apart) = usual.split().unwrap();
        assert!((2.0..3.5).contains(&between) && (apart - 3.0).abs() < 0.1, "{between}, {apart}");
    }

    #[test]
    fn the_old_is_forgotten_and_another_unit_is_learned() {
        let mut usual = Usual::new(100.0);
        (0..1000).for_each(|_| usual.push(0.0));
        (0..500).for_each(|_| usual.push(2.0));
        assert!((usual.quantile(0.5).unwrap() - 2.0).abs() < 0.11);
        // Volts instead of microvolts.
        (0..2000).for_each(|_| usual.push(2.0 - 27.6));
        assert!((usual.quantile(0.5).unwrap() + 25.6).abs() < 0.11, "{:?}", usual.quantile(0.5));
    }

    #[test]
    fn what_hardly_moves_is_in_the_middle_and_what_is_no_number_is_left_out() {
        let mut usual = Usual::new(1000.0);
        for n in 0..500 {
            usual.push(3.0 + 0.01 * f64::from(n % 2));
            usual.push(f64::NAN);
            usual.push(f64::NEG_INFINITY);
        }
        assert!((usual.place(3.0, 1.0) - 0.5).abs() < 0.1);
    }

    #[test]
    fn what_was_kept_is_where_the_next_evening_starts() {
        let mut usual = Usual::new(1e4);
        (0..1000).for_each(|n| usual.push(n as f64 * 0.005));
        let mut next = Usual::new(1e4);
        next.restore(&usual.kept().unwrap(), 500.0);
        assert!((next.quantile(0.5).unwrap() - 2.5).abs() < 0.2);
        assert!((next.quantile(0.9).unwrap() - usual.quantile(0.9).unwrap()).abs() < 0.3);
    }
}
