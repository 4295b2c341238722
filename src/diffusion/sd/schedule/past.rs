//! What a run of PLMS remembers: the last answers of the U-Net, from which it guesses where the next one leads.
//!
//! After diffusers' PNDMScheduler with `skip_prk_steps`: the second step is taken twice, first with the first answer
//! alone, then from the same start with the mean of both; from then on by Adams and Bashforth's formulas.

use candle_core::{Result, Tensor};

/// Answers that the formulas use.
const KEPT: usize = 4;

/// The memory of one run; other samplers leave it empty.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// Newest last.
    answers: Vec<Tensor>,
    /// The latent before the first step.
    start: Option<Tensor>,
    calls: usize,
}

impl Past {
    /// The latent and the answer to step with. At the second call the latent is where the first began.
    pub fn blend(&mut self, x: &Tensor, answer: &Tensor) -> Result<(Tensor, Tensor)> {
        let call = self.calls;
        self.calls += 1;
        if call == 1 {
            let first = self.answers.first().unwrap_or(answer);
            return Ok((self.start.clone().unwrap_or_else(|| x.clone()), ((first * 0.5)? + (answer * 0.5)?)?));
        }
        if self.answers.len() == KEPT {
            self.answers.remove(0);
        }
        self.answers.push(answer.clone());
        let weights: &[f64] = match (call, self.answers.len()) {
            (0, _) => {
                self.start = Some(x.clone());
                &[1.0]
            }
            (_, 2) => &[-0.5, 1.5],
            (_, 3) => &[5.0 / 12.0, -16.0 / 12.0, 23.0 / 12.0],
            _ => &[-9.0 / 24.0, 37.0 / 24.0, -59.0 / 24.0, 55.0 / 24.0],
        };
        let mut blended = (answer * weights[self.answers.len() - 1])?;
        for (answer, weight) in self.answers.iter().zip(&weights[..self.answers.len() - 1]) {
            blended = (blended + (answer * *weight)?)?;
        }
        Ok((x.clone(), blended))
    }
}
