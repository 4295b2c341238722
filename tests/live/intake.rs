//! From a live source to windows: one for each hop, whatever the source does.

use std::time::{Duration, Instant};

use wavedream::signal::{HOPS_PER_SEC, Intake, Settings, WINDOW_CHANNELS};

use super::outlet::Outlet;

const SAMPLES: usize = 512;

/// Plays by the real clock as the signal thread does.
struct Show {
    intake: Intake,
    begun: Instant,
    hop: u64,
    /// Number of the first sample of each window; None where there was no window.
    firsts: Vec<Option<u64>>,
    last: Vec<f64>,
}

impl Show {
    fn open(url: &str) -> Self {
        let intake = Intake::open(url, Settings::default()).unwrap();
        Self { intake, begun: Instant::now(), hop: 0, firsts: Vec::new(), last: Vec::new() }
    }

    /// Plays for so long, doing something in between.
    fn play(&mut self, secs: f64, mut between: impl FnMut()) -> Vec<Option<u64>> {
        let until = Instant::now() + Duration::from_secs_f64(secs);
        while Instant::now() < until {
            between();
            let due = self.begun + Duration::from_nanos((self.hop + 1) * 1_000_000_000 / HOPS_PER_SEC);
            if Instant::now() < due {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            self.hop += 1;
            self.intake.advance_to(self.hop as f64 / HOPS_PER_SEC as f64).unwrap();
            let window = self.intake.window_at_hop_or_mirrored(self.hop, SAMPLES);
            self.firsts.push(window.as_ref().map(|window| window.first_sample));
            if let Some(window) = window {
                assert_eq!(window.samples.len(), SAMPLES * WINDOW_CHANNELS);
                assert!(window.samples.iter().all(|x| x.is_finite()));
                self.last = window.samples;
            }
        }
        std::mem::take(&mut self.firsts)
    }
}

/// Every hop has a window, windows never go back, and over the whole they go on at 512 Hz.
fn assert_lively(what: &str, firsts: &[Option<u64>]) {
    let numbers: Vec<u64> = firsts.iter().map(|first| first.expect(what)).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] >= pair[0]), "{what}: windows go back");
    let moved = (numbers[numbers.len() - 1] - numbers[0]) as f64 / (numbers.len() - 1) as f64;
    assert!((12.0..24.0).contains(&moved), "{what}: {moved} samples a hop, not 17");
}

#[test]
fn windows_go_on_through_arrival_silence_and_return_with_other_channels() {
    let mut show = Show::open("lsl://windows?stale=0.5");
    show.play(1.5, || {});
    assert_lively("before it is there", &show.play(1.0, || {}));

    let outlet = Outlet::start("windows", "EEG", 4, 256.0, "float32", false);
    let mut sent = 0;
    let begun = Instant::now();
    let mut speak = || {
        // Twelve at once, as headsets do.
        while f64::from(sent) < begun.elapsed().as_secs_f64() * 256.0 {
            (0..12).for_each(|n| outlet.push(&[f64::from((sent + n) % 64), 1.0, 2.0, f64::from(sent % 7)], None));
            sent += 12;
        }
    };
    show.play(3.0, &mut speak);
    assert_eq!(show.intake.description().channels.len(), 4);
    assert_lively("while it sends", &show.play(3.0, &mut speak));
    let latest = show.intake.trace(4, 256).channels[0].clone();
    assert!(latest.iter().any(|x| *x > 50.0) && latest.iter().any(|x| *x < 10.0), "it is the signal that was sent");

    drop(outlet);
    show.play(1.0, || {});
    assert_lively("while it is silent", &show.play(2.0, || {}));

    let outlet = Outlet::start("windows", "EEG", 32, 512.0, "float32", false);
    let begun = Instant::now();
    let mut sent = 0u32;
    let mut speak = || {
        while f64::from(sent) < begun.elapsed().as_secs_f64() * 512.0 {
            let values: Vec<f64> = (0..32).map(|channel| f64::from((sent * (channel + 1)) % 100)).collect();
            outlet.push(&values, None);
            sent += 1;
        }
    };
    show.play(4.0, &mut speak);
    assert_lively("with other channels", &show.play(2.0, &mut speak));
    // 32 channels at 512 Hz pass bit for bit.
    let (frames, _) = show.last.as_chunks::<WINDOW_CHANNELS>();
    assert!(frames.windows(2).all(|pair| pair[1][0] == (pair[0][0] + 1.0) % 100.0));
}
