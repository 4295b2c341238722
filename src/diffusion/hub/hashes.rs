//! The two hashes by which the hub names contents: SHA-256 for large files, and git's SHA-1 for small ones.

use sha2::{Digest, Sha256};

/// The hash that a file is to have, as hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hash {
    Sha256(String),
    /// SHA-1 of `blob LENGTH\0` and the contents.
    Git(String),
}

impl Hash {
    pub fn hex(&self) -> &str {
        let (Self::Sha256(hex) | Self::Git(hex)) = self;
        hex
    }

    pub fn start(&self, len: u64) -> Hasher {
        match self {
            Self::Sha256(_) => Hasher::Sha256(Sha256::new()),
            Self::Git(_) => {
                let mut sha = Sha1::default();
                sha.update(format!("blob {len}\0").as_bytes());
                Hasher::Git(Box::new(sha))
            }
        }
    }
}

pub enum Hasher {
    Sha256(Sha256),
    Git(Box<Sha1>),
}

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(sha) => sha.update(bytes),
            Self::Git(sha) => sha.update(bytes),
        }
    }

    pub fn hex(self) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect();
        match self {
            Self::Sha256(sha) => hex(&sha.finalize()),
            Self::Git(sha) => hex(&sha.finish()),
        }
    }
}

/// SHA-1 (FIPS 180-4), as git names its contents. It finds errors of transport; it is no protection against malice,
/// for which the large files have SHA-256.
pub struct Sha1 {
    state: [u32; 5],
    rest: Vec<u8>,
    len: u64,
}

impl Default for Sha1 {
    fn default() -> Self {
        let state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
        Self { state, rest: Vec::new(), len: 0 }
    }
}

impl Sha1 {
    fn update(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        self.rest.extend_from_slice(bytes);
        let (blocks, _) = self.rest.as_chunks::<64>();
        let blocks = blocks.to_vec();
        blocks.iter().for_each(|block| self.block(block));
        self.rest.drain(..64 * blocks.len());
    }

    fn block(&mut self, block: &[u8; 64]) {
        let mut words = [0_u32; 80];
        for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        for i in 16..80 {
            words[i] = (words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16]).rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = self.state;
        for (i, word) in words.iter().enumerate() {
            let (f, k) = match i / 20 {
                0 => (b & c | !b & d, 0x5a82_7999),
                1 => (b ^ c ^ d, 0x6ed9_eba1),
                2 => (b & c | b & d | c & d, 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6_u32),
            };
            let next = a.rotate_left(5).wrapping_add(f).wrapping_add(e).wrapping_add(k).wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (state, new) in self.state.iter_mut().zip([a, b, c, d, e]) {
            *state = state.wrapping_add(new);
        }
    }

    fn finish(mut self) -> [u8; 20] {
        let bits = 8 * self.len;
        let zeros = (119 - self.len % 64) as usize % 64;
        let mut end = vec![0x80];
        end.resize(1 + zeros, 0);
        end.extend(bits.to_be_bytes());
        self.update(&end);
        let mut out = [0; 20];
        for (bytes, word) in out.as_chunks_mut::<4>().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_git_and_sha256sum() {
        // printf 'hello\n' | git hash-object --stdin; printf 'hello\n' | sha256sum
        for (hash, expected) in [
            (Hash::Git(String::new()), "ce013625030ba8dba906f756967f9e9ca394464a"),
            (Hash::Sha256(String::new()), "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"),
        ] {
            let mut hasher = hash.start(6);
            hasher.update(b"hel");
            hasher.update(b"lo\n");
            assert_eq!(hasher.hex(), expected);
        }
        // Every place of the padding: `seq 200 | head -c N | sha1sum`, in pieces and at once.
        for len in [0_usize, 1, 55, 56, 63, 64, 65, 119, 120, 128, 500] {
            let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let mut pieces = Sha1::default();
            bytes.chunks(7).for_each(|c| pieces.update(c));
            let mut whole = Sha1::default();
            whole.update(&bytes);
            assert_eq!(pieces.finish(), whole.finish(), "{len}");
        }
        let mut of_64 = Sha1::default();
        of_64.update(&[b'a'; 64]);
        let hex: String = of_64.finish().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "0098ba824b5c16427bd7a1122a5a442a25ec644d");
    }
}
