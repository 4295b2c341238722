//! The synthetic signals: what a physiologist would look for in the rat, and the sea and the wind.

use super::made::{amplitude, band, channel, correlation, deviation, frames, phasor};
use wavedream::signal::open;

const HZ: f64 = 512.0;
/// Electrodes by what lies there.
const CORTEX: usize = 7;
const PYRAMIDAL: usize = 17;
const FISSURE: usize = 25;

fn rat(state: &str, secs: usize) -> Vec<Vec<f64>> {
    let mut source = open(&format!("synth://rat?state={state}&seed=5")).unwrap();
    frames(source.as_mut(), secs * 512)
}

#[test]
fn the_same_seed_gives_the_same_samples_however_they_are_read() {
    let mut one = open("synth://rat?seed=3").unwrap();
    let mut other = open("synth://rat?seed=3").unwrap();
    let whole = frames(one.as_mut(), 3000);
    let mut pieces = Vec::new();
    for count in [1, 7, 492, 1500, 1000] {
        pieces.extend(frames(other.as_mut(), count));
    }
    assert_eq!(whole, pieces);
    let mut third = open("synth://rat?seed=4").unwrap();
    assert_ne!(whole, frames(third.as_mut(), 3000));
}

#[test]
fn awake_and_rem_have_theta_and_sleep_has_none() {
    for (state, expected) in [("awake", true), ("rem", true), ("sleep", false), ("rest", false)] {
        let x = channel(&rat(state, 40), FISSURE);
        let theta = band(&x, HZ, 6.5, 9.0);
        let beside = (band(&x, HZ, 3.5, 5.0) + band(&x, HZ, 10.5, 12.0)) / 2.0;
        assert_eq!(theta > 6.0 * beside, expected, "{state}: theta {theta:.0}, beside it {beside:.0}");
    }
}

#[test]
fn theta_turns_over_between_the_pyramidal_layer_and_the_fissure() {
    let x = rat("rem", 20);
    let (above, below) = (channel(&x, PYRAMIDAL - 2), channel(&x, FISSURE));
    let (mut cross, mut power) = (0.0, 0.0);
    for (a, b) in above.as_chunks::<512>().0.iter().zip(below.as_chunks::<512>().0.iter()) {
        let (a, b) = (phasor(a, HZ, 7.0), phasor(b, HZ, 7.0));
        cross += a.0 * b.0 + a.1 * b.1;
        power += a.0.hypot(a.1) * b.0.hypot(b.1);
    }
    assert!(cross / power < -0.7, "cosine of the phase between them: {}", cross / power);
}

#[test]
fn gamma_rides_on_theta_when_awake() {
    let x = channel(&rat("awake", 60), FISSURE);
    // Gamma's envelope in steps of 1/64 s must itself go with theta.
    let envelope: Vec<f64> = x.windows(32).step_by(8).map(|piece| amplitude(piece, HZ, 75.0)).collect();
    let theta = band(&envelope, 64.0, 7.0, 8.5);
    let beside = band(&envelope, 64.0, 11.0, 13.0);
    assert!(theta > 2.0 * beside, "gamma's envelope at theta {theta:.2}, beside it {beside:.2}");
}

#[test]
fn ripples_come_at_rest_in_the_pyramidal_layer_only() {
    let x = rat("rest", 60);
    let ripple_band = |number: usize| band(&channel(&x, number), HZ, 140.0, 190.0);
    assert!(ripple_band(PYRAMIDAL) > 3.0 * ripple_band(CORTEX));
    let awake = rat("awake", 60);
    let awake_band = |number: usize| band(&channel(&awake, number), HZ, 140.0, 190.0);
    assert!(awake_band(PYRAMIDAL) < 1.5 * awake_band(CORTEX));
    // They are events, not a hum: most moments have none.
    let loudness: Vec<f64> =
        channel(&x, PYRAMIDAL).as_chunks::<32>().0.iter().map(|piece| amplitude(piece, HZ, 165.0)).collect();
    let mut sorted = loudness.clone();
    sorted.sort_by(f64::total_cmp);
    assert!(sorted[sorted.len() - 10] > 8.0 * sorted[sorted.len() / 2]);
}

#[test]
fn sleep_has_a_slow_oscillation_and_spindles_in_the_cortex() {
    let (sleep, rem) = (channel(&rat("sleep", 60), CORTEX), channel(&rat("rem", 60), CORTEX));
    assert!(band(&sleep, HZ, 0.5, 1.5) > 3.0 * band(&rem, HZ, 0.5, 1.5));
    let spindles = band(&sleep, HZ, 12.0, 14.0);
    let beside = (band(&sleep, HZ, 8.5, 10.0) + band(&sleep, HZ, 16.5, 18.0)) / 2.0;
    assert!(spindles > 1.5 * beside, "spindles {spindles:.1}, beside them {beside:.1}");
}

#[test]
fn rem_is_without_muscle_tone() {
    let (awake, rem) = (channel(&rat("awake", 30), CORTEX), channel(&rat("rem", 30), CORTEX));
    assert!(band(&awake, HZ, 200.0, 245.0) > 4.0 * band(&rem, HZ, 200.0, 245.0));
}

#[test]
fn the_background_falls_with_frequency_and_is_shared_by_neighbours() {
    let x = rat("rest", 40);
    let one = channel(&x, CORTEX);
    let (slow, fast) = (band(&one, HZ, 1.5, 3.0), band(&one, HZ, 40.0, 60.0));
    assert!(slow > 50.0 * fast, "slow {slow:.1}, fast {fast:.3}");
    let near = correlation(&one, &channel(&x, CORTEX + 1));
    let far = correlation(&one, &channel(&x, 31));
    assert!(near > 0.8 && far.abs() < 0.6, "near {near:.2}, far {far:.2}");
}

#[test]
fn states_change_by_themselves_and_can_be_set() {
    let mut source = open("synth://rat?seed=2").unwrap();
    let mut seen = Vec::new();
    let mut longest = 0;
    let mut stay = 0;
    for _ in 0..300 {
        frames(source.as_mut(), 512);
        let state = source.state().unwrap().to_owned();
        stay = if seen.last() == Some(&state) { stay + 1 } else { 0 };
        longest = longest.max(stay);
        seen.push(state);
    }
    for state in ["awake", "rest", "sleep", "rem"] {
        assert!(seen.iter().any(|name| name == state), "{state} did not come in five minutes");
    }
    assert!(longest < 60, "a state stayed for {longest} s");

    assert!(source.set("state", "rem"));
    frames(source.as_mut(), 3 * 512);
    assert_eq!(source.state(), Some("rem"));
    frames(source.as_mut(), 100 * 512);
    assert_eq!(source.state(), Some("rem"), "what is set stays");
    assert!(source.set("state", "auto"));
    assert!(!source.set("state", "drunk") && !source.set("mood", "rem"));
}

#[test]
fn a_change_of_state_makes_no_step() {
    let mut source = open("synth://rat?state=sleep").unwrap();
    let mut x = frames(source.as_mut(), 5 * 512);
    let calm = super::made::largest_step(&channel(&x, CORTEX));
    source.set("state", "rest");
    x = frames(source.as_mut(), 5 * 512);
    assert!(super::made::largest_step(&channel(&x, CORTEX)) < 2.0 * calm);
}

#[test]
fn the_sea_is_as_high_as_asked_and_has_swell_and_wind_sea() {
    let mut source = open("synth://waves?height=3&seed=9").unwrap();
    let x = channel(&frames(source.as_mut(), 8 * 1800), 0);
    let height = 4.0 * deviation(&x);
    assert!((2.5..3.5).contains(&height), "significant height {height:.2} m");
    let power =
        |hz: f64| x.as_chunks::<{ 8 * 120 }>().0.iter().map(|part| amplitude(part, 8.0, hz).powi(2)).sum::<f64>();
    assert!(power(0.075) > 3.0 * power(0.11) && power(0.16) > 1.2 * power(0.11));
}

#[test]
fn the_wind_blows_along_in_gusts_and_its_turbulence_falls_by_five_thirds() {
    let mut source = open("synth://wind?speed=8&seed=4").unwrap();
    let x = frames(source.as_mut(), 32 * 600);
    let along = channel(&x, 0);
    let mean = along.iter().sum::<f64>() / along.len() as f64;
    assert!((6.0..12.0).contains(&mean), "mean {mean:.1} m/s");
    let gust = along.iter().copied().fold(0.0, f64::max) / mean;
    assert!((1.4..4.0).contains(&gust), "strongest gust is {gust:.2} of the mean");
    let slope = (band(&along, 32.0, 1.0, 1.5) / band(&along, 32.0, 8.0, 12.0)).log10() / 8f64.log10();
    assert!((1.3..2.1).contains(&slope), "slope {slope:.2}");
}
