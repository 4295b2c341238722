//! What a run of PLMS remembers: the last answers of the U-Net, from which it guesses where the next one leads.
//!
//! After diffusers' PNDMScheduler with `skip_prk_steps`: the second step is taken twice, first with the first answer
//! alone, then from the same start with the mean of both; from then on by Adams and Bashforth's formulas.

/// Answers that the formulas use.
const KEPT: usize = 4;

/// The memory of one run; other samplers leave it empty.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// Newest last.
    answers: Vec<Vec<f32>>,
    /// The latent before the first step.
    start: Vec<f32>,
    calls: usize,
    blended: Vec<f32>,
}

impl Past {
    /// The answer to step with. At the second call `x` goes back to where the first began.
    pub(super) fn blend(&mut self, x: &mut [f32], answer: &[f32]) -> &[f32] {
        let call = self.calls;
        self.calls += 1;
        if call == 1 {
            x.copy_from_slice(&self.start);
        } else {
            if self.answers.len() == KEPT {
                self.answers.rotate_left(1);
                self.answers.pop();
            }
            self.answers.push(answer.to_vec());
        }
        let weights: &[f32] = match (call, self.answers.len()) {
            (0, _) => {
                self.start = x.to_vec();
                &[1.0]
            }
            // The answer of this call is not kept: its share comes below.
            (1, _) => &[0.5],
            (_, 2) => &[-0.5, 1.5],
            (_, 3) => &[5.0 / 12.0, -16.0 / 12.0, 23.0 / 12.0],
            _ => &[-9.0 / 24.0, 37.0 / 24.0, -59.0 / 24.0, 55.0 / 24.0],
        };
        self.blended.clear();
        self.blended.resize(answer.len(), 0.0);
        for (answer, weight) in self.answers.iter().zip(weights) {
            self.blended.iter_mut().zip(answer).for_each(|(b, a)| *b += weight * a);
        }
        if call == 1 {
            self.blended.iter_mut().zip(answer).for_each(|(b, a)| *b += 0.5 * a);
        }
        &self.blended
    }
}
