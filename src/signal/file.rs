//! Recordings as sources: told apart by their ending, else by their first bytes, read into memory, played by frames.

mod beside;
mod edf;
mod npy;
mod recording;
mod table;
mod table_time;
mod wav;

use std::path::Path;

use super::url::Address;
use super::{Source, SourceError};
use recording::Recording;

/// Of a file, in bytes: recordings are read into memory.
const LIMIT_BYTES: u64 = 2 << 30;
const KEYS: [&str; 6] = ["rate", "channels", "loop", "from", "to", "scale"];
const KEYS_WITH_TIME: [&str; 7] = ["rate", "channels", "loop", "from", "to", "scale", "time"];
/// Names of synthetic signals that are easily written without their scheme.
const SYNTHS: [&str; 3] = ["rat", "wind", "waves"];

enum Kind {
    Npy,
    Edf,
    Wav,
    Table,
}

/// Opens a recording.
///
/// # Errors
/// One sentence that names the file and the way out.
pub fn open(address: &Address) -> Result<Box<dyn Source>, SourceError> {
    let path = Path::new(&address.path);
    let bytes = read(path)?;
    let Some(kind) = kind(path, &bytes) else {
        return Err(SourceError::UnknownKind { path: path.display().to_string() });
    };
    address.check_keys(if matches!(kind, Kind::Npy | Kind::Table) { &KEYS_WITH_TIME } else { &KEYS })?;
    if bytes.is_empty() {
        return Err(SourceError::Empty { path: path.display().to_string() });
    }
    let loaded = match kind {
        Kind::Npy => npy::load(path, &bytes, address)?,
        Kind::Edf => edf::load(path, &bytes, address)?,
        Kind::Wav => wav::load(path, &bytes, address)?,
        Kind::Table => table::load(path, &bytes, address)?,
    };
    drop(bytes);
    Ok(Box::new(Recording::new(path, loaded, address)?))
}

fn read(path: &Path) -> Result<Vec<u8>, SourceError> {
    let name = path.display().to_string();
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            let hint = if SYNTHS.contains(&name.as_str()) {
                format!(" (did you mean synth://{name}?)")
            } else {
                String::new()
            };
            return Err(SourceError::NoSuchFile { path: name, hint });
        }
        Err(cause) => return Err(SourceError::Unreadable { path: name, cause }),
    };
    if metadata.is_dir() {
        return Err(SourceError::Folder { path: name });
    }
    if metadata.len() > LIMIT_BYTES {
        return Err(SourceError::TooLarge {
            path: name,
            gigabytes: metadata.len() as f64 / 1e9,
            limit_gigabytes: LIMIT_BYTES as f64 / 1e9,
        });
    }
    std::fs::read(path).map_err(|cause| SourceError::Unreadable { path: name, cause })
}

fn kind(path: &Path, bytes: &[u8]) -> Option<Kind> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("npy") => Some(Kind::Npy),
        Some("edf" | "bdf" | "rec") => Some(Kind::Edf),
        Some("wav" | "wave") => Some(Kind::Wav),
        Some("csv" | "tsv" | "txt" | "tab" | "dat") => Some(Kind::Table),
        _ if bytes.starts_with(npy::MAGIC) => Some(Kind::Npy),
        _ if bytes.starts_with(b"RIFF") => Some(Kind::Wav),
        _ if bytes.starts_with(edf::EDF_MAGIC) || bytes.starts_with(edf::BDF_MAGIC) => Some(Kind::Edf),
        _ => None,
    }
}
