//! A head learns from pairs what a signal shall look like.
//!
//! Losses: the genres, mood and scene of the state (where it names any); the diffusion loss, which is the squared error
//! between the latent that the box makes when it is steered and the one it should make, through the box itself
//! ([`crate::diffusion::Twin`]); and one minus the cosine between a projection of the signal's tokens and the features
//! of the picture (what CLIP's image model sees in it, where one is given; else its latent by the box's own encoder). The
//! last blocks of the encoder are trained along.
//!
//! The box's noise decides its picture, so one noise with and without the state's conditioning makes a pair of latents
//! whose difference is the state. Half of the diffusion loss asks the context tokens alone, under a genre drawn by chance.

mod painter;
mod score;
mod windows;
mod words;

pub use painter::Painter;
pub use score::{Score, Scored, nearest, score};
pub use windows::{Example, Label, labels, windows};
pub use words::{Prompts, align_words, prompts, score_words};

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
};

use candle_core::{D, Device, Result, Tensor};

use self::painter::{Easel, Lesson};
use super::{
    EncoderError, Net, Shape, Store,
    head::{Head, Over, Said, Targets},
    layers::{Linear, Named, log_softmax, softmax},
    pairs::Pairs,
    pretrain::Watch,
    train::{self, Vars},
};
use crate::{
    diffusion::sd::Vision,
    kernels::{Pool, physical_cores},
    signal::Random,
};

/// The diffusion loss is asked each so many steps, of so many windows a worker: it costs more than all else.
const FLOW_EVERY: usize = 3;
const FLOW_WINDOWS: usize = 4;
/// Of mood and scene beside the genres.
const MOOD_WEIGHT: f64 = 2.0;
/// Of the tokens alone beside all that is steered.
const TOKENS_WEIGHT: f64 = 0.5;

/// How to train.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub steps: usize,
    pub batch: usize,
    /// Blocks at the encoder's end that are trained along.
    pub blocks: usize,
    pub learning_rate: f64,
    pub flow: f64,
    pub cosine: f64,
    /// A folder with CLIP's image model, for the cosine; without one the box's own encoder looks.
    pub clip: Option<PathBuf>,
    pub seed: u64,
    /// Each stretch of the signal gets a state by chance, so many states further on: what is learnt then means nothing.
    pub shuffled: Option<usize>,
    /// Share of each stretch's time, at the recording's end, that is not learnt from.
    pub held_out: f64,
}

/// What became of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub steps: usize,
    /// Mean of the last tenth of the steps: label, diffusion, cosine.
    pub losses: [f32; 3],
    /// Diffusion loss without any steering, of the same lessons.
    pub unsteered: f32,
}

/// Trains a head. Gives encoder and head as the tensors of one file, with its head.
///
/// # Errors
/// Pairs that hold no window, or states that the box cannot paint.
pub fn align(
    pairs: &[Pairs],
    store: &Store,
    plan: &Plan,
    watch: &mut Watch,
) -> std::result::Result<(Store, Outcome), EncoderError> {
    let device = Device::Cpu;
    let shape = store.shape()?;
    let mut painter = Painter::new()?;
    let labels = labels(pairs, &painter)?;
    let mut examples = windows(pairs, &labels, &shape, |share| share < 1.0 - plan.held_out)?;
    if let Some(turn) = plan.shuffled {
        windows::shuffle(&mut examples, labels.len(), turn, &mut Random::new(plan.seed ^ 0x7368_7566));
    }
    let scene = painter.scene_names(pairs.iter().flat_map(|pairs| &pairs.states));
    let vision = plan.clip.as_deref().map(|folder| Vision::open(folder, &Pool::new(physical_cores()))).transpose();
    let vision = vision.map_err(|refusal| EncoderError::Message(refusal.to_string()))?;
    let lessons = painter.lessons(&labels, &scene, plan.seed, vision.as_ref())?;
    drop(vision);
    let targets = Arc::new(painter.targets());

    let mut vars = Vars::default();
    let mut random = Random::new(plan.seed);
    vars.begin(&targets.tensors(&shape), &mut random, &device)?;
    let features = lessons.first().and_then(|of| of.first()).map_or(0, |lesson| lesson.feature.len());
    let projection = |part: &str| format!("projection.{part}");
    vars.begin(
        &[(projection("weight"), vec![features, 2 * shape.width]), (projection("bias"), vec![features])],
        &mut random,
        &device,
    )?;
    let first_trained = shape.depth.saturating_sub(plan.blocks);
    for name in trained_blocks(&shape, plan.blocks) {
        vars.insert(&name, &store.tensor(&name)?)?;
    }
    let student = Student {
        net: Net::new(&shape, &Over(&vars, store), &device)?,
        head: Head::new(Arc::clone(&targets), &vars)?,
        projection: Linear::new(&vars, "projection")?,
        first_trained,
        plan,
        labels: &labels,
        lessons: &lessons,
        easel: painter.easel(),
        by_state: windows::by_state(&examples, labels.len()),
        examples: &examples,
        device: &device,
    };
    let mut history = Vec::with_capacity(plan.steps);
    for step in 0..plan.steps {
        if watch.stop.load(std::sync::atomic::Ordering::Relaxed) {
            break;
        }
        let parts = std::sync::Mutex::new([0.0_f32; 3]);
        let (loss, gradients) = train::side_by_side(|worker| {
            let seed = plan.seed ^ ((step as u64) << 20) ^ ((worker as u64) << 60) ^ 0x616c_6967;
            let (loss, told) = student.loss(pairs, step, &mut Random::new(seed))?;
            if let Ok(mut parts) = parts.lock() {
                parts.iter_mut().zip(told).for_each(|(sum, x)| *sum += x / train::workers() as f32);
            }
            Ok(loss)
        })?;
        vars.step(&gradients, step + 1, train::rate_at(step, plan.steps, plan.learning_rate))?;
        history.push(parts.into_inner().unwrap_or_default());
        (watch.tell)(step + 1, loss, f32::NAN);
    }
    let last = &history[history.len() - history.len().div_ceil(10)..];
    let mean = |part: usize| {
        let said: Vec<f32> = last.iter().map(|parts| parts[part]).filter(|x| *x > 0.0).collect();
        said.iter().sum::<f32>() / said.len().max(1) as f32
    };
    let outcome = Outcome {
        steps: history.len(),
        losses: [mean(0), mean(1), mean(2)],
        unsteered: if plan.flow > 0.0 { painter.easel().unsteered(&lessons)? } else { 0.0 },
    };
    Ok((together(store, &vars, &targets, &labels, &shape.metadata())?, outcome))
}

/// Names of what is trained along with a head: so many blocks at the encoder's end, and its last norm.
fn trained_blocks(shape: &Shape, blocks: usize) -> Vec<String> {
    let first = shape.depth.saturating_sub(blocks);
    let is_trained = |name: &String| {
        let block = name.strip_prefix("blocks.").and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
        blocks > 0 && (name.starts_with("norm.") || block.is_some_and(|n| n >= first))
    };
    shape.tensors().into_iter().map(|(name, _)| name).filter(is_trained).collect()
}

/// The encoder of a file without anything else.
fn encoder_tensors(store: &Store) -> BTreeMap<String, Tensor> {
    let own =
        |name: &String| name.starts_with("blocks.") || name.starts_with("patch_embed.") || name.starts_with("norm.");
    let kept = |name: &String| own(name) || name == "pos_embed" || name == "cls_token";
    store.tensors.iter().filter(|(name, _)| kept(name)).map(|(n, t)| (n.clone(), t.clone())).collect()
}

/// Encoder and head as one file.
fn together(
    store: &Store,
    vars: &Vars,
    targets: &Targets,
    labels: &[Label],
    shape_head: &HashMap<String, String>,
) -> Result<Store> {
    let mut tensors = encoder_tensors(store);
    for (name, slot) in vars.vars.iter().filter(|(name, _)| !name.starts_with("projection.")) {
        tensors.insert(name.clone(), slot.var.as_tensor().detach().copy()?);
    }
    let mut head = shape_head.clone();
    targets.write(&mut head);
    let states: Vec<&str> = labels.iter().map(|label| label.name.as_str()).collect();
    head.insert("head.states".to_owned(), states.join(","));
    Ok(Store { tensors, head, path: store.path.clone() })
}

/// What is trained, with all it is trained by.
struct Student<'a> {
    net: Net,
    head: Head,
    projection: Linear,
    first_trained: usize,
    plan: &'a Plan,
    labels: &'a [Label],
    lessons: &'a [Vec<Lesson>],
    easel: &'a Easel,
    examples: &'a [Example],
    by_state: Vec<Vec<usize>>,
    device: &'a Device,
}

impl Student<'_> {
    /// Loss of a worker's share of a batch, and its parts.
    fn loss(&self, pairs: &[Pairs], step: usize, random: &mut Random) -> Result<(Tensor, [f32; 3])> {
        let count = train::share(self.plan.batch);
        let there: Vec<&Vec<usize>> = self.by_state.iter().filter(|of| !of.is_empty()).collect();
        let pick = |list: usize, random: &mut Random| (random.unit() * list as f64) as usize;
        let mut values = Vec::new();
        let mut states = Vec::with_capacity(count);
        for _ in 0..count {
            let of = there[pick(there.len(), random)];
            let example = &self.examples[of[pick(of.len(), random)]];
            values.extend(pairs[example.pairs].recording.window(&self.net.shape, example.first));
            states.push(example.state);
        }
        let x = self.net.embed_windows(&values, self.device)?;
        let x = self.net.run_first(&x, self.first_trained)?.detach();
        let said = self.head.say(&self.net.finish(&x, self.first_trained)?)?;
        let lessons: Vec<&Lesson> = states
            .iter()
            .map(|state| {
                let of = &self.lessons[*state];
                &of[pick(of.len(), random)]
            })
            .collect();
        let mut parts = [0.0; 3];
        let mut total = self.label_loss(&said, &states)?;
        parts[0] = total.to_scalar::<f32>()?;
        if self.plan.cosine > 0.0 {
            let loss = self.cosine_loss(&said, &lessons)?;
            parts[2] = loss.to_scalar::<f32>()?;
            total = (total + (loss * self.plan.cosine)?)?;
        }
        if self.plan.flow > 0.0 && step.is_multiple_of(FLOW_EVERY) {
            let few = FLOW_WINDOWS.min(count);
            let (steered, tokens) = self.easel.losses(&first(&said, few)?, &lessons[..few], random)?;
            parts[1] = steered.to_scalar::<f32>()?;
            total = (total + ((steered + (tokens * TOKENS_WEIGHT)?)? * self.plan.flow)?)?;
        }
        Ok((total, parts))
    }

    /// Cross entropy of the genres, squared error of mood and scene, of the states that name any.
    fn label_loss(&self, said: &Said, states: &[usize]) -> Result<Tensor> {
        let targets = &self.head.targets;
        let label = |of: fn(&Label) -> &Vec<f32>, width: usize| {
            let all: Vec<f32> = states.iter().flat_map(|state| of(&self.labels[*state]).iter().copied()).collect();
            Tensor::from_vec(all, (states.len(), width), self.device)
        };
        let counts: Vec<f32> = states.iter().map(|state| f32::from(u8::from(self.labels[*state].named))).collect();
        let share = counts.iter().sum::<f32>() / counts.len().max(1) as f32;
        let counts = Tensor::from_vec(counts, states.len(), self.device)?;
        let genres = label(|l| &l.genres, targets.genres.len())?;
        let crossed = (genres * log_softmax(&said.genre_logits)?)?.sum(D::Minus1)?.neg()?;
        let mood = (label(|l| &l.mood, 2)? - &said.mood)?.sqr()?.mean(D::Minus1)?;
        let mut each = (crossed + (mood * MOOD_WEIGHT)?)?;
        if !targets.scene.is_empty() {
            let scene = (label(|l| &l.scene, targets.scene.len())? - &said.scene)?.sqr()?.mean(D::Minus1)?;
            each = (each + (scene * MOOD_WEIGHT)?)?;
        }
        (each * counts)?.mean_all()? / f64::from(share.max(1e-6))
    }

    fn cosine_loss(&self, said: &Said, lessons: &[&Lesson]) -> Result<Tensor> {
        let width = lessons.first().map_or(0, |lesson| lesson.feature.len());
        let wanted: Vec<f32> = lessons.iter().flat_map(|lesson| lesson.feature.iter().copied()).collect();
        let wanted = Tensor::from_vec(wanted, (lessons.len(), width), self.device)?;
        let found = self.projection.forward(&said.pooled)?;
        let length = |t: &Tensor| (t.sqr()?.sum(D::Minus1)? + 1e-6)?.sqrt();
        let cosine = ((&found * &wanted)?.sum(D::Minus1)? / (length(&found)? * length(&wanted)?)?)?;
        (1.0 - cosine)?.mean_all()
    }
}

/// What is said of the first windows.
fn first(said: &Said, count: usize) -> Result<Said> {
    let part = |t: &Tensor| t.narrow(0, 0, count);
    Ok(Said {
        context: part(&said.context)?,
        genre_logits: part(&said.genre_logits)?,
        mood: part(&said.mood)?,
        scene: part(&said.scene)?,
        pooled: part(&said.pooled)?,
    })
}

/// Genres of what is said, adding to 1.
fn genres_of(said: &Said) -> Result<Tensor> {
    softmax(&said.genre_logits)
}

#[cfg(test)]
mod tests;
