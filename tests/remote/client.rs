//! As much of an HTTP and WebSocket client as these tests need, over plain sockets.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use rosc::{OscMessage, OscPacket, OscType, decoder, encoder};

pub struct Answer {
    pub code: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn connect(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// GET, with further lines of the head; the `Host` is that of the address unless they name one.
pub fn get(at: SocketAddr, path: &str, lines: &[&str]) -> Answer {
    let mut stream = connect(at);
    let host =
        if lines.iter().any(|line| line.starts_with("Host:")) { String::new() } else { format!("Host: {at}\r\n") };
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    write!(stream, "GET {path} HTTP/1.1\r\n{host}{lines}Connection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    Answer { code: head[9..12].parse().unwrap(), head, body: answer[end + 4..].to_vec() }
}

pub fn message(addr: &str, args: &[OscType]) -> Vec<u8> {
    encoder::encode(&OscPacket::Message(OscMessage { addr: addr.into(), args: args.to_vec() })).unwrap()
}

/// A message in one line.
pub fn line(bytes: &[u8]) -> String {
    match decoder::decode_udp(bytes).unwrap().1 {
        OscPacket::Message(OscMessage { addr, args }) => {
            args.iter().fold(addr, |line, arg| format!("{line} {}", arg.to_string().trim()))
        }
        OscPacket::Bundle(_) => "a bundle".into(),
    }
}

pub struct Socket(TcpStream);

/// What came: text as it is, packets as [`line`] has them.
impl Socket {
    /// The code is that of the refusal.
    pub fn open(at: SocketAddr, path: &str, lines: &[&str]) -> Result<Self, u16> {
        let mut stream = connect(at);
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {at}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{lines}\r\n"
        )
        .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        match head[9..12].parse().unwrap() {
            // The accept key of the example in RFC 6455.
            101 if head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") => Ok(Self(stream)),
            code => Err(code),
        }
    }

    pub fn text(&mut self, text: &str) {
        self.frame(1, text.as_bytes());
    }

    pub fn binary(&mut self, bytes: &[u8]) {
        self.frame(2, bytes);
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        // The other end may have hung up already.
        let _ = self.0.write_all(bytes);
    }

    /// Masked with zeros, which is a mask too.
    fn frame(&mut self, kind: u8, body: &[u8]) {
        let length = body.len();
        let mut frame = vec![0x80 | kind];
        if length < 126 {
            frame.push(0x80 | length as u8);
        } else {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        frame.extend([0; 4]);
        frame.extend(body);
        self.0.write_all(&frame).unwrap();
    }

    /// The next text or packet; pings are passed over.
    pub fn next(&mut self) -> String {
        loop {
            let mut head = [0; 2];
            self.0.read_exact(&mut head).unwrap();
            let mut length = usize::from(head[1]);
            if length == 126 {
                let mut long = [0; 2];
                self.0.read_exact(&mut long).unwrap();
                length = usize::from(u16::from_be_bytes(long));
            }
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).unwrap();
            match head[0] & 15 {
                1 => return String::from_utf8(body).unwrap(),
                2 => return line(&body),
                _ => {}
            }
        }
    }
}
