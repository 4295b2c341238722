//! A small outlet that speaks LSL's protocol 1.10 as liblsl does: discovery, clock, description and feed.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// This outlet's clock is ahead of the machine's by so many seconds.
pub const AHEAD_SECS: f64 = 5000.0;
const PATTERN_STAMP: f64 = 123_456.789;

pub struct Outlet {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    info: String,
    full: String,
    name: String,
    uid: String,
    format: &'static str,
    channels: usize,
    big_endian: bool,
    rubbish: AtomicBool,
    stop: AtomicBool,
    begun: Instant,
    pushed: AtomicU64,
    clients: Mutex<Vec<TcpStream>>,
}

impl Outlet {
    /// `rate_hz` is 0 for a stream without a beat.
    pub fn start(
        name: &str,
        kind: &str,
        channels: usize,
        rate_hz: f64,
        format: &'static str,
        big_endian: bool,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let service = (16_572..16_605).find_map(|port| UdpSocket::bind(("127.0.0.1", port)).ok()).unwrap();
        service.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        listener.set_nonblocking(true).unwrap();
        let begun = Instant::now();
        let uid = format!("{name}-{}-{:?}", std::process::id(), begun);
        let head = format!(
            "<?xml version=\"1.0\"?>\n<info>\n<name>{name}</name><type>{kind}</type><channel_count>{channels}\
             </channel_count><channel_format>{format}</channel_format><source_id>src-{name}</source_id>\
             <nominal_srate>{rate_hz}</nominal_srate><version>1.1</version><uid>{uid}</uid><session_id>default\
             </session_id><hostname>here</hostname><v4address></v4address><v4data_port>{}</v4data_port>\
             <v4service_port>{}</v4service_port>",
            listener.local_addr().unwrap().port(),
            service.local_addr().unwrap().port(),
        );
        let labels: String =
            (0..channels).map(|n| format!("<channel><label>E{n}</label><unit>microvolts</unit></channel>")).collect();
        let shared = Arc::new(Shared {
            info: format!("{head}<desc /></info>\n"),
            full: format!("{head}<desc><channels>{labels}</channels></desc></info>\n"),
            name: name.into(),
            uid,
            format,
            channels,
            big_endian,
            rubbish: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            begun,
            pushed: AtomicU64::new(0),
            clients: Mutex::default(),
        });
        let (asked, fed) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads =
            vec![std::thread::spawn(move || asked.answer(&service)), std::thread::spawn(move || fed.accept(&listener))];
        Self { shared, threads }
    }

    pub fn clock(&self) -> f64 {
        self.shared.clock()
    }

    pub fn is_heard(&self) -> bool {
        !self.shared.clients.lock().unwrap().is_empty()
    }

    pub fn talk_rubbish(&self) {
        self.shared.rubbish.store(true, Ordering::Relaxed);
    }

    /// Sends a sample; without a stamp its time is deduced.
    pub fn push(&self, values: &[f64], stamp: Option<f64>) {
        let bytes = self.shared.sample(values, stamp);
        self.shared.pushed.fetch_add(1, Ordering::Relaxed);
        self.shared.clients.lock().unwrap().retain_mut(|client| client.write_all(&bytes).is_ok());
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
        for client in self.shared.clients.lock().unwrap().drain(..) {
            drop(client.shutdown(Shutdown::Both));
        }
    }
}

impl Shared {
    fn clock(&self) -> f64 {
        AHEAD_SECS + self.begun.elapsed().as_secs_f64()
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn answer(&self, service: &UdpSocket) {
        let mut buffer = [0; 4096];
        while !self.stopped() {
            let Ok((length, from)) = service.recv_from(&mut buffer) else { continue };
            let received = self.clock();
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let mut lines = text.lines();
            match lines.next() {
                Some("LSL:shortinfo") => {
                    let query = lines.next().unwrap();
                    let (port, id) = lines.next().unwrap().split_once(' ').unwrap();
                    let fits = query.is_empty()
                        || query.contains(&format!("name='{}'", self.name))
                        || query.contains(&format!("source_id='src-{}'", self.name))
                        || query.contains(&format!("uid='{}'", self.uid));
                    if fits {
                        let to = (from.ip(), port.parse::<u16>().unwrap());
                        service.send_to(format!("{id}\r\n{}", self.info).as_bytes(), to).unwrap();
                    }
                }
                Some("LSL:timedata") => {
                    let (wave, asked) = lines.next().unwrap().split_once(' ').unwrap();
                    let reply = format!(" {wave} {asked} {received} {}", self.clock());
                    service.send_to(reply.as_bytes(), from).unwrap();
                }
                _ => {}
            }
        }
    }

    fn accept(&self, listener: &TcpListener) {
        while !self.stopped() {
            let Ok((mut stream, _)) = listener.accept() else {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            };
            stream.set_nonblocking(false).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            match lines.next() {
                Some(Ok(line)) if line == "LSL:fullinfo" => stream.write_all(self.full.as_bytes()).unwrap(),
                Some(Ok(line)) if line == format!("LSL:streamfeed/110 {}", self.uid) => {
                    while lines.next().is_some_and(|header| header.is_ok_and(|header| !header.is_empty())) {}
                    drop(self.greet(&mut stream).map(|()| self.clients.lock().unwrap().push(stream)));
                }
                _ => drop(stream.write_all(b"LSL/110 404 Not found\r\n\r\n")),
            }
        }
    }

    fn greet(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        let order = if self.big_endian { 4321 } else { 1234 };
        stream.write_all(
            format!(
                "LSL/110 200 OK\r\nUID: {}\r\nByte-Order: {order}\r\nSuppress-Subnormals: 0\r\n\
                 Data-Protocol-Version: 110\r\n\r\n",
                self.uid
            )
            .as_bytes(),
        )?;
        if self.rubbish.load(Ordering::Relaxed) {
            return stream.write_all(&[0x5a; 300]);
        }
        let base = match self.format {
            "double64" => 16_777_217.0,
            "int8" => 1.0,
            "int16" => 257.0,
            "int32" => 65_537.0,
            "int64" => 2_147_483_649.0,
            _ => 0.0,
        };
        for offset in [4.0, 2.0] {
            let sign = |n: usize| if n.is_multiple_of(2) { 1.0 } else { -1.0 };
            let pattern: Vec<f64> = (0..self.channels).map(|n| sign(n) * (base + offset + n as f64)).collect();
            stream.write_all(&self.sample(&pattern, Some(PATTERN_STAMP)))?;
        }
        Ok(())
    }

    fn sample(&self, values: &[f64], stamp: Option<f64>) -> Vec<u8> {
        let mut bytes = vec![if stamp.is_some() { 2 } else { 1 }];
        let mut put = |mut value: Vec<u8>| {
            if self.big_endian {
                value.reverse();
            }
            bytes.extend(value);
        };
        if let Some(stamp) = stamp {
            put(stamp.to_le_bytes().to_vec());
        }
        for value in values {
            put(match self.format {
                "double64" => value.to_le_bytes().to_vec(),
                "int8" => (*value as i8).to_le_bytes().to_vec(),
                "int16" => (*value as i16).to_le_bytes().to_vec(),
                "int32" => (*value as i32).to_le_bytes().to_vec(),
                "int64" => (*value as i64).to_le_bytes().to_vec(),
                _ => (*value as f32).to_le_bytes().to_vec(),
            });
        }
        bytes
    }
}
