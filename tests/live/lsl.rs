//! Streams of the Lab Streaming Layer.

use std::time::Duration;

use wavedream::signal::live::lsl;

use super::made::{Beat, Reader};
use super::outlet::Outlet;

#[test]
fn every_format_in_both_orders_of_bytes_passes_untouched() {
    for (format, big_endian) in [
        ("float32", false),
        ("float32", true),
        ("double64", true),
        ("int8", false),
        ("int16", true),
        ("int32", true),
        ("int64", true),
        ("double64", false),
        ("int64", false),
    ] {
        let name = format!("formats-{format}-{big_endian}");
        let outlet = Outlet::start(&name, "EEG", 3, 500.0, format, big_endian);
        let mut reader = Reader::open(&format!("lsl://{name}?type=EEG"));
        reader.until("it connects", || {}, |_| outlet.is_heard());
        let mut beat = Beat::new(500.0);
        let speak = |n: u64| {
            let x = (n % 100) as f64;
            // As liblsl sends a chunk: the first sample has a time, the others are deduced.
            let stamp = n.is_multiple_of(10).then(|| 5000.0 + n as f64 / 500.0);
            outlet.push(&[x, -x, 1.0], stamp);
        };
        reader.until("samples come", || beat.due(speak), |reader| reader.flow().received > 150);
        assert_eq!(reader.names(), ["E0", "E1", "E2"]);
        assert_eq!(reader.source.description().channels[0].unit, "uV");
        assert_eq!(reader.source.description().rate_hz, 500.0);
        for pair in reader.heard().windows(2) {
            assert_eq!(pair[1], [(pair[0][0] + 1.0) % 100.0, -pair[1][0], 1.0], "{format} {big_endian}");
        }
    }
}

#[test]
fn an_outlet_that_was_killed_is_found_again_and_the_signal_goes_on() {
    let start = || Outlet::start("restarts", "EEG", 2, 200.0, "float32", false);
    let outlet = start();
    let mut reader = Reader::open("lsl://restarts?stale=0.5");
    reader.until("it connects", || {}, |_| outlet.is_heard());
    let mut beat = Beat::new(200.0);
    let speak = |n: u64| outlet.push(&[n as f64, 1.0], None);
    reader.until("samples come", || beat.due(speak), |reader| reader.flow().received > 100);
    drop(outlet);
    reader.until("it is told", || {}, |reader| reader.said("is gone") && reader.said("silent for"));
    reader.frames.clear();
    reader.until("it goes on calmly", || {}, |reader| reader.frames.len() > 50);
    let outlet = start();
    let mut beat = Beat::new(200.0);
    let speak = |n: u64| outlet.push(&[1e6 + n as f64, 1.0], None);
    let again = |reader: &Reader| reader.frames.last().is_some_and(|frame| frame[0] >= 1e6) && reader.said("is back");
    reader.until("samples come again", || beat.due(speak), again);
    assert!(reader.flow().reconnects >= 1 && !reader.flow().stale);
}

#[test]
fn samples_that_are_missing_by_their_times_are_told_and_keep_their_place() {
    let outlet = Outlet::start("gaps", "EEG", 1, 100.0, "float32", false);
    let mut reader = Reader::open("lsl://gaps");
    reader.until("it connects", || {}, |_| outlet.is_heard());
    let mut beat = Beat::new(100.0);
    // Forty samples are never sent.
    let speak = |n: u64| {
        if !(100..140).contains(&n) {
            outlet.push(&[n as f64], Some(n as f64 / 100.0));
        }
    };
    reader.until("samples come", || beat.due(speak), |reader| reader.frames.iter().any(|frame| frame[0] >= 180.0));
    assert_eq!(reader.flow().lost, 40);
    assert!(reader.said("were lost on the way"));
    let before = reader.frames.iter().position(|frame| frame[0] == 99.0).unwrap();
    let after = reader.frames.iter().position(|frame| frame[0] == 140.0).unwrap();
    assert!((41..=70).contains(&(after - before)), "the gap has about its length: {}", after - before);
    assert!(reader.frames[before + 1..after].iter().all(|frame| frame[0].is_nan()));
}

#[test]
fn a_stream_without_a_beat_is_resampled_by_its_times_and_the_clocks_are_compared() {
    let outlet = Outlet::start("uneven", "Wind", 1, 0.0, "double64", false);
    let mut reader = Reader::open("lsl://uneven?rate=64");
    reader.until("it connects", || {}, |_| outlet.is_heard());
    let mut beat = Beat::new(40.0);
    let speak = |n: u64| {
        if n % 7 != 3 && n % 11 != 5 {
            let stamp = outlet.clock();
            outlet.push(&[stamp], Some(stamp));
        }
    };
    let enough =
        |reader: &Reader| reader.flow().received > 0 && reader.frames.len() > 250 && reader.flow().transit_ms.is_some();
    reader.until("frames come", || beat.due(speak), enough);
    // Its value is its time: a frame is 1/64 s, wherever the samples lay.
    let frames = &reader.frames[120..];
    let mean = (frames[frames.len() - 1][0] - frames[0][0]) / (frames.len() - 1) as f64;
    assert!((mean * 64.0 - 1.0).abs() < 0.1, "{mean}");
    let transit_ms = reader.flow().transit_ms.unwrap();
    assert!((-5.0..200.0).contains(&transit_ms), "{transit_ms}");
}

#[test]
fn streams_on_the_network_are_listed() {
    let _outlet = Outlet::start("listed", "EMG", 8, 1000.0, "int16", false);
    let found = lsl::streams(Duration::from_millis(600));
    let listed = found.iter().find(|info| info.name == "listed").unwrap();
    assert_eq!((listed.kind.as_str(), listed.channel_count, listed.url()), ("EMG", 8, "lsl://listed".to_owned()));
}

#[test]
fn a_stream_of_text_is_refused_with_a_sentence() {
    let _outlet = Outlet::start("words", "Markers", 1, 0.0, "string", false);
    let mut reader = Reader::open("lsl://words");
    reader.until("it is told", || {}, |reader| reader.said("sends text, not numbers"));
}
