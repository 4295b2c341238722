//! Random bytes at every port: counted, told, and nothing stops.

use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::made::{Beat, Reader, sender};
use super::outlet::Outlet;

/// Bytes that are no protocol, by SplitMix64.
struct Noise(u64);

impl Noise {
    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length)
            .map(|_| {
                self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                (z >> 56) as u8
            })
            .collect()
    }
}

#[test]
fn random_packets_are_counted_and_told_and_true_ones_still_heard() {
    for url in ["osc://127.0.0.1:0/a", "osc://127.0.0.1:0?preset=muse", "udp://127.0.0.1:0"] {
        let mut reader = Reader::open(url);
        let address = reader.address();
        let socket = sender(&address);
        let mut noise = Noise(7);
        for length in (1..400).chain([1400, 9000]) {
            let mut bytes = noise.bytes(length);
            if length % 3 == 0 {
                // As if it were something.
                bytes.splice(..0, *b"/muse/eeg\0\0\0,ffff\0\0\0");
            } else if length % 5 == 0 {
                bytes.splice(..0, *b"#bundle\0");
            }
            socket.send(&bytes).unwrap();
            if length % 50 == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        reader.until("they are counted", || {}, |reader| reader.flow().malformed > 100);
        assert!(reader.said("not understood"), "{url}");
        assert!(reader.frames.iter().flatten().all(|x| x.is_finite()));
    }
}

#[test]
fn an_outlet_that_sends_rubbish_is_left_and_looked_for_again() {
    let outlet = Outlet::start("rubbish", "EEG", 4, 100.0, "float32", false);
    outlet.talk_rubbish();
    let mut reader = Reader::open("lsl://rubbish");
    let beat = |outlet: &Outlet| outlet.push(&[0.0; 4], None);
    reader.until("it is told", || beat(&outlet), |reader| reader.said("is gone (its"));
    reader.until("and tried again", || beat(&outlet), |reader| reader.flow().reconnects >= 2);
}

#[test]
fn a_zmq_port_that_speaks_something_else_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut noise = Noise(3);
        for stream in listener.incoming().take(8) {
            drop(stream.and_then(|mut stream| stream.write_all(&noise.bytes(4000))));
        }
    });
    let mut reader = Reader::open(&format!("zmq://{address}"));
    reader.until("it is told", || {}, |reader| reader.said("nothing answers") || reader.said("connection broke"));
    reader.until("a calm signal plays", || {}, |reader| reader.frames.len() > 20);
}

#[test]
fn answers_to_a_search_that_are_rubbish_do_not_hide_the_stream() {
    // Stands where outlets are asked, and answers everything with what is almost one.
    let Some(service) = (16_572..16_600).find_map(|port| UdpSocket::bind(("127.0.0.1", port)).ok()) else { return };
    service.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let rogue = std::thread::spawn(move || {
        let (mut noise, mut buffer, mut answers) = (Noise(11), [0; 4096], 0usize);
        while !stopped.load(Ordering::Relaxed) {
            let Ok((length, from)) = service.recv_from(&mut buffer) else { continue };
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let id = text.lines().nth(2).and_then(|line| line.split(' ').nth(1)).unwrap_or("x").to_owned();
            let xml = "<info><name>found</name><channel_count>999999999999</channel_count><nominal_srate>-1e308";
            for bytes in [
                noise.bytes(answers % 700),
                [id.as_bytes(), &b"\r\n"[..], &noise.bytes(300)[..]].concat(),
                format!("{id}\r\n{xml}").into_bytes(),
            ] {
                drop(service.send_to(&bytes, from));
                answers += 1;
            }
        }
        answers
    });
    let outlet = Outlet::start("found", "EEG", 2, 100.0, "float32", false);
    let mut reader = Reader::open("lsl://found");
    let mut beat = Beat::new(100.0);
    reader.until(
        "the true one is found",
        || beat.due(|n| outlet.push(&[n as f64, 0.0], None)),
        |reader| reader.flow().received > 20,
    );
    stop.store(true, Ordering::Relaxed);
    assert!(rogue.join().unwrap() > 0, "it was asked");
}

#[cfg(unix)]
#[test]
fn noise_on_a_wire_is_counted_and_the_numbers_after_it_are_heard() {
    use serialport::{SerialPort, TTYPort};
    let (mut ours, theirs) = TTYPort::pair().unwrap();
    let mut reader = Reader::open(&format!("serial://{}?rate=100", theirs.name().unwrap()));
    let mut noise = Noise(5);
    for length in 1..200 {
        ours.write_all(&noise.bytes(length)).unwrap();
        reader.read();
    }
    reader.until("it is counted", || {}, |reader| reader.flow().malformed > 10);
    // A line of its own again, and the same two numbers from then on.
    ours.write_all(b"\n").unwrap();
    let mut beat = Beat::new(100.0);
    let two = |reader: &Reader| reader.frames.last().is_some_and(|frame| frame[..] == [42.0, -1.5]);
    reader.until("numbers come", || beat.due(|_| ours.write_all(b"42 -1.5\n").unwrap()), two);
    assert!(reader.frames.iter().flatten().all(|x| !x.is_infinite()));
}

#[test]
fn noise_in_a_pipe_ends_with_a_report_or_a_sentence() {
    for format in ["lines", "f32"] {
        let url = format!("stdin://?rate=1000&format={format}&channels={}", if format == "f32" { "4" } else { "0" });
        let mut child = Command::new(env!("CARGO_BIN_EXE_wavedream"))
            .args(["inspect", &url, "--seconds", "1", "--json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let feeder = std::thread::spawn(move || {
            let mut noise = Noise(17);
            // Until nobody reads any more.
            for _ in 0..2000 {
                if pipe.write_all(&noise.bytes(1021)).is_err() {
                    return;
                }
            }
        });
        let output = child.wait_with_output().unwrap();
        feeder.join().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{format}: {said}");
        assert!(!said.contains("panicked") && said.lines().count() <= 4, "{format}: {said}");
        if output.status.success() {
            assert!(serde_json::from_slice::<serde_json::Value>(&output.stdout).is_ok(), "{format}");
        }
    }
}
