//! `wavedream models list`

use std::fmt::Write;

use anyhow::Result;

use super::print;
use crate::{
    app::cli::ListArgs,
    diffusion::{self, hub},
};

pub fn run(args: &ListArgs) -> Result<()> {
    let entries = diffusion::list();
    if args.json {
        return print(&format!("{}\n", serde_json::to_string_pretty(&entries)?));
    }
    let all_names = entries.iter().map(|e| e.name.as_str()).chain(hub::KNOWN.iter().map(|k| k.short));
    let names = all_names.map(|n| n.chars().count()).max().unwrap_or(0).min(40);
    let kinds = entries.iter().map(|e| e.kind.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for entry in &entries {
        let size = if entry.path.is_none() { "built in".to_owned() } else { hub::size_text(entry.bytes) };
        let _ = writeln!(out, "{:<names$}  {:<kinds$}  {size:>8}  {}", entry.name, entry.kind, entry.summary);
        if let Some(path) = &entry.path {
            let _ = writeln!(out, "{:<names$}  {}", "", path.display());
        }
    }
    // Fetched ones are called by their short names.
    let others: Vec<_> = hub::KNOWN.iter().filter(|k| entries.iter().all(|e| e.name != k.short)).collect();
    if !others.is_empty() {
        out.push_str("\nTo be had with `wavedream models fetch NAME`:\n");
        for known in others {
            let _ = writeln!(out, "{:<names$}  {} ({}, {})", known.short, known.about, known.repo, known.licence);
        }
    }
    print(&out)
}
