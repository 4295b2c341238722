//! Change of rate: what passes, what is stopped, and that an hour does not drift.

use std::f64::consts::TAU;

use super::made::amplitude;
use wavedream::signal::resample::Resampler;

fn sine(hz: f64, rate_hz: f64, secs: f64) -> Vec<f64> {
    (0..(secs * rate_hz) as usize).map(|n| (TAU * hz * n as f64 / rate_hz).sin()).collect()
}

#[test]
fn what_is_below_the_band_edge_passes_and_what_would_fold_back_is_stopped() {
    for (rate_hz, passes, stopped) in [
        (1000.0, vec![1.0, 60.0, 150.0, 210.0], vec![260.0, 300.0, 400.0, 470.0]),
        (30_000.0, vec![1.0, 60.0, 210.0], vec![300.0, 1000.0, 9000.0]),
        (44_100.0, vec![10.0, 200.0], vec![300.0, 512.0, 20_000.0]),
        (777.7, vec![10.0, 200.0], vec![300.0, 350.0]),
    ] {
        for hz in passes {
            let out = Resampler::convert(&sine(hz, rate_hz, 2.0), rate_hz, 512.0);
            let gain = amplitude(&out[256..768], 512.0, hz);
            assert!((gain - 1.0).abs() < 0.01, "{rate_hz} Hz: {hz} Hz passes with {gain:.4}");
        }
        for hz in stopped {
            let out = Resampler::convert(&sine(hz, rate_hz, 2.0), rate_hz, 512.0);
            let left = out[256..768].iter().fold(0.0f64, |most, x| most.max(x.abs()));
            assert!(left < 1e-3, "{rate_hz} Hz: {left:.1e} of {hz} Hz is left");
        }
    }
}

#[test]
fn a_faster_rate_adds_no_images() {
    let out = Resampler::convert(&sine(40.0, 256.0, 4.0), 256.0, 512.0);
    assert!((amplitude(&out[512..1536], 512.0, 40.0) - 1.0).abs() < 0.01);
    assert!(amplitude(&out[512..1536], 512.0, 216.0) < 1e-3);
}

#[test]
fn an_hour_has_its_exact_number_of_frames_and_the_last_is_where_it_belongs() {
    let mut resampler = Resampler::new(1, 100.0, 512.0);
    let mut out = [0.0];
    let mut count = 0u64;
    let mut worst: f64 = 0.0;
    let mut check = |resampler: &mut Resampler| {
        while resampler.pop(&mut out) {
            let secs = count as f64 / 512.0;
            if secs > 3590.0 && secs < 3599.0 {
                worst = worst.max((out[0] - (TAU * 7.0 * secs).sin()).abs());
            }
            count += 1;
        }
    };
    for n in 0..360_000u64 {
        resampler.push(&[(TAU * 7.0 * (n % 100) as f64 / 100.0).sin()]);
        check(&mut resampler);
    }
    resampler.finish();
    check(&mut resampler);
    assert_eq!(count, 3600 * 512);
    assert!(worst < 0.01, "after an hour the phase is off: {worst}");
}

#[test]
fn a_slow_sensor_is_joined_smoothly_through_its_values() {
    let values: Vec<f64> = (0..30).map(|n| ((n * 37) % 11) as f64).collect();
    let out = Resampler::convert(&values, 1.0, 512.0);
    assert_eq!(out.len(), 30 * 512);
    for (second, value) in values.iter().enumerate() {
        assert!((out[second * 512] - value).abs() < 1e-9);
    }
    assert!(super::made::largest_step(&out) < 0.1);
}

#[test]
fn a_constant_stays_the_same_to_its_very_ends() {
    for rate_hz in [0.5_f64, 20.0, 250.0, 333.333, 1000.0, 48_000.0] {
        let length = (3.0 * rate_hz).ceil() as usize;
        let out = Resampler::convert(&vec![101_325.0; length], rate_hz, 512.0);
        let expected = (length as f64 * 512.0 / rate_hz).ceil() as usize;
        assert!(out.len().abs_diff(expected) <= 1, "{rate_hz}: {} frames, {expected} expected", out.len());
        assert!(out.iter().all(|x| (x - 101_325.0).abs() < 1e-6));
    }
}
