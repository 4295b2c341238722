//! Remote control over real sockets: OSC, OSCQuery, its WebSocket, the control page, and who may come in.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use rosc::{OscBundle, OscMessage, OscPacket, OscType, encoder};
use serde_json::json;
use wavedream::{
    control::{Origin, Table, Value, builtin},
    remote::{Board, Listen, Picture, PresetCard, Remote, Settings, Status, Token},
};

#[path = "remote/client.rs"]
mod client;
use client::{Socket, get, line, message};

struct Stage {
    table: Table,
    remote: Remote,
    board: Arc<Board>,
    udp: UdpSocket,
}

fn any_port() -> Listen {
    Listen::loopback(0)
}

fn picture(unless: Option<u64>) -> Option<Picture> {
    let picture = Picture { number: 3, width: 32, height: 24, rgba: [200, 100, 50, 255].repeat(32 * 24) };
    (unless != Some(3)).then_some(picture)
}

impl Stage {
    fn new() -> Self {
        Self::with(Settings { osc: any_port(), http: any_port(), ..Settings::default() })
    }

    fn with(settings: Settings) -> Self {
        let table = Table::new(builtin());
        let board = Arc::new(Board::new(Box::new(picture)));
        let remote = Remote::start(settings, &table, Arc::clone(&board)).unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { table, remote, board, udp }
    }

    fn http(&self) -> SocketAddr {
        self.remote.http_address().unwrap()
    }

    fn send(&self, bytes: &[u8]) {
        self.udp.send_to(bytes, self.remote.osc_address().unwrap()).unwrap();
    }

    fn osc(&self, addr: &str, args: &[OscType]) {
        self.send(&message(addr, args));
    }

    /// The next message that comes back over UDP.
    fn heard(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.udp.recv(&mut buffer).unwrap();
        line(&buffer[..length])
    }

    /// Until what was sent before has been taken: messages of one sender stay in order.
    fn settle(&self) {
        self.osc("/wavedream/dropped", &[]);
        while !self.heard().starts_with("/wavedream/dropped") {}
    }

    fn number(&self, path: &str) -> f64 {
        self.table.handle(path).unwrap().number()
    }
}

/// Waits for what other threads do.
fn soon(mut what: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    while !what() {
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

#[test]
fn what_osc_sets_is_read_back_over_oscquery() {
    let stage = Stage::new();
    stage.osc("/stage/master", &[0.25f32.into()]);
    stage.osc("/dream/{vivid,bright}", &[7.0f32.into()]);
    stage.osc("/latent/mapping", &["walk".to_owned().into()]);
    stage.osc("/stage/freeze", &[true.into()]);
    stage.osc("/dream/steps", &["ma\u{1b}ny".to_owned().into()]);
    stage.settle();
    let value = |path: &str| get(stage.http(), &format!("{path}?VALUE"), &[]).json()["VALUE"][0].clone();
    assert_eq!(value("/stage/master"), json!(0.25));
    assert_eq!((value("/dream/vivid"), value("/dream/bright")), (json!(1.0), json!(1.0)));
    assert_eq!((value("/latent/mapping"), value("/stage/freeze")), (json!("walk"), json!(true)));
    assert_eq!((value("/wavedream/clamped"), value("/wavedream/wrong_type")), (json!(2), json!(1)));
    assert_eq!(stage.table.handle("/stage/master").unwrap().origin(), Origin::Osc);
    let told: Vec<_> = stage.remote.messages().collect();
    let from = stage.udp.local_addr().unwrap();
    assert_eq!(told, [format!("OSC from {from}: /dream/steps takes a whole number from 1 to 4, not “ma ny”")]);
}

#[test]
fn a_bundle_for_later_comes_when_it_is_due() {
    let stage = Stage::new();
    let begun = Instant::now();
    let timetag = (SystemTime::now() + Duration::from_millis(300)).try_into().unwrap();
    let content = vec![OscPacket::Message(OscMessage { addr: "/stage/freeze".into(), args: vec![true.into()] })];
    stage.send(&encoder::encode(&OscPacket::Bundle(OscBundle { timetag, content })).unwrap());
    stage.settle();
    let is_on = || stage.table.handle("/stage/freeze").unwrap().is_on();
    assert!(!is_on() || begun.elapsed() >= Duration::from_millis(299));
    assert!(soon(is_on));
    assert!(begun.elapsed() >= Duration::from_millis(299), "{:?}", begun.elapsed());
}

#[test]
fn a_subscriber_is_sent_what_changes_whoever_changes_it() {
    let stage = Stage::new();
    stage.osc("/wavedream/subscribe", &["/stage/master".to_owned().into()]);
    assert_eq!(stage.heard(), "/stage/master (f) 1");
    stage.table.set("/stage/master", Value::Float(0.5), Origin::Key).unwrap();
    assert_eq!(stage.heard(), "/stage/master (f) 0.5");
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = i32::from(other.local_addr().unwrap().port());
    stage.osc("/wavedream/subscribe", &[port.into(), "/dream/vivid".to_owned().into()]);
    let mut buffer = [0; 256];
    let length = other.recv(&mut buffer).unwrap();
    assert_eq!(line(&buffer[..length]), "/dream/vivid (f) 0");
    stage.osc("/wavedream/unsubscribe", &[]);
    stage.osc("/stage/master", &[0.75f32.into()]);
    stage.osc("/stage/master", &[]);
    assert_eq!(stage.heard(), "/stage/master (f) 0.75");
    stage.osc("/wavedream/received", &[]);
    assert!(stage.heard().starts_with("/wavedream/received"), "no more values");
}

#[test]
fn a_websocket_listens_sets_and_is_told_of_new_parameters() {
    let stage = Stage::new();
    let mut socket = Socket::open(stage.http(), "/", &[]).ok().unwrap();
    socket.text(r#"{"COMMAND": "LISTEN", "DATA": "/stage/master"}"#);
    assert_eq!(socket.next(), "/stage/master (f) 1");
    stage.osc("/stage/master", &[0.5f32.into()]);
    assert_eq!(socket.next(), "/stage/master (f) 0.5");
    socket.binary(&message("/dream/vivid", &[0.75f32.into()]));
    assert!(soon(|| stage.number("/dream/vivid") == 0.75));
    assert_eq!(stage.table.handle("/dream/vivid").unwrap().origin(), Origin::Web);
    stage.table.declare([wavedream::control::Param::bool("/stage/new", false)]);
    assert_eq!(socket.next(), r#"{"COMMAND":"PATH_CHANGED","DATA":"/stage"}"#);
    assert_eq!(socket.next(), r#"{"COMMAND":"PATH_ADDED","DATA":"/stage/new"}"#);
    socket.text(r#"{"COMMAND": "IGNORE", "DATA": "/stage/master"}"#);
    socket.binary(&message("/stage/master", &[0.25f32.into()]));
    socket.binary(&message("/stage/freeze", &[]));
    assert_eq!(socket.next(), "/stage/freeze (F)");
}

#[test]
fn the_page_is_for_browsers_and_json_for_everyone_else() {
    let stage = Stage::new();
    let preset = PresetCard { id: "01-ink".into(), name: "Ink".into(), about: String::new() };
    stage.board.put(Status { preset: "01-ink".into(), presets: vec![preset], ..Status::default() });
    let page = get(stage.http(), "/", &["Accept: text/html,application/xhtml+xml"]);
    assert!(page.text().contains("BLACKOUT") && page.head.contains("text/html"), "{}", page.head);
    assert!(page.head.contains("frame-ancestors 'none'"), "{}", page.head);
    assert_eq!(get(stage.http(), "/", &["Accept: */*"]).json()["FULL_PATH"], "/");
    assert_eq!(get(stage.http(), "/?HOST_INFO", &[]).json()["OSC_PORT"], stage.remote.osc_address().unwrap().port());
    assert_eq!(get(stage.http(), "/nowhere", &[]).code, 404);
    assert_eq!(get(stage.http(), "/stage/master?NONSENSE", &[]).code, 400);
    let mut socket = Socket::open(stage.http(), "/", &[]).ok().unwrap();
    socket.text(r#"{"COMMAND": "STATUS", "DATA": true}"#);
    let status: serde_json::Value = serde_json::from_str(&socket.next()).unwrap();
    assert_eq!(status["DATA"]["show"]["presets"][0]["name"], "Ink");
}

#[test]
fn the_live_picture_is_a_jpeg_and_is_not_sent_twice() {
    let stage = Stage::new();
    let picture = get(stage.http(), "/picture.jpg", &[]);
    let read = image::load_from_memory(&picture.body).unwrap();
    assert_eq!((read.width(), read.height()), (32, 24));
    assert!(picture.head.contains("x-picture: 3"), "{}", picture.head);
    assert_eq!(get(stage.http(), "/picture.jpg?after=3", &[]).code, 204);
    assert_eq!(get(stage.http(), "/picture.jpg?after=2", &[]).code, 200);
}

#[test]
fn other_sites_are_not_heard_on_this_machine() {
    let stage = Stage::new();
    for lines in [&["Host: evil.example"][..], &["Origin: http://evil.example"], &["Sec-Fetch-Site: cross-site"]] {
        assert_eq!(get(stage.http(), "/stage/master", lines).code, 403, "{lines:?}");
    }
    assert_eq!(Socket::open(stage.http(), "/", &["Origin: http://evil.example"]).err(), Some(403));
    let own = format!("Origin: http://{}", stage.http());
    assert!(Socket::open(stage.http(), "/", &[&own]).is_ok());
}

#[test]
fn with_a_token_nothing_is_had_without_it() {
    let token = Some(Token::new("swordfish-1").unwrap());
    let stage = Stage::with(Settings { osc: Listen::Off, http: any_port(), token, learned: None });
    for path in ["/", "/stage/master?VALUE", "/?HOST_INFO", "/picture.jpg"] {
        assert_eq!(get(stage.http(), path, &[]).code, 401, "{path}");
    }
    assert_eq!(Socket::open(stage.http(), "/", &[]).err(), Some(401));
    assert_eq!(Socket::open(stage.http(), "/?token=swordfish-2", &[]).err(), Some(401));
    let page = get(stage.http(), "/", &["Accept: text/html"]);
    assert!(page.code == 401 && page.text().contains("token") && !page.text().contains("swordfish"));
    let page = get(stage.http(), "/?token=swordfish-1", &["Accept: text/html"]);
    assert!(page.code == 200 && page.text().contains("BLACKOUT"));
    let cookie = page.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite"), "{cookie}");
    let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap());
    assert_eq!(get(stage.http(), "/stage/master?VALUE", &[&cookie]).code, 200);
    assert!(Socket::open(stage.http(), "/", &[&cookie]).is_ok());
    assert_eq!(get(stage.http(), "/stage/master", &["Authorization: Bearer swordfish-1"]).code, 200);
}

#[test]
fn a_port_that_is_taken_is_told_once_and_had_when_it_is_free() {
    let (tcp, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let (http, osc) = (Listen::At(tcp.local_addr().unwrap()), Listen::At(udp.local_addr().unwrap()));
    let stage = Stage::with(Settings { osc, http, ..Settings::default() });
    assert_eq!((stage.remote.osc_address(), stage.remote.http_address()), (None, None));
    let told: Vec<_> = stage.remote.messages().collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|text| text.contains("another program has this port")), "{told:?}");
    drop((tcp, udp));
    assert!(soon(|| stage.remote.osc_address() == osc.address() && stage.remote.http_address() == http.address()));
    stage.osc("/stage/master", &[0.5f32.into()]);
    stage.settle();
    assert_eq!(stage.number("/stage/master"), 0.5);
    assert_eq!(get(stage.http(), "/stage/master?TYPE", &[]).json(), json!({"TYPE": "f"}));
    assert_eq!(stage.remote.messages().count(), 2);
}

#[test]
fn an_address_is_learned_over_osc_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let learned = Some(folder.path().join("osc.toml"));
    let settings = Settings { osc: any_port(), http: any_port(), learned, ..Settings::default() };
    let stage = Stage::with(settings.clone());
    stage.osc("/osc/learn", &["/dream/vivid".to_owned().into()]);
    stage.osc("/1/fader3", &[0.75f32.into()]);
    stage.settle();
    assert_eq!(stage.number("/dream/vivid"), 0.5);
    assert_eq!(stage.remote.learned().bindings[0].parameter, "/dream/vivid");
    drop(stage);
    let stage = Stage::with(settings);
    stage.osc("/1/fader3", &[0.25f32.into()]);
    stage.settle();
    assert_eq!(stage.number("/dream/vivid"), -0.5);
}

#[test]
fn random_bytes_on_every_way_in_harm_nothing() {
    let stage = Stage::new();
    let mut state = 3u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let mut socket = Socket::open(stage.http(), "/", &[]).ok().unwrap();
    for round in 0..2000usize {
        let noise: Vec<u8> = (0..round % 200).map(|_| random()).collect();
        stage.send(&noise);
        socket.binary(&noise);
        if round % 50 == 0 {
            // The system keeps only so many datagrams.
            stage.settle();
            let mut stream = std::net::TcpStream::connect(stage.http()).unwrap();
            // Whether it is taken is not the question.
            let _ = std::io::Write::write_all(&mut stream, &noise);
            let mut broken = Socket::open(stage.http(), "/", &[]).ok().unwrap();
            broken.text(&String::from_utf8_lossy(&noise[..noise.len().min(60)]));
            broken.raw(&noise);
        }
    }
    stage.settle();
    stage.osc("/stage/master", &[0.5f32.into()]);
    stage.settle();
    assert_eq!(get(stage.http(), "/stage/master?VALUE", &[]).json(), json!({"VALUE": [0.5]}));
    assert!(stage.remote.counts().malformed > 3000, "{:?}", stage.remote.counts());
}

#[test]
fn the_end_comes_at_once_even_while_somebody_listens() {
    let stage = Stage::new();
    let _socket = Socket::open(stage.http(), "/", &[]).ok().unwrap();
    let begun = Instant::now();
    drop(stage);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
