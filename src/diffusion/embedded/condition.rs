//! What steers a picture, brought into the form that the denoiser's layers take: computed when it changes, kept until
//! then.

use super::names::{BLOCKS, CONDITION, CONTEXT, LEVELS, SEEN, TIME, WHOLE};
use crate::{
    diffusion::{Conditioning, weights::Weights},
    kernels::{Affine, Conv, ConvShape, Finish, Grid, Instructions, Pool, Target},
};

/// Context tokens that a picture may have besides the model's own.
const MOST_TOKENS: usize = 256;

pub(super) struct Condition {
    genre: Linear,
    gates: Linear,
    mood: Linear,
    time: Linear,
    whole: Linear,
    cond: Linear,
    films: Vec<Linear>,
    /// Bias of the convolution that each block's modulation follows.
    biases: Vec<Vec<f32>>,
    null: Vec<f32>,
    scene_name: Vec<f32>,
    scene_value: Vec<f32>,
    kv: (Conv, Affine),
    genres: usize,
    scene: usize,
    /// What the two below were computed from.
    prepared: Option<(Conditioning, usize)>,
    /// For each step what genre, mood and time add up to.
    sums: Vec<Vec<f32>>,
    /// How much of each channel that the denoiser sees these genres look at.
    pub gate: Vec<f32>,
    /// For each of [`BLOCKS`], the factors and terms after its first convolution, as last modulated.
    pub modulation: Vec<Affine>,
    /// Keys and values of the context tokens, a pixel a token.
    pub context: Grid,
}

/// `y = weight x + bias`, the weight kept input by input so that the sum runs along the outputs.
struct Linear {
    columns: Vec<f32>,
    bias: Vec<f32>,
}

impl Linear {
    fn new(weights: &Weights, name: &str, outputs: usize) -> Self {
        let weight = weights.get(&format!("{name}.weight"));
        let inputs = weight.len() / outputs;
        let columns = (0..inputs).flat_map(|i| (0..outputs).map(move |o| weight[o * inputs + i])).collect();
        let bias = match weights.get(&format!("{name}.bias")) {
            [] => vec![0.0; outputs],
            bias => bias.to_vec(),
        };
        Self { columns, bias }
    }
    fn add_to(&self, x: &[f32], y: &mut [f32]) {
        for (column, x) in self.columns.chunks_exact(self.bias.len()).zip(x) {
            y.iter_mut().zip(column).for_each(|(y, w)| *y += w * x);
        }
        y.iter_mut().zip(&self.bias).for_each(|(y, b)| *y += b);
    }
}

fn silu(v: &mut [f32]) {
    v.iter_mut().for_each(|x| *x /= 1.0 + (-*x).exp());
}

/// A number that people, files and controllers gave: finite and within its range.
pub(super) fn tame(value: f32) -> f32 {
    if value.is_finite() { value.clamp(-1.0, 1.0) } else { 0.0 }
}

impl Condition {
    pub fn new(weights: &Weights, genres: usize, scene: usize, set: Instructions, pool: &Pool) -> Self {
        let linear = |name: &str, outputs| Linear::new(weights, &format!("denoiser.{name}"), outputs);
        let kv = weights.get("denoiser.cross_attention.kv.weight");
        let shape = ConvShape::linear(CONTEXT, 2 * LEVELS[2]);
        let kv = Conv::new(set, shape, |o, _, c| kv[o * CONTEXT + c]);
        let kv_bias = Affine::bias(weights.get("denoiser.cross_attention.kv.bias"));
        let mut condition = Self {
            genre: linear("genre", CONDITION),
            gates: linear("gate", SEEN),
            mood: linear("mood", CONDITION),
            time: linear("time", CONDITION),
            whole: linear("whole", CONDITION),
            cond: linear("cond", CONDITION),
            films: BLOCKS.iter().map(|(name, c)| linear(&format!("{name}.film"), 2 * c)).collect(),
            biases: BLOCKS
                .iter()
                .map(|(name, _)| weights.get(&format!("denoiser.{name}.conv1.bias")).to_vec())
                .collect(),
            null: weights.get("denoiser.null").to_vec(),
            scene_name: weights.get("denoiser.scene_name").to_vec(),
            scene_value: weights.get("denoiser.scene_value").to_vec(),
            kv: (kv, kv_bias),
            genres,
            scene,
            prepared: None,
            sums: Vec::new(),
            gate: Vec::new(),
            modulation: BLOCKS
                .iter()
                .map(|(name, _)| Affine::bias(weights.get(&format!("denoiser.{name}.conv1.bias"))))
                .collect(),
            context: Grid::borderless(2 * LEVELS[2], 1, 1),
        };
        condition.attend(pool, &Conditioning::default());
        condition
    }

    /// Makes ready for [`Condition::modulate`] at so many steps, and [`Condition::context`] that of this conditioning.
    pub fn prepare(&mut self, pool: &Pool, with: &Conditioning, steps: usize) -> Result<(), String> {
        if !with.context.len().is_multiple_of(CONTEXT) || with.context.len() > MOST_TOKENS * CONTEXT {
            let found = with.context.len();
            return Err(format!(
                "context tokens are {CONTEXT} numbers each, at most {MOST_TOKENS} tokens, not {found} numbers"
            ));
        }
        if with.context.iter().any(|v| !v.is_finite()) {
            return Err("context tokens must be finite numbers".to_owned());
        }
        let known = self.prepared.as_ref();
        if known.is_some_and(|(known, n)| *n == steps && known == with) {
            return Ok(());
        }
        if known.is_none_or(|(known, _)| (&known.scene, &known.context) != (&with.scene, &with.context)) {
            self.attend(pool, with);
        }
        self.gate = vec![0.0; SEEN];
        self.gates.add_to(&self.genre_weights(with), &mut self.gate);
        self.sums = (0..steps).map(|step| self.sum(with, step as f32 / steps as f32)).collect();
        match &mut self.prepared {
            Some((known, n)) => {
                known.clone_from(with);
                *n = steps;
            }
            None => self.prepared = Some((with.clone(), steps)),
        }
        Ok(())
    }

    /// Genre weights of sum 1; equal ones if none is above 0.
    fn genre_weights(&self, with: &Conditioning) -> Vec<f32> {
        let weight = |i: usize| with.genres.get(i).copied().filter(|w| w.is_finite() && *w > 0.0).unwrap_or(0.0);
        let sum: f32 = (0..self.genres).map(weight).sum();
        let share = |i| {
            if sum > 0.0 && sum.is_finite() { weight(i) / sum } else { 1.0 / self.genres as f32 }
        };
        (0..self.genres).map(share).collect()
    }

    fn sum(&self, with: &Conditioning, time: f32) -> Vec<f32> {
        let angles =
            |f: fn(f32) -> f32| (0..TIME / 2).map(move |k| f(time * std::f32::consts::PI * (1_u32 << k) as f32));
        let angles: Vec<f32> = angles(f32::cos).chain(angles(f32::sin)).collect();
        let mut sum = vec![0.0; CONDITION];
        self.genre.add_to(&self.genre_weights(with), &mut sum);
        self.mood.add_to(&[tame(with.vivid), tame(with.bright)], &mut sum);
        self.time.add_to(&angles, &mut sum);
        sum
    }

    /// Makes [`Condition::modulation`] that of a step and of what is the same in the whole latent.
    pub fn modulate(&mut self, step: usize, whole: &[f32; WHOLE]) {
        let mut sum = self.sums[step].clone();
        self.whole.add_to(whole, &mut sum);
        silu(&mut sum);
        let mut e = vec![0.0; CONDITION];
        self.cond.add_to(&sum, &mut e);
        silu(&mut e);
        for ((film, bias), affine) in self.films.iter().zip(&self.biases).zip(&mut self.modulation) {
            let mut both = vec![0.0; film.bias.len()];
            film.add_to(&e, &mut both);
            let (scale, shift) = both.split_at(bias.len());
            let values = scale.iter().zip(shift).zip(bias);
            affine.set(values.map(|((scale, shift), bias)| (1.0 + scale, bias * (1.0 + scale) + shift)));
        }
    }

    /// Tokens: the model's own, the scene's if it says anything, then those of an encoder.
    fn attend(&mut self, pool: &Pool, with: &Conditioning) {
        let mut tokens = self.null.clone();
        let value = |i: usize| with.scene.get(i).copied().map_or(0.0, tame);
        if (0..self.scene).any(|i| value(i) != 0.0) {
            let lines =
                self.scene_name.as_chunks::<CONTEXT>().0.iter().zip(self.scene_value.as_chunks::<CONTEXT>().0.iter());
            for (i, (name, slope)) in lines.enumerate() {
                let present = f32::from(u8::from(value(i) != 0.0));
                tokens.extend(name.iter().zip(slope).map(|(n, s)| (n + value(i) * s) * present));
            }
        }
        tokens.extend_from_slice(&with.context);
        let count = tokens.len() / CONTEXT;
        let mut columns = Grid::borderless(CONTEXT, 1, count);
        let planar: Vec<f32> = (0..tokens.len()).map(|i| tokens[i % count * CONTEXT + i / count]).collect();
        columns.fill_from(&planar);
        self.context = Grid::borderless(2 * LEVELS[2], 1, count);
        let (kv, bias) = &self.kv;
        kv.run(pool, &columns, Finish::plain(bias), Target::Grid(&mut self.context));
    }
}
