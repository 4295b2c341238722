//! The thread "http": OSCQuery, its WebSocket, and the control page, all on one port.
//!
//! One tokio runtime on one thread, so that a crowd of phones never takes more than one core from the model; pictures are
//! made small on a second one, only while somebody looks. A port that is taken is tried again.
//!
//! Source of OSCQuery: github.com/Vidvox/OSCQueryProposal.

mod connections;
mod conversation;
mod gate;
mod layout;
mod picture;
mod site;
mod token;
mod tree;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::{runtime, sync::Notify};

use super::{core::Core, listen::why_not_bound};
use connections::Connections;
use gate::Gate;
pub use token::{Token, TokenError};

/// Between two attempts to open the port.
const RETRY: Duration = Duration::from_secs(2);
/// How often what is due by the clock is looked for, for the case that OSC over UDP is off.
const TICK: Duration = Duration::from_millis(20);
/// Conversations that have not ended by then are cut off.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// The running thread. Dropping it ends it.
#[derive(Debug)]
pub struct Http {
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl Http {
    /// The first attempt to open the port happens before this returns.
    pub fn start(address: SocketAddr, token: Option<Token>, core: Arc<Core>) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
        let stop = Arc::new(Notify::new());
        let mut server = Server { address, token, core, has_failed: false };
        let first = server.open();
        let ending = Arc::clone(&stop);
        let body = move || {
            runtime.block_on(async {
                let serving = tokio::spawn(server.run(first));
                ending.notified().await;
                serving.abort();
            });
            runtime.shutdown_timeout(LAST_WORDS);
        };
        let thread = std::thread::Builder::new().name("http".into()).spawn(body)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.stop.notify_one();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::warn!("the HTTP thread did not end well");
        }
    }
}

struct Server {
    address: SocketAddr,
    token: Option<Token>,
    core: Arc<Core>,
    has_failed: bool,
}

impl Server {
    async fn run(mut self, first: Option<TcpListener>) {
        let core = Arc::clone(&self.core);
        tokio::spawn(async move {
            let mut clock = tokio::time::interval(TICK);
            loop {
                clock.tick().await;
                core.tick(Instant::now());
            }
        });
        let mut listener = first;
        loop {
            match listener.take().or_else(|| self.open()).map(tokio::net::TcpListener::from_std) {
                Some(Ok(open)) => {
                    let gate = Gate::new(self.token.clone());
                    let site = site::router(Arc::clone(&self.core), gate);
                    let service = site.into_make_service_with_connect_info::<connections::Peer>();
                    if let Err(error) = axum::serve(Connections::new(open), service).await {
                        self.core.say(format!("the control page at {}: {error}; it is opened again", self.address));
                    }
                    self.core.http_at.store(None);
                }
                Some(Err(error)) => tracing::warn!("{error}"),
                None => tokio::time::sleep(RETRY).await,
            }
        }
    }

    fn open(&mut self) -> Option<TcpListener> {
        let opened = TcpListener::bind(self.address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        });
        match opened {
            Ok((at, listener)) => {
                self.core.http_at.store(Some(Arc::new(at)));
                if std::mem::take(&mut self.has_failed) {
                    self.core.say(format!("the control page is at http://{at}/ now"));
                }
                Some(listener)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.has_failed, true) {
                    let why = why_not_bound(&error);
                    self.core.say(format!(
                        "there is no control page at {}: {why}; it is tried again, and --http ADDR takes another",
                        self.address
                    ));
                }
                None
            }
        }
    }
}
