//! Hugging Face's hub: which models are in its cache on this machine, and fetching others.
//!
//! ```text
//! name ──> listing (one question to the API) ──> choice of files ──> blobs, by Range ──> hash ──> snapshot
//! ```
//!
//! The cache is laid out as huggingface_hub lays it out (`models--ORG--NAME/{blobs,snapshots,refs}`), so that diffusers,
//! ComfyUI and others share what was fetched. Runs on the thread of the command; nothing here is used while playing but
//! looking up folders. Network: ureq, whose redirects never carry the token to another host.

mod cache;
mod choose;
mod client;
mod download;
mod fetch;
mod hashes;
mod known;
mod listing;
mod name;
mod place;

pub use cache::{Cached, cached, repo_of, snapshot};
pub use fetch::{Event, Fetched, fetch};
pub use known::{KNOWN, Known, known};
pub use name::Name;
pub use place::Place;

use std::path::PathBuf;

/// Why a model was not fetched. Each is one sentence with the way out.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{0:?} is no name of a model; names are ORG/NAME, ORG/NAME@REVISION or one of {1}")]
    Name(String, String),
    #[error("{name} is not in {cache}, and HF_HUB_OFFLINE forbids the network; fetch it with HF_HUB_OFFLINE unset")]
    Offline { name: String, cache: PathBuf },
    #[error("{endpoint} has no model {name}; see how it is written at {endpoint}/models")]
    NotFound { endpoint: String, name: String },
    #[error("{endpoint} has no revision {revision} of {name}; leave @{revision} out for the newest")]
    NoRevision { endpoint: String, name: String, revision: String },
    #[error(
        "{endpoint}/{name} does not exist, is private, or wants its terms agreed to; look there, then set HF_TOKEN to a \
         token from {endpoint}/settings/tokens"
    )]
    Unauthorised { endpoint: String, name: String },
    #[error("{endpoint} does not let the token in HF_TOKEN have {name}; agree to its terms at {endpoint}/{name}")]
    Forbidden { endpoint: String, name: String },
    #[error("{endpoint} cannot be reached ({why}); check the network, or HF_ENDPOINT, and run the same command again")]
    Network { endpoint: String, why: String },
    #[error("{endpoint} answers {status} for {what}; run the same command again later")]
    Server { endpoint: String, status: u16, what: String },
    #[error("{endpoint} tells of {name} what cannot be understood ({why}); update wavedream, or check HF_ENDPOINT")]
    Listing { endpoint: String, name: String, why: String },
    #[error("{name} {what}")]
    Choice { name: String, what: String },
    #[error("{folder} has {free} free, and {name} needs {needed} more; make room, or set HF_HOME to another disk")]
    Space { folder: PathBuf, free: String, name: String, needed: String },
    #[error(
        "{file} arrived with other contents than announced ({why}); it was thrown away, run the same command again"
    )]
    Hash { file: String, why: String },
    #[error("{0} is being fetched by another program; wait until that is done")]
    Busy(String),
    #[error("{path} cannot be written: {why}")]
    Write { path: PathBuf, why: std::io::Error },
}

/// Bytes as people read them.
pub fn size_text(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
