//! `plot`: a stretch of a signal and what became of it, as a figure for a paper.
//!
//! ```text
//! source ──> Kept ──> line (as in `render`, by the virtual clock) ──> Gathered ──> Figure ──> Page ──> .png or .svg
//!            samples  lanes of state, latents, pictures               values       layout     shapes
//! ```
//!
//! A live source is heard first, for as long as was asked, and then played like a recording.

mod axis;
mod colours;
mod figure;
mod gather;
mod heard;
mod kept;
mod lane;
mod page;
mod rows;
mod spectrum;
mod traces;

use anyhow::{Context, Result};

pub use lane::{Lane, Scale};

use super::{UsageError, cli::PlotArgs, setup::set_up};
use crate::signal;

/// Length of a figure when nothing is said, and of a live source.
const USUAL_SECS: f64 = 30.0;
const LIVE_SECS: f64 = 10.0;

/// Draws the figure that was asked for.
pub fn run(args: &PlotArgs) -> Result<()> {
    let ending = args.output.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
    if !["png", "svg"].contains(&ending.as_str()) {
        let shown = args.output.display();
        return Err(UsageError(format!("--output: {shown} must end in .png or .svg")).into());
    }
    if args.from.is_some_and(|from| from < 0.0) {
        return Err(UsageError("--from: a figure begins at 0 s or later".into()).into());
    }
    let setup = set_up(&args.show)?;
    for warning in &setup.warnings {
        tracing::warn!("{warning}");
    }
    let mut source = signal::open(&setup.source)?;
    let from_secs = args.from.unwrap_or(0.0);
    let mut secs = args.seconds.unwrap_or(USUAL_SECS);
    if source.description().live {
        // What is live has no past: it is heard from now on.
        secs = args.seconds.unwrap_or(LIVE_SECS);
        source = Box::new(heard::hear(source, from_secs + secs)?);
    }
    let gathered = gather::gather(setup, source, from_secs, secs)?;
    let page = figure::draw(&gathered);
    let bytes = if ending == "svg" { page.svg().into_bytes() } else { page.png()? };
    std::fs::write(&args.output, bytes).with_context(|| format!("{} cannot be written", args.output.display()))?;
    let (width, height) = page.size();
    println!(
        "{}: {:.1} s of {} from {:.1} s on, {width}x{height}",
        args.output.display(),
        gathered.secs,
        gathered.source,
        gathered.from_secs
    );
    Ok(())
}
