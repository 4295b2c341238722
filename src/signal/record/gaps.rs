//! Where samples are missing: stretches of frames, as remarks.

use super::remarks::Remark;

/// A stretch that goes on is told in parts of this length, so that a file whose end was torn off tells of it too.
const PART_SECS: f64 = 10.0;

/// Follows the frames of a recording.
#[derive(Debug)]
pub struct Gaps {
    names: Vec<String>,
    /// Since when all channels are missing.
    all: Option<f64>,
    /// Since when a single one is.
    each: Vec<Option<f64>>,
}

impl Gaps {
    pub fn new(names: Vec<String>) -> Self {
        Self { each: vec![None; names.len()], names, all: None }
    }

    /// The frame of this moment; the stretches that end with it.
    pub fn follow(&mut self, at_secs: f64, frame: &[f64]) -> Vec<Remark> {
        let is_missing = |x: &f64| !x.is_finite();
        let whole = frame.iter().all(is_missing);
        if self.all.is_none() && !whole && self.each.iter().all(Option::is_none) && !frame.iter().any(is_missing) {
            return Vec::new();
        }
        let mut ended = step(&mut self.all, whole, at_secs, String::new()).into_iter().collect::<Vec<_>>();
        for ((since, name), x) in self.each.iter_mut().zip(&self.names).zip(frame) {
            ended.extend(step(since, is_missing(x) && !whole, at_secs, format!(" in {name}")));
        }
        ended
    }

    /// The recording ends.
    pub fn end(&mut self, at_secs: f64) -> Vec<Remark> {
        let width = self.names.len();
        self.follow(at_secs, &vec![0.0; width])
    }
}

fn step(since: &mut Option<f64>, is_missing: bool, at_secs: f64, place: String) -> Option<Remark> {
    let begun = *since;
    match begun {
        None => {
            *since = is_missing.then_some(at_secs);
            None
        }
        Some(begun) if !is_missing || at_secs - begun >= PART_SECS => {
            *since = is_missing.then_some(at_secs);
            let text = format!("bad: missing{place}");
            Some(Remark { onset_secs: begun, duration_secs: Some(at_secs - begun), text })
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_told_with_its_onset_and_length_and_a_long_one_in_parts() {
        let mut gaps = Gaps::new(vec!["a".into(), "b".into()]);
        let nan = f64::NAN;
        let mut told = Vec::new();
        for n in 0..300 {
            let frame = match n {
                10..15 => [nan, nan],
                20..30 => [1.0, nan],
                100..250 => [nan, nan],
                _ => [1.0, 2.0],
            };
            told.extend(gaps.follow(f64::from(n) / 10.0, &frame));
        }
        let short: Vec<_> = told.iter().map(|r| (r.onset_secs, r.duration_secs.unwrap(), r.text.as_str())).collect();
        let (all, one) = ("bad: missing", "bad: missing in b");
        assert_eq!(short, [(1.0, 0.5, all), (2.0, 1.0, one), (10.0, 10.0, all), (20.0, 5.0, all)]);
        assert_eq!(gaps.end(30.0), []);
    }
}
