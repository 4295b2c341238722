//! Textual inversion: words that somebody taught a text model, each a few vectors, used in a prompt by their names.
//!
//! A name in a prompt stands for as many words as it has vectors (Gal et al. 2022, arXiv 2208.01618; several vectors as
//! in diffusers' `load_textual_inversion`). Their numbers come after the vocabulary's, and the text model gets their
//! vectors as further rows of its words. A name is found wherever it stands by itself; case does not count.

use std::ops::Range;

use super::Words;

/// The learned words of one text model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Learned {
    /// In small letters, and the longest first, so that `ink` does not cut `ink-wash`.
    names: Vec<(String, Range<u32>)>,
    /// All vectors, row by row.
    rows: Vec<f32>,
    /// The number of the first: how many words the vocabulary has.
    first: u32,
}

impl Learned {
    /// For a text model whose vocabulary has this many words.
    pub fn after(words: usize) -> Self {
        Self { first: words as u32, ..Self::default() }
    }

    /// A further word: `rows` vectors one after the other, each `width` wide. A name that is known is learned anew.
    pub fn add(&mut self, names: &[String], rows: &[f32], width: usize) {
        let from = self.first + (self.rows.len() / width.max(1)) as u32;
        let to = from + (rows.len() / width.max(1)) as u32;
        self.rows.extend_from_slice(rows);
        for name in names.iter().map(|n| n.trim().to_lowercase()).filter(|n| !n.is_empty()) {
            self.names.retain(|(known, _)| *known != name);
            self.names.push((name, from..to));
        }
        self.names.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then(a.0.cmp(&b.0)));
    }

    pub fn rows(&self) -> &[f32] {
        &self.rows
    }

    /// The numbers of a text's words, learned ones among them.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut numbers = Vec::new();
        let (mut from, mut at) = (0, 0);
        while at < text.len() {
            match self.name_at(text, at) {
                Some((len, range)) => {
                    numbers.extend(Words::get().encode(&text[from..at]));
                    numbers.extend(range);
                    at += len;
                    from = at;
                }
                None => at += text[at..].chars().next().map_or(1, char::len_utf8),
            }
        }
        numbers.extend(Words::get().encode(&text[from..]));
        numbers
    }

    /// The name that begins here and stands by itself: its length and its numbers.
    fn name_at(&self, text: &str, at: usize) -> Option<(usize, Range<u32>)> {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let rest = &text[at..];
        let before = text[..at].chars().next_back();
        self.names.iter().find_map(|(name, range)| {
            let found = rest.get(..name.len()).filter(|f| f.to_lowercase() == *name)?;
            let after = rest[name.len()..].chars().next();
            let joined =
                |inner: Option<char>, outer: Option<char>| inner.is_some_and(is_word) && outer.is_some_and(is_word);
            let alone = !joined(found.chars().next(), before) && !joined(found.chars().next_back(), after);
            alone.then(|| (found.len(), range.clone()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned() -> Learned {
        let mut learned = Learned::after(49_408);
        learned.add(&["ink".to_owned(), "<Ink>".to_owned()], &[0.0; 4], 2);
        learned.add(&["ink-wash".to_owned()], &[1.0; 6], 2);
        learned
    }

    #[test]
    fn a_name_that_stands_by_itself_becomes_its_vectors() {
        let sea = Words::get().encode("a sea in");
        let [a, sea, inside] = sea[..] else { panic!("{sea:?}") };
        assert_eq!(learned().encode("a sea in INK"), [a, sea, inside, 49_408, 49_409]);
        assert_eq!(learned().encode("ink-wash a sea"), [49_410, 49_411, 49_412, a, sea]);
        assert_eq!(learned().encode("<ink> sea,ink")[..3], [49_408, 49_409, sea]);
        assert_eq!(learned().rows().len(), 10);
    }

    #[test]
    fn within_other_words_a_name_is_none() {
        for text in ["inky pink ink2 _ink", "drinks", "", "日本ink本", "link"] {
            assert_eq!(learned().encode(text), Words::get().encode(text), "{text}");
        }
    }

    #[test]
    fn a_name_learned_again_means_the_new_vectors() {
        let mut learned = learned();
        learned.add(&["Ink".to_owned()], &[2.0; 2], 2);
        assert_eq!(learned.encode("ink"), [49_413]);
    }
}
