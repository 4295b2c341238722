//! Asking the hub: one agent, patience with what passes, and a sentence for what does not.

use std::{io, time::Duration};

use ureq::{
    Agent, Body,
    config::RedirectAuthHeaders,
    http::{Response, StatusCode, header},
};

use super::{FetchError, Place};

const CONNECT: Duration = Duration::from_secs(15);
/// A server that says nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// Tries of one request, with pauses of 1, 2, 4 and 8 s between them.
pub const TRIES: u32 = 5;
/// The longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

pub struct Client<'a> {
    pub place: &'a Place,
    agent: Agent,
}

/// What came of one try.
pub enum Answer {
    Good(Response<Body>),
    /// Worth another try, and why; the pause that the server asks for.
    Again(String, Option<Duration>),
    Status(StatusCode),
}

impl<'a> Client<'a> {
    pub fn new(place: &'a Place) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(SILENCE))
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            // Parts of files are asked for by their place: they must come as they are.
            .accept_encoding("identity")
            .user_agent(concat!("wavedream/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { place, agent: config.new_agent() }
    }

    /// One try of one address, from a place in the file on.
    pub fn get(&self, address: &str, from: u64) -> Answer {
        let mut request = self.agent.get(address);
        if let Some(token) = self.place.token_to_send() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        let response = match request.call() {
            Ok(response) => response,
            Err(error) => return Answer::Again(said(&error), None),
        };
        let status = response.status();
        if status.is_success() {
            return Answer::Good(response);
        }
        if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
            let pause = response.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
            return Answer::Again(status.to_string(), pause.map(|s| Duration::from_secs(s).min(LONGEST_PAUSE)));
        }
        Answer::Status(status)
    }

    /// The pause before try `tried + 1`.
    pub fn pause(&self, tried: u32, asked: Option<Duration>) -> Duration {
        asked.unwrap_or_else(|| self.place.pause * 2_u32.saturating_pow(tried.min(5)))
    }

    /// The text of an address, with patience. An error status comes back as such.
    pub fn text(
        &self,
        address: &str,
        waiting: &mut dyn FnMut(&str, Duration),
    ) -> Result<Result<String, StatusCode>, FetchError> {
        /// The longest listing of files that is read; the largest known are some hundred kB.
        const LONGEST: u64 = 32 << 20;
        let mut last = String::new();
        for tried in 0..TRIES {
            let (why, asked) = match self.get(address, 0) {
                Answer::Good(mut response) => match response.body_mut().with_config().limit(LONGEST).read_to_string() {
                    Ok(text) => return Ok(Ok(text)),
                    Err(error) => (said(&error), None),
                },
                Answer::Status(status) => return Ok(Err(status)),
                Answer::Again(why, asked) => (why, asked),
            };
            last = why;
            if tried + 1 < TRIES {
                let pause = self.pause(tried, asked);
                waiting(&last, pause);
                std::thread::sleep(pause);
            }
        }
        Err(FetchError::Network { endpoint: self.place.endpoint.clone(), why: last })
    }
}

/// What went wrong, in few words.
pub fn said(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "its address is not known".to_owned(),
        ureq::Error::Timeout(_) => "it does not answer".to_owned(),
        ureq::Error::Io(e) => said_of_io(e),
        other => other.to_string(),
    }
}

pub fn said_of_io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            "the connection broke".to_owned()
        }
        io::ErrorKind::TimedOut => "it does not answer".to_owned(),
        _ => error.to_string(),
    }
}
