//! `wavedream encoder align`: trains on pairs what steers the picture, with a bar and a report.

use std::sync::{Arc, atomic::AtomicBool};

use anyhow::Result;
use candle_core::{Device, Tensor};

use super::pretrain::{bar, stop_on_signal};
use crate::{
    app::{
        UsageError,
        cli::{AlignArgs, AlignTraining},
        commands::print,
    },
    diffusion::{self, sd::StableDiffusion},
    encoder::{
        self, Shape, Store,
        align::{
            Example, Label, Painter, Plan, Prompts, Score, Scored, align, align_words, labels, prompts, score,
            score_words, windows,
        },
        evaluate::WAYS,
        pairs::Pairs,
        pretrain::Watch,
        steerer::{Steerer, load_named},
    },
    kernels::{Pool, physical_cores},
};

/// Share of the pairs' time, at their end, that is not learnt from.
const HELD_OUT: f64 = 0.2;

pub fn run(args: &AlignArgs) -> Result<()> {
    let store = load_named(&args.encoder, &Device::Cpu)?;
    let shape = store.shape()?;
    let pairs: Vec<Pairs> =
        args.pairs.iter().map(|folder| Pairs::read(folder, shape.rate_hz)).collect::<Result<_, _>>()?;
    let plan = plan(&args.training, HELD_OUT)?;
    let stop = stop_on_signal()?;
    if let Some(model) = &args.words_of {
        return words(args, model, &store, &pairs, &plan, &stop);
    }
    let (aligned, outcome) = with_bar(plan.steps, &stop, |watch| align(&pairs, &store, &plan, watch))?;
    encoder::save(&args.output, &aligned.tensors, &aligned.head)?;
    let [label, flow, cosine] = outcome.losses;
    let mut said = format!(
        "{}: encoder and head, {} steps; set /encoder/file to it\nlosses at the end: states {label:.3}",
        args.output.display(),
        outcome.steps,
    );
    if plan.flow > 0.0 {
        said += &format!(", diffusion {flow:.3} (unsteered {:.3})", outcome.unsteered);
    }
    if plan.cosine > 0.0 {
        said += &format!(", one minus cosine {cosine:.3}");
    }
    said.push('\n');
    let labels = labels(&pairs, &Painter::new()?)?;
    if let Some(examples) = held_out(&pairs, &labels, &shape) {
        said += &scores(&score(&Steerer::from_store(&aligned)?, &pairs, &examples, &labels)?, labels.len(), plan.seed);
    }
    print(&said)
}

/// A head of words for Stable Diffusion.
fn words(
    args: &AlignArgs,
    model: &str,
    store: &Store,
    pairs: &[Pairs],
    plan: &Plan,
    stop: &Arc<AtomicBool>,
) -> Result<()> {
    let labels = labels(pairs, &Painter::new()?)?;
    let texts = prompts(pairs, &labels)?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let path = diffusion::find_file(model)?;
    let said = StableDiffusion::words_of(&path, &texts, &Pool::new(physical_cores()))?;
    let prompts = Prompts { words: Tensor::stack(&said, 0)? };
    let (aligned, loss) =
        with_bar(plan.steps, stop, |watch| align_words(pairs, &labels, store, &prompts, plan, watch))?;
    encoder::save(&args.output, &aligned.tensors, &aligned.head)?;
    let (_, count, width) = prompts.words.dims3()?;
    let mut said = format!(
        "{}: encoder and head of {count} words of {width} numbers; set /encoder/file to it, with a Stable Diffusion whose \
         words are those of {model}\nloss at the end {loss:.3}\n",
        args.output.display(),
    );
    if let Some(examples) = held_out(pairs, &labels, &store.shape()?) {
        let scored = score_words(&Steerer::from_store(&aligned)?, pairs, &examples, &prompts)?;
        said += &scores(&scored, labels.len(), plan.seed);
    }
    print(&said)
}

/// Windows that were not learnt from, where there is something to tell apart.
fn held_out(pairs: &[Pairs], labels: &[Label], shape: &Shape) -> Option<Vec<Example>> {
    let examples = windows(pairs, labels, shape, |share| share >= 1.0 - HELD_OUT).ok()?;
    (labels.len() > 1).then_some(examples)
}

fn scores(scored: &[Scored], states: usize, seed: u64) -> String {
    let ways = WAYS.iter().filter(|ways| **ways <= states);
    let line = |ways: &usize| {
        let score = sentence(&Score::of(scored, states, *ways, seed));
        format!("the last {:.0} % of the pairs' time, not learnt from: {score}\n", 100.0 * HELD_OUT)
    };
    ways.map(line).collect()
}

/// `4-way top-1 61 % (52 to 70; chance 25)`
pub(super) fn sentence(score: &Score) -> String {
    let percent = |share: f64| 100.0 * share;
    format!(
        "{}-way top-1 {:.0} % (95 % interval {:.0} to {:.0}; chance {:.0})",
        score.ways,
        percent(score.share),
        percent(score.low),
        percent(score.high),
        percent(score.chance())
    )
}

pub(super) fn plan(training: &AlignTraining, held_out: f64) -> Result<Plan, UsageError> {
    for (flag, weight) in [("--flow", training.flow), ("--cosine", training.cosine)] {
        if !(0.0..=1e3).contains(&weight) {
            return Err(UsageError(format!("{flag}: a weight of 0 or more is expected, not {weight}")));
        }
    }
    Ok(Plan {
        steps: training.steps.max(1),
        batch: training.batch.max(1),
        blocks: training.blocks,
        learning_rate: training.learning_rate,
        flow: training.flow,
        cosine: training.cosine,
        clip: training.clip.clone(),
        seed: training.seed,
        shuffled: None,
        held_out,
    })
}

/// Shows how far a training is.
pub(super) fn with_bar<T, E: Into<anyhow::Error>>(
    steps: usize,
    stop: &Arc<AtomicBool>,
    train: impl FnOnce(&mut Watch) -> Result<T, E>,
) -> Result<T> {
    let bar = bar(steps as u64, "loss");
    let mut tell = |done: usize, loss: f32, _: f32| {
        bar.set_position(done as u64);
        bar.set_message(format!("{loss:.3}"));
        if bar.is_hidden() && done.is_multiple_of(50) {
            eprintln!("step {done}: {loss:.4}");
        }
    };
    let trained = train(&mut Watch { stop, tell: &mut tell }).map_err(Into::into);
    bar.finish_and_clear();
    trained
}
