//! Why a source cannot be opened or read, each as one sentence that names the source and the way out.

use std::path::Path;

/// Kinds of file that [`super::open`] reads, for messages.
pub(super) const FILE_KINDS: &str = ".npy, .edf, .bdf, .wav, .csv, .tsv or .txt";

/// Why a source cannot be opened or read. Each message names the source and the way out.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// For sources outside this room.
    #[error("{0}")]
    Message(String),

    #[error("{path}: there is no such file; a source is a recording ({FILE_KINDS}) or a URL such as synth://rat{hint}")]
    NoSuchFile { path: String, hint: String },
    #[error("{path}: this is a folder; name one recording in it ({FILE_KINDS})")]
    Folder { path: String },
    #[error("{path}: cannot be read ({cause}); check the path and its permissions")]
    Unreadable { path: String, cause: std::io::Error },
    #[error("{path}: the file is empty; choose another or record it again")]
    Empty { path: String },
    #[error(
        "{path}: {gigabytes:.1} GB is more than the {limit_gigabytes:.0} GB that are read into memory; cut it into shorter files"
    )]
    TooLarge { path: String, gigabytes: f64, limit_gigabytes: f64 },
    #[error("{path}: this kind of file is not known; sources are {FILE_KINDS}")]
    UnknownKind { path: String },
    #[error("{path}: {what}")]
    Malformed { path: String, what: String },
    #[error(
        "{path}: {kind} does not say how many samples a second it holds; add it after a question mark, for example wavedream render \"{path}?rate=1000\""
    )]
    NeedsRate { path: String, kind: &'static str },

    #[error(
        "{url}: there is no kind of source '{scheme}://'{hint}; known are paths of files, synth://, osc://, lsl://, udp://, serial://, stdin://, audio:// and zmq://"
    )]
    UnknownScheme { url: String, scheme: String, hint: String },
    #[error("{url}: there is no synthetic signal '{name}'{hint}; known are rat, wind and waves")]
    UnknownSynth { url: String, name: String, hint: String },
    #[error("{url}: the key '{key}' is not known here{hint}; known are {known}")]
    UnknownKey { url: String, key: String, hint: String, known: String },
    #[error("{url}: the key '{key}' is there twice; keep one")]
    RepeatedKey { url: String, key: String },
    #[error("{url}: '{key}={value}' is not understood; {expected}")]
    BadValue { url: String, key: String, value: String, expected: String },
}

impl SourceError {
    pub(super) fn malformed(path: &Path, what: impl Into<String>) -> Self {
        Self::Malformed { path: path.display().to_string(), what: what.into() }
    }
}

/// ` (did you mean 'x'?)` for the known word nearest to `word`, or nothing if none is near.
pub(super) fn did_you_mean(word: &str, known: &[&str]) -> String {
    let word = word.to_lowercase();
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(&word, candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, nearest)| format!(" (did you mean '{nearest}'?)"))
        .unwrap_or_default()
}
