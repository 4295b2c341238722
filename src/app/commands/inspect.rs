//! `wavedream inspect`: what is in a source, for a person or (`--json`) a script.

use anyhow::Result;

use super::print;
use crate::{app::cli::InspectArgs, signal};

pub fn run(args: &InspectArgs) -> Result<()> {
    let report = signal::inspect(&args.source, args.seconds)?;
    print(&if args.json { format!("{}\n", serde_json::to_string_pretty(&report)?) } else { report.to_string() })
}
