//! `wavedream encoder align`: trains on pairs what steers the picture, with a bar and a report.

use std::sync::{Arc, atomic::AtomicBool};

use anyhow::Result;
use candle_core::Device;

use super::pretrain::{bar, stop_on_signal};
use crate::{
    app::{
        UsageError,
        cli::{AlignArgs, AlignTraining},
        commands::print,
    },
    encoder::{
        self,
        align::{Painter, Plan, Score, align, labels, score, windows},
        evaluate::WAYS,
        pairs::Pairs,
        pretrain::Watch,
        steerer::{Steerer, load_named},
    },
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
    let last = |share: f64| share >= 1.0 - HELD_OUT;
    if let Ok(examples) = windows(&pairs, &labels, &shape, last)
        && labels.len() > 1
    {
        let scored = score(&Steerer::from_store(&aligned)?, &pairs, &examples, &labels)?;
        let scores = WAYS.iter().filter(|ways| **ways <= labels.len());
        for score in scores.map(|ways| Score::of(&scored, labels.len(), *ways, plan.seed)) {
            said += &format!(
                "the last {:.0} % of the pairs' time, not learnt from: {}\n",
                100.0 * HELD_OUT,
                sentence(&score)
            );
        }
    }
    print(&said)
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
        seed: training.seed,
        shuffled: false,
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
