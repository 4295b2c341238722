//! `wavedream models show`: what a file is, what it needs, what it costs.

use std::{fmt::Write, path::Path};

use anyhow::Result;
use serde_json::json;

use super::print;
use crate::{
    app::cli::ShowModelArgs,
    diffusion::{self, Card, LoadError, Meant, Model, hub, sd, size_on_disk},
    latent::Shape,
};

/// Picture sizes whose cost is told: the full one, a film's, and the one for slow machines.
const SIZES_PX: [(usize, usize); 3] = [(512, 512), (896, 512), (256, 256)];

pub fn run(args: &ShowModelArgs) -> Result<()> {
    let path = match diffusion::find(&args.model)? {
        Meant::Box => None,
        Meant::Path(path) => Some(path),
    };
    let about = path.as_deref().map(sd::about);
    if let (Some(path), Some(about)) = (&path, &about)
        && matches!(about.sort, sd::Sort::Lora | sd::Sort::Embedding | sd::Sort::TinyDecoder)
    {
        return part(path, about, args.json);
    }
    // Loading finds out whether every tensor is there and has its shape.
    let model = diffusion::load(&args.model)?;
    let card = model.card();
    let licence = about.as_ref().and_then(|a| a.licence.clone());
    let licence = licence.or_else(|| diffusion::list().into_iter().find(|e| e.path == path).and_then(|e| e.licence));
    if args.json {
        let out = json!({
            "name": card.name, "kind": about.as_ref().map_or("box", |a| &a.kind), "path": path, "licence": licence,
            "bytes": path.as_deref().map_or(0, size_on_disk), "genres": card.genres, "scene": card.scene,
            "reads_text": card.reads_text, "max_steps": card.max_steps, "usual_steps": card.usual_steps,
            "weights": card.weights, "latent_channels": card.latent_channels, "pixels_per_cell": card.factor,
            "side_multiple": card.factor * card.multiple,
        });
        return print(&format!("{}\n", serde_json::to_string_pretty(&out)?));
    }
    let mut out = format!("{}\n", card.name);
    let mut line = |what: &str, value: String| {
        let _ = writeln!(out, "  {what:<11}{value}");
    };
    if let (Some(path), Some(about)) = (&path, &about) {
        line("kind", format!("{}: {}", about.kind, about.says));
        if let Some(needs) = &about.needs {
            line("needs", needs.clone());
        }
        line("where", format!("{} ({})", path.display(), hub::size_text(size_on_disk(path))));
    }
    if let Some(licence) = licence {
        line("licence", licence);
    }
    if !card.genres.is_empty() {
        line("genres", card.genres.join(", "));
        line("scene", card.scene.join(", "));
    }
    line("steps", format!("1 to {}, usually {}", card.max_steps, card.usual_steps));
    line("weights", format!("{:.1} million", card.weights as f64 / 1e6));
    line("latent", format!("{} channels, {} pixels a cell", card.latent_channels, card.factor));
    line("sides", format!("multiples of {} pixels", card.factor * card.multiple));
    for (size, cost) in costs(model.as_ref(), card) {
        line("cost", format!("{size}: {cost}"));
    }
    print(&out)
}

fn costs(model: &dyn Model, card: &Card) -> Vec<(String, String)> {
    let mut costs = Vec::new();
    for (width, height) in SIZES_PX {
        let shape = Shape { channels: card.latent_channels, height: height / card.factor, width: width / card.factor };
        if shape.height.is_multiple_of(card.multiple) && shape.width.is_multiple_of(card.multiple) {
            let cost = |steps| model.flops(shape, steps) as f64 / 1e9;
            let usual = card.usual_steps.max(if card.reads_text { 1 } else { card.max_steps });
            let more = if usual > 1 { format!(", {:.1} in {usual}", cost(usual)) } else { String::new() };
            costs.push((format!("{width}x{height}"), format!("{:.1} GFLOP in 1 step{more}", cost(1))));
        }
    }
    costs
}

/// Something that is used with a model.
fn part(path: &Path, about: &sd::About, as_json: bool) -> Result<()> {
    if as_json {
        let out = json!({"kind": about.kind, "path": path, "licence": about.licence, "bytes": size_on_disk(path),
                         "says": about.says, "needs": about.needs});
        return print(&format!("{}\n", serde_json::to_string_pretty(&out)?));
    }
    let name = path.file_name().ok_or_else(|| LoadError::File { path: path.into(), what: "has no name".into() })?;
    let mut out = format!("{}\n", name.to_string_lossy());
    let lines = [
        ("kind", Some(format!("{}: {}", about.kind, about.says))),
        ("needs", about.needs.clone()),
        ("where", Some(format!("{} ({})", path.display(), hub::size_text(size_on_disk(path))))),
        ("licence", about.licence.clone()),
    ];
    for (what, value) in lines {
        if let Some(value) = value {
            let _ = writeln!(out, "  {what:<11}{value}");
        }
    }
    print(&out)
}
