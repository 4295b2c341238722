//! `wavedream models`: which models there are, and what one of them is.

use std::fmt::Write;

use anyhow::Result;

use super::print;
use crate::{
    app::cli::{ModelsArgs, ModelsCommand},
    diffusion,
    latent::Shape,
};

/// Picture sizes whose cost is told: the full one, a film's, and the one for slow machines.
const SIZES_PX: [(usize, usize); 3] = [(512, 512), (896, 512), (256, 256)];

pub fn run(args: &ModelsArgs) -> Result<()> {
    match &args.command {
        ModelsCommand::List => print(
            &diffusion::list().iter().map(|entry| format!("{:<12}{}\n", entry.name, entry.summary)).collect::<String>(),
        ),
        ModelsCommand::Show { model } => show(model),
    }
}

fn show(name: &str) -> Result<()> {
    let model = diffusion::load(name)?;
    let card = model.card();
    let mut out = format!("{}\n", card.name);
    let mut line = |what: &str, value: String| {
        let _ = writeln!(out, "  {what:<11}{value}");
    };
    line("genres", card.genres.join(", "));
    line("scene", card.scene.join(", "));
    line("steps", format!("1 to {}", card.max_steps));
    line("weights", format!("{:.1} million", card.weights as f64 / 1e6));
    line("latent", format!("{} channels, {} pixels a cell", card.latent_channels, card.factor));
    line("sides", format!("multiples of {} pixels", card.factor * card.multiple));
    for (width, height) in SIZES_PX {
        let shape = Shape { channels: card.latent_channels, height: height / card.factor, width: width / card.factor };
        if shape.height.is_multiple_of(card.multiple) && shape.width.is_multiple_of(card.multiple) {
            let cost = |steps| model.flops(shape, steps) as f64 / 1e9;
            let most = card.max_steps;
            line("cost", format!("{width}x{height}: {:.1} GFLOP in 1 step, {:.1} in {most}", cost(1), cost(most)));
        }
    }
    print(&out)
}
