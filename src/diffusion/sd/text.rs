//! From what is typed to what the U-Net attends to: tokenizer, weights of words, the CLIP text transformer.

mod clip;
mod layer;
mod learned;
mod prompt;
mod words;

pub use clip::{Activation, Clip, ClipConfig};
pub use layer::Layer;
pub use learned::Learned;
pub use prompt::{Blend, Tokens, blends};
pub use words::{END, START, Words};

/// Words of a prompt with start and end: the length that all CLIP text models were trained with.
pub const LENGTH: usize = 77;

#[cfg(test)]
mod tests {
    /// Texts and their numbers by open_clip 3.3.0's SimpleTokenizer.
    pub fn encoded() -> Vec<(&'static str, Vec<u32>)> {
        vec![
            ("", vec![]),
            ("a watercolour of the sea at dawn", vec![320, 18377, 539, 518, 2102, 536, 7689]),
            (
                "stained glass, violet and gold, (highly detailed)",
                vec![13751, 3313, 267, 16118, 537, 2209, 267, 263, 5302, 12609, 264],
            ),
            (
                "It's  the\tQUEEN\u{2019}s 1234 °C — naïve café 日本 🌊!!",
                vec![
                    585, 568, 518, 2997, 568, 272, 273, 274, 275, 6858, 322, 2005, 1097, 35689, 563, 15304, 39121,
                    19277, 361, 20465, 748,
                ],
            ),
            (
                "photo, 8k, f/1.8 &amp; rain; don't we're",
                vec![1125, 267, 279, 330, 267, 325, 270, 272, 269, 279, 261, 2443, 282, 847, 713, 649, 982],
            ),
            (
                "हिन्दी Ⅷ ½ مرحبا",
                vec![29446, 26721, 26090, 19389, 29552, 25751, 158, 227, 371, 33613, 12986, 10948, 25722, 16378, 22625],
            ),
        ]
    }
}
