//! The ways in from other programs and other hands: OSC, OSCQuery, and the control page for a phone.
//!
//! ```text
//! UDP 9000 ──> thread "osc" ───┐                              ┌──> subscribers
//!                              ├─> Receiver ──> Table ──> changes
//! HTTP 9001 ─> thread "http" ──┘      └──> learned addresses  └──> WebSockets
//!   page, OSCQuery, live picture <── Board <── the app
//! ```
//!
//! Knows the table of parameters and nothing else of the program: what the page shows besides is put on the [`Board`] by
//! the app. Nothing here can stop the show or make it wait. By default only this machine is listened to; beyond it, HTTP
//! takes a token (OSC has no such thing).

mod announce;
mod board;
mod core;
mod http;
mod listen;
mod osc;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    path::PathBuf,
    sync::Arc,
};

use crossbeam_channel::{Receiver as Messages, bounded};

use self::core::Core;
use crate::control::{SetError, Table};
pub use board::{Board, Note, Picture, Pictures, PresetCard, Status};
pub use http::{Token, TokenError};
pub use listen::{Listen, ListenError};
pub use osc::{BindingReport, Counts, LearnReport};

/// Where OSC is heard if nothing is said.
pub const OSC_PORT: u16 = 9000;
/// Where the control page and OSCQuery are if nothing is said.
pub const HTTP_PORT: u16 = 9001;

/// Where to listen, and to whom.
#[derive(Debug, Clone)]
pub struct Settings {
    pub osc: Listen,
    pub http: Listen,
    /// Asked for wherever it is given; beyond this machine one is made if none is.
    pub token: Option<Token>,
    /// The file of learned addresses; none forgets them at the end.
    pub learned: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { osc: Listen::loopback(OSC_PORT), http: Listen::loopback(HTTP_PORT), token: None, learned: None }
    }
}

/// Why there is no remote control at all; a port that is taken is no reason.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    #[error(transparent)]
    Table(#[from] SetError),
    #[error("a thread for remote control cannot be started: {0}")]
    Thread(#[from] io::Error),
}

/// The running threads. Dropping it ends them.
#[derive(Debug)]
pub struct Remote {
    core: Arc<Core>,
    messages: Messages<String>,
    token: Option<Token>,
    http: Option<http::Http>,
    udp: Option<osc::Udp>,
    _announced: Option<announce::Announced>,
}

impl Remote {
    /// Begins to listen. A port that cannot be had is told by [`Remote::messages`] and tried again. The table must hold
    /// the built-in parameters.
    pub fn start(settings: Settings, table: &Table, board: Arc<Board>) -> Result<Self, RemoteError> {
        let Settings { osc, http, token, learned } = settings;
        let token = token.or_else(|| http.is_beyond_this_machine().then(Token::random));
        let (told, messages) = bounded(16);
        let receiver = osc::Receiver::new(table.clone(), learned)?;
        let core = Arc::new(Core::new(table.clone(), board, receiver, told));
        let udp = osc.address().map(|at| osc::Udp::start(at, Arc::clone(&core))).transpose()?;
        let page = http.address().map(|at| http::Http::start(at, token.clone(), Arc::clone(&core))).transpose()?;
        let beyond = |listen: Listen| listen.address().filter(|_| listen.is_beyond_this_machine());
        let announced = announce::Announced::start(beyond(osc), beyond(http), &core);
        Ok(Self { core, messages, token, http: page, udp, _announced: announced })
    }

    /// What people should be told since the last look.
    pub fn messages(&self) -> impl Iterator<Item = String> {
        self.messages.try_iter()
    }

    /// Where OSC is heard now; none while the port cannot be had.
    pub fn osc_address(&self) -> Option<SocketAddr> {
        self.core.osc_at.load_full().map(|at| *at)
    }

    /// Where the page is now; none while the port cannot be had.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.core.http_at.load_full().map(|at| *at)
    }

    /// What a browser opens, the token with it.
    pub fn page_url(&self) -> Option<String> {
        let at = self.http_address()?;
        let ip = if at.ip().is_unspecified() { own_address().unwrap_or(Ipv4Addr::LOCALHOST.into()) } else { at.ip() };
        let token = self.token.as_ref().map(|token| format!("?token={}", token.as_str())).unwrap_or_default();
        Some(format!("http://{}/{token}", SocketAddr::new(ip, at.port())))
    }

    pub fn counts(&self) -> Counts {
        self.core.receiver().counts()
    }

    /// What is being learned, what was, and what could be.
    pub fn learned(&self) -> LearnReport {
        self.core.receiver().learn_report(std::time::Instant::now())
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // Both stop at the same time; the page first, for it asks the receiver.
        self.http.take();
        self.udp.take();
    }
}

/// The address of this machine on the network that leads outwards. Nothing is sent: UDP only chooses a way.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // An address for documentation (RFC 5737).
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then_some(ip)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Without threads.
    pub fn core_of(table: Table) -> Core {
        let receiver = osc::Receiver::new(table.clone(), None).unwrap();
        Core::new(table, Arc::default(), receiver, bounded(16).0)
    }

    fn settings(http: &str) -> Settings {
        Settings { osc: Listen::Off, http: Listen::parse(http, 0).unwrap(), ..Settings::default() }
    }

    #[test]
    fn the_address_of_the_page_has_a_token_only_beyond_this_machine() {
        let table = Table::new(crate::control::builtin());
        let start = |settings| Remote::start(settings, &table, Arc::default()).unwrap();
        let at_home = start(settings("127.0.0.1:0"));
        assert_eq!(at_home.page_url(), at_home.http_address().map(|at| format!("http://{at}/")));
        let chosen = Token::new("swordfish-1").unwrap();
        let chosen = start(Settings { token: Some(chosen), ..settings("127.0.0.1:0") });
        assert!(chosen.page_url().unwrap().ends_with("/?token=swordfish-1"));
        let off = start(settings("off"));
        assert_eq!((off.page_url(), off.osc_address()), (None, None));
    }
}
