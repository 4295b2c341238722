//! Addresses with wildcards, as OSC 1.0 has them: `?` one character, `*` any number, `[a-z]` `[!a-z]` one of a set,
//! `{red,green}` one of some words. None of them crosses a `/`.
//!
//! Source: opensoundcontrol.stanford.edu/spec-1_0.html, "OSC Message Dispatching and Pattern Matching". Matched by
//! keeping the set of positions that are reached, so that no pattern, however it is written, takes long.

/// Patterns beyond this length are nobody's.
const LONGEST: usize = 256;

/// A pattern that was read once, to be compared with many paths.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    parts: Vec<Vec<Token>>,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Letter(u8),
    Any,
    Many,
    Set { negated: bool, ranges: Vec<(u8, u8)> },
    Words(Vec<Vec<u8>>),
}

/// Whether an address is a pattern at all.
pub fn is_pattern(address: &str) -> bool {
    address.contains(['?', '*', '[', '{'])
}

impl Pattern {
    /// None for what is too long or has a bracket without its other half.
    pub fn new(address: &str) -> Option<Self> {
        if address.len() > LONGEST {
            return None;
        }
        let parts = address.strip_prefix('/')?.split('/').map(|part| tokens(part.as_bytes())).collect::<Option<_>>()?;
        Some(Self { parts })
    }

    pub fn matches(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else { return false };
        let mut parts = path.split('/');
        let fits = self.parts.iter().all(|tokens| parts.next().is_some_and(|part| fits(tokens, part.as_bytes())));
        fits && parts.next().is_none()
    }
}

fn tokens(mut rest: &[u8]) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    while let [first, after @ ..] = rest {
        rest = after;
        tokens.push(match first {
            b'?' => Token::Any,
            b'*' => Token::Many,
            b'[' => set(enclosed(&mut rest, b']')?),
            b'{' => Token::Words(enclosed(&mut rest, b'}')?.split(|b| *b == b',').map(<[u8]>::to_vec).collect()),
            letter => Token::Letter(*letter),
        });
    }
    Some(tokens)
}

fn enclosed<'a>(rest: &mut &'a [u8], end: u8) -> Option<&'a [u8]> {
    let at = rest.iter().position(|b| *b == end)?;
    let inner = &rest[..at];
    *rest = &rest[at + 1..];
    Some(inner)
}

fn set(inner: &[u8]) -> Token {
    let (negated, mut rest) = match inner {
        [b'!', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut ranges = Vec::new();
    while let [first, after @ ..] = rest {
        rest = after;
        let mut last = *first;
        // A minus at the end stands for itself.
        if let [b'-', to, after @ ..] = rest {
            last = *to;
            rest = after;
        }
        ranges.push((last.min(*first), last.max(*first)));
    }
    Token::Set { negated, ranges }
}

fn fits(tokens: &[Token], text: &[u8]) -> bool {
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for token in tokens {
        let mut next = vec![false; text.len() + 1];
        for at in (0..=text.len()).filter(|at| reached[*at]) {
            match token {
                Token::Many => next[at..].fill(true),
                Token::Words(words) => {
                    for word in words.iter().filter(|word| text[at..].starts_with(word)) {
                        next[at + word.len()] = true;
                    }
                }
                single => {
                    if text.get(at).is_some_and(|letter| single.takes(*letter)) {
                        next[at + 1] = true;
                    }
                }
            }
        }
        reached = next;
    }
    reached[text.len()]
}

impl Token {
    fn takes(&self, letter: u8) -> bool {
        match self {
            Self::Letter(own) => *own == letter,
            Self::Set { negated, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&letter)) != *negated
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Pattern::new(pattern).unwrap().matches(path)
    }

    #[test]
    fn each_wildcard_takes_what_the_specification_says() {
        for (pattern, path) in [
            ("/dream/vivid", "/dream/vivid"),
            ("/dream/*", "/dream/vivid"),
            ("/*/vivid", "/dream/vivid"),
            ("/dream/v?vid", "/dream/vivid"),
            ("/dream/{vivid,bright}", "/dream/bright"),
            ("/dream/genre/{in,c}*", "/dream/genre/coral"),
            ("/channel/[0-9]", "/channel/7"),
            ("/channel/[!0-9]", "/channel/x"),
            ("/channel/[9-0]", "/channel/7"),
            ("/channel/[abc-]", "/channel/-"),
            ("/effect/*s/a*t", "/effect/trails/amount"),
            ("/a**b", "/ab"),
        ] {
            assert!(matches(pattern, path), "{pattern} and {path}");
        }
    }

    #[test]
    fn no_wildcard_crosses_a_slash_or_takes_too_much() {
        for (pattern, path) in [
            ("/*", "/dream/vivid"),
            ("/dream/*", "/dream/genre/ink"),
            ("/dream?vivid", "/dream/vivid"),
            ("/dream/vivid?", "/dream/vivid"),
            ("/dream/[!v]ivid", "/dream/vivid"),
            ("/dream/{viv,bright}", "/dream/vivid"),
            ("/dream/*/ink", "/dream/ink"),
            ("/dream", "/dream/vivid"),
        ] {
            assert!(!matches(pattern, path), "{pattern} and {path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["dream/*", "", "/dream/[0-9", "/dream/{a,b", &format!("/{}", "*".repeat(300))] {
            assert_eq!(Pattern::new(text), None, "{text}");
        }
    }

    #[test]
    fn a_pattern_made_to_take_long_does_not() {
        let pattern = format!("/{}b", "{a,aa}*".repeat(30));
        assert!(!matches(&pattern, &format!("/{}", "a".repeat(200))));
    }
}
