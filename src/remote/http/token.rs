//! The word that lets a phone in when the page is served beyond this machine.

use std::{
    fmt,
    fs::File,
    hash::{BuildHasher, RandomState},
    io::Read,
};

/// Letters, digits, `-` and `_`: what stands in a URL and a cookie as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// What was typed is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a token has {SHORTEST} to {LONGEST} letters, digits, - and _")]
pub struct TokenError;

/// Long enough not to be guessed by trying at the rate that the page answers.
const SHORTEST: usize = 8;
const LONGEST: usize = 128;
const RANDOM_BYTES: usize = 16;

impl Token {
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let fits = (SHORTEST..=LONGEST).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if fits { Ok(Self(text.into())) } else { Err(TokenError) }
    }

    /// A new one from the randomness of the operating system.
    pub fn random() -> Self {
        let mut bytes = [0; RANDOM_BYTES];
        let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
        if read.is_err() {
            // Where there is no such file: the keys of hash maps come from the operating system too.
            let keys = RandomState::new();
            for (at, half) in bytes.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                half.copy_from_slice(&keys.hash_one(at).to_ne_bytes());
            }
        }
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares in a time that tells nothing of where the difference is.
    pub fn is(&self, offered: &str) -> bool {
        let (own, offered) = (self.0.as_bytes(), offered.as_bytes());
        let different = own.iter().zip(offered).fold(0, |different, (a, b)| std::hint::black_box(different | (a ^ b)));
        own.len() == offered.len() && different == 0
    }
}

/// Not the word itself: this ends up in logs.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_long_enough_and_stands_in_a_url_is_a_token() {
        for text in ["12345678", "abc-DEF_123", &"x".repeat(128)] {
            assert_eq!(Token::new(text).unwrap().as_str(), text);
        }
        for text in ["", "1234567", "with space", "ümlautige", "a;b=c&d?e", &"x".repeat(129)] {
            assert_eq!(Token::new(text), Err(TokenError), "{text}");
        }
    }

    #[test]
    fn a_token_is_itself_and_nothing_near_it() {
        let token = Token::new("abcdefgh").unwrap();
        assert!(token.is("abcdefgh"));
        for offered in ["", "abcdefg", "abcdefghi", "abcdefgH", "Abcdefgh"] {
            assert!(!token.is(offered), "{offered}");
        }
        assert_eq!(format!("{token:?}"), "Token(…)");
    }

    #[test]
    fn random_tokens_are_long_and_differ() {
        let (one, other) = (Token::random(), Token::random());
        assert_ne!(one, other);
        assert_eq!(one.as_str().len(), 2 * RANDOM_BYTES);
        assert_eq!(Token::new(one.as_str()), Ok(one));
    }
}
