//! CLIP's tokenizer: text to numbers of words.
//!
//! Byte-pair encoding as in OpenAI's CLIP (simple_tokenizer.py): the text in lower case is cut into words, and of each
//! word's pieces the pair with the lowest rank is merged until no known pair is left. The ranks ship in the program
//! (models/clip).

use std::{
    collections::HashMap,
    io::Read,
    sync::{LazyLock, PoisonError, RwLock},
};

use flate2::read::GzDecoder;
use regex::Regex;

/// The first number of a text, and the one after its last word.
pub const START: u32 = 49_406;
pub const END: u32 = 49_407;

/// Bytes, and bytes at the end of a word, come before the merges.
const SINGLE: u32 = 512;
/// Words whose pieces are remembered; people type few, and gliding prompts repeat them.
const REMEMBERED: usize = 4096;

static MERGES: &[u8] = include_bytes!("../../../../models/clip/merges.txt.gz");

/// The cuts of simple_tokenizer.py.
const WORD: &str = r"(?i)<start_of_text>|<end_of_text>|<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+";

pub struct Words {
    cut: Option<Regex>,
    /// (left, right) to rank; the merged piece is `SINGLE + rank`.
    ranks: HashMap<(u32, u32), u32>,
    known: RwLock<HashMap<String, Vec<u32>>>,
}

impl Words {
    /// The one tokenizer of the program; unpacked when first asked for.
    pub fn get() -> &'static Self {
        static WORDS: LazyLock<Words> = LazyLock::new(Words::unpack);
        &WORDS
    }

    fn unpack() -> Self {
        let mut text = String::new();
        // The file is part of the program, and a test reads it: it cannot fail here.
        let _ = GzDecoder::new(MERGES).read_to_string(&mut text);
        let mut numbers: HashMap<String, u32> = HashMap::new();
        for (i, shown) in bytes_as_shown().into_iter().enumerate() {
            numbers.insert(shown.to_string(), i as u32);
            numbers.insert(format!("{shown}</w>"), 256 + i as u32);
        }
        let mut ranks = HashMap::new();
        for (rank, line) in text.lines().enumerate() {
            let Some((left, right)) = line.split_once(' ') else { continue };
            if let (Some(&l), Some(&r)) = (numbers.get(left), numbers.get(right)) {
                ranks.insert((l, r), rank as u32);
            }
            numbers.insert(format!("{left}{right}"), SINGLE + rank as u32);
        }
        Self { cut: Regex::new(WORD).ok(), ranks, known: RwLock::default() }
    }

    /// The numbers of a text's words, without start and end.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let text = cleaned(text);
        let Some(cut) = &self.cut else { return Vec::new() };
        cut.find_iter(&text).flat_map(|word| self.word(word.as_str())).collect()
    }

    fn word(&self, word: &str) -> Vec<u32> {
        match word {
            "<start_of_text>" | "<|startoftext|>" => return vec![START],
            "<end_of_text>" | "<|endoftext|>" => return vec![END],
            _ => {}
        }
        if let Some(found) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(word) {
            return found.clone();
        }
        let pieces = self.merged(word);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < REMEMBERED {
            known.insert(word.to_owned(), pieces.clone());
        }
        pieces
    }

    fn merged(&self, word: &str) -> Vec<u32> {
        let places = byte_places();
        let mut pieces: Vec<u32> = word.bytes().map(|b| places[usize::from(b)]).collect();
        if let Some(last) = pieces.last_mut() {
            *last += 256;
        }
        loop {
            let ranked = pieces.windows(2).filter_map(|p| Some((*self.ranks.get(&(p[0], p[1]))?, (p[0], p[1]))));
            let Some((rank, pair)) = ranked.min() else { return pieces };
            let mut next = Vec::with_capacity(pieces.len());
            let mut i = 0;
            while i < pieces.len() {
                if pieces.get(i + 1).is_some_and(|right| (pieces[i], *right) == pair) {
                    next.push(SINGLE + rank);
                    i += 2;
                } else {
                    next.push(pieces[i]);
                    i += 1;
                }
            }
            pieces = next;
        }
    }
}

/// Bytes in the order of CLIP's vocabulary: those that are seen first, then the rest.
fn byte_order() -> Vec<u8> {
    let seen = |b: &u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    (0..=255).filter(seen).chain((0..=255).filter(|b| !seen(b))).collect()
}

/// The character that stands for each byte in the merges, in that order: itself, or one from U+0100 on.
fn bytes_as_shown() -> Vec<char> {
    let order = byte_order();
    let seen = order.iter().take(188).map(|b| char::from(*b));
    seen.chain((0x100..).filter_map(char::from_u32).take(256 - 188)).collect()
}

fn byte_places() -> &'static [u32; 256] {
    static PLACES: LazyLock<[u32; 256]> = LazyLock::new(|| {
        let mut places = [0; 256];
        byte_order().into_iter().zip(0..).for_each(|(byte, place)| places[usize::from(byte)] = place);
        places
    });
    &PLACES
}

/// Straight quotes, entities resolved, single spaces, lower case: what CLIP's cleaning does to what people type.
fn cleaned(text: &str) -> String {
    let mut text = text.replace(['\u{2018}', '\u{2019}', '\u{201b}'], "'").replace(['\u{201c}', '\u{201d}'], "\"");
    for _ in 0..2 {
        for (entity, meant) in
            [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")]
        {
            if text.contains('&') {
                text = text.replace(entity, meant);
            }
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_merges_are_read() {
        let words = Words::get();
        assert_eq!(words.ranks.len(), 48_894);
        assert_eq!(words.ranks.values().max(), Some(&48_893));
    }

    #[test]
    fn words_have_the_numbers_that_clip_gives_them() {
        // From open_clip's SimpleTokenizer.
        for (text, numbers) in super::super::tests::encoded() {
            assert_eq!(Words::get().encode(text), numbers, "{text:?}");
        }
    }

    #[test]
    fn any_text_is_encoded() {
        for text in ["", "   ", "\u{0}\u{1}", "🦀🌊", "ÄÖÜß ١٢٣ Ⅷ", "&amp;amp;", "'''s", &"a".repeat(5000)]
        {
            assert!(Words::get().encode(text).iter().all(|n| *n < 49_408), "{text:?}");
        }
    }
}
