//! Lines of numbers and OpenBCI's JSON, by UDP, by wire and by pipe.

use std::io::Write;
use std::process::{Command, Stdio};

use super::made::{Beat, Reader, sender};

#[test]
fn packets_of_numbers_are_measured_and_pass_untouched() {
    let mut reader = Reader::open("udp://127.0.0.1:0");
    let socket = sender(&reader.address());
    let mut beat = Beat::new(50.0);
    let speak = |n: u64| {
        let lines: Vec<String> = (0..5).map(|line| format!("{}; {}", 5 * n + line, -2)).collect();
        socket.send(lines.join("\n").as_bytes()).unwrap();
    };
    reader.until("frames come", || beat.due(speak), |reader| reader.flow().received > 400);
    assert_eq!(reader.names().len(), 2);
    let rate_hz = reader.source.description().rate_hz;
    assert!((240.0..262.0).contains(&rate_hz), "{rate_hz}");
    for pair in reader.heard().windows(2) {
        assert_eq!(pair[1], [pair[0][0] + 1.0, -2.0]);
    }
}

#[test]
fn openbci_json_is_taken_and_what_is_malformed_is_counted() {
    let mut reader = Reader::open("udp://127.0.0.1:0?rate=250");
    let socket = sender(&reader.address());
    let mut beat = Beat::new(50.0);
    let speak = |n: u64| {
        let list: Vec<u64> = (5 * n..5 * n + 5).collect();
        let text = format!("{{\"type\":\"timeSeriesRaw\",\"data\":[{list:?},{list:?},{list:?}]}}\r\n");
        socket.send(text.as_bytes()).unwrap();
        if n.is_multiple_of(10) {
            socket.send(b"{\"type\":\"timeSer").unwrap();
            socket.send(&[0xff, 0xfe, 0]).unwrap();
        }
    };
    reader.until("frames come", || beat.due(speak), |reader| reader.flow().received > 200);
    for pair in reader.heard().windows(2) {
        assert_eq!(pair[1], [pair[0][0] + 1.0; 3]);
    }
    assert!(reader.flow().malformed >= 4 && reader.said("not understood"));
}

#[cfg(unix)]
#[test]
fn a_wire_is_read_and_opened_again_when_it_comes_back() {
    use serialport::{SerialPort, TTYPort};
    let folder = tempfile::tempdir().unwrap();
    let device = folder.path().join("tty");
    let plug = || {
        let (ours, theirs) = TTYPort::pair().unwrap();
        drop(std::fs::remove_file(&device));
        std::os::unix::fs::symlink(theirs.name().unwrap(), &device).unwrap();
        (ours, theirs)
    };
    let mut reader = Reader::open(&format!("serial://{}?rate=100", device.display()));
    reader.until("it is told that it waits", || {}, |reader| reader.said("it is waited for"));
    let speak = |port: &mut TTYPort, n: u64| port.write_all(format!("x:{n},y:{}\r\n", 2 * n).as_bytes()).unwrap();

    let (mut ours, theirs) = plug();
    let mut beat = Beat::new(100.0);
    let came = |reader: &Reader| reader.flow().received > 100 && reader.frames.len() > 100;
    reader.until("frames come", || beat.due(|n| speak(&mut ours, n)), came);
    assert_eq!(reader.names(), ["x", "y"]);
    let whole = reader.frames.iter().filter(|frame| frame[0].is_finite());
    assert!(whole.clone().count() > 90 && whole.into_iter().all(|frame| frame[1] == 2.0 * frame[0]));

    drop((ours, theirs));
    reader.until("it is told that it is gone", || {}, |reader| reader.said("is gone"));
    let (mut ours, _theirs) = plug();
    reader.frames.clear();
    let mut beat = Beat::new(100.0);
    let again = |reader: &Reader| reader.frames.iter().filter(|frame| frame[0].is_finite()).count() > 50;
    reader.until("frames come again", || beat.due(|n| speak(&mut ours, n)), again);
    assert!(reader.flow().reconnects >= 1);
}

fn inspected(url: &str, input: &[u8]) -> serde_json::Value {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wavedream"))
        .args(["inspect", url, "--seconds", "20", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

#[test]
fn a_pipe_is_read_to_its_end_and_no_further() {
    let text: String = (0..500).map(|n| format!("{n}\t{}\n", n % 7)).collect();
    let report = inspected("stdin://?rate=1000", text.as_bytes());
    assert_eq!(report["channels"][0]["max"], 499.0);
    assert_eq!((&report["live"]["received"], &report["inspected_secs"]), (&500.into(), &0.5.into()));

    let floats: Vec<u8> = (0..600).flat_map(|n| (n as f32).to_le_bytes()).collect();
    let report = inspected("stdin://?rate=1000&format=f32&channels=3", &floats[..floats.len() - 2]);
    assert_eq!(report["channels"][2]["max"], 596.0);
    assert_eq!((&report["live"]["received"], &report["live"]["malformed"]), (&199.into(), &1.into()));
}
