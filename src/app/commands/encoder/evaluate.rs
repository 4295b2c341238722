//! `wavedream encoder evaluate`: one command, a table on stdout and a figure.

use std::path::Path;

use anyhow::Result;
use candle_core::Device;

use super::{
    align::{plan, sentence, with_bar},
    pretrain::stop_on_signal,
};
use crate::{
    app::{cli::EvaluateArgs, commands::print},
    encoder::{
        align::Painter,
        evaluate::{Evaluation, Rats, at, confusion, evaluate},
        figure,
        head::Steering,
        steerer::load_named,
    },
};

/// Pictures in the figure, and cells a side of each.
const PICTURES: usize = 16;
const CELLS: usize = 16;
/// Seconds of the figure, at most.
const SHOWN_SECS: f64 = 240.0;
/// Noise of the figure's pictures: the same in all, so that only the steering differs.
const NOISE: u64 = 5;

pub fn run(args: &EvaluateArgs) -> Result<()> {
    let store = load_named(&args.encoder, &Device::Cpu)?;
    let head = args.head.as_ref().map(|path| crate::encoder::load(path, &Device::Cpu)).transpose()?;
    let plan = plan(&args.training, 0.0)?;
    let rats = Rats {
        train_seed: args.train_seed,
        test_seed: args.test_seed,
        secs: args.seconds,
        shuffles: args.shuffles as usize,
    };
    let stop = stop_on_signal()?;
    let found = with_bar(plan.steps, &stop, |watch| evaluate(&store, head.as_ref(), &rats, &plan, watch))?;
    print(&table(args, &found))?;
    draw(&args.output, &found)?;
    print(&format!(
        "{}: pictures steered on the other rat, over its true and its steered states\n",
        args.output.display()
    ))
}

fn table(args: &EvaluateArgs, found: &Evaluation) -> String {
    let names: Vec<&str> = found.labels.iter().map(|label| label.name.as_str()).collect();
    let what = match &args.head {
        Some(head) => format!("head {}", head.display()),
        None => format!("aligned on the synthetic rat of seed {}, its first {:.0} s", args.train_seed, args.seconds),
    };
    let mut text = format!(
        "Steering, not mind reading: how often what is steered is nearest to the state that the synthetic rat is in.\n\
         encoder {}, {what};\ntested on the rat of seed {}, from {:.0} s to {:.0} s, {} windows; each state counts alike.\n\n",
        args.encoder,
        args.test_seed,
        args.seconds,
        2.0 * args.seconds,
        found.steered.scored.len(),
    );
    for score in &found.steered.scores {
        text += &format!("  {:<28}{}\n", "aligned", sentence(score));
    }
    for at in 0..found.shuffled.first().map_or(0, |run| run.scores.len()) {
        text += &format!("  {:<28}{}\n", format!("states shuffled, {} times", found.shuffled.len()), chance(found, at));
    }
    text += &format!("\n  {:<10}{}\n", "true", names.iter().map(|name| format!("{name:>8}")).collect::<String>());
    for (name, row) in names.iter().zip(confusion(&found.steered, names.len())) {
        let counts: String = row.iter().map(|n| format!("{n:>8}")).collect();
        text += &format!("  {name:<10}{counts}\n");
    }
    text
}

/// What the heads of shuffled states score, together and apart.
fn chance(found: &Evaluation, at: usize) -> String {
    let percent = |share: f64| (100.0 * share).round();
    let shares: Vec<f64> = found.shuffled.iter().map(|run| run.scores[at].share).collect();
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    let each: Vec<String> = shares.iter().map(|share| format!("{:.0}", percent(*share))).collect();
    let score = &found.shuffled[0].scores[at];
    format!(
        "{}-way top-1 {:.0} % on average (each: {}; chance {:.0})",
        score.ways,
        percent(mean),
        each.join(", "),
        percent(score.chance())
    )
}

/// Pictures along time, each from the steering of its moment, over bands of the true and the steered state.
fn draw(path: &Path, found: &Evaluation) -> Result<()> {
    let mut painter = Painter::new()?;
    let length_secs = found.pairs.recording.secs().min(SHOWN_SECS);
    let mut sheet = figure::Sheet { secs: length_secs, ..figure::Sheet::default() };
    sheet.states = found.labels.iter().map(|label| label.name.clone()).collect();
    sheet.truth = found
        .pairs
        .marks
        .iter()
        .filter_map(|mark| {
            let state = found.labels.iter().position(|label| label.name == mark.state)?;
            Some((mark.from_secs, mark.to_secs, state))
        })
        .collect();
    let runs = [Some(("steered", &found.steered)), found.shuffled.first().map(|run| ("shuffled", run))];
    for (name, run) in runs.into_iter().flatten() {
        let points = run.scored.iter().map(|one| (one.example.end_secs, one.nearest)).collect();
        sheet.bands.push((name.to_owned(), points));
    }
    for n in 0..PICTURES {
        let secs = length_secs * (n as f64 + 0.5) / PICTURES as f64;
        if let Some(one) = at(&found.steered, secs) {
            let with = asked(&one.steering, painter.card());
            let picture = painter.paint(NOISE, CELLS, &with)?;
            sheet.pictures.push((secs, picture.width, picture.rgba));
        }
    }
    Ok(figure::sheet(path, &sheet)?)
}

/// All that is steered, as the box takes it.
fn asked(steering: &Steering, card: &crate::diffusion::Card) -> crate::diffusion::Conditioning {
    crate::diffusion::Conditioning {
        genres: card.genres.iter().map(|name| steering.genre(name)).collect(),
        vivid: steering.vivid,
        bright: steering.bright,
        scene: card.scene.iter().map(|name| steering.scene_value(name).unwrap_or(0.0)).collect(),
        context: steering.context.clone(),
        ..crate::diffusion::Conditioning::default()
    }
}
