//! Recordings: every value where it belongs. The fixtures are made by tests/fixtures/signal/make.py.

use std::io::Write;

use super::made::{channel, frames};
use wavedream::signal::{Description, inspect, open};

fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/signal/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn read(url: &str) -> (Description, Vec<Vec<f64>>) {
    let mut source = open(url).unwrap_or_else(|error| panic!("{error}"));
    let all = frames(source.as_mut(), 100_000);
    (source.description().clone(), all)
}

fn table(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.flush().unwrap();
    file
}

fn read_table(text: &str, query: &str) -> (Description, Vec<Vec<f64>>) {
    let file = table(text);
    read(&format!("{}{query}", file.path().display()))
}

#[test]
fn npy_of_every_order_and_type_holds_the_same_table() {
    let expected: Vec<Vec<f64>> =
        (0..40).map(|row| (0..3).map(|column| f64::from(100 * column + row)).collect()).collect();
    for name in ["c_order.npy", "fortran_big_endian.npy", "wide.npy", "version_2.npy"] {
        let (description, all) = read(&format!("{}?rate=100", fixture(name)));
        assert_eq!(all, expected, "{name}");
        assert_eq!((description.rate_hz, description.duration_secs), (100.0, Some(0.4)));
    }
    let (_, single) = read(&format!("{}?rate=10", fixture("single.npy")));
    assert_eq!(channel(&single, 0), (0..40).map(f64::from).collect::<Vec<_>>());
}

#[test]
fn the_axis_of_time_can_be_said() {
    let (description, all) = read(&format!("{}?rate=100&time=1", fixture("c_order.npy")));
    assert_eq!((description.channels.len(), all.len()), (40, 3));
    assert_eq!(all[2][7], 207.0);
}

#[test]
fn query_keys_choose_cut_scale_and_loop() {
    let (description, all) = read(&format!("{}?rate=10&channels=2,0-1&from=1&to=2&scale=0.5", fixture("c_order.npy")));
    assert_eq!(description.duration_secs, Some(1.0));
    assert_eq!(description.channels.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["ch2", "ch0", "ch1"]);
    assert_eq!(all.len(), 10);
    assert_eq!(all[3], [106.5, 6.5, 56.5]);
    let mut looped = open(&format!("{}?rate=10&loop", fixture("single.npy"))).unwrap();
    assert_eq!(looped.description().duration_secs, None);
    assert_eq!(frames(looped.as_mut(), 95)[90], [10.0]);
}

#[test]
fn a_rate_that_is_not_known_is_asked_for_with_an_example() {
    let error = open(&fixture("c_order.npy")).err().unwrap().to_string();
    assert!(error.contains("c_order.npy?rate=1000\""), "{error}");
    let table = table("a,b\n0.5,2.5\n0.1,2.25\n0.7,9\n");
    let error = open(table.path().to_str().unwrap()).err().unwrap().to_string();
    assert!(error.contains("?rate=1000\""), "{error}");
}

#[test]
fn edf_of_two_rates_is_read_whole() {
    let (description, all) = read(&fixture("two_rates.edf"));
    assert_eq!((description.rate_hz, all.len()), (20.0, 80));
    let of_channels: Vec<_> =
        description.channels.iter().map(|c| (c.name.as_str(), c.unit.as_str(), c.rate_hz)).collect();
    assert_eq!(of_channels, [("lfp", "µV", 20.0), ("lfp (2)", "mV", 5.0)]);
    assert_eq!(channel(&all, 0), (0..80).map(f64::from).collect::<Vec<_>>());
    assert!(channel(&all, 1).iter().all(|x| (x - 0.5).abs() < 1e-9));
    let remark = &description.annotations[..];
    assert_eq!((remark.len(), remark[0].text.as_str()), (1, "lever pressed"));
    assert_eq!((remark[0].onset_secs, remark[0].duration_secs), (2.25, Some(0.5)));
    let odd = description.odd.join("; ");
    assert!(odd.contains("-1") && odd.contains("differ in rate") && odd.contains("more than once"), "{odd}");
}

#[test]
fn edf_can_be_brought_to_a_rate_and_cut() {
    let (description, all) = read(&format!("{}?rate=10&from=2", fixture("two_rates.edf")));
    assert_eq!((description.rate_hz, all.len()), (10.0, 20));
    assert_eq!(description.annotations[0].onset_secs, 0.25);
    assert!((all[5][0] - 50.0).abs() < 2.0);
}

#[test]
fn an_interrupted_recording_keeps_its_time() {
    let (description, all) = read(&fixture("interrupted.edf"));
    assert_eq!(all.len(), 20 * 4 + 10);
    assert_eq!((all[39][0], all[70][0]), (39.0, 40.0));
    assert!(all[40..70].iter().all(|frame| frame[0].is_nan()));
    assert!(description.odd.iter().any(|sentence| sentence.contains("interrupted")));
}

#[test]
fn bdf_has_24_bits_and_its_triggers_are_left_out() {
    let (description, all) = read(&fixture("small.bdf"));
    assert_eq!(description.channels.len(), 1);
    assert_eq!(channel(&all, 0), (0..32).map(|n| f64::from(n) * -1000.0).collect::<Vec<_>>());
    let (_, triggers) = read(&format!("{}?channels=Status", fixture("small.bdf")));
    assert_eq!(channel(&triggers, 0), vec![1.0; 32]);
}

#[test]
fn edf_that_was_cut_off_gives_its_whole_records_and_says_so() {
    let bytes = std::fs::read(fixture("interrupted.edf")).unwrap();
    let mut file = tempfile::Builder::new().suffix(".edf").tempfile().unwrap();
    file.write_all(&bytes[..bytes.len() - 30]).unwrap();
    file.flush().unwrap();
    let (description, all) = read(file.path().to_str().unwrap());
    assert_eq!(all.len(), 40);
    assert!(description.odd.iter().any(|sentence| sentence.contains("cut off")), "{:?}", description.odd);
}

#[test]
fn wav_is_scaled_to_one() {
    let (description, all) = read(&fixture("stereo.wav"));
    assert_eq!((description.rate_hz, all.len(), description.channels[1].name.as_str()), (1000.0, 50, "right"));
    assert_eq!(all[32], [0.25, -0.25]);
}

#[test]
fn wav_of_other_widths_is_read() {
    for (bits, sample_format) in [
        (8, hound::SampleFormat::Int),
        (24, hound::SampleFormat::Int),
        (32, hound::SampleFormat::Int),
        (32, hound::SampleFormat::Float),
    ] {
        let file = tempfile::Builder::new().suffix(".wav").tempfile().unwrap();
        let spec = hound::WavSpec { channels: 1, sample_rate: 8000, bits_per_sample: bits, sample_format };
        let mut writer = hound::WavWriter::create(file.path(), spec).unwrap();
        for n in 0..100 {
            match sample_format {
                hound::SampleFormat::Float => writer.write_sample(n as f32 / 128.0).unwrap(),
                hound::SampleFormat::Int => writer.write_sample(n << (bits - 8)).unwrap(),
            }
        }
        writer.finalize().unwrap();
        let (_, all) = read(file.path().to_str().unwrap());
        assert_eq!(channel(&all, 0), (0..100).map(|n| f64::from(n) / 128.0).collect::<Vec<_>>(), "{bits} bits");
    }
}

#[test]
fn tables_are_read_as_people_write_them() {
    let cases = [
        ("time,speed (m/s),gust\n0,1,2\n0.5,3,4\n1,5,6\n", ""),
        ("time (ms);speed [m/s];gust\n0;1;2\n500;3,0;4\n1000;5;6,0\n", ""),
        ("# logged by hand\ntime\tspeed (m/s)\tgust\n10\t1\t2\n10.5\t3\t4\n11\t5\t6\n", ""),
        (
            "\u{feff}timestamp,speed (m/s),gust\n2024-02-28T23:59:59.5Z,1,2\n2024-02-29T00:00:00Z,3,4\n2024-02-29T00:00:00.5Z,5,6\n",
            "",
        ),
        ("time,speed (m/s),gust\n1700000000000,1,2\n1700000000500,3,4\n1700000001000,5,6\n", ""),
        ("index,speed (m/s),gust\n0,1,2\n1,3,4\n2,5,6\n", "?rate=2"),
        ("speed (m/s),gust\n1,2\n3,4\n5,6", "?rate=2"),
        ("gust,stamp,speed (m/s)\n2,0,1\n4,0.5,3\n6,1,5\n", "?time=stamp&channels=speed,gust"),
    ];
    for (text, query) in cases {
        let (description, all) = read_table(text, query);
        assert_eq!(description.rate_hz, 2.0, "{text}");
        assert_eq!(all, [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "{text}");
        assert_eq!((description.channels[0].name.as_str(), description.channels[0].unit.as_str()), ("speed", "m/s"));
    }
}

#[test]
fn tables_without_a_header_find_time_by_its_rise() {
    for text in ["0.00 5 6\n0.01 7 8\n0.02 9 5\n", "0.00,5,6\r\n0.01,7,8\r\n0.02,9,5\r\n"] {
        let (description, all) = read_table(text, "");
        assert!((description.rate_hz - 100.0).abs() < 1e-9);
        assert_eq!(all, [[5.0, 6.0], [7.0, 8.0], [9.0, 5.0]]);
    }
    let (_, all) = read_table("5\n7\n6\n", "?rate=1");
    assert_eq!(channel(&all, 0), [5.0, 7.0, 6.0]);
}

#[test]
fn uneven_rows_are_put_on_an_even_grid_and_gaps_stay_missing() {
    let text = "t,x\n0,0\n1,10\n2.5,25\n3,30\n4,40\n10,100\n11,110\n";
    let (description, all) = read_table(text, "");
    assert_eq!(description.rate_hz, 1.0);
    let x = channel(&all, 0);
    assert_eq!(x[..5], [0.0, 10.0, 20.0, 30.0, 40.0]);
    assert!(x[5..10].iter().all(|x| x.is_nan()));
    assert_eq!(x[10..], [100.0, 110.0]);
    assert!(description.odd.iter().any(|sentence| sentence.contains("uneven")));
}

#[test]
fn cells_that_are_no_numbers_are_missing_samples_and_said() {
    let (description, all) = read_table("a,note,b\n1,x,2\n,y,4\nNaN,z,6\n", "?rate=1");
    assert_eq!(description.channels.len(), 2);
    assert!(all[1][0].is_nan() && all[2][0].is_nan() && all[2][1] == 6.0);
    let odd = description.odd.join("; ");
    assert!(odd.contains("note") && odd.contains("2 of 3"), "{odd}");
}

#[test]
fn inspect_reports_each_channel_in_a_table_and_as_json() {
    let report = inspect(&fixture("two_rates.edf"), None).unwrap();
    let first = &report.channels[0];
    assert_eq!((first.min, first.max, first.mean, first.flat), (0.0, 79.0, 39.5, false));
    let truth = ((0..80).map(|x| f64::from(x * x)).sum::<f64>() / 80.0).sqrt();
    assert!((first.rms - truth).abs() < 1e-9);
    // Figures of what the file has, not of what resampling makes of it.
    assert_eq!((report.channels[1].min, report.channels[1].max), (0.5, 0.5));
    assert_eq!((report.duration_secs, report.measured_rate_hz), (Some(4.0), None));
    let json = serde_json::to_value(&report).unwrap();
    for key in ["channels", "rate_hz", "measured_rate_hz", "duration_secs", "odd", "annotations"] {
        assert!(json.get(key).is_some(), "{key}");
    }
    for key in ["name", "unit", "rate_hz", "min", "max", "mean", "rms", "flat", "clipped", "bridged"] {
        assert!(json["channels"][0].get(key).is_some(), "{key}");
    }
    let text = report.to_string();
    assert!(text.contains("lfp (2)") && text.contains("lever pressed") && text.contains("odd"), "{text}");
    let part = inspect("synth://wind", Some(3.0)).unwrap();
    assert_eq!((part.inspected_secs, part.duration_secs), (3.0, None));
}
