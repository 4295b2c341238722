//! One file a command: each takes what was typed and ends in files, lines on stdout, or an error that is one sentence.

use std::io::{ErrorKind, Write};

use anyhow::{Context, Result};

use super::{
    UsageError,
    cli::{Command, Size},
};
use crate::{
    control::{Origin, Table},
    diffusion::Card,
    latent::{self, Mapping, Shape},
};

mod bench;
mod devices;
mod dream;
mod encoder;
mod inspect;
mod latent_file;
mod models;
mod params;
mod start_picture;
pub mod state_report;
mod window;

/// Does what was typed.
pub fn run(command: Command) -> Result<()> {
    match command {
        #[cfg(feature = "window")]
        Command::Play(args) => super::play::run(args),
        #[cfg(not(feature = "window"))]
        Command::Play(_) => anyhow::bail!("this wavedream was built without its window: use `wavedream render`"),
        Command::Render(args) => super::render::run(args),
        Command::Dream(args) => dream::run(&args),
        Command::Latent(args) => latent_file::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Plot(args) => super::plot::run(&args),
        Command::Models(args) => models::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Params(args) => params::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Encoder(args) => encoder::run(&args.command),
    }
}

/// Writes to stdout. A reader that has had enough (`| head`) is no error.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("stdout cannot be written"),
        _ => Ok(()),
    }
}

/// Does what one `--set` says; a value that had to be clamped is told.
pub fn set(table: &Table, setting: &str) -> Result<()> {
    let outcome =
        table.set_from_text(setting, Origin::CommandLine).map_err(|error| UsageError(format!("--set: {error}")))?;
    if let Some(clamped) = outcome.clamped {
        tracing::warn!("--set: {clamped}");
    }
    Ok(())
}

/// The latent for a picture of this size.
pub fn shape_for(card: &Card, Size { width, height }: Size) -> Result<Shape, UsageError> {
    let unit = card.factor * card.multiple;
    if width % unit != 0 || height % unit != 0 {
        let near = |px: usize| (px + unit / 2).max(unit) / unit * unit;
        return Err(UsageError(format!(
            "--size: the model {} makes pictures whose sides are multiples of {unit}: {width}x{height} is not, \
             {}x{} is",
            card.name,
            near(width),
            near(height)
        )));
    }
    Ok(Shape { channels: card.latent_channels, height: height / card.factor, width: width / card.factor })
}

/// The mapping of this name.
fn mapping_named(name: &str) -> Result<Box<dyn Mapping>, UsageError> {
    latent::mapping(name).map_err(|error| UsageError(format!("--mapping: {error}")))
}

fn steps_of(card: &Card, steps: usize) -> Result<usize, UsageError> {
    if steps > card.max_steps {
        return Err(UsageError(format!("--steps: the model {} takes 1 to {}, not {steps}", card.name, card.max_steps)));
    }
    Ok(steps)
}
