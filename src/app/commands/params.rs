//! `wavedream params`: the reference of everything that can be set, from the table that is played with.

use anyhow::Result;

use super::print;
use crate::{
    app::cli::ParamsArgs,
    control::{Table, as_json, as_markdown, as_text, builtin},
};

pub fn run(args: &ParamsArgs) -> Result<()> {
    let table = Table::new(builtin());
    print(&if args.json {
        format!("{:#}\n", as_json(&table))
    } else if args.markdown {
        as_markdown(&table)
    } else {
        as_text(&table)
    })
}
