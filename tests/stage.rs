//! The stage on whatever adapter there is, lavapipe in CI: transitions by the rule of 0 and 1, crossfade, freeze,
//! blackout, fit, feedback, determinism. Without an adapter these tests say so and check nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on shall stop")]

mod stage_pictures;

use stage_pictures::{aurora, headless, headless_with, marble, plain, resized_clock};
use wavedream::stage::{Fill, Fit, FrameClock, Kind, Look, Precision, ShaderLibrary, SignalTrace, Use};

const SIZE: (u32, u32) = (160, 90);

fn clock(frame: u64) -> FrameClock {
    FrameClock::of_film(frame, 30.0)
}

fn mean_difference(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
}

#[test]
fn every_transition_is_exactly_from_at_0_and_exactly_to_at_1() {
    for precision in [Precision::Bytes, Precision::Halves] {
        rule_of_0_and_1(precision);
    }
}

/// Bytes stay what they are. Half floats are filtered by the adapter: a byte may round the other way.
fn same(precision: Precision, a: &[u8], b: &[u8], what: &str) {
    let most = if precision == Precision::Halves { 1 } else { 0 };
    let off = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(off <= Some(most), "{precision:?}: {what} differs by {off:?}");
}

fn rule_of_0_and_1(precision: Precision) {
    let Some(mut stage) = headless_with(SIZE, precision) else {
        return;
    };
    let look = Look { crossfade: 0.0, ..Look::default() };
    let names: Vec<String> = ShaderLibrary::builtin()
        .declarations()
        .filter(|declared| declared.kind == Kind::Transition)
        .map(|declared| declared.name.clone())
        .collect();
    assert!(names.len() >= 10);
    let mut at = 0;
    let mut frame = |stage: &mut wavedream::stage::Headless| {
        at += 1;
        stage.frame(&clock(at), &look, &stage_pictures::signal(1.0)).unwrap()
    };
    let (a, b) = (aurora(160, 90), marble(160, 90));
    for name in names {
        stage.compositor().scrub(None);
        stage.compositor().begin_transition("dissolve", 0.0);
        stage.compositor().show(&a);
        frame(&mut stage);
        let from = (0..12).map(|_| frame(&mut stage)).last().unwrap();
        stage.compositor().begin_transition(&name, 10.0);
        stage.compositor().show(&b);
        stage.compositor().scrub(Some(0.0));
        for _ in 0..12 {
            same(precision, &frame(&mut stage), &from, &format!("{name} at 0"));
        }
        stage.compositor().scrub(Some(0.5));
        let half = frame(&mut stage);
        stage.compositor().scrub(Some(1.0));
        let end = frame(&mut stage);
        stage.compositor().scrub(None);
        stage.compositor().begin_transition("dissolve", 0.0);
        let to = frame(&mut stage);
        same(precision, &end, &to, &format!("{name} at 1"));
        assert!(mean_difference(&from, &to) > 20.0);
        assert!(
            mean_difference(&half, &from) > 5.0 && mean_difference(&half, &to) > 5.0,
            "{name} shows one of its ends half way"
        );
    }
}

#[test]
fn transitions_start_and_end_without_a_jump() {
    let Some(mut stage) = headless(SIZE) else { return };
    let look = Look { crossfade: 0.0, ..Look::default() };
    for (i, name) in
        ["dissolve", "ripple", "perlin", "kaleidoscope", "zoom_blur", "ink_bleed", "displacement"].iter().enumerate()
    {
        let start = i as u64 * 100;
        stage.compositor().show(&aurora(160, 90));
        let mut before = stage.frame(&clock(start), &look, &SignalTrace::default()).unwrap();
        for frame in 1..12 {
            before = stage.frame(&clock(start + frame), &look, &SignalTrace::default()).unwrap();
        }
        let from = before.clone();
        stage.compositor().show(&marble(160, 90));
        stage.compositor().begin_transition(name, 1.0);
        let mut steps = Vec::new();
        for frame in 12..50 {
            let now = stage.frame(&clock(start + frame), &look, &SignalTrace::default()).unwrap();
            steps.push(mean_difference(&before, &now));
            before = now;
        }
        let whole = mean_difference(&from, &before);
        // One second is 30 frames: the first and the last of them, and those beyond.
        assert!(steps[0] < 0.1 * whole, "{name} begins with {} of {whole}", steps[0]);
        assert!(steps[29] < 0.1 * whole, "{name} ends with {} of {whole}", steps[29]);
        assert!(steps[30..].iter().all(|&step| step == 0.0), "{name} goes on");
        assert!(!stage.compositor().in_transition());
    }
}

#[test]
fn eight_pictures_a_second_flow_in_even_steps() {
    let Some(mut stage) = headless((16, 16)) else { return };
    let mut seen = Vec::new();
    for frame in 0..32 {
        if frame % 4 == 0 {
            let value = if frame % 8 == 0 { 40 } else { 200 };
            stage.compositor().show(&plain(16, 16, [value, value, value]));
        }
        seen.push(stage.frame(&clock(frame), &Look::default(), &SignalTrace::default()).unwrap()[0]);
    }
    assert_eq!(seen[24..32], [160, 120, 80, 40, 80, 120, 160, 200]);
}

#[test]
fn a_picture_that_comes_early_fades_on_from_what_is_seen() {
    let Some(mut stage) = headless((16, 16)) else { return };
    let look = Look::default();
    let mut frame = 0;
    let mut next = |stage: &mut wavedream::stage::Headless, value: Option<u8>| {
        if let Some(value) = value {
            stage.compositor().show(&plain(16, 16, [value, value, value]));
        }
        let rgba = stage.frame(&clock(frame), &look, &SignalTrace::default()).unwrap();
        frame += 1;
        i32::from(rgba[0])
    };
    for i in 0..40 {
        next(&mut stage, (i % 8 == 0).then_some(if i % 16 == 0 { 0 } else { 240 }));
    }
    let mut last = next(&mut stage, Some(240));
    for value in [None, None, Some(0), None, Some(240), None, None, Some(0)] {
        let now = next(&mut stage, value);
        assert!((now - last).abs() <= 90, "from {last} to {now}");
        last = now;
    }
}

#[test]
fn crossfade_0_cuts() {
    let Some(mut stage) = headless((16, 16)) else { return };
    let look = Look { crossfade: 0.0, ..Look::default() };
    for frame in 0..24 {
        let value = if frame / 4 % 2 == 0 { 40 } else { 200 };
        if frame % 4 == 0 {
            stage.compositor().show(&plain(16, 16, [value, value, value]));
        }
        let rgba = stage.frame(&clock(frame), &look, &SignalTrace::default()).unwrap();
        assert_eq!(rgba[0], value, "frame {frame}");
    }
}

#[test]
fn the_same_pictures_and_times_give_the_same_bytes() {
    let film = || {
        let mut stage = headless(SIZE)?;
        let look = stage_pictures::everything();
        let mut bytes = Vec::new();
        for frame in 0..10 {
            if frame % 3 == 0 {
                stage.compositor().show(&if frame % 2 == 0 { aurora(96, 96) } else { marble(96, 96) });
            }
            if frame == 4 {
                stage.compositor().begin_transition("perlin", 0.2);
            }
            let signal = stage_pictures::signal(frame as f32);
            bytes.push(stage.frame(&clock(frame), &look, &signal).unwrap());
        }
        Some(bytes)
    };
    let Some(first) = film() else { return };
    assert!(Some(first) == film());
}

#[test]
fn frozen_the_frame_stays_and_afterwards_all_goes_on() {
    let Some(mut stage) = headless(SIZE) else { return };
    let look = stage_pictures::everything();
    let frozen = Look { freeze: true, ..look.clone() };
    stage.compositor().show(&aurora(96, 96));
    let mut still = Vec::new();
    for frame in 0..5 {
        still = stage.frame(&clock(frame), &look, &stage_pictures::signal(frame as f32)).unwrap();
    }
    stage.compositor().show(&marble(96, 96));
    for frame in 5..9 {
        let now = stage.frame(&clock(frame), &frozen, &stage_pictures::signal(frame as f32)).unwrap();
        assert!(now == still);
    }
    let mut now = Vec::new();
    for frame in 9..14 {
        now = stage.frame(&clock(frame), &look, &stage_pictures::signal(frame as f32)).unwrap();
    }
    assert!(mean_difference(&now, &still) > 5.0);
}

#[test]
fn blackout_is_black_after_a_fifth_of_a_second_and_master_dims() {
    let Some(mut stage) = headless((16, 16)) else { return };
    stage.compositor().show(&plain(16, 16, [200, 100, 50]));
    let signal = SignalTrace::default();
    let mut look = Look::default();
    stage.frame(&clock(0), &look, &signal).unwrap();
    look.blackout = true;
    let levels: Vec<u8> = (1..9).map(|frame| stage.frame(&clock(frame), &look, &signal).unwrap()[0]).collect();
    assert!(levels.is_sorted_by(|a, b| a >= b) && levels[0] > 0, "{levels:?}");
    assert_eq!(levels[6..], [0, 0]);
    look.blackout = false;
    look.master = 0.5;
    let mut rgba = Vec::new();
    for frame in 9..18 {
        rgba = stage.frame(&clock(frame), &look, &signal).unwrap();
    }
    assert_eq!(rgba[..4], [100, 50, 25, 255]);
}

#[test]
fn a_picture_of_the_stages_size_comes_out_as_it_went_in() {
    let Some(mut stage) = headless(SIZE) else { return };
    let picture = marble(160, 90);
    stage.compositor().show(&picture);
    let rgba = stage.frame(&clock(0), &Look::default(), &SignalTrace::default()).unwrap();
    assert!(rgba == picture.rgba, "{}", mean_difference(&rgba, &picture.rgba));
}

#[test]
fn contained_pictures_lie_on_black_or_on_their_own_blur() {
    let Some(mut stage) = headless((80, 40)) else { return };
    stage.compositor().show(&plain(32, 32, [200, 200, 200]));
    let mut look = Look { fit: Fit::Contain, ..Look::default() };
    let signal = SignalTrace::default();
    let black = stage.frame(&clock(0), &look, &signal).unwrap();
    let pixel = |rgba: &[u8], x: usize| rgba[4 * (20 * 80 + x)];
    assert_eq!((pixel(&black, 2), pixel(&black, 40), pixel(&black, 77)), (0, 200, 0));
    look.fill = Fill::Blur;
    let blurred = stage.frame(&clock(1), &look, &signal).unwrap();
    assert_eq!(pixel(&blurred, 40), 200);
    assert!((60..160).contains(&pixel(&blurred, 2)), "{}", pixel(&blurred, 2));
}

#[test]
fn a_larger_picture_is_averaged_and_not_skipped_through() {
    let Some(mut stage) = headless((32, 32)) else { return };
    // Stripes of one pixel: half of them white.
    let mut picture = plain(256, 256, [0, 0, 0]);
    for (i, pixel) in picture.rgba.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        if i % 2 == 0 {
            pixel[..3].fill(255);
        }
    }
    stage.compositor().show(&picture);
    let rgba = stage.frame(&clock(0), &Look::default(), &SignalTrace::default()).unwrap();
    assert!(rgba.as_chunks::<4>().0.iter().all(|pixel| (120..136).contains(&pixel[0])));
}

#[test]
fn an_effect_at_amount_0_changes_nothing_and_every_effect_at_1_changes_something() {
    let Some(mut stage) = headless(SIZE) else { return };
    stage.compositor().show(&aurora(160, 90));
    let signal = stage_pictures::signal(3.0);
    let plain = stage.frame(&clock(0), &Look::default(), &signal).unwrap();
    for (i, used) in stage_pictures::vivid_effects().into_iter().enumerate() {
        let mut look = Look { effects: vec![Use { amount: 0.0, ..used.clone() }], ..Look::default() };
        let start = 10 + 20 * i as u64;
        assert!(stage.frame(&clock(start), &look, &signal).unwrap() == plain, "{} at 0", used.name);
        look.effects[0].amount = 1.0;
        let mut rgba = Vec::new();
        for frame in 1..6 {
            rgba = stage.frame(&clock(start + frame), &look, &signal).unwrap();
        }
        let change = mean_difference(&rgba, &plain);
        assert!(change > 0.2, "{} at 1 changes {change}", used.name);
    }
}

#[test]
fn the_signal_bends_the_picture_and_silence_does_not() {
    let Some(mut stage) = headless(SIZE) else { return };
    stage.compositor().show(&aurora(160, 90));
    let still = stage.frame(&clock(0), &Look::default(), &SignalTrace::default()).unwrap();
    let look = Look { effects: vec![Use::new("displace", 1.0, &[("depth", 0.2)])], ..Look::default() };
    let silent = stage.frame(&clock(1), &look, &SignalTrace::default()).unwrap();
    assert!(mean_difference(&still, &silent) < 0.05);
    let bent = stage.frame(&clock(2), &look, &stage_pictures::signal(0.0)).unwrap();
    assert!(mean_difference(&still, &bent) > 2.0);
    let mut broken = stage_pictures::signal(0.0);
    broken.points[100] = f32::NAN;
    broken.points[200] = f32::INFINITY;
    let rgba = stage.frame(&clock(3), &look, &broken).unwrap();
    assert!(mean_difference(&bent, &rgba) < 3.0);
}

#[test]
fn settings_out_of_range_and_unknown_names_do_no_harm() {
    let Some(mut stage) = headless((32, 18)) else { return };
    stage.compositor().show(&aurora(32, 18));
    let look = Look {
        crossfade: f32::NAN,
        master: 7.0,
        effects: vec![
            Use::new("bloom", 9.0, &[("strength", 1e30), ("no_such", 1.0), ("spread", f32::NAN)]),
            Use::new("no_such_effect", 1.0, &[]),
            Use::new("trails", f32::NAN, &[]),
            Use::new("kaleidoscope", 1.0, &[("segments", -5.0)]),
        ],
        ..Look::default()
    };
    stage.compositor().begin_transition("no_such_transition", f32::NAN);
    for frame in 0..6 {
        if frame == 3 {
            stage.compositor().show(&plain(7, 300, [1, 2, 3]));
            stage.compositor().begin_transition("no_such_transition", 0.1);
        }
        stage.frame(&clock(frame), &look, &SignalTrace::default()).unwrap();
    }
    assert!(stage.compositor().messages().any(|message| message.contains("no_such_transition")));
    let mut bad = plain(8, 8, [0, 0, 0]);
    bad.rgba.truncate(10);
    stage.compositor().show(&bad);
    assert!(stage.compositor().messages().any(|message| message.contains("8x8")));
}

#[test]
fn another_size_of_picture_or_window_goes_on() {
    let Some(mut stage) = headless((64, 36)) else { return };
    let look = stage_pictures::everything();
    for (frame, (width, height)) in
        [(64, 64), (64, 64), (96, 54), (96, 54), (16, 200), (500, 3)].into_iter().enumerate()
    {
        stage.compositor().show(&aurora(width, height));
        for step in 0..3 {
            let at = clock(3 * frame as u64 + step);
            let rgba = stage.frame(&at, &look, &stage_pictures::signal(1.0)).unwrap();
            assert!(rgba.as_chunks::<4>().0.iter().any(|pixel| pixel[1] > 20), "black in frame {frame}");
        }
    }
    resized_clock(&mut stage);
}

#[test]
fn a_stage_of_no_or_monstrous_size_is_refused_with_a_sentence() {
    if headless((8, 8)).is_none() {
        return;
    }
    for size in [(0, 10), (10, 0), (1_000_000, 10)] {
        let error = wavedream::stage::Headless::new(size, ShaderLibrary::builtin()).err().unwrap();
        assert!(error.to_string().contains("not possible"), "{error}");
    }
}
