//! Ticks at round numbers.

/// An axis from page to values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    pub from: f64,
    pub to: f64,
    /// Where the ends lie on the page.
    pub page_from: f32,
    pub page_to: f32,
    pub is_log: bool,
}

impl Axis {
    pub fn linear(from: f64, to: f64, page_from: f32, page_to: f32) -> Self {
        Self { from, to, page_from, page_to, is_log: false }
    }

    pub fn log(from: f64, to: f64, page_from: f32, page_to: f32) -> Self {
        Self { from, to, page_from, page_to, is_log: true }
    }

    /// 0 at the one end, 1 at the other.
    pub fn share(&self, value: f64) -> f64 {
        let on = |x: f64| if self.is_log { x.max(1e-30).ln() } else { x };
        (on(value) - on(self.from)) / (on(self.to) - on(self.from))
    }

    pub fn value(&self, share: f64) -> f64 {
        if self.is_log {
            self.from * (self.to / self.from).powf(share)
        } else {
            self.from + share * (self.to - self.from)
        }
    }

    pub fn page(&self, value: f64) -> f32 {
        self.page_from + self.share(value) as f32 * (self.page_to - self.page_from)
    }

    /// About so many round values with their labels.
    pub fn ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        let values = if self.is_log { self.log_ticks() } else { self.linear_ticks(wanted) };
        values.into_iter().map(|value| (value, label(value))).collect()
    }

    fn linear_ticks(&self, wanted: usize) -> Vec<f64> {
        let step = nice((self.to - self.from) / wanted.max(1) as f64);
        let first = (self.from / step - 1e-9).ceil() as i64;
        let last = (self.to / step + 1e-9).floor() as i64;
        (first..=last).take(100).map(|n| n as f64 * step).collect()
    }

    fn log_ticks(&self) -> Vec<f64> {
        let decades = (self.from.log10().floor() as i32)..=(self.to.log10().ceil() as i32);
        let steps: &[f64] = if self.to / self.from > 300.0 { &[1.0, 3.0] } else { &[1.0, 2.0, 5.0] };
        let all = decades.flat_map(|decade| steps.iter().map(move |step| step * 10f64.powi(decade)));
        all.filter(|value| (self.from * 0.999..=self.to * 1.001).contains(value)).collect()
    }
}

/// 1, 2 or 5 times a power of ten, at least so large.
pub fn nice(least: f64) -> f64 {
    let decade = 10f64.powf(least.max(1e-300).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|step| step * decade >= least * 0.999).unwrap_or(10.0);
    step * decade
}

/// As short as it is exact.
pub fn label(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    if rounded == 0.0 {
        return "0".into();
    }
    // A true minus sign.
    format!("{rounded}").replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within_the_axis() {
        let labels = |axis: Axis, wanted| axis.ticks(wanted).into_iter().map(|tick| tick.1).collect::<Vec<_>>();
        assert_eq!(labels(Axis::linear(0.0, 3.0, 0.0, 1.0), 6), ["0", "0.5", "1", "1.5", "2", "2.5", "3"]);
        assert_eq!(
            labels(Axis::linear(10.0, 160.0, 0.0, 1.0), 8),
            ["20", "40", "60", "80", "100", "120", "140", "160"]
        );
        assert_eq!(labels(Axis::linear(-1.0, 1.0, 0.0, 1.0), 4), ["−1", "−0.5", "0", "0.5", "1"]);
        assert_eq!(labels(Axis::log(1.0, 250.0, 0.0, 1.0), 0), ["1", "2", "5", "10", "20", "50", "100", "200"]);
    }

    #[test]
    fn a_value_is_found_on_the_page_and_back() {
        for axis in [Axis::linear(2.0, 5.0, 10.0, 40.0), Axis::log(0.5, 256.0, 40.0, 10.0)] {
            for share in [0.0, 0.3, 1.0] {
                assert!((axis.share(axis.value(share)) - share).abs() < 1e-9);
            }
            assert_eq!((axis.page(axis.from), axis.page(axis.to)), (axis.page_from, axis.page_to));
        }
    }
}
