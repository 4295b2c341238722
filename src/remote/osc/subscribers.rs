//! Programs that want to know what moves: each gets the values under its prefix, as they are now and then as they change.
//!
//! Belongs to the OSC thread. Every subscriber has its own memory of what it has seen of the table, so a value that moves
//! faster than they are told is told as it is then. A subscription ends unless it is asked for again.

use std::{
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use rosc::{OscPacket, encoder};

use super::values;
use crate::control::{Handle, Kind, Table};

/// How often values go out.
pub const PERIOD: Duration = Duration::from_millis(33);
/// Without a heartbeat for this long a subscriber is gone.
pub const LASTS: Duration = Duration::from_secs(60);
const MOST: usize = 16;
/// All values are sent again at most this often to one address: a forged sender must not make us flood somebody.
const FILLS_EVERY: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub struct Subscribers {
    subscribers: Vec<Subscriber>,
    /// Who got all values lately.
    filled: Vec<(SocketAddr, Instant)>,
}

#[derive(Debug)]
struct Subscriber {
    to: SocketAddr,
    prefix: String,
    until: Instant,
    /// Generation of the table; none before it got all values.
    seen: Option<u64>,
}

impl Subscribers {
    pub fn is_empty(&self) -> bool {
        self.subscribers.is_empty()
    }

    /// Begins or refreshes a subscription. False if there are too many.
    pub fn subscribe(&mut self, to: SocketAddr, prefix: &str, now: Instant) -> bool {
        let prefix = prefix.trim_end_matches('/');
        if let Some(known) = self.subscribers.iter_mut().find(|s| s.to == to && s.prefix == prefix) {
            known.until = now + LASTS;
            return true;
        }
        if self.subscribers.len() == MOST {
            return false;
        }
        self.subscribers.push(Subscriber { to, prefix: prefix.into(), until: now + LASTS, seen: None });
        true
    }

    pub fn unsubscribe(&mut self, to: SocketAddr) {
        self.subscribers.retain(|subscriber| subscriber.to != to);
    }

    /// Sends what is new. An address that refuses is heard of no more once its time is over.
    pub fn tick(&mut self, table: &Table, socket: &UdpSocket, now: Instant) {
        self.subscribers.retain(|subscriber| subscriber.until > now);
        self.filled.retain(|(_, at)| now.saturating_duration_since(*at) < FILLS_EVERY);
        for subscriber in &mut self.subscribers {
            let to = subscriber.to;
            let news = match &mut subscriber.seen {
                Some(seen) => table.changes_since(seen),
                None if self.filled.iter().any(|(filled, _)| *filled == to) => continue,
                none => {
                    self.filled.push((to, now));
                    *none = Some(table.generation());
                    let mut all = table.all();
                    // Nothing is to fire because somebody listens.
                    all.retain(|handle| handle.param().kind != Kind::Trigger);
                    all
                }
            };
            for handle in news.iter().filter(|handle| is_under(&handle.path(), &subscriber.prefix)) {
                send(socket, handle, to);
            }
        }
    }
}

fn send(socket: &UdpSocket, handle: &Handle, to: SocketAddr) {
    let packet = OscPacket::Message(values::message(handle));
    let sent = encoder::encode(&packet).map(|bytes| socket.send_to(&bytes, to));
    if let Ok(Err(error)) = sent {
        tracing::debug!("{} to {to}: {error}", handle.path());
    }
}

fn is_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Origin, Param, Value};

    struct Listener(UdpSocket);

    impl Listener {
        fn new() -> Self {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            Self(socket)
        }

        fn heard(&self) -> Vec<String> {
            let mut buffer = [0; 1024];
            let mut heard = Vec::new();
            while let Ok(length) = self.0.recv(&mut buffer) {
                let OscPacket::Message(message) = super::super::packet::decode(&buffer[..length]).unwrap() else {
                    panic!()
                };
                heard.push(format!("{} {}", message.addr, message.args[0]));
            }
            heard
        }

        fn address(&self) -> SocketAddr {
            self.0.local_addr().unwrap()
        }
    }

    fn table() -> Table {
        Table::new([
            Param::float("/dream/vivid", -1.0, 1.0, 0.0),
            Param::bool("/stage/freeze", false),
            Param::trigger("/stage/go"),
        ])
    }

    #[test]
    fn a_subscriber_gets_what_is_and_then_what_changes() {
        let (table, listener, mut subscribers) = (table(), Listener::new(), Subscribers::default());
        let (socket, now) = (UdpSocket::bind("127.0.0.1:0").unwrap(), Instant::now());
        assert!(subscribers.subscribe(listener.address(), "/", now));
        subscribers.tick(&table, &socket, now);
        assert_eq!(listener.heard(), ["/dream/vivid (f) 0", "/stage/freeze (F)"]);
        for value in [0.25, 0.5] {
            table.set("/dream/vivid", Value::Float(value), Origin::Key).unwrap();
        }
        table.set("/stage/go", Value::Pulse, Origin::Key).unwrap();
        subscribers.tick(&table, &socket, now);
        assert_eq!(listener.heard(), ["/dream/vivid (f) 0.5", "/stage/go (I)"]);
        subscribers.tick(&table, &socket, now);
        assert_eq!(listener.heard(), Vec::<String>::new());
    }

    #[test]
    fn a_prefix_leaves_the_rest_out_and_silence_ends_it() {
        let (table, listener, mut subscribers) = (table(), Listener::new(), Subscribers::default());
        let (socket, now) = (UdpSocket::bind("127.0.0.1:0").unwrap(), Instant::now());
        subscribers.subscribe(listener.address(), "/stage/", now);
        subscribers.subscribe(listener.address(), "/stage", now + LASTS / 2);
        subscribers.tick(&table, &socket, now + LASTS);
        assert_eq!(listener.heard(), ["/stage/freeze (F)"]);
        subscribers.tick(&table, &socket, now + 2 * LASTS);
        assert!(subscribers.is_empty());
        subscribers.subscribe(listener.address(), "/", now);
        subscribers.unsubscribe(listener.address());
        assert!(subscribers.is_empty());
    }

    #[test]
    fn there_is_room_for_some_and_not_for_all() {
        let (mut subscribers, now) = (Subscribers::default(), Instant::now());
        let address = |port: usize| SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap()));
        for port in 1..=MOST {
            assert!(subscribers.subscribe(address(port), "", now));
        }
        assert!(!subscribers.subscribe(address(MOST + 1), "", now));
        assert!(subscribers.subscribe(address(1), "/", now));
    }
}
