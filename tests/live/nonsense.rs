//! Random bytes at every port: counted, told, and nothing stops.

use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

use super::made::{Reader, sender};
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
