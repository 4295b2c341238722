//! The measured pace of pictures, and how far the fade between the last two has come.
//!
//! Times are stage time: the frame clock less what was spent frozen. Runs on the thread that makes frames.

/// Weight of the newest interval in the running mean: about the last five pictures count.
const NEWEST: f64 = 0.3;
/// A longer gap than this is a pause (a model was loading), not a pace.
const PAUSE_SECS: f64 = 6.0;

/// Measures the time between pictures.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    arrived_secs: Option<f64>,
    interval_secs: Option<f64>,
}

impl Pace {
    /// `pictures` have come since the frame before the one at `now_secs`.
    pub fn arrived(&mut self, now_secs: f64, pictures: u32) {
        if let Some(before_secs) = self.arrived_secs {
            let each_secs = (now_secs - before_secs) / f64::from(pictures.max(1));
            if each_secs > 0.0 && each_secs < PAUSE_SECS {
                self.interval_secs = Some(match self.interval_secs {
                    Some(mean_secs) => mean_secs + NEWEST * (each_secs - mean_secs),
                    None => each_secs,
                });
            }
        }
        self.arrived_secs = Some(now_secs);
    }

    /// Share of the newest picture in what is seen, 0..1.
    ///
    /// The fade leads by one frame: the frame in which a picture arrives already shows some of it, and where each
    /// frame brings a picture it shows all of it, so that the fade costs no latency there.
    pub fn blend(&self, now_secs: f64, delta_secs: f64, crossfade: f32) -> f32 {
        let (Some(arrived_secs), Some(interval_secs)) = (self.arrived_secs, self.interval_secs) else {
            return 1.0;
        };
        let length_secs = interval_secs * f64::from(crossfade.max(0.0));
        // Half a millisecond of slack takes up the rounding of clocks.
        if length_secs <= delta_secs + 5e-4 {
            return 1.0;
        }
        ((now_secs - arrived_secs + delta_secs) / length_secs).clamp(0.0, 1.0) as f32
    }

    pub fn interval_secs(&self) -> Option<f64> {
        self.interval_secs
    }
}

/// A value that moves to its goal in a straight line: blackout.
#[derive(Debug, Clone)]
pub(super) struct Fader {
    at: f32,
    secs: f32,
}

impl Fader {
    pub fn new(at: f32, secs: f32) -> Self {
        Self { at, secs }
    }

    pub fn toward(&mut self, goal: f32, delta_secs: f64) -> f32 {
        let step = (delta_secs.max(0.0) as f32) / self.secs;
        self.at = if self.at < goal { (self.at + step).min(goal) } else { (self.at - step).max(goal) };
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_each_frame_is_shown_at_once() {
        let mut pace = Pace::default();
        for frame in 0..10 {
            let now_secs = f64::from(frame) / 30.0;
            pace.arrived(now_secs, 1);
            assert_eq!(pace.blend(now_secs, 1.0 / 30.0, 1.0), 1.0);
        }
    }

    #[test]
    fn eight_pictures_a_second_fade_in_even_steps_at_sixty_frames() {
        let mut pace = Pace::default();
        let delta_secs = 1.0 / 60.0;
        let mut seen = Vec::new();
        for frame in 0..60 {
            let now_secs = f64::from(frame) * delta_secs;
            if frame % 8 == 0 {
                pace.arrived(now_secs, 1);
            }
            seen.push(pace.blend(now_secs, delta_secs, 1.0));
        }
        for (step, share) in seen[48..56].iter().enumerate() {
            assert!((share - (step + 1) as f32 / 8.0).abs() < 1e-3, "{step}: {share}");
        }
    }

    #[test]
    fn no_crossfade_is_a_cut() {
        let mut pace = Pace::default();
        pace.arrived(0.0, 1);
        pace.arrived(1.0, 1);
        assert_eq!(pace.blend(1.0, 0.01, 0.0), 1.0);
        assert!(pace.blend(1.0, 0.01, 1.0) < 0.02);
    }

    #[test]
    fn a_pause_does_not_stretch_the_next_fade() {
        let mut pace = Pace::default();
        for i in 0..20 {
            pace.arrived(f64::from(i) * 0.1, 1);
        }
        pace.arrived(60.0, 1);
        let interval_secs = pace.interval_secs().unwrap();
        assert!((interval_secs - 0.1).abs() < 1e-6, "{interval_secs}");
    }

    #[test]
    fn blackout_takes_its_time_and_arrives() {
        let mut fader = Fader::new(1.0, 0.2);
        assert!((fader.toward(0.0, 0.1) - 0.5).abs() < 1e-6);
        assert_eq!(fader.toward(0.0, 0.3), 0.0);
        assert_eq!(fader.toward(1.0, 1.0), 1.0);
    }
}
