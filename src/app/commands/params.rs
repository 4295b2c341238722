//! `wavedream params`: the reference of everything that can be set, from the table that is played with.

use anyhow::Result;

use super::print;
use crate::{
    app::{cli::ParamsArgs, full_table},
    control::{as_json, as_markdown, as_text},
    diffusion,
};

pub fn run(args: &ParamsArgs) -> Result<()> {
    let table = full_table(&diffusion::card("box")?);
    print(&if args.json {
        format!("{:#}\n", as_json(&table))
    } else if args.markdown {
        as_markdown(&table)
    } else {
        as_text(&table)
    })
}
