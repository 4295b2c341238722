//! The thread of a live source: receives until it fails, says why once, and begins again by itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::handover::Link;

/// Pauses before a source that failed is tried again: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A connection that lasted so long was good: the next pause is the first one again.
const GOOD: Duration = Duration::from_secs(5);

/// How a connection ended without a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Nobody wants more.
    Stopped,
    /// The sender is over for good.
    Over,
}

/// What runs on the thread of a live source.
pub trait Receive: Send + 'static {
    /// Connects and receives until it fails, is over, or [`Link::stopped`], which it looks at every 50 ms at least.
    ///
    /// # Errors
    /// One sentence that names the source and the way out.
    fn receive(&mut self, link: &Link) -> Result<Ending, String>;
}

/// Starts the thread.
pub fn start(name: &str, link: Link, mut receiver: impl Receive) -> std::io::Result<JoinHandle<()>> {
    let body = move || {
        let mut pause = FIRST_PAUSE;
        let mut said = String::new();
        while !link.stopped() {
            let begun = Instant::now();
            let why = match catch_unwind(AssertUnwindSafe(|| receiver.receive(&link))) {
                Ok(Ok(Ending::Stopped)) => return,
                Ok(Ok(Ending::Over)) => {
                    link.over();
                    return;
                }
                Ok(Err(why)) => why,
                Err(_) => "the receiver stumbled (this is a fault in wavedream) and begins again".to_owned(),
            };
            link.status(why.clone());
            if begun.elapsed() > GOOD {
                pause = FIRST_PAUSE;
                said.clear();
            }
            if why != said {
                link.say(why.clone());
                said = why;
            }
            link.pause(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
            link.reconnected();
        }
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(body)
}
