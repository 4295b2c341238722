//! Any number of channels fill 32, and dead ones do not freeze or jump the picture.

use super::made::{Made, correlation, deviation, largest_step, noise, window_channel};
use wavedream::signal::{Intake, Settings};

fn all_channels(intake: &mut Intake, secs: std::ops::RangeInclusive<u64>) -> Vec<Vec<f64>> {
    let mut out = vec![Vec::new(); 32];
    for end in secs {
        intake.advance_to(end as f64).unwrap();
        for (n, x) in intake.window_ending_at(end as f64, 512).unwrap().samples.iter().enumerate() {
            out[n % 32].push(*x);
        }
    }
    out
}

/// Mean and greatest of the absolute correlations of all pairs.
fn likeness(channels: &[Vec<f64>]) -> (f64, f64) {
    let (mut sum, mut count, mut most) = (0.0, 0.0, 0.0f64);
    for a in 0..channels.len() {
        for b in 0..a {
            let r = correlation(&channels[a], &channels[b]).abs();
            sum += r;
            count += 1.0;
            most = most.max(r);
        }
    }
    (sum / count, most)
}

#[test]
fn few_channels_fill_32_that_are_less_alike_than_the_electrodes_of_a_probe() {
    let mut probe = Intake::open("synth://rat", Settings::default()).unwrap();
    let (yardstick, _) = likeness(&all_channels(&mut probe, 5..=60));
    for url in ["synth://rat?channels=1", "synth://rat?channels=5", "synth://wind", "synth://wind?rate=1"] {
        let mut intake = Intake::open(url, Settings::default()).unwrap();
        let channels = all_channels(&mut intake, 5..=120);
        let (mean, most) = likeness(&channels);
        println!("{url}: mean |r| {mean:.3}, greatest {most:.3}; 32 electrodes: mean {yardstick:.3}");
        assert!(mean < 0.25 && mean < yardstick, "{url}: mean |r| {mean:.3}, 32 electrodes {yardstick:.3}");
        let loudness: Vec<f64> = channels.iter().map(|x| deviation(x)).collect();
        let (least, greatest) = loudness.iter().fold((f64::MAX, 0.0f64), |(a, b), x| (a.min(*x), b.max(*x)));
        assert!(greatest < 4.0 * least, "{url}: deviations {least:.3} to {greatest:.3}");
    }
}

#[test]
fn one_channel_is_there_itself_without_its_offset() {
    let source = Made::new(1, 512.0, 512 * 20, |frame, _| noise(frame, 0) + 5000.0);
    let mut intake = Intake::from_source(source, Settings::default()).unwrap();
    let x = window_channel(&mut intake, 5..=10, 0);
    let truth: Vec<f64> = (4 * 512..10 * 512).map(|frame| noise(frame, 0)).collect();
    assert!(correlation(&x, &truth) > 0.999);
    assert!((deviation(&x) / deviation(&truth) - 1.0).abs() < 0.05);
    assert!(x.iter().sum::<f64>().abs() / (x.len() as f64) < 0.1);
}

#[test]
fn channels_of_different_units_weigh_the_same() {
    let source = Made::new(2, 512.0, 512 * 30, |frame, channel| match channel {
        0 => noise(frame, 0),
        _ => 101_325.0 + 4000.0 * noise(frame, 1),
    });
    let mut intake = Intake::from_source(source, Settings::default()).unwrap();
    let channels = all_channels(&mut intake, 5..=20);
    let (a, b) = (deviation(&channels[0]), deviation(&channels[1]));
    assert!((a / b - 1.0).abs() < 0.1, "{a} and {b}");
}

#[test]
fn many_channels_are_all_heard() {
    for heard in [0usize, 50, 99] {
        let source = Made::new(100, 512.0, 512 * 6, move |frame, channel| {
            if channel == heard { 50.0 * noise(frame, 7) } else { noise(frame, 8 + channel) }
        });
        let mut intake = Intake::from_source(source, Settings::default()).unwrap();
        let channels = all_channels(&mut intake, 3..=5);
        let truth: Vec<f64> = (2 * 512..5 * 512).map(|frame| noise(frame, 7)).collect();
        assert!(correlation(&channels[heard * 32 / 100], &truth) > 0.4, "channel {heard}");
    }
}

#[test]
fn a_dead_electrode_is_replaced_smoothly_and_the_others_are_untouched() {
    let smooth = |frame: u64, channel: usize| {
        let secs = frame as f64 / 512.0;
        (0..6).map(|k| (secs * (7.0 + 5.0 * f64::from(k) + 0.37 * channel as f64) + channel as f64).sin()).sum::<f64>()
    };
    let source = Made::new(32, 512.0, 512 * 12, move |frame, channel| match (frame, channel) {
        (1536..4096, 5) => 2.0,
        (2048..2560, 6) => f64::NAN,
        _ => smooth(frame, channel),
    });
    let mut intake = Intake::from_source(source, Settings::default()).unwrap();
    let channels = all_channels(&mut intake, 1..=11);
    for (number, x) in channels.iter().enumerate().filter(|(number, _)| *number != 5 && *number != 6) {
        assert!(x.iter().enumerate().all(|(frame, x)| *x == smooth(frame as u64, number)), "channel {number}");
    }
    let dead = &channels[5];
    let within = |from: usize, to: usize| deviation(&dead[from..to]);
    assert!(within(2600, 4000) > 0.3 * deviation(&channels[4]), "it lives while it is dead");
    // The jump into the dead value itself is the electrode's own; from there on nothing jumps.
    assert!(largest_step(&dead[1540..4000]) < 2.0 * largest_step(&channels[4]));
    assert!(dead[4600..].iter().enumerate().all(|(n, x)| *x == smooth(4600 + n as u64, 5)), "and comes back exactly");
    assert!(channels[6].iter().all(|x| x.is_finite()));
}

#[test]
fn when_all_is_flat_something_very_quiet_still_moves() {
    for channels in [1, 3, 32, 64] {
        let source = Made::new(
            channels,
            512.0,
            512 * 30,
            |frame, channel| {
                if frame < 512 * 5 { noise(frame, channel) } else { 0.125 }
            },
        );
        let mut intake = Intake::from_source(source, Settings::default()).unwrap();
        let x = all_channels(&mut intake, 12..=20);
        for (number, x) in x.iter().enumerate() {
            let left = deviation(&x[..512]);
            assert!(left > 1e-5 && left < 0.1, "{channels} channels, output {number}: {left}");
            assert_ne!(x[..512], x[512..1024]);
        }
    }
}

#[test]
fn nothing_but_zeros_or_missing_samples_still_gives_a_moving_signal() {
    for (channels, value) in [(1, 0.0), (32, 0.0), (4, f64::NAN), (32, f64::NAN)] {
        let source = Made::new(channels, 250.0, 250 * 10, move |_, _| value);
        let mut intake = Intake::from_source(source, Settings::default()).unwrap();
        for (number, x) in all_channels(&mut intake, 4..=8).iter().enumerate() {
            assert!(x.iter().all(|x| x.is_finite()));
            assert!(deviation(x) > 0.0 && deviation(x) < 0.1, "{channels} x {value}, output {number}");
        }
    }
}
