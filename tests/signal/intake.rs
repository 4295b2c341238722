//! From source to window: exact samples, exact hops, the same whatever the blocks.

use std::io::Write;

use super::made::{Made, amplitude, noise, window_channel};
use wavedream::signal::{Intake, Settings, open};

fn npy_of_32(rows: usize) -> (tempfile::NamedTempFile, Vec<f64>) {
    let values: Vec<f64> = (0..rows * 32).map(|n| noise((n / 32) as u64, n % 32) * 500.0 + 3.0).collect();
    let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows}, 32), }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = tempfile::Builder::new().suffix(".npy").tempfile().unwrap();
    file.write_all(b"\x93NUMPY\x01\x00").unwrap();
    file.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.write_all(&values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
    file.flush().unwrap();
    (file, values)
}

#[test]
fn a_window_of_32_channels_at_512_hz_is_the_file_bit_for_bit() {
    let (file, values) = npy_of_32(1600);
    let mut intake = Intake::open(&format!("{}?rate=512", file.path().display()), Settings::default()).unwrap();
    intake.advance_to(10.0).unwrap();
    for (secs, end) in [(1.0, 512), (1.5, 768), (2.3, 1178), (3.125, 1600)] {
        let window = intake.window_ending_at(secs, 512).unwrap();
        assert_eq!(window.first_sample, end - 512);
        assert_eq!(window.samples, values[(end as usize - 512) * 32..end as usize * 32]);
    }
    let hop = intake.window_at_hop(31, 512).unwrap();
    assert_eq!(hop.first_sample, 529 - 512);
    assert_eq!(hop.samples, values[17 * 32..529 * 32]);
    assert_eq!((hop.stamp.hop, hop.stamp.signal_secs), (31, 529.0 / 512.0));
    for refused in [0.0, 0.5, 0.998, 3.13, -1.0, f64::NAN] {
        assert!(intake.window_ending_at(refused, 512).is_none(), "{refused}");
    }
}

#[test]
fn one_hour_has_exactly_108_000_windows() {
    let source = Made::new(32, 512.0, 3600 * 512, |frame, channel| ((frame * 31 + channel as u64) % 1000) as f64);
    let mut intake = Intake::from_source(source, Settings::default()).unwrap();
    let (mut hop, mut windows) = (1, 0);
    loop {
        let progress = intake.advance_to((hop + 600) as f64 / 30.0).unwrap();
        let before = hop;
        while let Some(window) = intake.window_at_hop(hop, 17) {
            assert_eq!(window.first_sample + 17, hop * 512 / 30);
            assert_eq!(window.samples[16 * 32], (((hop * 512 / 30 - 1) * 31) % 1000) as f64);
            windows += 1;
            hop += 1;
        }
        if progress.ended && hop == before {
            break;
        }
    }
    assert_eq!(windows, 108_000);
}

#[test]
fn the_ring_keeps_a_minute_and_forgets_what_is_older() {
    let source = Made::new(32, 512.0, 200 * 512, noise);
    let mut intake = Intake::from_source(source, Settings::default()).unwrap();
    let reached = intake.advance_to(100.0).unwrap().reached_secs;
    assert!(intake.window_ending_at(reached - 59.0, 512).is_some());
    assert!(intake.window_ending_at(20.0, 512).is_none());
}

#[test]
fn blocks_do_not_matter() {
    for url in ["synth://wind?seed=2", "synth://rat?rate=1000&channels=3", "synth://waves?rate=1"] {
        let settings = Settings { dc_hz: 0.1, ..Settings::default() };
        let mut one = Intake::open(url, settings).unwrap();
        let mut other = Intake::open(url, settings).unwrap();
        one.advance_to(12.0).unwrap();
        for step in 0..=360 {
            other.advance_to(f64::from(step) / 30.0).unwrap();
        }
        for secs in [1.0, 7.3, 12.0] {
            let (a, b) = (one.window_ending_at(secs, 512).unwrap(), other.window_ending_at(secs, 512).unwrap());
            assert_eq!(a.samples, b.samples, "{url} at {secs}");
        }
    }
}

#[test]
fn a_recording_gives_the_window_that_ends_with_it() {
    for (channels, rate_hz, secs) in [(1, 1000.0, 3.0), (4, 250.0, 2.0), (40, 30_000.0, 1.5), (2, 1.0, 9.0)] {
        let source = Made::new(channels, rate_hz, (secs * rate_hz) as u64, noise);
        let mut intake = Intake::from_source(source, Settings::default()).unwrap();
        let progress = intake.advance_to(secs + 5.0).unwrap();
        assert!(progress.ended);
        assert!((progress.reached_secs - secs).abs() < 1.0 / 512.0, "{progress:?}");
        assert!(intake.window_ending_at(secs, 512).is_some(), "{channels} channels at {rate_hz} Hz");
        assert!(intake.window_ending_at(secs + 0.1, 512).is_none());
    }
}

#[test]
fn a_show_can_begin_before_the_first_whole_window() {
    let mut intake = Intake::open("synth://rat", Settings::default()).unwrap();
    assert!(intake.window_at_hop_or_mirrored(0, 512).is_none(), "nothing has come yet");
    intake.advance_to(0.0).unwrap();
    assert_eq!(intake.first_hop(512), 30);
    assert_eq!(intake.first_hop(896), 53);
    assert!(intake.window_at_hop(29, 512).is_none());
    let whole = intake.window_at_hop(30, 512).unwrap();
    assert_eq!(intake.window_at_hop_or_mirrored(30, 512).unwrap().samples, whole.samples);
    let early = intake.window_at_hop_or_mirrored(15, 512).unwrap();
    // The second half is the signal's first half second, the first half its mirror image.
    assert_eq!(early.samples[256 * 32..], whole.samples[..256 * 32]);
    assert_eq!(early.samples[255 * 32..256 * 32], whole.samples[32..2 * 32]);
    assert!(intake.window_at_hop_or_mirrored(0, 512).is_some());
}

#[test]
fn a_faster_source_keeps_its_rhythm() {
    let source = Made::new(32, 1250.0, 1250 * 8, |frame, channel| {
        (std::f64::consts::TAU * (4.0 + channel as f64) * frame as f64 / 1250.0).sin()
    });
    let mut intake = Intake::from_source(source, Settings::default()).unwrap();
    for channel in [0, 13, 31] {
        let mut x = window_channel(&mut intake, 2..=6, channel);
        x.truncate(5 * 512);
        assert!((amplitude(&x, 512.0, 4.0 + channel as f64) - 1.0).abs() < 0.01);
    }
}

#[test]
fn health_trace_state_and_knobs_reach_the_source() {
    let mut intake = Intake::open("synth://rat?state=rest", Settings::default()).unwrap();
    intake.advance_to(3.0).unwrap();
    assert_eq!(intake.state(), Some("rest"));
    let health = intake.health();
    assert_eq!(health.len(), 32);
    assert!(health.iter().all(|channel| !channel.flat && channel.clipped_fraction == 0.0 && channel.rms > 30.0));
    let trace = intake.trace(4, 700);
    assert_eq!((trace.channels.len(), trace.channels[0].len(), trace.names[0].as_str()), (4, 700, "lfp 01"));
    let window = intake.window_ending_at(3.0, 512).unwrap();
    assert_eq!(*trace.channels[2].last().unwrap(), window.samples[511 * 32 + 2] as f32);
    assert!(intake.set("state", "rem") && !intake.set("colour", "red"));
    intake.advance_to(6.0).unwrap();
    assert_eq!(intake.state(), Some("rem"));
}

#[test]
fn what_is_asked_for_wrongly_is_answered_with_the_way_out() {
    for (url, words) in [
        ("synth://rat?sead=3", vec!["sead", "did you mean 'seed'"]),
        ("synth://rat?state=drunk", vec!["drunk", "awake, rest, sleep, rem or auto"]),
        ("synth://rat?seed=1&seed=2", vec!["seed", "twice"]),
        ("synth://wnd", vec!["wnd", "did you mean 'wind'"]),
        ("snth://rat", vec!["snth", "did you mean 'synth'"]),
        ("osk://0.0.0.0:9000/wind", vec!["osk", "did you mean 'osc'"]),
        ("osc://0.0.0.0:many/wind", vec!["0.0.0.0:many", "osc://0.0.0.0:9001"]),
        ("synth://rat + synth://wnd", vec!["wnd", "did you mean 'wind'"]),
        ("rat", vec!["no such file", "synth://rat"]),
        ("nowhere/missing.npy?rate=1", vec!["nowhere/missing.npy", "no such file"]),
        ("synth://rat?rate=fast", vec!["rate=fast"]),
        ("src", vec!["folder"]),
    ] {
        let error = open(url).err().unwrap_or_else(|| panic!("{url} was opened")).to_string();
        for word in words {
            assert!(error.contains(word), "{url}: {error}");
        }
        assert!(!error.contains('\n'));
    }
}

#[test]
fn before_the_first_whole_window_the_mirrored_ones_move_on_sample_by_sample() {
    let mut intake = Intake::open("synth://rat?seed=5", Settings::default()).unwrap();
    intake.advance_to(2.0).unwrap();
    let windows: Vec<_> = (1..50).map(|hop| intake.window_at_hop_or_mirrored(hop, 512).unwrap()).collect();
    for (hop, pair) in (1_u64..).zip(windows.windows(2)) {
        let moved = (pair[1].first_sample - pair[0].first_sample) as usize;
        assert_eq!(moved as u64, (hop + 1) * 512 / 30 - hop * 512 / 30);
        assert_eq!(pair[0].samples[moved * 32..], pair[1].samples[..(512 - moved) * 32], "hop {hop}");
    }
}
