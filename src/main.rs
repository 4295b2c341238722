//! The command line: what was typed becomes a call of `app::commands`, what went wrong one sentence and an exit code.

use std::process::ExitCode;

use tracing_subscriber::EnvFilter;
use wavedream::app::{
    UsageError,
    cli::{self, Parsed},
    commands,
};

fn main() -> ExitCode {
    let typed = match cli::parse(std::env::args_os()) {
        Parsed::Run(typed) => typed,
        Parsed::Show(text) => return ended(commands::print(&text)),
        Parsed::Usage(sentence) => return ended(Err(UsageError(sentence).into())),
    };
    log(typed.verbose);
    ended(commands::run(typed.command))
}

/// Warnings by default, more with -v and -vv; `RUST_LOG` overrules both.
fn log(verbose: u8) {
    let level = match verbose {
        0 => "error,wavedream=warn",
        1 => "warn,wavedream=info",
        2 => "info,wavedream=debug",
        _ => "debug,wavedream=trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(verbose > 1).init();
}

fn ended(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wavedream: {}", cli::one_line(&error));
            ExitCode::from(if error.is::<UsageError>() { 2 } else { 1 })
        }
    }
}
