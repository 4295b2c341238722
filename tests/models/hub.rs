//! A hub of one model on a port of this machine, which can be made to stumble.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use sha2::{Digest, Sha256};

pub const REPO: &str = "tester/tiny";
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// How the hub stumbles, and what it was asked.
#[derive(Default)]
pub struct State {
    /// Answers to files end after so many bytes, that often.
    pub cut_after: Option<(usize, u32)>,
    /// Statuses that are answered before anything else.
    pub statuses: Vec<u16>,
    /// Every request is answered with this.
    pub always: Option<u16>,
    /// Files are sent from elsewhere.
    pub redirect: bool,
    /// Parts are not known: the whole file comes.
    pub no_ranges: bool,
    /// What is sent in place of the file.
    pub spoilt: bool,
    /// Told in place of the true sizes.
    pub size: Option<u64>,
    /// Lines of requests with their Range and Authorization.
    pub asked: Vec<String>,
}

pub struct Hub {
    pub address: String,
    pub state: Arc<Mutex<State>>,
}

impl Hub {
    pub fn start(files: &[(&str, Vec<u8>)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let files: BTreeMap<String, Vec<u8>> = files.iter().map(|(n, b)| ((*n).to_owned(), b.clone())).collect();
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, own) = (state.clone(), address.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (files, state, own) = (files.clone(), shared.clone(), own.clone());
                std::thread::spawn(move || serve(&stream, &files, &state, &own));
            }
        });
        Self { address, state }
    }

    pub fn asked(&self, part: &str) -> usize {
        self.state.lock().unwrap().asked.iter().filter(|line| line.contains(part)).count()
    }
}

fn serve(stream: &TcpStream, files: &BTreeMap<String, Vec<u8>>, state: &Mutex<State>, own: &str) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    let head: Vec<String> = lines.take_while(|l| !l.is_empty()).collect();
    let header = |name: &str| {
        let line = head.iter().find(|l| l.to_lowercase().starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let range = header("range");
    let mut state = state.lock().unwrap();
    state.asked.push(format!("{request} {range:?} {:?}", header("authorization")));
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let status = if state.statuses.is_empty() { state.always } else { Some(state.statuses.remove(0)) };
    if let Some(status) = status {
        return answer(stream, &format!("{status} No"), "", b"");
    }
    if path == format!("/api/models/{REPO}/revision/main?blobs=true") {
        let sizes = |body: &Vec<u8>| state.size.unwrap_or(body.len() as u64);
        let entry = |(name, body): (&String, &Vec<u8>)| {
            if name.ends_with(".safetensors") {
                let hex: String = Sha256::digest(body).iter().map(|b| format!("{b:02x}")).collect();
                format!(r#"{{"rfilename":"{name}","size":{0},"lfs":{{"sha256":"{hex}","size":{0}}}}}"#, sizes(body))
            } else {
                format!(r#"{{"rfilename":"{name}","size":{},"blobId":"{}"}}"#, body.len(), git(body))
            }
        };
        let list: Vec<String> = files.iter().map(entry).collect();
        let json = format!(r#"{{"id":"{REPO}","sha":"{COMMIT}","siblings":[{}]}}"#, list.join(","));
        return answer(stream, "200 OK", "", json.as_bytes());
    }
    let file = path.strip_prefix(&format!("/{REPO}/resolve/{COMMIT}/"));
    if let (Some(file), true) = (file, state.redirect) {
        // Another name of this machine: to the client it is another host.
        let there = own.replace("127.0.0.1", "localhost");
        return answer(stream, "302 Found", &format!("Location: {there}/elsewhere/{file}\r\n"), b"");
    }
    let Some(body) = file.or_else(|| path.strip_prefix("/elsewhere/")).and_then(|f| files.get(f)) else {
        return answer(stream, "404 Not Found", "", b"");
    };
    let body = if state.spoilt { vec![7; body.len()] } else { body.clone() };
    let from = range.and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let from = from.filter(|_| !state.no_ranges);
    let cut = match &mut state.cut_after {
        Some((after, times)) if *times > 0 => {
            *times -= 1;
            Some(*after)
        }
        _ => None,
    };
    drop(state);
    let part = &body[from.unwrap_or(0).min(body.len())..];
    let (status, range) = match from {
        Some(from) => {
            ("206 Partial Content", format!("Content-Range: bytes {from}-{}/{}\r\n", body.len() - 1, body.len()))
        }
        None => ("200 OK", String::new()),
    };
    let sent = &part[..cut.unwrap_or(part.len()).min(part.len())];
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{range}Connection: close\r\n\r\n", part.len());
    let mut stream = stream;
    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(sent)));
}

fn answer(mut stream: &TcpStream, status: &str, headers: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}Connection: close\r\n\r\n", body.len());
    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)));
}

/// Git's name of a file's contents, by a table of the few that the tests use: made with `git hash-object`.
fn git(body: &[u8]) -> &'static str {
    match body {
        b"{}\n" => "0967ef424bce6791893e9a57bb952f80fd536e93",
        b"---\nlicense: mit\n---\n" => "32897cd3e640101ba184f8c4ccd896981de3804a",
        other => panic!("no hash of {other:?}"),
    }
}
