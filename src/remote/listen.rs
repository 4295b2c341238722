//! Where to listen, as a person types it: an address, a port, or `off`.

use std::{
    fmt,
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

/// An address to listen at, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    Off,
    At(SocketAddr),
}

/// What was typed is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "write an address and a port such as 127.0.0.1:{port}, 0.0.0.0:{port} for every network of this machine, or off"
)]
pub struct ListenError {
    port: u16,
}

/// Why an address cannot be listened at, for a sentence.
pub(super) fn why_not_bound(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => "another program has this port".into(),
        _ => error.to_string(),
    }
}

impl Listen {
    pub const fn loopback(port: u16) -> Self {
        Self::At(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }

    /// Reads `127.0.0.1:9000`, `0.0.0.0` (with the usual port), `9000` (on this machine only), `localhost:9000`, `off`.
    pub fn parse(text: &str, usual_port: u16) -> Result<Self, ListenError> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("off") {
            return Ok(Self::Off);
        }
        let numeric = text.replacen("localhost", "127.0.0.1", usize::from(text.starts_with("localhost")));
        let bare = numeric.trim_start_matches('[').trim_end_matches(']');
        let address = numeric
            .parse::<SocketAddr>()
            .ok()
            .or_else(|| bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, usual_port)))
            .or_else(|| numeric.parse::<u16>().ok().map(|port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)));
        address.map(Self::At).ok_or(ListenError { port: usual_port })
    }

    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::At(address) => Some(address),
        }
    }

    /// Whether somebody on another machine can reach it.
    pub fn is_beyond_this_machine(self) -> bool {
        self.address().is_some_and(|address| !address.ip().to_canonical().is_loopback())
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Listen;

    #[test]
    fn an_address_can_be_typed_in_the_ways_people_do() {
        for (typed, read) in [
            ("127.0.0.1:7000", "127.0.0.1:7000"),
            ("0.0.0.0", "0.0.0.0:9000"),
            ("0.0.0.0:1", "0.0.0.0:1"),
            ("8000", "127.0.0.1:8000"),
            ("localhost", "127.0.0.1:9000"),
            ("localhost:9", "127.0.0.1:9"),
            ("::1", "[::1]:9000"),
            ("[::]:5", "[::]:5"),
            (" off ", "off"),
            ("OFF", "off"),
        ] {
            assert_eq!(Listen::parse(typed, 9000).unwrap().to_string(), read, "{typed}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for typed in ["", "on", ":9000", "70000", "127.0.0.1:x", "300.0.0.1:9000", "http://127.0.0.1:9000"] {
            let said = Listen::parse(typed, 9000).unwrap_err().to_string();
            assert!(said.contains("127.0.0.1:9000"), "{typed}: {said}");
        }
    }

    #[test]
    fn only_loopback_stays_on_this_machine() {
        for (typed, beyond) in
            [("off", false), ("9000", false), ("127.3.2.1", false), ("::1", false), ("[::ffff:127.0.0.1]:9", false)]
        {
            assert_eq!(Listen::parse(typed, 9000).unwrap().is_beyond_this_machine(), beyond, "{typed}");
        }
        for typed in ["0.0.0.0", "192.168.0.7:9000", "::"] {
            assert!(Listen::parse(typed, 9000).unwrap().is_beyond_this_machine(), "{typed}");
        }
    }
}
