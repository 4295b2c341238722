//! Conditioning and health: what is off changes nothing, what is on does what it says, what is sick is found.

use std::f64::consts::TAU;

use super::made::{amplitude, largest_step, noise};
use wavedream::signal::conditioner::Conditioner;
use wavedream::signal::{Health, Mains, Settings};

const HZ: f64 = 1000.0;

fn run(settings: Settings, x: &[f64]) -> Vec<f64> {
    let mut conditioner = Conditioner::new(1, HZ, settings);
    x.iter()
        .map(|x| {
            let mut frame = [*x];
            conditioner.run(&mut frame);
            frame[0]
        })
        .collect()
}

fn health(x: &[f64]) -> Health {
    let mut conditioner = Conditioner::new(1, HZ, Settings::default());
    for x in x {
        conditioner.run(&mut [*x]);
    }
    conditioner.health(["one".to_owned()].into_iter()).remove(0)
}

fn sine(hz: f64, secs: f64) -> Vec<f64> {
    (0..(secs * HZ) as usize).map(|n| (TAU * hz * n as f64 / HZ).sin()).collect()
}

#[test]
fn with_everything_off_samples_pass_bit_for_bit() {
    let x: Vec<f64> = (0..5000).map(|n| noise(n, 0) * 1e5 + 101_325.0).collect();
    assert_eq!(run(Settings::default(), &x), x);
}

#[test]
fn the_notch_takes_out_the_mains_and_its_harmonics_and_little_else() {
    for (mains, line_hz) in [(Mains::Hz50, 50.0), (Mains::Hz60, 60.0)] {
        let settings = Settings { mains, ..Settings::default() };
        let gain = |hz: f64| amplitude(&run(settings, &sine(hz, 6.0))[4000..], HZ, hz);
        for harmonic in [1.0, 2.0, 3.0] {
            assert!(gain(harmonic * line_hz) < 0.003, "{line_hz} Hz x {harmonic}");
        }
        for hz in [8.0, line_hz - 8.0, line_hz + 8.0] {
            assert!((gain(hz) - 1.0).abs() < 0.06, "{hz} Hz passes with {}", gain(hz));
        }
    }
}

#[test]
fn offset_and_band_limits_do_what_they_say() {
    let offset: Vec<f64> = sine(10.0, 10.0).iter().map(|x| x + 4000.0).collect();
    let out = run(Settings { dc_hz: 0.5, ..Settings::default() }, &offset);
    let rest = &out[5000..];
    assert!(rest.iter().all(|x| x.abs() < 1.1), "the offset is gone");
    assert!((amplitude(rest, HZ, 10.0) - 1.0).abs() < 0.01);
    // It is gone from the first sample on: no thump at the start.
    assert!(out[..100].iter().all(|x| x.abs() < 1.5));

    let settings = Settings { low_hz: 5.0, high_hz: 100.0, ..Settings::default() };
    let gain = |hz: f64| amplitude(&run(settings, &sine(hz, 6.0))[3000..], HZ, hz);
    assert!(gain(0.5) < 0.02 && gain(400.0) < 0.01);
    assert!((gain(5.0) - 0.707).abs() < 0.02 && (gain(100.0) - 0.707).abs() < 0.02);
    assert!((gain(25.0) - 1.0).abs() < 0.02);
}

#[test]
fn a_change_of_settings_makes_no_click() {
    let mut conditioner = Conditioner::new(1, HZ, Settings::default());
    let x: Vec<f64> = sine(5.0, 4.0).iter().map(|x| x + 3.0).collect();
    let mut out = Vec::new();
    for (n, x) in x.iter().enumerate() {
        match n {
            1000 => conditioner.apply(Settings { gain: 2.0, dc_hz: 0.2, ..Settings::default() }),
            // In the middle of the crossfade.
            1040 => conditioner.apply(Settings { mains: Mains::Hz50, high_hz: 80.0, ..Settings::default() }),
            2000 => conditioner.apply(Settings::default()),
            _ => {}
        }
        let mut frame = [*x];
        conditioner.run(&mut frame);
        out.push(frame[0]);
    }
    // From 3 to 0 within 100 ms is 0.05 a sample at the steepest, beside the sine's own 0.06.
    assert!(largest_step(&out) < 0.12, "greatest step {}", largest_step(&out));
    assert_eq!(out[2500..], x[2500..], "and off is bit for bit again");
}

#[test]
fn gaps_are_bridged_counted_and_left_behind() {
    let clean = sine(3.0, 3.0);
    let mut x = clean.clone();
    x[1000..1050].fill(f64::NAN);
    x[2000] = f64::INFINITY;
    x[2001] = -1e300;
    let out = run(Settings::default(), &x);
    assert!(out.iter().all(|x| x.abs() < 1.1), "finite and within the signal");
    assert!(largest_step(&out) < 0.1);
    assert_eq!(out[1000..1050], vec![clean[999]; 50], "held");
    assert_eq!(out[1100..2000], clean[1100..2000], "and exact soon afterwards");
    assert_eq!(health(&x).bridged, 52);
}

#[test]
fn only_missing_samples_still_give_numbers() {
    let out = run(Settings { dc_hz: 0.1, mains: Mains::Hz60, ..Settings::default() }, &[f64::NAN; 2000]);
    assert!(out.iter().all(|x| x.is_finite()));
    assert!(health(&[f64::NAN; 2000]).flat);
}

#[test]
fn clipping_is_found_and_what_is_only_blunt_is_not() {
    let clipped: Vec<f64> = sine(7.0, 5.0).iter().map(|x| x.clamp(-0.8, 0.8)).collect();
    let truth = clipped.iter().filter(|x| x.abs() == 0.8).count() as f64 / clipped.len() as f64;
    let found = health(&clipped).clipped_fraction;
    assert!((found - truth).abs() < 0.02, "found {found:.3} of {truth:.3}");
    let quantised: Vec<f64> = sine(0.5, 10.0).iter().map(|x| (x * 300.0).round()).collect();
    assert_eq!(health(&quantised).clipped_fraction, 0.0);
    let noisy: Vec<f64> = (0..5000).map(|n| (noise(n, 0) * 1000.0).round()).collect();
    assert!(health(&noisy).clipped_fraction < 0.001);
}

#[test]
fn a_flat_channel_is_called_flat_after_half_a_second() {
    let mut x = sine(10.0, 2.0);
    assert!(!health(&x).flat);
    x.extend([0.25; 400]);
    assert!(!health(&x).flat);
    x.extend([0.25; 200]);
    assert!(health(&x).flat);
    x.push(0.3);
    assert!(!health(&x).flat);
}

#[test]
fn hum_is_the_part_of_the_variance_at_the_mains() {
    let x: Vec<f64> =
        sine(50.0, 5.0).iter().zip(sine(9.0, 5.0)).map(|(hum, wave)| 5000.0 + hum + wave * 3f64.sqrt()).collect();
    let health = health(&x);
    assert!((health.hum_50 - 0.25).abs() < 0.01, "{}", health.hum_50);
    assert!(health.hum_60 < 0.001);
    assert!((health.rms - 2f64.sqrt()).abs() < 0.01 && (health.mean - 5000.0).abs() < 0.01);
    assert!((health.max - 5002.7).abs() < 0.1 && (health.min - 4997.3).abs() < 0.1);
}
