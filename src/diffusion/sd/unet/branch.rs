//! DreamDiffusion's branch into the timestep (arXiv 2306.16934; `time_embed_condtion` in its checkpoints, spelt so): the
//! words of a signal, brought down to one by two convolutions of kernel 1 with nothing between them, through a matrix,
//! added to the embedded timestep. It depends on the words alone, so it is computed once for them.

use candle_core::{Result, Tensor};

use crate::diffusion::sd::layers::At;

/// Its name in checkpoints.
const NAME: &str = "time_embed_condtion";

/// The branch on its tensors.
pub struct Branch {
    /// Words that it takes.
    pub words: usize,
    /// (outputs, inputs) and (outputs, 1), over the words.
    across: [(Tensor, Tensor); 2],
    /// (outputs, inputs) and (outputs), over a word's numbers.
    along: (Tensor, Tensor),
}

impl Branch {
    /// None for a U-Net that has no such branch. Words are `width` wide, the embedded timestep `time_width`.
    pub fn new(at: &At, width: usize, time_width: usize) -> Result<Option<Self>> {
        let at = at.at(NAME);
        let first = format!("{NAME}.0.weight");
        if !at.tensors.has(&first) {
            return Ok(None);
        }
        let (between, words) = (at.tensors.size(&first, 0), at.tensors.size(&first, 1));
        let convolution = |name: &str, outputs: usize, inputs: usize| {
            let at = at.at(name);
            let weight = at.get("weight", &[outputs, inputs, 1]).reshape((outputs, inputs))?;
            Result::Ok((weight, at.get("bias", &[outputs]).reshape((outputs, 1))?))
        };
        let last = at.at("2");
        Ok(Some(Self {
            words,
            across: [convolution("0", between, words)?, convolution("1", 1, between)?],
            along: (last.get("weight", &[time_width, width]), last.get("bias", &[time_width])),
        }))
    }

    /// (rows, words, width) -> (rows, time width)
    pub fn forward(&self, words: &Tensor) -> Result<Tensor> {
        let one = |row: Tensor| {
            let across = |x: Tensor, (weight, bias): &(Tensor, Tensor)| weight.matmul(&x)?.broadcast_add(bias);
            let word = across(across(row, &self.across[0])?, &self.across[1])?;
            word.matmul(&self.along.0.t()?)?.broadcast_add(&self.along.1)
        };
        Tensor::cat(&(0..words.dim(0)?).map(|row| one(words.get(row)?)).collect::<Result<Vec<_>>>()?, 0)
    }
}
