//! From an encoder's tokens to words in the place of a text's: the mappers of DreamDiffusion (arXiv 2306.16934, section
//! 3.2). Two convolutions of kernel 1 over the tokens, with nothing between them, then a matrix over their numbers.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor};

use super::layers::{Linear, Named};

/// The mappers on their tensors.
#[derive(Debug, Clone)]
pub struct Mappers {
    across: [Linear; 2],
    along: Linear,
}

/// What mappers make of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapperSizes {
    pub tokens: usize,
    pub width: usize,
    pub words: usize,
    pub word_width: usize,
}

impl Mappers {
    /// `under` stands before the names: `head`.
    pub fn new(from: &impl Named, under: &str) -> Result<Self> {
        let linear = |name: &str| Linear::new(from, &format!("{under}.{name}"));
        Ok(Self { across: [linear("channel_mapper.0")?, linear("channel_mapper.1")?], along: linear("dim_mapper")? })
    }

    /// (b, tokens, width) -> (b, words, word width)
    pub fn forward(&self, tokens: &Tensor) -> Result<Tensor> {
        let across = tokens.transpose(1, 2)?.contiguous()?;
        let fewer = self.across[1].forward(&self.across[0].forward(&across)?)?;
        self.along.forward(&fewer.transpose(1, 2)?.contiguous()?)
    }
}

impl MapperSizes {
    /// As the tensors' own sizes say; the error is the end of a sentence that begins with the file's name.
    pub fn read(tensors: &BTreeMap<String, Tensor>, under: &str) -> std::result::Result<Self, String> {
        // A convolution of kernel 1 is a matrix.
        let matrix = |name: &str| -> std::result::Result<[usize; 2], String> {
            let name = format!("{under}.{name}");
            let dims = |name: &str| tensors.get(name).map(Tensor::dims);
            let weight = dims(&format!("{name}.weight")).ok_or_else(|| format!("lacks the tensor {name}.weight"))?;
            let ([outputs, inputs] | [outputs, inputs, 1]) = *weight else {
                return Err(format!("has {name}.weight with the sizes {weight:?}, which is no mapper"));
            };
            match dims(&format!("{name}.bias")) {
                Some([n]) if *n == outputs => Ok([outputs, inputs]),
                _ => Err(format!("lacks {name}.bias of {outputs} numbers")),
            }
        };
        let [between, tokens] = matrix("channel_mapper.0")?;
        let [words, between_again] = matrix("channel_mapper.1")?;
        let [word_width, width] = matrix("dim_mapper")?;
        if between != between_again {
            return Err(format!(
                "has mappers that do not fit together: {under}.channel_mapper.0 makes {between} channels, \
                 {under}.channel_mapper.1 takes {between_again}"
            ));
        }
        Ok(Self { tokens, width, words, word_width })
    }
}
