//! The ZMQ Interface of Open Ephys, spoken by a sender of three frames.

use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use zeromq::{PubSocket, Socket, SocketSend, ZmqMessage};

use super::made::{Beat, Reader};

struct Ephys {
    runtime: Runtime,
    socket: PubSocket,
    endpoint: String,
}

impl Ephys {
    fn start(endpoint: &str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let inside = runtime.enter();
        let mut socket = PubSocket::new();
        drop(inside);
        let endpoint = runtime.block_on(socket.bind(endpoint)).unwrap().to_string();
        Self { runtime, socket, endpoint }
    }

    fn url(&self) -> String {
        self.endpoint.replace("tcp://", "zmq://")
    }

    fn send(&mut self, stream: &str, channel: u64, first: u64, samples: &[f32], rate_hz: f64) {
        let header = json!({
            "message_num": 0, "type": "data", "data_size": 4 * samples.len(), "timestamp": 0,
            "content": {
                "stream": stream, "channel_num": channel, "channel_name": format!("CH{}", channel + 1),
                "num_samples": samples.len(), "sample_num": first, "sample_rate": rate_hz,
            },
        });
        let body: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
        let mut message = ZmqMessage::from(b"DATA\0".to_vec());
        message.push_back(header.to_string().into_bytes().into());
        message.push_back(body.into());
        self.runtime.block_on(self.socket.send(message)).unwrap();
    }
}

#[test]
fn channels_and_streams_are_put_together_by_sample_number() {
    let mut ephys = Ephys::start("tcp://127.0.0.1:0");
    let mut reader = Reader::open(&ephys.url());
    let mut beat = Beat::new(50.0);
    let mut speak = |n: u64| {
        let first = 20 * n;
        let samples: Vec<f32> = (0..20).map(|sample| (first + sample) as f32).collect();
        for channel in 0..3 {
            ephys.send("probe", channel, 9_000_000 + first, &samples, 1000.0);
        }
        ephys.send("probe-b", 0, 77 + first, &samples, 1000.0);
        ephys.send("slow", 0, first / 100, &samples[..1], 10.0);
    };
    reader.until("frames come", || beat.due(&mut speak), |reader| reader.flow().received > 1000);
    assert_eq!(reader.names(), ["probe CH1", "probe CH2", "probe CH3", "probe-b CH1"]);
    assert_eq!(reader.source.description().rate_hz, 1000.0);
    let heard = reader.heard();
    let first = heard[0][0];
    for (n, frame) in heard.iter().enumerate() {
        assert_eq!(frame, &[first + n as f64; 4]);
    }
    assert_eq!(reader.flow().lost, 0);
    assert!(reader.said("slow has 10 samples a second"));
}

#[test]
fn samples_that_never_come_are_counted_and_a_new_acquisition_is_followed() {
    let mut ephys = Ephys::start("tcp://127.0.0.1:0");
    let mut reader = Reader::open(&format!("{}?stream=a", ephys.url()));
    let mut beat = Beat::new(50.0);
    let mut speak = |n: u64| {
        for channel in 0..2 {
            if !(n == 100 && channel == 1) {
                ephys.send("a", channel, 10 * n, &[n as f32; 10], 500.0);
            }
        }
    };
    reader.until("frames come", || beat.due(&mut speak), |reader| reader.frames.iter().any(|frame| frame[0] > 120.0));
    let gap = reader.frames.iter().filter(|frame| frame[0] == 100.0 && frame[1].is_nan()).count();
    assert_eq!(gap, 10);
    assert_eq!(reader.flow().lost, 5, "half of ten frames");
    // Started again: its numbers begin anew.
    let mut beat = Beat::new(50.0);
    let mut speak = |n: u64| (0..2).for_each(|channel| ephys.send("a", channel, 10 * n, &[-1.0; 10], 500.0));
    reader.frames.clear();
    let again = |reader: &Reader| reader.frames.iter().filter(|frame| frame[..] == [-1.0, -1.0]).count() > 200;
    reader.until("frames come again", || beat.due(&mut speak), again);
}

#[test]
fn who_is_not_there_is_waited_for() {
    let mut ephys = Ephys::start("tcp://127.0.0.1:0");
    let endpoint = ephys.endpoint.clone();
    let url = ephys.url();
    drop(ephys);
    let mut reader = Reader::open(&url);
    reader.until("it is told", || {}, |reader| reader.said("nothing answers"));
    ephys = Ephys::start(&endpoint);
    let mut beat = Beat::new(50.0);
    let mut speak = |n: u64| ephys.send("a", 0, 10 * n, &[1.0; 10], 500.0);
    reader.until("frames come", || beat.due(&mut speak), |reader| reader.flow().received > 100);
}
