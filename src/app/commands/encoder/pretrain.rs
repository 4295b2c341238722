//! `wavedream encoder pretrain`: masked signal modelling on recordings, with a bar, a report and two figures.

use std::{
    io::IsTerminal,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    app::{cli::PretrainArgs, commands::print},
    encoder::{
        Shape, figure,
        pretrain::{self, Outcome, Plan, Watch},
        recording::Recording,
    },
};

pub fn run(args: &PretrainArgs) -> Result<()> {
    let shape = Shape {
        channels: args.channels,
        rate_hz: args.rate,
        window: args.window,
        patch: args.patch,
        width: args.width,
        depth: args.depth,
        heads: args.heads,
        hidden: args.width,
    };
    shape.check().map_err(|what| crate::app::UsageError(format!("such an encoder {what}")))?;
    for (flag, share) in [("--masked", args.masked), ("--held-out", args.held_out)] {
        if !(share > 0.0 && share < 1.0) {
            let sentence = format!("{flag}: a share between 0 and 1 is expected, not {share}");
            return Err(crate::app::UsageError(sentence).into());
        }
    }
    let mut recordings = Vec::new();
    for source in &args.sources {
        let recording = Recording::read(source, shape.rate_hz, args.seconds)?;
        eprintln!("{}: {:.0} s, {} channels", recording.name, recording.secs(), recording.channels.len());
        recordings.push(recording);
    }
    let plan = Plan {
        shape,
        masked: args.masked,
        steps: args.steps,
        batch: args.batch.max(1),
        learning_rate: args.learning_rate,
        held_out: args.held_out,
        seed: args.seed,
    };
    let stop = stop_on_signal()?;
    let bar = bar(args.steps as u64, "error on hidden samples");
    let mut tell = |done: usize, loss: f32, held_out: f32| {
        bar.set_position(done as u64);
        bar.set_message(format!("{loss:.3}, held out {held_out:.3}"));
        if bar.is_hidden() && done.is_multiple_of(100) {
            eprintln!("step {done}: {loss:.4}, held out {held_out:.4}");
        }
    };
    let outcome = pretrain::pretrain(&recordings, &plan, &args.output, &mut Watch { stop: &stop, tell: &mut tell })?;
    bar.finish_and_clear();
    report(&args.output, &plan, &outcome)
}

fn report(output: &Path, plan: &Plan, outcome: &Outcome) -> Result<()> {
    let (curve, traces) = (beside(output, "losses"), beside(output, "traces"));
    figure::losses(&curve, outcome)?;
    figure::traces(&traces, &outcome.held_out.traces, plan.shape.rate_hz)?;
    let held = &outcome.held_out;
    let verdict = if held.beats_both() { "better than both" } else { "not better than both: train longer, or on more" };
    let ended = match (outcome.stopped, outcome.steps < plan.steps) {
        (true, _) | (_, true) => {
            format!(", stopped early; the same command goes on from {}", pretrain::state_path(output).display())
        }
        _ => String::new(),
    };
    print(&format!(
        "{}: {} steps{ended}\n\
         squared error on hidden samples of {} held-out windows (the last {:.0} % of each recording):\n  \
         encoder {:.3}   straight lines over the gaps {:.3}   mean of what is visible {:.3}   ({verdict})\n\
         {}: losses\n{}: reconstructed traces over true ones\n",
        output.display(),
        outcome.steps,
        held.windows,
        100.0 * plan.held_out,
        held.model,
        held.linear,
        held.mean,
        curve.display(),
        traces.display(),
    ))
}

/// `encoder.safetensors` -> `encoder-losses.png`
fn beside(output: &Path, what: &str) -> std::path::PathBuf {
    let stem = output.file_stem().map_or_else(|| "encoder".into(), |stem| stem.to_string_lossy());
    output.with_file_name(format!("{stem}-{what}.png"))
}

/// Ctrl-C ends the training after the step, with its state saved.
pub(super) fn stop_on_signal() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let set = move || flag.store(true, std::sync::atomic::Ordering::Relaxed);
    ctrlc::set_handler(set).context("Ctrl-C cannot be caught")?;
    Ok(stop)
}

pub(super) fn bar(steps: u64, what: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template(&format!("{{bar:40}} {{pos}}/{{len}} steps, {{eta}} left, {what} {{msg}}"));
    ProgressBar::new(steps).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
