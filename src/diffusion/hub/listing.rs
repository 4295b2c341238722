//! What the hub tells of a model: `GET /api/models/NAME/revision/REVISION?blobs=true`.

use serde_json::Value;

use super::{hashes::Hash, name::is_file};

/// A file of a model on the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    pub path: String,
    pub size: u64,
    pub hash: Hash,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The commit that the revision is at.
    pub commit: String,
    pub files: Vec<Remote>,
}

fn is_hex(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl Listing {
    /// Reads the answer; the error says what in it is not as it should be. Nothing of it becomes a path unchecked.
    pub fn parse(text: &str) -> Result<Self, String> {
        let json: Value = serde_json::from_str(text).map_err(|e| format!("no JSON: {e}"))?;
        let commit = json["sha"].as_str().filter(|s| is_hex(s, 40)).ok_or("no commit")?;
        let siblings = json["siblings"].as_array().ok_or("no list of files")?;
        let mut files = Vec::new();
        for entry in siblings {
            let path = entry["rfilename"].as_str().ok_or("a file without a name")?;
            if !is_file(path) {
                return Err(format!("the name {path:?}"));
            }
            let large = &entry["lfs"];
            let sha256 = large["sha256"].as_str().filter(|s| is_hex(s, 64)).map(|s| Hash::Sha256(s.to_owned()));
            let git = || entry["blobId"].as_str().filter(|s| is_hex(s, 40)).map(|s| Hash::Git(s.to_owned()));
            let size = large["size"].as_u64().or_else(|| entry["size"].as_u64());
            if let (Some(size), Some(hash)) = (size, sha256.or_else(git)) {
                files.push(Remote { path: path.to_owned(), size, hash });
            } else {
                return Err(format!("{path} without size and hash"));
            }
        }
        Ok(Self { commit: commit.to_owned(), files })
    }
}
