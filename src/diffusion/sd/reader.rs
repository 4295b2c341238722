//! The text models of a checkpoint: prompts to the vectors that the U-Net attends to.
//!
//! Shared by the generating thread and the one that encodes a new prompt while the old one paints on.

use candle_core::{DType, Device, Result, Tensor};

use super::{
    Family,
    files::{self, EmbeddingUse, Parts, Refusal, Tensors},
    layers::{At, Engine},
    text::{Blend, Clip, ClipConfig, LENGTH, Learned, Tokens, blends},
};
use crate::diffusion::SignalWords;

/// A text's vectors: (1, words, width), and for SDXL (1, width) of the whole.
#[derive(Clone)]
pub struct Embedded {
    pub words: Tensor,
    pub pooled: Option<Tensor>,
}

pub struct Reader {
    pub family: Family,
    pub padding: u32,
    /// None where a signal steers in the place of a text: then nothing reads, and every text is zeros.
    pub clip: Option<Clip>,
    pub clip_2: Option<Clip>,
    /// Words of textual inversion, of each text model.
    pub learned: [Learned; 2],
    /// Words of a text, and numbers a word.
    pub size: [usize; 2],
}

impl Reader {
    /// Builds the text models of a checkpoint, with words that were learnt besides.
    pub fn new(parts: &Parts, embeddings: &[EmbeddingUse], engine: &Engine) -> std::result::Result<Self, Refusal> {
        let path = &parts.path;
        let failed = |e: candle_core::Error| Refusal::new(path, format!("cannot be built: {e}"));
        let read = |text: &Option<(Tensors, ClipConfig)>, part: &str| -> std::result::Result<_, Refusal> {
            let Some((tensors, config)) = text else { return Ok(None) };
            let clip = Clip::new(&At::root(tensors, engine), config.clone()).map_err(failed)?;
            tensors.check(part, path)?;
            Ok(Some(clip))
        };
        let (mut clip, mut clip_2) = (read(&parts.text, "text_encoder")?, read(&parts.text_2, "text_encoder_2")?);
        let learned = files::learned(parts, embeddings)?;
        for (clip, learned) in [&mut clip, &mut clip_2].into_iter().zip(&learned) {
            clip.as_mut().map_or(Ok(()), |clip| clip.learn(learned)).map_err(failed)?;
        }
        let width = parts.unet.1.cross;
        let text_width = [&parts.text, &parts.text_2].iter().filter_map(|t| Some(t.as_ref()?.1.width)).sum::<usize>();
        if parts.text.is_some() && text_width != width {
            let what = format!(
                "has text models of {text_width} channels, but its U-Net takes {width}; its parts are of different models"
            );
            return Err(Refusal::new(path, what));
        }
        let (family, padding, size) = (parts.family, parts.padding, [parts.words, width]);
        Ok(Self { family, padding, clip, clip_2, learned, size })
    }

    /// The numbers of a prompt's words as the text models see them.
    pub fn tokens(&self, prompt: &str) -> Vec<Tokens> {
        if self.clip.is_none() {
            return Vec::new();
        }
        let mut all = vec![Tokens::of(prompt, self.padding, &self.learned[0])];
        if self.clip_2.is_some() {
            all.push(Tokens::of(prompt, 0, &self.learned[1]));
        }
        all
    }

    /// A prompt's vectors; blends and weights of words are resolved.
    pub fn embed(&self, prompt: &str, blend: Blend) -> Result<Embedded> {
        let parts = blends(prompt).into_iter().map(|(prompt, share)| Ok((self.embed_one(prompt)?, share)));
        match Embedded::blended(parts.collect::<Result<Vec<_>>>()?, blend)? {
            Some(embedded) => Ok(embedded),
            None => self.embed_one(""),
        }
    }

    /// The vectors of one prompt of a blend.
    pub fn embed_one(&self, prompt: &str) -> Result<Embedded> {
        let Some(clip) = &self.clip else {
            let [words, width] = self.size;
            return Ok(Embedded { words: Tensor::zeros((1, words, width), DType::F32, &Device::Cpu)?, pooled: None });
        };
        let encode = |clip: &Clip, padding: u32, learned: &Learned| {
            let tokens = Tokens::of(prompt, padding, learned);
            if tokens.left_out > 0 {
                tracing::warn!("the prompt is {} words too long; its end is left out", tokens.left_out);
            }
            let empty = Tokens::of("", padding, learned);
            let mut prompts = vec![tokens.numbers.as_slice()];
            if tokens.is_weighted() {
                prompts.push(&empty.numbers);
            }
            let encoded = clip.encode(&prompts)?;
            let words = if self.family == Family::Sdxl { &encoded.before_last } else { &encoded.last };
            let mut weighted = words.narrow(0, 0, 1)?;
            if tokens.is_weighted() {
                // A weight moves a word's vector away from the one that the empty prompt has at its place.
                let neutral = words.narrow(0, 1, 1)?;
                let weights = Tensor::from_vec(tokens.weights, (1, LENGTH, 1), clip.device())?;
                weighted = ((weighted - &neutral)?.broadcast_mul(&weights)? + neutral)?;
            }
            let pooled = encoded.pooled.map(|p| p.narrow(0, 0, 1)).transpose()?;
            Result::Ok((weighted, pooled))
        };
        let (words, _) = encode(clip, self.padding, &self.learned[0])?;
        match &self.clip_2 {
            None => Ok(Embedded { words, pooled: None }),
            Some(clip) => {
                let (more, pooled) = encode(clip, 0, &self.learned[1])?;
                Ok(Embedded { words: Tensor::cat(&[words, more], 2)?, pooled })
            }
        }
    }
}

impl Embedded {
    /// Several with their shares, one after the other; none of none.
    pub fn blended(parts: Vec<(Self, f32)>, blend: Blend) -> Result<Option<Self>> {
        let mut mixed: Option<(Self, f32)> = None;
        for (next, share) in parts {
            mixed = Some(match mixed {
                None => (next, share),
                Some((before, sum)) => (before.mixed(&next, f64::from(share / (sum + share)), blend)?, sum + share),
            });
        }
        Ok(mixed.map(|m| m.0))
    }

    /// `part` of the way to another text.
    pub fn mixed(&self, other: &Self, part: f64, blend: Blend) -> Result<Self> {
        let mix = |a: &Tensor, b: &Tensor| match blend {
            Blend::Linear => (a * (1.0 - part))? + (b * part)?,
            Blend::Slerp => slerp(a, b, part),
        };
        let pooled = match (&self.pooled, &other.pooled) {
            (Some(a), Some(b)) => Some(mix(a, b)?),
            _ => None,
        };
        Ok(Self { words: mix(&self.words, &other.words)?, pooled })
    }

    /// So much of the way to what a signal says in the place of the words.
    pub fn steered(&self, signal: &SignalWords) -> Result<Self> {
        let (_, words, width) = self.words.dims3()?;
        let said = Tensor::from_slice(&signal.values, (1, words, width), self.words.device())?;
        let weight = f64::from(signal.weight);
        let words = if signal.weight == 1.0 { said } else { ((&self.words * (1.0 - weight))? + (said * weight)?)? };
        Ok(Self { words, pooled: self.pooled.clone() })
    }

    /// What SDXL's base models were trained with in the place of the empty prompt.
    pub fn zeros(&self) -> Result<Self> {
        let pooled = self.pooled.as_ref().map(Tensor::zeros_like).transpose()?;
        Ok(Self { words: self.words.zeros_like()?, pooled })
    }
}

/// Each word's vector along the great circle, its length in between; straight where the two are nearly parallel.
fn slerp(a: &Tensor, b: &Tensor, part: f64) -> Result<Tensor> {
    let shape = a.dims().to_vec();
    let width = shape.last().copied().unwrap_or(1);
    let (mut from, to) = (a.flatten_all()?.to_vec1::<f32>()?, b.flatten_all()?.to_vec1::<f32>()?);
    for (a, b) in from.chunks_exact_mut(width).zip(to.chunks_exact(width)) {
        let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
        let lengths = (dot(a, a).sqrt(), dot(b, b).sqrt());
        let cosine = dot(a, b) / (lengths.0 * lengths.1).max(1e-30);
        let (p, q) = if cosine.abs() > 0.9995 {
            (1.0 - part, part)
        } else {
            let angle = cosine.acos();
            let length = lengths.0 * (1.0 - part) + lengths.1 * part;
            let share = |x: f64| (x * angle).sin() / angle.sin() * length;
            (share(1.0 - part) / lengths.0, share(part) / lengths.1)
        };
        a.iter_mut().zip(b).for_each(|(a, b)| *a = (p * f64::from(*a) + q * f64::from(*b)) as f32);
    }
    Tensor::from_vec(from, shape, &Device::Cpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_way_between_two_words_the_length_is_kept() {
        let tensor = |v: [f32; 2]| Tensor::from_slice(&v, (1, 2), &Device::Cpu).unwrap();
        let middle = slerp(&tensor([2.0, 0.0]), &tensor([0.0, 2.0]), 0.5).unwrap();
        let middle = middle.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!((middle[0] - 2.0_f32.sqrt()).abs() < 1e-6 && (middle[1] - 2.0_f32.sqrt()).abs() < 1e-6);
    }
}
