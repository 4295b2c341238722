//! What people type: `(words:1.2)` gives words a weight, `a sea::0.7 | a wood::0.3` blends prompts.
//!
//! A weight is written with its number; brackets without one are words like any other, as the tokenizer sees them. A
//! prompt without weights is exactly what the model was trained on.

use super::{END, LENGTH, Learned, START};

/// Weights that people mean; larger ones only break the picture.
const HEAVIEST: f32 = 10.0;

/// The numbers and weights of a prompt, filled up to [`LENGTH`].
#[derive(Debug, Clone, PartialEq)]
pub struct Tokens {
    pub numbers: Vec<u32>,
    pub weights: Vec<f32>,
    /// Words past the end that the model does not see.
    pub left_out: usize,
}

impl Tokens {
    /// `padding` is what fills the places after the end: [`END`], or 0 for SD 2 and OpenCLIP-G. `learned`: words that
    /// were taught to the text model.
    pub fn of(prompt: &str, padding: u32, learned: &Learned) -> Self {
        let mut words: Vec<(u32, f32)> = Vec::new();
        for (text, weight) in weighted(prompt) {
            words.extend(learned.encode(text).into_iter().map(|n| (n, weight)));
        }
        let left_out = words.len().saturating_sub(LENGTH - 2);
        words.truncate(LENGTH - 2);
        let all = std::iter::once((START, 1.0)).chain(words).chain([(END, 1.0)]);
        let (mut numbers, mut weights): (Vec<u32>, Vec<f32>) = all.unzip();
        numbers.resize(LENGTH, padding);
        weights.resize(LENGTH, 1.0);
        Self { numbers, weights, left_out }
    }

    pub fn is_weighted(&self) -> bool {
        self.weights.iter().any(|w| *w != 1.0)
    }
}

/// Cuts `a (b:1.2) c` into `a `, `b` with 1.2, ` c`. Nested weights are multiplied.
fn weighted(prompt: &str) -> Vec<(&str, f32)> {
    let mut parts = Vec::new();
    cut(prompt, 1.0, &mut parts);
    parts
}

fn cut<'a>(text: &'a str, weight: f32, parts: &mut Vec<(&'a str, f32)>) {
    let mut rest = text;
    let mut from = 0;
    while let Some(open) = rest[from..].find('(').map(|i| from + i) {
        match group(&rest[open..]) {
            Some((inside, factor, len)) => {
                push(&rest[..open], weight, parts);
                cut(inside, (weight * factor).clamp(0.0, HEAVIEST), parts);
                rest = &rest[open + len..];
                from = 0;
            }
            None => from = open + 1,
        }
    }
    push(rest, weight, parts);
}

fn push<'a>(text: &'a str, weight: f32, parts: &mut Vec<(&'a str, f32)>) {
    if !text.is_empty() {
        parts.push((text, weight));
    }
}

/// `(inside:number)` at the start of the text: what is inside, the number, and the length of it all.
fn group(text: &str) -> Option<(&str, f32, usize)> {
    let mut depth = 0_usize;
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' if depth == 1 => {
                let (inside, number) = text[1..at].rsplit_once(':')?;
                let factor = number.trim().parse::<f32>().ok().filter(|f| f.is_finite() && *f >= 0.0)?;
                return Some((inside, factor, at + 1));
            }
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// How prompts of a blend are mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Blend {
    /// Weighted mean.
    #[default]
    Linear,
    /// Along the sphere, one prompt after the other; keeps the length of each word's vector.
    Slerp,
}

/// `a sea::0.7 | a wood::0.3` as prompts and shares that sum to 1. A prompt without `::` is one prompt whatever it holds.
pub fn blends(prompt: &str) -> Vec<(&str, f32)> {
    let parts: Vec<(&str, Option<f32>)> = prompt.split('|').map(share).collect();
    if parts.iter().all(|p| p.1.is_none()) {
        return vec![(prompt, 1.0)];
    }
    let shares: Vec<(&str, f32)> = parts.into_iter().map(|(text, s)| (text.trim(), s.unwrap_or(1.0))).collect();
    let sum: f32 = shares.iter().map(|s| s.1).sum();
    if sum <= 0.0 {
        let even = 1.0 / shares.len() as f32;
        return shares.into_iter().map(|(text, _)| (text, even)).collect();
    }
    shares.into_iter().map(|(text, s)| (text, s / sum)).filter(|p| p.1 > 0.0).collect()
}

fn share(part: &str) -> (&str, Option<f32>) {
    let Some((text, number)) = part.rsplit_once("::") else { return (part, None) };
    match number.trim().parse::<f32>() {
        Ok(share) if share.is_finite() && share >= 0.0 => (text, Some(share)),
        _ => (part, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_written_and_other_brackets_are_words() {
        assert_eq!(weighted("a (b c:1.2) d"), [("a ", 1.0), ("b c", 1.2), (" d", 1.0)]);
        assert_eq!(weighted("(highly detailed)"), [("(highly detailed)", 1.0)]);
        assert_eq!(weighted("(a (b:2):0.5)"), [("a ", 0.5), ("b", 1.0)]);
        assert_eq!(weighted("((a:3)"), [("(", 1.0), ("a", 3.0)]);
        for odd in ["(", ")", "(:)", "(a:)", "(a:nan)", "(a:-1)", "(()", "é(é:1"] {
            assert_eq!(weighted(odd).iter().map(|p| p.0).collect::<String>(), odd);
        }
        assert_eq!(weighted("(ü:1.5)"), [("ü", 1.5)]);
    }

    #[test]
    fn a_prompt_is_filled_up_with_the_padding_and_cut_at_the_end() {
        let tokens = Tokens::of("a watercolour of the sea at dawn", 0, &Learned::default());
        assert_eq!(tokens.numbers[..9], [START, 320, 18377, 539, 518, 2102, 536, 7689, END]);
        assert!(tokens.numbers.len() == LENGTH && tokens.numbers[9..].iter().all(|n| *n == 0) && !tokens.is_weighted());
        let long = Tokens::of(&"sea ".repeat(80), END, &Learned::default());
        assert_eq!((long.left_out, long.numbers.len(), long.numbers[76]), (5, LENGTH, END));
    }

    #[test]
    fn shares_of_a_blend_sum_to_one() {
        assert_eq!(blends("a sea::3 | a wood::1"), [("a sea", 0.75), ("a wood", 0.25)]);
        assert_eq!(blends("a|b"), [("a|b", 1.0)]);
        assert_eq!(blends("a::0|b::0"), [("a", 0.5), ("b", 0.5)]);
        assert_eq!(blends("a::1|b::0"), [("a", 1.0)]);
        assert_eq!(blends("std::vector"), [("std::vector", 1.0)]);
    }
}
