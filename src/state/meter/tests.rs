//! The whole meter on signals that are made and on such as should not be.

use super::*;
use crate::{
    signal::{self, Channel, Read},
    state::State,
};

fn about(rate_hz: f64, channels: usize, unit: &str) -> Description {
    let channel = |n| Channel { name: format!("{n}"), unit: unit.to_owned(), rate_hz };
    Description { channels: (0..channels).map(channel).collect(), rate_hz, ..Description::default() }
}

/// So many seconds of frames; calls back after each hop.
fn run(
    meter: &mut StateMeter,
    secs: usize,
    mut frame: impl FnMut(f64, &mut Vec<f64>),
    mut after: impl FnMut(&StateMeter),
) {
    let mut values = Vec::new();
    let mut sample = 0;
    for hop in 1..=secs * 30 {
        while sample < hop * 512 / 30 {
            values.clear();
            let secs = sample as f64 / 512.0;
            frame(secs, &mut values);
            meter.push(&values, secs);
            sample += 1;
        }
        meter.hop(hop as f64 / 30.0, None);
        after(meter);
    }
}

/// The synthetic source of 512 Hz, frame by frame.
fn played(url: &str) -> (Description, impl FnMut(f64, &mut Vec<f64>) + use<>) {
    let mut source = signal::open(url).unwrap();
    let about = source.description().clone();
    let read = move |_, out: &mut Vec<f64>| assert_eq!(source.read(1, out).unwrap(), Read::Frames(1));
    (about, read)
}

fn is_calm(reading: &Reading) -> bool {
    let pulse = crate::state::Pulse::default();
    reading.features(&pulse).iter().all(|(_, value)| value.is_finite() && (-1.0..=1.0).contains(value))
        && reading.rhythm.hz.is_finite()
}

#[test]
fn what_is_no_number_what_is_flat_and_what_is_absurd_stays_finite_and_calm() {
    let broken = [f64::NAN, f64::INFINITY, 1e300, -1e300, 0.0, 5.0];
    for rate_hz in [1.0, 32.0, 250.0, 512.0, 44_100.0] {
        for channels in [1, 40] {
            let mut meter = StateMeter::new(&about(rate_hz, channels, ""), StateSettings::default());
            let mut n = 0;
            let frame = |_: f64, out: &mut Vec<f64>| {
                n += 1;
                out.extend((0..channels).map(|at| broken[(n / 100 + at) % broken.len()]));
            };
            run(&mut meter, 8, frame, |meter| assert!(is_calm(meter.reading()), "{:?}", meter.reading()));
            let flat = |_: f64, out: &mut Vec<f64>| out.resize(channels, 7.0);
            // Slow sensors take their time to be still.
            let secs = if rate_hz < 10.0 { 500 } else { 40 };
            run(&mut meter, secs, flat, |meter| assert!(is_calm(meter.reading())));
            assert!(meter.reading().arousal < 0.05, "{rate_hz} Hz: {:?}", meter.reading());
        }
    }
}

#[test]
fn the_unit_of_the_signal_makes_no_difference() {
    let states = |scale: &str| {
        let (about, frame) = played(&format!("synth://rat?seed=5&channels=8{scale}"));
        let mut meter = StateMeter::new(&about, StateSettings::default());
        let mut states = Vec::new();
        run(&mut meter, 60, frame, |meter| {
            states.push((meter.reading().state, (100.0 * meter.reading().arousal) as i32))
        });
        states
    };
    let (plain, volts) = (states(""), states("&scale=0.000001"));
    let same = plain.iter().zip(&volts).filter(|(a, b)| a.0 == b.0 && a.1.abs_diff(b.1) <= 3).count();
    assert!(same as f64 > 0.99 * plain.len() as f64, "{same} of {}", plain.len());
}

#[test]
fn a_channel_that_is_pulled_out_does_not_change_the_state() {
    let (about, mut frame) = played("synth://rat?seed=5&state=awake&channels=8");
    let mut meter = StateMeter::new(&about, StateSettings::default());
    run(&mut meter, 30, &mut frame, |_| {});
    assert_eq!(meter.reading().state, State::Awake);
    let pulled = |secs: f64, out: &mut Vec<f64>| {
        frame(secs, out);
        out[..4].fill(0.0);
    };
    meter.set_dead(&[true, true, true, true, false, false, false, false]);
    run(&mut meter, 20, pulled, |meter| assert_eq!(meter.reading().state, State::Awake));
}

#[test]
fn the_rhythm_of_the_awake_rat_is_its_theta() {
    let (about, frame) = played("synth://rat?seed=2&state=awake");
    let mut meter = StateMeter::new(&about, StateSettings::default());
    run(&mut meter, 20, frame, |_| {});
    let rhythm = meter.reading().rhythm;
    assert!((6.0..9.5).contains(&rhythm.hz) && rhythm.strength > 0.6, "{rhythm:?}");
}

#[test]
fn a_gust_in_a_slow_sensor_is_a_burst_and_activity() {
    // Wind at 1 Hz, as it comes out of the resampler: no step, a gust of half a minute after ten minutes.
    let mut meter = StateMeter::new(&about(1.0, 1, "m/s"), StateSettings::default());
    let gust = |secs: f64| {
        if (600.0..630.0).contains(&secs) { (std::f64::consts::PI * (secs - 600.0) / 30.0).sin() } else { 0.0 }
    };
    let wind = |secs: f64, out: &mut Vec<f64>| {
        let turbulence = (0.7 * secs).sin() + (0.31 * secs).sin() + (0.113 * secs).sin();
        out.push(6.0 + 0.5 * turbulence + 8.0 * gust(secs));
    };
    let (mut bursts, mut active) = (Vec::new(), 0.0_f32);
    run(&mut meter, 700, wind, |meter| {
        bursts.extend(meter.bursts().iter().map(|burst| burst.start_secs));
        let secs = meter.reading().signal_secs;
        if (605.0..625.0).contains(&secs) {
            active = active.max(meter.reading().activity);
        }
        assert_eq!(meter.reading().kind, Kind::Other);
    });
    assert!(bursts.iter().any(|at| (600.0..612.0).contains(at)), "{bursts:?}");
    assert!(bursts.len() <= 4, "{bursts:?}");
    assert!(active > 0.9, "{active}");
}

#[test]
fn bass_and_treble_are_followed_and_a_pause_is_silent() {
    let mut meter = StateMeter::new(&about(44_100.0, 2, ""), StateSettings::default());
    let mut heard = Vec::new();
    for hop in 0..600 {
        let beat = if hop % 15 < 5 { 1.0 } else { 0.02 };
        let playing = if hop < 540 { 1.0 } else { 0.0 };
        let reading = meter.hop(f64::from(hop) / 30.0, Some([playing * beat, playing * 0.1, 0.0]));
        heard.push(reading.tones);
    }
    assert!(heard[454][0] > 0.8 && heard[464][0] < 0.2, "{:?} {:?}", heard[454], heard[464]);
    assert_eq!(heard[599], [0.0; 3]);
}

#[test]
fn what_was_learned_is_known_at_the_next_start() {
    let (about, frame) = played("synth://rat?seed=7&channels=4");
    let mut meter = StateMeter::new(&about, StateSettings::default());
    run(&mut meter, 30, frame, |_| {});
    assert_eq!(meter.calibration(), None, "too early");
    let (_, frame) = played("synth://rat?seed=8&channels=4");
    run(&mut meter, 90, frame, |_| {});
    let learned = meter.calibration().unwrap();
    assert!(learned.is_sound() && learned.kind == "rodent" && learned.usual.contains_key("theta"), "{learned:?}");
    let mut next = StateMeter::new(&about, StateSettings::default());
    next.start_with(&learned);
    let (mine, kept) = (next.known.theta.quantile(0.5).unwrap(), learned.usual["theta"][2]);
    assert!((mine - kept).abs() < 0.5);
    let mut other = StateMeter::new(&about, StateSettings { kind: Some(Kind::Human) });
    other.start_with(&learned);
    assert_eq!(other.known.theta.quantile(0.5), None, "of another kind");
}

#[test]
fn a_person_is_awake_at_rest_with_closed_eyes_or_asleep() {
    use crate::signal::random::{Coloured, Random};
    let mut random = Random::new(4);
    let mut noise = [1, 2].map(|_| Coloured::new(512.0, 0.5, 50.0, 1.0, &mut random));
    let mut meter = StateMeter::new(&about(256.0, 2, "µV"), StateSettings { kind: Some(Kind::Human) });
    for _ in 0..2 {
        for (alpha, slow, state) in [(0.0, 0.0, State::Awake), (2.0, 0.0, State::Quiet), (0.0, 8.0, State::Asleep)] {
            let wave = |hz: f64, secs: f64| (std::f64::consts::TAU * hz * secs).sin();
            let frame = |secs: f64, out: &mut Vec<f64>| {
                let common = alpha * wave(10.0, secs) + slow * wave(1.1, secs);
                out.extend(noise.iter_mut().map(|noise| common + noise.next(&mut random)));
            };
            run(&mut meter, 25, frame, |_| {});
            assert_eq!(meter.reading().state, state, "{:?}", meter.reading());
        }
    }
}
