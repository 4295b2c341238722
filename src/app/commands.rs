//! One file a command: each takes what was typed and ends in files, lines on stdout, or an error that is one sentence.

use std::io::{ErrorKind, Write};

use anyhow::{Context, Result};

use super::cli::Command;

mod params;

/// Does what was typed.
pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Params(args) => params::run(&args),
        command => anyhow::bail!("{command:?} is not built yet"),
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
