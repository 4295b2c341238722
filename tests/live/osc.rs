//! Sensors that speak OSC.

use std::net::UdpSocket;
use std::time::{Duration, SystemTime};

use rosc::{OscBundle, OscMessage, OscPacket, OscTime, OscType, encoder};
use wavedream::signal;

use super::made::{Beat, Reader, sender};

fn message(address: &str, args: &[f32]) -> OscPacket {
    OscPacket::Message(OscMessage {
        addr: address.into(),
        args: args.iter().map(|value| OscType::Float(*value)).collect(),
    })
}

fn send(socket: &UdpSocket, packet: &OscPacket) {
    socket.send(&encoder::encode(packet).unwrap()).unwrap();
}

fn tagged(time: SystemTime, packet: OscPacket) -> OscPacket {
    OscPacket::Bundle(OscBundle { timetag: OscTime::try_from(time).unwrap(), content: vec![packet] })
}

#[test]
fn wind_becomes_channels_at_an_even_rate() {
    let mut reader = Reader::open("osc://127.0.0.1:0/wind?rate=50&events=/gust");
    let socket = sender(&reader.address());
    let mut beat = Beat::new(20.0);
    let speak = |n: u64| {
        let x = n as f32 / 20.0;
        send(&socket, &tagged(SystemTime::now(), message("/wind/speed", &[x, 7.0])));
        send(&socket, &message("/other", &[1000.0]));
        if n % 20 == 10 {
            send(&socket, &message("/gust", &[]));
        }
    };
    reader.until("frames come", || beat.due(speak), |reader| reader.flow().received > 0 && reader.frames.len() > 150);
    assert_eq!(reader.names(), ["/wind/speed:0", "/wind/speed:1", "/gust"]);
    let frames = &reader.frames[50..];
    // A ramp of 1 a second is 0.02 a frame, however the messages came.
    let steps: Vec<f64> = frames.windows(2).map(|pair| pair[1][0] - pair[0][0]).collect();
    let mean = steps.iter().sum::<f64>() / steps.len() as f64;
    assert!((mean - 0.02).abs() < 0.004, "{mean}");
    assert!(frames.iter().all(|frame| (frame[1] - 7.0).abs() < 1e-6));
    let gusts = frames.windows(2).filter(|pair| pair[1][2] > pair[0][2] + 0.5).count();
    assert!((1..=4).contains(&gusts), "{gusts}");
    let flow = reader.flow();
    assert!((flow.measured_rate_hz.unwrap() - 20.0).abs() < 2.0 && flow.malformed == 0, "{flow:?}");
}

#[test]
fn a_muse_passes_untouched_and_a_blink_is_a_pulse() {
    let mut reader = Reader::open("osc://127.0.0.1:0?preset=muse");
    let socket = sender(&reader.address());
    let mut beat = Beat::new(256.0);
    let speak = |n: u64| {
        let x = n as f32;
        send(&socket, &message("/muse/eeg", &[x, x + 0.25, x + 0.5, x + 0.75, 0.0, 0.0]));
        send(&socket, &message("/muse/elements/alpha_absolute", &[0.5]));
        if n == 200 {
            send(&socket, &message("/muse/elements/blink", &[1.0]));
        }
    };
    reader.until("frames come", || beat.due(speak), |reader| reader.flow().received > 0 && reader.frames.len() > 600);
    assert_eq!(reader.names(), ["TP9", "AF7", "AF8", "TP10", "blink", "jaw"]);
    assert_eq!(reader.source.description().rate_hz, 256.0);
    let heard = reader.heard();
    let first = heard[0][0];
    for (n, frame) in heard.iter().enumerate() {
        assert_eq!(frame[..4], [0.0, 0.25, 0.5, 0.75].map(|part| first + n as f64 + part), "no sample is lost or bent");
    }
    assert!(heard.iter().any(|frame| frame[4] > 0.9) && heard[0][4] == 0.0);
}

#[test]
fn openbci_sends_channels_apart() {
    let mut reader = Reader::open("osc://127.0.0.1:0?preset=openbci");
    let socket = sender(&reader.address());
    let mut beat = Beat::new(50.0);
    let speak = |n: u64| {
        let samples: Vec<f32> = (0..5).map(|sample| (5 * n + sample) as f32).collect();
        for channel in 0..3 {
            send(&socket, &message(&format!("/openbci/time-series-filtered/ch{channel}"), &samples));
        }
    };
    reader.until("frames come", || beat.due(speak), |reader| reader.flow().received > 0 && reader.frames.len() > 300);
    assert_eq!(reader.names(), ["ch0", "ch1", "ch2"]);
    let heard = reader.heard();
    let first = heard[0][0];
    for (n, frame) in heard.iter().enumerate() {
        assert_eq!(frame, &[first + n as f64; 3]);
    }
}

#[test]
fn silence_is_told_and_filled_and_so_is_the_return() {
    let mut reader = Reader::open("osc://127.0.0.1:0/s?stale=0.5&then=calm&rate=50");
    let socket = sender(&reader.address());
    let mut beat = Beat::new(50.0);
    let speak = |n: u64| send(&socket, &message("/s", &[40.0 + (n % 2) as f32]));
    reader.until("frames come", || beat.due(speak), |reader| reader.flow().received > 50);
    reader.until("silence is told", || {}, |reader| reader.said("silent for"));
    reader.frames.clear();
    reader.until("it goes on", || {}, |reader| reader.frames.len() > 50);
    assert!(reader.frames.iter().all(|frame| frame[0].is_finite()), "what plays is calm");
    assert!(reader.flow().stale && reader.source.state().unwrap().contains("silent"));
    let mut beat = Beat::new(50.0);
    reader.until("the return is told", || beat.due(speak), |reader| reader.said("is back"));
}

#[test]
fn a_port_that_is_taken_is_one_sentence_with_the_way_out() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("osc://{}/wind", taken.local_addr().unwrap());
    let said = signal::open(&url).err().unwrap().to_string();
    assert!(said.contains("is taken") && said.contains("--osc") && !said.contains('\n'), "{said}");
}

#[test]
fn what_cannot_be_meant_is_told_with_what_can() {
    for (url, expected) in [
        ("osc://127.0.0.1:0?preset=muze", "did you mean 'muse'"),
        ("osc://127.0.0.1:0/a?rat=3", "did you mean 'rate'"),
        ("osc://127.0.0.1:99999/a", "osc://0.0.0.0:9001"),
        ("osc://127.0.0.1:0/a?then=explode", "hold, calm or stand-in"),
        ("osc://127.0.0.1:0/a?events=blink", "/sensor/*/x"),
        ("udp://127.0.0.1:0?rate=fast", "samples a second"),
        ("stdin://?format=f32", "channels="),
        ("serial://", "serial:///dev/ttyUSB0"),
        ("zmq://host:many", "zmq://127.0.0.1:5556"),
        ("audio://default?as=colour", "wave, bands or level"),
    ] {
        let said = signal::open(url).err().unwrap().to_string();
        assert!(said.contains(expected) && said.starts_with(url), "{url}: {said}");
    }
}

#[test]
fn a_source_lets_go_of_its_port() {
    let mut reader = Reader::open("osc://127.0.0.1:0/a");
    let address = reader.address();
    drop(reader);
    std::thread::sleep(Duration::from_millis(10));
    Reader::open(&format!("osc://{address}/a"));
}
