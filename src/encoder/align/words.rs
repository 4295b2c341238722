//! A head of words for Stable Diffusion: the mappers of DreamDiffusion learn to say of a signal what the text model of a
//! checkpoint says of its state's prompt. No U-Net takes part, so it trains in minutes; what is learnt is which prompt,
//! and nothing that no prompt said.
//!
//! The loss is the squared error in units of how far the states' words lie apart, and the cross entropy of the states by
//! those distances. Words are learnt with each of their numbers brought to zero mean and unit deviation, which the last
//! matrix undoes at the end: a few numbers of CLIP are a hundred times larger than the rest.

use candle_core::{D, Device, Result, Tensor};

use super::{
    Example, Label, Plan, Scored, encoder_tensors, trained_blocks,
    windows::{self, windows},
};
use crate::{
    encoder::{
        EncoderError, Net, Store,
        head::Over,
        layers::{Named, log_softmax},
        mappers::Mappers,
        pairs::Pairs,
        pretrain::Watch,
        steerer::Steerer,
        train::{self, Vars},
    },
    signal::Random,
};

/// Of the cross entropy beside the squared error, and how sharp it is.
const TOLD_APART: f64 = 0.2;
const SHARPNESS: f64 = 4.0;
/// Deviations below this are of numbers that are the same in all words.
const LEAST: f32 = 1e-4;

/// What the states' prompts are to a text model.
pub struct Prompts {
    /// (states, words, width), in the order of the labels.
    pub words: Tensor,
}

/// The prompt of each state, in the order of the labels.
///
/// # Errors
/// A state without one.
pub fn prompts(pairs: &[Pairs], labels: &[Label]) -> std::result::Result<Vec<String>, EncoderError> {
    let of = |label: &Label| {
        let mut states = pairs.iter().flat_map(|pairs| &pairs.states);
        let prompt = states.find(|state| state.name == label.name).and_then(|state| state.prompt.clone());
        let without = || {
            let what =
                format!("the state {} has no prompt, which words for Stable Diffusion are learnt from", label.name);
            EncoderError::Message(format!("{what}; add prompt = \"…\" to it in pairs.toml"))
        };
        prompt.filter(|prompt| !prompt.trim().is_empty()).ok_or_else(without)
    };
    labels.iter().map(of).collect()
}

/// The words brought to zero mean and unit deviation, and what undoes it.
struct Scaled {
    /// (states, words x width)
    words: Tensor,
    mean: Vec<f32>,
    deviation: Vec<f32>,
    /// Mean squared distance of a state's words from the mean of all.
    apart: f64,
}

impl Scaled {
    fn new(words: &Tensor) -> Result<Self> {
        let (states, count, width) = words.dims3()?;
        let rows = words.reshape((states * count, width))?;
        let mean = rows.mean_keepdim(0)?;
        let deviation = rows.broadcast_sub(&mean)?.sqr()?.mean_keepdim(0)?.sqrt()?.maximum(LEAST)?;
        let scaled = rows.broadcast_sub(&mean)?.broadcast_div(&deviation)?.reshape((states, count * width))?;
        let from_mean = scaled.broadcast_sub(&scaled.mean_keepdim(0)?)?;
        let apart = f64::from(from_mean.sqr()?.mean_all()?.to_scalar::<f32>()?).max(1e-6);
        let list = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
        Ok(Self { mean: list(&mean)?, deviation: list(&deviation)?, words: scaled, apart })
    }
}

/// Trains the mappers, and the encoder's last blocks along. Gives encoder and head as the tensors of one file, and the
/// mean loss of the last tenth of the steps.
///
/// # Errors
/// Pairs that hold no window.
pub fn align_words(
    pairs: &[Pairs],
    labels: &[Label],
    store: &Store,
    prompts: &Prompts,
    plan: &Plan,
    watch: &mut Watch,
) -> std::result::Result<(Store, f32), EncoderError> {
    let device = Device::Cpu;
    let shape = store.shape()?;
    let examples = windows(pairs, labels, &shape, |share| share < 1.0 - plan.held_out)?;
    let by_state: Vec<Vec<usize>> =
        windows::by_state(&examples, labels.len()).into_iter().filter(|of| !of.is_empty()).collect();
    let (_, words, width) = prompts.words.dims3()?;
    let (tokens, between) = (shape.tokens(), (shape.tokens() / 2).max(16));
    let mut vars = Vars::default();
    let mut random = Random::new(plan.seed);
    let dense = |name: &str, outputs: usize, inputs: usize| {
        [(format!("head.{name}.weight"), vec![outputs, inputs]), (format!("head.{name}.bias"), vec![outputs])]
    };
    let mappers = [
        dense("channel_mapper.0", between, tokens),
        dense("channel_mapper.1", words, between),
        dense("dim_mapper", width, shape.width),
    ];
    vars.begin(mappers.as_flattened(), &mut random, &device)?;
    let first_trained = shape.depth.saturating_sub(plan.blocks);
    for name in trained_blocks(&shape, plan.blocks) {
        vars.insert(&name, &store.tensor(&name)?)?;
    }
    let scaled = Scaled::new(&prompts.words)?;
    let net = Net::new(&shape, &Over(&vars, store), &device)?;
    let student = Mappers::new(&vars, "head")?;
    let loss = |random: &mut Random| -> Result<Tensor> {
        let mut values = Vec::new();
        let mut states = Vec::new();
        for _ in 0..train::share(plan.batch) {
            let pick = |count: usize, random: &mut Random| (random.unit() * count as f64) as usize;
            let of = &by_state[pick(by_state.len(), random)];
            let example = &examples[of[pick(of.len(), random)]];
            values.extend(pairs[example.pairs].recording.window(&shape, example.first));
            states.push(example.state as u32);
        }
        let x = net.run_first(&net.embed_windows(&values, &device)?, first_trained)?.detach();
        let said = student.forward(&net.finish(&x, first_trained)?)?.flatten_from(1)?;
        let distances = distances(&said, &scaled)?;
        let states = Tensor::new(states, &device)?.unsqueeze(1)?;
        let error = distances.gather(&states, 1)?.mean_all()?;
        let told = log_softmax(&(distances * -SHARPNESS)?)?.gather(&states, 1)?.mean_all()?.neg()?;
        error + (told * TOLD_APART)?
    };
    let mut history = Vec::with_capacity(plan.steps);
    for step in 0..plan.steps {
        if watch.stop.load(std::sync::atomic::Ordering::Relaxed) {
            break;
        }
        let (told, gradients) = train::side_by_side(|worker| {
            let seed = plan.seed ^ ((step as u64) << 20) ^ ((worker as u64) << 60) ^ 0x776f_7264;
            loss(&mut Random::new(seed))
        })?;
        vars.step(&gradients, step + 1, train::rate_at(step, plan.steps, plan.learning_rate))?;
        history.push(told);
        (watch.tell)(step + 1, told, f32::NAN);
    }
    let last = &history[history.len() - history.len().div_ceil(10)..];
    let mean = last.iter().sum::<f32>() / last.len().max(1) as f32;
    Ok((together(store, &vars, &scaled)?, mean))
}

/// Mean squared distances of what is said (b, words x width) to the words of each state, in units of how far those lie
/// apart: (b, states).
fn distances(said: &Tensor, scaled: &Scaled) -> Result<Tensor> {
    let apart = said.unsqueeze(1)?.broadcast_sub(&scaled.words.unsqueeze(0)?)?;
    apart.sqr()?.mean(D::Minus1)? / scaled.apart
}

/// Encoder and mappers as one file; the last matrix makes words as they are.
fn together(store: &Store, vars: &Vars, scaled: &Scaled) -> Result<Store> {
    let mut tensors = encoder_tensors(store);
    for (name, slot) in &vars.vars {
        tensors.insert(name.clone(), slot.var.as_tensor().detach().copy()?);
    }
    let row = |values: &[f32]| Tensor::new(values, &Device::Cpu);
    let (mean, deviation) = (row(&scaled.mean)?, row(&scaled.deviation)?);
    if let Some(weight) = tensors.get_mut("head.dim_mapper.weight") {
        *weight = weight.broadcast_mul(&deviation.unsqueeze(1)?)?;
    }
    if let Some(bias) = tensors.get_mut("head.dim_mapper.bias") {
        *bias = ((&*bias * &deviation)? + &mean)?;
    }
    Ok(Store { tensors, head: store.shape().map_err(candle_core::Error::msg)?.metadata(), path: store.path.clone() })
}

/// Says words of every window: whose words are nearest.
///
/// # Errors
/// The encoder cannot be computed.
pub fn score_words(
    steerer: &Steerer,
    pairs: &[Pairs],
    examples: &[Example],
    prompts: &Prompts,
) -> std::result::Result<Vec<Scored>, EncoderError> {
    let scaled = Scaled::new(&prompts.words)?;
    let row = |values: &[f32]| Tensor::new(values, &Device::Cpu);
    let (mean, deviation) = (row(&scaled.mean)?, row(&scaled.deviation)?);
    let (_, words, width) = prompts.words.dims3()?;
    let one = |example: &Example| {
        let window = pairs[example.pairs].recording.window(steerer.shape(), example.first);
        let steering = steerer.steer(&window)?;
        let said = Tensor::new(steering.context.as_slice(), &Device::Cpu)?.reshape((words, width))?;
        let said = said.broadcast_sub(&mean)?.broadcast_div(&deviation)?.reshape((1, words * width))?;
        let distances = distances(&said, &scaled)?.flatten_all()?.to_vec1::<f32>()?;
        let nearest = distances.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(at, _)| at);
        let own = distances.get(example.state).copied().unwrap_or(f32::MAX);
        let nearer = distances.iter().enumerate().filter(|(at, d)| *at != example.state && **d <= own).count();
        Ok(Scored { example: *example, steering, nearest, nearer })
    };
    examples.iter().map(one).collect()
}
