//! `wavedream inspect`: what is in a source, for a person or (`--json`) a script.

use anyhow::Result;
use serde::Serialize;

use super::{
    print,
    state_report::{StateReport, state_report},
};
use crate::{app::cli::InspectArgs, signal};

#[derive(Serialize)]
struct Inspected {
    #[serde(flatten)]
    report: signal::Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<StateReport>,
}

pub fn run(args: &InspectArgs) -> Result<()> {
    let state = args.state.then(|| state_report(&args.source, args.seconds, &args.kind)).transpose()?;
    let inspected = Inspected { report: signal::inspect(&args.source, args.seconds)?, state };
    if args.json {
        return print(&format!("{}\n", serde_json::to_string_pretty(&inspected)?));
    }
    let state = inspected.state.as_ref().map_or_else(String::new, StateReport::to_string);
    print(&format!("{}{state}", inspected.report))
}
